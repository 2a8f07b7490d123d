"""The folder that is handed to the client: links to the files, the packed output, manifest and metadata.

It has the same place and the same times at each try, so that the client goes on with uploads that broke off.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from histoblend.errors import MachineRefusal
from histoblend.kaggle.assets.earlier import write_tar
from histoblend.kaggle.assets.manifest import Manifest
from histoblend.kaggle.dataset_calls import METADATA
from histoblend.kaggle.datasets import Dataset
from histoblend.workspace import nearest_existing, storage_errors, write_json, write_text

SPARE = 64 * 2**20
SAME_TIME = 1_500_000_000  # of files made here: the client takes a file of another time for another one


def stage(manifest: Manifest, metadata: dict[str, Any], folder: Path) -> None:
    """Fill `folder` with what is to be sent, and nothing else.

    Raises:
        MachineRefusal: there is no room for the packed output.
    """
    check_room(manifest, folder)
    shutil.rmtree(folder, ignore_errors=True)
    with storage_errors(folder):
        folder.mkdir(parents=True)
        for asset in manifest.assets:
            if asset.members:
                write_tar(asset, folder / asset.name)
                os.utime(folder / asset.name, (SAME_TIME, SAME_TIME))
            else:
                _link(asset.source, folder / asset.name)
        write_text(folder / manifest.name, manifest.text)
        os.utime(folder / manifest.name, (SAME_TIME, SAME_TIME))
        write_json(folder / METADATA, metadata)


def metadata_of(dataset: Dataset) -> dict[str, Any]:
    """dataset-metadata.json: the licence is that of nobody in particular, since the files come from several hands."""
    return {
        "id": dataset.ref,
        "title": dataset.slug.replace("-", " ").capitalize(),
        "licenses": [{"name": "other"}],
        "subtitle": "What a histoblend session without internet needs",
    }


def check_room(manifest: Manifest, folder: Path) -> None:
    """Refuse where the disk has no room for what is packed; all else is linked.

    Raises:
        MachineRefusal: it has not.
    """
    needed = sum(asset.size for asset in manifest.assets if asset.members) + SPARE
    free = shutil.disk_usage(nearest_existing(folder)).free
    if free < needed:
        raise MachineRefusal(
            f"{folder} has room for {free / 2**20:,.0f} MiB, and the packed output needs {needed / 2**20:,.0f} MiB.",
            "room for one copy of what is sent of the output folder",
            "free some space, or name an --output on another disk.",
        )


def _link(source: Path, to: Path) -> None:
    try:
        to.symlink_to(source.resolve())
    except OSError:  # Windows without the right to make links
        shutil.copy2(source, to)
