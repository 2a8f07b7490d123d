"""What is asked of `assets push`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class AssetsRequest:
    """What the user typed.

    Attributes:
        plan: whose pretrained weights are sent; else that of configs/kaggle.yaml.
        slide_map: else the one beside the data.
        output: an output folder whose tasks go along; none goes along else.
        dry_run: only say what would be sent.
        remove: files that the dataset holds and that are not sent may go.
    """

    plan: str | None = None
    slide_map: Path | None = None
    output: Path | None = None
    dry_run: bool = False
    remove: bool = False
