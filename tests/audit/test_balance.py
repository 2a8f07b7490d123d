"""Class balance: counts by hand, rare classes, folds that lean, slides of one class."""

from __future__ import annotations

import pandas as pd

from histoblend.audit.balance import class_finding, fold_finding, slide_finding

CLASSES = ("no tumour", "tumour")


def test_counts_and_rare_classes() -> None:
    even = class_finding(pd.Series([0] * 6 + [1] * 4), CLASSES)
    assert even.severity == "note" and "no tumour 6 (60.0%), tumour 4 (40.0%)" in even.sentence
    rare = class_finding(pd.Series([0] * 98 + [1] * 2), CLASSES)
    assert rare.severity == "odd" and "Rare: tumour" in rare.sentence
    absent = class_finding(pd.Series([0] * 50 + [1] * 50), ("a", "b", "c"))
    assert absent.values["counts"] == {"a": 50, "b": 50, "c": 0} and "Rare: c" in absent.sentence


def folds(positives: list[int], size: int = 100) -> pd.DataFrame:
    rows = [(fold, int(place < count)) for fold, count in enumerate(positives) for place in range(size)]
    return pd.DataFrame(rows, columns=["fold", "label"])


def test_a_fold_that_leans_is_named() -> None:
    assert fold_finding(folds([40, 42, 38]), CLASSES).severity == "note"
    leaning = fold_finding(folds([40, 41, 39, 55]), CLASSES)
    assert leaning.severity == "odd" and "off: fold 3." in leaning.sentence
    assert leaning.values["shares"]["3"] == [0.45, 0.55]


def test_folds_of_many_classes() -> None:
    table = pd.DataFrame({"fold": [0, 0, 0, 1, 1, 1], "label": [0, 1, 2, 0, 1, 2]})
    assert "0: within 0.0%" in fold_finding(table, ("a", "b", "c")).sentence


def test_slides_of_one_class() -> None:
    slides = pd.Series(["s", "s", "t", "t", "u", "u", "u"])
    finding = slide_finding(slides, pd.Series([0, 1, 0, 0, 1, 1, 1]), CLASSES)
    assert (
        "3 slides of 2 to 3 patches; 2 hold one class only (no tumour 1, tumour 1), with 71%"
        in finding.sentence
    )
    assert finding.values["one_class_only"] == ["t", "u"]
