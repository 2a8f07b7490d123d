"""What the user asks the doctor."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class CheckRequest:
    """What the user typed.

    Attributes:
        file: the CSV that is to be submitted.
        against: a blend or an experiment of the output folder it should agree with.
        data: the data folder whose ids are to be submitted.
    """

    file: Path
    against: str | None = None
    data: Path | None = None
    output: Path | None = None
