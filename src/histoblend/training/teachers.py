"""Teachers of an experiment that learns from pseudo-labels: their order, their tables, and that these stay the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from histoblend.config_experiment import Experiment
from histoblend.data.duplicates import shared_pixels
from histoblend.data.training_rows import TrainingRows
from histoblend.errors import ArtifactRefusal, ConfigRefusal, some
from histoblend.inference.tables import read_test, table_logits
from histoblend.training.pseudo_labels import joined_rows, pseudo_labelled
from histoblend.training.task import Task, TaskInputs, check_whole
from histoblend.workspace import TaskFolder, Workspace, read_json


def teachers_first(experiments: Sequence[Experiment]) -> list[Experiment]:
    """`experiments` in their order, but each behind those of its teachers that are among them.

    Raises:
        ConfigRefusal: experiments teach each other in a circle.
    """
    waiting = {one.name: one for one in experiments}
    ordered: list[Experiment] = []
    while waiting:
        ready = next((one for one in waiting.values() if not waiting.keys() & set(one.teachers)), None)
        if ready is None:
            raise ConfigRefusal(
                f"{some(_circle(waiting))} learn from each other's pseudo-labels in a circle.",
                "teachers that end with experiments that have none",
                "take one of them out of training.pseudo_labels.teachers.",
            )
        ordered.append(waiting.pop(ready.name))
    return ordered


def _circle(waiting: Mapping[str, Experiment]) -> list[str]:
    """Names along a circle among `waiting`, each of which has a teacher among them."""
    path = [next(iter(waiting))]
    while True:
        following = next(name for name in waiting[path[-1]].teachers if name in waiting)
        if following in path:
            return path[path.index(following) :]
        path.append(following)


def check_teachers(
    experiments: Sequence[Experiment], folds: Sequence[int], test_patches: int, workspace: Workspace
) -> None:
    """Check, before anything is trained, that whoever needs teachers will have them.

    Args:
        experiments: those of this run.

    Raises:
        ConfigRefusal: there is no test part, or a teacher is neither in this run nor finished.
    """
    names = {one.name for one in experiments}
    for one in experiments:
        if one.teachers and not test_patches:
            raise ConfigRefusal(
                f"{one.name} learns from pseudo-labels of the test patches, and this data has no test part.",
                "data with a test part",
                "leave it out, or set training.pseudo_labels to null.",
            )
        student = workspace.experiment(one.name)
        needed = [fold for fold in folds if not student.task(fold).done.exists()]
        for teacher in (name for name in one.teachers if name not in names):
            folder = workspace.experiment(teacher)
            if missing := [fold for fold in needed if not folder.task(fold).done.exists()]:
                raise ConfigRefusal(
                    f"{one.name} learns from {teacher}, which is not in this run and has no finished "
                    f"fold {', '.join(map(str, missing))} in {workspace.folder}.",
                    "teachers in the plan, named in --experiments, or trained on that fold in the output folder "
                    "(predictions that were added are of no fold)",
                    f"train it first, or in one run: ./run.sh run PLAN --output {workspace.folder} --experiments "
                    f"{','.join((*one.teachers, one.name))} --folds {','.join(map(str, folds))}",
                )


@dataclass(frozen=True)
class Taught:
    """What a student draws from, and the tables it came from.

    Attributes:
        tables: hash of each teacher's test table, by the teacher's name.
        sentence: for people.
    """

    source: TrainingRows
    tables: dict[str, str]
    sentence: str


def with_pseudo_labels(task: Task, inputs: TaskInputs, labelled: TrainingRows) -> Taught | None:
    """`labelled` with the test patches beside them as the task's teachers see these; None where it has no teachers.

    Raises:
        ArtifactRefusal: a teacher's fold is not finished, or its table is damaged or does not fit the test patches.
        ConfigRefusal: no patch is left.
    """
    settings = task.experiment.training.pseudo_labels
    if settings is None:
        return None
    folders = teacher_folders(task.experiment, task.fold, inputs.workspace)
    for name, folder in folders.items():
        if not folder.done.exists():
            raise ArtifactRefusal(
                f"{task.experiment.name} learns from {name}, whose fold {task.fold} is not finished.",
                f"{folder.done}",
                f"train it first: ./run.sh run PLAN --experiments {name} --output {inputs.workspace.folder}",
            )
        check_whole(folder)
    test = inputs.pack.test
    logits = np.stack([table_logits(read_test(folder.test, test["id"])) for folder in folders.values()])
    known = test["id"].isin(shared_pixels(inputs.pack.train, test)).to_numpy()
    chosen = pseudo_labelled(logits, known, settings)
    files = inputs.pack.folder
    joined = joined_rows(labelled, len(inputs.pack.train), chosen, str(files / "test.npy"), settings.weight)
    left_out = f", {known.sum():,} left out that have the pixels of labelled patches" if known.any() else ""
    sentence = (
        f"{task.experiment.name} fold {task.fold}: beside {len(labelled.rows):,} labelled patches "
        f"{len(chosen.rows):,} of {len(test):,} test patches as fold {task.fold} of "
        f"{', '.join(settings.teachers)} sees them{left_out}."
    )
    return Taught(joined, table_hashes(folders), sentence)


def teacher_folders(experiment: Experiment, fold: int, workspace: Workspace) -> dict[str, TaskFolder]:
    """The teachers' tasks of the same fold."""
    return {name: workspace.experiment(name).task(fold) for name in experiment.teachers}


def table_hashes(folders: Mapping[str, TaskFolder]) -> dict[str, str]:
    """Hash of the test table of each finished task."""
    return {name: read_json(folder.done)["files"][folder.test.name] for name, folder in folders.items()}


def changed_teachers(experiment: Experiment, fold: int, workspace: Workspace) -> list[str]:
    """Teachers whose finished table is not the one that the finished student of this fold learned from."""
    student = workspace.experiment(experiment.name).task(fold)
    folders = teacher_folders(experiment, fold, workspace)
    present = {name: teacher for name, teacher in folders.items() if teacher.done.exists()}
    if not present or not student.done.exists():
        return []
    learned = read_json(student.done).get("teachers", {})
    return [name for name, found in table_hashes(present).items() if learned.get(name) != found]


def check_tables(experiment: Experiment, fold: int, workspace: Workspace) -> None:
    """Check that a finished student learned from the tables that its teachers have now.

    Raises:
        ArtifactRefusal: one has changed since.
    """
    if changed := changed_teachers(experiment, fold, workspace):
        raise ArtifactRefusal(
            f"{workspace.experiment(experiment.name).task(fold).folder} learned from another table of {some(changed)} "
            "than the one that is there now.",
            "teachers as they were",
            f"put the student aside and run again: ./run.sh archive {experiment.name} --output {workspace.folder}",
        )
