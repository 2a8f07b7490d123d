"""ROC and precision-recall curves, calibration, and sensitivity against specificity at chosen points."""

from __future__ import annotations

import numpy as np
import pandas as pd

from histoblend.artifacts.artifacts import Artifacts, Candidate
from histoblend.evaluation.calibration import (
    NONE,
    calibrations,
    cross_fitted,
    expected_error,
    maps_for,
    reliability,
)
from histoblend.evaluation.curves import Curve as Measured
from histoblend.evaluation.curves import pooled_curves
from histoblend.evaluation.operating_points import MEASURES, OperatingPoint, operating_points
from histoblend.evaluation.uncertainty import Interval
from histoblend.inference.predict import probabilities
from histoblend.report_page.blocks import Cell, Column, Section, TableBlock, Words
from histoblend.report_page.figures import (
    Curve,
    Reliability,
    calibration_figure,
    precision_recall_figure,
    roc_figure,
)
from histoblend.report_page.wording import known, number_cell, score, share, words_cell

MOST_CURVES = 5
MAPS = {NONE: "as predicted", "temperature": "after temperature scaling", "platt": "after Platt scaling"}
MAPS["isotonic"] = "after isotonic regression"


def curves_section(artifacts: Artifacts) -> Section:
    """ROC and precision-recall, the leading predictions first."""
    title = "ROC and precision-recall"
    lead = artifacts.lead
    if lead is None:
        return Section("curves", title, (Words("No fold is finished yet, so there is no curve."),))
    if artifacts.several:
        found = pooled_curves(artifacts.ground(lead), lead.logits)
        named = {_class(artifacts.classes[number]): one for number, one in found.items()}
        hardest = dict(sorted(named.items(), key=lambda pair: pair[1].roc.area))
        what = f"Each class against the rest, by {lead.name}; the class hardest to tell leads and shows its band."
    else:
        alone = [one for one in artifacts.ranked if one is not lead and one.metrics.kind != "blend"]
        chosen = [lead, *alone][:MOST_CURVES]
        hardest = {one.name: pooled_curves(artifacts.ground(one), one.logits)[1] for one in chosen}
        what = "Out-of-fold predictions, on ranks within each fold; the area under a ROC curve is the ranking's AUC."
    roc = [_curve(name, one.roc) for name, one in hardest.items()]
    recall = [_curve(name, one.precision_recall) for name, one in hardest.items()]
    first = next(iter(hardest.values()))
    words = Words(f"{what} {_band(first.roc)}")
    return Section("curves", title, (words, roc_figure(roc), precision_recall_figure(recall, first.share)))


def _class(name: str) -> str:
    """A class's name in a legend."""
    return f"class {name}" if name.isdigit() else name


def _curve(name: str, one: Measured) -> Curve:
    """The curve with its band, where there is one, at its own places."""
    low, high = (edge if _has_band(one) else None for edge in (one.low, one.high))
    return Curve(name, one.x, one.y, one.area, low, high, one.grid)


def _has_band(one: Measured) -> bool:
    return bool(np.isfinite(one.low).any())


def _band(one: Measured) -> str:
    """What the band is, and what is to be said of it; or why there is none."""
    if not _has_band(one):
        return f"There is no band. {one.warning}"
    return (
        "The band is where the curve would lie, 19 times of 20 at each place, with other slides "
        f"({one.method}, {one.clusters:,} of them). {one.warning or ''}"
    ).strip()


def calibration_section(artifacts: Artifacts) -> Section:
    """Whether probabilities can be taken at their word, and after which map."""
    title, lead = "Calibration: can probabilities be taken at their word?", artifacts.lead
    if lead is None:
        return Section("calibration", title, (Words("No fold is finished yet."),))
    labels, logits, folds = lead.labels, lead.logits, lead.table["fold"].to_numpy()
    if len(np.unique(folds)) < 2:
        text = "Only one fold is finished, and a calibration learned on a fold cannot be judged on the same fold."
        return Section("calibration", title, (Words(text),))
    found = calibrations(labels, logits, folds)
    rows = tuple(
        (
            words_cell(MAPS.get(one.method, one.method)),
            *(
                number_cell(value, score(value))
                for value in (one.ece_equal_mass, one.ece_equal_width, one.brier, one.log_loss)
            ),
        )
        for one in found
    )
    best = min(found, key=lambda one: one.log_loss)
    table = TableBlock(f"Calibration of {lead.name}", _calibration_columns(), rows, (found.index(best),))
    drawn = [_reliability(MAPS[NONE], labels, probabilities(logits))]
    shown = maps_for(logits.shape[1])[:2]
    outcome = "positive" if logits.shape[1] == 1 else "rightly named"
    drawn += [_reliability(MAPS[one], labels, cross_fitted(one, labels, logits, folds)) for one in shown]
    return Section(
        "calibration",
        title,
        (Words(_calibration_words(lead, best.method)), calibration_figure(drawn, lead.name, outcome), table),
    )


def _calibration_words(lead: Candidate, best: str) -> str:
    advice = (
        "The probabilities are best left as they are."
        if best == NONE
        else f"Lowest log loss: {MAPS.get(best, best)}."
    )
    ranks = (
        " This blend is a mean of ranks, so what is called its probability was never one before calibration."
        if lead.weights is not None and "rank" in lead.weights.rule
        else ""
    )
    return (
        "Each fold was calibrated by a map learned on the other folds, so nothing is judged on patches it "
        f"was learned from. {advice}{ranks} AUC hardly depends on calibration; "
        "thresholds and people do."
    )


def _calibration_columns() -> tuple[Column, ...]:
    return (
        Column("probabilities"),
        Column(
            "ECE, equal mass", True, "Expected calibration error in 15 bins of as many patches: 0 is perfect."
        ),
        Column("ECE, equal width", True, "The same in 15 bins of equal width."),
        Column("Brier", True, "Mean squared error of the probability: 0 is perfect."),
        Column("log loss", True, "Mean negative log-likelihood: 0 is perfect."),
    )


def _reliability(name: str, labels: np.ndarray, given: np.ndarray) -> Reliability:
    frame: pd.DataFrame = reliability(labels, given, equal="width")
    return Reliability(
        name,
        frame["predicted"].to_numpy(),
        frame["observed"].to_numpy(),
        frame["patches"].to_numpy(),
        expected_error(frame),
    )


def points_section(artifacts: Artifacts) -> Section:
    """Sensitivity and specificity where one of them is asked for."""
    title, lead = "Sensitivity and specificity at chosen points", artifacts.lead
    if lead is None or lead.table["fold"].nunique() < 2:
        text = (
            "A threshold is judged on another fold than it was chosen on, so this needs two finished folds."
        )
        return Section("points", title, (Words(text),))
    if artifacts.several:
        text = f"These are of two classes; here there are {len(artifacts.classes)}."
        return Section("points", title, (Words(text),))
    found = operating_points(artifacts.ground(lead), lead.logits)
    about = (
        f"For {lead.name}: the threshold of each fold was read off the other folds and then applied to it, "
        f"so what is reached differs from what was asked for. A patch counts as {artifacts.classes[1]} from "
        f"the threshold on. Predictive values hold for a share of {share(float(lead.labels.mean()))} "
        f"{artifacts.classes[1]}, as here."
    )
    columns = (
        Column("asked for"),
        Column("threshold", True, "Probability from which a new patch is called positive, from all folds."),
        *(
            Column(name, True, "Reached on folds the threshold was not chosen on; 95 % interval.")
            for name in MEASURES
        ),
    )
    rows = tuple(_point_row(one) for one in found)
    table = TableBlock("What a threshold reaches", columns, rows)
    return Section("points", title, (Words(about), table, *_warnings(found)))


def _warnings(points: list[OperatingPoint]) -> tuple[Words, ...]:
    """What is to be said of the intervals of a table, each once; nothing where nothing is."""
    intervals = [one.measures[name].interval for one in points for name in MEASURES]
    said = dict.fromkeys(one.warning for one in intervals if one is not None and one.warning)
    return (Words(" ".join(said), "warning"),) if said else ()


def _point_row(point: OperatingPoint) -> tuple[Cell, ...]:
    asked = (
        "highest sum of both (Youden)"
        if point.at_least is None
        else f"{point.asked} of at least {100 * point.at_least:.0f} %"
    )
    cells = []
    for name in MEASURES:
        one = point.measures[name]
        cells.append(number_cell(one.value, f"{share(one.value)}{_within(one.interval)}"))
    return (words_cell(asked), number_cell(point.threshold, f"{point.threshold:.3g}"), *cells)


def _within(interval: Interval | None) -> str:
    """The limits behind a share; nothing where there are none."""
    if interval is None or not known(interval.low):
        return ""
    return f" ({100 * interval.low:.0f}–{100 * interval.high:.0f})"
