"""The audit of a whole data set: every fault that was put in is found, exactly, and nothing else."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from histoblend.audit.stage import AuditRequest, audit
from histoblend.errors import DataRefusal
from histoblend.reporting.progress import Display
from histoblend.workspace import Workspace

Look = Callable[..., list[dict[str, Any]]]
FACTS = {"class balance", "channels", "train against test", "slides", "fold balance"}


@pytest.fixture
def data(toy: Path, tmp_path: Path) -> Path:
    """A copy of the toy competition, to be spoiled."""
    return Path(shutil.copytree(toy, tmp_path / "competition"))


@pytest.fixture
def look(toy_configs: Path, tmp_path: Path) -> Look:
    """Audits a folder; returns the findings of audit.json."""

    def looked(folder: Path, plan: str | None = None) -> list[dict[str, Any]]:
        heard = io.StringIO()
        display = Display(Console(file=heard, highlight=False, soft_wrap=True))
        environment = {"HISTOBLEND_CONFIGS": str(toy_configs)}
        report = audit(AuditRequest(folder, tmp_path / "output", plan), display, environment)
        looked.said = heard.getvalue()  # type: ignore[attr-defined]
        return list(json.loads((report / "audit.json").read_text())["findings"])

    return looked


def train_ids(data: Path, label: int | None = None) -> list[str]:
    table = pd.read_csv(data / "train_labels.csv").sort_values("id")
    return list(table["id"] if label is None else table["id"][table["label"] == label])


def read(data: Path, name: str, part: str = "train") -> np.ndarray:
    image = cv2.imread(str(data / part / f"{name}.tif"))
    assert image is not None
    return np.asarray(image)


def write(data: Path, name: str, image: np.ndarray, part: str = "train") -> None:
    assert cv2.imwrite(str(data / part / f"{name}.tif"), image)


def odd(findings: list[dict[str, Any]]) -> dict[tuple[str, str], set[str]]:
    """Ids by kind and part, of what is no mere fact."""
    return {(one["kind"], one["part"]): set(one["ids"]) for one in findings if one["kind"] not in FACTS}


def test_clean_data_gives_no_alarm(toy: Path, look: Look) -> None:
    findings = look(toy)
    assert odd(findings) == {}
    severities = {one["kind"]: one["severity"] for one in findings}
    assert severities.pop("channels") == "odd"  # the toy's patches are far from HCD's, and it says so
    assert set(severities.values()) == {"note"}
    assert {one["kind"] for one in findings} == FACTS - {"fold balance"}


def test_every_fault_is_found_exactly(data: Path, look: Look, tmp_path: Path) -> None:
    negative, positive = train_ids(data, 0), train_ids(data, 1)
    test = sorted(path.stem for path in (data / "test").iterdir())
    write(data, negative[0], np.zeros((96, 96, 3), np.uint8))
    write(data, test[0], np.full((96, 96, 3), 255, np.uint8), "test")
    write(data, negative[1], np.full((96, 96, 3), (200, 150, 210), np.uint8))
    write(data, negative[3], read(data, negative[2]))  # the same, same label
    write(data, positive[1], read(data, negative[4]))  # the same, other label
    write(data, test[1], read(data, positive[2]), "test")  # the same in test
    write(data, positive[4], np.roll(read(data, positive[3]), (1, 1), (0, 1)))  # shifted
    write(data, test[2], cv2.rotate(read(data, positive[5]), cv2.ROTATE_180), "test")  # turned, in test
    grey = cv2.cvtColor(read(data, negative[6]), cv2.COLOR_BGR2GRAY)
    write(data, negative[6], grey)
    write(data, negative[7], cv2.resize(read(data, negative[7]), (128, 128)))
    (data / "train" / f"{negative[8]}.tif").write_bytes(b"")
    (data / "test" / f"{test[3]}.tif").write_bytes(b"no picture")
    found = look(data)
    by_kind = odd(found)
    outliers = by_kind.pop(("colour outliers", "train"), set())
    assert outliers <= {negative[6]}  # grey tissue among pink
    assert by_kind == {
        ("black", "train"): {negative[0]},
        ("white", "test"): {test[0]},
        ("one colour", "train"): {negative[1]},
        ("exact duplicates", "train"): {negative[2], negative[3], negative[4], positive[1]},
        ("conflicting labels", "train"): {negative[4], positive[1]},
        ("exact duplicates", "train + test"): {positive[2], test[1]},
        ("near duplicates", "train"): {positive[3], positive[4]},
        ("near duplicates", "train + test"): {positive[5], test[2]},
        ("greyscale", "train"): {negative[6]},
        ("other size", "train"): {negative[7]},
        ("unreadable", "train"): {negative[8]},
        ("unreadable", "test"): {test[3]},
    }
    severities = {(one["kind"], one["part"]): one["severity"] for one in found}
    assert (
        severities["near duplicates", "train + test"] == severities["conflicting labels", "train"] == "wrong"
    )
    assert found[0]["severity"] == "wrong" and found[-1]["severity"] == "note"
    table = pd.read_csv(tmp_path / "output" / "audit" / "findings.csv", dtype=str)
    assert list(table.columns) == ["id", "part", "kind", "detail"]
    assert set(table["id"][table["kind"] == "near duplicates"]) == {*positive[3:6], test[2]}
    pages = sorted(path.name for path in (tmp_path / "output" / "audit").glob("audit*.png"))
    assert pages[-1] == "audit.png" and len(pages) == 2
    assert cv2.imread(str(tmp_path / "output" / "audit" / "audit.png")) is not None


def test_what_training_does_follows_the_plan(data: Path, toy_configs: Path, look: Look) -> None:
    ids = train_ids(data)
    write(data, ids[0], np.zeros((96, 96, 3), np.uint8))
    write(data, ids[1], read(data, ids[2]))
    assert {one["kind"]: one["training"] for one in look(data)}["black"] == "keep"
    text = "experiments: [first]\ndata: {blank: drop, duplicates: stop}\n"
    (toy_configs / "plans" / "strict.yaml").write_text(text)
    training = {one["kind"]: one["training"] for one in look(data, "strict")}
    assert training["black"] == "drop" and training["exact duplicates"] == "stop"


def test_faults_at_the_door_do_not_keep_the_rest_from_being_looked_at(data: Path, look: Look) -> None:
    ids = train_ids(data)
    write(data, ids[0], np.zeros((96, 96, 3), np.uint8))
    (data / "train" / f"{ids[1]}.tif").unlink()
    with (data / "train_labels.csv").open("a") as stream:
        stream.write(f"{ids[2]},1\n")
    findings = look(data)
    door = [one for one in findings if one["kind"] == "at the door"]
    assert len(door) == 2 and all(one["severity"] == "wrong" and one["training"] == "stop" for one in door)
    assert ids[1] in "".join(one["sentence"] for one in door)
    assert ids[2] in "".join(one["sentence"] for one in door)
    assert odd(findings)["black", "train"] == {ids[0]}


def test_where_no_pixel_can_be_read_the_rest_is_told(data: Path, look: Look) -> None:
    for path in (data / "train").iterdir():
        path.write_bytes(b"")
    findings = look(data)
    assert {one["kind"] for one in findings} == {"at the door"}
    assert "60" in findings[0]["sentence"]
    said = look.said  # type: ignore[attr-defined]
    assert "Not looked for: unreadable files, files to convert" in said and "no pixel could be read" in said
    assert "Looked for and not found" not in said


def test_one_bad_label_beside_an_array_does_not_blind_the_audit(tmp_path: Path, look: Look) -> None:
    root = tmp_path / "arrays"
    root.mkdir()
    pictures = np.random.default_rng(0).integers(60, 200, (20, 96, 96, 3), dtype=np.uint8)
    pictures[5], pictures[9] = 0, pictures[3]
    labels = np.arange(20) % 2.0
    labels[4] = np.nan
    np.save(root / "train.npy", pictures)
    np.save(root / "labels.npy", labels)
    findings = look(root)
    assert [one["kind"] for one in findings if one["severity"] == "wrong"] == ["at the door"]
    by_kind = odd(findings)
    assert by_kind["black", "train"] == {"train_0000005"}
    assert by_kind["exact duplicates", "train"] == {"train_0000003", "train_0000009"}
    counts = next(one for one in findings if one["kind"] == "class balance")["values"]["counts"]
    assert counts == {"0": 9, "1": 10}


def test_folds_and_predictions_of_a_run_are_used(data: Path, look: Look, tmp_path: Path) -> None:
    from histoblend.data.folds import write_folds
    from histoblend.inference.tables import out_of_fold_table, write_out_of_fold

    table = pd.read_csv(data / "train_labels.csv").sort_values("id", ignore_index=True)
    slides = pd.read_csv(data / "patch_id_wsi_full.csv").set_index("id")["wsi"]
    folds = table.assign(slide=table["id"].map(slides))
    folds["fold"] = folds["slide"].str[-1].astype(int) % 2
    workspace = Workspace(tmp_path / "output")
    write_folds(workspace.folds, folds)
    given = table["label"].to_numpy()
    logits = np.where(given == 1, 4.0, -4.0) + np.random.default_rng(0).normal(0, 0.5, len(given))
    wrong = [3, 11]
    logits[wrong] *= -1
    for name in ("one", "two"):
        experiment = workspace.experiment(name)
        write_out_of_fold(experiment.out_of_fold, out_of_fold_table(folds, logits[:, None]), folds)
        experiment.metrics.write_text(json.dumps({"complete": name == "one"}))
    findings = {one["kind"]: one for one in look(data)}
    assert set(findings["label suspects"]["ids"]) == set(table["id"][wrong])
    assert findings["label suspects"]["training"] == "keep"
    assert findings["label suspects"]["values"]["models"] == ["one"]
    assert findings["fold balance"]["values"]["sizes"] == {"0": 30, "1": 30}
    assert findings["train against test"]["values"]["auc_fold_0_against_others"] is not None


def test_an_output_folder_of_other_data_is_told_and_left_aside(
    data: Path, look: Look, tmp_path: Path
) -> None:
    (tmp_path / "output").mkdir()
    Workspace(tmp_path / "output").folds.write_text("id,label,slide,fold\na,0,s,0\nb,1,t,1\n")
    findings = {one["kind"]: one for one in look(data)}
    assert findings["output folder"]["severity"] == "wrong"
    assert "fold balance" not in findings


def test_no_test_part_and_other_classes_and_sides(tmp_path: Path, toy_configs: Path, look: Look) -> None:
    generator = np.random.default_rng(0)
    for number, name in enumerate(("ant", "bee", "cat")):
        (tmp_path / "zoo" / "train" / name).mkdir(parents=True)
        for place in range(12):
            image = np.clip(generator.normal(100 + 40 * number, 30, (40, 40, 3)), 0, 255).astype(np.uint8)
            cv2.imwrite(str(tmp_path / "zoo" / "train" / name / f"{place:02d}.png"), image)
    (toy_configs / "plans" / "small.yaml").write_text("experiments: [first]\ndata: {side: 32}\n")
    findings = {one["kind"]: one for one in look(tmp_path / "zoo", "small")}
    assert findings["other size"]["count"] == 36
    assert findings["class balance"]["values"]["counts"] == {"ant": 12, "bee": 12, "cat": 12}
    assert "train against test" not in findings


def test_digits_are_audited_without_looking_for_near_duplicates(toy_configs: Path, look: Look) -> None:
    (toy_configs / "plans" / "digits.yaml").write_text(
        "experiments: [first]\ndata: {source: digits, side: 16}\n"
    )
    findings = look(None, "digits")  # type: ignore[arg-type]
    assert {one["severity"] for one in findings} <= {"note", "odd"}
    assert not any("near" in one["kind"] for one in findings)


def test_the_printed_table_fits(data: Path, look: Look) -> None:
    for name in train_ids(data)[:9]:
        write(data, name, np.zeros((96, 96, 3), np.uint8))
    look(data)
    lines = look.said.splitlines()  # type: ignore[attr-defined]
    start = next(place for place, line in enumerate(lines) if line.startswith("Audit of"))
    table = lines[start : next(place for place, line in enumerate(lines) if line.startswith("!! wrong")) + 1]
    assert max(map(len, table)) <= 100
    assert any("black" in line and "keep" in line and " 9 " in line for line in table)


def test_nothing_to_audit_is_refused(tmp_path: Path, look: Look) -> None:
    with pytest.raises(DataRefusal):
        look(tmp_path / "nowhere")
    with pytest.raises(DataRefusal, match="histoblend audit FOLDER"):
        look(None)


def test_pages_of_an_earlier_audit_go(data: Path, toy: Path, look: Look, tmp_path: Path) -> None:
    write(data, train_ids(data)[0], np.zeros((96, 96, 3), np.uint8))
    look(data)
    assert (tmp_path / "output" / "audit" / "audit.png").exists()
    look(toy)
    assert not list((tmp_path / "output" / "audit").glob("*.png"))
