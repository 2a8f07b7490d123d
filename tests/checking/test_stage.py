from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from histoblend.checking import CheckRequest, check_submission_file
from histoblend.competition.layouts import read_competition
from histoblend.errors import ArtifactRefusal, DataRefusal
from histoblend.inference import tables
from histoblend.reporting.progress import Display
from histoblend.workspace import Workspace, write_csv, write_json, write_text

ROWS = 80
IDS = pd.Series([f"{number:03d}a" for number in range(ROWS)])
LOGITS = np.random.default_rng(0).normal(size=ROWS)
SUBMISSION = pd.DataFrame(
    {"id": IDS[::-1], "label": LOGITS[::-1]}
)  # the sample's order is not the sorted one
RANKED = SUBMISSION.assign(label=SUBMISSION["label"].rank() / ROWS)

RULE = {"rule": "weighted", "learns": False, "auc_in_sample": 0.9, "auc_cross_fitted": 0.9, "optimism": 0.0,
        "gain": None, "gain_standard_error": None, "gain_low": None, "gain_high": None, "p_value": None}  # fmt: skip
AUDIT = {"plan": "toy", "folds_fingerprint": "f", "members": ["net"], "method": "none", "clusters_are": "slides",
         "rules": [RULE], "asked": "weighted", "chosen": "weighted", "reason": "asked for", "finals": []}  # fmt: skip


def run_of(classes: dict[str, int]) -> dict[str, object]:
    """What a run notes of itself."""
    return {
        "started": "today",
        "plan": {"name": "toy", "blend": {"rule": "logit_mean"}},
        "data": {"root": "", "name": "toy", "fingerprint": "d", "synthetic": False, "classes": classes},
        "folds": {"fingerprint": "f", "policy": "none", "sentence": ""},
    }


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """What a run leaves that the doctor reads: two blends, the second chosen, and an experiment."""
    workspace = Workspace(tmp_path / "output")
    for name, sign in (("toy_logit_mean", -1), ("toy_weighted", 1)):
        folder = workspace.ensemble(name)
        write_csv(folder.test, tables.test_table(IDS, sign * LOGITS[:, None]))
        write_csv(folder.submission, RANKED)
    write_csv(workspace.experiment("net").test, tables.test_table(IDS, LOGITS[:, None] ** 3))
    write_json(workspace.run_record, run_of({"no tumour": 3, "tumour": 4}))
    write_json(workspace.blend_audit("toy"), AUDIT)
    write_csv(workspace.folds, pd.DataFrame({"id": [f"{number}t" for number in range(ROWS)], "label": 0}))
    return workspace.folder


def check(
    file: Path, output: Path | None, capsys: pytest.CaptureFixture[str], **more: object
) -> tuple[int, str]:
    code = check_submission_file(CheckRequest(file, output=output, **more), Display(), {})  # type: ignore[arg-type]
    return code, capsys.readouterr().out


def test_our_own_submission_is_ready(output: Path, capsys: pytest.CaptureFixture[str]):
    code, said = check(output / "ensembles/toy_weighted/submission.csv", output, capsys)
    assert code == 0 and said.splitlines()[-1] == "Ready to submit."
    assert "toy_weighted: +1.000" in said and "80 rows" in said
    assert "Ids: the 80 test ids of this run (toy)." in said


def test_a_wrong_one_is_not_and_all_is_said(output: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path):
    file = tmp_path / "mine.csv"
    SUBMISSION.assign(label=-SUBMISSION["label"])[1:].to_csv(file)
    code, said = check(file, output, capsys)
    assert code == 1 and said.splitlines()[-1] == "NOT ready to submit: 3 wrong, 1 warning."
    places = [said.index(key) for key in ("index column", "ids lacking", "turned around", "outside [0, 1]")]
    assert places == sorted(places)


def test_the_model_that_is_named_is_held_against(output: Path, capsys: pytest.CaptureFixture[str]):
    file = output / "ensembles/toy_weighted/submission.csv"
    assert check(file, output, capsys, against="net")[0] == 0
    code, said = check(file, output, capsys, against="toy_logit_mean")
    assert code == 1 and "-1.000" in said
    with pytest.raises(ArtifactRefusal, match=r"'nett'\. Did you mean net"):
        check(file, output, capsys, against="nett")


def test_nothing_to_hold_it_against_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = tmp_path / "mine.csv"
    RANKED.to_csv(file, index=False)
    for folder in ("configs/plans", "configs/experiments"):
        (tmp_path / folder).mkdir(parents=True)
    environment = {"HISTOBLEND_CONFIGS": str(tmp_path / "configs")}
    code = check_submission_file(CheckRequest(file), Display(), environment)
    said = capsys.readouterr().out
    assert code == 0 and "Ids could not be checked" in said and "Direction could not be checked" in said
    last = said.splitlines()[-1]
    assert last.startswith("NOT fully checked: ids and direction") and "--data" in last and "--output" in last
    with pytest.raises(ArtifactRefusal, match="There is no folder"):
        check(file, tmp_path / "mistyped", capsys)


def test_ids_are_those_of_the_data_that_was_named(
    toy: Path, output: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    file = tmp_path / "mine.csv"
    sample = pd.read_csv(toy / "sample_submission.csv", dtype={"id": str})
    sample.assign(label=np.linspace(0, 1, len(sample))).to_csv(file, index=False)
    code, said = check(file, output, capsys, data=toy)
    assert code == 0 and "21 test ids of " in said and "too few patches in common" in said
    assert check(file, output, capsys)[0] == 1  # of the run's ids it holds none
    with pytest.raises(DataRefusal, match="does not exist"):
        check(file, output, capsys, data=tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["nowhere.csv", "."])
def test_no_file_is_a_diagnosis(output: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str):
    code, said = check(tmp_path / name, output, capsys)
    assert code == 1 and said.splitlines()[-1] == "NOT ready to submit: 1 wrong, 0 warnings."


def test_a_damaged_table_of_the_run_is_named(output: Path, capsys: pytest.CaptureFixture[str]):
    table = output / "ensembles/toy_weighted/test.csv"
    table.write_text(table.read_text().replace("-", "x", 1))
    with pytest.raises(ArtifactRefusal, match=r"toy_weighted/test\.csv"):
        check(output / "ensembles/toy_weighted/submission.csv", output, capsys)


def test_of_many_classes_names_are_asked_for(output: Path, capsys: pytest.CaptureFixture[str]):
    workspace, names = Workspace(output), ["car", "bus", "NA"]
    logits = np.random.default_rng(1).normal(size=(ROWS, 3))
    write_json(workspace.run_record, run_of(dict.fromkeys(names, 1)))
    write_text(workspace.experiment("net").config, "classes: [car, bus, NA]")
    for blend in ("toy_logit_mean", "toy_weighted"):
        write_csv(workspace.ensemble(blend).test, tables.test_table(IDS, logits))
        table = pd.DataFrame({"image": IDS, "class": np.array(names)[logits.argmax(axis=1)]})
        write_csv(workspace.ensemble(blend).submission, table)
    code, said = check(workspace.ensemble("toy_weighted").submission, output, capsys)
    assert code == 0 and "kappa with toy_weighted: +1.000" in said


def test_ids_of_another_layout_are_those_of_its_test_part(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    data, generator = tmp_path / "data", np.random.default_rng(0)
    for name in ("train/Car/a", "train/Truck/b", "train/Bus/c", "test/d", "test/e"):
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(data / f"{name}.png"), generator.integers(0, 255, (8, 8, 3)))
    ids = read_competition(data).test["id"]
    file, empty = tmp_path / "mine.csv", tmp_path / "empty"
    (empty / "experiments").mkdir(parents=True)
    pd.DataFrame({"id": ids, "label": ["Car", "Bus"]}).to_csv(file, index=False)
    code, said = check(file, empty, capsys, data=data)
    assert code == 0 and f"Ids: the 2 test ids of {data}" in said
    pd.DataFrame({"id": ids, "label": ["Car", "Bike"]}).to_csv(file, index=False)
    assert check(file, empty, capsys, data=data)[0] == 1
    (data / "test/d.png").unlink()
    (data / "test/e.png").unlink()
    (data / "test").rmdir()
    assert "no patches that are to be submitted" in check(file, empty, capsys, data=data)[1]


def test_ids_of_the_training_part_are_recognised(
    output: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    file = tmp_path / "oof.csv"
    SUBMISSION.assign(id=[f"{number}t" for number in range(ROWS)]).to_csv(file, index=False)
    code, said = check(file, output, capsys)
    flat = " ".join(said.split())
    assert code == 1 and "All are ids of training" in flat and "test.csv" in flat
