"""What is mounted into the session: the competition, datasets that are there, its own earlier output."""

from __future__ import annotations

from histoblend.config_files import load_plan, plan_experiments
from histoblend.config_kaggle import KaggleSettings
from histoblend.errors import ServiceRefusal, some
from histoblend.kaggle.datasets import READY, State
from histoblend.kaggle.kernel.before import Before, holds_output
from histoblend.kaggle.kernel.continuing import Asked, check_continues
from histoblend.kaggle.kernel.metadata import Sources, absent
from histoblend.kaggle.kernels import Kernel
from histoblend.models.registry import find_network
from histoblend.reporting.progress import Display


def assets_of(kernel: Kernel, settings: KaggleSettings) -> str:
    """The assets dataset as ``owner/slug``."""
    return f"{kernel.owner}/{settings.assets.slug}"


def chosen_sources(
    before: Before, kernel: Kernel, settings: KaggleSettings, asked: Asked, display: Display
) -> tuple[Sources, bool]:
    """The sources of the next session, and whether it has to find an earlier output among them.

    Raises:
        ServiceRefusal: what it needs is not there; ConfigRefusal: it would not go on from what is finished.
    """
    datasets = chosen_datasets(before, assets_of(kernel, settings), settings, asked, display)
    own, goes_on = earlier_output(before, kernel, asked, display)
    return Sources((settings.competition,), datasets, own), goes_on


def chosen_datasets(
    before: Before, assets: str, settings: KaggleSettings, asked: Asked, display: Display
) -> tuple[str, ...]:
    """The assets dataset if there is one, then those of the settings.

    Raises:
        ServiceRefusal: it is not ready, it is gone though the last session had it, or the plan cannot do without.
    """
    others = tuple(name for name in settings.kernel.datasets if name != assets)
    if before.assets is not None:
        _check_ready(assets, before.assets)
        return (assets, *others)
    kept = before.kernel.kept
    if kept is not None and not absent([assets], kept.datasets) and not asked.anew:
        raise ServiceRefusal(
            f"There is no dataset {assets} any more, or Kaggle does not show it; the last session had it.",
            "its slide map and weights: without the map, folds are others, and everything is trained anew",
            "`./run.sh assets push` makes it; or --anew, to do without it from the beginning.",
        )
    pretrained = starting_pretrained(asked)
    if pretrained and not others and not settings.kernel.internet:
        raise ServiceRefusal(
            f"There is no dataset {assets}, the session has no internet, and {some(pretrained)} start from pretrained "
            "weights: it could not train them.",
            "a dataset with the weights",
            "`./run.sh assets push` makes it. Or name one under kernel.datasets in configs/kaggle.yaml, or switch "
            "kernel.internet on there, or push another plan.",
        )
    display.warn(
        f"There is no dataset {assets}: the session gets no slide map, no pretrained weights and no earlier "
        "checkpoints from you, and without internet it cannot fetch any. `./run.sh assets push` makes it."
    )
    return others


def starting_pretrained(asked: Asked) -> list[str]:
    """The plan's experiments that start from published weights, by name."""
    experiments = plan_experiments(load_plan(asked.plan, asked.configs, asked.settings), asked.configs)
    return [
        one.name
        for one in experiments
        if find_network(one.network.name).weights == "imagenet"
        and one.network.parameters.get("weights", "imagenet") == "imagenet"
    ]


def _check_ready(assets: str, state: State) -> None:
    if state.word != READY:
        raise ServiceRefusal(
            f"The newest version of the dataset {assets} is not ready: its state is {state.word.replace('_', ' ')}.",
            f"the state {READY}: a session that starts now might get nothing of it",
            "`./run.sh assets push`, which waits until it is, and sends anew what failed; then push again.",
        )


def earlier_output(
    before: Before, kernel: Kernel, asked: Asked, display: Display
) -> tuple[tuple[str, ...], bool]:
    """The kernel itself where its last session left an output; and whether one is mounted, from there or in assets.

    Kaggle mounts the output of the last version alone: where that has none, what earlier ones finished is not there.

    Raises:
        ServiceRefusal: the last session left none, though an earlier one did.
        ConfigRefusal: the last session had another plan or other settings, or has finished this one.
    """
    output, kept = before.kernel.output, before.kernel.kept
    in_assets = before.assets is not None and holds_output(before.assets.files)
    if asked.anew:
        display.tell(
            "It starts from the beginning (--anew); earlier outputs stay in the kernel's versions on Kaggle."
        )
        if in_assets:
            display.warn(
                "The assets dataset holds an earlier output: what fits of it is gone on with all the same. "
                "`./run.sh assets push --remove` without --output takes it out."
            )
        return (), False
    if output is not None and holds_output(output.files):
        check_continues(before.noted, asked, kernel)
        display.tell("It goes on from its last session's output.")
        return (kernel.ref,), True
    if in_assets:
        display.tell("It goes on from the earlier output in the assets dataset.")
        return (), True
    went_on = kept is not None and not absent([kernel.ref], kept.kernels)
    if went_on or before.pulled:
        folder = before.pulled[-1] if before.pulled else "output/kernels/VERSION"
        raise ServiceRefusal(
            f"The last session of {kernel.ref} left no output, though an earlier one did: Kaggle mounts the last "
            "version alone, and everything would be trained anew.",
            "an output that the session can go on from",
            f"`./run.sh assets push --output {folder}`, with an output that was pulled before (an earlier version's "
            f"files are on {kernel.address}), then push again; or --anew, to start from the beginning.",
        )
    display.tell("No earlier session has left output: it starts from the beginning.")
    return (), False
