"""Kaggle keeps 20 GB of a session's working folder: a plan that would need more is refused before it trains.

What is counted is the most that lies there at one time: all artifacts of the plan, what of other plans was taken over,
and a second copy of the largest file while it is packed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from histoblend.errors import MachineRefusal, some
from histoblend.execution.preflight import STATE_COPIES, PlannedExperiment, artifact_bytes
from histoblend.workspace import Workspace, kaggle_root, on_kaggle

KEPT = 20_000_000_000
RESERVE = 500_000_000  # the report, logs of a training, headers of the tar, and what an estimate forgets
BLENDS = 10  # rules that are kept side by side
OOF_ROW, TEST_ROWS = (
    84,
    140,
)  # bytes of a row in a blend's oof.csv; in its test.csv and submission.csv together
STATES = (
    2  # beside the one among the artifacts: of the second card's task, and a copy of one while it is packed
)


def check_kept_room(
    planned: Sequence[PlannedExperiment],
    fold_count: int,
    patches: tuple[int, int],
    workspace: Workspace,
    environment: Mapping[str, str],
) -> tuple[str, ...]:
    """Compare what a session hands back with what Kaggle keeps; a sentence, or none where nothing is handed back.

    Args:
        patches: training and test patches.

    Raises:
        MachineRefusal: it would be too much; says which setting to change.
    """
    working = kaggle_root(environment) / "working"
    if not (on_kaggle(environment) and workspace.folder.is_relative_to(working)):
        return ()
    needed = kept_bytes(planned, fold_count, patches) + other_bytes(planned, workspace, working)
    if needed + RESERVE > KEPT:
        raise MachineRefusal(
            f"This plan's artifacts take up to {needed / 1e9:.1f} GB in {working}.",
            f"{(KEPT - RESERVE) / 1e9:.1f} GB at most: Kaggle keeps {KEPT / 1e9:.0f} GB of a session",
            _remedy(planned, fold_count),
        )
    return (f"kept by Kaggle: up to {needed / 1e9:.1f} of {KEPT / 1e9:.0f} GB",)


def kept_bytes(planned: Sequence[PlannedExperiment], fold_count: int, patches: tuple[int, int]) -> int:
    """The most that the artifacts of a plan take while they are made and packed, blends included."""
    largest = max((one.work.parameters * 4 * STATE_COPIES for one in planned), default=0)
    saved = sum(one.work.parameters * 4 * fold_count for one in _saving(planned))
    blends = BLENDS * (patches[0] * OOF_ROW + patches[1] * TEST_ROWS)
    return artifact_bytes(planned, fold_count, patches) + saved + STATES * largest + blends


def other_bytes(planned: Sequence[PlannedExperiment], workspace: Workspace, working: Path) -> int:
    """Bytes in the working folder that are of no experiment of the plan."""
    own = [workspace.experiment(one.experiment.name).folder for one in planned]
    files = (path for path in working.rglob("*") if path.is_file())
    return sum(path.stat().st_size for path in files if not any(path.is_relative_to(one) for one in own))


def _saving(planned: Sequence[PlannedExperiment]) -> list[PlannedExperiment]:
    """Those that write each model a second time, as a .keras file."""
    return [one for one in planned if one.experiment.training.save_model]


def _remedy(planned: Sequence[PlannedExperiment], fold_count: int) -> str:
    if saving := _saving(planned):
        return f"set training.save_model=false ({some([one.experiment.name for one in saving])})."
    sized = sorted(planned, key=lambda one: -one.work.parameters)
    each = [f"{one.experiment.name} {one.work.parameters * 4 * fold_count / 1e9:.1f} GB" for one in sized[:3]]
    return (
        "share the plan out between two kernels (each with some of its experiments), or lower folds.count. "
        f"The largest by their weights: {', '.join(each)}."
    )
