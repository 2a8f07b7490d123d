"""The data under audit opened so that what is broken is told, not stopped at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from histoblend.audit.findings import Part
from histoblend.competition.contract import Competition
from histoblend.competition.digits import read_digits
from histoblend.competition.door import Door
from histoblend.competition.source import Source, find_source
from histoblend.config import DataSettings, Plan
from histoblend.config_files import configs_folder, load_plan
from histoblend.data.odd_files import UNREADABLE, odd_table
from histoblend.data.pack import Pack, find_pack, pack
from histoblend.errors import DataRefusal
from histoblend.execution.device import processor_count
from histoblend.reporting.progress import Display
from histoblend.workspace import Workspace, read_json

LISTED = "unreadable_files.csv"  # where a pack names the files it stops at


@dataclass(frozen=True)
class Opened:
    """What could be opened.

    Attributes:
        refusals: every fact that does not hold; `run` would stop at the first.
        pack: None where no pixel could be read.
        odd_files: part, id, kind, detail, the unreadable files of test included.
    """

    source: Source
    settings: DataSettings
    refusals: list[DataRefusal]
    pack: Pack | None
    odd_files: pd.DataFrame

    @property
    def competition(self) -> Competition:
        """The competition under audit."""
        return self.source.competition


def chosen_settings(plan: str | None, workspace: Workspace, environment: Mapping[str, str]) -> DataSettings:
    """The data settings of the plan that was named, else of the last run in the output folder, else the defaults."""
    if plan is not None:
        loaded: Plan = load_plan(plan, configs_folder(environment))
        return loaded.data
    if workspace.run_record.exists():
        return DataSettings.model_validate(read_json(workspace.run_record)["plan"].get("data", {}))
    return DataSettings()


def open_leniently(
    data: Path | None, settings: DataSettings, environment: Mapping[str, str], door: Door
) -> Source:
    """The data that was named or lies around, faults gathered at `door`.

    Raises:
        DataRefusal: there is none, or nothing sound is left of it.
    """
    if settings.source == "digits" and data is None:
        return Source(read_digits(), "the plan brings it")
    input_folder = configs_folder(environment).parent / "input"
    source = find_source(data, environment, input_folder, settings.use_valid, door)
    if source is None:
        raise DataRefusal(
            f"There is no data to look at (argument, HISTOBLEND_DATA, Kaggle mounts, {input_folder}).",
            "a folder of patches in one of the layouts of docs/data.md",
            "name it: histoblend audit FOLDER.",
        )
    return source


def pack_leniently(
    source: Source, settings: DataSettings, scratch: Path, display: Display, door: Door
) -> Opened:
    """Decode what can be decoded; files that cannot are told of, in train and in test."""
    tolerant = settings.model_copy(update={"unreadable": "drop"})
    with display.counting("Decoding patches") as count:

        def attempt(competition: Competition) -> Pack:
            known = find_pack(competition, scratch, settings)  # of a run: nothing is decoded twice
            return known or pack(competition, scratch, processor_count(), progress=count, settings=tolerant)

        competition, unreadable = source.competition, odd_table([])
        packed = None
        try:
            packed = attempt(competition)
        except DataRefusal as refusal:
            unreadable = _unreadable_test(competition, scratch / LISTED, refusal)
            with door.passing():
                if unreadable.empty:
                    raise
                packed = attempt(_without(competition, unreadable))
    odd = packed.odd_files if packed is not None else odd_table([])
    return Opened(source, settings, door.refusals, packed, pd.concat([odd, unreadable], ignore_index=True))


def _unreadable_test(competition: Competition, listed: Path, refusal: DataRefusal) -> pd.DataFrame:
    """Rows part, id, kind, detail of the test files that `refusal` is about; none where it is about something else."""
    if str(listed) not in refusal.found:
        return odd_table([])
    faults = pd.read_csv(listed, dtype=str, keep_default_na=False).set_index("path")["fault"]
    test = competition.test[competition.test["path"].isin(faults.index)]
    return odd_table(
        ("test", name, UNREADABLE, faults[path]) for name, path in test[["id", "path"]].to_numpy()
    )


def _without(competition: Competition, unreadable: pd.DataFrame) -> Competition:
    return replace(competition, test=competition.test[~competition.test["id"].isin(unreadable["id"])])


def parts_of(packed: Pack) -> tuple[Part, Part]:
    """The training and the test patches."""
    return (
        Part("train", packed.train, packed.train_images()),
        Part("test", packed.test, packed.test_images()),
    )
