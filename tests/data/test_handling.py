"""Odd patches handled: dropped means dropped, grouped means together, stopped names what and how to go on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from histoblend.config import DataSettings
from histoblend.data.duplicates import NearGroups
from histoblend.data.handling import DataFindings, Handled, handle, needed
from histoblend.errors import DataRefusal

KEEP_ALL = {"duplicates": "keep", "near_duplicates": "keep"}


def train_table() -> pd.DataFrame:
    """Ten patches; b and h share pixels and label, c and g pixels but not the label. Rows are not in id order."""
    rows = [(name, number % 2, f"hash-{name}") for number, name in enumerate("jihgfedcba")]
    table = pd.DataFrame(rows, columns=["id", "label", "pixel_hash"], index=range(100, 110))
    table.loc[table["id"] == "h", ["label", "pixel_hash"]] = [0, "hash-b"]
    table.loc[table["id"] == "b", "label"] = 0
    table.loc[table["id"] == "g", ["label", "pixel_hash"]] = [1, "hash-c"]
    table.loc[table["id"] == "c", "label"] = 0
    return table


def odd_files(*rows: tuple[str, str, str]) -> pd.DataFrame:
    return pd.DataFrame([(*row, "detail") for row in rows], columns=["part", "id", "kind", "detail"])


def near_of(number: Any, parted: Any = False) -> NearGroups:
    return NearGroups(np.asarray(number), np.broadcast_to(parted, len(number)))


def findings(**changes: Any) -> DataFindings:
    table = train_table()
    blank = np.where(table["id"].isin(["a", "j"]), "white", "").astype(object)
    near = np.arange(10)
    near[table["id"].isin(["d", "e", "f"])] = 99
    outliers = (table["id"] == "i").to_numpy()
    odd = odd_files(("train", "d", "alpha"), ("train", "d", "other size"), ("test", "e", "alpha"))
    found: dict[str, Any] = {
        "odd_files": odd,
        "blank": blank,
        "near": near_of(near),
        "stain_outliers": outliers,
    }
    return DataFindings(**(found | changes))


def handled(**settings: str) -> Handled:
    return handle(train_table(), findings(), DataSettings(**(KEEP_ALL | settings)))  # type: ignore[arg-type]


def gone(done: Handled) -> str:
    return "".join(sorted(done.dropped["id"]))


def twins(done: Handled) -> set[str]:
    return {"".join(sorted(group)) for _, group in done.kept.groupby("twins")["id"] if len(group) > 1}


def test_defaults_keep_everything_and_hold_copies_together() -> None:
    done = handle(train_table(), findings(), DataSettings())
    assert gone(done) == ""
    assert twins(done) == {"bh", "cg", "def"}
    assert done.kept[["id", "label", "pixel_hash"]].equals(train_table())
    assert done.kept.groupby("twins")["id"].min().reset_index().eval("twins == id").all()


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"converted": "drop"}, "d"),
        ({"other_size": "drop"}, "d"),
        ({"blank": "drop"}, "aj"),
        ({"stain_outliers": "drop"}, "i"),
        ({"conflicting_labels": "drop"}, "cg"),
        ({"duplicates": "drop"}, "h"),
        ({"near_duplicates": "drop"}, "f"),
        ({"blank": "drop", "converted": "drop", "near_duplicates": "drop"}, "adj"),
    ],
)
def test_dropped_means_dropped(settings: dict[str, str], expected: str) -> None:
    done = handled(**settings)
    assert gone(done) == expected
    assert "".join(sorted(done.kept["id"])) == "".join(sorted(set("abcdefghij") - set(expected)))
    assert done.kept.drop(columns="twins").equals(train_table().loc[done.kept.index])
    assert all(reason.split(":")[0] in settings for reason in done.dropped["reason"])


def test_a_dropped_copy_names_the_one_that_stays_and_labels_that_differ_are_not_settled_by_it() -> None:
    done = handled(duplicates="drop")
    assert done.dropped.to_numpy().tolist() == [["h", "duplicates: same pixels as b"]]
    assert twins(done) == {"cg"}  # other labels: for `conflicting_labels` to decide


def test_a_copy_of_what_was_dropped_before_is_no_copy() -> None:
    assert gone(handled(near_duplicates="drop")) == "f"  # d and f share a label, e has another
    assert gone(handled(near_duplicates="drop", converted="drop")) == "d"


def test_exact_copies_are_no_near_ones() -> None:
    near = np.arange(10)
    near[train_table()["id"].isin(["b", "h"])] = 99  # a search among all patches finds exact copies too
    said = handle(train_table(), findings(near=near_of(near)), DataSettings()).sentences
    assert not any("near duplicates" in sentence for sentence in said)


def test_keep_leaves_copies_apart() -> None:
    assert twins(handled()) == set()
    assert twins(handled(duplicates="group")) == {"bh", "cg"}
    assert twins(handled(near_duplicates="group")) == {"def"}


def test_groups_join_through_shared_members() -> None:
    near = np.arange(10)
    near[train_table()["id"].isin(["a", "b"])] = 8
    near[train_table()["id"].isin(["h", "j"])] = 0
    assert twins(handle(train_table(), findings(near=near_of(near)), DataSettings())) == {"abhj", "cg"}


@pytest.mark.parametrize(
    ("kind", "ids"),
    [
        ("converted", "d"),
        ("other_size", "d"),
        ("blank", "a, j"),
        ("stain_outliers", "i"),
        ("conflicting_labels", "c, g"),
        ("duplicates", "g, h"),
        ("near_duplicates", "e, f"),
    ],
)
def test_stop_names_kind_ids_count_and_remedy(kind: str, ids: str) -> None:
    with pytest.raises(DataRefusal) as refusal:
        handled(**{kind: "stop"})
    assert f"data.{kind}=stop" in refusal.value.found and refusal.value.found.endswith(f"{ids}.")
    assert refusal.value.found.startswith(f"{ids.count(',') + 1} training")
    assert f"--set data.{kind}=keep" in refusal.value.remedy


def test_all_stops_are_named_at_once() -> None:
    with pytest.raises(DataRefusal) as refusal:
        handled(blank="stop", duplicates="stop")
    assert "--set data.blank=keep --set data.duplicates=keep" in refusal.value.remedy


def test_what_was_dropped_does_not_stop() -> None:
    done = handled(conflicting_labels="drop", blank="drop")
    assert gone(done) == "acgj"
    with pytest.raises(DataRefusal):
        handled(duplicates="stop", conflicting_labels="drop")  # b and h are left


def test_a_class_does_not_vanish() -> None:
    table = train_table().assign(label=lambda t: (t["id"] == "a").astype(int))
    with pytest.raises(DataRefusal, match="none of class 1") as refusal:
        handle(table, findings(), DataSettings(blank="drop"))
    assert "--set data.blank=keep" in refusal.value.remedy


def test_what_is_kept_anyway_need_not_be_looked_for() -> None:
    assert needed(DataSettings()) == {"near"}
    assert needed(DataSettings(blank="drop", stain_outliers="stop", near_duplicates="keep")) == {
        "blank",
        "stain_outliers",
    }
    bare = findings(blank=None, near=None, stain_outliers=None)
    assert gone(handle(train_table(), bare, DataSettings(**KEEP_ALL))) == ""  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="near"):
        handle(train_table(), bare, DataSettings())


def test_sentences_say_what_was_done() -> None:
    said = "\n".join(handled(blank="drop", duplicates="group").sentences)
    assert "2 training patches are blank: dropped (data.blank=drop): a, j" in said
    assert "2 training patches repeat the pixels of another: kept in one fold with it" in said
    assert "had to be converted" not in said  # the pack tells that
    assert "had to be converted: dropped (data.converted=drop): d" in "\n".join(
        handled(converted="drop").sentences
    )


def test_many_classes() -> None:
    table = train_table().assign(label=range(10))
    with pytest.raises(DataRefusal, match="class 0, 9"):
        handle(table, findings(), DataSettings(blank="drop"))


def near_table(*hashes: str) -> tuple[pd.DataFrame, DataFindings]:
    """Patches a, b, ... of one label, all near duplicates of each other, and one of another label."""
    ids = [*"abcdefg"[: len(hashes)], "z"]
    labels = [0] * len(hashes) + [1]
    table = pd.DataFrame({"id": ids, "label": labels, "pixel_hash": [*hashes, "other"]})
    odd = odd_files(("train", "a", "alpha"))
    return table, DataFindings(odd, near=near_of([0] * len(hashes) + [1]))


def test_what_is_near_to_two_copies_holds_them_together_when_the_first_copy_goes() -> None:
    table, found = near_table("x", "x", "y")  # a and b the same, c near them
    done = handle(table, found, DataSettings(converted="drop"))
    assert gone(done) == "a" and twins(done) == {"bc"}


def test_near_duplicates_go_with_all_their_exact_copies() -> None:
    table, found = near_table("x", "y", "y")  # b near a, c the same as b
    done = handle(table, found, DataSettings(near_duplicates="drop"))
    assert gone(done) == "bc" and twins(done) == set()
    assert set(done.dropped["reason"]) == {"near_duplicates: nearly the same as a"}
    table, found = near_table("y", "x", "y")  # a and c stay: the first picture does
    done = handle(table, found, DataSettings(near_duplicates="drop"))
    assert gone(done) == "b" and twins(done) == {"ac"}


def test_where_nothing_is_dropped_a_picture_counts_once() -> None:
    table, found = near_table("x", "y", "y")
    said = handle(table, found, DataSettings()).sentences
    assert [line[:30] for line in said] == [
        "1 training patches repeat the ",
        "1 training patches are near du",
    ]


def test_exact_copies_that_are_kept_apart_stay_so_where_nothing_else_is_near() -> None:
    table, found = near_table("x", "x")
    assert twins(handle(table, found, DataSettings(duplicates="keep"))) == set()
    table, found = near_table("x", "x", "y")
    assert twins(handle(table, found, DataSettings(duplicates="keep"))) == {"abc"}


def test_a_crowd_that_was_parted_is_told_by_the_number_of_pictures() -> None:
    table, found = near_table("x", "x", "y")
    parted = DataFindings(odd_files(), near=near_of([0, 0, 1, 2], [True, True, True, False]))
    assert any(
        "2 training patches look alike" in line for line in handle(table, parted, DataSettings()).sentences
    )
    assert not any("look alike" in line for line in handle(table, found, DataSettings()).sentences)
