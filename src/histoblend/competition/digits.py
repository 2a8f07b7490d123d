"""The 1,797 handwritten digits that come with scikit-learn: ten classes, 8x8 pixels, no download."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from histoblend.competition.contract import DIGITS, DIGITS_FILE, Competition
from histoblend.competition.parts import Part, assemble

HELD_OUT_FROM = 1437  # the last fifth


def read_digits() -> Competition:
    """scikit-learn's copy of the test set of UCI's optical digits (E. Alpaydin and C. Kaynak, 1998).

    The rows from 1,437 on are `test`, with known labels. They are the end of the file and no random rows:
    scikit-learn's description names 13 writers and not whose digit is whose, but neighbouring rows look alike
    (its course's chapter "Sample grouping" takes the repeating runs of labels, about 130 rows each, for writers),
    so random rows would put most hands on both sides. This cut splits one such run, rows 1,415 to 1,544.
    """
    import sklearn.datasets  # slow to import, and of use here only

    labels = sklearn.datasets.load_digits().target.astype(np.int64)
    rows = np.arange(len(labels), dtype=np.int64)
    table = pd.DataFrame(
        {"id": [f"digit_{row:04d}" for row in rows], "label": labels, "path": DIGITS_FILE, "row": rows}
    )
    held_out = table[HELD_OUT_FROM:].reset_index(drop=True)
    notes = [
        f"These are scikit-learn's {len(table):,} handwritten digits of 8x8 pixels by 13 people, no tissue. "
        "Whose digit is whose is not recorded, so folds share writers and score higher than new writers would."
    ]
    valid = Part(f"Rows from {HELD_OUT_FROM:,} on", held_out)
    tables = assemble(Part("digits", table[:HELD_OUT_FROM]), valid, None, "holdout", notes)
    return Competition(
        root=Path(sklearn.datasets.__file__).parent / "data",
        layout=DIGITS,
        name="digits",
        synthetic=False,
        classes=tuple(str(digit) for digit in range(10)),
        train=tables.train,
        test=tables.test,
        sample=tables.sample,
        known_labels=tables.known_labels,
        slide_map=None,
        slides=None,
        notes=tuple(notes),
    )
