from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from histoblend.data.slides import assign_slides, default_clusters, read_slide_map
from histoblend.errors import DataRefusal

TINTS = np.array([[200, 120, 180], [150, 90, 160], [230, 180, 210]], dtype=np.int16)


def train(rows: int = 60) -> pd.DataFrame:
    ids = [f"{number:03d}" for number in range(rows)]
    return pd.DataFrame({"id": ids, "label": [number % 2 for number in range(rows)], "pixel_hash": ids})


def tinted(rows: int = 60) -> np.ndarray:
    """Patches of three stains in turn: row i has tint i % 3."""
    generator = np.random.default_rng(0)
    noise = generator.normal(0, 12, (rows, 96, 96, 1)) + generator.normal(0, 2, (rows, 96, 96, 3))
    tints = TINTS[np.arange(rows) % 3][:, None, None]
    return np.clip(tints + noise, 0, 255).astype(np.uint8)


def write_map(path: Path, rows: list[tuple[str, str]]) -> Path:
    path.write_text("\n".join(["id,wsi", *(f"{name},{slide}" for name, slide in rows)]) + "\n")
    return path


def full_map(rows: int = 60) -> list[tuple[str, str]]:
    return [(f"{n:03d}", f"camelyon16_train_{('normal', 'tumor')[n % 2]}_{n % 5:03d}") for n in range(rows)]


NONE = np.zeros((0, 96, 96, 3), np.uint8)


@pytest.mark.parametrize("policy", ["auto", "map"])
def test_a_complete_map_is_joined_by_id(tmp_path: Path, policy: str) -> None:
    rows = [*full_map(), ("of-another-set", "camelyon16_train_normal_099")]
    expected = assign_slides(train(), policy, write_map(tmp_path / "a.csv", rows), NONE, 0)  # type: ignore[arg-type]
    assert expected.policy == "map" and "10 slides" in expected.sentence
    assert dict(expected.slide) == dict(full_map())
    assert list(expected.slide.index) == list(train()["id"])
    shuffled = [rows[place] for place in np.random.default_rng(0).permutation(len(rows))]
    again = assign_slides(train(), policy, write_map(tmp_path / "b.csv", shuffled), NONE, 0)  # type: ignore[arg-type]
    pd.testing.assert_series_equal(again.slide, expected.slide)


def test_normal_001_and_tumor_001_are_two_slides(tmp_path: Path) -> None:
    path = write_map(
        tmp_path / "m.csv", [("a", "camelyon16_train_normal_001"), ("b", "camelyon16_train_tumor_001")]
    )
    assert read_slide_map(path).nunique() == 2


@pytest.mark.parametrize("policy", ["auto", "map"])
def test_a_partial_map_stops_the_run_and_names_the_share(tmp_path: Path, policy: str) -> None:
    path = write_map(tmp_path / "m.csv", full_map()[:45])
    with pytest.raises(DataRefusal, match=r"covers 75\.0% of the 60 training ids; 15 are missing: 045, 046"):
        assign_slides(train(), policy, path, tinted(), 0)  # type: ignore[arg-type]


def test_a_map_that_was_asked_for_has_to_be_there() -> None:
    with pytest.raises(DataRefusal, match="no slide map was found"):
        assign_slides(train(), "map", None, tinted(), 0)


def test_an_id_on_two_slides_is_refused_and_a_repeated_line_is_not(tmp_path: Path) -> None:
    rows = [*full_map(), full_map()[3]]
    assert (
        assign_slides(train(), "map", write_map(tmp_path / "m.csv", rows), NONE, 0).slide["003"] == rows[3][1]
    )
    with pytest.raises(DataRefusal, match="1 ids more than one slide: 003"):
        read_slide_map(write_map(tmp_path / "m.csv", [*rows, ("003", "elsewhere")]))


@pytest.mark.parametrize("header", ["id,slide", "wsi", "id,wsi,x"])
def test_a_map_with_other_columns_is_refused(tmp_path: Path, header: str) -> None:
    (tmp_path / "m.csv").write_text(header + "\na,b\n")
    with pytest.raises(DataRefusal, match="wrong columns"):
        read_slide_map(tmp_path / "m.csv")


def test_pseudo_slides_follow_the_stain(tmp_path: Path) -> None:
    slides = assign_slides(train(), "auto", None, tinted(), 0, clusters=3)
    assert slides.policy == "stain-clusters" and "3 pseudo-slides" in slides.sentence
    by_tint = pd.DataFrame({"slide": slides.slide.to_numpy(), "tint": np.arange(60) % 3})
    assert (by_tint.groupby("tint")["slide"].nunique() == 1).all() and by_tint["slide"].nunique() == 3


def test_pseudo_slides_do_not_depend_on_row_order() -> None:
    table, images = train(), tinted()
    order = np.random.default_rng(1).permutation(60)
    first = assign_slides(table, "stain-clusters", None, images, 0, clusters=6).slide
    again = assign_slides(table.iloc[order], "stain-clusters", None, images, 0, clusters=6).slide
    assert list(again.index) == [f"{number:03d}" for number in order]
    assert dict(first) == dict(again)


def test_a_map_is_not_used_where_clusters_or_nothing_was_asked_for(tmp_path: Path) -> None:
    path = write_map(tmp_path / "m.csv", full_map())
    assert assign_slides(train(), "stain-clusters", path, tinted(), 0, clusters=3).policy == "stain-clusters"
    alone = assign_slides(train(), "none", path, NONE, 0)
    assert alone.policy == "none" and alone.slide.nunique() == 60 and "scores read too high" in alone.sentence


@pytest.mark.parametrize(("rows", "clusters"), [(5, 5), (40, 10), (2622, 20), (220_025, 188)])
def test_the_number_of_pseudo_slides(rows: int, clusters: int) -> None:
    assert default_clusters(rows) == clusters
