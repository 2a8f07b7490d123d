"""Adding predictions made elsewhere: checked against every contract, kept, and what they are worth said aloud."""

from __future__ import annotations

import getpass
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from histoblend.competition.leak_check import is_guarded_run, refuse_hard_answers
from histoblend.config_files import check_new_name, configs_folder
from histoblend.errors import ArtifactRefusal, ConfigRefusal
from histoblend.evaluation.metrics import areas, scored
from histoblend.evaluation.uncertainty import ground_of
from histoblend.external.comparison import Tables, check_direction, compare
from histoblend.external.ground import Ground, read_ground
from histoblend.external.members import KIND, external_metrics, is_external
from histoblend.external.tables import ForeignScores, check_folds, check_labels, foreign_scores, read_foreign
from histoblend.inference.tables import (
    out_of_fold_table,
    test_table,
    write_out_of_fold,
    write_test,
)
from histoblend.preparation import default_output
from histoblend.reporting.progress import Display
from histoblend.workspace import (
    ExperimentFolder,
    Workspace,
    file_hash,
    fingerprint,
    locked,
    read_json,
    write_json,
    write_text,
)
from histoblend.yaml_files import read_yaml


@dataclass(frozen=True)
class AddRequest:
    """What the user typed.

    Attributes:
        oof: out-of-fold predictions; `test`: predictions of the test patches; see tables.py.
        data: the data folder, asked for the test ids where the output folder has no test predictions yet.
        folds_fingerprint: the split the predictions were made on, where `oof` has no column fold.
    """

    name: str
    oof: Path | None = None
    test: Path | None = None
    data: Path | None = None
    output: Path | None = None
    folds_fingerprint: str | None = None


def add_external(request: AddRequest, display: Display, environment: Mapping[str, str]) -> ExperimentFolder:
    """Check predictions made elsewhere and keep them beside our own; says what they are worth.

    Raises:
        ConfigRefusal: a name that is taken or no name, or nothing to add.
        ArtifactRefusal: no run was made in the output folder, the tables break a contract, or other predictions
            were added under this name.
    """
    configs = configs_folder(environment)
    check_new_name(request.name, configs)
    if request.oof is None and request.test is None:
        raise ConfigRefusal("Nothing to add.", "--oof FILE, --test FILE or both")
    root = request.output or default_output(configs.parent, environment)
    workspace = Workspace(root.absolute())
    folder = workspace.experiment(request.name)
    _check_name_is_free(workspace, folder)
    ground = read_ground(workspace, request.data, environment)
    record = _record(request, ground)
    if folder.config.exists():
        _check_same(folder, record)
        display.tell(f"{request.name} was added before, with the same content: nothing to do.")
        return folder
    tables = _tables(request, ground, display)
    check_direction(request.oof, tables)
    with locked(workspace):
        _store(folder, record | {"read": tables.read}, tables, ground)
    _introduce(request.name, tables, ground, display)
    return folder


def _check_name_is_free(workspace: Workspace, folder: ExperimentFolder) -> None:
    name = folder.folder.name
    ours = folder.config.exists() and not is_external(folder)
    if ours or any(folder.folder.glob("fold_*")) or workspace.ensemble(name).folder.exists():
        raise ArtifactRefusal(
            f"{workspace.folder} has an experiment or a blend {name} of its own.",
            "a name that is free",
            "choose another.",
        )


def _check_same(folder: ExperimentFolder, record: dict[str, Any]) -> None:
    old = read_yaml(folder.config)
    if old.get("fingerprint") == record["fingerprint"]:
        return
    name = folder.folder.name
    changed = [key for key in ("oof", "test", "data", "folds") if old.get(key) != record[key]]
    raise ArtifactRefusal(
        f"Other predictions were added as {name} on {old.get('added')}; what differs: {', '.join(changed)}.",
        "the same files, or a name that is free",
        f"choose another name, or: ./run.sh archive {name} --output {folder.folder.parents[1]}",
    )


def _record(request: AddRequest, ground: Ground) -> dict[str, Any]:
    files = {"oof": request.oof, "test": request.test}
    hashes = {part: _hash(path) for part, path in files.items()}
    identity = hashes | {
        "data": ground.about["data_fingerprint"],
        "folds": ground.folds_fingerprint,
    }
    return {
        "kind": KIND,
        "name": request.name,
        "added": time.strftime("%Y-%m-%d %H:%M:%S"),
        "by": _user(),
        "files": {part: None if path is None else str(path.absolute()) for part, path in files.items()},
        **identity,
        "data_set": ground.about["data_set"],
        "synthetic": ground.about["synthetic"],
        "fingerprint": fingerprint(identity),
    }


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a user id without a name, as in many containers
        return "unknown"


def _hash(path: Path | None) -> str | None:
    if path is None:
        return None
    if not path.is_file():
        raise ConfigRefusal(f"There is no file {path}.", "a CSV file of predictions", "check the path.")
    return file_hash(path)


def _tables(request: AddRequest, ground: Ground, display: Display) -> Tables:
    """Both tables, held to every contract."""
    out_of_fold, test, read = None, None, {}
    if request.oof is not None:
        table = read_foreign(request.oof, ground.folds["id"])
        check_labels(table, ground.folds, request.oof)
        known_by = _check_split(table, request.oof, request.folds_fingerprint, ground)
        scores = foreign_scores(table, ground.outputs, request.oof, test=False)
        out_of_fold = out_of_fold_table(ground.folds, scores.logits)
        read["oof"] = {"folds_known_by": known_by, **_told(scores, request.oof, display)}
    if request.test is not None:
        table = read_foreign(request.test, ground.test_ids)
        scores = foreign_scores(table, ground.outputs, request.test, test=True)
        test = test_table(ground.test_ids, scores.logits)
        if is_guarded_run(read_json(ground.workspace.run_record)):
            refuse_hard_answers(request.test, scores.clipped, len(table))
        read["test"] = _told(scores, request.test, display)
    if len({one["scale"] for one in read.values()}) > 1:
        kinds = " and ".join(f"{one['scale']} ({one['columns']})" for one in read.values())
        raise ArtifactRefusal(
            f"{request.oof} and {request.test} hold different kinds of scores: {kinds}.",
            "the same in both, or a blend would weigh them wrongly",
            "call the columns by what they hold, logit or probability, and convert one of them.",
        )
    return Tables(out_of_fold, test, read)


def _told(scores: ForeignScores, path: Path, display: Display) -> dict[str, Any]:
    """Say how a table was understood; the same for the record."""
    columns = ", ".join(scores.columns)
    display.tell(f"{path}: {len(scores.logits):,} patches, {columns} read as {scores.scale}.")
    if scores.clipped:
        display.warn(
            f"{path}: exact 0 or 1 among the probabilities: {scores.clipped:,}; moved inwards, order kept."
        )
    return {"columns": columns, "scale": scores.scale, "clipped": scores.clipped}


def _check_split(table: pd.DataFrame, path: Path, given: str | None, ground: Ground) -> str:
    """The out-of-fold predictions have to say which folds they were made on, and be right; returns how they did."""
    if given is not None and given != ground.folds_fingerprint:
        raise ArtifactRefusal(
            f"--folds-fingerprint {given} is another split than {ground.workspace.folds}.",
            "predictions made on these folds",
            "train on this folds.csv, or add to the output folder whose split it is.",
        )
    if "fold" in table:
        check_folds(table, ground.folds, path)
        return "the column fold"
    if given is None:
        raise ArtifactRefusal(
            f"{path} does not say which folds it was made on.",
            f"a column fold, equal to that of {ground.workspace.folds}",
            "add it by id, if its models were trained on these folds; or give --folds-fingerprint, the one that "
            "stands in the ranking.csv that came with the folds.",
        )
    return "--folds-fingerprint"


def _store(folder: ExperimentFolder, record: dict[str, Any], tables: Tables, ground: Ground) -> None:
    """Write everything; the record last but for the metrics: without it the folder counts for nothing."""
    if tables.out_of_fold is not None:
        write_out_of_fold(folder.out_of_fold, tables.out_of_fold, ground.folds)
    if tables.test is not None:
        write_test(folder.test, tables.test, ground.test_ids)
    write_text(folder.config, yaml.safe_dump(record, sort_keys=False, allow_unicode=True))
    if tables.out_of_fold is not None:
        about = ground.about | {"config_fingerprint": record["fingerprint"]}
        values = scored(tables.out_of_fold, ground_of(ground.folds, about["slides_policy"]))
        write_json(folder.metrics, asdict(external_metrics(record["name"], values, about, None)))


def _introduce(name: str, tables: Tables, ground: Ground, display: Display) -> None:
    """What came of it, and whether a blend will take it."""
    if tables.out_of_fold is not None:
        values = areas(tables.out_of_fold)
        display.tell(
            f"{name}: AUC {values['auc_pooled']:.4f} pooled, {values['auc_fold_mean']:.4f} mean of folds, of its "
            "own out-of-fold predictions on the shared folds."
        )
    compare(name, tables, ground, display)
    if tables.out_of_fold is None:
        display.warn(
            f"{name} is test only: listed and compared, but with no out-of-fold predictions nothing says what it "
            "is worth, so it takes no part in blends and no weight is learned for it."
        )
    elif tables.test is None and len(ground.test_ids):
        display.warn(f"{name} has no test predictions: ranked, but it takes no part in blends.")
    else:
        display.tell(f"{name} joins ranking and blends at the next run in {ground.workspace.folder}.")
