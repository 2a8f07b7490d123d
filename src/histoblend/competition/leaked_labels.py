"""The denylist: where labels of this competition's test patches leak from, by name, each with its reason.

The competition's own description says that its patches are a slightly modified version of PCam, with "the same data
and splits" (the text is kept in openai/mle-bench, mlebench/competitions/histopathologic-cancer-detection). PCam is
published with the labels of every part, and was cut from the annotated slides of CAMELYON16
(github.com/basveeling/pcam). So whoever holds PCam or CAMELYON16 can look the test labels up, and a network that was
trained on them has seen the answers. A perfect score on the leaderboard comes from there and says nothing.

The slide map is allowed: it says which patches share a slide, and no label. Training on PCam in PCam's own layout is
allowed too: that is another competition, and its predictions are not sent to this one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import pandas as pd

SLIDE_MAPS = ("patch_id_wsi_full.csv", "patch_id_wsi.csv")
"""File names of the published maps of patches to slides: for grouping, allowed whatever their slides are called."""
HARD_SHARE, HARD_WITHIN = (
    0.99,
    1e-3,
)  # of labels, however they are written; no network is that sure that often


@dataclass(frozen=True)
class Leak:
    """One family of names.

    Attributes:
        pattern: regular expression, searched for in a name in small letters.
        what: what bears such a name.
        why: why it must not be used here.
        backing: the source of this, or ``nature`` where the name says itself what is in the file.
        holds: whether files and data sets of this name hold labels; `taught`: whether networks were trained on them.
        certain: whether the name is proof; else it is a reason to look, and a warning.
    """

    pattern: str
    what: str
    why: str
    backing: str
    holds: bool = True
    taught: bool = True
    certain: bool = True


LEAKS = (
    Leak(
        r"camelyonpatch|patch[-_ .]?camelyon|(?<![a-z])pcam(?![a-z])",
        "PCam (PatchCamelyon)",
        "PCam holds the test patches of this competition, and it is published with the labels of all its parts",
        "the competition's description; names: github.com/basveeling/pcam, tensorflow.org/datasets/catalog/"
        "patch_camelyon, huggingface.co/1aurent/PatchCamelyon; networks: TIA Toolbox's *-pcam",
    ),
    Leak(
        r"camelyon",
        "CAMELYON16 or CAMELYON17",
        "the test patches were cut from annotated slides of CAMELYON16, and the annotations are their labels",
        "github.com/basveeling/pcam",
    ),
    Leak(
        r"(?<![a-z])test[-_ .]?(set[-_ .]?)?labels?(?![a-z])(?![-_ .]?smooth)|"
        r"(?<!pseudo[-_ .])labels?[-_ .]?(of[-_ .]?)?test(?![a-z])|(?<![a-z])(y[-_ .]?test|test[-_ .]?y)(?![a-z])|"
        r"(?<![a-z])solutions?(?![a-z])|(?<!train[-_ .])ground[-_ .]?truth",
        "labels of a test set",
        "the competition does not publish the labels of its test patches, so these were looked up in PCam",
        "nature",
        taught=False,
        certain=False,
    ),
    Leak(
        r"(?<!no[-_ .])(?<!non[-_ .])(?<!anti[-_ .])(?<!without[-_ .])(?<!for[-_ .])"
        r"(?<![a-z])leak(s|ed|age)?(?![a-z])(?![-_ .]?(free|less|proof|guard|check|report))",
        "leaked labels",
        "it says so itself",
        "nature",
        taught=False,
        certain=False,
    ),
)


def leak_in_name(name: str) -> Leak | None:
    """The family of leaked labels that a file, data set or kernel of this name belongs to; a slide map to none.

    Args:
        name: a file's or folder's name, or ``owner/name`` as Kaggle writes it: of that the part behind the owner.
    """
    last = name.rstrip("/").rpartition("/")[2].lower()
    if last in SLIDE_MAPS:
        return None
    return next((leak for leak in LEAKS if leak.holds and re.search(leak.pattern, last)), None)


def leak_in_training(name: str) -> Leak | None:
    """The labels that a network of this name was trained on, as far as its name says so."""
    return next((leak for leak in LEAKS if leak.taught and re.search(leak.pattern, name.lower())), None)


def labelled_test_ids(table: pd.DataFrame, train: pd.Series, test: pd.Series) -> list[str]:
    """Test ids to which `table` gives a plain 0 or 1: labels, or answers that cannot be told from labels.

    A column with numbers in between is somebody's prediction and a constant one is a sample: neither counts. Nor do
    ids that also name a training patch. True and false are numbers here, and what lies within a thousandth is equal.

    Args:
        table: columns id and label, text.
        train: ids of the training patches; `test`: of the test patches.
    """
    rows = table[table["id"].isin(test) & ~table["id"].isin(train)]
    words = rows["label"].str.strip().str.lower().replace({"false": "0", "true": "1"})
    numbers = pd.to_numeric(words, errors="coerce")
    nearest = numbers.round()
    hard = nearest.isin([0, 1]) & ((numbers - nearest).abs() <= HARD_WITHIN)
    if not len(rows) or hard.mean() < HARD_SHARE or nearest[hard].nunique() < 2:
        return []
    return list(rows.loc[hard, "id"])
