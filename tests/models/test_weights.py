"""Pretrained weights are found in the order a user expects, or refused by name; never random unasked."""

from __future__ import annotations

import os
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from histoblend.config_experiment import Experiment
from histoblend.errors import ConfigRefusal, MachineRefusal
from histoblend.execution.preflight import plan_work
from histoblend.models import weights
from histoblend.models.backbones import APPLICATIONS, plain_backbone
from histoblend.models.backbones_rebuilt import IMAGENET_DEVIATION, IMAGENET_MEAN, standardise
from histoblend.models.problem import Problem
from histoblend.models.registry import NETWORKS, build_network
from histoblend.models.weights import resolve_weights

NAME = "densenet121_weights_tf_dim_ordering_tf_kernels_notop.h5"


def place(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / NAME).write_bytes(b"x")
    return folder / NAME


def test_order_attached_then_cache_then_download_then_refusal(tmp_path):
    attached, home = tmp_path / "attached", tmp_path / "home"
    arguments = ("densenet121", "imagenet", [attached], home)
    with pytest.raises(MachineRefusal) as refusal:
        resolve_weights(*arguments, online=False)
    assert NAME in str(refusal.value) and str(attached) in str(refusal.value)
    assert str(home / "models") in str(refusal.value)
    assert resolve_weights(*arguments, online=True) == "download"
    cached = place(home / "models")
    assert resolve_weights(*arguments, online=False) == cached
    nested = place(attached / "owner" / "dataset")
    assert resolve_weights(*arguments, online=False) == nested


def test_a_failed_download_is_refused_by_the_name_of_its_file(monkeypatch, tmp_path):
    """Keras raises a bare Exception where a fetch fails, and a ValueError where the file has another hash."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(weights, "has_internet", lambda: True)
    application = APPLICATIONS["mobilenet_v2"]
    for fault in (Exception("URL fetch failure"), ValueError("Incomplete or corrupted file detected")):

        def faulty(fault: Exception = fault, **settings: object) -> keras.Model:
            if settings["weights"] == "imagenet":
                raise fault
            return application(**settings)

        monkeypatch.setitem(APPLICATIONS, "mobilenet_v2", faulty)
        with pytest.raises(
            MachineRefusal, match=r"mobilenet_v2_weights.*_96_no_top\.h5 could not be"
        ) as refusal:
            plain_backbone("mobilenet_v2", "imagenet", 96)
        assert str(fault) in refusal.value.found


def test_a_mount_is_walked_once_and_pictures_are_not(monkeypatch, tmp_path):
    mount = tmp_path / "input" / "datasets"
    place(mount / "owner" / "train")
    monkeypatch.setenv("HISTOBLEND_KAGGLE_ROOT", str(tmp_path))
    walked = []
    walk = os.walk
    monkeypatch.setattr(weights.os, "walk", lambda folder: walked.append(folder) or walk(folder))
    for backbone in ("densenet121", "vgg16"):
        with pytest.raises(MachineRefusal):
            resolve_weights(backbone, "imagenet", [mount], tmp_path / "home", online=False)
    assert walked == [mount]


def test_random_weights_only_where_asked(tmp_path):
    assert resolve_weights("densenet121", "none", [], tmp_path, online=False) is None


def test_a_named_file_must_exist(tmp_path):
    with pytest.raises(ConfigRefusal, match=r"absent\.weights\.h5"):
        resolve_weights("densenet121", str(tmp_path / "absent.weights.h5"), [], tmp_path)
    file = place(tmp_path / "folder")
    assert resolve_weights("densenet121", str(file), [], tmp_path) == file


@pytest.mark.parametrize(("size", "part"), [(96, "1.0_96"), (160, "1.0_160"), (100, "1.0_224")])
def test_mobilenet_v2_has_a_file_for_each_size(size, part):
    assert part in weights.weights_file_name("mobilenet_v2", size)


def test_every_backbone_has_a_file_name():
    rows = {row.fixed["backbone"] for row in NETWORKS.values() if "backbone" in row.fixed}
    assert rows == set(weights.FILE_NAMES) == set(APPLICATIONS)


def test_keras_home_and_attached_folders_follow_the_environment(tmp_path):
    assert weights.keras_home({"KERAS_HOME": str(tmp_path)}) == tmp_path
    assert weights.keras_home({}) == Path.home() / ".keras"
    assert tmp_path in weights.attached_folders({"HISTOBLEND_WEIGHTS": str(tmp_path)})


def tiny(seed: int) -> keras.Model:
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((8, 8, 3))
    features = keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 3)(inputs))
    return keras.Model(inputs, keras.layers.Conv2D(2, 1)(features), name="tiny")


def published(model: keras.Model, path: Path) -> None:
    """Write weights as keras.applications publishes them: HDF5 groups by layer, in topological order."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [layer.name.encode() for layer in model.layers]
        file.attrs["backend"], file.attrs["keras_version"] = b"tensorflow", b"2.4.0"
        for layer in model.layers:
            group = file.create_group(layer.name)
            weights = [*layer.trainable_weights, *layer.non_trainable_weights]
            names = [f"{layer.name}/{number}".encode() for number in range(len(weights))]
            group.attrs["weight_names"] = names
            for name, weight in zip(names, weights, strict=True):
                group.create_dataset(name.decode(), data=weight.numpy())


@pytest.mark.parametrize("name", ["tiny_notop.h5", "tiny.weights.h5"])
def test_both_formats_load(tmp_path, name):
    source, target = tiny(1), tiny(2)
    published(source, tmp_path / name) if name.endswith("top.h5") else source.save_weights(tmp_path / name)
    weights.load_weights(target, tmp_path / name)
    for one, other in zip(source.get_weights(), target.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def with_top(seed: int) -> keras.Model:
    body = tiny(seed)
    vector = keras.layers.GlobalAveragePooling2D()(body.output)
    return keras.Model(body.input, keras.layers.Dense(5)(vector), name="topped")


def wider() -> keras.Model:
    inputs = keras.Input((8, 8, 3))
    features = keras.layers.BatchNormalization()(keras.layers.Conv2D(6, 3)(inputs))
    return keras.Model(inputs, keras.layers.Conv2D(2, 1)(features))


def save(model: keras.Model, path: Path) -> None:
    model.save_weights(path) if path.name.endswith(".weights.h5") else published(model, path)


def shorten(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def without_numbers() -> keras.Model:
    model = tiny(0)
    model.set_weights([np.full(weight.shape, np.nan) for weight in model.get_weights()])
    return model


FAULTS = {
    "a page": (lambda path: path.write_text("\n<!DOCTYPE html><html>404</html>"), "is a web page"),
    "empty": (lambda path: path.write_bytes(b""), "is an empty file"),
    "noise": (lambda path: path.write_bytes(b"not hdf5"), "starts b'not hdf5', no HDF5"),
    "short": (lambda path: (save(tiny(0), path), shorten(path)), "is damaged or cut short"),
    "with its top": (lambda path: save(with_top(0), path), r"2 arrays .* too many: weights with the top"),
    "other widths": (lambda path: save(wider(), path), "is of another network"),
    "another network": (
        lambda path: save(keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]), path),
        r"is of another network: it lacks 7 arrays .* and has 1 array \(\(3, 2\)\) too many",
    ),
    "no numbers": (lambda path: save(without_numbers(), path), "no finite numbers"),
}


@pytest.mark.parametrize("name", ["tiny_notop.h5", "tiny.weights.h5"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_file_that_is_not_what_its_name_says_is_refused_by_name(tmp_path, fault, name):
    write, message = FAULTS[fault]
    write(tmp_path / name)
    with pytest.raises(MachineRefusal, match=message) as refusal:
        weights.load_weights(tiny(0), tmp_path / name)
    assert str(tmp_path / name) in refusal.value.found and refusal.value.remedy


def test_the_same_arrays_in_another_order_are_refused(tmp_path):
    inputs = keras.Input((8, 8, 4))
    first, second = keras.layers.Conv2D(4, 3), keras.layers.Conv2D(4, 1)
    there = keras.Model(inputs, second(first(inputs)))
    back = keras.Model(inputs, keras.layers.Conv2D(4, 3)(keras.layers.Conv2D(4, 1)(inputs)), name="back")
    published(there, tmp_path / "there.h5")
    with pytest.raises(MachineRefusal, match="does not load into back"):
        weights.load_weights(back, tmp_path / "there.h5")


def test_what_a_training_left_beside_the_weights_is_passed_over(tmp_path):
    source, target = tiny(1), tiny(2)
    source.compile("adam", "mse")
    source.train_on_batch(np.ones((1, 8, 8, 3)), np.ones((1, 6, 6, 2)))
    source.save_weights(tmp_path / "trained.weights.h5")
    weights.load_weights(target, tmp_path / "trained.weights.h5")
    np.testing.assert_array_equal(source.get_weights()[0], target.get_weights()[0])


PATCHES = np.random.default_rng(0).integers(0, 256, (2, 96, 96, 3), dtype="uint8")


def attach(backbone: str, monkeypatch, tmp_path: Path) -> tuple[keras.Model, Path]:
    """A plain application with weights of its own, and where its published file would lie in an attached folder."""
    monkeypatch.setenv("HISTOBLEND_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setattr("histoblend.models.weights.has_internet", lambda: False)
    keras.utils.set_random_seed(11)
    source = APPLICATIONS[backbone](include_top=False, weights=None, input_shape=(96, 96, 3))
    standardise(source)
    folder = tmp_path / "owner" / "dataset"
    folder.mkdir(parents=True)
    return source, folder / weights.weights_file_name(backbone, 96)


def body_of(model: keras.Model) -> keras.Model:
    return next(layer for layer in model.layers if isinstance(layer, keras.Model))


SLOW_ROWS = [
    pytest.param(name, marks=pytest.mark.slow)
    for name, row in NETWORKS.items()
    if "backbone" in row.fixed and name != "mobilenet_v2"
]


@pytest.mark.parametrize("row", ["mobilenet_v2", *SLOW_ROWS])
def test_from_an_attached_file_to_the_same_features(row, monkeypatch, tmp_path):
    """Saved as published, found, loaded, rebuilt: the features are those of the plain application."""
    backbone = NETWORKS[row].fixed["backbone"]
    source, path = attach(backbone, monkeypatch, tmp_path)
    published(source, path)
    body = body_of(build_network(row, {}, Problem()))
    pixels = np.random.default_rng(0).normal(size=(1, 96, 96, 3)).astype("float32")
    if backbone.startswith("efficientnet_"):  # its own second division comes only with weights="imagenet"
        inner = keras.Model(source.get_layer("stem_conv_pad").output, source.output)
        mean, deviation = np.array(IMAGENET_MEAN), np.array(IMAGENET_DEVIATION)
        pixels = pixels * 50 + 128
        padded = np.pad((pixels / 255 - mean) / deviation, ((0, 0), (0, 1), (0, 1), (0, 0)))
        expected = np.asarray(inner(padded.astype("float32")))
    else:
        expected = np.asarray(source(pixels))
    np.testing.assert_allclose(body(pixels), expected, atol=1e-4 * np.abs(expected).max())


def test_a_keras_3_file_named_in_the_experiment(monkeypatch, tmp_path):
    source, _ = attach("mobilenet_v2", monkeypatch, tmp_path)
    source.save_weights(tmp_path / "mine.weights.h5")
    model = build_network("mobilenet_v2", {"weights": str(tmp_path / "mine.weights.h5")}, Problem())
    for one, other in zip(source.get_weights(), body_of(model).get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_without_weights_anywhere_it_refuses_rather_than_start_at_random(monkeypatch, tmp_path):
    attach("mobilenet_v2", monkeypatch, tmp_path)
    with pytest.raises(MachineRefusal, match="mobilenet_v2_weights"):
        build_network("mobilenet_v2", {}, Problem())
    build_network("mobilenet_v2", {}, Problem(), pretrained=False)


@pytest.mark.parametrize("fault", ["a page", "short", "with its top"])
def test_a_wrong_file_stops_the_run_before_its_first_task(fault, monkeypatch, tmp_path):
    """The preflight loads what lies on this machine: no hour of training is lost, nothing starts at random."""
    source, path = attach("mobilenet_v2", monkeypatch, tmp_path)
    if fault == "with its top":
        vector = keras.layers.GlobalAveragePooling2D()(source.output)
        published(keras.Model(source.input, keras.layers.Dense(10)(vector)), path)
    elif fault == "short":
        published(source, path)
        shorten(path)
    else:
        FAULTS[fault][0](path)
    experiment = Experiment(name="one", network="mobilenet_v2")
    with pytest.raises(MachineRefusal, match=FAULTS[fault][1]) as refusal:
        plan_work([experiment], 1, (100, 10), 5, (96, 2))
    assert str(path) in refusal.value.found
