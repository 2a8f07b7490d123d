"""A sweep on the toy competition: trials, what a kill leaves, the winner on all folds."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from histoblend.config_files import load_experiment
from histoblend.errors import ArtifactRefusal, ConfigRefusal, MachineRefusal
from histoblend.preparation import Request
from histoblend.reporting.progress import Display
from histoblend.searching import sweep as stage
from histoblend.searching import trials as trials_module
from histoblend.searching.confirmation import Winner, comparison, verdict
from histoblend.searching.sweep import SweepRequest, run_sweep
from histoblend.searching.sweep_config import Sweep
from histoblend.searching.trial_records import Trial, read_trials
from histoblend.searching.trials import Watch, objective, watched
from histoblend.workspace import Workspace, locked

pytest.importorskip("optuna")

PLAN = "experiments: [poor]\ndata: {near_duplicates: keep}\nfolds: {count: 2}\ntta: 1\n"
# A base that learns nothing, a rate that learns, one that explodes.
POOR = """
network: {name: small_vgg, widths: [4, 8], depths: [1, 1]}
augmentation: none
optimizer: {learning_rate: 1.0e-7}
training: {epochs: 2, batch_size: 16, tensorboard: false}
"""
SWEEP = """
base: poor
parameters:
  optimizer.learning_rate: {choices: [1.0e-7, 1.0e-2, 3.0e+38]}
trials: 5
random_trials: 9
pruner: none
trial_settings: {training: {inner_fraction: 0.3}}
"""


def configs_with_sweep(folder: Path) -> Path:
    files = {"plans/toy": PLAN, "experiments/poor": POOR, "sweeps/search": SWEEP}
    for name, text in files.items():
        path = folder / "configs" / f"{name}.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(text)
    return folder / "configs"


def swept(configs: Path, toy: Path, output: Path, heard: Display | None = None, **more: Any) -> list[Trial]:
    run = Request("toy", toy, output, settings=more.pop("settings", ()), dry_run=more.pop("dry_run", False))
    environment = dict(os.environ) | {"HISTOBLEND_CONFIGS": str(configs)}
    return run_sweep(SweepRequest("search", run, **more), heard or Display(), environment)


@pytest.fixture(scope="module")
def whole(
    toy: Path, tmp_path_factory: pytest.TempPathFactory, listening: type[Any]
) -> tuple[Path, Path, list[Trial], str]:
    """Project folder, output, trials and what was said, of a sweep with its confirmation."""
    project, heard = tmp_path_factory.mktemp("sweep"), listening()
    with pytest.MonkeyPatch.context() as patch:  # the toy is so easy that an untrained network scores 1.0
        patch.setattr(trials_module, "objective", lambda one, aucs: 0.5 + one.optimizer.learning_rate)
        trials = swept(configs_with_sweep(project), toy, project / "output", heard)
    return project, project / "output", trials, heard.text


def test_the_base_comes_first_what_explodes_failed_and_the_sweep_went_on(whole: Any):
    _, output, trials, text = whole
    assert len(trials) == 5 and trials[0].values == {"optimizer.learning_rate": 1e-7}
    by_rate = {one.values["optimizer.learning_rate"]: one for one in trials}
    assert set(by_rate) == {1e-7, 1e-2, 3e38}
    assert by_rate[3e38].state == "failed" and by_rate[3e38].objective is None
    assert by_rate[1e-2].objective > by_rate[1e-7].objective
    assert "failed: " in text and "left about" in text
    assert any("same values as trial" in one.note for one in trials)  # five trials of three values
    assert read_trials(output / "sweeps/search") == trials
    assert not (output / "sweeps/search/state").exists()


def test_table_and_plot_are_left(whole: Any):
    _, output, trials, _ = whole
    table = pd.read_csv(output / "sweeps/search/trials.csv")
    assert list(table["trial"]) == [1, 2, 3, 4, 5]
    assert list(table["state"]) == [one.state for one in trials]
    assert (output / "sweeps/search/trials.png").read_bytes().startswith(b"\x89PNG")


def test_the_winner_is_a_file_of_differences_and_is_compared_with_the_base_out_of_fold(whole: Any):
    project, output, trials, text = whole
    number = max(trials, key=lambda one: (one.objective or 0, -one.number)).number
    (path,) = (output / "sweeps/search").glob(f"search_winner_{number}_*.yaml")
    winner = load_experiment(str(path), project / "configs")
    assert winner.optimizer.learning_rate == 1e-2
    assert winner.training == load_experiment("poor", project / "configs").training  # no trial settings
    table = pd.read_csv(output / "sweeps/search/confirmation.csv")
    assert list(table["name"]) == ["poor", winner.name]
    ranking = pd.read_csv(output / "ranking.csv").set_index("name")
    for _, row in table.iterrows():
        assert ranking.loc[row["name"], "auc_pooled"] == pytest.approx(row["auc_pooled"])
        assert ranking.loc[row["name"], "status"] == "complete"
    assert f"On fold 0, which no trial has seen: {table['fold_0'][1]:.4f}, {table['fold_0'][0]:.4f}" in text
    assert ranking["searched"].to_dict() == {"poor": False, winner.name: True}


def test_blend_and_submission_are_left_as_they_were(whole: Any):
    _, output, _, text = whole
    assert (output / "ranking.csv").exists() and len(list(output.glob("experiments/*/oof.csv"))) == 2
    assert not (output / "ensembles").exists() and not (output / "submission.csv").exists()
    assert "submission" not in text.lower() and "in the blend of this run" not in text


def test_another_space_is_refused_and_more_trials_are_not(whole: Any, toy: Path, tmp_path: Path):
    shutil.copytree(whole[0], tmp_path / "copy")
    configs, output = tmp_path / "copy/configs", tmp_path / "copy/output"
    again = swept(configs, toy, output, trials=6, confirm=False)
    assert again[:5] == whole[2] and len(again) == 6
    (configs / "sweeps/search.yaml").write_text(SWEEP.replace("1.0e-2", "1.0e-3"))
    with pytest.raises(ArtifactRefusal, match=r"choices: .*0\.01.* -> .*0\.001"):
        swept(configs, toy, output)
    (configs / "sweeps/search.yaml").write_text(SWEEP)
    with pytest.raises(ArtifactRefusal, match="batch_size: 16 -> 8"):
        swept(configs, toy, output, settings=("training.batch_size=8",))
    (output / "sweeps/search/sweep.json").unlink()
    with pytest.raises(ArtifactRefusal, match=r"sweep\.json is missing"):
        swept(configs, toy, output)
    with locked(Workspace(output)), pytest.raises(MachineRefusal, match="in use by"):
        swept(configs, toy, output)


class Killed(BaseException):
    """Stands for the end of the process."""


def test_a_killed_sweep_goes_on_and_fold_0_is_never_read(
    whole: Any, toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    import histoblend.training.network_task as tasks

    configs, jobs, rows, real = configs_with_sweep(tmp_path), [], [], tasks.fit_job

    def spy(task: Any, inputs: Any, observer: Any) -> Any:
        jobs.append((real(task, inputs, observer), inputs.folds))
        return jobs[-1][0]

    monkeypatch.setattr(tasks, "fit_job", spy)
    watch = Watch.__call__

    def dies_once(self: Watch, row: dict[str, float]) -> None:
        rows.append(row)
        if len(rows) == 2:  # the first trial's second epoch, saved a moment ago
            raise Killed
        watch(self, row)

    monkeypatch.setattr(Watch, "__call__", dies_once)
    with pytest.raises(Killed):
        swept(configs, toy, tmp_path / "output", trials=2, confirm=False)
    assert read_trials(tmp_path / "output/sweeps/search") == []
    state = list((tmp_path / "output/sweeps/search").rglob("last.npz"))
    assert len(state) == 1
    trials = swept(configs, toy, tmp_path / "output", trials=2, confirm=False)
    assert [(one.values, one.aucs) for one in trials] == [(one.values, one.aucs) for one in whole[2][:2]]
    assert rows[2:4] == rows[:2]  # told from the state, not trained again

    assert len(jobs) == 3
    for job, folds in jobs:
        training, inner = set(job.feed.source.rows), set(job.inner.rows)
        assert not training & inner
        assert training | inner == set(folds.index[folds["fold"] != 0])


def test_a_dry_run_prints_the_space_and_trains_nothing(toy: Path, tmp_path: Path, listening: type[Any]):
    heard, configs = listening(), configs_with_sweep(tmp_path)
    assert swept(configs, toy, tmp_path / "output", heard, dry_run=True) == []
    assert "optimizer.learning_rate" in heard.text and "5 trials of about" in heard.text
    assert "base and winner on 2 folds: " in heard.text
    assert swept(configs, toy, tmp_path / "output", heard, dry_run=True, settings=("seeds=[0,1]",)) == []
    assert "base and winner on 2 folds with 2 seeds: " in heard.text
    assert not (tmp_path / "output/sweeps").exists()


@pytest.mark.parametrize(
    ("text", "more", "message"),
    [
        (SWEEP, {"trials": 0}, "nothing to search with"),
        (SWEEP.replace("base: poor", "base: trees"), {}, "no epochs to watch"),
        (SWEEP.replace("1.0e-2", "-1.0"), {}, "optimizer.learning_rate = -1.0: "),
        (SWEEP.replace("base: poor", "base: student"), {}, "student learns from pseudo-labels of poor"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(
    toy: Path, tmp_path: Path, text: str, more: dict[str, Any], message: str
):
    configs = configs_with_sweep(tmp_path)
    (configs / "experiments/trees.yaml").write_text("network: texture_hgb\n")
    student = "base: poor\ntraining: {pseudo_labels: {teachers: [poor]}}\n"
    (configs / "experiments/student.yaml").write_text(student)
    (configs / "sweeps/search.yaml").write_text(text)
    with pytest.raises(ConfigRefusal, match=message):
        swept(configs, toy, tmp_path / "output", **more)
    assert not (tmp_path / "output").exists()


@pytest.mark.parametrize("trials", [1, 4])  # the fourth has the values of an earlier one
def test_when_nothing_finishes_it_says_why(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trials: int
):
    monkeypatch.setattr(
        stage,
        "run_trial",
        lambda number, proposal, *_: Trial(number, proposal.values, "failed", note="no luck"),
    )
    with pytest.raises(
        ConfigRefusal, match=rf"None of the {trials} trials finished; the last says: .*no luck\."
    ):
        swept(configs_with_sweep(tmp_path), toy, tmp_path / "output", trials=trials)


def test_a_state_goes_only_after_the_record_is_written(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def trained(
        number: int, proposal: Any, experiment: Any, ready: Any, folder: Path, observer: Any
    ) -> Trial:
        (folder / "state").mkdir(parents=True, exist_ok=True)
        return Trial(number, proposal.values, "finished", 0.5, [0.5])

    def killed(*_: Any) -> None:
        raise Killed

    configs, folder = configs_with_sweep(tmp_path), tmp_path / "output/sweeps/search"
    monkeypatch.setattr(stage, "run_trial", trained)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(stage, "write_trial", killed)
        swept(configs, toy, tmp_path / "output", trials=1, confirm=False)
    assert (folder / "state").exists()
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(stage, "forget_state", killed)
        swept(configs, toy, tmp_path / "output", trials=1, confirm=False)
    assert len(read_trials(folder)) == 1 and (folder / "state").exists()
    swept(configs, toy, tmp_path / "output", trials=1, confirm=False)
    assert not (folder / "state").exists()


def test_a_watch_ends_what_is_no_number_or_hopeless():
    row = {"epoch": 1, "loss": 0.7, "inner_auc": 0.6, "seconds": 2.0}
    watch = Watch(lambda epoch, auc: auc < 0.5)
    watch(row)
    with pytest.raises(Exception, match="no finite number in epoch 2") as caught:
        watch(row | {"epoch": 2, "loss": float("nan")})
    assert caught.value.state == "failed"
    with pytest.raises(Exception, match="below the median") as caught:
        watch(row | {"epoch": 2, "inner_auc": 0.4})
    assert caught.value.state == "pruned"
    assert watch.aucs == [0.6, 0.4] and watch.seconds == 6.0


def test_trials_are_watched_to_their_end_and_scored_by_the_weights_that_are_kept(toy_configs: Path):
    last, best = (load_experiment(name, toy_configs) for name in ("first", "second"))
    assert not last.needs_inner_split and watched(last).needs_inner_split
    assert watched(last).training.selection == "last"
    assert watched(last).training.stop_patience == last.training.epochs
    assert watched(load_experiment("everything", toy_configs)).training.stop_patience == 5
    assert (objective(last, [0.6, 0.9, 0.8]), objective(best, [0.6, 0.9, 0.8])) == (0.8, 0.9)


def compared(output: Path, scores: dict[str, list[tuple[float, float, float]]]) -> list[str]:
    """The verdict on winner and base: for each seed AUC pooled, on fold 0 and on fold 1."""
    sweep = Sweep(name="s", base="b", parameters={"x": {"low": 0, "high": 1}})
    winner = Winner(sweep, Trial(3, {"x": 1}, "finished", 0.99))
    workspace, names = Workspace(output), {"base": "b", "winner": winner.name}
    seeds = ["", ".seed1"][: len(scores["base"])]
    for side, name in names.items():
        for seed, (pooled, *folds) in zip(seeds, scores[side], strict=True):
            folder = workspace.experiment(name + seed)
            folder.folder.mkdir(parents=True)
            about = {"name": name + seed, "kind": "experiment", "complete": True, "folds": [0, 1]}
            about |= {"auc_pooled": pooled, "auc_fold_mean": sum(folds) / 2, "auc_fold_std": 0.0}
            folder.metrics.write_text(
                json.dumps(about | {"auc_by_fold": dict(zip("01", folds, strict=True))})
            )
    return verdict(winner, comparison(winner, seeds, workspace))


def test_a_winner_that_is_no_better_is_told_so(tmp_path: Path):
    lines = compared(tmp_path, {"base": [(0.9, 0.8, 0.95)], "winner": [(0.9, 0.85, 0.94)]})
    assert "+0.0000 pooled, better in 1 of 2 folds." in lines[0]
    assert "0.8500, 0.8000" in lines[1]
    assert lines[-1] == "The winner is no better than b: keep b."


def test_a_winner_is_better_only_where_the_fold_no_trial_has_seen_agrees(tmp_path: Path):
    lines = compared(tmp_path / "a", {"base": [(0.9, 0.85, 0.93)], "winner": [(0.92, 0.84, 0.97)]})
    assert lines[-1].startswith("They disagree: +0.0200 over all folds, -0.0100 on fold 0")
    lines = compared(tmp_path / "b", {"base": [(0.9, 0.85, 0.93)], "winner": [(0.92, 0.86, 0.97)]})
    assert lines[-1] == "The winner is better than b, by 0.0200 over all folds and by 0.0100 on fold 0."


def test_of_several_seeds_the_means_are_compared(tmp_path: Path):
    base, best = [(0.90, 0.80, 0.9), (0.92, 0.82, 0.9)], [(0.95, 0.86, 0.9), (0.85, 0.80, 0.8)]
    lines = compared(tmp_path, {"base": base, "winner": best})
    assert (
        "0.9000/0.8400, b 0.9100/0.8550: -0.0100 pooled, better in 1 of 2 folds (means of 2 seeds)."
        in lines[0]
    )
    assert lines[-1] == "The winner is no better than b: keep b."


def test_another_winner_has_a_name_of_its_own():
    sweep = Sweep(name="s", base="b", parameters={"x": {"low": 0, "high": 1}})
    names = [Winner(sweep, Trial(3, {"x": value}, "finished", 0.9)).name for value in (0.1, 0.2, 0.1)]
    assert names[0] == names[2] != names[1] and names[0].startswith("s_winner_3_")
