from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from histoblend.blending import ensemble
from histoblend.blending.decision import Decision, decide
from histoblend.blending.ensemble import write_ensembles
from histoblend.blending.inputs import BlendInputs
from histoblend.blending.members import Member
from histoblend.blending.nested_audit import Verdict
from histoblend.blending.rules import RULES
from histoblend.config import Blend
from histoblend.errors import ConfigRefusal
from histoblend.evaluation.auc import percentile_ranks, pooled_auc
from histoblend.evaluation.metrics import Scoring
from histoblend.evaluation.uncertainty import estimates, ground_of
from histoblend.inference import tables
from histoblend.workspace import Workspace, read_json

ROWS, TESTS = 240, 90
GENERATOR = np.random.default_rng(0)
FOLDS = pd.DataFrame(
    {
        "id": [f"{row:04d}" for row in GENERATOR.permutation(ROWS)],
        "label": np.arange(ROWS) // 4 % 2,
        "fold": np.arange(ROWS) % 4,
        "slide": [f"s{row % 24}" for row in range(ROWS)],
    }
)
IDS = pd.Series([f"t{row}" for row in range(TESTS)])
LABELS = {"oof": FOLDS["label"].to_numpy(), "test": GENERATOR.integers(0, 2, TESTS)}
GIVEN = {"a": 1.0, "b": 3.0}


def member(name: str, worth: float, seed: int) -> Member:
    generator = np.random.default_rng(seed)
    oof, test = (
        worth * labels[:, None] + generator.normal(size=(len(labels), 1)) for labels in LABELS.values()
    )
    return Member(name, tables.out_of_fold_table(FOLDS, oof), tables.test_table(IDS, test), "s")


def members() -> list[Member]:
    return [member("a", 1.0, 1), member("b", 2.0, 2), member("a.seed2", 1.0, 3)]


def blended(folder: Path, chosen: list[Member], ids: pd.Series = IDS, **settings: object) -> Workspace:
    scoring = Scoring(FOLDS, ids, None, None, ("no tumour", "tumour"), {"slides_policy": "map"})
    workspace = Workspace(folder)
    write_ensembles(chosen, BlendInputs(workspace, "plan", "rank", scoring, Blend(**settings)))  # type: ignore[arg-type]
    return workspace


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return blended(tmp_path_factory.mktemp("blends"), members(), weights=GIVEN)


def audit_of(workspace: Workspace) -> dict:
    return read_json(workspace.blend_audit("plan"))


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_has_its_ensemble_and_its_row_of_the_audit(rule: str, written: Workspace):
    folder = written.ensemble(f"plan_{rule}")
    content, metrics = read_json(folder.weights), read_json(folder.metrics)
    assert content["rule"] == rule and content["members"] == {"a": ["a", "a.seed2"], "b": ["b"]}
    row = next(one for one in audit_of(written)["rules"] if one["rule"] == rule)
    assert {key: content[key] for key in ("weights", "weights_by_fold")} == {
        key: row[key] for key in ("weights", "weights_by_fold")
    }
    assert list(content["weights_by_fold"]) == ["0", "1", "2", "3"]
    assert metrics["auc_pooled"] == pytest.approx(row["auc_cross_fitted"], abs=1e-12)
    assert metrics["auc_in_sample"] == (row["auc_in_sample"] if RULES[rule].learns else None)
    test = tables.read_test(folder.test, IDS)
    submission = pd.read_csv(folder.submission, float_precision="round_trip")
    np.testing.assert_array_equal(submission["label"], percentile_ranks(test["logit"].to_numpy()))


def test_out_of_fold_predictions_are_those_of_each_folds_own_weights_and_test_is_of_all(written: Workspace):
    folder = written.ensemble("plan_hill_climbing")
    content = read_json(folder.weights)
    a, b, a2 = (one.out_of_fold["logit"].to_numpy() for one in members())
    pairs = {"a": (a + a2) / 2, "b": b}
    by_fold = [content["weights_by_fold"][str(fold)] for fold in FOLDS["fold"]]
    expected = sum(pairs[name] * np.array([one[name] for one in by_fold]) for name in pairs)
    found = tables.read_out_of_fold(folder.out_of_fold, FOLDS)["logit"]
    np.testing.assert_allclose(found, expected)
    a, b, a2 = (one.test["logit"].to_numpy() for one in members())
    whole = (a + a2) / 2 * content["weights"]["a"] + b * content["weights"]["b"]
    np.testing.assert_allclose(tables.read_test(folder.test, IDS)["logit"], whole)
    assert len({tuple(one.items()) for one in by_fold}) > 1


def test_the_interval_of_a_rule_that_learns_is_that_of_its_cross_fitted_predictions(written: Workspace):
    ground = ground_of(FOLDS, "map")
    for rule in ("hill_climbing", "stacking_l2"):
        folder = written.ensemble(f"plan_{rule}")
        logits = tables.read_out_of_fold(folder.out_of_fold, FOLDS)[["logit"]].to_numpy()
        (expected,) = estimates(ground, logits[:, None])
        found = read_json(folder.metrics)["interval"]
        for key in ("low", "high", "standard_error"):
            assert found[key] == pytest.approx(getattr(expected.interval, key), abs=1e-12)


def test_the_audit_says_what_was_decided_on_what_and_why(written: Workspace):
    audit = audit_of(written)
    assert (audit["plan"], audit["folds_fingerprint"], audit["asked"]) == ("plan", "s", "auto")
    assert (audit["members"], audit["clusters"], audit["clusters_are"]) == (["a", "b"], 24, "slides")
    assert audit["chosen"] in audit["reason"].replace(" ", "_") or "the equal mean stays" in audit["reason"]
    reference = audit["rules"][0]
    assert reference["rule"] == "logit_mean"
    assert (reference["gain"], reference["gain_standard_error"], reference["optimism"]) == (0, 0, 0)
    for one in audit["rules"]:
        gain = one["auc_cross_fitted"] - reference["auc_cross_fitted"]
        assert one["gain"] == pytest.approx(gain, abs=1e-12)
    assert audit["correlation"]["names"] == ["a", "b"] and audit["correlation"]["spearman"][0][0] == 1
    logits = members()[1].out_of_fold[["logit"]].to_numpy()
    without = pooled_auc(LABELS["oof"], logits, FOLDS["fold"].to_numpy())
    assert audit["contributions"][0]["auc_without"] == pytest.approx(without)


def test_the_finals_are_on_top(written: Workspace):
    first, *second = audit_of(written)["finals"]
    assert written.submission.read_bytes() == written.ensemble(first["name"]).submission.read_bytes()
    assert written.submission_alternative.exists() == bool(second)


def test_a_stale_alternative_does_not_stay_beside_a_new_submission(tmp_path: Path):
    """Three members of one worth: one of the near-best differs. One member alone has no alternative."""
    many = [member(name, 1.5, seed) for seed, name in enumerate("abc")]
    workspace = blended(tmp_path, many, rule="best_single")
    second = audit_of(workspace)["finals"][1]
    submission = pd.read_csv(workspace.submission_alternative, float_precision="round_trip")
    assert list(submission["id"]) == list(IDS) and submission["label"].between(0, 1).all()
    table = workspace.ensemble(second["name"]).test if second["rule"] else None
    test = tables.read_test(table, IDS) if table else many["abc".index(second["name"])].test
    np.testing.assert_array_equal(submission["label"], percentile_ranks(test["logit"].to_numpy()))
    blended(tmp_path, many[:1])
    assert workspace.submission.exists() and not workspace.submission_alternative.exists()


def test_one_member_is_one_blend_and_those_of_an_earlier_run_go(tmp_path: Path):
    workspace = blended(tmp_path, members(), weights=GIVEN)
    workspace.ensemble("other_greedy").folder.mkdir()
    blended(tmp_path, [member("a", 1.0, 1)], rule="rank_mean")
    names = {path.name for path in workspace.ensembles.iterdir()}
    assert names == {"plan_logit_mean", "plan_rank_mean", "plan_audit.json", "other_greedy"}
    audit = audit_of(workspace)
    assert audit["chosen"] == "rank_mean" and "one member: every rule ranks as it does" in audit["reason"]
    assert audit["contributions"] == []


def test_without_weights_there_is_no_weighted_blend_and_wrong_ones_stop_before_anything_is_written(
    tmp_path: Path,
):
    workspace = blended(tmp_path / "none", members()[:2])
    assert not workspace.ensemble("plan_weighted").folder.exists()
    with pytest.raises(ConfigRefusal, match=r"names a\.seed2, which is no member"):
        blended(tmp_path / "wrong", members(), weights={"a.seed2": 1.0})
    assert not (tmp_path / "wrong").exists()


def test_without_a_test_part_rules_are_audited_and_nothing_is_submitted(tmp_path: Path):
    none = [Member(one.name, one.out_of_fold, one.test[:0], "s") for one in members()[:2]]
    workspace = blended(tmp_path, none, ids=IDS[:0])
    assert audit_of(workspace)["finals"] == [] and len(audit_of(workspace)["rules"]) == 9
    assert not workspace.submission.exists()


def test_members_that_say_nothing_cost_no_run(tmp_path: Path):
    """One constant, one that ranks against the labels: every rule still writes what it found."""
    constant = member("constant", 0.0, 0)
    for table in (constant.out_of_fold, constant.test):
        table[["logit", "probability"]] = [0.0, 0.5]
    workspace = blended(tmp_path, [constant, member("good", 2.0, 1)], gate=0.9)
    assert len(audit_of(workspace)["rules"]) == 9
    assert audit_of(workspace)["correlation"]["spearman"][0][1] == 0


def test_the_gate_says_who_stayed_out_and_why(tmp_path: Path):
    twin = member("twin", 2.0, 2)
    twin.out_of_fold["logit"] += 1e-3 * LABELS["oof"]
    workspace = blended(tmp_path, [*members(), twin], gate=0.99)
    (gated,) = audit_of(workspace)["gated"]
    assert gated["member"] == "b" and "ranks as twin does" in gated["why"]
    assert read_json(workspace.ensemble("plan_logit_mean").weights)["weights"] == {
        "a": 0.5,
        "b": 0,
        "twin": 0.5,
    }
    assert [one["member"] for one in audit_of(workspace)["contributions"]] == ["a", "twin"]
    assert all(row["learns"] for row in audit_of(workspace)["rules"])  # labels say which of the two is weaker


@pytest.mark.parametrize(("power", "measured"), [(2.0, True), (4.0, False)])
def test_a_power_that_was_given_is_judged_but_never_taken_by_auto(
    power: float, measured: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    seen: list[list[Verdict]] = []

    def watched(verdicts: list[Verdict], asked: str) -> Decision:
        seen.append(verdicts)
        return decide(verdicts, asked)

    monkeypatch.setattr(ensemble, "decide", watched)
    blended(tmp_path, members()[:2], power=power)
    rows = {one.rule: one.row for one in seen[0]}
    assert rows["power_mean"].measured == measured and rows["power_mean"].gated
    assert all(row.measured for rule, row in rows.items() if rule != "power_mean")


def test_of_more_classes_the_rules_that_fit_are_written(tmp_path: Path):
    labels = np.arange(ROWS) // 4 % 3
    folds, names = FOLDS.assign(label=labels), ("car", "dog", "elk")
    many = []
    for seed in range(2):
        generator = np.random.default_rng(seed)
        oof = 2 * np.eye(3)[labels] + generator.normal(size=(ROWS, 3))
        test = tables.test_table(IDS, generator.normal(size=(TESTS, 3)))
        many.append(Member(f"m{seed}", tables.out_of_fold_table(folds, oof), test, "s"))
    scoring = Scoring(folds, IDS, None, None, names, {"slides_policy": "map"})
    workspace = Workspace(tmp_path)
    metrics = write_ensembles(many, BlendInputs(workspace, "plan", "rank", scoring))
    assert [one.name for one in metrics] == [
        "plan_logit_mean", "plan_probability_mean", "plan_power_mean", "plan_best_single", "plan_greedy",
        "plan_hill_climbing",
    ]  # fmt: skip
    assert set(pd.read_csv(workspace.submission)["label"]) <= set(names)
    assert all(one.accuracy > 0.8 for one in metrics if "single" not in one.name)
