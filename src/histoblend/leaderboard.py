"""The local leaderboard of an output folder: cross-validated AUC beside what a leaderboard has answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from scipy.stats import spearmanr

from histoblend.artifacts.forms import read_metrics
from histoblend.artifacts.opening import opened_output
from histoblend.artifacts.stored_scores import contradictions
from histoblend.chosen import chosen_blend, told_of_submission
from histoblend.errors import ArtifactRefusal, counted, some
from histoblend.evaluation.metrics import Metrics
from histoblend.ledger import EXAMPLE, SCORES, read_ledger
from histoblend.reporting.leaderboard_table import printed_leaderboard
from histoblend.reporting.progress import Display
from histoblend.reporting.ranking import ranking_table
from histoblend.workspace import Workspace

FEWEST = 3  # rows from which a rank correlation says anything at all


@dataclass(frozen=True)
class RankRequest:
    """What the user typed."""

    output: Path | None = None


def show_leaderboard(request: RankRequest, display: Display, environment: Mapping[str, str]) -> pd.DataFrame:
    """Print the ranking of everything in the output folder; no data is needed and nothing is written.

    Stored scores are shown as they stand; those that do not follow from the predictions beside them are named below.

    Returns:
        The ranking, with the columns of ranking.csv.

    Raises:
        ArtifactRefusal: it is no output folder, nothing in it is finished, or its ledger is broken.
    """
    workspace = opened_output(request.output, environment)
    ledger = read_ledger(workspace.ledger)
    metrics = finished_metrics(workspace)
    table = ranking_table(metrics, ledger)
    if table.empty:
        raise ArtifactRefusal(
            f"Nothing is finished yet in {workspace.folder}.",
            "an experiment with a finished fold",
            f"./run.sh run PLAN --output {workspace.folder}",
        )
    chosen = chosen_blend(workspace)
    display.show(printed_leaderboard(table, display.console.width, chosen.name if chosen else None))
    if chosen:
        display.tell(told_of_submission(workspace, chosen))
    for sentence in told(table, ledger):
        display.tell(sentence)
    for sentence in contradictions(metrics, workspace):
        display.warn(sentence)
    return table


def finished_metrics(workspace: Workspace) -> list[Metrics]:
    """Metrics of the experiments and blends that runs left in this folder.

    Raises:
        ArtifactRefusal: a file is damaged.
    """
    paths = sorted(workspace.folder.glob("experiments/*/metrics.json"))
    paths += sorted(workspace.folder.glob("ensembles/*/metrics.json"))
    return [read_metrics(path) for path in paths]


def told(table: pd.DataFrame, ledger: pd.DataFrame) -> list[str]:
    """What is to be said below the table: agreement with each leaderboard, and what could not be shown."""
    sentences = [agreement(table, column) for column in SCORES if table[column].notna().any()]
    if not sentences:
        sentences = [
            "No leaderboard score is known. Write those you have into submissions.csv in this folder: a line "
            f"{EXAMPLE[0]}, then a line each, such as {EXAMPLE[1]}."
        ]
    if unknown := [name for name in ledger.index if name not in set(table["name"])]:
        sentences.append(f"In submissions.csv, but nothing of it in this folder: {some(unknown)}.")
    return sentences + _without_interval(table)


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
    both = table[(table["status"] == "complete") & table[column].notna()]
    gap = "" if both.empty else f" Mean gap to CV {(both[column] - both['auc_pooled']).mean():+.4f}."
    rows = f"{counted(len(both), 'row')} {'has' if len(both) == 1 else 'have'} both"
    if len(both) < FEWEST:
        return f"CV and {kind}: {rows}, too few to tell whether they rank alike.{gap}"
    if both[column].nunique() == 1 or both["auc_pooled"].nunique() == 1:
        return f"CV and {kind}: {rows}, but one of the two is the same for all: no rank correlation.{gap}"
    correlation = spearmanr(both["auc_pooled"], both[column]).statistic
    return f"CV and {kind}: Spearman rank correlation {correlation:+.2f} over {len(both)} rows.{gap}"
