"""The blend: what was asked, what the audit found, weights, correlations, what each member brings."""

from __future__ import annotations

import numpy as np

from histoblend.artifacts.artifacts import Artifacts
from histoblend.artifacts.forms import BlendAudit, RuleAudit
from histoblend.blending.decision import ERRORS
from histoblend.competition.contract import HCD
from histoblend.report_page.blocks import Block, Cell, Column, Section, TableBlock, Words
from histoblend.report_page.figures import (
    Estimated,
    RuleWeights,
    correlation_figure,
    interval_figure,
    weights_figure,
)
from histoblend.report_page.wording import between, gain, listed, number_cell, score, words_cell

TITLE = "Blend"
HOW = (
    "Every rule was judged on folds its weights were not learned from: weights from all folds but one, "
    "scored on that one. In sample is the score on the very patches the weights were learned from; it "
    "flatters by the optimism. Gain is the cross-fitted AUC less that of the equal-weight mean of logits, on "
    "the same patches."
)


def blend_section(artifacts: Artifacts) -> Section:
    """Weights and audit of the last plan's blend."""
    audit = artifacts.blend_audit
    if audit is None:
        return Section("blend", TITLE, tuple(_unaudited(artifacts)))
    blocks: list[Block] = [
        Words(
            (
                f"Members: {listed(audit.members)}. Asked for: {audit.asked}. Chosen: "
                f"{_spoken(audit.chosen)}. {_sentence(audit.reason)}"
            ),
            "verdict",
        ),
        Words(f"{HOW} {_decides(audit)} {_tuned(artifacts)}"),
    ]
    if audit.warning and (artifacts.lead is None or audit.warning != artifacts.lead.interval.warning):
        blocks.append(Words(audit.warning, "warning"))
    blocks += [_table(audit), *_gains(audit), *_weights(audit), *_finals(audit)]
    blocks += [*_correlation(audit), *_contributions(audit), *_gated(audit)]
    return Section("blend", TITLE, tuple(blocks))


def _decides(audit: BlendAudit) -> str:
    """What auto asks of a rule before it takes it."""
    errors = ERRORS.get(audit.clusters_are)
    if errors is None:
        return (
            "Where no slide is known, auto keeps the equal mean: folds share slides, so gains look surer than "
            "they are."
        )
    times = "twice" if errors == 2 else f"{errors:g} times"
    return (
        f"Left to auto, the equal mean is kept unless another rule gains more than {times} the standard error of "
        f"that difference between {audit.clusters_are} and the interval of its gain lies above 0."
    )


def _tuned(artifacts: Artifacts) -> str:
    where = (
        "this competition"
        if artifacts.run.data.layout == HCD
        else "Kaggle's Histopathologic Cancer Detection"
    )
    return f"Weights tuned on one fold or on a public leaderboard have lowered private scores in {where}."


def _unaudited(artifacts: Artifacts) -> list[Block]:
    if not artifacts.blends:
        return [
            Words(
                "There is no blend: it takes experiments with all folds finished, and a run that has come to "
                "its end."
            )
        ]
    rules = [
        RuleWeights(one.name, one.weights.weights, chosen=one is artifacts.lead)
        for one in artifacts.blends
        if one.weights is not None
    ]
    text = (
        "No audit of the blend is there: an older version wrote these blends. The same ./run.sh run command "
        "writes it from the predictions that are there, without training anew."
    )
    return [Words(text, "warning"), weights_figure(rules)]


def _spoken(rule: str) -> str:
    return rule.replace("_", " ")


def _sentence(text: str) -> str:
    """With a capital and a full stop."""
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def _table(audit: BlendAudit) -> TableBlock:
    columns = (
        Column("rule"),
        Column("learns", False, "Whether its weights come from labels."),
        Column("in sample", True, "AUC on the patches the weights were learned from: for comparison only."),
        Column("cross-fitted", True, "AUC of each fold by weights that were learned without it."),
        Column("optimism", True, "In sample less cross-fitted: by how much the rule flatters itself."),
        Column("gain", True, "Cross-fitted AUC less that of the equal-weight mean of logits."),
        Column("95 % interval", True, "Of the gain, paired on the same patches."),
        Column("p", True, "Two-sided, of no gain at all; not corrected for the number of rules."),
    )
    rows = tuple(_rule_row(one) for one in audit.rules)
    marked = tuple(place for place, one in enumerate(audit.rules) if one.rule == audit.chosen)
    over = f" over {audit.clusters:,} {audit.clusters_are}" if audit.clusters else ""
    return TableBlock(
        f"Audit of the blending rules (intervals by {audit.method}{over})", columns, rows, marked
    )


def _rule_row(one: RuleAudit) -> tuple[Cell, ...]:
    low, high = (float("nan") if edge is None else edge for edge in (one.gain_low, one.gain_high))
    reference = one.rule == "logit_mean"
    dash = Cell("–", float("nan"))
    return (
        words_cell(_spoken(one.rule)),
        words_cell("yes" if one.learns else "no"),
        number_cell(one.auc_in_sample, score(one.auc_in_sample)),
        number_cell(one.auc_cross_fitted, score(one.auc_cross_fitted)),
        number_cell(one.optimism, gain(one.optimism)),
        number_cell(one.gain, gain(one.gain)),
        dash if reference else number_cell(low, between(low, high, 4)),
        dash if reference or one.p_value is None else number_cell(one.p_value, f"{one.p_value:.2g}"),
    )


def _gains(audit: BlendAudit) -> list[Block]:
    rows = [
        Estimated(
            _spoken(one.rule),
            one.gain,
            one.gain_low,
            one.gain_high,
            "learns" if one.learns else "",
            one.rule == audit.chosen,
        )
        for one in sorted(audit.rules, key=lambda one: -(one.gain or 0.0))
        if one.gain is not None and one.rule != "logit_mean"
    ]
    return [interval_figure(rows, "gain over the equal-weight mean", reference=0.0)] if rows else []


def _weights(audit: BlendAudit) -> list[Block]:
    """Those of the chosen rule and of all that are not equal by definition."""
    rules = [
        RuleWeights(_spoken(one.rule), one.weights, one.weights_by_fold or {}, one.rule == audit.chosen)
        for one in audit.rules
        if one.weights and (one.learns or one.rule == audit.chosen or len(set(one.weights.values())) > 1)
    ]
    return [weights_figure(rules)] if rules and len(audit.members) > 1 else []


def _finals(audit: BlendAudit) -> list[Block]:
    if not audit.finals:
        return [Words("No final is recommended: there is nothing to submit.")]
    files = ("submission.csv", "submission_alternative.csv")
    rows = tuple(
        (words_cell(one.name), words_cell(_sentence(one.why)), words_cell(file))
        for one, file in zip(audit.finals, files, strict=False)
    )
    columns = (Column("name"), Column("why"), Column("file", False, "In the output folder."))
    return [TableBlock("Recommended to submit", columns, rows)]


def _correlation(audit: BlendAudit) -> list[Block]:
    if audit.correlation is None or len(audit.correlation.names) < 2:
        return []
    matrix = np.array(audit.correlation.spearman)
    names = audit.correlation.names
    pairs = matrix + np.diag(np.full(len(names), -np.inf))
    first, second = np.unravel_index(int(pairs.argmax()), pairs.shape)
    text = (
        f"How alike members rank patches. The most alike are {names[first]} and {names[second]} "
        f"({pairs[first, second]:.3f}): the more alike two members are, the less the second adds."
    )
    return [Words(text), correlation_figure(names, matrix)]


def _contributions(audit: BlendAudit) -> list[Block]:
    if not audit.contributions:
        return []
    columns = (
        Column("member"),
        Column("AUC without it", True, "Of the equal-weight mean of the others."),
        Column(
            "it adds", True, "AUC of the equal-weight mean of all that are blended, less that without it."
        ),
        Column("standard error", True, "Of what it adds, paired on the same patches."),
    )
    rows = tuple(
        (
            words_cell(one.member),
            number_cell(one.auc_without, score(one.auc_without)),
            number_cell(one.gain, gain(one.gain)),
            number_cell(one.standard_error, score(one.standard_error)),
        )
        for one in audit.contributions
    )
    return [TableBlock("What each member adds to the equal-weight mean", columns, rows)]


def _gated(audit: BlendAudit) -> list[Block]:
    return [Words(f"{one.member} was left out of the blend: {one.why}.") for one in audit.gated]
