"""What was decided when an experiment first started, kept beside its artifacts and compared ever after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from histoblend.config_experiment import Experiment
from histoblend.data.augmentations import resolve_augmentation
from histoblend.errors import ArtifactRefusal
from histoblend.execution.added_settings import with_added
from histoblend.models.registry import check_network, find_network
from histoblend.workspace import ExperimentFolder, Workspace, fingerprint, write_text
from histoblend.yaml_files import read_yaml

# For people and for predictions: the data's identity is its fingerprint, not its folder's name.
ABOUT_DATA = {"data_set", "synthetic", "side", "classes"}
# What an estimator on statistics has no use for: a plan lays it over every experiment.
OF_NETWORKS = (
    "precision",
    *(
        f"experiment.{key}"
        for key in ("training", "optimizer", "schedule", "augmentation", "input_size", "precision")
    ),
)
# Renaming or blending an experiment changes none of its numbers, nor does where its settings were written, nor with
# which other seeds it is trained beside its own, nor who chose them.
NOT_IDENTITY = {"name", "role", "recipe", "seeds", "searched"}


@dataclass(frozen=True)
class Record:
    """The content of an experiment's config.yaml."""

    content: dict[str, Any]

    @property
    def fingerprint(self) -> str:
        """Identity of configuration, data, folds and precision together."""
        return str(self.content["fingerprint"])

    @property
    def precision(self) -> str:
        """The precision frozen at the first start."""
        return str(self.content["precision"])


def make_record(
    experiment: Experiment,
    views: int,
    precision: str,
    data: Mapping[str, Any],
    teachers: Mapping[str, str | None] | None = None,
) -> Record:
    """The record of `experiment` as it would start now, defaults and presets spelled out.

    Args:
        data: what is known of data set and folds: fingerprints, names, `side` of the patches, `classes`.
        teachers: fingerprint of each experiment that it learns from; None for one that is not there.
    """
    settings = experiment.model_dump(mode="json") | {
        "input_size": experiment.input_size or data["side"],
        "network": {"name": experiment.network.name, **_network_parameters(experiment)},
        "augmentation": resolve_augmentation(experiment.augmentation),
    }
    content: dict[str, Any] = {"experiment": settings, "views": views, "precision": precision, **data}
    identity = {key: value for key, value in settings.items() if key not in NOT_IDENTITY}
    prints: dict[str, Any] = {key: data[key] for key in ("data", "folds")}
    prints["config"] = fingerprint([identity, views])
    if teachers:
        content["teachers"] = prints["teachers"] = dict(teachers)
    return Record(content | {"fingerprint": fingerprint([prints, precision])})


def teacher_fingerprints(experiment: Experiment, workspace: Workspace) -> dict[str, str | None]:
    """Fingerprint of each of its teachers as it was started in the output folder; None for one that was not.

    Predictions that were added under a teacher's name were never started: they are of no fold.
    """
    from histoblend.external.members import is_external  # late: each task's process would load it for nothing

    folders = {name: workspace.experiment(name) for name in experiment.teachers}
    return {
        name: read_record(folder).fingerprint if folder.config.exists() and not is_external(folder) else None
        for name, folder in folders.items()
    }


def check_teachers_data(student: Record, workspace: Workspace) -> None:
    """Check that a student's teachers were trained on its data and folds.

    Raises:
        ArtifactRefusal: one was not.
    """
    started = [name for name, found in student.content.get("teachers", {}).items() if found is not None]
    for name in started:
        teacher = read_record(workspace.experiment(name))
        if differing := [key for key in ("data", "folds") if teacher.content[key] != student.content[key]]:
            raise ArtifactRefusal(
                f"Teacher {name} in {workspace.folder} was trained on other {' and '.join(differing)}.",
                "one data set and one split for student and teachers",
                f"put it aside: ./run.sh archive {name} --output {workspace.folder}; then train it again.",
            )


def _network_parameters(experiment: Experiment) -> dict[str, Any]:
    settings = check_network(experiment.network.name, experiment.network.parameters)
    return settings.model_dump(mode="json")


def read_record(folder: ExperimentFolder) -> Record:
    """The record an experiment started with.

    Raises:
        ArtifactRefusal: it is damaged.
    """
    record = Record(read_yaml(folder.config))
    if missing := [key for key in ("experiment", "precision", "fingerprint") if key not in record.content]:
        raise ArtifactRefusal(
            f"{folder.config} is damaged: it lacks {', '.join(missing)}.",
            "the record of an experiment's start",
            f"restore it, or: ./run.sh archive {folder.folder.name} --output {folder.folder.parents[1]}",
        )
    return record


def started_record(folder: ExperimentFolder, fresh: Record) -> Record:
    """The record the experiment started with, or, where no task has begun yet, `fresh`, written now.

    `precision: auto` resolves to what it was at the first start, whatever the device today.

    Raises:
        ArtifactRefusal: configuration, data or folds are not those the artifacts were made with.
    """
    if not folder.config.exists() or not any(folder.folder.glob("fold_*")):
        write_text(folder.config, yaml.safe_dump(fresh.content, sort_keys=False, allow_unicode=True))
        return fresh
    old = read_record(folder)
    if differences := record_differences(old, fresh):
        name = folder.folder.name
        raise ArtifactRefusal(
            f"Experiment {name} has changed since its artifacts in {folder.folder} were made:\n  "
            + "\n  ".join(differences),
            "the configuration, data and folds it was started with",
            f"undo the change; or give the changed experiment a file of its own; or choose another --output; "
            f"or put the old artifacts aside: ./run.sh archive {name} --output {folder.folder.parents[1]}",
        )
    return old


def record_differences(old: Record, fresh: Record) -> list[str]:
    """Lines ``key: old -> new`` for what differs in more than name, role, recipe, seeds and automatic precision.

    A setting the old record does not know is none where it stands at what it was before there was one
    (`added_settings.ADDED`).
    """
    ignored = {"fingerprint", *ABOUT_DATA, *(f"experiment.{key}" for key in NOT_IDENTITY)}
    if fresh.content["experiment"]["precision"] == "auto":
        ignored.add("precision")
    known = {"experiment": with_added(old.content["experiment"], fresh.content["experiment"])}
    lines = differing_keys(old.content | known, fresh.content)
    if find_network(fresh.content["experiment"]["network"]["name"]).kind == "features":
        lines = [(key, line) for key, line in lines if not key.startswith(OF_NETWORKS)]
    gone = {f"teachers.{name}" for name, found in fresh.content.get("teachers", {}).items() if found is None}
    return [
        f"{key}: not there any more ({line.removeprefix(f'{key}: ')})" if key in gone else line
        for key, line in lines
        if key not in ignored
    ]


def flattened(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, keys joined by dots."""
    result: dict[str, Any] = {}
    for key, value in content.items():
        path = f"{prefix}{key}"
        result |= flattened(value, f"{path}.") if isinstance(value, Mapping) and value else {path: value}
    return result


def differing_keys(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Keys whose values differ, each with a line ``key: old -> new``."""
    before, after = flattened(old), flattened(new)
    absent = "(none)"
    keys = [key for key in {**before, **after} if before.get(key, absent) != after.get(key, absent)]
    return [(key, f"{key}: {before.get(key, absent)} -> {after.get(key, absent)}") for key in keys]
