"""What an audit finds: a kind, where, how many, which patches, and what training does with them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pandas as pd
from numpy.typing import NDArray

from histoblend.data.stain import UInt8Array

Severity = Literal["wrong", "odd", "note"]
SEVERITIES: tuple[Severity, ...] = ("wrong", "odd", "note")
ROW_COLUMNS = ["part", "id", "detail", "set"]


@dataclass(frozen=True)
class Part:
    """The patches of one part of a data set.

    Attributes:
        name: ``train`` or ``test``.
        table: id (str), pixel_hash (str) and, in train, label (int64); row i describes ``images[i]``.
        images: uint8 (n, side, side, 3), RGB; a memory map.
    """

    name: str
    table: pd.DataFrame
    images: UInt8Array

    @property
    def ids(self) -> NDArray[Any]:
        """object (n,) of str."""
        return self.table["id"].to_numpy(dtype=object)


def patch_rows(rows: Iterable[Sequence[object]] = ()) -> pd.DataFrame:
    """A table part, id, detail (str), set (int64) of (part, id, detail, set); patches of one set belong together."""
    table = pd.DataFrame(list(rows), columns=ROW_COLUMNS)
    return table.astype({"part": str, "id": str, "detail": str, "set": "int64"})


@dataclass(frozen=True)
class Finding:
    """One kind of thing in one part of the data.

    Attributes:
        kind: what it is, in a word or two.
        severity: ``wrong``: to be mended or known before a score is believed; ``odd``: to be looked at;
            ``note``: a fact of the data.
        part: ``train``, ``test``, ``train + test`` or ``data``.
        sentence: what was found, with numbers.
        training: what training does: keep, drop, group, stop; empty where it does nothing about it.
        patches: part, id, detail, set of every patch concerned, the most telling first.
        number: how many, where it is not patches that are counted.
        values: what was measured, for JSON.
    """

    kind: str
    severity: Severity
    part: str
    sentence: str
    training: str = ""
    patches: pd.DataFrame = field(default_factory=patch_rows)
    number: int | None = None
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many patches, or whatever else is counted."""
        return len(self.patches) if self.number is None else self.number

    @property
    def in_sets(self) -> bool:
        """Whether the patches belong together in sets."""
        return "sets" in self.values

    @property
    def ids(self) -> list[str]:
        """Ids of the patches concerned, the most telling first."""
        return list(self.patches["id"])


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """The gravest first; otherwise as they came."""
    return sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))
