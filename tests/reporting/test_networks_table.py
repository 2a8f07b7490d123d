"""The table of networks for a terminal."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from histoblend.models.facts import Facts, Stage
from histoblend.models.registry import NETWORKS
from histoblend.reporting.networks_table import (
    amount,
    described,
    printed_head,
    printed_networks,
    printed_settings,
    printed_stages,
    seen,
)


def printed(*renderables: object, width: int = 100) -> str:
    stream = io.StringIO()
    console = Console(file=stream, width=width, highlight=False)
    for one in renderables:
        console.print(one)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "—"), (0, "0"), (900, "900"), (38_700, "38.7k"), (99_960, "100k"), (295_217, "295k"),
     (25_600_000, "25.6M"), (3_860_000_000, "3.9G")],
)  # fmt: skip
def test_amounts_are_short(value: int | None, text: str):
    assert amount(value) == text


def test_the_table_fits_100_columns_and_cuts_nothing():
    """With the longest names there are, every network and every experiment's whole name."""
    rows = [Facts(name, 224, 25_600_000, 3_860_000_000, None, 12) for name in NETWORKS]
    users = {"densenet121": ["efficientnetv2_b0_224", "mini_vgg_colour"]}
    text = printed(printed_networks(rows, users))
    assert max(map(len, text.splitlines())) <= 100
    assert all(name in text for name in NETWORKS)
    assert all(row.family in text for row in NETWORKS.values())
    assert "mini_vgg_colour" in text and "…" not in text
    assert "25.6M" in text and "3.9G" in text and "12x12" in text and "whole" in text


def test_a_yardstick_has_dashes_and_a_small_field_its_pixels():
    assert seen(Facts("texture_hgb", 96)) == "—"
    assert seen(Facts("small_vgg", 96, 1, 1, 68, 12)) == "68"


def test_one_network_in_detail():
    facts = Facts("small_vgg", 96, 295_217, 120_766_720, 68, 12, (Stage(96, 16, 5, 100), Stage(1, 1, 3, 0)))
    text = printed(*printed_head(facts, ["mini_vgg"]), printed_settings("small_vgg"), printed_stages(facts))
    assert "depends on 68x68 pixels" in text and "mini_vgg" in text
    for name, field in NETWORKS["small_vgg"].settings.model_fields.items():
        assert name in text and (field.description or "").split(".")[0].split()[0] in text
    assert "vector" in text
    whole = Facts("small_vit", 96, 1, 1, None, 12)
    assert "depends on the whole patch" in printed(*printed_head(whole, []))


def test_json_holds_the_figures_and_the_parameters():
    facts = Facts("small_vgg", 96, 295_217, 120_766_720, 68, 12, (Stage(96, 16, 5, 100),))
    content = json.loads(json.dumps(described(facts, ["mini_vgg"])))
    assert content["field"] == 68 and content["experiments"] == ["mini_vgg"]
    assert content["settings"]["depths"] == {
        "default": [2, 2, 2, 2],
        "meaning": NETWORKS["small_vgg"].settings.model_fields["depths"].description,
    }
    assert content["stages"][0]["cells"] == 96
