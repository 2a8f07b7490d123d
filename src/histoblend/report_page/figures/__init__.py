"""The report's figures: arrays in, a FigureBlock out, with caption and alternative text made from the numbers."""

from histoblend.report_page.figures.agreement import agreement_figure
from histoblend.report_page.figures.calibration import calibration_figure
from histoblend.report_page.figures.correlation import correlation_figure
from histoblend.report_page.figures.cost import cost_figure
from histoblend.report_page.figures.curves import precision_recall_figure, roc_figure
from histoblend.report_page.figures.data import (
    Answered,
    Cost,
    Curve,
    Estimated,
    Reliability,
    RuleWeights,
    ViewGain,
)
from histoblend.report_page.figures.folds import fold_dots_figure
from histoblend.report_page.figures.intervals import interval_figure
from histoblend.report_page.figures.training import training_figure
from histoblend.report_page.figures.views import tta_figure
from histoblend.report_page.figures.weights import weights_figure

__all__ = [
    "Answered",
    "Cost",
    "Curve",
    "Estimated",
    "Reliability",
    "RuleWeights",
    "ViewGain",
    "agreement_figure",
    "calibration_figure",
    "correlation_figure",
    "cost_figure",
    "fold_dots_figure",
    "interval_figure",
    "precision_recall_figure",
    "roc_figure",
    "training_figure",
    "tta_figure",
    "weights_figure",
]
