"""The next session goes on from the furthest output of the same run, and from no other."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from histoblend.competition.layouts import read_competition
from histoblend.config_files import load_plan, plan_experiments
from histoblend.data.pack import pack
from histoblend.data.split import SplitSettings, make_split
from histoblend.errors import ArtifactRefusal
from histoblend.execution.records import make_record
from histoblend.kaggle.session.earlier import Ground, choose_earlier
from histoblend.kaggle.session.packing import note_session, pack_output
from histoblend.kaggle.session.stored import ARCHIVE, FOLDER, find_stored
from histoblend.kaggle.session.taking_over import take_over
from histoblend.workspace import Workspace, write_json, write_text


@dataclass
class Inputs:
    """Outputs of earlier sessions as they are mounted, made without training anything."""

    top: Path
    configs: Path
    toy: Path
    cache: Path

    def ground(self, *settings: str) -> Ground:
        """What this session works on."""
        plan = load_plan("toy", self.configs, settings)
        competition = read_competition(self.toy)
        packed = pack(competition, self.cache, 1, settings=plan.data)
        return Ground(plan, plan_experiments(plan, self.configs), competition, packed.fingerprint)

    def output(self, name: str, tasks: dict[str, int | None], *settings: str) -> Workspace:
        """A loose output: for each task, such as ``first/0``, None if it is done, else its epochs so far."""
        ground = self.ground(*settings)
        workspace = Workspace(self.top / name / FOLDER)
        packed = pack(ground.competition, self.cache, 1, settings=ground.plan.data)
        folds = SplitSettings(ground.plan.folds, ground.plan.data)
        split = make_split(workspace, ground.competition, packed, folds)
        write_json(workspace.run_record, {"plan": {}})
        data = {
            "data": packed.fingerprint,
            "folds": split.fingerprint,
            "side": 96,
            "classes": [],
            "synthetic": False,
        }
        data["data_set"] = "toy"
        for experiment in ground.experiments:
            record = make_record(experiment, experiment.views_shown(ground.plan.tta), "float32", data)
            folder = workspace.experiment(experiment.name)
            write_text(folder.config, yaml.safe_dump(record.content, sort_keys=False))
            for fold in range(ground.plan.folds.count):
                epochs = tasks.get(f"{experiment.name}/{fold}", 0)
                if epochs is None:
                    write_json(folder.task(fold).done, {"fingerprint": record.fingerprint})
                elif epochs:
                    save_epochs(folder.task(fold).state, epochs)
        return workspace

    def choose(self, heard, *settings: str, anew: bool = False):
        """What this session goes on from."""
        return choose_earlier(find_stored(self.top), self.ground(*settings), heard, anew)


def save_epochs(path: Path, epochs: int) -> None:
    about = json.dumps({"history": [{"epoch": 1.0}] * epochs, "fingerprint": "x", "arrays": []})
    path.parent.mkdir(parents=True)
    np.savez(path, about=np.frombuffer(about.encode(), np.uint8))


@pytest.fixture
def inputs(tmp_path, toy_configs, toy) -> Inputs:
    return Inputs(tmp_path / "input", toy_configs, toy, tmp_path / "cache")


ALL = {"first/0": None, "first/1": None, "second/0": None, "second/1": None}


def test_the_furthest_along_is_taken_packed_or_loose(inputs, listening):
    heard = listening()
    inputs.output("notebooks/owner/one", {"first/0": None})
    inputs.output("notebooks/owner/two", {"first/0": None, "first/1": 3})
    pack_output(inputs.top / "notebooks/owner/two")
    inputs.output("datasets/owner/three", {"first/0": 4, "second/0": 9})
    chosen = inputs.choose(heard)
    assert chosen.stored.place == inputs.top / "notebooks/owner/two"
    assert chosen.sentence == "1 finished task and 3 epochs of unfinished ones"
    assert "left aside" in heard.text and "three (0 finished tasks and 13 epochs" in heard.text


def test_nothing_of_another_run_is_taken_and_the_reason_is_told(inputs, listening, toy, tmp_path):
    heard = listening()
    inputs.output("other-folds", ALL, "folds.count=3")
    inputs.output("other-settings", ALL, "training.batch_size=8")
    inputs.output("nothing-begun", {})
    other = shutil.copytree(toy, tmp_path / "relabelled")
    labels = (other / "train_labels.csv").read_text().splitlines()
    labels[1] = labels[1][:-1] + ("0" if labels[1].endswith("1") else "1")
    (other / "train_labels.csv").write_text("\n".join(labels) + "\n")
    replace(inputs, toy=other).output("other-labels", ALL)
    (inputs.top / "foreign" / "experiments").mkdir(parents=True)
    (inputs.top / "foreign" / "run.json").write_text("[]")
    with pytest.raises(ArtifactRefusal, match=r"would leave behind 4 finished tasks in .*other-") as refusal:
        inputs.choose(listening())
    assert "kernel push --anew" in refusal.value.remedy
    assert inputs.choose(heard, anew=True) is None
    assert "Left behind, as was asked for" in heard.text
    told = {line.split(": ")[0].split("/")[-1]: line for line in heard.text.splitlines()}
    assert "another run (count: 3 -> 2)" in told["other-folds"]
    assert "another run (data: " in told["other-labels"]
    assert "first, second had other settings" in told["other-settings"]
    assert "no task of this plan was begun" in told["nothing-begun"]
    assert "no output of a run: folds.csv, folds.json missing" in told["foreign"]


def test_a_changed_experiment_stays_behind_with_what_was_computed_from_it(inputs, listening, tmp_path):
    output = inputs.output("notebooks/owner/one", ALL)
    for name in ("ranking.csv", "submission.csv", "ensembles/toy_mean/oof.csv"):
        write_text(output.folder / name, "x")
    inputs.configs.joinpath("experiments/second.yaml").write_text("network: {name: small_vgg}\n")
    with pytest.raises(ArtifactRefusal, match=r"2 finished tasks in .*: second had other settings"):
        inputs.choose(listening())
    chosen = inputs.choose(listening(), anew=True)
    assert (chosen.finished, chosen.changed) == (2, ("second",))
    workspace = Workspace(tmp_path / "working" / FOLDER)
    take_over(chosen, workspace)
    assert workspace.experiment("first").task(1).done.exists() and workspace.folds.exists()
    assert not workspace.experiment("second").folder.exists()
    assert not any(path.exists() for path in (workspace.ranking, workspace.submission, workspace.ensembles))


def test_everything_goes_along_and_its_origin_is_noted(inputs, listening, tmp_path):
    output = inputs.output("notebooks/owner/one", ALL)
    write_text(output.folder / "ensembles/toy_mean/oof.csv", "x")
    place = inputs.top / "notebooks/owner/one"
    note_session(place, {"plan": "toy", "package": "0.1.0 abc"})
    about = pack_output(place)
    workspace = Workspace(tmp_path / "working" / FOLDER)
    take_over(inputs.choose(listening()), workspace)
    noted = json.loads(workspace.earlier_output.read_text())
    assert (noted["kind"], noted["sha256"], noted["bytes"]) == (
        "earlier output",
        about["sha256"],
        about["bytes"],
    )
    assert noted["path"] == str(place / ARCHIVE) and noted["session"]["package"] == "0.1.0 abc"
    assert (workspace.ensembles / "toy_mean" / "oof.csv").exists()
    assert len(list(workspace.experiments.glob("*/fold_*/done.json"))) == 4
    assert [path.name for path in workspace.folder.parent.iterdir()] == [FOLDER]


def test_a_cut_output_gives_way_to_the_next_best_or_stops_the_session(inputs, listening):
    inputs.output("notebooks/owner/best", ALL)
    best = inputs.top / "notebooks/owner/best"
    pack_output(best)
    (best / ARCHIVE).write_bytes((best / ARCHIVE).read_bytes()[:9000])
    with pytest.raises(ArtifactRefusal, match=r"best/histoblend-output\.tar is incomplete") as refusal:
        inputs.choose(listening())
    assert inputs.choose(listening(), anew=True) is None
    assert "detach it" in refusal.value.remedy and "--anew" in refusal.value.remedy
    (best / "session.json").write_text("{half")  # of read-only inputs nothing can be moved away
    inputs.output("notebooks/owner/next", {"first/0": None})
    heard = listening()
    assert inputs.choose(heard).stored.place.name == "next"
    assert "Left aside: " in heard.text and "best/histoblend-output.tar is incomplete" in heard.text


def test_a_done_task_of_other_settings_or_a_damaged_record_does_not_count(inputs, listening):
    output = inputs.output("notebooks/owner/one", ALL)
    write_json(output.experiment("first").task(0).done, {"fingerprint": "of another run"})
    write_text(output.experiment("first").task(1).done, "{half")
    assert inputs.choose(listening()).finished == 2
    write_text(output.experiment("first").config, "a: [")
    heard = listening()
    assert inputs.choose(heard, anew=True) is None
    assert "experiments/first/config.yaml in it is damaged" in heard.text


def test_experiments_of_another_plan_on_the_same_folds_go_along(inputs, listening):
    inputs.output("notebooks/owner/one", ALL)
    inputs.configs.joinpath("plans/toy.yaml").write_text(
        inputs.configs.joinpath("plans/toy.yaml").read_text().replace("[first, second]", "[everything]")
    )
    chosen = inputs.choose(listening())
    assert chosen.sentence == "0 finished tasks; of other experiments 4 finished tasks"
    assert chosen.keeps("experiments/first/fold_0/done.json")
