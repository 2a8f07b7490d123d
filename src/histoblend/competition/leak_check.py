"""The leak guard at the door: what lies beside the data, what is attached to a session, what a network starts from.

Names are held against the denylist (leaked_labels.py); tables of ids and labels are opened. A name that proves nothing
is worth a warning, unless the table could be opened and shows that it is none. It guards the competition
in HCD's layout; drawn patches and other competitions have no test labels that could leak.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from histoblend.competition.contract import HCD, PCAM, Competition
from histoblend.competition.door import Door
from histoblend.competition.leaked_labels import (
    HARD_SHARE,
    Leak,
    labelled_test_ids,
    leak_in_name,
    leak_in_training,
)
from histoblend.competition.recognise import look_into, visible
from histoblend.errors import ArtifactRefusal, DataRefusal, MachineRefusal, some
from histoblend.workspace import Workspace, read_json

TABLES = (".csv", ".csv.gz", ".csv.zip")
DOCUMENTS = (".md", ".rst", ".html", ".pdf", ".ipynb", ".py", ".log", ".yaml")  # which hold no data
LABEL_COLUMNS = ("label", "labels", "target", "tumor", "tumour")
KINDS = ("datasets", "notebooks", "models")  # of Kaggle's mounts: <kind>/<owner>/<slug>
DEPTH = 4
OURS = "only the competition's own files, and the slide map if there is one"
LABELS = "train_labels.csv"


def is_guarded(competition: Competition) -> bool:
    """Whether test labels of this competition are known to leak."""
    return competition.layout == HCD and not competition.synthetic


def is_guarded_run(record: Mapping[str, Any]) -> bool:
    """The same of the competition that a run worked on, by its run.json."""
    data = record["data"]
    return data.get("layout") == HCD and not data["synthetic"]


def check_data_folder(root: Path, train: pd.Series, test: pd.Series, door: Door) -> list[str]:
    """Refuse leaked labels beside the data: in its folder or in a folder of it that holds no patches.

    Returns:
        What is to be said of names that prove nothing.

    Args:
        train: ids of the training patches; `test`: of the test patches.

    Raises:
        DataRefusal: a file is named after what holds the labels, or a table gives test ids a plain 0 or 1.
    """
    notes: list[str] = []
    for path in _files(root, 1):
        with door.passing():
            notes += _check_file(
                path, train, test, "move it out of the data's folder; nothing here may read it."
            )
    return notes


def check_mounts(kaggle_input: Path, root: Path, train: pd.Series, test: pd.Series, door: Door) -> list[str]:
    """Refuse leaked labels among what is attached to a session on Kaggle beside the competition in `root`.

    Returns:
        What is to be said of names that prove nothing.

    Raises:
        DataRefusal: a mount or a file is named after what holds the labels, or a table gives test ids a plain 0 or 1.
    """
    remedy = (
        "detach it from this session (Add Input), and take it out of kernel.datasets in configs/kaggle.yaml."
    )
    notes: list[str] = []
    for mount in mounts(kaggle_input):
        if mount.resolve() == root:
            continue
        with door.passing():
            notes += _by_its_name(f"The session is given {mount}", mount.name, remedy)
            for path in _files(mount, DEPTH):
                notes += _check_file(path, train, test, remedy)
    return notes


def mounts(kaggle_input: Path) -> list[Path]:
    """What a session was given beside the competition: Kaggle's mounts in their newer and in their older form."""
    if not kaggle_input.is_dir():
        return []
    kinds = [kaggle_input / kind for kind in KINDS]
    newer = [slug for kind in kinds for owner in _folders(kind) for slug in _folders(owner)]
    older = [one for one in _folders(kaggle_input) if one not in kinds and one.name != "competitions"]
    return sorted([*newer, *older])


def check_weights_names(paths: Iterable[Path], kaggle_input: Path) -> None:
    """Refuse weights of networks that were trained on the test patches, as far as name or record says so.

    Names: of the file and of its folder, on Kaggle of all folders down from the mount; Keras's own file names are
    believed wherever they lie outside Kaggle. Record: the run.json of the output folder that a file lies in.

    Raises:
        MachineRefusal: a file bears such a name, or its network learned from PCam.
    """
    for path in paths:
        if leak := next(filter(None, map(leak_in_training, _telling_names(path, kaggle_input))), None):
            raise _taught(path, f"its name says that it was trained on {leak.what}: {leak.why}")
        if (record := _record_of(path)) is not None:
            raise _taught(path, f"{record} says that it was trained on PCam, which holds the test patches")


def check_sent_files(paths: Iterable[Path]) -> None:
    """Refuse to send files of the denylist to Kaggle.

    Raises:
        DataRefusal: one bears such a name.
    """
    for path in paths:
        if leak := leak_in_name(path.name):
            raise _by_name(f"{path} would be sent", leak, "leave it out.")


def refuse_hard_answers(path: Path, hard: int, count: int) -> None:
    """Refuse predictions of `count` test patches of which (nearly) all, `hard`, are a plain 0 or 1.

    They cannot be told from labels that were looked up, and an AUC cannot use them: the order within a class is gone.
    Whoever has an honest network has the scores from before the threshold.

    Raises:
        ArtifactRefusal: they are.
    """
    if hard < HARD_SHARE * count:
        return
    raise ArtifactRefusal(
        f"{hard:,} of {count:,} predictions in {path} are a plain 0 or 1: they cannot be told from leaked "
        "labels, and no order is left in them that an AUC could use.",
        "the scores of a network: probabilities or logits, before any threshold",
        "write the scores themselves into the table.",
    )


def _by_its_name(found: str, name: str, remedy: str) -> list[str]:
    """What is to be said of a name that proves nothing; one that does is refused."""
    leak = leak_in_name(name)
    if leak is None or name.lower().endswith(DOCUMENTS):
        return []
    if leak.certain:
        raise _by_name(found, leak, remedy)
    return [f"{found}, by its name {leak.what}. If it holds any: {remedy}"]


def _check_file(path: Path, train: pd.Series, test: pd.Series, remedy: str) -> list[str]:
    notes = _by_its_name(f"{path} lies beside the data", path.name, remedy)
    if path.name == LABELS or not path.name.lower().endswith(TABLES):
        return notes
    table = _labels_in(path)
    if table is None:
        return notes
    if labelled := labelled_test_ids(table, train, test):
        raise DataRefusal(
            f"{path} gives {len(labelled):,} of the {len(test):,} test ids a plain 0 or 1 ({some(labelled, 2)}): "
            "labels that were looked up in PCam, or answers that cannot be told from such.",
            f"{OURS}: the test labels are not published",
            f"{remedy} Predictions of your own belong into an output folder: histoblend add.",
        )
    return []


def _labels_in(path: Path) -> pd.DataFrame | None:
    """The columns of ids and labels of a table, as text id and label; None where it has none or is no table."""
    try:
        columns = {str(name).strip().lower(): name for name in pd.read_csv(path, nrows=0).columns}
        label = next((columns[name] for name in LABEL_COLUMNS if name in columns), None)
        if label is None or "id" not in columns:
            return None
        names = {columns["id"]: "id", label: "label"}
        return pd.read_csv(path, usecols=list(names), dtype=str, keep_default_na=False).rename(columns=names)
    except (
        OSError,
        ValueError,
    ):  # not text, cut short, several files in one archive: nothing that we could read
        return None


def _files(folder: Path, depth: int) -> Iterator[Path]:
    """The files of `folder` and of the folders below it, folders of pictures left out."""
    held = look_into(folder)
    if held is None:
        return
    yield from (folder / name for name in sorted(held.files))
    if depth > 0:
        for name in held.folders:
            yield from _files(folder / name, depth - 1)


def _folders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(folder / entry.name for entry in visible(folder) if entry.is_dir())


def _telling_names(path: Path, kaggle_input: Path) -> Sequence[str]:
    """The parts of a path that say what a file of weights is."""
    if path.is_relative_to(kaggle_input):
        parts = path.relative_to(kaggle_input).parts
        return parts[2:] if parts[0] in KINDS else parts  # the owner's name says nothing
    published = path.name.endswith(("notop.h5", "no_top.h5", "no_top_v2.h5"))
    return (path.name,) if published else (path.name, path.parent.name)


def _record_of(path: Path) -> Path | None:
    """The record of the run that made a file of weights, where that run worked on PCam."""
    for folder in list(path.absolute().parents)[:4]:  # output/experiments/<name>/fold_<k>
        record = Workspace(folder).run_record
        if record.is_file() and (folder / "experiments").is_dir():
            return record if read_json(record).get("data", {}).get("layout") == PCAM else None
    return None


def _by_name(found: str, leak: Leak, remedy: str) -> DataRefusal:
    return DataRefusal(
        f"{found}, by its name {leak.what}: {leak.why}.",
        "no labels of test patches, wherever they come from",
        f"{remedy} If it holds nothing of the kind, give it a name that says what it holds.",
    )


def _taught(path: Path, why: str) -> MachineRefusal:
    return MachineRefusal(
        f"{path} may not be the start of a network here: {why}.",
        "weights learned from other pictures (imagenet), or none",
        "name another file under network.weights, or detach the folder it lies in.",
    )
