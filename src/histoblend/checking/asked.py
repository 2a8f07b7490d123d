"""What a submission should hold: from the data, from the output folder, or not known; and the model beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from histoblend.checking.form import Form, Reference
from histoblend.checking.request import CheckRequest
from histoblend.chosen import chosen_blend
from histoblend.competition.layouts import read_competition
from histoblend.competition.locate import Located, locate
from histoblend.competition.tables import read_table
from histoblend.config_files import configs_folder
from histoblend.errors import ArtifactRefusal, nearest
from histoblend.external.ground import own_tests
from histoblend.inference.tables import check_table, table_logits
from histoblend.restoring import remedy_for
from histoblend.workspace import Workspace, read_json
from histoblend.yaml_files import read_yaml

SAMPLE = "sample_submission.csv"
NOWHERE = "no --data, no HISTOBLEND_DATA, no competition in the Kaggle mounts or input/, and no predictions in {folder}"


def asked_form(request: CheckRequest, workspace: Workspace, environment: Mapping[str, str]) -> Form:
    """The form of a submission: of the data that was named, else of the run, else of the data that lies around.

    Raises:
        Refusal: the data that was named, or the run's tables, are broken.
    """
    input_folder = configs_folder(environment).parent / "input"
    named = request.data is not None or "HISTOBLEND_DATA" in environment
    run = read_json(workspace.run_record) if workspace.run_record.exists() else {}
    training = _training_ids(workspace)
    if not named and (form := _form_of_run(workspace, run)):
        return replace(form, training=training)
    located = locate(request.data, environment, input_folder)
    if located is None:
        return Form(source=NOWHERE.format(folder=workspace.folder))
    return replace(_form_of_data(located, run), training=training)


def _training_ids(workspace: Workspace) -> frozenset[str]:
    if not workspace.folds.exists():
        return frozenset()
    table = _text_table(workspace.folds)
    if "id" not in table:
        raise _damaged(workspace.folds, "it has no column id")
    return frozenset(table["id"])


def _form_of_data(located: Located, run: Mapping[str, dict]) -> Form:
    """The sample submission alone is read where there is one: what is wrong elsewhere in the data does not matter."""
    path = located.root / SAMPLE
    if path.is_file():
        return Form(ids=tuple(read_table(path, Form().columns)["id"]), source=str(path))
    use_valid = run.get("plan", {}).get("data", {}).get("use_valid", "folds")
    competition = read_competition(located.root, use_valid=use_valid)
    ids = competition.test["id"] if competition.sample is None else competition.sample["id"]
    classes = competition.classes if len(competition.classes) > 2 else ()
    if not len(ids):
        return Form(classes=classes, source=f"{located.root} has no patches that are to be submitted")
    return Form(ids=tuple(ids), classes=classes, source=str(located.root))


def _form_of_run(workspace: Workspace, run: Mapping[str, dict]) -> Form | None:
    """As a blend's submission has it; else the ids of a table of test predictions; None where there is neither."""
    classes = tuple(run.get("data", {}).get("classes", {}))
    classes = classes if len(classes) > 2 else ()
    submissions = sorted(workspace.folder.glob("ensembles/*/submission.csv"))
    for path in [*submissions, *own_tests(workspace)]:
        table = _text_table(path)
        columns = (str(table.columns[0]), str(table.columns[1])) if path in submissions else Form().columns
        name = run.get("plan", {}).get("name", workspace.folder.name)
        return Form(columns, tuple(table.iloc[:, 0]), classes, f"this run ({name})")
    return None


def _text_table(path: Path) -> pd.DataFrame:
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise _damaged(path, str(error)) from error
    if table.shape[1] < 2:
        raise _damaged(path, "it has one column")
    return table


def _damaged(path: Path, why: str) -> ArtifactRefusal:
    return ArtifactRefusal(f"{path} is damaged: {why}.", "a table as it was written", remedy_for(path))


def asked_reference(against: str | None, workspace: Workspace) -> Reference | None:
    """The model that was named, else the chosen blend of the last run, if there is one.

    Raises:
        ArtifactRefusal: the output folder has no predictions of that name, or they are damaged.
    """
    there = {path.parent.name: path for path in _tests(workspace)}
    chosen = chosen_blend(workspace) if against is None else None
    name = chosen.name if chosen else against
    if name is None or (against is None and name not in there):
        return None
    if name not in there:
        where = nearest(name, list(there)) if there else "Was it another --output?"
        raise ArtifactRefusal(
            f"{workspace.folder} holds no test predictions of {name!r}. {where}", "a blend or an experiment"
        )
    return _reference(name, there[name], workspace)


def _tests(workspace: Workspace) -> list[Path]:
    """Test tables of experiments and blends; a blend last, so that its name wins."""
    return sorted(workspace.experiments.glob("*/test.csv")) + sorted(workspace.ensembles.glob("*/test.csv"))


def _reference(name: str, path: Path, workspace: Workspace) -> Reference:
    table = _text_table(path)
    if "id" not in table:
        raise _damaged(path, "it has no column id")
    check_table(table, ["id"], table["id"], str(path))
    logits = table_logits(table.astype(dict.fromkeys(table.columns[1:], float)))
    if logits.shape[1] == 1:
        return Reference(name, pd.Series(logits[:, 0], index=table["id"]))
    classes = np.array(_class_names(workspace))
    return Reference(name, pd.Series(classes[logits.argmax(axis=1)], index=table["id"]))


def _class_names(workspace: Workspace) -> list[str]:
    """Names of more than two classes in the order of their logits, as an experiment's record has them."""
    for path in sorted(workspace.experiments.glob("*/config.yaml")):
        if classes := read_yaml(path).get("classes"):
            return list(classes)
    raise ArtifactRefusal(
        f"No experiment in {workspace.experiments} records the names of its classes.",
        "config.yaml of one that was trained here",
        "leave --against out.",
    )
