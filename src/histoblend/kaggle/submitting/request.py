"""What the user typed behind `submit` and `submissions`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class SubmitRequest:
    """What is to be submitted.

    Attributes:
        what: a blend, an experiment, or a CSV file; None for submission.csv of the output folder.
        data: the data folder whose ids are to be submitted.
        message: a word of the user's in the description.
        yes: no question before a slot is spent.
        force: why it is submitted although the doctor refuses it.
        wait: for the score.
        again: why bytes that Kaggle has scored, or could not score, are sent once more.
    """

    what: str | None = None
    output: Path | None = None
    data: Path | None = None
    message: str = ""
    yes: bool = False
    force: str = ""
    wait: bool = True
    again: str = ""


@dataclass(frozen=True)
class SubmissionsRequest:
    """Whose ledger is shown."""

    output: Path | None = None
