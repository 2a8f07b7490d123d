"""The 1,797 handwritten digits that come with scikit-learn: ten classes, 8x8 pixels, no download."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from histoblend.competition.contract import DIGITS, DIGITS_FILE, Competition
from histoblend.competition.parts import Part, assemble

WRITER_RUNS_HELD_OUT = 2
EVERYONE_BEGINS_WITH = tuple(range(10)) * 3


def read_digits() -> Competition:
    """scikit-learn's copy of the test set of UCI's optical digits (E. Alpaydin and C. Kaynak, 1998).

    Its description names 13 writers and not whose digit is whose. But twelve times the labels start over with
    0 to 9 three times in a row: a new writer (one start of the thirteen does not show). These runs are given as
    `slides`, so that folds keep a hand together, and the last two runs are `test`, with known labels.
    """
    import sklearn.datasets  # slow to import, and of use here only

    labels = sklearn.datasets.load_digits().target.astype(np.int64)
    rows = np.arange(len(labels), dtype=np.int64)
    runs = writer_runs(labels)
    held_out = runs > runs.max() - WRITER_RUNS_HELD_OUT
    table = pd.DataFrame(
        {"id": [f"digit_{row:04d}" for row in rows], "label": labels, "path": DIGITS_FILE, "row": rows}
    )
    notes = [
        f"These are scikit-learn's {len(table):,} handwritten digits of 8x8 pixels by 13 people, no tissue. Where "
        "the labels start over a new hand begins: folds keep hands together, the last two are held out."
    ]
    valid = Part("The last two hands", table[held_out].reset_index(drop=True))
    tables = assemble(Part("digits", table[~held_out]), valid, None, "holdout", notes)
    return Competition(
        root=Path(sklearn.datasets.__file__).parent / "data",
        layout=DIGITS,
        name="digits",
        classes=tuple(str(digit) for digit in range(10)),
        **tables.fields(),
        slides=pd.Series([f"hand_{run:02d}" for run in runs], table["id"], name="slide")[~held_out],
        notes=tuple(notes),
    )


def writer_runs(labels: np.ndarray) -> np.ndarray:
    """Number of the run int64 (n,) each row belongs to: one begins wherever `EVERYONE_BEGINS_WITH` stands."""
    windows = np.lib.stride_tricks.sliding_window_view(labels, len(EVERYONE_BEGINS_WITH))
    begins = np.zeros(len(labels), np.int64)
    begins[: len(windows)] = (windows == EVERYONE_BEGINS_WITH).all(axis=1)
    return np.maximum(np.cumsum(begins) - 1, 0)
