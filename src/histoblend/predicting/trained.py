"""A finished experiment, or a blend of several, rebuilt from its output folder to predict new pictures.

Networks are built from the record (config.yaml) and filled from model.weights.h5: nothing is unpickled. Each file is
checked against the hash that done.json keeps of it. Views and folds are averaged in logits, in that order,
and members as their blend says, as in test.csv.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from histoblend.blending.mixture import Mixture, mixed_pointwise
from histoblend.config_files import base_name
from histoblend.data.views import chosen_views
from histoblend.errors import ArtifactRefusal, ConfigRefusal
from histoblend.execution.records import Record, read_record
from histoblend.inference.predict import network_logits, view_logits
from histoblend.models.problem import Problem
from histoblend.predicting.known_models import blend_space, finished_folds, member_weights
from histoblend.training.task import check_whole
from histoblend.workspace import ExperimentFolder, TaskFolder, Workspace, read_json

if TYPE_CHECKING:
    import keras

BATCH = 128
BINARY = ("no tumour", "tumour")  # the classes of records that name none


@dataclass(frozen=True)
class Member:
    """One experiment's networks, one for each finished fold, and the views they are shown."""

    name: str
    networks: tuple[keras.Model, ...]
    views: tuple[int, ...]
    weight: float = 1.0


@dataclass(frozen=True)
class TrainedModel:
    """What `histoblend predict` asks.

    Attributes:
        name: of the experiment or the blend.
        side: of the patch it knows, in pixels.
        classes: names; the logit of a model of two is that of the second.
        synthetic: whether it has learned from drawn patches.
        members: experiments, averaged by their weights.
        notes: sentences the user should read, such as folds that are missing.
        space: in which members are averaged, with its `power`: see blending/mixture.py.
    """

    name: str
    side: int
    classes: tuple[str, ...]
    synthetic: bool
    members: tuple[Member, ...]
    notes: tuple[str, ...] = ()
    space: str = "logit"
    power: float = 1.0

    def logits(self, patches: np.ndarray) -> np.ndarray:
        """Logits float64 (n, outputs) of uint8 patches (n, side, side, 3), n at least 1."""
        rows = np.arange(len(patches))

        def logits_of(network: keras.Model, views: Sequence[int]) -> np.ndarray:
            return view_logits(network_logits(network), patches, rows, views, BATCH).mean(axis=1)

        return self.mean(logits_of)

    def mean(self, logits_of: Callable[[keras.Model, Sequence[int]], np.ndarray]) -> np.ndarray:
        """Mean over folds, then over equal seeds, then blended over members.

        Args:
            logits_of: (network, views) -> float64 array (..., outputs), which is what comes back.
        """
        parts: dict[str, np.ndarray] = {}
        weights: dict[str, float] = {}
        for member in self.members:
            folds = [logits_of(network, member.views) for network in member.networks]
            name = base_name(member.name)
            parts[name] = parts.get(name, 0.0) + member.weight * np.mean(folds, axis=0)
            weights[name] = weights.get(name, 0.0) + member.weight
        logits = np.stack([part / weights[name] for name, part in parts.items()], axis=-2)
        shares = np.array(list(weights.values())) / sum(weights.values())
        return mixed_pointwise(logits, Mixture(shares, self.space, self.power))


def load_trained(name: str, workspace: Workspace, views: int | None = None) -> TrainedModel:
    """Rebuild the experiment or blend `name` of an output folder.

    Args:
        views: dihedral views averaged, 1, 4 or 8; None as it was recorded.

    Raises:
        ArtifactRefusal: there is no such model, no fold of it is finished, or its files are damaged.
        ConfigRefusal: it keeps no networks, its blend has no meaning for a picture alone, or there are no such views.
    """
    if views not in (None, 1, 4, 8):
        raise ConfigRefusal(
            f"There are no {views} views.", "1, 4 or 8 of the dihedral group", "leave --views out."
        )
    weights = member_weights(name, workspace)
    records = {member: read_record(workspace.experiment(member)) for member in weights}
    side, classes = _shared_frame(name, records)
    members = [
        _member(workspace.experiment(member), records[member], weight, views)
        for member, weight in weights.items()
    ]
    synthetic = any(record.content.get("synthetic", False) for record in records.values())
    notes = _partial(members, workspace)
    return TrainedModel(name, side, classes, synthetic, tuple(members), notes, *blend_space(name, workspace))


def _shared_frame(name: str, records: Mapping[str, Record]) -> tuple[int, tuple[str, ...]]:
    """Side and classes, which all members of a blend must share."""
    frames = {member: _frame(record) for member, record in records.items()}
    if len(set(frames.values())) > 1:
        raise ArtifactRefusal(
            f"The members of {name} know different patches or classes: {frames}.",
            "one side, the same classes",
            "name one of the experiments.",
        )
    return next(iter(frames.values()))


def _frame(record: Record) -> tuple[int, tuple[str, ...]]:
    return int(record.content.get("side", 96)), tuple(record.content.get("classes", BINARY))


def _member(folder: ExperimentFolder, record: Record, weight: float, views: int | None) -> Member:
    networks = tuple(trained_network(task, record) for task in finished_folds(folder))
    shown = chosen_views(views or int(record.content.get("views", 1)))
    return Member(folder.folder.name, networks, shown, weight)


def trained_network(task: TaskFolder, record: Record, precision: str | None = None) -> keras.Model:
    """One fold's network up to its logits, with its weights, as an ordinary one.

    Args:
        precision: what it computes in; None for what it was trained in.

    Raises:
        ArtifactRefusal: its files are damaged or do not belong to `record`.
    """
    from histoblend.models.dihedral_fold import folded_model

    check_whole(task)
    _check_same_run(task, record)
    model = _built(record, precision or record.precision)
    try:
        model.load_weights(task.weights)
    except (OSError, ValueError, KeyError) as error:
        raise ArtifactRefusal(
            f"{task.weights} does not fit the network its record describes: {error}",
            "the weights this version of histoblend wrote",
            "predict with the version that trained it (run.json in the output folder names the versions).",
        ) from error
    return folded_model(model)


def _built(record: Record, precision: str) -> keras.Model:
    """The record's network up to its logits, its weights still random."""
    import keras

    from histoblend.models.outputs import logit_model
    from histoblend.models.registry import build_network

    experiment, (side, classes) = record.content["experiment"], _frame(record)
    parameters = dict(experiment["network"])
    problem = Problem(side, experiment.get("input_size") or side, len(classes))
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        return logit_model(build_network(parameters.pop("name"), parameters, problem, pretrained=False))
    finally:
        keras.config.set_dtype_policy(before)


def _check_same_run(task: TaskFolder, record: Record) -> None:
    found = read_json(task.done).get("fingerprint")
    if found != record.fingerprint or not task.weights.exists():
        raise ArtifactRefusal(
            f"{task.folder} (fingerprint {found}) does not belong to the record beside it.",
            f"model.weights.h5 and fingerprint {record.fingerprint}, as in config.yaml",
            "restore the folder as its run left it, or train the experiment again.",
        )


def _partial(members: Sequence[Member], workspace: Workspace) -> tuple[str, ...]:
    """A sentence for each experiment some of whose folds are not finished."""
    if not workspace.folds_record.exists():
        return ()
    wanted = int(read_json(workspace.folds_record)["settings"]["count"])
    return tuple(
        f"{member.name}: {len(member.networks)} of its {wanted} folds are finished; only they are averaged."
        for member in members
        if len(member.networks) < wanted
    )
