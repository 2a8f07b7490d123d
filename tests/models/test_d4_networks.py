"""Networks of the group D4: every map turns with the patch, the logit stays; they learn and survive a round trip."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import keras
import numpy as np
import pytest
from keras import ops

from histoblend.config_experiment import Experiment
from histoblend.data.views import ALL_VIEWS, apply_view
from histoblend.errors import ConfigRefusal
from histoblend.execution import preflight
from histoblend.models import parameters as declared
from histoblend.models.dihedral import transformed_map
from histoblend.models.dihedral_fold import folded_model
from histoblend.models.dihedral_layers import DihedralConvolution, GroupPooling
from histoblend.models.problem import Problem
from histoblend.models.registry import NETWORKS, build_network, check_network
from histoblend.models.summary import count_macs

SIDE = 24
PATCHES = np.random.default_rng(0).integers(0, 256, (2, SIDE, SIDE, 3), dtype="uint8")
RESNET = {"stem": "full", "fields": [2, 4], "blocks": [1, 1]}
DENSENET = {"growth": 2, "blocks": [1, 2]}
TINY = [
    ("d4_resnet", RESNET),
    ("d4_resnet", {**RESNET, "stem": "halved", "orientations": "max"}),
    ("d4_resnet", {**RESNET, "normalisation": "none", "crop": 16}),
    ("d4_densenet", DENSENET),
    ("d4_densenet", {**DENSENET, "stem": "halved", "normalisation": "none", "head": "centre_max"}),
]


@pytest.fixture(autouse=True)
def policy() -> Iterator[None]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    yield
    keras.config.set_dtype_policy(before)


def built(name: str, parameters: dict[str, Any], precision: str = "float32") -> keras.Model:
    """The network, its normalisations uneven and with the statistics of its maps."""
    keras.config.set_dtype_policy(precision)
    keras.utils.set_random_seed(1)
    model = build_network(name, parameters, Problem(SIDE, parameters.get("crop", SIDE)))
    generator = np.random.default_rng(2)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.gamma.assign(generator.uniform(0.5, 1.5, layer.gamma.shape))
            layer.beta.assign(generator.normal(0, 0.3, layer.beta.shape))
            layer.momentum = 0.0
    model(PATCHES, training=True)
    return model


def maps_of_the_group(model: keras.Model) -> list[Any]:
    """Outputs of all layers from the lifting convolution to the pooling over orientations."""
    names = [layer.name for layer in model.layers]
    last = min(number for number, layer in enumerate(model.layers) if isinstance(layer, GroupPooling))
    return [layer.output for layer in model.layers[names.index("lift") : last]]


def deviations(model: keras.Model) -> tuple[float, float]:
    """Largest relative deviation over the views of any map of the group, and of the logit."""
    probe = keras.Model(model.input, [*maps_of_the_group(model), model.output])

    def outputs(patches: np.ndarray) -> list[np.ndarray]:
        return [np.asarray(ops.cast(one, "float64")) for one in probe(patches, training=False)]

    *maps, logit = outputs(PATCHES)
    assert len(maps) >= 8
    of_maps, of_logit = 0.0, 0.0
    for view in ALL_VIEWS:
        *seen, logit_seen = outputs(apply_view(PATCHES, view))
        for one, other in zip(maps, seen, strict=True):
            of_maps = max(of_maps, np.abs(transformed_map(one, view) - other).max() / np.abs(one).max())
        of_logit = max(of_logit, np.abs(logit - logit_seen).max() / np.abs(logit).max())
    return of_maps, of_logit


@pytest.mark.parametrize(("name", "parameters"), TINY)
def test_every_map_turns_with_the_patch_and_the_logit_stays(name: str, parameters: dict[str, Any]) -> None:
    of_maps, of_logit = deviations(built(name, parameters, "float64"))
    assert of_maps < 1e-9
    assert of_logit < 1e-9


@pytest.mark.parametrize(("name", "parameters"), [TINY[0], TINY[3]])
def test_in_float32_the_logit_stays_to_a_ten_thousandth(name: str, parameters: dict[str, Any]) -> None:
    assert deviations(built(name, parameters))[1] < 1e-4


@pytest.mark.parametrize("fold", [False, True])
@pytest.mark.parametrize("stem", ["full", "halved"])
@pytest.mark.parametrize("input_size", [16, 32])
def test_the_logit_stays_where_the_patch_is_resized(input_size: int, stem: str, fold: bool) -> None:
    keras.utils.set_random_seed(1)
    model = build_network("d4_resnet", {**RESNET, "stem": stem}, Problem(SIDE, input_size))
    model(PATCHES, training=True)
    shown = folded_model(model) if fold else model
    logit = shown.predict_on_batch(PATCHES)
    seen = [shown.predict_on_batch(apply_view(PATCHES, view)) for view in ALL_VIEWS]
    assert max(np.abs(one - logit).max() for one in seen) < 1e-4 * np.abs(logit).max()


@pytest.mark.parametrize(("name", "parameters"), [TINY[0], TINY[3]])
def test_in_bfloat16_to_a_hundredth(name: str, parameters: dict[str, Any]) -> None:
    of_maps, of_logit = deviations(built(name, parameters, "mixed_bfloat16"))
    assert of_maps < 3e-2 and of_logit < 1e-2


@pytest.mark.parametrize("head", [head for head in get_args(declared.Head) if head != "flatten"])
def test_the_logit_stays_under_every_head(head: str) -> None:
    assert deviations(built("d4_resnet", {**RESNET, "head": head}, "float64"))[1] < 1e-9


def test_an_ordinary_network_would_be_noticed() -> None:
    model = build_network("small_resnet", {"widths": [4], "blocks": [1]}, Problem(SIDE, SIDE))
    said = [model.predict_on_batch(apply_view(PATCHES, view)) for view in (0, 1)]
    assert np.abs(said[0] - said[1]).max() > 1e-3


@pytest.mark.parametrize("name", ["d4_resnet", "d4_densenet"])
def test_heads_that_are_not_invariant_are_refused_without_keras(name: str) -> None:
    with pytest.raises(ConfigRefusal, match="head flatten reads every cell at a place of its own"):
        check_network(name, {"head": "flatten"})


@pytest.mark.parametrize(
    ("name", "parameters", "input_size"),
    [("d4_resnet", {"fields": [2, 2, 2], "blocks": [1, 1, 1]}, 50), ("d4_densenet", {}, 100),
     ("d4_resnet", {**RESNET, "stem": "halved"}, 27)],
)  # fmt: skip
def test_maps_that_cannot_be_halved_are_refused(
    name: str, parameters: dict[str, Any], input_size: int
) -> None:
    with pytest.raises(ConfigRefusal, match=r"on a map of (25|27) cells do not fall onto themselves"):
        build_network(name, parameters, Problem(96, input_size))


def test_a_crop_beside_the_middle_is_refused() -> None:
    with pytest.raises(ConfigRefusal, match="the middle of patches of 27 pixels"):
        build_network("d4_resnet", {**RESNET, "crop": 16}, Problem(27, 16))


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize(("name", "parameters"), [TINY[0], TINY[3]])
def test_steps_lower_the_loss_and_are_repeated_bit_for_bit(
    name: str, parameters: dict[str, Any], precision: str
) -> None:
    runs = []
    for _ in range(2):
        keras.config.set_dtype_policy(precision)
        keras.utils.set_random_seed(3)
        model = build_network(name, {**parameters, "dropout": 0.0}, Problem(SIDE, SIDE))
        model.compile(keras.optimizers.Adam(1e-2), keras.losses.BinaryCrossentropy(from_logits=True))
        labels = np.array([[0.0], [1.0]], "float32")
        losses = [float(model.train_on_batch(PATCHES, labels)) for _ in range(6)]  # each the mean so far
        assert losses[-1] < 0.8 * losses[0]
        runs.append(model.get_weights())
    assert all(np.array_equal(one, other) for one, other in zip(*runs, strict=True))


@pytest.mark.parametrize(("name", "parameters"), [TINY[0], TINY[3]])
def test_weights_survive_a_rebuild(name: str, parameters: dict[str, Any], tmp_path: Path) -> None:
    model = built(name, parameters)
    model.save_weights(tmp_path / "model.weights.h5")
    again = build_network(name, parameters, Problem(SIDE, SIDE))
    again.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(model.predict_on_batch(PATCHES), again.predict_on_batch(PATCHES))


def test_the_densenet_is_as_large_as_published_but_for_what_it_says() -> None:
    model = build_network("d4_densenet", {"head": "gap"}, Problem())
    trained = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    assert trained == 123_400
    assert trained / 119_000 == pytest.approx(1.037, abs=5e-4)  # the deviation its docstring tells


def test_the_resnet_costs_what_the_ordinary_one_of_as_many_channels_does() -> None:
    layout = {"stem": "full", "fields": [2, 4, 8, 16], "blocks": [1, 1, 1, 1]}
    ours = build_network("d4_resnet", layout, Problem())
    plain = build_network("small_resnet", {}, Problem())
    assert count_macs(ours) == pytest.approx(count_macs(plain), rel=1e-3)
    assert ours.count_params() == pytest.approx(plain.count_params() / 8, rel=2e-2)


@pytest.mark.parametrize(("views", "shown"), [(None, 1), (8, 8), (1, 1)])
def test_one_view_is_chosen_by_itself_unless_the_experiment_says_otherwise(
    views: int | None, shown: int
) -> None:
    content = {"name": "one", "network": {"name": "d4_resnet", **RESNET}, "views": views}
    experiment = Experiment.model_validate(content)
    assert experiment.views_shown(4) == shown
    (planned,) = preflight.plan_work([experiment], 4, (40, 20), 2, (SIDE, 2))
    assert planned.views == shown
    assert planned.work.predicted_patches == (20 + 20) * shown


def test_other_networks_take_the_views_of_the_plan() -> None:
    assert Experiment.model_validate({"name": "one", "network": "small_resnet"}).views_shown(4) == 4
    assert {name for name, row in NETWORKS.items() if row.invariant} == {"d4_resnet", "d4_densenet"}


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="looks into TensorFlow's graph")
def test_kernels_are_expanded_once_in_a_training_step() -> None:
    """One product there and one back for each convolution; the rest are the last layer's."""
    import tensorflow as tf

    model = build_network("d4_resnet", RESNET, Problem(SIDE, SIDE))

    @tf.function(autograph=False)
    def step(patches: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(model(patches, training=True))
        return tape.gradient(loss, [one.value for one in model.trainable_variables])

    operations = step.get_concrete_function(tf.constant(PATCHES)).graph.get_operations()
    convolutions = sum(isinstance(layer, DihedralConvolution) for layer in model.layers)
    of_last_layer = 3  # its output, the gradients of its input and of its kernel
    assert sum(one.type == "MatMul" for one in operations) == 2 * convolutions + of_last_layer
