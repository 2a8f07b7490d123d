"""A dihedral network through a whole run: trained as it is, asked as an ordinary one, the same logits everywhere."""

from __future__ import annotations

import os
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest

from histoblend.data.pictures import read_picture
from histoblend.data.views import apply_view
from histoblend.execution.records import read_record
from histoblend.inference.predict import sigmoid
from histoblend.models.dihedral_layers import DihedralConvolution
from histoblend.pipeline import run
from histoblend.predicting import PredictRequest, predict_pictures
from histoblend.predicting.trained import _built, load_trained
from histoblend.preparation import Request
from histoblend.reporting.progress import Display
from histoblend.workspace import Workspace, read_json

EXPERIMENT = """
network: {name: d4_resnet, fields: [2, 4], blocks: [1, 1], crop: 48}
input_size: 48
augmentation: none
precision: float32
optimizer: {learning_rate: 1.0e-2}
training: {epochs: 2, batch_size: 16, tensorboard: false, save_model: true}
"""
PLAN = "experiments: [turning]\ndata: {near_duplicates: keep}\nfolds: {count: 2}\ntta: 4\nreport: false\n"


@pytest.fixture(scope="module")
def output(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = tmp_path_factory.mktemp("turning")
    configs = project / "configs"
    for folder in ("experiments", "plans"):
        (configs / folder).mkdir(parents=True)
    (configs / "experiments/turning.yaml").write_text(EXPERIMENT)
    (configs / "plans/turning.yaml").write_text(PLAN)
    run(Request("turning", toy, project / "output"), Display(), {"HISTOBLEND_CONFIGS": str(configs)})
    return project / "output"


@pytest.fixture
def held_out(output: Path, toy: Path) -> tuple[np.ndarray, np.ndarray]:
    """Some patches of fold 0, with their logits in oof.csv."""
    table = pd.read_csv(output / "experiments/turning/oof.csv", dtype={"id": str})
    table = table[table["fold"] == 0].head(6)
    return np.stack([read_picture(toy / "train" / f"{one}.tif") for one in table["id"]]), table[
        "logit"
    ].to_numpy()


def test_one_view_is_shown_and_says_what_the_unfolded_network_says(
    output: Path, held_out: tuple[np.ndarray, np.ndarray]
) -> None:
    patches, recorded = held_out
    folder = Workspace(output).experiment("turning")
    assert read_json(folder.folder / "fold_0/done.json")["views"] == 1
    record = read_record(folder)
    trained = _built(record, record.precision)
    trained.load_weights(folder.folder / "fold_0/model.weights.h5")
    assert any(isinstance(layer, DihedralConvolution) for layer in trained.layers)
    assert np.ptp(recorded) > 1e-2
    for view in (0, 3, 5):
        said = trained.predict_on_batch(apply_view(patches, view))[:, 0]
        np.testing.assert_allclose(said, recorded, rtol=1e-4, atol=1e-5)


def test_predict_repeats_the_out_of_fold_logits(
    output: Path, held_out: tuple[np.ndarray, np.ndarray]
) -> None:
    patches, recorded = held_out
    (member,) = load_trained("turning", Workspace(output)).members
    assert member.views == (0,)
    np.testing.assert_allclose(
        member.networks[0].predict_on_batch(patches)[:, 0], recorded, rtol=1e-5, atol=1e-5
    )


def test_the_saved_model_holds_ordinary_layers_and_the_same_probabilities(
    output: Path, held_out: tuple[np.ndarray, np.ndarray]
) -> None:
    patches, recorded = held_out
    saved = keras.saving.load_model(output / "experiments/turning/fold_0/model.keras")
    assert all(type(layer).__module__.startswith("keras.") for layer in saved.layers)
    np.testing.assert_allclose(saved.predict_on_batch(patches)[:, 0], sigmoid(recorded), atol=1e-5)


def test_a_picture_is_predicted_in_one_pass(output: Path, tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (128, 160, 3), dtype=np.uint8)
    keras.utils.save_img(tmp_path / "slide.png", picture, scale=False)
    request = PredictRequest((tmp_path / "slide.png",), "turning", output, dense=True)
    table = predict_pictures(request, Display(), os.environ)
    assert 0 < table["probability"][0] < 1
