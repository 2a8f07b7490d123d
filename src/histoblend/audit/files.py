"""What was wrong at the door, and files that are not what the layout promises."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from histoblend.audit.findings import Finding, patch_rows
from histoblend.config import DataSettings
from histoblend.data.handling import CONVERTED, OTHER_SIZE
from histoblend.data.odd_files import ODD_KINDS, PARTS, SUFFIX, UNREADABLE
from histoblend.errors import DataRefusal, counted

SAID = {
    "greyscale": "hold no colour: grey was repeated in all three channels",
    "alpha": "have an alpha channel: laid on white",
    "palette": "have a palette: looked up",
    "16 bit": "have 16 bits a channel: the high byte was taken",
    "CMYK": "are CMYK: converted to RGB",
    "EXIF rotation": "carry a rotation in their EXIF: turned upright",
    "multi-page": "hold several pages: the first was taken",
    "other size": "have another size: resized or cropped",
    "suffix": "hold another format than their suffix says: read by content",
    "unreadable": "cannot be read",
}


def door_findings(refusals: Sequence[DataRefusal]) -> list[Finding]:
    """One finding for each fact that does not hold; `run` stops at the first of them."""
    return [
        Finding(
            kind="at the door",
            severity="wrong",
            part="data",
            sentence=refusal.found,
            training="stop",
            number=1,
            values={"expected": refusal.expected, "remedy": refusal.remedy},
        )
        for refusal in refusals
    ]


def file_findings(odd_files: pd.DataFrame, settings: DataSettings) -> list[Finding]:
    """One finding for each kind of odd file in each part.

    Args:
        odd_files: part, id, kind, detail.
    """
    groups = dict(list(odd_files.groupby(["part", "kind"])))
    return [
        _finding(part, kind, groups[part, kind], settings)
        for part in PARTS
        for kind in ODD_KINDS
        if (part, kind) in groups
    ]


def _finding(part: str, kind: str, rows: pd.DataFrame, settings: DataSettings) -> Finding:
    return Finding(
        kind=kind if kind != SUFFIX else "other suffix",
        severity="wrong" if kind == UNREADABLE else "odd",
        part=part,
        sentence=f"{counted(len(rows), 'file')} of {part} {SAID[kind]}.",
        training=_handling(part, kind, settings),
        patches=patch_rows((part, name, detail, 0) for name, detail in rows[["id", "detail"]].to_numpy()),
    )


def _handling(part: str, kind: str, settings: DataSettings) -> str:
    """What is done with an odd file; nothing is ever dropped from test, which a submission needs whole."""
    if kind == UNREADABLE:
        return settings.unreadable if part == "train" else "stop"
    if part != "train":
        return "keep"
    if kind in CONVERTED:
        return settings.converted
    return settings.other_size if kind in OTHER_SIZE else "keep"
