"""Every backbone row has the published number of parameters, at its published input and with 1,000 classes.

`published` is what its paper's code trains (torchvision and timm print it). Keras's own totals add the moving
statistics of batch normalisation. Where a row differs from what was published, the difference has its reason.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest

from histoblend.models.problem import Problem
from histoblend.models.registry import NETWORKS, build_network
from histoblend.models.summary import count_parameters

CONVOLUTION_BIASES = 26_560  # keras.applications' ResNet50 has biases before its normalisations
SPATIAL_GATES = 16 * (7 * 7 * 2 + 2)


@dataclass(frozen=True)
class Published:
    """Published numbers of one network and what sets the row apart from them."""

    side: int
    published: int
    total: int
    """As keras.applications counts it, moving statistics included; 0 where it has no such network."""
    difference: int = 0
    reason: str = ""


COUNTS = {
    "densenet121": Published(224, 7_978_856, 8_062_504),
    "densenet169": Published(224, 14_149_480, 14_307_880),
    "efficientnet_b0": Published(224, 5_288_548, 5_330_571),
    "efficientnet_b3": Published(300, 12_233_232, 12_320_535),
    "efficientnetv2_b0": Published(224, 7_139_704, 7_200_312),
    "efficientnetv2_s": Published(384, 21_458_488, 21_612_360),
    "resnet50": Published(224, 25_557_032, 25_636_712, CONVOLUTION_BIASES, "biases of the convolutions"),
    "resnet50v2": Published(
        224,
        25_549_352,
        25_613_800,
        19_008,
        "biases of the first convolution, shortcuts, each block's last convolution",
    ),
    "se_resnet50": Published(224, 28_088_024, 0, CONVOLUTION_BIASES, "biases of the convolutions"),
    "cbam_resnet50": Published(
        224, 28_088_024 + SPATIAL_GATES, 0, CONVOLUTION_BIASES, "biases of the convolutions"
    ),
    "convnext_tiny": Published(224, 28_589_128, 28_589_128),
    "xception": Published(299, 22_855_952, 22_910_480),
    "mobilenet_v2": Published(224, 3_504_872, 3_538_984),
    "mobilenet_v3_large": Published(
        224,
        5_483_032,
        5_507_432,
        960 * 1000 - 960 * 1280 - 1280 - 1280 * 1000,
        "our head follows the last convolution at once, without the hidden layer of 1,280",
    ),
    "vgg16": Published(
        224,
        138_357_544,
        138_357_544,
        512 * 1000 - (7 * 7 * 512 * 4096 + 4096) - (4096 * 4096 + 4096) - 4096 * 1000,
        "our head pools where VGG flattens into two layers of 4,096",
    ),
    "nasnet_mobile": Published(224, 5_289_978, 5_326_716),
}
QUICK = ("mobilenet_v2", "mobilenet_v3_large", "vgg16")


def test_every_backbone_row_is_counted():
    assert set(COUNTS) == {name for name, row in NETWORKS.items() if "backbone" in row.fixed}


@pytest.mark.parametrize(
    "name", [pytest.param(one, marks=[] if one in QUICK else [pytest.mark.slow]) for one in COUNTS]
)
def test_published_count(name):
    row = COUNTS[name]
    settings = {"weights": "none", "head": "gap"}
    model = build_network(name, settings, Problem(row.side, row.side, 1000))
    trained = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    assert trained == row.published + row.difference
    assert bool(row.difference) == bool(row.reason)
    if row.total:
        assert count_parameters(model) == row.total + (row.difference if trained < row.published else 0)
