"""The registry of networks for a terminal of 100 columns: a table of all, or one in detail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table

from histoblend.models.registry import Network, find_network

if TYPE_CHECKING:
    from histoblend.models.facts import Facts

DASH = "—"
# Two lines where words stand, so that the table fits 100 columns.
HEADINGS = {
    "network\nfamily": "left",
    "input": "right",
    "params": "right",
    "MACs": "right",
    "field": "right",
    "cells": "right",
    "normalisation\nweights": "left",
    "experiments": "left",
}
EXPERIMENTS_WIDTH = 20
CAPTION = (
    "input: side in pixels at which the network sees the patch; params, MACs (multiply-accumulates of\n"
    "one patch) and cells (of the last map) at that size. field: side in pixels of the square of the\n"
    "96x96 patch that one of these cells depends on. normalisation: what pixels 0-255 become.\n"
    "weights: imagenet where published ones can be the start."
)


def amount(value: int | None) -> str:
    """``291k``, ``25.6M``, ``3.9G``; a dash for None."""
    if value is None:
        return DASH
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= size:
            scaled = value / size
            return f"{scaled:.1f}{unit}" if scaled < 99.95 else f"{scaled:.0f}{unit}"
    return str(value)


def seen(facts: Facts) -> str:
    """The receptive field: pixels, or ``whole``."""
    if facts.macs is None:
        return DASH
    return "whole" if facts.field is None else str(facts.field)


def map_size(facts: Facts) -> str:
    """``12x12``; a dash where there is no map."""
    return f"{facts.cells}x{facts.cells}" if facts.cells else DASH


def printed_networks(rows: Sequence[Facts], users: Mapping[str, Sequence[str]]) -> Table:
    """A row a network; `users` are the experiments of each."""
    table = _plain_table("Networks")
    table.caption, table.caption_justify = CAPTION, "left"
    for heading, side in HEADINGS.items():
        width = EXPERIMENTS_WIDTH if heading == "experiments" else None
        table.add_column(
            heading, justify="left" if side == "left" else "right", overflow="fold", max_width=width
        )
    for facts in rows:
        row = find_network(facts.name)
        figures = [str(facts.input_size), amount(facts.parameters), amount(facts.macs)]
        shown = [*figures, seen(facts), map_size(facts)]
        words = [f"{_normalisation(row)}\n{_weights(row)}", "\n".join(users.get(facts.name, ()))]
        table.add_row(f"{facts.name}\n  {row.family}", *shown, *words)
    return table


def _normalisation(row: Network) -> str:
    return row.normalisation if row.kind == "keras" else DASH


def _weights(row: Network) -> str:
    return row.weights if row.kind == "keras" else DASH


def described(facts: Facts, users: Sequence[str]) -> dict[str, Any]:
    """One network as plain data, for JSON."""
    row = find_network(facts.name)
    fields = row.settings.model_fields
    defaults = row.settings().model_dump(mode="json")
    return {
        "description": row.description,
        "family": row.family,
        "kind": row.kind,
        "normalisation": row.normalisation if row.kind == "keras" else None,
        "weights": row.weights if row.kind == "keras" else None,
        "experiments": list(users),
        "settings": {
            name: {"default": defaults[name], "meaning": field.description} for name, field in fields.items()
        },
        **asdict(facts),
    }


def printed_head(facts: Facts, users: Sequence[str]) -> list[str]:
    """One network in a few lines."""
    row = find_network(facts.name)
    lines = [
        f"{facts.name}: {row.description}",
        f"Family {row.family}; experiments: {', '.join(users) or 'none'}.",
    ]
    if row.kind != "keras":
        return lines
    size = "" if facts.field is None else f"x{facts.field}"
    return [
        *lines,
        f"{amount(facts.parameters)} parameters; {amount(facts.macs)} multiply-accumulates a patch at "
        f"{facts.input_size} pixels.",
        f"A cell of the last map ({map_size(facts)}) depends on {seen(facts)}{size} pixels of the 96x96 patch."
        if facts.field is not None
        else f"A cell of the last map ({map_size(facts)}) depends on the whole patch.",
        f"Pixels 0-255 become {row.normalisation}, once. Weights: {row.weights}.",
    ]


def printed_settings(name: str) -> Table:
    """The parameters of a network, their defaults and what they mean."""
    table = _plain_table("Parameters (network: {name: ..., parameter: value} in an experiment)")
    for heading in ("parameter", "default", "meaning"):
        table.add_column(heading, overflow="fold")
    settings = find_network(name).settings
    for key, field in settings.model_fields.items():
        table.add_row(key, str(settings().model_dump(mode="json")[key]), field.description or "")
    return table


def printed_stages(facts: Facts) -> Table:
    """The network from its input to its logits, a row for each size of its maps."""
    table = _plain_table("Layers, by the size of the maps they put out")
    for heading in ("cells", "channels", "layers", "MACs", "share"):
        table.add_column(heading, justify="right")
    for stage in facts.stages:
        share = f"{stage.macs / max(facts.macs or 0, 1):.0%}"
        size = "vector" if stage.cells == 1 else str(stage.cells)
        table.add_row(size, str(stage.channels), str(stage.layers), amount(stage.macs), share)
    return table


def _plain_table(title: str) -> Table:
    return Table(
        title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False
    )
