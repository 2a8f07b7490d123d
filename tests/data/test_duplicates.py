"""Groups of copies: joined through others, crowds parted at their weak links, copies never."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from histoblend.data.duplicates import (
    MOST_COPIES,
    STRICT_CORRELATION,
    crowd_sentence,
    near_groups,
    shared_pixels,
)

WEAK = STRICT_CORRELATION - 0.01


def chain(count: int, correlation: float, start: int = 0) -> pd.DataFrame:
    """Each picture like the next."""
    first = np.arange(start, start + count - 1)
    return pd.DataFrame({"first": first, "second": first + 1, "correlation": correlation})


def test_pairs_join_through_others() -> None:
    pairs = pd.DataFrame({"first": [0, 2], "second": [2, 4], "correlation": WEAK})
    groups = near_groups(6, pairs)
    assert list(groups.number) == [0, 1, 0, 2, 0, 3] and groups.number.dtype == np.int64
    assert not groups.parted.any()
    nothing = near_groups(0, pairs.iloc[:0])
    assert len(nothing.number) == len(nothing.parted) == 0


@pytest.mark.parametrize(("count", "together"), [(MOST_COPIES, True), (MOST_COPIES + 1, False)])
def test_a_crowd_of_look_alikes_is_no_set_of_copies(count: int, together: bool) -> None:
    groups = near_groups(count, chain(count, WEAK))
    assert len(set(groups.number)) == (1 if together else count)
    assert groups.parted.all() != together


def test_copies_stay_together_however_many_there_are() -> None:
    groups = near_groups(200, chain(200, STRICT_CORRELATION))
    assert len(set(groups.number)) == 1 and not groups.parted.any()


def test_a_crowd_is_parted_at_its_weak_links_only() -> None:
    """Sixty copies and thirty more, with a weak link between them and on to a look-alike; a pair apart."""
    weak = pd.DataFrame({"first": [59, 89], "second": [60, 90], "correlation": WEAK})
    pairs = pd.concat([chain(60, 0.99), chain(30, 0.95, 60), weak, chain(2, WEAK, 91)])
    groups = near_groups(93, pairs)
    assert list(groups.number) == [0] * 60 + [1] * 30 + [2, 3, 3]
    assert groups.parted.sum() == 91 and not groups.parted[91:].any()


def test_the_sentence_says_how_many_and_by_which_rule() -> None:
    said = crowd_sentence(1203, "training patches")
    assert "1,203 training patches" in said and str(MOST_COPIES) in said and str(STRICT_CORRELATION) in said
    assert crowd_sentence(0, "patches") == ""


def test_shared_pixels_are_named_by_the_ids_of_test() -> None:
    train = pd.DataFrame({"id": ["a", "b"], "pixel_hash": ["1", "2"]})
    test = pd.DataFrame({"id": ["z", "y", "x"], "pixel_hash": ["2", "3", "2"]})
    assert shared_pixels(train, test) == ["x", "z"]
    assert shared_pixels(train, test.iloc[:0]) == []
