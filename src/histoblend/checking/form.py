"""What a submission should look like, and the model it should agree with."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class Form:
    """The form that is asked for.

    Attributes:
        columns: names of the id and of the value column.
        ids: the ids to submit, in order; None where they are not known.
        classes: names of the classes where names are submitted; empty where numbers are.
        source: whose test ids they are, or what was looked at in vain.
        training: ids of the run's training patches; empty where there is no run.
    """

    columns: tuple[str, str] = ("id", "label")
    ids: tuple[str, ...] | None = None
    classes: tuple[str, ...] = ()
    source: str = ""
    training: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Reference:
    """A model's answers for the same patches.

    Attributes:
        name: blend or experiment.
        answers: by id: logits (float64), or names of classes (str) where names are submitted.
    """

    name: str
    answers: pd.Series
