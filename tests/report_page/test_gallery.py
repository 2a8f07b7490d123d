"""The patches that are shown are the ones that are worth it, and small in bytes."""

from __future__ import annotations

import cv2
import numpy as np
import pandas as pd
import pytest

from histoblend.inference.tables import out_of_fold_table
from histoblend.report_page.gallery import (
    confidently_wrong,
    gallery,
    hard_for_all,
    judged,
    outlined,
    overlaid,
    png,
    to_explain,
)

FOLDS = pd.DataFrame(
    {
        "id": [*"abcdef"],
        "label": [0, 0, 0, 1, 1, 1],
        "slide": ["s", "s", "t", "t", "u", "u"],
        "fold": [0, 0, 1, 1, 0, 0],
    }
)
CLASSES = ("no tumour", "tumour")


def said(logits: list[float]) -> pd.DataFrame:
    return judged(out_of_fold_table(FOLDS, np.array(logits, float)[:, None]), FOLDS)


ROWS = said([-3, 2, 4, -5, -1, 6])  # b and c are false alarms, d and e are missed


def test_each_patch_is_judged_by_its_most_probable_class() -> None:
    assert list(ROWS["said"]) == [0, 1, 1, 0, 0, 1]
    assert ROWS["sure"][5] == pytest.approx(1 / (1 + np.exp(-6)))
    assert ROWS["right"][3] == pytest.approx(1 / (1 + np.exp(5)))
    assert list(ROWS["slide"]) == list(FOLDS["slide"])


def test_the_surest_errors_of_each_kind_come_first() -> None:
    alarms, missed = confidently_wrong(ROWS, CLASSES, 8)
    assert list(alarms.rows["id"]) == ["c", "b"]
    assert list(missed.rows["id"]) == ["d", "e"]
    assert alarms.caption == "Called tumour with confidence, labelled no tumour: the first 2 of 2."
    (first,) = confidently_wrong(ROWS[ROWS["label"] == 1], CLASSES, 1)
    assert list(first.rows["id"]) == ["d"]
    assert "the first 1 of 2" in first.caption


def test_more_than_two_classes_have_one_gallery_of_errors() -> None:
    folds = FOLDS.assign(label=[0, 1, 2, 0, 1, 2])
    logits = np.eye(3)[[0, 2, 2, 1, 1, 2]] * np.array([[1], [9], [1], [3], [1], [1]])
    rows = judged(out_of_fold_table(folds, logits), folds)
    (wrong,) = confidently_wrong(rows, ("x", "y", "z"), 8)
    assert list(wrong.rows["id"]) == ["b", "d"]


def test_what_all_call_wrong_is_ordered_by_the_best_of_them() -> None:
    everyone = {"one": said([-3, 2, 4, -5, -1, 6]), "two": said([-3, 1, 9, -2, -4, -6])}
    # f is wrong for one only; the best of both on b .27, c .018, d .12, e .27
    (chosen,) = hard_for_all(everyone, ROWS, {"c"}, 2)
    assert list(chosen.rows["id"]) == ["d", "b"]
    assert "one and two alike (4 in all" in chosen.caption
    assert hard_for_all({"one": ROWS}, ROWS, set(), 2) == []
    assert hard_for_all(everyone, ROWS, {*"bcde"}, 2) == []


def test_right_and_wrong_ones_of_each_class_are_explained() -> None:
    assert set(to_explain(ROWS, 1)["id"]) == {"a", "c", "f", "d"}


def test_a_picture_says_what_it_is_and_what_was_called() -> None:
    (alarms, _) = confidently_wrong(ROWS, CLASSES, 1)
    images = np.zeros((1, 96, 96, 3), np.uint8)
    (shown,) = gallery(alarms, images, CLASSES, 32).pictures
    assert shown.lines == ("is no tumour", "said tumour, 98.2\N{NO-BREAK SPACE}%", "c", "t")
    assert shown.alternative.startswith("Patch c of slide t: labelled no tumour, called tumour at 98.2")
    decoded = cv2.imdecode(np.frombuffer(shown.png, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    green = (decoded[..., 1] > 0).nonzero()
    assert (green[0].min(), green[0].max()) == (31, 64)  # just outside of the centre 32..63


@pytest.mark.parametrize(("side", "shown"), [(8, 96), (96, 96), (128, 128), (250, 128)])
def test_pictures_are_brought_to_a_size_that_can_be_seen(side: int, shown: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    decoded = cv2.imdecode(np.frombuffer(png(image), np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    assert decoded.shape == (shown, shown, 3)
    if side <= shown:
        factor = shown // side
        np.testing.assert_array_equal(decoded[::factor, ::factor, ::-1], image)
    assert len(png(image)) < 60_000


def test_a_map_covers_the_grey_patch_the_more_the_higher_it_is() -> None:
    image = np.full((2, 2, 3), (200, 100, 0), np.uint8)
    found = overlaid(image, np.array([[0.0, 0.5], [0.5, 1.0]]))
    yellow, purple = np.array([253, 231, 37]), np.array([68, 1, 84])  # the ends of viridis
    np.testing.assert_allclose(found[1, 1], 0.35 * 100 + 0.65 * yellow, atol=1.5)
    np.testing.assert_allclose(found[0, 0], 0.9 * 100 + 0.1 * purple, atol=1.5)


def test_without_a_labelled_centre_nothing_is_drawn() -> None:
    image = np.zeros((96, 96, 3), np.uint8)
    assert not outlined(image, None).any()
    assert outlined(image, 32).any()
