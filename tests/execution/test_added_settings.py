"""What an output that is older than a setting means by its silence."""

from __future__ import annotations

from typing import Any

from histoblend.config_experiment import Experiment
from histoblend.execution.added_settings import ADDED, with_added
from histoblend.execution.records import NOT_IDENTITY, flattened
from histoblend.models.registry import NETWORKS, check_network

# What every record holds since there are outputs to go on with, as it was then: never to be added to.
FROM_THE_START = {
    "input_size",
    "augmentation",
    "precision",
    "seed",
    "views",
    "optimizer.name",
    "optimizer.learning_rate",
    "optimizer.momentum",
    "optimizer.nesterov",
    "optimizer.weight_decay",
    "optimizer.clip_norm",
    "schedule.name",
    "schedule.warmup",
    "schedule.final",
    "schedule.factor",
    "schedule.milestones",
    "schedule.patience",
    "training.epochs",
    "training.batch_size",
    "training.samples_per_epoch",
    "training.balanced",
    "training.label_smoothing",
    "training.class_weight",
    "training.ema",
    "training.selection",
    "training.inner_fraction",
    "training.stop_patience",
    "training.normalisation_statistics",
    "training.tensorboard",
    "training.save_model",
}
# The parameters that each network had when it came.
NETWORKS_FROM_THE_START = {
    "widths dense dropout normalisation activation crop": """
        course_cnn
    """,
    "head crop dropout normalisation activation widths depths": """
        small_vgg
    """,
    "head crop dropout normalisation activation widths blocks attention": """
        small_resnet
    """,
    "patch width depth attention_heads drop_path head crop dropout": """
        small_vit
    """,
    "head crop dropout normalisation activation widths depths shrink centre_widths centre_depths centre_head": """
        two_stream
    """,
    "head crop dropout normalisation activation stem orientations fields blocks": """
        d4_resnet
    """,
    "head crop dropout normalisation activation stem orientations growth blocks": """
        d4_densenet
    """,
    "weights head crop dropout": """
        densenet121 efficientnet_b0 efficientnetv2_b0 resnet50 resnet50v2 convnext_tiny xception
        mobilenet_v2 mobilenet_v3_large vgg16 nasnet_mobile
    """,
    "weights stem_stride head crop dropout": """
        densenet169 efficientnet_b3 efficientnetv2_s se_resnet50 cbam_resnet50
    """,
    "learning_rate iterations leaves samples_per_leaf l2 feature_share": """
        texture_hgb
    """,
}


def settings() -> dict[str, Any]:
    dumped = Experiment.model_validate({"name": "", "network": "small_vgg"}).model_dump(mode="json")
    return {key: value for key, value in dumped.items() if key not in {*NOT_IDENTITY, "network"}}


def test_every_setting_that_came_later_says_what_it_was_before():
    later = flattened(settings()).keys() - FROM_THE_START
    assert later == {key for key in ADDED if not key.startswith("network.")}


def test_every_parameter_that_a_network_got_later_says_what_it_was_before():
    born = {name: keys.split() for keys, names in NETWORKS_FROM_THE_START.items() for name in names.split()}
    assert born.keys() == NETWORKS.keys()  # of a new network: as it is now
    for name, keys in born.items():
        later = check_network(name, {}).model_dump(mode="json").keys() - set(keys)
        assert {f"network.{key}" for key in later} <= ADDED.keys(), name


def test_a_setting_that_came_later_is_added_where_the_network_has_it():
    old = {"training": {"epochs": 2}, "network": {"name": "resnet50"}}
    fresh = {"training": {"epochs": 3, "mixup": 0.5}, "network": {"name": "resnet50", "stem_stride": 2}}
    assert with_added(old, fresh) == {
        "training": {"epochs": 2, "mixup": 0.0}, "network": {"name": "resnet50", "stem_stride": 4},
    }  # fmt: skip
    assert with_added({"network": {}}, {"network": {"crop": 64}}) == {"network": {}}
