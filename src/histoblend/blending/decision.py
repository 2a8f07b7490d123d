"""Which rule is taken, and why, in words: the equal mean, unless another is better by more than noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from histoblend.blending.nested_audit import Verdict
from histoblend.blending.rules import REFERENCE

AUTO = "auto"
ERRORS = {"slides": 2.0, "pseudo-slides": 4.0}
"""Standard errors of the paired difference that a gain has to exceed, by what the clusters are.

Clusters of stain may cut slides. Then weights are learned on parts of the slides that they are judged by: the gain is
too high and its error too small. On independent patches no number of errors would do.
"""
FEWEST_CLUSTERS = 10  # below which a standard error between clusters says nothing
LEAST_GAIN = 2e-4  # what a leaderboard shows: less is not worth leaving the equal mean for


@dataclass(frozen=True)
class Decision:
    """The rule whose blend is submitted, and why."""

    rule: str
    reason: str


def decide(verdicts: Sequence[Verdict], asked: str) -> Decision:
    """The rule that was `asked` for; for ``auto`` the equal mean unless another gains more than noise over it.

    A rule passes if its cross-fitted gain exceeds `ERRORS` standard errors of the paired difference (two between
    slides, four between pseudo-slides) and its 95 % interval, wider where few clusters decide, does not hold 0. Where
    several pass, the surest gain is taken: that with the largest gain less so many errors. Without slides none passes:
    folds then share slides, and a rule is paid for what the members know of those. A rule whose weights or power were
    given is never taken: nobody can know which labels they were chosen on.
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
    others = [one for one in verdicts if one.rule != REFERENCE and one.row.measured]
    if undecidable := _undecidable(reference, others):
        return Decision(REFERENCE, undecidable)
    passing = sorted((one for one in others if is_gain(one)), key=surest_gain, reverse=True)
    if not passing:
        return Decision(REFERENCE, f"{_why_none(others)}; {_STAYS}")
    best, *also = passing
    reason = f"{_gains(best)}, more than {_times(best)} its standard error ({_short(best.error)})"
    if also:
        reason += f"; so do {', '.join(spoken(one.rule) for one in also)}, but its gain is the surest"
    return Decision(best.rule, reason)


_STAYS = "the equal mean stays"


def _undecidable(reference: Verdict, others: Sequence[Verdict]) -> str | None:
    """Why nothing can be told between the rules, in words; None if it can."""
    clusters = reference.difference.interval.clusters
    if len(reference.fit.learned.weights) == 1:
        return "one member: every rule ranks as it does"
    if clusters is None:
        return f"no slide is known, so folds share slides and every gain looks surer than it is; {_STAYS}"
    if clusters < FEWEST_CLUSTERS:
        return f"{clusters} clusters are too few to tell a gain from noise; {_STAYS}"
    if unknown := [one for one in others if not math.isfinite(surest_gain(one))]:
        return f"the standard error of the gain of {spoken(unknown[0].rule)} cannot be told; {_STAYS}"
    return None


def surest_gain(verdict: Verdict) -> float:
    """The gain less `ERRORS` standard errors, or the lower limit of its interval where that is less."""
    difference = verdict.difference
    return min(difference.gain - ERRORS[verdict.clusters_are] * verdict.error, difference.interval.low)


def is_gain(verdict: Verdict) -> bool:
    """Whether the gain is more than noise."""
    return verdict.difference.gain >= LEAST_GAIN and surest_gain(verdict) > 0


def _why_none(others: Sequence[Verdict]) -> str:
    gaining = [one for one in others if one.difference.gain >= LEAST_GAIN]
    if not gaining:
        return f"no rule gains {LEAST_GAIN:g} or more over the equal mean".replace("0.", ".")
    nearest = max(gaining, key=lambda one: one.difference.gain / one.error)
    found = f"{_times(nearest)} its standard error ({_short(nearest.error)})"
    if nearest.difference.gain <= ERRORS[nearest.clusters_are] * nearest.error:
        return f"{_gains(nearest)}, less than {found}: noise"
    level = f"{100 * nearest.difference.interval.level:g} %"
    return (
        f"{_gains(nearest)}, more than {found}, but so few clusters decide that the {level} interval of the gain "
        "still holds 0: noise"
    )


def _times(verdict: Verdict) -> str:
    """How many standard errors are asked for, in words."""
    times = ERRORS[verdict.clusters_are]
    return "twice" if times == 2 else f"{times:g} times"


def _gains(verdict: Verdict) -> str:
    return f"{spoken(verdict.rule)} gains {_short(verdict.difference.gain)} over the equal mean"


def spoken(rule: str) -> str:
    """A rule's name in a sentence."""
    return "the equal mean" if rule == REFERENCE else rule.replace("_", " ")


def _short(number: float) -> str:
    """Four digits after the point, of a small number as many as show two of its own: ``.0123``, ``.00045``."""
    digits = 4 if number <= 0 else max(4, 1 - math.floor(math.log10(number)))
    return f"{number:.{digits}f}".lstrip("0")
