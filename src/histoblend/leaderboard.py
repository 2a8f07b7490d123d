"""The local leaderboard of an output folder: cross-validated AUC beside what a leaderboard has answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from histoblend.artifacts.opening import opened_output
from histoblend.artifacts.stored_scores import contradictions
from histoblend.chosen import chosen_blend, told_of_submission
from histoblend.errors import ArtifactRefusal, counted, some
from histoblend.evaluation.metrics import Metrics
from histoblend.ledger import Submission, last_by_name, scores_by_name
from histoblend.ledger_file import EXAMPLE, GROUND, SCORES
from histoblend.pulled import finished_metrics, known_submissions, pulled_metrics, unlike
from histoblend.reporting.leaderboard_table import printed_leaderboard
from histoblend.reporting.progress import Display
from histoblend.reporting.ranking import ranking_table

AREAS = ["auc_pooled", "auc_low", "auc_high"]
OLDER = 5e-5  # of AUC: what a submitted file may differ by from what is here now
FEWEST = 3  # rows from which a rank correlation says anything at all


@dataclass(frozen=True)
class RankRequest:
    """What the user typed."""

    output: Path | None = None


def show_leaderboard(request: RankRequest, display: Display, environment: Mapping[str, str]) -> pd.DataFrame:
    """Print the ranking of everything in the output folder; no data is needed and nothing is written.

    Stored scores are shown as they stand; those that do not follow from the predictions beside them are named below.

    Returns:
        The ranking, with the columns of ranking.csv, `unlike`, and the AUC as it was sent.

    Raises:
        ArtifactRefusal: it is no output folder, nothing in it is finished, or its ledger is broken.
    """
    workspace = opened_output(request.output, environment)
    submissions = known_submissions(workspace)
    ledger = scores_by_name(submissions)
    table = ranked_together(finished_metrics(workspace), pulled_metrics(workspace), ledger)
    if table.empty:
        raise ArtifactRefusal(
            f"Nothing is finished yet in {workspace.folder}.",
            "an experiment with a finished fold",
            f"./run.sh run PLAN --output {workspace.folder}",
        )
    chosen = chosen_blend(workspace)
    sent = as_sent(table, submissions)
    table["auc_sent"] = sent["auc_pooled"]
    display.show(printed_leaderboard(table, display.console.width, chosen.name if chosen else None))
    if chosen:
        display.tell(told_of_submission(workspace, chosen))
    for sentence in told(table, sent, ledger):
        display.tell(sentence)
    for sentence in contradictions(finished_metrics(workspace), workspace):
        display.warn(sentence)
    return table


def ranked_together(own: Sequence[Metrics], pulled: Sequence[Metrics], ledger: pd.DataFrame) -> pd.DataFrame:
    """The ranking of a folder's own and of what kernels brought home into it; `unlike` says why a row does not compare.

    Rows made on other data or folds than the folder's own stand below the others and have no rank.
    """
    table = ranking_table([*own, *pulled], ledger)
    reasons = unlike(pulled, own)
    table["unlike"] = [reasons.get(name, "") for name in table["name"]]
    alike = table["unlike"] == ""
    ranked = alike & (table["status"] == "complete")
    table["rank"] = ranked.cumsum().where(ranked).astype("Int64")
    return table.iloc[np.argsort(~alike.to_numpy(), kind="stable")].reset_index(drop=True)


def as_sent(table: pd.DataFrame, submissions: Sequence[Submission]) -> pd.DataFrame:
    """`table` with AUC, interval, data and folds of the file that each score is of, where the ledger has them."""
    table = table.copy()
    sent = last_by_name(submissions)
    for place, name in table["name"].items():
        if name not in sent or np.isnan(sent[name].auc_pooled):
            continue
        table.loc[place, AREAS] = [getattr(sent[name], column) for column in AREAS]
        for column in GROUND:
            table.loc[place, column] = getattr(sent[name], column) or table.loc[place, column]
    return table


def changed_since(table: pd.DataFrame, sent: pd.DataFrame) -> list[str]:
    """What to say of names that stand for something else now than what was scored under them."""
    names = list(table.loc[(table["auc_pooled"] - sent["auc_pooled"]).abs() > OLDER, "name"])
    if not names:
        return []
    return [
        f"Trained or blended anew since it was sent, so score and gap are of what it was then: {', '.join(names)}."
    ]


def told(table: pd.DataFrame, sent: pd.DataFrame, ledger: pd.DataFrame) -> list[str]:
    """What is to be said below the table: agreement with each leaderboard, and what could not be shown.

    Args:
        sent: the table as of `as_sent`.
    """
    sentences = [agreement(sent, column) for column in SCORES if table[column].notna().any()]
    sentences += changed_since(table, sent)
    if not sentences:
        sentences = [
            "No leaderboard score is known: ./run.sh submit enters them into submissions.csv in this folder. By hand: "
            f"a line {EXAMPLE[0]}, then a line each, such as {EXAMPLE[1]}."
        ]
    if unknown := [name for name in ledger.index if name not in set(table["name"])]:
        sentences.append(f"In submissions.csv, but nothing of it in this folder: {some(unknown)}.")
    return sentences + _not_comparable(table) + _without_interval(table)


def _not_comparable(table: pd.DataFrame) -> list[str]:
    """Which pulled rows were made on other data or folds."""
    apart = table[table["unlike"] != ""]
    versions = dict.fromkeys(name.partition(":")[0] for name in apart["name"])
    if not versions:
        return []
    were = "was" if len(versions) == 1 else "were"
    return [
        f"{some(list(versions))} {were} made on other data or other folds than this folder's own: that AUC does not "
        "compare with those above, so it has no rank."
    ]


def _without_interval(table: pd.DataFrame) -> list[str]:
    lacking = table[table["auc_pooled"].notna() & table["auc_low"].isna()]
    older = lacking["interval_method"].isna()
    reasons = {
        "Scored before there were intervals; the next run finds them": list(lacking.loc[older, "name"]),
        "No interval can be had, of too few slides or too few patches of a class": list(
            lacking.loc[~older, "name"]
        ),
    }
    return [f"{reason}: {some(names)}." for reason, names in reasons.items() if names]


def agreement(table: pd.DataFrame, column: str) -> str:
    """How cross-validation and a leaderboard agree, in a sentence: rank correlation and mean gap of complete rows."""
    kind = column.removesuffix("_score")
    both = _largest_ground(table[(table["status"] == "complete") & table[column].notna()])
    gap = "" if both.empty else f" Mean gap to CV {(both[column] - both['auc_pooled']).mean():+.4f}."
    rows = f"{counted(len(both), 'row')} {'has' if len(both) == 1 else 'have'} both"
    if len(both) < FEWEST:
        return f"CV and {kind}: {rows}, too few to tell whether they rank alike.{gap}"
    if both[column].nunique() == 1 or both["auc_pooled"].nunique() == 1:
        return f"CV and {kind}: {rows}, but one of the two is the same for all: no rank correlation.{gap}"
    correlation = spearmanr(both["auc_pooled"], both[column]).statistic
    return f"CV and {kind}: Spearman rank correlation {correlation:+.2f} over {len(both)} rows.{gap}"


def _largest_ground(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of that data and those folds on which most of them were made: only there AUCs compare."""
    keys = list(GROUND)
    sizes = table.groupby(keys, dropna=False, sort=False)["name"].transform("size")
    if table.empty or sizes.min() == len(table):
        return table
    first = table.loc[sizes.idxmax(), keys]
    same = [(table[key] == first[key]) | (table[key].isna() & pd.isna(first[key])) for key in keys]
    return table[same[0] & same[1]]
