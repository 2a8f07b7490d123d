"""What is sent to Kaggle: the script and what is said about it."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from histoblend import __version__
from histoblend.kaggle.kernel.metadata import METADATA, SCRIPT
from histoblend.reporting.progress import Display
from histoblend.workspace import write_json, write_text

FINGERPRINT = re.compile(r"^# Version .*, fingerprint ([0-9a-f]{12})\.", re.MULTILINE)


def fingerprint_of(script: str) -> str:
    """The fingerprint of package and configs in a script's header; empty where it has none."""
    found = FINGERPRINT.search(script)
    return found[1] if found else ""


@dataclass(frozen=True)
class Parcel:
    """What is sent."""

    plan: str
    settings: tuple[str, ...]
    script: str
    metadata: dict[str, Any]

    @property
    def hash(self) -> str:
        """SHA-256 of the script."""
        return hashlib.sha256(self.script.encode()).hexdigest()

    def write(self, folder: Path) -> None:
        """Put script and metadata into `folder`, as the client wants them."""
        write_text(folder / SCRIPT, self.script)
        write_json(folder / METADATA, self.metadata)


def introduce(parcel: Parcel, display: Display) -> None:
    """Say what is sent."""
    meant = parcel.metadata
    size = len(parcel.script.encode())
    display.tell(
        f"{meant['id']}: plan {parcel.plan}{''.join(f' --set {one}' for one in parcel.settings)}, histoblend "
        f"{__version__}, script of {size:,} bytes (fingerprint {fingerprint_of(parcel.script)}), "
        f"{'private' if meant['is_private'] else 'PUBLIC'}, machine {meant.get('machine_shape', 'without a GPU')}, "
        f"internet {'on' if meant['enable_internet'] else 'off'}."
    )
    mounted = [*meant["competition_sources"], *meant["dataset_sources"], *meant["kernel_sources"]]
    display.tell(f"Mounted there: {', '.join(mounted)}.")
