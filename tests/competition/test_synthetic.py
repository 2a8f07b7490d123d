"""The synthetic competition: its layout, its truth, its repeatability, and that it does not give itself away."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from histoblend.competition.synthetic import (
    MARKER,
    SLIDE_MAP,
    SOLUTION,
    PartPlan,
    draw_competition,
    draw_patches,
    is_synthetic,
)
from histoblend.competition.synthetic.plan import plan_part
from histoblend.competition.synthetic.slides import draw_slides
from histoblend.errors import ConfigRefusal, MachineRefusal

Drawn = tuple[np.ndarray, np.ndarray, PartPlan]
REAL_FILE_BYTES = 27_935


@pytest.fixture(scope="module")
def drawn() -> Drawn:
    return draw_patches("train", 240, 6, seed=3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("competition") / "synthetic"
    draw_competition(folder, train_patches=60, test_patches=24, slides=5, seed=3)
    return folder


def test_layout_is_complete_and_joined_by_id(folder: Path) -> None:
    train, test = pd.read_csv(folder / "train_labels.csv"), pd.read_csv(folder / SOLUTION)
    sample, slides = pd.read_csv(folder / "sample_submission.csv"), pd.read_csv(folder / SLIDE_MAP)
    assert list(train.columns) == list(test.columns) == list(sample.columns) == ["id", "label"]
    assert list(slides.columns) == ["id", "wsi"]
    assert (len(train), len(test)) == (60, 24)
    assert {path.stem for path in (folder / "train").iterdir()} == set(train["id"])
    assert {path.stem for path in (folder / "test").iterdir()} == set(test["id"])
    everyone = pd.concat([train["id"], test["id"]])
    assert everyone.is_unique and everyone.str.fullmatch("[0-9a-f]{40}").all()
    assert sample["id"].tolist() == test["id"].tolist() and (sample["label"] == 0).all()
    assert sorted(slides["id"]) == sorted(everyone)
    assert set(train["label"]) == set(test["label"]) == {0, 1}


def test_files_are_uncompressed_rgb_of_the_real_size(folder: Path, drawn: Drawn) -> None:
    files = sorted((folder / "train").iterdir()) + sorted((folder / "test").iterdir())
    assert {file.stat().st_size for file in files} == {REAL_FILE_BYTES}
    images, _, plan = draw_patches("train", 60, 5, seed=3)
    read = cv2.imread(str(folder / "train" / f"{plan.ids[7]}.tif"), cv2.IMREAD_UNCHANGED)
    assert read is not None
    np.testing.assert_array_equal(read[:, :, ::-1], images[7])


def test_slides_carry_telling_names_and_parts_share_none(folder: Path) -> None:
    slides = pd.read_csv(folder / SLIDE_MAP).set_index("id")["wsi"]
    train = set(slides[pd.read_csv(folder / "train_labels.csv")["id"]])
    test = set(slides[pd.read_csv(folder / SOLUTION)["id"]])
    assert not train & test
    assert all(re.fullmatch(r"synthetic_(train|test)_(tumor|normal)_\d{3}", name) for name in train | test)


def test_normal_slides_hold_no_positive(folder: Path) -> None:
    labels = pd.read_csv(folder / "train_labels.csv").merge(pd.read_csv(folder / SLIDE_MAP), on="id")
    normal = labels["wsi"].str.contains("_normal_")
    assert normal.any() and labels.loc[normal, "label"].sum() == 0


def test_marker_says_what_it_is(folder: Path, tmp_path: Path) -> None:
    assert is_synthetic(folder) and not is_synthetic(tmp_path)
    assert "drawn, not photographed" in (folder / MARKER).read_text()


def test_truth_follows_the_label_rule(drawn: Drawn) -> None:
    _, tumour, plan = drawn
    centre = tumour[:, 32:64, 32:64].any(axis=(1, 2))
    anywhere = tumour.any(axis=(1, 2))
    np.testing.assert_array_equal(centre, plan.kinds == "tumour")
    assert (anywhere & ~centre)[plan.kinds == "distractor"].mean() > 0.9
    assert not anywhere[~np.isin(plan.kinds, ("tumour", "distractor"))].any()


def test_share_of_positives_and_wrong_labels() -> None:
    plans = [plan_part("train", 2000, draw_slides(12, "train", 5), 5)]
    plans.append(plan_part("test", 1000, draw_slides(6, "test", 5), 5))
    labels = np.concatenate([plan.labels for plan in plans])
    true = np.concatenate([plan.kinds for plan in plans]) == "tumour"
    assert 0.33 < labels.mean() < 0.47
    assert 0.01 < (labels != true).mean() < 0.04


def test_blank_and_duplicate_patches_exist(drawn: Drawn) -> None:
    images, _, plan = drawn
    white, black = plan.kinds == "white", plan.kinds == "black"
    assert white.any() and (images[white] == 255).all()
    assert black.any() and (images[black] == 0).all()
    assert not plan.labels[white | black].any()
    copies = np.flatnonzero(plan.sources != np.arange(len(images)))
    assert len(copies) >= 1
    for copy in copies:
        source = plan.sources[copy]
        np.testing.assert_array_equal(images[copy], images[source])
        assert plan.slides[copy] == plan.slides[source] and plan.labels[copy] == plan.labels[source]


def test_no_duplicates_but_the_planned_ones(drawn: Drawn) -> None:
    images, _, plan = drawn
    coloured = ~np.isin(plan.kinds, ("white", "black"))
    distinct = {image.tobytes() for image in images[coloured]}
    assert len(distinct) == len(set(plan.sources[coloured]))


def test_same_seed_same_bytes_other_seed_other_patches() -> None:
    first, _, plan = draw_patches("train", 12, 3, seed=8)
    again, _, plan_again = draw_patches("train", 12, 3, seed=8)
    other, _, plan_other = draw_patches("train", 12, 3, seed=9)
    np.testing.assert_array_equal(first, again)
    assert plan.ids == plan_again.ids and not set(plan.ids) & set(plan_other.ids)
    assert not any(np.array_equal(a, b) for a, b in zip(first, other, strict=True) if a.std() > 0)


def test_interrupted_drawing_leaves_nothing(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        draw_competition(tmp_path / "synthetic", 24, 8, slides=4, progress=stop)
    assert list(tmp_path.iterdir()) == []


def test_progress_counts_every_patch(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    draw_competition(
        tmp_path / "synthetic", 8, 8, slides=2, progress=lambda done, total: seen.append((done, total))
    )
    assert seen == [(number, 16) for number in range(1, 17)]


def test_a_used_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(MachineRefusal, match="not empty"):
        draw_competition(tmp_path, 8, 8, slides=2)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_too_few_patches_for_the_slides(tmp_path: Path) -> None:
    with pytest.raises(ConfigRefusal, match="20 train patches on 12 slides"):
        draw_competition(tmp_path / "synthetic", 20, 40, slides=12)


def test_colours_alone_do_not_tell(drawn: Drawn) -> None:
    """A generous bound for 240 patches; `benchmarks/synthetic_shortcuts.py` measures it properly."""
    images, _, plan = drawn
    parts = [images, images[:, 32:64, 32:64]]
    features = np.concatenate(
        [f(part.astype(np.float32), axis=(1, 2)) for part in parts for f in (np.mean, np.std)], axis=1
    )
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1))
    scores = cross_val_predict(
        model, features, plan.labels, groups=plan.slides, cv=GroupKFold(3), method="predict_proba"
    )
    assert roc_auc_score(plan.labels, scores[:, 1]) < 0.80


def test_order_tells_nothing(drawn: Drawn) -> None:
    plan = drawn[2]
    by_id = np.argsort(np.argsort(plan.ids))
    for order in (np.arange(len(plan.ids)), by_id):
        assert abs(roc_auc_score(plan.labels, order) - 0.5) < 0.15
        assert abs(np.corrcoef(plan.slides, order)[0, 1]) < 0.3
