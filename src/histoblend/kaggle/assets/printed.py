"""What would be sent, as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich import box
from rich.table import Table

from histoblend.kaggle.assets.manifest import Asset, Manifest


def printed_assets(manifest: Manifest, missing: Mapping[str, Sequence[str]]) -> Table:
    """Kind, name, size and use of each file; `missing` are fetched before they are sent. Hashes: in the manifest."""
    table = Table(
        title="Assets of the session", title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0)
    )
    for name in ("what", "file", "MiB", "for"):
        table.add_column(name, justify="right" if name == "MiB" else "left", overflow="fold")
    for asset in manifest.assets:
        table.add_row(asset.kind, asset.name, f"{asset.size / 2**20:,.2f}", asset.note)
    for name, experiments in missing.items():
        table.add_row("weights, fetched by Keras", name, "?", ", ".join(experiments))
    if not missing:
        table.add_row(
            "manifest", manifest.name, f"{len(manifest.text) / 2**20:,.2f}", "sizes and sha256 of all"
        )
    return table


def folder_of(asset: Asset) -> str:
    """Where it comes from: the folder that holds it, or that is packed into it."""
    return str(asset.source if asset.members else asset.source.parent)
