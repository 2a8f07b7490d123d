"""The competition a run works on: found, or drawn where there is none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from histoblend.competition.door import Door
from histoblend.competition.layouts import Competition, UseValid, read_competition
from histoblend.competition.locate import locate
from histoblend.competition.synthetic import draw_competition
from histoblend.config import SyntheticSettings
from histoblend.errors import DataRefusal
from histoblend.workspace import on_kaggle


@dataclass(frozen=True)
class Source:
    """A competition and the sentence that says why this one."""

    competition: Competition
    reason: str


def find_source(
    data: Path | None,
    environment: Mapping[str, str],
    input_folder: Path,
    use_valid: UseValid = "folds",
    door: Door | None = None,
) -> Source | None:
    """The competition that was asked for or lies around; None if there is none.

    Args:
        data: the value of ``--data``; `environment`: where ``HISTOBLEND_DATA`` is looked up.
        input_folder: the project's ``input/``.
        use_valid: whether a validation part joins the folds or is only scored.
        door: strict unless given; a lenient one gathers what is broken.

    Raises:
        DataRefusal: what is there is broken; or, on Kaggle, nothing is attached.
    """
    located = locate(data, environment, input_folder)
    if located is not None:
        return Source(read_competition(located.root, use_valid=use_valid, door=door), located.reason)
    if on_kaggle(environment):
        raise DataRefusal(
            "This runs on Kaggle, and no competition is attached.",
            "train_labels.csv and train/ somewhere under /kaggle/input",
            "attach Histopathologic Cancer Detection (Add Input > Competitions): GPU hours are not spent "
            "on synthetic patches. To try the pipeline all the same, draw them yourself: "
            "`histoblend draw /tmp/synthetic`, then `--data /tmp/synthetic`.",
        )
    return None


def draw_source(
    folder: Path, settings: SyntheticSettings, progress: Callable[[int, int], None] | None = None
) -> Source:
    """Draw the synthetic competition into `folder` and read it like any other."""
    draw_competition(
        folder, settings.train_patches, settings.test_patches, seed=settings.seed, progress=progress
    )
    return Source(read_competition(folder), "no data was found, so this competition was drawn")
