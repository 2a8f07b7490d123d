"""Tables of predictions, keyed by id: their contracts, checked by the writer and by the reader.

Out-of-fold: id,label,fold,logit,probability, every training id exactly once.
Test: id,logit,probability, every test id exactly once.
With more than two classes: logit_0, logit_1, ..., probability_0, probability_1, ...
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from histoblend.errors import ArtifactRefusal, some
from histoblend.inference.predict import probabilities
from histoblend.restoring import remedy_for
from histoblend.workspace import write_csv

OUT_OF_FOLD_KEYS = ["id", "label", "fold"]
TEST_KEYS = ["id"]
SAME_PROBABILITY = 1e-9  # what writing, reading and another version of numpy may change


def score_columns(outputs: int) -> list[str]:
    """Names of the logits and probabilities of a table."""
    numbers = [""] if outputs == 1 else [f"_{number}" for number in range(outputs)]
    return [f"{kind}{number}" for kind in ("logit", "probability") for number in numbers]


def out_of_fold_table(rows: pd.DataFrame, logits: np.ndarray) -> pd.DataFrame:
    """Table for `rows` (columns id, label, fold) with their logits (n, outputs), in that order."""
    return _with_scores(rows[OUT_OF_FOLD_KEYS], logits)


def test_table(ids: pd.Series, logits: np.ndarray) -> pd.DataFrame:
    """Table for the test `ids` with their logits (n, outputs), in that order."""
    return _with_scores(pd.DataFrame({"id": ids.to_numpy()}), logits)


def _with_scores(keys: pd.DataFrame, logits: np.ndarray) -> pd.DataFrame:
    scores = np.hstack([logits, probabilities(logits)])
    return keys.reset_index(drop=True).join(pd.DataFrame(scores, columns=score_columns(logits.shape[1])))


def table_logits(table: pd.DataFrame) -> np.ndarray:
    """The logits (n, outputs) of a table of predictions."""
    return table[score_columns(_outputs(table))[: _outputs(table)]].to_numpy(np.float64)


def _outputs(table: pd.DataFrame) -> int:
    return max(1, sum(str(column).startswith("logit_") for column in table.columns))


def check_table(table: pd.DataFrame, keys: list[str], ids: pd.Series, what: str) -> None:
    """Check that `table` has the columns `keys` and its scores, each of `ids` exactly once, and finite numbers.

    Raises:
        ArtifactRefusal: it does not.
    """
    scores = score_columns(_outputs(table))
    columns = [*keys, *scores]
    if list(table.columns) != columns:
        raise _refusal(what, f" has the columns {list(table.columns)}.", str(columns))
    twice = table["id"][table["id"].duplicated()].unique()
    if len(twice):
        raise _refusal(what, f" holds ids more than once: {some(list(twice))}.", "each id once")
    present, wanted = set(table["id"]), set(ids)
    if missing := sorted(wanted - present):
        raise _refusal(what, f" lacks ids: {some(missing)}.", f"all {len(wanted):,} ids")
    if extra := sorted(present - wanted):
        raise _refusal(what, f" holds foreign ids: {some(extra)}.", "only ids of this data")
    numbers = [pd.to_numeric(table[score], errors="coerce").astype("float64") for score in scores]
    broken = table["id"][~np.isfinite(numbers).all(axis=0)]
    if len(broken):
        raise _refusal(what, f" holds no finite number for {some(list(broken))}.", "finite logits")
    said, expected = np.stack(numbers[len(numbers) // 2 :], axis=1), probabilities(table_logits(table))
    torn = table["id"][(np.abs(said - expected) > SAME_PROBABILITY).any(axis=1)]
    if len(torn):
        raise _refusal(
            what,
            f": logit and probability contradict each other for {some(list(torn))}.",
            "the sigmoid (or softmax) of the logits as probability",
        )


def _refusal(what: str, found: str, expected: str) -> ArtifactRefusal:
    return ArtifactRefusal(f"{what}{found}", expected, remedy_for(Path(what)))


def write_out_of_fold(path: Path, table: pd.DataFrame, folds: pd.DataFrame) -> None:
    """Check and write an out-of-fold table for the ids of `folds` (columns id, label, fold)."""
    _check_out_of_fold(table, folds, str(path))
    write_csv(path, table)


def read_out_of_fold(path: Path, folds: pd.DataFrame) -> pd.DataFrame:
    """Read and check an out-of-fold table; rows in the order of `folds`.

    Raises:
        ArtifactRefusal: the file is damaged or does not fit `folds`.
    """
    table = _read(path)
    _check_out_of_fold(table, folds, str(path))
    return table.set_index("id").loc[folds["id"]].reset_index()


def _check_out_of_fold(table: pd.DataFrame, folds: pd.DataFrame, what: str) -> None:
    check_table(table, OUT_OF_FOLD_KEYS, folds["id"], what)
    joined = table.merge(folds[["id", "label", "fold"]], on="id", suffixes=("", "_expected"))
    for column in ("label", "fold"):
        found = pd.to_numeric(joined[column], errors="coerce")  # one word makes words of a whole column
        wrong = joined["id"][found != joined[f"{column}_expected"]]
        if len(wrong):
            raise _refusal(
                what,
                f" has another {column} than folds.csv for {some(list(wrong))}.",
                f"the same {column}",
            )


def write_test(path: Path, table: pd.DataFrame, ids: pd.Series) -> None:
    """Check and write a test table for `ids`."""
    check_table(table, TEST_KEYS, ids, str(path))
    write_csv(path, table)


def read_test(path: Path, ids: pd.Series) -> pd.DataFrame:
    """Read and check a test table; rows in the order of `ids`.

    Raises:
        ArtifactRefusal: the file is damaged or does not fit `ids`.
    """
    table = _read(path)
    check_table(table, TEST_KEYS, ids, str(path))
    return table.set_index("id").loc[ids].reset_index()


def _read(path: Path) -> pd.DataFrame:
    if not path.exists():
        raise _refusal(str(path), " is not there.", "a table of predictions")
    try:
        return pd.read_csv(path, dtype={"id": str}, float_precision="round_trip")
    except (OSError, ValueError) as error:
        raise _refusal(str(path), f" cannot be read: {error}.", "a table of predictions") from error
