"""Everything that has a score, with intervals and paired differences."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from histoblend.artifacts.artifacts import Artifacts, Candidate
from histoblend.evaluation.uncertainty import Difference, differences, ground_of
from histoblend.inference.tables import table_logits
from histoblend.report_page.blocks import Block, Cell, Column, Section, TableBlock, Words
from histoblend.report_page.figures import Estimated, fold_dots_figure, interval_figure
from histoblend.report_page.fold_shares import below_fold_mean
from histoblend.report_page.wording import between, gain, known, number_cell, score, share, words_cell

MOST_PAIRS = 16  # candidates whose difference from the leading one is looked into


KINDS = (
    "Yardsticks are ranked, not blended; externals were made elsewhere. Searched: chosen by a sweep on these "
    "folds, which reads a little high. Pseudo-labels: learned from test patches too."
)
MARKS = {"searched": "searched", "pseudo_labels": "pseudo-labels"}


def paired_leads(artifacts: Artifacts) -> dict[str, Difference]:
    """AUC of each complete candidate less that of the leading one, by name; of the first few of the ranking only."""
    lead = artifacts.lead
    if lead is None or not lead.metrics.complete or len(artifacts.complete) < 2:
        return {}
    chosen = [lead, *(one for one in artifacts.complete if one is not lead)][:MOST_PAIRS]
    ground = ground_of(artifacts.folds, artifacts.policy)
    ids = artifacts.folds["id"]
    logits = np.stack([table_logits(one.table.set_index("id").loc[ids]) for one in chosen], axis=1)
    return {one.name: each for one, each in zip(chosen, differences(ground, logits, 0), strict=True)}


def ranking_section(artifacts: Artifacts, leads: Mapping[str, Difference]) -> Section:
    """The local leaderboard."""
    if not artifacts.ranked:
        return Section("ranking", "Ranking", (Words("Nothing has a score yet: no fold is finished."),))
    lead = artifacts.lead
    rows = tuple(_row(place, one, artifacts, leads) for place, one in enumerate(artifacts.ranked))
    marked = tuple(place for place, one in enumerate(artifacts.ranked) if one is lead)
    table = TableBlock("Ranking by AUC on out-of-fold predictions", _columns(artifacts), rows, marked)
    gap = below_fold_mean(lead, artifacts) if lead is not None else ""
    blocks: list[Block] = [Words(_about(artifacts)), table, *([Words(gap)] if gap else [])]
    blocks.append(_intervals(artifacts))
    return Section("ranking", "Ranking", tuple(blocks))


def _about(artifacts: Artifacts) -> str:
    classes = (
        " With more than two classes an AUC is the mean of each class against the rest." * artifacts.several
    )
    partial = (
        " Partial ones have not finished all folds; their scores are of fewer patches and cannot be compared."
        if len(artifacts.complete) < len(artifacts.ranked)
        else ""
    )
    return (
        "AUC: pooled over all patches, on ranks within each fold, because networks of different folds are "
        "not calibrated to each other. The row set apart is what the galleries and curves below are "
        f"about.{classes}{partial}"
    )


def _columns(artifacts: Artifacts) -> tuple[Column, ...]:
    several = (Column("accuracy", True, "Share of patches whose most probable class is theirs."),)
    held_out = (Column("held-out test", True, "AUC on test patches whose labels are known here."),)
    return (
        Column("#", True, "Place among those with all folds finished."),
        Column("name"),
        Column("AUC", True, "Pooled over all patches, on ranks within each fold."),
        Column(
            "95 % interval",
            True,
            "Values of the AUC over all slides of this kind that agree with these.",
        ),
        Column(
            "difference",
            True,
            "From the row set apart, paired on the same patches; below it its 95 % interval.",
        ),
        Column("mean of folds", True, "Mean of the folds' AUCs."),
        *(several if artifacts.several else ()),
        Column("TTA", True, "AUC gained by averaging several views of each patch, mean of folds."),
        *(held_out if _held_out(artifacts) else ()),
        Column("folds", False, "Finished folds."),
        Column("kind", False, KINDS),
    )


def _held_out(artifacts: Artifacts) -> bool:
    return any(known(one.metrics.local_leaderboard) for one in artifacts.ranked)


def _row(
    place: int, one: Candidate, artifacts: Artifacts, leads: Mapping[str, Difference]
) -> tuple[Cell, ...]:
    metrics = one.metrics
    several = (number_cell(metrics.accuracy, share(metrics.accuracy)),)
    held_out = (number_cell(metrics.local_leaderboard, score(metrics.local_leaderboard)),)
    return (
        number_cell(
            place + 1 if metrics.complete else None, str(place + 1) if metrics.complete else "partial"
        ),
        words_cell(one.name),
        number_cell(metrics.auc_pooled, score(metrics.auc_pooled)),
        number_cell(one.interval.low, between(one.interval.low, one.interval.high)),
        _difference(leads.get(one.name), one is artifacts.lead),
        number_cell(metrics.auc_fold_mean, score(metrics.auc_fold_mean)),
        *(several if artifacts.several else ()),
        number_cell(metrics.tta_gain, gain(metrics.tta_gain)),
        *(held_out if _held_out(artifacts) else ()),
        words_cell("all" if metrics.complete else " ".join(map(str, metrics.folds))),
        words_cell(
            ", ".join([metrics.kind, *(name for mark, name in MARKS.items() if metrics.about.get(mark))])
        ),
    )


def _difference(lead: Difference | None, itself: bool) -> Cell:
    if lead is None or itself:
        return Cell("–", float("nan"))
    if math.isnan(lead.interval.low):
        return number_cell(lead.gain, gain(lead.gain))
    bounds = between(lead.interval.low, lead.interval.high, 4)
    return number_cell(lead.gain, f"{gain(lead.gain)}\n{bounds}")


def _intervals(artifacts: Artifacts) -> Block:
    rows = [
        Estimated(
            one.name,
            one.metrics.auc_pooled,
            one.interval.low,
            one.interval.high,
            one.metrics.kind if one.metrics.complete else "partial",
            one is artifacts.lead,
        )
        for one in artifacts.ranked
    ]
    return interval_figure(rows)


def folds_section(artifacts: Artifacts) -> Section:
    """How the score changes from fold to fold."""
    title = "Fold by fold"
    if not artifacts.ranked:
        return Section("folds", title, (Words("No fold is finished yet."),))
    aucs = {
        one.name: {int(fold): auc for fold, auc in one.metrics.auc_by_fold.items()}
        for one in artifacts.ranked
    }
    return Section(
        "folds", title, (Words(_spread(artifacts)), fold_dots_figure(aucs), _fold_table(artifacts))
    )


def _spread(artifacts: Artifacts) -> str:
    best = artifacts.lead or artifacts.ranked[0]
    by_fold = best.metrics.auc_by_fold
    if len(by_fold) < 2:
        return f"One fold is finished: its AUC is {score(best.metrics.auc_pooled)}."
    low, high = min(by_fold, key=lambda key: by_fold[key]), max(by_fold, key=lambda key: by_fold[key])
    return (
        f"For {best.name}, fold {low} is the hardest ({score(by_fold[low])}) and fold {high} the easiest "
        f"({score(by_fold[high])}). Folds hold different slides, so this is how much one hold-out set can "
        "mislead: compare experiments on the same folds, never one fold's score with another's."
    )


def _fold_table(artifacts: Artifacts) -> TableBlock:
    slides = {"map": "slides", "stain-clusters": "pseudo-slides"}.get(artifacts.policy, "groups")
    labels = artifacts.folds["label"]
    rarest = int(labels.value_counts().idxmin()) if artifacts.several else 1
    shares = labels.eq(rarest).groupby(artifacts.folds["fold"]).mean()
    rows = tuple(
        (
            number_cell(int(fold), str(fold)),
            number_cell(len(rows), f"{len(rows):,}"),
            number_cell(rows["slide"].nunique(), f"{rows['slide'].nunique():,}"),
            number_cell(float(shares[fold]), share(float(shares[fold]))),
        )
        for fold, rows in artifacts.folds.groupby("fold")
    )
    name = artifacts.classes[rarest]
    what = f"Share of patches labelled {name}{', the rarest class' if artifacts.several else ''}."
    columns = (
        Column("fold", True),
        Column("patches", True),
        Column(slides, True, "No one of them stands in two folds."),
        Column(f"labelled {name}", True, what),
    )
    return TableBlock("What each fold holds", columns, rows)
