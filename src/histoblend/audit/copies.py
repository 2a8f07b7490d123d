"""Patches that are there more than once: exactly or nearly, within a part, across train and test, and with what labels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from histoblend.audit.findings import Finding, Part, patch_rows, plural
from histoblend.config import DataSettings
from histoblend.data.duplicates import Progress, near_groups, near_pairs, near_pairs_between

ACROSS = "train + test"
Member = tuple[str, str, str]  # part, id, detail


def exact_findings(train: Part, test: Part, settings: DataSettings) -> list[Finding]:
    """Sets of patches with the same pixels: in train, in test, across, and those whose labels differ."""
    everything = pd.concat([part.table.assign(part=part.name) for part in (train, test)], ignore_index=True)
    repeated = everything[everything["pixel_hash"].duplicated(keep=False)]
    sets = [rows for _, rows in repeated.sort_values(["part", "id"]).groupby("pixel_hash", sort=False)]
    within = {part: [r for r in sets if set(r["part"]) == {part}] for part in ("train", "test")}
    across = [rows for rows in sets if rows["part"].nunique() > 1]
    torn = [rows for rows in sets if rows["label"].nunique() > 1] if "label" in repeated else []
    ordered = sorted(
        [
            ("exact duplicates", "odd", "train", within["train"], settings.duplicates, "have the same pixels"),
            ("exact duplicates", "note", "test", within["test"], "keep", "have the same pixels"),
            ("exact duplicates", "wrong", ACROSS, across, "keep", "have the same pixels in train and in test"),
            ("conflicting labels", "wrong", "train", torn, settings.conflicting_labels, "have the same pixels and different labels"),
        ]
    )  # fmt: skip
    return ordered  # type: ignore[return-value]
