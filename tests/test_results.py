"""After the last task: what is ranked, blended and submitted when a run does part of the work, or another plan's."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from histoblend.blending.rules import RULES
from histoblend.config_files import load_plan, plan_experiments
from histoblend.errors import ArtifactRefusal, ConfigRefusal
from histoblend.evaluation.auc import percentile_ranks
from histoblend.pipeline import run
from histoblend.preparation import Request, other_experiments
from histoblend.reporting.progress import Display

BLENDS = {f"toy_{rule}" for rule in RULES if rule != "weighted"}  # to which no weights are given
EVERYTHING = {"first", "second"} | BLENDS

SOLO = "experiments: [first]\ndata: {near_duplicates: keep}\nfolds: {count: 2}\ntta: 4\nreport: false\n"


def again(toy: Path, output: Path, plan: str = "toy", **request: object) -> tuple[pd.DataFrame, str]:
    stream = io.StringIO()
    display = Display(Console(file=stream))
    ranking = run(Request(plan, toy, output, **request), display, dict(os.environ))  # type: ignore[arg-type]
    assert ranking is not None
    return ranking, stream.getvalue()


def weights(output: Path, blend: str = "toy_logit_mean") -> dict[str, float]:
    return json.loads((output / f"ensembles/{blend}/weights.json").read_text())["weights"]


def change(configs: Path, experiment: str, old: str, new: str) -> None:
    path = configs / "experiments" / f"{experiment}.yaml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


@pytest.mark.parametrize("request_", [{"experiments": ("first",)}, {"folds": (0,)}], ids=str)
def test_a_run_for_a_part_keeps_the_rest_in_ranking_blend_and_submission(
    finished: Path, toy: Path, request_: dict
):
    submission = (finished / "submission.csv").read_bytes()
    ranking, text = again(toy, finished, **request_)
    assert set(ranking["name"]) == EVERYTHING
    assert set(ranking["status"]) == {"complete"}
    assert weights(finished) == {"first": 0.5, "second": 0.5}
    assert (finished / "submission.csv").read_bytes() == submission
    assert "left out" not in text


def test_a_blend_waits_for_no_experiment_that_was_never_trained(toy: Path, tmp_path: Path, toy_configs: Path):
    """One experiment alone is a blend of one; the other joins when it is there."""
    output, short = tmp_path / "output", ("training.epochs=1", "tta=1")
    ranking, _ = again(toy, output, settings=short, experiments=("first",))
    assert "second" not in set(ranking["name"])
    assert weights(output) == {"first": 1.0}
    alone = pd.read_csv(output / "submission.csv")
    assert len(alone) == 21 and alone["label"].between(0, 1).all()


def test_another_plan_in_the_same_output_keeps_the_first_ones_blends(
    finished: Path, toy: Path, toy_configs: Path
):
    (toy_configs / "plans/solo.yaml").write_text(SOLO)
    kept = (finished / "ensembles/toy_logit_mean/oof.csv").read_bytes()
    ranking, text = again(toy, finished, "solo")
    assert "2 of 2 tasks are done already." in text
    assert set(ranking["name"]) == EVERYTHING | {"solo_logit_mean"}  # all rules rank as one member does
    assert "One member: every rule ranks as it does." in text
    assert ranking["name"].is_unique
    assert (finished / "ensembles/toy_logit_mean/oof.csv").read_bytes() == kept
    assert weights(finished, "solo_logit_mean") == {"first": 1.0}
    own = pd.read_csv(finished / "ensembles/solo_logit_mean/submission.csv")
    pd.testing.assert_frame_equal(pd.read_csv(finished / "submission.csv"), own)
    assert pd.read_csv(finished / "ranking.csv")["name"].tolist() == ranking["name"].tolist()


def test_an_experiment_trained_with_other_settings_than_the_plans_is_left_out_aloud(
    finished: Path, toy: Path, toy_configs: Path
):
    change(toy_configs, "second", "epochs: 1", "epochs: 5")
    _, text = again(toy, finished, experiments=("first",))
    assert "second was trained with other settings than the plan's: left out." in text
    assert weights(finished) == {"first": 1.0}
    first = pd.read_csv(finished / "experiments/first/test.csv", index_col="id", float_precision="round_trip")
    submission = pd.read_csv(finished / "submission.csv", index_col="id", float_precision="round_trip")
    np.testing.assert_array_equal(
        submission["label"], percentile_ranks(first.loc[submission.index, "logit"].to_numpy())
    )


def test_what_was_trained_with_set_stays_in_the_blend_of_a_run_with_the_same_set(
    finished: Path, toy: Path, toy_configs: Path
):
    """The files say seed 7; the whole run and the narrower one both said ``--set seed=0``."""
    for name in ("first", "second"):
        change(toy_configs, name, "network:", "seed: 7\nnetwork:")
    submission = (finished / "submission.csv").read_bytes()
    _, text = again(toy, finished, settings=("seed=0",), experiments=("first",))
    assert "left out" not in text
    assert weights(finished) == {"first": 0.5, "second": 0.5}
    assert (finished / "submission.csv").read_bytes() == submission


def test_the_plans_other_experiments_are_those_with_this_runs_set_and_those_of_its_file(toy_configs: Path):
    plan = load_plan("toy", toy_configs, ("seeds=[0, 1]", "training.epochs=3"))
    chosen = plan_experiments(plan, toy_configs, ("first",))
    assert [one.name for one in chosen] == ["first", "first.seed1"]
    others = other_experiments(plan, "toy", chosen, toy_configs)
    assert [(one.name, one.seed, one.training.epochs) for one in others] == [
        ("second", 0, 3), ("second.seed1", 1, 3), ("second", 0, 1),
    ]  # fmt: skip


def test_a_yardstick_is_ranked_and_not_blended(finished: Path, toy: Path, toy_configs: Path):
    change(toy_configs, "second", "optimizer:", "role: yardstick\noptimizer:")
    ranking, text = again(toy, finished)
    assert "4 of 4 tasks are done already." in text
    assert ranking.set_index("name")["kind"].to_dict() == {
        "first": "experiment", "second": "yardstick", "toy_logit_mean": "blend",
    }  # fmt: skip
    assert weights(finished) == {"first": 1.0}


def test_rule_and_scale_choose_what_is_submitted(finished: Path, toy: Path):
    _, text = again(toy, finished, settings=("blend=rank_mean", "submission.scale=probability"))
    assert (
        "Blend: rank mean of first, second. Asked for by blend.rule; auto would take the equal mean" in text
    )
    assert "submission.csv is replaced: it was toy_logit_mean, it is toy_rank_mean." in " ".join(text.split())
    submission = pd.read_csv(finished / "submission.csv", index_col="id")["label"]
    blend = pd.read_csv(finished / "ensembles/toy_rank_mean/test.csv", index_col="id")["probability"]
    np.testing.assert_allclose(submission, blend.loc[submission.index], rtol=1e-12)


def test_a_gate_that_leaves_one_member_is_warned_of(finished: Path, toy: Path):
    _, text = again(toy, finished, settings=("blend.gate=0.001",))
    assert "leaves one member, so nothing is blended" in " ".join(text.split())


def test_the_run_tells_what_the_audit_found_and_what_it_decided(finished_once: tuple[Path, str]):
    """Of 60 patches on six slides nothing can be told from noise."""
    output, text = finished_once
    audit = json.loads((output / "ensembles/toy_audit.json").read_text())
    assert (audit["asked"], audit["chosen"]) == ("auto", "logit_mean")
    assert "6 clusters are too few to tell a gain from noise; the equal mean stays." in text
    assert "> logit_mean" in text and "optimism" in text
    second = [one["name"] for one in audit["finals"][1:]]
    assert (output / "submission_alternative.csv").exists() == bool(second)
    assert all(f"A second final: {output}/submission_alternative.csv, {name}" in text for name in second)


def test_weights_for_an_experiment_that_is_nowhere_stop_at_the_door(finished: Path, toy: Path):
    with pytest.raises(ConfigRefusal, match="third"):
        again(toy, finished, settings=("blend.weights={first: 1, third: 2}",))
    _, text = again(toy, finished, settings=("blend.rule=weighted", "blend.weights={first: 1, second: 3}"))
    assert "Blend: weighted of 0.75 second, 0.25 first." in text
    assert weights(finished, "toy_weighted") == {"first": 0.25, "second": 0.75}
    again(toy, finished)
    assert not (finished / "ensembles/toy_weighted").exists()


def test_damaged_metrics_of_an_earlier_run_are_named(finished: Path, toy: Path, toy_configs: Path):
    """They are read back only where this run does not write them anew."""
    (toy_configs / "plans/solo.yaml").write_text(SOLO)
    path = finished / "experiments/second/metrics.json"
    whole = path.read_text()
    for broken in (whole[:40], '{"name": "second"}'):
        path.write_text(broken)
        with pytest.raises(ArtifactRefusal, match=r"second/metrics\.json"):
            again(toy, finished, "solo")
    again(toy, finished)  # the plan that trained it writes them again
    assert path.read_text() == whole
