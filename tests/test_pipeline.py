"""The whole run on a toy competition, and what happens when things change or break between two runs."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from histoblend.blending.rules import RULES
from histoblend.competition.source import Source
from histoblend.errors import ArtifactRefusal, ConfigRefusal, DataRefusal, MachineRefusal
from histoblend.evaluation.auc import percentile_ranks
from histoblend.execution.failures import TaskError
from histoblend.pipeline import run
from histoblend.preparation import Request, fitting_plan
from histoblend.reporting.progress import Display
from histoblend.workspace import Workspace, locked

pytestmark = pytest.mark.kaggle_image
BLENDS = {f"toy_{rule}" for rule in RULES if rule != "weighted"}  # to which no weights are given


class Lines(Display):
    """A display that keeps its lines."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def tell(self, text: str) -> None:
        self.lines.append(text)

    warn = tell

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


def again(toy: Path, output: Path, plan: str = "toy", **request: object) -> tuple[pd.DataFrame, str]:
    lines = Lines()
    return run(Request(plan, toy, output, **request), lines, dict(os.environ)), lines.text


def file_bytes(folder: Path, pattern: str) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob(pattern))}


def test_a_run_leaves_every_artifact(finished: Path):
    names = {str(path.relative_to(finished)) for path in finished.rglob("*") if path.is_file()}
    expected = {"folds.csv", "ranking.csv", "submission.csv", "run.json", "ensembles/toy_audit.json"}
    for experiment in ("first", "second"):
        expected |= {
            f"experiments/{experiment}/{name}"
            for name in ("config.yaml", "oof.csv", "test.csv", "metrics.json")
        }
        for fold in range(2):
            files = ("model.weights.h5", "history.csv", "oof.csv", "test.csv", "done.json")
            expected |= {f"experiments/{experiment}/fold_{fold}/{name}" for name in files}
    for blend in BLENDS:
        files = ("weights.json", "oof.csv", "test.csv", "metrics.json", "submission.csv")
        expected |= {f"ensembles/{blend}/{name}" for name in files}
    expected |= {
        f"experiments/second/fold_{fold}/{name}" for fold in range(2) for name in ("model.keras", "roc.png")
    }
    assert expected <= names
    assert not [name for name in names if ".partial" in name or "state" in name]


def test_every_training_id_is_predicted_once_by_a_model_that_never_saw_its_slide(finished: Path, toy: Path):
    labels = pd.read_csv(toy / "train_labels.csv")
    folds = pd.read_csv(finished / "folds.csv")
    table = pd.read_csv(finished / "experiments/first/oof.csv")
    assert sorted(table["id"]) == sorted(labels["id"])
    assert table.merge(labels, on="id").eval("label_x == label_y").all()
    assert table.merge(folds, on="id").eval("fold_x == fold_y").all()
    assert folds.groupby("slide")["fold"].nunique().max() == 1


def test_experiment_and_blend_predictions_are_means_of_logits(finished: Path):
    tests = [pd.read_csv(finished / f"experiments/first/fold_{k}/test.csv", index_col="id") for k in range(2)]
    mean = pd.read_csv(finished / "experiments/first/test.csv", index_col="id")
    np.testing.assert_allclose(mean["logit"], (tests[0]["logit"] + tests[1]["logit"]) / 2, rtol=1e-12)
    other = pd.read_csv(finished / "experiments/second/test.csv", index_col="id")
    blend = pd.read_csv(
        finished / "ensembles/toy_logit_mean/test.csv", index_col="id", float_precision="round_trip"
    )
    np.testing.assert_allclose(blend["logit"], (mean["logit"] + other["logit"]) / 2, rtol=1e-12)


def test_submission_holds_ranks_in_the_order_of_the_sample(finished: Path, toy: Path):
    sample = pd.read_csv(toy / "sample_submission.csv")
    submission = pd.read_csv(finished / "submission.csv", float_precision="round_trip")
    blend = pd.read_csv(
        finished / "ensembles/toy_logit_mean/test.csv", index_col="id", float_precision="round_trip"
    )
    assert list(submission.columns) == list(sample.columns)
    assert list(submission["id"]) == list(sample["id"])
    ranks = pd.Series(percentile_ranks(blend["logit"].to_numpy()), index=blend.index)
    np.testing.assert_array_equal(submission["label"], ranks.loc[submission["id"]])


def test_ranking_lists_experiments_and_blends_best_first(finished: Path):
    ranking = pd.read_csv(finished / "ranking.csv")
    assert set(ranking["name"]) == {"first", "second", *BLENDS}
    assert ranking["auc_pooled"].is_monotonic_decreasing
    assert set(ranking["slides_policy"]) == {"map"}
    assert ranking[["public_score", "private_score"]].isna().all(axis=None)
    assert ranking.set_index("name")["inner_split"].to_dict() == {
        "first": False, "second": True, **dict.fromkeys(BLENDS, False),
    }  # fmt: skip


def test_a_second_run_does_nothing_again(finished: Path, toy: Path):
    before = file_bytes(finished, "*.csv")
    times = {path: path.stat().st_mtime_ns for path in finished.rglob("*.weights.h5")}
    _, text = again(toy, finished)
    assert "4 of 4 tasks are done already." in text
    assert file_bytes(finished, "*.csv") == before
    assert {path: path.stat().st_mtime_ns for path in finished.rglob("*.weights.h5")} == times


def test_a_screened_fold_is_partial_ranked_apart_and_not_blended(
    toy: Path, tmp_path: Path, toy_configs: Path
):
    ranking, text = again(toy, tmp_path / "output", experiments=("first",), folds=(1,))
    assert ranking["status"].tolist() == ["partial"]
    assert ranking["rank"].isna().all()
    assert "Partial, so not blended: first." in text
    assert "no submission yet" in text
    assert not (tmp_path / "output/submission.csv").exists()
    ranking, _ = again(toy, tmp_path / "output", experiments=("first",))
    assert ranking["status"].eq("complete").all()


def test_a_changed_experiment_stops_and_says_what_differs(finished: Path, toy: Path):
    before = file_bytes(finished, "*.csv")
    with pytest.raises(
        ArtifactRefusal, match=r"experiment\.training\.epochs: 2 -> 3(.|\n)*archive first --output"
    ):
        again(toy, finished, settings=("training.epochs=3",))
    assert file_bytes(finished, "*.csv") == before


def test_workers_and_budget_are_no_part_of_the_identity(finished: Path, toy: Path):
    _, text = again(toy, finished, settings=("execution.workers=1", "budget=3h"))
    assert "4 of 4 tasks are done already." in text


def test_changed_folds_stop(finished: Path, toy: Path):
    with pytest.raises(ArtifactRefusal, match="count: 2 -> 3"):
        again(toy, finished, settings=("folds.count=3",))


def test_changed_labels_stop(finished: Path, toy: Path, tmp_path: Path):
    other = Path(shutil.copytree(toy, tmp_path / "other"))
    labels = pd.read_csv(other / "train_labels.csv")
    labels["label"] = 1 - labels["label"]
    labels.to_csv(other / "train_labels.csv", index=False)
    with pytest.raises(ArtifactRefusal, match="data: "):
        again(other, finished)


@pytest.mark.parametrize("name", ["oof.csv", "test.csv", "model.weights.h5", "done.json"])
def test_a_damaged_file_is_set_aside_and_its_task_run_again(finished: Path, toy: Path, name: str):
    whole = file_bytes(finished, "submission.csv")
    damaged = finished / "experiments/first/fold_1" / name
    damaged.write_bytes(damaged.read_bytes()[:-7])
    _, text = again(toy, finished)
    assert f"Damaged: {name} in {damaged.parent}" in text
    assert (finished / "experiments/first/fold_1.damaged-1").is_dir()
    assert "3 of 4 tasks are done already." in text
    assert file_bytes(finished, "submission.csv") == whole  # the same seeds give the same weights


def test_two_runs_on_one_output_folder(finished: Path, toy: Path):
    with (
        locked(Workspace(finished)),
        pytest.raises(MachineRefusal, match=f"in use by the run with process id {os.getpid()}"),
    ):
        again(toy, finished)


def test_a_dry_run_writes_nothing(toy: Path, tmp_path: Path, toy_configs: Path):
    ranking, text = again(toy, tmp_path / "output", dry_run=True)
    assert ranking is None
    assert "packing takes about" in text
    assert "slides: 6 slides from the map" in text
    assert not (tmp_path / "output").exists()


def test_seeds_are_trained_apart_and_averaged_before_blending(toy: Path, tmp_path: Path, toy_configs: Path):
    output = tmp_path / "output"
    ranking, _ = again(toy, output, settings=("seeds=[0, 1]", "training.epochs=1", "tta=1"))
    assert {"first", "first.seed1", "second", "second.seed1"} <= set(ranking["name"])
    assert json.loads((output / "ensembles/toy_logit_mean/weights.json").read_text())["weights"] == {
        "first": 0.5, "second": 0.5,
    }  # fmt: skip
    first = pd.read_csv(output / "experiments/first/oof.csv")["logit"]
    other = pd.read_csv(output / "experiments/first.seed1/oof.csv")["logit"]
    assert not np.allclose(first, other)


def test_unknown_experiment_or_fold(toy: Path, tmp_path: Path, toy_configs: Path):
    with pytest.raises(ConfigRefusal, match="has no experiment third"):
        again(toy, tmp_path / "output", experiments=("third",))
    with pytest.raises(ConfigRefusal, match="There is no fold 2"):
        again(toy, tmp_path / "output", folds=(2,))


def test_kaggle_without_a_competition_refuses_to_draw_one(tmp_path: Path, toy_configs: Path):
    environment = {"KAGGLE_KERNEL_RUN_TYPE": "Batch", "HISTOBLEND_CONFIGS": str(toy_configs)}
    with pytest.raises(DataRefusal, match="no competition is attached"):
        run(Request("toy"), Lines(), environment)
    assert not (toy_configs.parent / "input").exists()


class _Competition:
    def __init__(self, patches: int, synthetic: bool = False) -> None:
        self.train, self.synthetic = range(patches), synthetic


@pytest.mark.parametrize(
    ("competition", "gpu", "plan"),
    [
        (_Competition(2000, synthetic=True), True, "quick"),
        (_Competition(2622), False, "mini"),
        (_Competition(2622), True, "mini"),
        (_Competition(220_025), True, "kaggle"),
        (_Competition(220_025), False, "quick"),
    ],
)
def test_the_plan_follows_data_and_device(competition: _Competition, gpu: bool, plan: str):
    name, reason = fitting_plan(Source(competition, ""), gpu)
    assert name == plan
    assert reason
    assert fitting_plan(None, gpu)[0] == "quick"


def test_data_under_another_name_is_the_same_data(finished: Path, toy: Path, tmp_path: Path):
    moved = Path(shutil.copytree(toy, tmp_path / "renamed"))
    _, text = again(moved, finished)
    assert "4 of 4 tasks are done already." in text


def test_a_change_before_the_first_task_is_no_change(finished: Path, toy: Path):
    for fold in (0, 1):
        shutil.rmtree(finished / f"experiments/first/fold_{fold}")
    ranking, _ = again(toy, finished, settings=("training.epochs=1",), experiments=("first",))
    assert set(ranking["name"]) >= {"first", "second"}


def test_a_task_that_fails_ends_its_experiment_and_the_others_are_blended(
    toy: Path, tmp_path: Path, toy_configs: Path, monkeypatch: pytest.MonkeyPatch
):
    from histoblend.training import network_task

    fit = network_task.fit

    def failing(job: network_task.FitJob) -> object:
        if "first/fold_0" in job.state_path.as_posix():
            raise RuntimeError("out of luck")
        return fit(job)

    monkeypatch.setattr(network_task, "fit", failing)
    output = tmp_path / "output"
    with pytest.raises(TaskError, match="first fold 0: RuntimeError: out of luck"):
        again(toy, output)
    assert not (output / "experiments/first/fold_1").exists()
    assert (output / "submission.csv").exists()
    assert set(pd.read_csv(output / "ranking.csv")["name"]) == {"second", "toy_logit_mean"}
    monkeypatch.setattr(network_task, "fit", fit)
    ranking, text = again(toy, output)
    assert "2 of 4 tasks are done already." in text
    assert {"first", "second"} < set(ranking["name"])
    assert ranking["status"].eq("complete").all()


def test_a_setting_for_the_experiment_asked_for_need_not_fit_the_others(
    toy: Path, tmp_path: Path, toy_configs: Path
):
    """`depths` is a parameter of the network of `first` and not of that of `second`."""
    settings = ("network.depths=[1, 2]", "training.epochs=1")
    ranking, _ = again(toy, tmp_path / "output", experiments=("first",), settings=settings)
    assert "first" in set(ranking["name"])
