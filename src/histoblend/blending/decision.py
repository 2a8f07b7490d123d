"""Which rule is taken, and why, in words: the equal mean, unless another is better by more than noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from histoblend.blending.nested_audit import Verdict
from histoblend.blending.rules import REFERENCE
from histoblend.evaluation.uncertainty import Difference

AUTO = "auto"
ERRORS = 2.0  # standard errors of the paired difference that a gain has to exceed
FEWEST_CLUSTERS = 10  # below which a standard error between clusters says nothing
LEAST_GAIN = 1e-4  # the last digit of a leaderboard: less is not worth leaving the equal mean for


@dataclass(frozen=True)
class Decision:
    """The rule whose blend is submitted, and why."""

    rule: str
    reason: str


def decide(verdicts: Sequence[Verdict], asked: str) -> Decision:
    """The rule that was `asked` for; for ``auto`` the equal mean unless another gains more than noise over it.

    A rule passes if its cross-fitted gain exceeds twice the standard error of the paired difference and, where few
    clusters decide, its 95 % interval does not hold 0. Where several pass, the surest gain is taken: that with the
    largest gain less two standard errors. A rule whose weights were given
    is never taken: nobody can know which labels they were chosen on.
    """
    by_itself = _automatic(verdicts)
    if asked == AUTO:
        return by_itself
    if asked == by_itself.rule:
        return Decision(asked, f"asked for by blend.rule; auto takes it too: {by_itself.reason}")
    reason = f"asked for by blend.rule; auto would take {spoken(by_itself.rule)}: {by_itself.reason}"
    return Decision(asked, reason)


def _automatic(verdicts: Sequence[Verdict]) -> Decision:
    reference = next(one for one in verdicts if one.rule == REFERENCE)
    if len(reference.fit.learned.weights) == 1:
        return Decision(REFERENCE, "one member: every rule ranks as it does")
    others = [one for one in verdicts if one.rule != REFERENCE and one.row.measured]
    clusters = reference.difference.interval.clusters
    if clusters is not None and clusters < FEWEST_CLUSTERS:
        return Decision(REFERENCE, f"{clusters} clusters are too few to tell a gain from noise; {_STAYS}")
    if unknown := [one for one in others if not math.isfinite(surest_gain(one.difference))]:
        found = f"the standard error of the gain of {spoken(unknown[0].rule)} cannot be told"
        return Decision(REFERENCE, f"{found}; {_STAYS}")
    passing = sorted((one for one in others if is_gain(one.difference)), key=_by_surest, reverse=True)
    if not passing:
        return Decision(REFERENCE, _why_none(others))
    best, *also = passing
    reason = f"{_gains(best)}, more than twice its standard error ({_short(best.error)})"
    if also:
        reason += f"; so do {', '.join(spoken(one.rule) for one in also)}, but its gain is the surest"
    return Decision(best.rule, reason)


_STAYS = "the equal mean stays"


def surest_gain(difference: Difference) -> float:
    """The gain less two standard errors, or the lower limit of its interval where few clusters make that wider."""
    return min(difference.gain - ERRORS * difference.interval.standard_error, difference.interval.low)


def is_gain(difference: Difference) -> bool:
    """Whether the gain is more than noise."""
    return difference.gain >= LEAST_GAIN and surest_gain(difference) > 0


def _by_surest(verdict: Verdict) -> float:
    return surest_gain(verdict.difference)


def _why_none(others: Sequence[Verdict]) -> str:
    gaining = [one for one in others if one.difference.gain >= LEAST_GAIN]
    if not gaining:
        return f"no rule gains {_short(LEAST_GAIN)} or more over the equal mean; {_STAYS}"
    nearest = max(gaining, key=lambda one: one.difference.gain / one.error)
    found = f"{_gains(nearest)}, {_twice(nearest)}"
    return f"{found}: noise; {_STAYS}"


def _twice(verdict: Verdict) -> str:
    """How a gain that does not pass compares with its standard error."""
    interval = verdict.difference.interval
    if verdict.difference.gain <= ERRORS * verdict.error:
        return f"less than twice its standard error ({_short(verdict.error)})"
    return (
        f"more than twice its standard error ({_short(verdict.error)}), but so few clusters decide that the "
        f"{interval.level:.0%} interval of the gain still holds 0".replace("%", " %")
    )


def _gains(verdict: Verdict) -> str:
    return f"{spoken(verdict.rule)} gains {_short(verdict.difference.gain)} over the equal mean"


def spoken(rule: str) -> str:
    """A rule's name in a sentence."""
    return "the equal mean" if rule == REFERENCE else rule.replace("_", " ")


def _short(number: float) -> str:
    """``.0012``; with more digits where they would all be zero."""
    return f"{number:.4f}".lstrip("0") if number >= 0.00005 else f"{number:.1e}"
