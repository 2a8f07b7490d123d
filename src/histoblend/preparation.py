"""A run before its first task: data, plan, device, and whether everything it needs is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from histoblend.blending.decision import AUTO
from histoblend.blending.rules import rules_for
from histoblend.competition.digits import read_digits
from histoblend.competition.layouts import Competition
from histoblend.competition.leak_check import check_weights_names, is_guarded
from histoblend.competition.source import Source, draw_source, find_source
from histoblend.config import Plan
from histoblend.config_experiment import Experiment
from histoblend.config_files import base_name, beyond_plan, configs_folder, load_plan, plan_experiments
from histoblend.data.pack_space import estimate_pack
from histoblend.errors import ConfigRefusal, MachineRefusal, nearest, some
from histoblend.execution.device import Device, gpu_names, prepare_device
from histoblend.execution.kept_room import check_kept_room
from histoblend.execution.preflight import (
    RANDOM,
    PlannedExperiment,
    check_machine,
    plan_work,
    resolve_slides,
)
from histoblend.models.weights import DOWNLOAD
from histoblend.reporting.progress import Display
from histoblend.training.teachers import check_teachers, teachers_first
from histoblend.workspace import Workspace, kaggle_root, on_kaggle, scratch_folder

SMALL = 20_000  # labelled patches up to which five folds of small networks are a laptop's work


@dataclass(frozen=True)
class Request:
    """What the user typed."""

    plan: str | None = None
    data: Path | None = None
    output: Path | None = None
    experiments: tuple[str, ...] = ()
    folds: tuple[int, ...] = ()
    settings: tuple[str, ...] = ()
    dry_run: bool = False


@dataclass(frozen=True)
class Prepared:
    """What a run works on, what it will do, and on what.

    Attributes:
        planned: the experiments that were asked for, with their costs.
        others: the plan's other experiments, blended if they were trained so before: each as this run's
            ``--set`` has it, then as its file does.
    """

    workspace: Workspace
    scratch: Path
    source: Source
    plan: Plan
    folds: tuple[int, ...]
    device: Device
    planned: list[PlannedExperiment]
    others: list[Experiment]

    @property
    def competition(self) -> Competition:
        """The competition worked on."""
        return self.source.competition


def prepare(
    request: Request, display: Display, environment: Mapping[str, str], *, side_by_side: bool = False
) -> Prepared:
    """Find the data, choose the plan, look at device, weights, disk and memory.

    Args:
        side_by_side: whether tasks may run in processes of their own; then this one may end up without a card.

    Raises:
        Refusal: something is missing or wrong.
    """
    configs = configs_folder(environment)
    project = configs.parent
    plan, source = chosen(request, configs, environment, display)
    experiments = teachers_first(plan_experiments(plan, configs, request.experiments))
    if beyond := beyond_plan(plan, configs, request.experiments):
        display.tell(
            f"Not in plan {plan.name}, but asked for: {some(beyond)}; in the blend of this run. To keep it "
            "there, write it into the plan's experiments."
        )
    folds = chosen_folds(plan, request)
    source = source or draw_missing(project / "input" / "synthetic", plan, display)
    introduce(source, display)
    check_rule(plan, source.competition)
    workspace = Workspace((request.output or default_output(project, environment)).absolute())
    check_weights(plan, [one.name for one in experiments], workspace)
    device = prepare_device(plan.execution, side_by_side=side_by_side)
    check_cards(device, request.plan is None and plan.name == "kaggle", display)
    patches = (len(source.competition.train), len(source.competition.test))
    check_teachers(experiments, folds, patches[1], workspace)
    frame = (plan.data.side, len(source.competition.classes))
    planned = plan_work(experiments, plan.tta, patches, plan.folds.count, frame)
    if is_guarded(source.competition):
        files = [Path(one.weights) for one in planned if one.weights not in (DOWNLOAD, RANDOM)]
        check_weights_names(files, kaggle_root(environment) / "input")
    scratch = scratch_folder(workspace, environment)
    cache_bytes = (
        estimate_pack(source.competition, plan.data)[0] if scratch.is_relative_to(workspace.folder) else 0
    )
    sentences = [
        *check_machine(planned, plan.folds.count, patches, workspace.folder, device, cache_bytes),
        *check_kept_room(planned, plan.folds.count, patches, workspace, environment),
    ]
    display.tell(f"Device: {device.sentence}, {device.precision} by default.")
    display.tell(f"Preflight: {resolve_slides(source.competition, plan.folds)}; {'; '.join(sentences)}.")
    return Prepared(
        workspace=workspace,
        scratch=scratch,
        source=source,
        plan=plan,
        folds=folds,
        device=device,
        planned=planned,
        others=other_experiments(plan, request.plan or plan.name, experiments, configs),
    )


def chosen(
    request: Request, configs: Path, environment: Mapping[str, str], display: Display
) -> tuple[Plan, Source | None]:
    """The plan that was named, or the one that fits data and device, and the data it works on."""
    folder = configs.parent / "input"
    if request.plan is not None:
        plan = load_plan(request.plan, configs, request.settings)
        return plan, source_of(plan, request, environment, folder)
    source = find_source(request.data, environment, folder)
    name, why = fitting_plan(source, bool(gpu_names()))
    display.tell(f"Plan: {name}, because {why}. Others: ./run.sh run PLAN.")
    plan = load_plan(name, configs, request.settings)
    if plan.data.use_valid != "folds" or plan.data.source != "files":  # only now known, from --set
        source = source_of(plan, request, environment, folder)
    return plan, source


def source_of(
    plan: Plan, request: Request, environment: Mapping[str, str], input_folder: Path
) -> Source | None:
    """The data `plan` works on; None if there is none.

    Raises:
        ConfigRefusal: a folder was named for a plan that brings its own data.
    """
    if plan.data.source == "files":
        return find_source(request.data, environment, input_folder, plan.data.use_valid)
    if request.data is not None:
        raise ConfigRefusal(
            f"--data names {request.data}, and plan {plan.name} brings its own data (data.source: digits).",
            "one source of patches",
            "leave --data out, or name another plan.",
        )
    return Source(read_digits(), f"plan {plan.name} brings it")


def fitting_plan(source: Source | None, gpu: bool) -> tuple[str, str]:
    """Name of the plan for this data and device, and the reason."""
    if source is None or source.competition.synthetic:
        return "quick", "the patches are synthetic"
    count = len(source.competition.train)
    if gpu and count > SMALL:
        return "kaggle", f"a GPU is visible and {count:,} real patches are there"
    if count <= SMALL:
        return "mini", f"there are {count:,} real patches"
    return "quick", f"there are {count:,} real patches and no GPU is visible"


def other_experiments(plan: Plan, file: str, chosen: list[Experiment], configs: Path) -> list[Experiment]:
    """The experiments of `plan` that were not asked for, with this run's ``--set``, then as in its `file`."""
    names = {experiment.name for experiment in chosen}
    both = [*_accepting(plan, configs), *plan_experiments(load_plan(file, configs), configs)]
    return [one for one in both if one.name not in names]


def _accepting(plan: Plan, configs: Path) -> list[Experiment]:
    """The plan's experiments that this run's ``--set`` fits; it may be meant for those asked for only."""
    accepting: dict[str, Experiment] = {}
    for file in plan.experiments:
        with suppress(ConfigRefusal):
            accepting |= {one.name: one for one in plan_experiments(plan, configs, [Path(file).stem])}
    return list(accepting.values())


def draw_missing(folder: Path, plan: Plan, display: Display) -> Source:
    """Draw the synthetic competition, since there is no data."""
    display.warn(f"No data found (--data, HISTOBLEND_DATA, Kaggle mounts, {folder.parent}).")
    with display.counting(f"Drawing a SYNTHETIC competition into {folder}") as count:
        return draw_source(folder, plan.synthetic, count)


def introduce(source: Source, display: Display) -> None:
    """First lines: what data this is and why it was taken."""
    competition = source.competition
    if competition.synthetic:
        display.warn(
            "SYNTHETIC data: drawn patches, for trying the pipeline. Scores say nothing about real tissue."
        )
    total = len(competition.train)
    counts = ", ".join(
        f"{name} {count:,} ({count / total:.1%})" for name, count in competition.class_counts().items()
    )
    display.tell(
        f"Data: {competition.root} ({source.reason.rstrip('.')}), layout {competition.layout}: {total:,} "
        f"training patches, {len(competition.test):,} test patches. Classes: {counts}."
    )
    if len(competition.classes) > 2:
        display.tell(
            f"{len(competition.classes)} classes: a softmax; AUC is the mean of each class against the rest."
        )
    for note in competition.notes:
        display.tell(f"Note: {note}")


def check_rule(plan: Plan, competition: Competition) -> None:
    """Refuse a blend rule that has no meaning for this many classes.

    Raises:
        ConfigRefusal: it has none.
    """
    fitting = [AUTO, *rules_for(len(competition.classes))]
    if plan.blend.rule not in fitting:
        raise ConfigRefusal(
            f"blend.rule {plan.blend.rule} has no meaning for {len(competition.classes)} classes.",
            f"one of {', '.join(fitting)}",
            "set blend.rule: auto.",
        )


def check_weights(plan: Plan, asked_for: Sequence[str], workspace: Workspace) -> None:
    """Refuse blend weights for what is neither an experiment of this run or plan nor in the output folder.

    Raises:
        ConfigRefusal: a name stands for nothing.
    """
    there = [path.name for path in workspace.experiments.glob("*")]
    planned = [Path(name).stem for name in plan.experiments]
    known = list(dict.fromkeys(base_name(name) for name in (*planned, *asked_for, *there)))
    if unknown := [name for name in plan.blend.weights or () if name not in known]:
        raise ConfigRefusal(
            f"blend.weights names {some(unknown)}, which is no experiment of this plan or output folder. "
            f"{nearest(unknown[0], known)}",
            "experiments by name, without .seed: equal seeds are averaged first",
            "mend blend.weights.",
        )


def check_cards(device: Device, chosen_for_the_card: bool, display: Display) -> None:
    """Say so where the driver lists a card that the backend does not see.

    Raises:
        MachineRefusal: the plan was chosen because of that card.
    """
    cards = gpu_names()
    if not cards or device.kind == "gpu":
        return
    found = f"The driver lists {', '.join(cards)}, but TensorFlow does not see it: tasks run on the CPU."
    remedy = "pip install 'tensorflow[and-cuda]' (or unset CUDA_VISIBLE_DEVICES)"
    if chosen_for_the_card:
        raise MachineRefusal(found, "a card for the kaggle plan", f"{remedy}, or name a plan: run mini.")
    display.warn(f"{found} To do: {remedy}.")


def default_output(project: Path, environment: Mapping[str, str]) -> Path:
    """`/kaggle/working` on Kaggle, which hands back what lies there, else the project's `output/`."""
    return kaggle_root(environment) / "working" if on_kaggle(environment) else project / "output"


def chosen_folds(plan: Plan, request: Request) -> tuple[int, ...]:
    """All folds, or those that were asked for.

    Raises:
        ConfigRefusal: one that was asked for does not exist.
    """
    everything = tuple(range(plan.folds.count))
    if unknown := [fold for fold in request.folds if fold not in everything]:
        raise ConfigRefusal(f"There is no fold {some(unknown)}.", f"folds from 0 to {plan.folds.count - 1}")
    return tuple(sorted(set(request.folds))) or everything
