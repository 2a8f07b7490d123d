"""What came of a run, and what ran on which data, in words."""

from __future__ import annotations

import math
from collections.abc import Mapping

from histoblend.artifacts.artifacts import Artifacts, Candidate
from histoblend.errors import some
from histoblend.evaluation.uncertainty import Difference
from histoblend.report_page.blocks import Block, Section, Words
from histoblend.report_page.contents_leaderboard import Expected
from histoblend.report_page.wording import between, gain, in_words, listed, score, share


def verdict_section(
    artifacts: Artifacts, expected: Expected | None, leads: Mapping[str, Difference]
) -> Section:
    """The first thing read: verdict, what is unfinished, then what ran on which data."""
    blocks: list[Block] = []
    lead = artifacts.lead
    if lead is not None:
        blocks.append(Words(f"{_lead(artifacts, lead)} {_race(artifacts, lead, leads)}".strip(), "verdict"))
        blocks.append(Words(_blend(artifacts), "verdict"))
        if expected is not None:
            blocks.append(Words(expected.sentence))
        blocks += [Words(text, "warning") for text in _warnings(artifacts, lead)]
    else:
        blocks.append(Words("No fold is finished yet, so there are no scores.", "verdict"))
    if artifacts.holder is not None:
        blocks.append(Words(_at_work(artifacts), "warning"))
    if artifacts.notes:
        blocks.append(Words(" ".join(artifacts.notes), "warning"))
    blocks += [Words(_data(artifacts)), Words(_run(artifacts))]
    return Section("verdict", "What came of it, and what ran", tuple(blocks))


def _data(artifacts: Artifacts) -> str:
    data = artifacts.run.data
    counts = data.classes.values()
    classes = listed([f"{count:,} {name}" for name, count in data.classes.items()])
    if artifacts.several:
        classes = f"{len(counts)} classes of {min(counts):,} to {max(counts):,}"
    synthetic = " The patches are SYNTHETIC: drawn by a program." if data.synthetic else ""
    test = artifacts.test_patches
    tests = (
        "No test patches have been predicted yet"
        if test is None
        else "There is no test part"
        if test == 0
        else f"{test:,} test patches were predicted"
    )
    return (
        f"Data: {data.name}, {sum(data.classes.values()):,} labelled patches ({classes}).{synthetic} {tests}."
        f"{' ' if data.handling else ''}{' '.join(data.handling)}"
    )


def _run(artifacts: Artifacts) -> str:
    run, count = artifacts.run, artifacts.folds["fold"].nunique()
    device = f" on {run.device['name']}" if run.device.get("name") else ""
    return (
        f"Plan {run.plan_name}, last started {run.started}{device}: {count} folds, every experiment on the "
        f"same ones. How slides are kept apart: {run.folds.sentence}"
    )


def _lead(artifacts: Artifacts, lead: Candidate) -> str:
    classes = len(artifacts.classes)
    measure = f"mean AUC of {classes} classes, each against the rest," if artifacts.several else "AUC"
    kind = "a blend" if lead.metrics.kind == "blend" else f"an {lead.metrics.kind}".replace("an y", "a y")
    known = f"{lead.name}, {kind}: {measure} {score(lead.metrics.auc_pooled)} ({in_words(lead.interval)})"
    if not lead.metrics.complete:
        folds = some(lead.metrics.folds)
        return f"Best so far: {known}, on fold {folds} alone. No experiment has finished all folds yet."
    audit = artifacts.blend_audit
    chosen = audit is not None and lead.name == audit.blend(audit.chosen)
    return f"{'Chosen' if chosen else 'In front'}: {known}. {_honest(lead)}"


def _honest(best: Candidate) -> str:
    told = "Every patch was predicted by models trained without its fold"
    if best.metrics.kind != "blend":
        return f"{told}."
    return f"{told}, and blend weights, where a rule learns them, were learned without that fold."


def _blend(artifacts: Artifacts) -> str:
    audit = artifacts.blend_audit
    if audit is None:
        if not artifacts.blends:
            return "There is no blend yet: it needs experiments with all folds finished."
        return (
            "These blends were not audited (an older version wrote them), so which rule is best is not "
            "settled; the same ./run.sh run command audits them without training anew."
        )
    names = [one.name for one in audit.finals]
    recommended = f" Recommended to submit: {listed(names)}." if names else ""
    reason = f"{audit.reason[:1].upper()}{audit.reason[1:].rstrip('.')}."
    return f"Blending: {audit.chosen.replace('_', ' ')} (asked for: {audit.asked}). {reason}{recommended}"


def _warnings(artifacts: Artifacts, lead: Candidate) -> list[str]:
    """What makes the scores less sure than they look."""
    found = [lead.interval.warning] if lead.interval.warning else []
    if artifacts.policy == "none":
        found.append(
            "No slide is known, so patches of one slide stand in several folds: scores on new slides will be "
            "lower."
        )
    return found


def _race(artifacts: Artifacts, lead: Candidate, leads: Mapping[str, Difference]) -> str:
    """How the leading predictions stand to the best of the others."""
    others = [one for one in artifacts.complete if one.name in leads and one is not lead]
    if not others:
        return ""
    rival = others[0]
    found = leads[rival.name]
    bounds = (
        f"{share(found.interval.level, 0)} interval {between(found.interval.low, found.interval.high, 4)}"
    )
    place = f"The best of the others, {rival.name}, differs from it by {gain(found.gain)} ({bounds})"
    if math.isnan(found.interval.low):
        return f"{place}: how much of that is chance cannot be said."
    if found.interval.low <= 0 <= found.interval.high:
        return f"{place}: that may be chance, and the highest of a list looks a little better than it is."
    return f"{place}: more than chance on slides like these."


def _at_work(artifacts: Artifacts) -> str:
    holder = artifacts.holder
    assert holder is not None
    return (
        f"A run (process {holder.pid} on {holder.host}) has held this folder since {holder.since} and has "
        "not ended, or it was killed: this page shows what was finished when it was made."
    )
