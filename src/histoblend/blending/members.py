"""Members of a blend: predictions joined by id, equal seeds of one experiment averaged first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from histoblend.config_files import base_name
from histoblend.errors import ArtifactRefusal
from histoblend.inference.tables import table_logits


@dataclass(frozen=True)
class Member:
    """One experiment's predictions: an out-of-fold table, a test table, and the split they were made on."""

    name: str
    out_of_fold: pd.DataFrame
    test: pd.DataFrame
    folds_fingerprint: str


@dataclass(frozen=True)
class MemberLogits:
    """Logits float64 (patches, members, outputs) of the out-of-fold ids and of the test ids."""

    names: tuple[str, ...]
    out_of_fold: np.ndarray
    test: np.ndarray


def joined_logits(members: Sequence[Member], folds: pd.DataFrame, test_ids: pd.Series) -> MemberLogits:
    """Logits of all members in the order of `folds` and `test_ids`, seeds of one experiment averaged.

    Raises:
        ArtifactRefusal: the members were made on different splits.
    """
    splits = {member.folds_fingerprint: member.name for member in members}
    if len(splits) > 1:
        raise ArtifactRefusal(
            f"{' and '.join(splits.values())} were trained on different folds.",
            "members that share one folds.csv",
            "blend experiments of one output folder only.",
        )
    names = tuple(dict.fromkeys(base_name(member.name) for member in members))
    out_of_fold = [_mean_over_seeds(members, name, "out_of_fold", folds["id"]) for name in names]
    test = [_mean_over_seeds(members, name, "test", test_ids) for name in names]
    return MemberLogits(names, np.stack(out_of_fold, axis=1), np.stack(test, axis=1))


def _mean_over_seeds(members: Sequence[Member], name: str, part: str, ids: pd.Series) -> np.ndarray:
    tables = [getattr(member, part) for member in members if base_name(member.name) == name]
    logits = [table_logits(table.set_index("id").loc[ids]) for table in tables]
    return np.asarray(np.mean(logits, axis=0))
