"""What a finished task is, and that folds stay apart."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest

from histoblend.competition.layouts import read_competition
from histoblend.config import DataSettings, FoldSettings
from histoblend.config_experiment import Experiment
from histoblend.data.feed_workers import FeedWorkers
from histoblend.data.pack import pack
from histoblend.data.split import SplitSettings, make_split
from histoblend.data.views import apply_view, chosen_views
from histoblend.errors import ArtifactRefusal
from histoblend.evaluation.auc import auc
from histoblend.execution.device import Device
from histoblend.pipeline import run
from histoblend.preparation import Request
from histoblend.reporting.progress import Display
from histoblend.training import network_task
from histoblend.training.network_task import train_network
from histoblend.training.observer import Observer
from histoblend.training.task import Task, TaskInputs, damaged_files, run_task, set_aside
from histoblend.training.texture_task import train_texture
from histoblend.workspace import TaskFolder, Workspace


def task(finished: Path, fold: int = 0, experiment: str = "first") -> TaskFolder:
    return TaskFolder(finished / f"experiments/{experiment}/fold_{fold}")


def test_folds_hold_out_different_patches_and_together_all(finished: Path, toy: Path):
    """`next(split)` inside the loop would make every fold the same."""
    held = [set(pd.read_csv(task(finished, fold).out_of_fold)["id"]) for fold in (0, 1)]
    assert not held[0] & held[1]
    assert held[0] | held[1] == set(pd.read_csv(toy / "train_labels.csv")["id"])


@pytest.mark.parametrize("experiment", ["first", "second"])
def test_each_fold_keeps_weights_of_its_own(finished: Path, experiment: str):
    weights = [task(finished, fold, experiment).weights.read_bytes() for fold in (0, 1)]
    logits = [pd.read_csv(task(finished, fold, experiment).test)["logit"] for fold in (0, 1)]
    assert weights[0] != weights[1]
    assert not np.allclose(*logits)


def test_the_record_holds_exact_aucs_and_the_views_of_test_and_out_of_fold_alike(finished: Path):
    record = json.loads(task(finished).done.read_text())
    table = pd.read_csv(task(finished).out_of_fold, float_precision="round_trip")
    assert record["auc"] == auc(table["label"].to_numpy(), table["logit"].to_numpy())
    assert record["views"] == 4
    assert record["patches"] == len(table)


def test_saved_model_and_tables_agree(finished: Path, toy: Path):
    """One sigmoid and no more; the same four views for test patches and held-out ones."""
    import keras

    from histoblend.data.decode import decode_patch

    model = keras.models.load_model(task(finished, 0, "second").saved_model)
    for part, path in (
        ("train", task(finished, 0, "second").out_of_fold),
        ("test", task(finished, 0, "second").test),
    ):
        table = pd.read_csv(path, float_precision="round_trip")[:6]
        patches = np.stack([decode_patch(toy / part / f"{one}.tif") for one in table["id"]])
        seen = [np.asarray(model(apply_view(patches, view)), float)[:, 0] for view in chosen_views(4)]
        logits = np.mean([np.log(one / (1 - one)) for one in seen], axis=0)
        np.testing.assert_allclose(table["logit"], logits, atol=0.05)  # bfloat16, where it is the default
        np.testing.assert_allclose(table["probability"], 1 / (1 + np.exp(-table["logit"])), rtol=1e-12)


def test_damage_is_found_file_by_file(finished: Path):
    assert damaged_files(task(finished)) == []
    task(finished).weights.unlink()
    task(finished).test.write_text(task(finished).test.read_text().replace("1", "2", 1))
    assert set(damaged_files(task(finished))) == {task(finished).weights, task(finished).test}


def test_damaged_folders_are_kept_under_names_of_their_own(tmp_path: Path):
    for number in (1, 2):
        (tmp_path / "fold_0").mkdir()
        assert set_aside(tmp_path / "fold_0").name == f"fold_0.damaged-{number}"


def test_a_lost_record_does_not_let_a_changed_configuration_use_old_artifacts(finished: Path, toy: Path):
    (finished / "experiments/first/config.yaml").unlink()
    request = Request("toy", toy, finished, settings=("training.epochs=1",), experiments=("first",))
    with pytest.raises(ArtifactRefusal, match=r"fold_0(.|\n)*archive"):
        run(request, Display(), dict(os.environ))


DEVICE = Device("cpu", "CPU", 0, "float32", 2, True, 0)


@pytest.fixture(scope="module")
def inputs(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> TaskInputs:
    """What the tasks of a run of three folds on the toy competition share."""
    root = tmp_path_factory.mktemp("tasks")
    competition = read_competition(toy)
    packed = pack(competition, root / "scratch", 1)
    workspace = Workspace(root / "output")
    settings = SplitSettings(FoldSettings(count=3), DataSettings(near_duplicates="keep"))
    folds = make_split(workspace, competition, packed, settings).folds
    return TaskInputs(
        workspace, packed, folds, DEVICE, FeedWorkers(0), False, competition.classes, lambda text: None
    )


def recipe(network: dict[str, Any] | None = None, **changes: Any) -> Experiment:
    small = {"name": "small_vgg", "widths": [4], "depths": [1], "crop": 32}
    content: dict[str, Any] = {"name": "one", "network": network or small, "augmentation": "light"}
    training = {"epochs": 3, "batch_size": 8, "tensorboard": False} | changes.pop("training", {})
    return Experiment.model_validate(content | {"training": training} | changes)


def one_task(folder: Path, experiment: Experiment, fold: int = 0) -> Task:
    return Task(experiment, fold, TaskFolder(folder / f"fold_{fold}"), "fingerprint", "float32")


def without_truth(inputs: TaskInputs, fold: int, folder: Path) -> TaskInputs:
    """The same ids, slides and folds; in the scored fold other labels, and the pixels of other patches."""
    held = (inputs.folds["fold"] == fold).to_numpy()
    images = np.array(inputs.pack.train_images())
    images[held] = 255 - np.roll(images[held], 1, axis=0)
    folder.mkdir()
    np.save(folder / "train.npy", images)
    np.save(folder / "test.npy", inputs.pack.test_images())
    folds = inputs.folds.copy()
    folds.loc[held, "label"] = 1 - folds.loc[held, "label"]
    folds.loc[held, "twins"] = [f"changed {number}" for number in range(held.sum())]
    train = folds[["id", "label"]].assign(pixel_hash=folds["twins"])
    changed = dataclasses.replace(inputs.pack, folder=folder, fingerprint="changed", train=train)
    return dataclasses.replace(inputs, pack=changed, folds=folds)


def weights_of(task: Task) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    with h5py.File(task.folder.weights) as stored:
        stored.visititems(
            lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None
        )
    assert found
    return found


WATCHING = {"selection": "best", "stop_patience": 1, "inner_fraction": 0.3}
RECIPES = {
    "last": recipe(training={"ema": 0.8, "class_weight": "balanced"}),
    "watching": recipe(schedule={"name": "plateau", "patience": 1, "warmup": 0.3}, training=WATCHING),
}


@pytest.mark.parametrize("experiment", RECIPES.values(), ids=RECIPES)
def test_nothing_decided_in_training_sees_the_scored_fold(
    inputs: TaskInputs, tmp_path: Path, experiment: Experiment
):
    """Labels and pixels of the scored fold exchanged: the same weights, bit for bit."""
    changed = without_truth(inputs, 0, tmp_path / "changed-pack")
    tasks = [one_task(tmp_path / name, experiment) for name in ("true", "changed")]
    trained = [
        train_network(task, one, chosen_views(1), Observer())
        for task, one in zip(tasks, (inputs, changed), strict=True)
    ]
    expected, found = map(weights_of, tasks)
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)
    timeless = [
        [{key: row[key] for key in row if "second" not in key} for row in one.history] for one in trained
    ]
    assert timeless[0] == timeless[1]
    held = np.flatnonzero(inputs.folds["fold"] == 0)
    seen = [one.predict("train", held) for one in trained]
    assert not np.allclose(*seen), "the scored fold was to be another one"
    np.testing.assert_array_equal(*[one.predict("test", np.arange(21)) for one in trained])


def test_the_yardstick_does_not_see_the_scored_fold_either(inputs: TaskInputs, tmp_path: Path):
    changed = without_truth(inputs, 1, tmp_path / "changed-pack")
    experiment = recipe({"name": "texture_hgb", "iterations": 10, "samples_per_leaf": 4})
    logits = [
        train_texture(one_task(tmp_path, experiment, 1), one).predict("test", np.arange(21))
        for one in (inputs, changed)
    ]
    assert np.ptp(logits[0]) > 0
    np.testing.assert_array_equal(*logits)


def test_the_inner_split_is_apart_from_training_and_from_the_scored_fold(inputs: TaskInputs, tmp_path: Path):
    folds, drawn = inputs.folds, set()
    for fold in range(3):
        job = network_task.fit_job(one_task(tmp_path, RECIPES["watching"], fold), inputs, Observer())
        assert job.inner is not None
        inner, training = set(job.inner.rows), set(job.feed.source.rows)
        held = set(folds.index[folds["fold"] == fold])
        assert inner and training and not inner & training
        assert inner | training == set(folds.index) - held
        slides = folds["slide"]
        assert not set(slides[list(inner)]) & set(slides[list(training)])
        np.testing.assert_array_equal(job.inner.labels, folds["label"][job.inner.rows])
        np.testing.assert_array_equal(job.feed.source.labels, folds["label"][job.feed.source.rows])
        drawn.add(job.feed.sampling.seed)
    assert len(drawn) == 3  # each fold draws its own order and augmentations


def test_without_anything_that_watches_all_other_folds_are_trained_on(inputs: TaskInputs, tmp_path: Path):
    job = network_task.fit_job(one_task(tmp_path, RECIPES["last"], 2), inputs, Observer())
    assert job.inner is None
    assert set(job.feed.source.rows) == set(inputs.folds.index[inputs.folds["fold"] != 2])


class Counting:
    """A network that is not one: its logit is the mean of a corner; it remembers what it was shown."""

    layers = ()

    def __init__(self) -> None:
        self.shown: list[np.ndarray] = []

    def predict_on_batch(self, images: np.ndarray) -> np.ndarray:
        self.shown.append(images.copy())
        return images[:, :40, :20, 0].mean(axis=(1, 2))[:, None] / 100 - 1.5

    def save_weights(self, path: Path) -> None:
        path.write_bytes(b"none")


@pytest.mark.parametrize("views", [1, 4, 8])
def test_test_patches_and_held_out_ones_are_seen_in_the_same_views(
    inputs: TaskInputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, views: int
):
    """TTA on validation but not on test, or the other way round, makes the one no measure of the other."""
    network = Counting()
    monkeypatch.setattr(network_task, "without_optimizer", lambda model: model)
    monkeypatch.setattr(network_task, "fit", lambda job: (network, [{"epoch": 1, "seconds": 2.0}]))
    task = one_task(tmp_path, recipe(), 1)

    def train(one: Task, shared: TaskInputs) -> Any:
        return train_network(one, shared, chosen_views(views), Observer())

    record = run_task(task, inputs, train)
    held = inputs.folds[inputs.folds["fold"] == 1]
    assert [len(images) for images in network.shown] == [len(held)] * views + [21] * views
    originals = inputs.pack.train_images()[held.index], inputs.pack.test_images()
    for part, images in enumerate(originals):
        for place, view in enumerate(chosen_views(views)):
            np.testing.assert_array_equal(network.shown[part * views + place], apply_view(images, view))
    assert record["views"] == views and record["patches"] == len(held)
    for images, path in zip(originals, (task.folder.out_of_fold, task.folder.test), strict=True):
        logits = [Counting().predict_on_batch(apply_view(images, view))[:, 0] for view in chosen_views(views)]
        table = pd.read_csv(path, float_precision="round_trip")
        np.testing.assert_allclose(table["logit"], np.mean(logits, axis=0), rtol=1e-12)
    assert list(pd.read_csv(task.folder.out_of_fold)["id"]) == list(held["id"])
    assert damaged_files(task.folder) == []


def test_speed_counts_the_epochs_of_all_sessions(
    inputs: TaskInputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A task that was resumed reports what it took from its first epoch on."""
    history = [{"epoch": number + 1, "seconds": 100.0} for number in range(3)]
    monkeypatch.setattr(network_task, "without_optimizer", lambda model: model)
    monkeypatch.setattr(network_task, "fit", lambda job: (Counting(), history))
    trained = train_network(one_task(tmp_path, recipe(), 0), inputs, chosen_views(1), Observer())
    patches = len(inputs.folds) - (inputs.folds["fold"] == 0).sum()
    assert trained.seconds == 300.0
    assert trained.images == 3 * -(-patches // 8) * 8
