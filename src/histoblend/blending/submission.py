"""The submission: percentile ranks (or probabilities) in the form of sample_submission.csv, checked twice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from histoblend.blending.members import MemberLogits
from histoblend.errors import ArtifactRefusal, some
from histoblend.evaluation.auc import percentile_ranks
from histoblend.inference.predict import sigmoid
from histoblend.workspace import write_csv


def submission_table(test: pd.DataFrame, sample: pd.DataFrame | None, scale: str) -> pd.DataFrame:
    """A submission for the test table `test` (columns id, logit) with the columns and order of `sample`.

    Args:
        scale: ``rank`` for percentile ranks in (0, 1], ties kept; ``probability`` for probabilities.

    Returns:
        The sample's id column as it stands and its other column as float64.
    """
    logits = test["logit"].to_numpy()
    values = percentile_ranks(logits) if scale == "rank" else sigmoid(logits)
    by_id = pd.Series(values, index=test["id"])
    id_column, value_column = list(sample.columns) if sample is not None else ["id", "label"]
    ids = sample[id_column] if sample is not None else test["id"]
    return pd.DataFrame({id_column: ids.to_numpy(), value_column: by_id.loc[ids].to_numpy()})


def check_submission(
    table: pd.DataFrame, sample: pd.DataFrame | None, test: pd.DataFrame, members: MemberLogits
) -> None:
    """Check ids, order, range, spread and direction of a submission against sample, test table and members.

    Raises:
        ArtifactRefusal: it would score wrongly.
    """
    id_column, value_column = table.columns
    wanted, found = set(test["id"]), set(table[id_column])
    wrong = sorted((wanted ^ found) | set(table[id_column][table[id_column].duplicated()]))
    if wrong:
        raise ArtifactRefusal(f"The submission's ids are wrong: {some(wrong)}.", "each test id once")
    if sample is not None and list(table[id_column]) != list(sample[sample.columns[0]]):
        raise ArtifactRefusal("The submission's ids are out of order.", "the order of sample_submission.csv")
    values = table.set_index(id_column)[value_column].loc[test["id"]].to_numpy(np.float64)
    if not np.isfinite(values).all() or values.min() < 0 or values.max() > 1:
        raise ArtifactRefusal(
            "The submission holds values that are no numbers from 0 to 1.", "numbers in [0, 1]"
        )
    if values.min() == values.max():
        raise ArtifactRefusal(f"The submission is constant ({values[0]}).", "values that rank the patches")
    for name, logits in zip(members.names, members.test.T, strict=True):
        if np.ptp(logits) > 0 and spearmanr(values, logits).statistic <= 0:
            raise ArtifactRefusal(
                f"The submission ranks against its member {name}.",
                "agreement in direction with every member",
                f"look at the out-of-fold AUC of {name}; leave it out of the plan if it is near 0.5.",
            )


def write_submission(
    path: Path,
    table: pd.DataFrame,
    sample: pd.DataFrame | None,
    test: pd.DataFrame,
    members: MemberLogits,
) -> None:
    """Check, write, read back and check again."""
    check_submission(table, sample, test, members)
    write_csv(path, table)
    again = pd.read_csv(path, dtype={table.columns[0]: str}, float_precision="round_trip")
    check_submission(again, sample, test, members)
