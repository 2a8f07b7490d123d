from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from histoblend.data.pictures import read_picture
from histoblend.errors import ConfigRefusal, DataRefusal
from histoblend.inference.predict import sigmoid
from histoblend.predicting import PredictRequest, predict_pictures
from histoblend.predicting.trained import load_trained
from histoblend.reporting.progress import Display
from histoblend.workspace import Workspace, read_json, write_json


class Listening(Display):
    """A display that remembers its lines."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def tell(self, text: str) -> None:
        self.lines.append(text)

    warn = tell

    def show(self, table: object) -> None:
        self.lines.append("(table)")

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


def predict(
    request: PredictRequest, environment: Mapping[str, str] | None = None
) -> tuple[pd.DataFrame, str]:
    display = Listening()
    return predict_pictures(request, display, environment or {}), display.text


def save(path: Path, image: np.ndarray, mode: str = "RGB") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).convert(mode).save(path)
    return path


@pytest.fixture
def patch(toy: Path) -> Path:
    return sorted((toy / "test").glob("*.tif"))[0]


@pytest.fixture
def larger() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (110, 200, 3), dtype=np.uint8)


def test_one_patch_has_one_probability_and_leaves_no_files(finished: Path, patch: Path) -> None:
    before = sorted(finished.rglob("*"))
    table, said = predict(PredictRequest((patch,), "toy_logit_mean", finished))
    recorded = pd.read_csv(finished / "ensembles/toy_logit_mean/test.csv", dtype={"id": str}).set_index("id")
    assert table["probability"][0] == pytest.approx(recorded["probability"][patch.stem], abs=0.01)
    assert f"probability of tumour {table['probability'][0]:.4f}" in said
    assert "first, 2 folds, 4 views; second, 2 folds, 4 views" in said
    assert sorted(finished.rglob("*")) == before


def test_a_larger_picture_has_a_map_and_tiles_that_are_its_crops(
    finished: Path, larger: np.ndarray, tmp_path: Path
) -> None:
    path = save(tmp_path / "slide.png", larger)
    table, said = predict(PredictRequest((path,), "first", finished))
    folder = finished / "predictions" / "first"
    assert Image.open(folder / "slide.png.map.png").size[0] > 500
    tiles = pd.read_csv(folder / "slide.png.tiles.csv")
    assert (len(tiles), table["tiles"][0]) == (4 * 7, 28)
    inner = tiles[(tiles["x"] == 64) & (tiles["y"] == 32)]
    alone = load_trained("first", Workspace(finished)).logits(larger[None, :96, 32:128])
    assert inner["probability"].item() == pytest.approx(sigmoid(alone).item(), abs=0.01)
    assert table["probability"][0] == pytest.approx(tiles["probability"].max())
    assert table["mean"][0] == pytest.approx(tiles["probability"].mean())
    assert str(folder / "slide.png.map.png") in said


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")  # pytest undoes the filter that data.pictures has set
def test_a_folder_becomes_a_csv_that_lists_what_could_not_be_read(
    finished: Path, patch: Path, larger: np.ndarray, tmp_path: Path
) -> None:
    folder = tmp_path / "pictures"
    save(folder / "deep" / "slide.png", larger)
    save(folder / "grey.jpg", larger[:50, :60], "L")
    shutil.copy(patch, folder / "patch.tif")
    (folder / "broken.tif").write_bytes(patch.read_bytes()[:3000])
    (folder / "notes.txt").write_text("none")
    table, said = predict(PredictRequest((folder,), "first", finished, destination=tmp_path / "to"))
    written = pd.read_csv(
        tmp_path / "to" / "predictions.csv", dtype={"picture": str}, float_precision="round_trip"
    )
    assert list(written.columns) == list(table.columns)
    np.testing.assert_array_equal(written["probability"], table["probability"])
    assert list(written["picture"]) == ["broken.tif", "deep/slide.png", "grey.jpg", "patch.tif"]
    assert "truncated or damaged" in written["fault"][0]
    assert written["probability"].isna().tolist() == [True, False, False, False]
    assert written["note"][2] == "greyscale: one channel; brought to 96 x 96: its centre square resized"
    assert (tmp_path / "to" / "deep" / "slide.png.map.png").exists()
    assert "1 of 4 pictures could not be read" in said
    assert "1 other file." in said


def test_patches_are_predicted_in_batches_and_keep_their_rows(
    finished: Path, toy: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("histoblend.predicting.pictures.BATCH", 4)
    table, _ = predict(PredictRequest((toy / "test",), "first", finished, destination=tmp_path / "all.csv"))
    recorded = pd.read_csv(finished / "experiments/first/test.csv", dtype={"id": str})
    expected = recorded.set_index("id")["probability"].loc[table["picture"].str.removesuffix(".tif")]
    np.testing.assert_allclose(table["probability"], expected, atol=0.01)
    assert len(pd.read_csv(tmp_path / "all.csv")) == len(recorded)


def test_nothing_readable_is_refused(finished: Path, tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(b"")
    (tmp_path / "b.png").write_bytes(b"no picture")
    with pytest.raises(DataRefusal, match="None of the 2 pictures"):
        predict(PredictRequest((tmp_path / "a.tif", tmp_path / "b.png"), "first", finished))


def test_in_one_pass_is_said_to_differ_at_the_borders(
    finished: Path, larger: np.ndarray, tmp_path: Path
) -> None:
    path = save(tmp_path / "slide.png", larger)
    request = PredictRequest((path,), "first", finished, destination=tmp_path / "to", views=1, dense=True)
    table, said = predict(request)
    assert "In one pass" in said
    assert table["tiles"][0] == 28
    with pytest.raises(ConfigRefusal, match="place of its own"):
        predict(PredictRequest((path,), "second", finished, dense=True))


def test_a_wide_stride_says_what_it_leaves_out(finished: Path, larger: np.ndarray, tmp_path: Path) -> None:
    path = save(tmp_path / "slide.png", larger)
    table, said = predict(PredictRequest((path,), "first", finished, 96, tmp_path / "to", 1))
    assert table["tiles"][0] == 2 * 3
    assert "wider than the labelled centre" in said


def test_models_of_resized_pictures_take_a_picture_as_one_patch(
    finished: Path, larger: np.ndarray, tmp_path: Path
) -> None:
    path = save(tmp_path / "car.png", larger)
    record = read_json(finished / "run.json")
    counts = record["data"]["classes"]
    record["data"]["odd_files"] = {"train": {"other size": sum(counts.values())}}
    write_json(finished / "run.json", record)
    table, said = predict(PredictRequest((path,), "first", finished))
    assert table["tiles"][0] == 1
    assert "its centre square resized" in said
    tiled, _ = predict(PredictRequest((path,), "first", finished, views=1, whole=False))
    assert tiled["tiles"][0] == 28


def test_pictures_that_a_network_has_learned_are_named(
    finished: Path, toy: Path, patch: Path, tmp_path: Path
) -> None:
    """By their pixels, whatever they are called; a test patch is none of them."""
    path = sorted((toy / "train").glob("*.tif"))[0]
    renamed = save(tmp_path / "other name.png", read_picture(path))
    table, said = predict(PredictRequest((renamed, patch), "first", finished, destination=tmp_path / "to"))
    assert table["learned"].tolist() == [f"pixels of {path.stem}", ""]
    assert f"Met in training, by pixels or name: 1 of 2 pictures ({renamed}: pixels of" in said
    _, said = predict(PredictRequest((patch,), "first", finished))
    assert "Met in training" not in said


def test_without_the_pixel_cache_names_tell(finished: Path, toy: Path) -> None:
    path = sorted((toy / "train").glob("*.tif"))[0]
    shutil.rmtree(finished / "cache")
    _, said = predict(PredictRequest((path,), "first", finished))
    assert f"tell for sure is gone: 1 of 1 picture ({path}: name of {path.stem})" in said


def test_a_synthetic_model_says_so(finished: Path, patch: Path) -> None:
    config = finished / "experiments/first/config.yaml"
    config.write_text(config.read_text().replace("synthetic: false", "synthetic: true"))
    _, said = predict(PredictRequest((patch,), "first", finished))
    assert "SYNTHETIC" in said


def test_views_are_those_of_the_dihedral_group(finished: Path, patch: Path) -> None:
    with pytest.raises(ConfigRefusal, match="1, 4 or 8"):
        predict(PredictRequest((patch,), "first", finished, views=3))


def test_results_are_not_written_over_a_file(finished: Path, patch: Path) -> None:
    with pytest.raises(ConfigRefusal, match="is a file"):
        predict(PredictRequest((patch,), "first", finished, destination=patch))


def test_the_pictures_are_only_read(finished: Path, patch: Path, toy: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in toy.rglob("*")}
    predict(PredictRequest((patch,), "first", finished))
    assert {path: path.stat().st_mtime_ns for path in toy.rglob("*")} == before
    np.testing.assert_array_equal(read_picture(patch).shape, (96, 96, 3))
