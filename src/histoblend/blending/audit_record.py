"""The audit of a plan's blend as plain data: what `<plan>_audit.json` holds and every table of it is made from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from histoblend.blending.decision import Decision
from histoblend.blending.diversity import Contribution
from histoblend.blending.nested_audit import Verdict
from histoblend.evaluation.uncertainty import Ground, Interval


@dataclass(frozen=True)
class Audit:
    """All that was found out about a blend's rules and members; `contributions` are to those a gate lets through."""

    names: tuple[str, ...]
    verdicts: Sequence[Verdict]
    decision: Decision
    gated: Mapping[str, str]
    correlation: np.ndarray
    contributions: Sequence[Contribution]


def audit_record(audit: Audit, ground: Ground) -> dict[str, Any]:
    """Plain data; what cannot be told is None."""
    intervals = [one.difference.interval for one in audit.verdicts if one.difference.gain != 0]
    interval: Interval = (intervals or [audit.verdicts[0].difference.interval])[0]
    contributions = [
        {key: number(value) for key, value in asdict(one).items()} for one in audit.contributions
    ]
    return {
        "members": list(audit.names),
        "method": interval.method,
        "clusters": interval.clusters,
        "clusters_are": ground.clusters_are,
        "warning": interval.warning,
        "rules": [_rule(one, audit.names) for one in audit.verdicts],
        "chosen": audit.decision.rule,
        "reason": audit.decision.reason,
        "correlation": {"names": list(audit.names), "spearman": audit.correlation.tolist()},
        "contributions": contributions,
        "gated": [{"member": name, "why": why} for name, why in audit.gated.items()],
    }


def _rule(verdict: Verdict, names: Sequence[str]) -> dict[str, Any]:
    difference = verdict.difference
    return {
        "rule": verdict.rule,
        "learns": verdict.fit.learns,
        "auc_in_sample": verdict.auc_in_sample,
        "auc_cross_fitted": verdict.auc_cross_fitted,
        "optimism": verdict.optimism,
        "gain": number(difference.gain),
        "gain_standard_error": number(difference.interval.standard_error),
        "gain_low": number(difference.interval.low),
        "gain_high": number(difference.interval.high),
        "p_value": number(difference.p_value),
        **weights_record(verdict, names),
    }


def weights_record(verdict: Verdict, names: Sequence[str]) -> dict[str, Any]:
    """Weights by member, learned from all folds and from all but each one."""
    return {
        "weights": _by_name(verdict.fit.learned.weights, names),
        "weights_by_fold": {
            str(fold): _by_name(one.weights, names) for fold, one in verdict.fit.by_fold.items()
        },
    }


def _by_name(weights: np.ndarray, names: Sequence[str]) -> dict[str, float]:
    return dict(zip(names, weights.tolist(), strict=True))


def number(value: Any) -> Any:
    """`value`, or None for a number that is not finite: JSON has no word for it."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
