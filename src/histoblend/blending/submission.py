"""The submission: percentile ranks (or probabilities) in the form of sample_submission.csv, checked twice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from histoblend.blending.members import MemberLogits
from histoblend.errors import ArtifactRefusal, some
from histoblend.evaluation.auc import percentile_ranks
from histoblend.evaluation.metrics import Scoring
from histoblend.inference.predict import sigmoid
from histoblend.inference.tables import table_logits
from histoblend.workspace import write_csv

FEWEST_TO_JUDGE = 50  # patches: on a few, weak members contradict each other by chance


def submission_table(
    test: pd.DataFrame, sample: pd.DataFrame | None, scale: str, classes: tuple[str, ...]
) -> pd.DataFrame:
    """A submission for the test table `test` with the columns and order of `sample`.

    Args:
        scale: ``rank`` for percentile ranks in (0, 1], ties kept; ``probability`` for probabilities.
        classes: names of the classes; of more than two, the name of the most probable one is submitted.

    Returns:
        The sample's id column as it stands and its other column: float64, or class names.
    """
    id_column, value_column = list(sample.columns) if sample is not None else ["id", "label"]
    ids = sample[id_column] if sample is not None else test["id"]
    logits = table_logits(test.set_index("id").loc[ids])
    if len(classes) > 2:
        values = np.array(classes)[logits.argmax(axis=1)]
    else:
        values = percentile_ranks(logits[:, 0]) if scale == "rank" else sigmoid(logits[:, 0])
    return pd.DataFrame({id_column: ids.to_numpy(), value_column: values})


def check_submission(
    table: pd.DataFrame, scoring: Scoring, test: pd.DataFrame, members: MemberLogits
) -> None:
    """Check ids, order, range, spread and direction of a submission against sample, test table and members.

    Raises:
        ArtifactRefusal: it would score wrongly.
    """
    id_column, value_column = table.columns
    sample = scoring.sample
    wanted, found = set(test["id"] if sample is None else sample[sample.columns[0]]), set(table[id_column])
    wrong = sorted((wanted ^ found) | set(table[id_column][table[id_column].duplicated()]))
    if wrong:
        raise ArtifactRefusal(f"The submission's ids are wrong: {some(wrong)}.", "each test id once")
    if sample is not None and list(table[id_column]) != list(sample[sample.columns[0]]):
        raise ArtifactRefusal("The submission's ids are out of order.", "the order of sample_submission.csv")
    if len(scoring.classes) > 2:
        _check_names(table[value_column], scoring.classes)
    else:
        rows = pd.Series(np.arange(len(test)), index=test["id"]).loc[table[id_column]].to_numpy()
        _check_ranking(table[value_column].to_numpy(np.float64), members, rows)


def _check_names(values: pd.Series, classes: tuple[str, ...]) -> None:
    if foreign := sorted(set(values.astype(str)) - set(classes)):
        raise ArtifactRefusal(f"The submission holds foreign classes: {some(foreign)}.", ", ".join(classes))


def _check_ranking(values: np.ndarray, members: MemberLogits, rows: np.ndarray) -> None:
    """Check values (n,) of two classes against the members' logits of the same patches, their `rows` of test."""
    if not np.isfinite(values).all() or values.min() < 0 or values.max() > 1:
        raise ArtifactRefusal(
            "The submission holds values that are no numbers from 0 to 1.", "numbers in [0, 1]"
        )
    logits_of = dict(zip(members.names, members.test[rows, :, 0].T, strict=True))
    if np.ptp(values) == 0 and any(np.ptp(logits) > 0 for logits in logits_of.values()):
        raise ArtifactRefusal(f"The submission is constant ({values[0]}).", "values that rank the patches")
    if len(values) < FEWEST_TO_JUDGE:
        return
    for name, logits in logits_of.items():
        if np.ptp(logits) > 0 and spearmanr(values, logits).statistic <= 0:
            raise ArtifactRefusal(
                f"The submission ranks against its member {name}.",
                "agreement in direction with every member",
                f"look at the out-of-fold AUC of {name}; leave it out of the plan if it is near 0.5.",
            )


def write_submission(
    path: Path, table: pd.DataFrame, scoring: Scoring, test: pd.DataFrame, members: MemberLogits
) -> None:
    """Check, write, read back and check again."""
    check_submission(table, scoring, test, members)
    write_csv(path, table)
    id_column, value_column = table.columns
    named = len(scoring.classes) > 2
    types = {id_column: str, value_column: str if named else "float64"}
    again = pd.read_csv(path, dtype=types, keep_default_na=not named, float_precision="round_trip")
    check_submission(again, scoring, test, members)
