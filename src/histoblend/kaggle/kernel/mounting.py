"""What is mounted into the session: the competition, datasets that are there, its own earlier output."""

from __future__ import annotations

from histoblend.config_kaggle import KaggleSettings
from histoblend.kaggle.kernel.metadata import Sources, absent
from histoblend.kaggle.kernels import Kernel, Look
from histoblend.reporting.progress import Display


def assets_of(kernel: Kernel, settings: KaggleSettings) -> str:
    """The assets dataset as ``owner/slug``."""
    return f"{kernel.owner}/{settings.assets.slug}"


def chosen_sources(before: Look, kernel: Kernel, settings: KaggleSettings, display: Display) -> Sources:
    """The sources of the next session.

    Args:
        before: with kept and output of the kernel, and whether its assets dataset exists.
    """
    datasets = chosen_datasets(before, assets_of(kernel, settings), settings, display)
    return Sources((settings.competition,), datasets, earlier_output(before, kernel, display))


def chosen_datasets(before: Look, assets: str, settings: KaggleSettings, display: Display) -> tuple[str, ...]:
    """The assets dataset if there is one, then those of the settings."""
    named = settings.kernel.datasets
    if assets in named:
        return named
    if before.dataset:
        return (assets, *named)
    display.warn(
        f"There is no dataset {assets}: the session gets no slide map, no pretrained weights and no earlier "
        "checkpoints from you, and without internet it cannot fetch any. `histoblend assets push` makes it."
    )
    return named


def earlier_output(before: Look, kernel: Kernel, display: Display) -> tuple[str, ...]:
    """The kernel itself where an earlier session of it has left output; it has none before its second push."""
    if before.output is not None and before.output.files:
        display.tell("It goes on from its last session's output.")
        return (kernel.ref,)
    if before.kept is not None and not absent([kernel.ref], before.kept.kernels):
        display.warn(
            "The last session left no output, though an earlier one did: Kaggle may mount nothing to go on from. "
            "Sure is: `histoblend assets push --output output/kernels/VERSION` with a version pulled before."
        )
        return (kernel.ref,)
    display.tell("No earlier session has left output: it starts from the beginning.")
    return ()
