"""Pretrained weights are found in the order a user expects, or refused by name; never random unasked."""

from __future__ import annotations

from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from histoblend.errors import ConfigRefusal, MachineRefusal
from histoblend.models import weights
from histoblend.models.backbones import APPLICATIONS
from histoblend.models.registry import NETWORKS
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
            names = [f"{layer.name}/{number}".encode() for number in range(len(layer.weights))]
            group.attrs["weight_names"] = names
            for name, weight in zip(names, layer.weights, strict=True):
                group.create_dataset(name.decode(), data=weight.numpy())


@pytest.mark.parametrize("name", ["tiny_notop.h5", "tiny.weights.h5"])
def test_both_formats_load(tmp_path, name):
    source, target = tiny(1), tiny(2)
    published(source, tmp_path / name) if name.endswith("top.h5") else source.save_weights(tmp_path / name)
    weights.load_weights(target, tmp_path / name)
    for one, other in zip(source.get_weights(), target.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_damaged_or_foreign_file_is_refused(tmp_path):
    (tmp_path / "damaged.weights.h5").write_bytes(b"not hdf5")
    with pytest.raises(MachineRefusal, match="does not load"):
        weights.load_weights(tiny(0), tmp_path / "damaged.weights.h5")
    other = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    other.save_weights(tmp_path / "other.weights.h5")
    with pytest.raises(MachineRefusal, match="does not load"):
        weights.load_weights(tiny(0), tmp_path / "other.weights.h5")
