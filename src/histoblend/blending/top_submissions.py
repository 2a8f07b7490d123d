"""The submissions on top of the output folder: those of the finals, and none of an earlier run beside them."""

from __future__ import annotations

import shutil
from collections.abc import Sequence

from histoblend.blending.decision import Decision
from histoblend.blending.finals import Candidate, Final, second_final
from histoblend.blending.inputs import Blended, BlendInputs
from histoblend.blending.members import MemberLogits
from histoblend.blending.submission import submission_table, write_submission
from histoblend.evaluation.uncertainty import Ground
from histoblend.inference.tables import test_table
from histoblend.workspace import atomic_write


def choose_finals(
    blends: Sequence[Blended], joined: MemberLogits, decision: Decision, ground: Ground
) -> list[Final]:
    """The blend that was decided on, and the most different of the near-best: another blend, or a member alone."""
    candidates = {
        one.verdict.rule: Candidate(one.name, one.verdict.rule, one.verdict.fit.cross_fitted, one.test)
        for one in blends
        if one.verdict.row.measured or one.verdict.rule == decision.rule
    }
    alone = [
        Candidate(name, None, joined.out_of_fold[:, place], joined.test[:, place])
        for place, name in enumerate(joined.names)
    ]
    chosen = candidates[decision.rule]
    second = second_final([*candidates.values(), *alone], chosen, ground)
    return [Final(chosen, decision.reason), *([second] if second else [])]


def write_finals(finals: Sequence[Final], joined: MemberLogits, inputs: BlendInputs) -> None:
    """Write submission.csv and, for a second final, submission_alternative.csv; without one, a stale one goes."""
    workspace, scoring = inputs.workspace, inputs.scoring
    if finals:
        with atomic_write(workspace.submission) as temporary:
            shutil.copyfile(workspace.ensemble(finals[0].candidate.name).submission, temporary)
    if len(finals) < 2:
        workspace.submission_alternative.unlink(missing_ok=True)
        return
    test = test_table(scoring.test_ids, finals[1].candidate.test)
    submission = submission_table(test, scoring.sample, inputs.scale, scoring.classes)
    nobody = MemberLogits(
        (), joined.out_of_fold[:, :0], joined.test[:, :0]
    )  # near-best: its direction is known
    write_submission(workspace.submission_alternative, submission, scoring, test, nobody)
