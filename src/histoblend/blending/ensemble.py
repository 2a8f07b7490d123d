"""Every rule's blend of the complete members, written with its own submission; the audit that says which to take."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from histoblend.blending.audit_record import Audit, audit_record, weights_record
from histoblend.blending.decision import decide
from histoblend.blending.diversity import contributions, gates, spearman
from histoblend.blending.finals import Final
from histoblend.blending.inputs import Blended, BlendInputs, ensemble_name
from histoblend.blending.members import Member, MemberLogits, joined_logits
from histoblend.blending.mixture import mixed
from histoblend.blending.nested_audit import Count, Verdict, nested_audit
from histoblend.blending.rules import REFERENCE, RULES, Row, given_weights, rules_for
from histoblend.blending.submission import submission_table, write_submission
from histoblend.blending.top_submissions import choose_finals, write_finals
from histoblend.blending.training import Training
from histoblend.config import Blend
from histoblend.config_files import base_name
from histoblend.evaluation.metrics import Metrics, areas, local_leaderboard
from histoblend.evaluation.uncertainty import Ground, estimates, ground_of
from histoblend.inference.tables import out_of_fold_table, test_table, write_out_of_fold, write_test
from histoblend.workspace import write_json


def write_ensembles(
    members: Sequence[Member], inputs: BlendInputs, count: Count = lambda done, of: None
) -> list[Metrics]:
    """Blend `members` by every rule that fits, audit the rules, write each one's artifacts, the audit and the finals.

    Out-of-fold predictions of a rule that learns are cross-fitted; test is predicted by weights learned on all folds.

    Raises:
        ArtifactRefusal: members of different folds, or a submission that would score wrongly.
        ConfigRefusal: `blend.weights` does not fit the members.
    """
    scoring = inputs.scoring
    joined = joined_logits(members, scoring.folds, scoring.test_ids)
    ground = ground_of(scoring.folds, scoring.about["slides_policy"])
    audit = _audited(joined, ground, inputs, count)
    blends = _blends(audit.verdicts, joined, ground, inputs)
    seeds = {name: [one.name for one in members if base_name(one.name) == name] for name in joined.names}
    _take_away_others((one.rule for one in audit.verdicts), inputs)
    metrics = [_write_ensemble(one, joined, inputs, seeds) for one in blends]
    finals = choose_finals(blends, joined, audit.decision, ground) if scoring.submits else []
    write_finals(finals, joined, inputs)
    about = {"plan": inputs.plan, "folds_fingerprint": members[0].folds_fingerprint}
    content = about | {"asked": inputs.settings.rule, "finals": _names(finals)} | audit_record(audit, ground)
    write_json(inputs.workspace.blend_audit(inputs.plan), content)
    return metrics


def _audited(joined: MemberLogits, ground: Ground, inputs: BlendInputs, count: Count) -> Audit:
    settings = inputs.settings
    training = Training(
        joined.names, joined.out_of_fold, ground.labels, ground.folds, settings.weights, settings.power
    )
    closed = None if settings.gate is None else gates(training, settings.gate)
    verdicts = nested_audit(training, ground, _rules(training, inputs), closed, count)
    kept = training if closed is None else training.only(closed.whole.kept)
    return Audit(
        names=joined.names,
        verdicts=verdicts,
        decision=decide(verdicts, settings.rule),
        gated={} if closed is None else closed.whole.reasons,
        correlation=spearman(joined.out_of_fold, training.groups),
        contributions=contributions(kept.names, kept.logits, ground),
    )


def _rules(training: Training, inputs: BlendInputs) -> dict[str, Row]:
    """The rules that fit; of one member, whom all of them rank alike, the reference and the one that is asked for."""
    rules = rules_for(len(inputs.scoring.classes))
    if inputs.settings.weights is None:
        del rules["weighted"]
    else:
        given_weights(training)
    if inputs.settings.power != Blend().power:  # nobody can know which labels it was chosen on
        rules["power_mean"] = replace(rules["power_mean"], measured=False)
    if training.members == 1:
        return {name: row for name, row in rules.items() if name in (REFERENCE, inputs.settings.rule)}
    return rules


def _blends(
    verdicts: Sequence[Verdict], joined: MemberLogits, ground: Ground, inputs: BlendInputs
) -> list[Blended]:
    """The rules' blends: test predicted by weights learned on all folds, as one group."""
    together = np.zeros(len(joined.test), np.int64)
    found = estimates(ground, np.stack([one.fit.cross_fitted for one in verdicts], axis=1))
    return [
        Blended(
            ensemble_name(inputs.plan, one.rule),
            one,
            mixed(joined.test, together, one.fit.learned),
            estimate.interval,
        )
        for one, estimate in zip(verdicts, found, strict=True)
    ]


def _take_away_others(rules: Iterable[str], inputs: BlendInputs) -> None:
    """Blends of an earlier run by rules that this one has none of: their members may be others by now."""
    for rule in RULES.keys() - set(rules):
        folder = inputs.workspace.ensemble(ensemble_name(inputs.plan, rule)).folder
        if folder.exists():
            shutil.rmtree(folder)


def _write_ensemble(
    blend: Blended, joined: MemberLogits, inputs: BlendInputs, seeds: dict[str, list[str]]
) -> Metrics:
    scoring, verdict, mixture = inputs.scoring, blend.verdict, blend.verdict.fit.learned
    folder = inputs.workspace.ensemble(blend.name)
    out_of_fold = out_of_fold_table(scoring.folds, verdict.fit.cross_fitted)
    test = test_table(scoring.test_ids, blend.test)
    write_out_of_fold(folder.out_of_fold, out_of_fold, scoring.folds)
    write_test(folder.test, test, scoring.test_ids)
    applied = {key: getattr(mixture, key) for key in ("space", "power", "slope", "intercept")}
    weights = {"rule": verdict.rule, "members": seeds, **applied, **weights_record(verdict, joined.names)}
    write_json(folder.weights, weights)
    if scoring.submits:
        submission = submission_table(test, scoring.sample, inputs.scale, scoring.classes)
        write_submission(folder.submission, submission, scoring, test, _heavy(joined, mixture.weights))
    metrics = Metrics(
        name=blend.name,
        kind="blend",
        complete=True,
        local_leaderboard=local_leaderboard(test, scoring.known_labels),
        about=scoring.about,
        interval=asdict(blend.interval),
        auc_in_sample=verdict.auc_in_sample if verdict.fit.learns else None,
        **areas(out_of_fold),
    )
    write_json(folder.metrics, asdict(metrics))
    return metrics


def _heavy(joined: MemberLogits, weights: np.ndarray) -> MemberLogits:
    """The members with an equal share of the weight at least: those whose direction the blend must have."""
    chosen = np.flatnonzero(weights >= (1 - 1e-9) / len(weights))
    names = tuple(joined.names[place] for place in chosen)
    return MemberLogits(names, joined.out_of_fold[:, chosen], joined.test[:, chosen])


def _names(finals: Sequence[Final]) -> list[dict[str, Any]]:
    return [{"name": one.candidate.name, "rule": one.candidate.rule, "why": one.why} for one in finals]
