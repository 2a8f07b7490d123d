"""The leak guard: the denylist by name, tables that hold answers, weights that have seen them; and no false alarm."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from histoblend import preparation
from histoblend.competition.door import Door
from histoblend.competition.layouts import read_competition
from histoblend.competition.leak_check import check_sent_files, check_weights_names, refuse_hard_answers
from histoblend.competition.leaked_labels import LEAKS, labelled_test_ids, leak_in_name, leak_in_training
from histoblend.config_kaggle import KernelSettings
from histoblend.errors import ArtifactRefusal, DataRefusal, MachineRefusal
from histoblend.reporting.progress import Display

TEST_IDS = [f"{number}e5" for number in range(8)]


@pytest.mark.parametrize(
    "name",
    [
        "camelyonpatch_level_2_split_test_y.h5",
        "camelyonpatch_level_2_split_test_meta.csv.gz",
        "someone/patch-camelyon",
        "someone/PCam-v1",
        "pcam",
        "someone/camelyon16-annotations",
        "test_labels.csv",
        "solution.csv",
        "ground-truth.csv",
        "someone/hcd-leak",
        "y_test.csv",
        "test_y.h5",
    ],
)
def test_what_holds_the_test_labels_is_known_by_its_name(name: str) -> None:
    assert leak_in_name(name) is not None


@pytest.mark.parametrize(
    "name",
    [
        "patch_id_wsi_full.csv",
        "someone/histopathologicwsifull",
        "pcam-fan/imagenet-weights",  # the owner's name says nothing
        "histopathologic-cancer-detection",
        "train_labels.csv",
        "sample_submission.csv",
        "epcam-markers",
        "someone/leak-free-folds",
        "someone/leakyrelu-notes",
        "test.csv",
        "resolution.csv",
        "convnext_tiny_notop.h5",
        "histoblend-output.tar",
        "latest_labels.csv",
        "contest_labels.csv",
        "folds_no_leak.csv",
        "someone/without-leak",
        "anti_leakage_split",
        "leakage_report.csv",
        "checked_for_leaks.csv",
        "train_ground_truth.csv",
        "tta-test-label-smoothing",
        "pseudo_labels_test.csv",
    ],
)
def test_what_is_allowed_raises_no_alarm(name: str) -> None:
    assert leak_in_name(name) is None


def test_every_family_says_why_and_by_what_it_is_backed() -> None:
    assert all(leak.what and leak.why and leak.backing for leak in LEAKS)


@pytest.mark.parametrize(
    ("labels", "found"),
    [
        ("01010101", 8),
        ("00000000", 0),  # a sample
        (["0.1", "0.9", *"010101"], 0),  # somebody's predictions
        (["0.0", "1.0", *"000000"], 8),
        (["0.000000", "1.000000", "0.0001", "0.9999", "False", "True", "1", "0"], 8),
        ("0" * 8 + "x", 0),
    ],
)
def test_labels_of_test_ids_are_told_from_samples_and_predictions(labels: list[str], found: int) -> None:
    table = pd.DataFrame({"id": [*TEST_IDS, "unknown"][: len(labels)], "label": list(labels)}, dtype=str)
    train, test = pd.Series(["000", "001"], dtype=str), pd.Series(TEST_IDS, dtype=str)
    assert len(labelled_test_ids(table, train, test)) == found
    both = pd.Series(
        TEST_IDS, dtype=str
    )  # where parts count from the same number, an id says nothing of its part
    assert labelled_test_ids(table, both, test) == []


def test_one_soft_answer_among_hundreds_hides_nothing() -> None:
    ids = pd.Series([f"t{number}" for number in range(300)], dtype=str)
    table = pd.DataFrame({"id": ids, "label": ["0", "1"] * 149 + ["0.5", "1"]}, dtype=str)
    assert len(labelled_test_ids(table, pd.Series(["000"], dtype=str), ids)) == 299


def answers(ids: list[str]) -> str:
    return "\n".join(["id,label", *(f"{name},{number % 2}" for number, name in enumerate(ids)), ""])


@pytest.mark.parametrize("name", ["answers.csv", "more/ANSWERS.CSV", "sample_submission.csv"])
def test_a_table_of_answers_beside_the_data_stops(toy: Path, name: str) -> None:
    (toy / name).parent.mkdir(exist_ok=True)
    (toy / name).write_text(
        answers(TEST_IDS).replace("id,label", "Id,Tumor" if "more" in name else "id,label")
    )
    with pytest.raises(DataRefusal, match=r"8 of the 8 test ids a plain 0 or 1(.|\n)*To do: move it out"):
        read_competition(toy)


def test_pcam_files_beside_the_data_stop_and_the_audit_goes_on(toy: Path) -> None:
    (toy / "camelyonpatch_level_2_split_test_y.h5.gz").write_bytes(b"")
    with pytest.raises(DataRefusal, match=r"PCam holds the test patches(.|\n)*Expected(.|\n)*To do"):
        read_competition(toy)
    door = Door(lenient=True)
    read_competition(toy, door=door)
    assert ["camelyonpatch" in refusal.found for refusal in door.refusals] == [True]


def test_what_may_lie_beside_the_data(toy: Path) -> None:
    (toy / "patch_id_wsi_full.csv").write_text("id,wsi\n000,camelyon16_train_normal_033\n")
    (toy / "submission.csv").write_text("id,label\n" + "".join(f"{one},0.{one[0]}\n" for one in TEST_IDS))
    (toy / "train_labels_backup.csv").write_text((toy / "train_labels.csv").read_text())
    (toy / "notes.csv").write_bytes(b"\xff\xfe\x00 no text")
    read_competition(toy)


@pytest.mark.parametrize(
    "mount",
    ["datasets/someone/pcam-h5", "pcam-h5", "models/someone/camelyon16"],
)
def test_what_is_attached_to_a_session_is_looked_at(toy: Path, mount: str) -> None:
    kaggle_input = toy.parent / "input"
    data = kaggle_input / "competitions" / "histopathologic-cancer-detection"
    data.parent.mkdir(parents=True)
    toy.rename(data)
    wsi = kaggle_input / "datasets" / "someone" / "histopathologicwsifull"
    wsi.mkdir(parents=True)
    (wsi / "patch_id_wsi_full.csv").write_text("id,wsi\n000,camelyon16_train_normal_033\n")
    (wsi / "camelyon16.md").write_text("where the slides come from")
    suspected = kaggle_input / "notebooks" / "someone" / "hcd-solution"
    suspected.mkdir(parents=True)
    (suspected / "solution.csv").write_text("id,label\n" + "".join(f"{one},0.{one[0]}\n" for one in TEST_IDS))
    (suspected / "test_labels.npy").write_bytes(b"")
    competition = read_competition(data, kaggle_input)
    assert competition.slide_map is not None
    said = [note for note in competition.notes if "by its name" in note]
    assert len(said) == 2 and "hcd-solution, by its name" in said[0] and "test_labels.npy lies" in said[1]
    (kaggle_input / mount).mkdir(parents=True)
    with pytest.raises(DataRefusal, match=r"The session is given [^\n]*(.|\n)*To do: detach"):
        read_competition(data, kaggle_input)


def test_answers_in_an_attached_data_set_stop(toy: Path) -> None:
    data = toy.parent / "input" / "histopathologic-cancer-detection"
    data.parent.mkdir()
    toy.rename(data)
    innocent = data.parent / "datasets" / "someone" / "my-tables" / "inner"
    innocent.mkdir(parents=True)
    (innocent / "best.csv").write_text(answers(TEST_IDS))
    with pytest.raises(DataRefusal, match=r"best\.csv gives 8 of the 8"):
        read_competition(data, data.parent)


@pytest.mark.parametrize(
    ("path", "refused"),
    [
        ("weights/resnet18-pcam.weights.h5", True),
        ("patchcamelyon/best.weights.h5", True),
        ("mount/datasets/someone/pcam-nets/deep/best.weights.h5", True),
        ("mount/datasets/someone/pcam-nets/resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5", True),
        ("pcam/convnext_tiny_notop.h5", False),  # Keras's own name in a folder of the user's
        ("weights/epcam.weights.h5", False),
        ("mount/datasets/pcam-fan/my-nets/best.weights.h5", False),  # the owner's name says nothing
        ("test_labels/best.weights.h5", False),
    ],
)
def test_weights_that_learned_from_the_answers(tmp_path: Path, path: str, refused: bool) -> None:
    if not refused:
        check_weights_names([tmp_path / path], tmp_path / "mount")
        return
    with pytest.raises(MachineRefusal, match=r"PCam(.|\n)*Expected(.|\n)*To do"):
        check_weights_names([tmp_path / path], tmp_path / "mount")


@pytest.mark.parametrize(("layout", "refused"), [("pcam hdf5", True), ("hcd", False)])
def test_our_own_weights_say_what_they_learned_from(tmp_path: Path, layout: str, refused: bool) -> None:
    weights = tmp_path / "run" / "experiments" / "net" / "fold_0" / "model.weights.h5"
    weights.parent.mkdir(parents=True)
    (tmp_path / "run" / "run.json").write_text(json.dumps({"data": {"layout": layout}}))
    if refused:
        with pytest.raises(MachineRefusal, match=r"run\.json says that it was trained on PCam"):
            check_weights_names([weights], tmp_path / "mount")
    else:
        check_weights_names([weights], tmp_path / "mount")


def test_answers_that_are_nearly_all_hard_are_none_to_add(tmp_path: Path) -> None:
    refuse_hard_answers(tmp_path, 980, 1000)
    with pytest.raises(ArtifactRefusal, match=r"999 of 1,000 predictions"):
        refuse_hard_answers(tmp_path, 999, 1000)


def test_files_to_be_sent_and_names_of_networks() -> None:
    with pytest.raises(DataRefusal, match="would be sent"):
        check_sent_files([Path("input/test_labels.csv")])
    assert leak_in_training("resnet18.tiatoolbox-pcam") is not None


def test_a_run_does_not_start_from_such_weights(
    toy: Path, toy_configs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = {"HISTOBLEND_CONFIGS": str(toy_configs)}
    planned = [SimpleNamespace(weights="random"), SimpleNamespace(weights="nets/vit-pcam.weights.h5")]
    monkeypatch.setattr(preparation, "plan_work", lambda *_: planned)
    with pytest.raises(MachineRefusal, match=r"vit-pcam\.weights\.h5 may not be the start"):
        preparation.prepare(preparation.Request("toy", toy, tmp_path / "output"), Display(), environment)


def test_the_settings_of_the_kernel_are_held_against_the_denylist() -> None:
    KernelSettings(datasets=("someone/histopathologicwsifull", "someone/1st-place-solution-weights"))
    with pytest.raises(ValueError, match="someone/pcam-h5"):
        KernelSettings(datasets=("someone/pcam-h5",))
