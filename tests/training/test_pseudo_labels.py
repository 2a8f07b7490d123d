"""Pseudo-labels: what is learned, and that no label of the scored fold or of the test part reaches it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from histoblend.competition.layouts import read_competition
from histoblend.config import DataSettings, FoldSettings
from histoblend.config_experiment import Experiment
from histoblend.config_training import PseudoLabels
from histoblend.data.batches import Sampling, TrainingFeed, batch_positions
from histoblend.data.feed_workers import FeedWorkers
from histoblend.data.pack import pack
from histoblend.data.split import SplitSettings, make_split
from histoblend.data.training_rows import TrainingRows
from histoblend.errors import ArtifactRefusal, ConfigRefusal
from histoblend.execution.device import Device
from histoblend.inference.tables import test_table as table_of
from histoblend.inference.tables import write_test
from histoblend.training.feed import KerasFeed
from histoblend.training.network_task import fit_job, train_network
from histoblend.training.observer import Observer
from histoblend.training.pseudo_labels import joined_rows, pseudo_labelled
from histoblend.training.task import Task, TaskInputs, run_task
from histoblend.training.teachers import check_tables, teachers_first
from histoblend.training.texture_task import train_texture
from histoblend.workspace import TaskFolder, Workspace, file_hash, write_json

DEVICE = Device("cpu", "CPU", 0, "float32", 2, True, 0)
NOBODY = np.zeros(4, bool)
# The mean of the two teachers' logits of four patches: 0, 4, -4, 1.
LOGITS = np.array([[[-1.0], [5.0], [-4.0], [1.0]], [[1.0], [3.0], [-4.0], [1.0]]])


def settings(**changes: Any) -> PseudoLabels:
    return PseudoLabels.model_validate({"teachers": ("first",)} | changes)


def sigmoid(logit: float) -> float:
    return 1 / (1 + np.exp(-logit))


def test_soft_targets_are_the_probability_of_the_mean_logit():
    found = pseudo_labelled(LOGITS, NOBODY, settings())
    assert found.rows.tolist() == [0, 1, 2, 3]
    np.testing.assert_allclose(found.targets[:, 0], [0.5, sigmoid(4), sigmoid(-4), sigmoid(1)], rtol=1e-6)
    assert found.labels.tolist()[1:] == [1, 0, 1]
    assert found.targets.dtype == np.float32


def test_confidence_counts_for_both_classes_and_hard_targets_are_the_surer_one():
    found = pseudo_labelled(LOGITS, NOBODY, settings(confidence=0.9, soft=False))
    assert found.rows.tolist() == [1, 2]
    assert found.targets.tolist() == [[1.0], [0.0]]


def test_what_is_known_is_left_out():
    assert pseudo_labelled(LOGITS, np.array([False, True, False, False]), settings()).rows.tolist() == [
        0,
        2,
        3,
    ]


def test_nothing_left_is_refused():
    with pytest.raises(ConfigRefusal, match=r"confidence 0\.99(.|\n)*highest: 0\.982"):
        pseudo_labelled(LOGITS, NOBODY, settings(confidence=0.99))
    with pytest.raises(ConfigRefusal, match=r"pixels of labelled(.|\n)*pseudo_labels to null"):
        pseudo_labelled(LOGITS, ~NOBODY, settings())


def test_several_classes_are_a_softmax():
    logits = np.log([[[0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0.4, 0.3, 0.3]]])
    soft = pseudo_labelled(logits, NOBODY[:3], settings(confidence=0.6))
    assert soft.rows.tolist() == [0, 1]
    np.testing.assert_allclose(soft.targets, [[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]], rtol=1e-6)
    assert soft.labels.tolist() == [0, 2]
    hard = pseudo_labelled(logits, NOBODY[:3], settings(soft=False))
    assert hard.targets.tolist() == [[1, 0, 0], [0, 0, 1], [1, 0, 0]]


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> TrainingRows:
    """Rows 1 and 3 of a file of five, and what `LOGITS` say of the patches of another; the first pixel tells them."""
    folder = tmp_path_factory.mktemp("two")
    for name, first in (("train", 0), ("test", 100)):
        images = np.zeros((5, 48, 48, 3), np.uint8)
        images[:, 0, 0, 0] = first + np.arange(5)
        np.save(folder / f"{name}.npy", images)
    labelled = TrainingRows(str(folder / "train.npy"), np.array([1, 3]), np.array([0, 1]))
    taught = pseudo_labelled(LOGITS, NOBODY, settings(confidence=0.7))
    return joined_rows(labelled, 5, taught, str(folder / "test.npy"), 0.25)


TARGETS = {1: 0.0, 3: 1.0, 101: sigmoid(4), 102: sigmoid(-4), 103: sigmoid(1)}


@pytest.mark.parametrize("balanced", [False, True])
def test_targets_and_weights_belong_to_their_patches(mixed: TrainingRows, balanced: bool):
    feed = TrainingFeed(mixed, Sampling(0, 4, balanced=balanced), [], FeedWorkers(0))
    seen = {}
    for step in range(8):
        images, targets, weights = feed.batch(step)
        for patch, target, weight in zip(images[:, 0, 0, 0], targets[:, 0], weights, strict=True):
            seen[int(patch)] = float(target)
            assert weight == (0.25 if patch >= 100 else 1.0)
    assert seen == pytest.approx(TARGETS)
    assert feed.steps_per_epoch == 2  # five patches in batches of four


def test_an_epoch_sees_every_patch_once(mixed: TrainingRows):
    drawn = np.concatenate([batch_positions(mixed, Sampling(0, 5), step) for step in range(3)])
    assert np.bincount(drawn).tolist() == [3] * 5


def test_balanced_drawing_goes_by_the_most_probable_class(mixed: TrainingRows):
    drawn = np.concatenate([batch_positions(mixed, Sampling(0, 6, balanced=True), step) for step in range(4)])
    assert mixed.labels[drawn].mean() == 0.5
    assert mixed.labels.tolist() == [0, 1, 1, 0, 1]


def test_class_weights_and_patch_weights_multiply(mixed: TrainingRows):
    feed = TrainingFeed(mixed, Sampling(0, 5), [], FeedWorkers(0))
    images, _, weights = KerasFeed(feed, 0, np.array([2.0, 10.0], np.float32))[0]
    patches = images[:, 0, 0, 0].tolist()
    of_class = [2 * (1 - TARGETS[patch]) + 10 * TARGETS[patch] for patch in patches]
    expected = [
        value * (1.0 if patch < 100 else 0.25) for patch, value in zip(patches, of_class, strict=True)
    ]
    np.testing.assert_allclose(weights, expected, rtol=1e-6)
    np.testing.assert_array_equal(KerasFeed(feed, 0, None)[0][2], feed.batch(0).weights)


def test_workers_change_no_byte(mixed: TrainingRows):
    pool = FeedWorkers(1)
    try:
        alone, helped = (TrainingFeed(mixed, Sampling(0, 4), [], one) for one in (FeedWorkers(0), pool))
        for step in range(3):
            for one, other in zip(alone.batch(step), helped.batch(step), strict=True):
                np.testing.assert_array_equal(one, other)
    finally:
        pool.close()


# ---- tasks


@pytest.fixture
def inputs(toy: Path, tmp_path: Path) -> TaskInputs:
    """What the tasks of a run of three folds on the toy competition share."""
    competition = read_competition(toy)
    packed = pack(competition, tmp_path / "scratch", 1)
    workspace = Workspace(tmp_path / "output")
    split = SplitSettings(FoldSettings(count=3), DataSettings(near_duplicates="keep"))
    folds = make_split(workspace, competition, packed, split).folds
    return TaskInputs(
        workspace, packed, folds, DEVICE, FeedWorkers(0), False, competition.classes, lambda text: None
    )


def experiment(name: str, teachers: tuple[str, ...] = (), **training: Any) -> Experiment:
    content: dict[str, Any] = {"epochs": 2, "batch_size": 8, "tensorboard": False} | training
    if teachers:
        content["pseudo_labels"] = {"teachers": teachers} | training.get("pseudo_labels", {})
    network = {"name": "small_vgg", "widths": [4], "depths": [1], "crop": 32}
    return Experiment.model_validate(
        {"name": name, "network": network, "augmentation": "none", "training": content}
    )


def one_task(one: Experiment, fold: int, inputs: TaskInputs) -> Task:
    return Task(one, fold, inputs.workspace.experiment(one.name).task(fold), "print", "float32")


def trained(one: Experiment, fold: int, inputs: TaskInputs) -> Task:
    task = one_task(one, fold, inputs)
    run_task(task, inputs, lambda task, inputs: train_network(task, inputs, (0,), Observer()))
    return task


def weights(folder: TaskFolder) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    with h5py.File(folder.weights) as stored:
        stored.visititems(
            lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None
        )
    return found


def same_weights(one: TaskFolder, other: TaskFolder) -> bool:
    before, after = weights(one), weights(other)
    assert before.keys() == after.keys()
    return all(np.array_equal(before[name], after[name]) for name in before)


def flipped(inputs: TaskInputs, fold: int, output: Path) -> TaskInputs:
    """The same patches with the labels of one fold turned round, in an output folder of its own."""
    folds = inputs.folds.copy()
    folds.loc[folds["fold"] == fold, "label"] = 1 - folds.loc[folds["fold"] == fold, "label"]
    return dataclasses.replace(inputs, folds=folds, workspace=Workspace(output))


def taught_pair(inputs: TaskInputs, other: TaskInputs, teacher_fold: int) -> list[TaskFolder]:
    """The student of fold 1 on both, with tables by a teacher that left `teacher_fold` out."""
    folders = []
    for one in (inputs, other):
        teacher = Experiment.model_validate({"name": "teacher", "network": "texture_hgb"})
        task = dataclasses.replace(one_task(teacher, 1, one), fold=teacher_fold)
        run_task(task, one, train_texture)
        folders.append(trained(experiment("student", ("teacher",), epochs=1), 1, one).folder)
    return folders


def test_no_label_of_the_scored_fold_reaches_the_student(inputs: TaskInputs, tmp_path: Path):
    """Teachers and student alike are the same to the last bit when the labels of their fold are turned round."""
    other = flipped(inputs, 1, tmp_path / "other")
    assert same_weights(*taught_pair(inputs, other, teacher_fold=1))
    # The same comparison sees what a teacher that was trained on that fold brings in.
    assert not same_weights(*taught_pair(inputs, other, teacher_fold=0))


def lesson(inputs: TaskInputs, name: str, fold: int, logits: np.ndarray) -> TaskFolder:
    """A teacher's finished task that says `logits` (test patches, outputs)."""
    folder = inputs.workspace.experiment(name).task(fold)
    ids = inputs.pack.test["id"]
    write_test(folder.test, table_of(ids, logits), ids)
    write_json(folder.done, {"files": {"test.csv": file_hash(folder.test)}})
    return folder


def test_the_student_learns_from_its_own_fold_of_every_teacher(inputs: TaskInputs):
    generator = np.random.default_rng(0)
    logits = {(name, fold): generator.normal(size=(21, 1)) for name in "ab" for fold in range(3)}
    for (name, fold), values in logits.items():
        lesson(inputs, name, fold, values)
    for fold in range(3):
        source = fit_job(
            one_task(experiment("student", ("a", "b")), fold, inputs), inputs, Observer()
        ).feed.source
        mean = (logits["a", fold] + logits["b", fold]) / 2
        np.testing.assert_allclose(source.taught.targets, 1 / (1 + np.exp(-mean)), rtol=1e-6)
        labelled = inputs.folds.index[inputs.folds["fold"] != fold]
        assert source.rows.tolist() == [*labelled, *range(60, 81)]


def test_test_patches_with_the_pixels_of_labelled_ones_are_left_out(inputs: TaskInputs):
    test = inputs.pack.test.copy()
    test.loc[4, "pixel_hash"] = inputs.pack.train["pixel_hash"][0]
    twins = dataclasses.replace(inputs, pack=dataclasses.replace(inputs.pack, test=test))
    lesson(twins, "a", 0, np.ones((21, 1)))
    source = fit_job(one_task(experiment("student", ("a",)), 0, twins), twins, Observer()).feed.source
    assert source.rows[-20:].tolist() == [60 + row for row in range(21) if row != 4]


def test_a_damaged_table_of_a_teacher_is_refused(inputs: TaskInputs):
    folder = lesson(inputs, "a", 0, np.ones((21, 1)))
    folder.test.write_text(folder.test.read_text().replace("1.0", "2.0", 1))
    with pytest.raises(ArtifactRefusal, match=r"Damaged: test\.csv"):
        fit_job(one_task(experiment("student", ("a",)), 0, inputs), inputs, Observer())


def test_a_finished_student_knows_the_tables_it_learned_from(inputs: TaskInputs):
    teacher = lesson(inputs, "a", 0, np.ones((21, 1)))
    student = experiment("student", ("a",), epochs=1)
    task = trained(student, 0, inputs)
    assert json.loads(task.folder.done.read_text())["teachers"] == {"a": file_hash(teacher.test)}
    check_tables(student, 0, inputs.workspace)
    lesson(inputs, "a", 0, np.zeros((21, 1)))
    with pytest.raises(ArtifactRefusal, match=r"another table of a (.|\n)*archive student"):
        check_tables(student, 0, inputs.workspace)


def test_a_state_of_other_tables_is_not_gone_on_with(inputs: TaskInputs):
    student = experiment("student", ("a",))
    prints = []
    for value in (0.0, 1.0, 0.0):
        lesson(inputs, "a", 0, np.full((21, 1), value))
        prints.append(fit_job(one_task(student, 0, inputs), inputs, Observer()).fingerprint)
    assert prints[0] == prints[2] != prints[1]


def test_a_state_of_other_tables_is_put_aside_and_the_teachers_are_named(inputs: TaskInputs):
    student, told = experiment("student", ("a",)), list[str]()
    task = one_task(student, 0, inputs)
    lesson(inputs, "a", 0, np.zeros((21, 1)))

    def stop(row: dict[str, float]) -> None:
        raise Killed

    with pytest.raises(Killed):
        train_network(task, inputs, (0,), Observer(on_epoch=stop))
    lesson(inputs, "a", 0, np.ones((21, 1)))
    train_network(task, dataclasses.replace(inputs, tell=told.append), (0,), Observer())
    assert any("other tables of a than are there now" in line and "first epoch" in line for line in told)


@pytest.mark.parametrize("setting", [{"balanced": True}, {"class_weight": "balanced"}])
def test_a_class_without_a_patch_cannot_be_balanced(inputs: TaskInputs, setting: dict[str, Any]):
    """Its weight would be infinite, and the loss of every patch no number."""
    one_sided = dataclasses.replace(inputs, folds=inputs.folds.assign(label=0))
    fit_job(one_task(experiment("plain"), 0, one_sided), one_sided, Observer())
    with pytest.raises(ConfigRefusal, match=f"No patch of {inputs.classes[1]}(.|\n)*{next(iter(setting))}"):
        fit_job(one_task(experiment("plain", **setting), 0, one_sided), one_sided, Observer())


class Killed(Exception):
    """A stop in the middle of a training."""


def test_a_student_that_was_killed_ends_as_one_that_was_not(inputs: TaskInputs):
    """Soft targets, weights, balanced drawing, class weights and mixup are all functions of the step."""
    lesson(inputs, "a", 0, np.random.default_rng(0).normal(size=(21, 1)))
    recipe = {"epochs": 3, "balanced": True, "class_weight": "balanced", "mixup": 0.2}
    taught = {"pseudo_labels": {"teachers": ("a",), "weight": 0.5}}
    whole, cut = (experiment(name, **recipe, **taught) for name in ("whole", "cut"))
    reference = trained(whole, 0, inputs)
    task = one_task(cut, 0, inputs)

    def stop(row: dict[str, float]) -> None:
        if row["epoch"] == 2:
            raise Killed

    with pytest.raises(Killed):
        train_network(task, inputs, (0,), Observer(on_epoch=stop))
    assert task.folder.state.exists()
    epochs: list[float] = []
    observer = Observer(on_epoch=lambda row: epochs.append(row["epoch"]))
    run_task(task, inputs, lambda task, inputs: train_network(task, inputs, (0,), observer))
    assert epochs == [3]
    assert same_weights(reference.folder, task.folder)


def test_a_teacher_that_is_not_finished_is_refused(inputs: TaskInputs):
    with pytest.raises(ArtifactRefusal, match="learns from a, whose fold 0 is not finished"):
        fit_job(one_task(experiment("student", ("a",)), 0, inputs), inputs, Observer())


# ---- order


def test_teachers_come_first_and_everything_else_keeps_its_place():
    names = {"late": ("student",), "a": (), "student": ("b", "elsewhere"), "b": (), "c": ()}
    ordered = teachers_first([experiment(name, teachers) for name, teachers in names.items()])
    assert [one.name for one in ordered] == ["a", "b", "student", "late", "c"]


def test_circles_are_refused_by_name():
    circle = {"outside": ("x",), "x": ("y",), "y": ("z",), "z": ("x",), "alone": ()}
    with pytest.raises(ConfigRefusal, match="x, y, z learn from each other"):
        teachers_first([experiment(name, teachers) for name, teachers in circle.items()])


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ({"name": "self", "training": {"pseudo_labels": {"teachers": ["self"]}}}, "its own teacher"),
        ({"name": "x", "training": {"pseudo_labels": {"teachers": ["a", "a"]}}}, "named twice"),
        ({"name": "x", "training": {"pseudo_labels": {"teachers": []}}}, "at least 1"),
        (
            {"name": "x", "network": "texture_hgb", "training": {"pseudo_labels": {"teachers": ["a"]}}},
            "students",
        ),
    ],
)
def test_experiments_that_cannot_be_taught_are_refused(content: dict[str, Any], found: str):
    with pytest.raises(ValueError, match=found):
        Experiment.model_validate({"network": "small_vgg"} | content)
