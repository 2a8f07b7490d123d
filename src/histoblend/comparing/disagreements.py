"""The patches on which the sides disagree most."""

from __future__ import annotations

import numpy as np
import pandas as pd

from histoblend.comparing.common import Common

MOST = 200  # rows of the table that is written


def disagreements(common: Common, most: int = MOST) -> pd.DataFrame:
    """Patches by how far apart their percentile ranks are, farthest first; equally far ones by id.

    Returns:
        id, label, slide, apart, rightest (the side whose rank suits the label best) and one column of ranks a side.
    """
    ranks = common.ranks
    several = common.logits.shape[2] > 1
    wanted = np.ones(len(ranks)) if several else common.rows["label"].to_numpy()
    nearest = np.abs(ranks - wanted[:, None]).argmin(axis=1)
    table = common.rows.assign(apart=np.ptp(ranks, axis=1), rightest=np.array(common.names)[nearest])
    for place, name in enumerate(common.names):
        table[f"rank of {name}"] = ranks[:, place]
    table = table[table["apart"] > 0]
    return table.sort_values(["apart", "id"], ascending=[False, True]).head(most).reset_index(drop=True)
