"""Figures of the registry's rows."""

from __future__ import annotations

import re

import pytest

from histoblend.models.facts import network_facts
from histoblend.models.registry import NETWORKS


def test_stages_add_up_to_the_whole():
    facts = network_facts("small_resnet", {"attention": True})
    assert sum(stage.macs for stage in facts.stages) == facts.macs
    assert [stage.cells for stage in facts.stages] == [96, 48, 24, 12, 4, 1]
    assert facts.field is None  # attention


def test_what_is_no_network_has_no_figures():
    facts = network_facts("texture_hgb")
    assert facts.macs is None and facts.parameters is None and not facts.stages


def test_the_input_size_counts():
    small, large = network_facts("small_vgg", None, 48), network_facts("small_vgg", None, 96)
    assert small.parameters == large.parameters
    assert (small.macs or 0) * 3.9 < (large.macs or 0) < (small.macs or 0) * 4.1
    assert (large.field, small.field) == (68, None)  # the patch enters at 96; a cell of 48 sees twice as much


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_every_row_can_be_counted(name: str):
    facts = network_facts(name)
    if told := re.search(r"(\d*)(\.\d+)?M parameters", NETWORKS[name].description):
        unit = 0.1 ** len((told[2] or ".")[1:])
        assert float(told[0].split("M")[0]) == pytest.approx((facts.parameters or 0) / 1e6, abs=0.51 * unit)
    if NETWORKS[name].kind == "keras":
        assert (facts.macs or 0) > 1e7 and (facts.cells or 0) >= 3
