"""What an output folder holds that can predict a picture alone: experiments with networks, blends without ranks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from histoblend.blending.mixture import POINTWISE
from histoblend.config_files import base_name
from histoblend.errors import ArtifactRefusal, ConfigRefusal, nearest, some
from histoblend.models.registry import NETWORKS
from histoblend.workspace import ExperimentFolder, TaskFolder, Workspace, read_json
from histoblend.yaml_files import read_yaml


def member_weights(name: str, workspace: Workspace) -> dict[str, float]:
    """Weight of each experiment that speaks for the model `name`, itself an experiment or a blend.

    Raises:
        ArtifactRefusal: there is no such model, or nothing of it is finished.
        ConfigRefusal: it keeps no networks, or its blend has no meaning for a picture alone.
    """
    if name in _folders(workspace.experiments):
        weights = {name: 1.0}
    elif name in _folders(workspace.ensembles):
        weights = _blend_weights(name, workspace)
    else:
        raise _unknown(name, workspace)
    for member in weights:
        _check_rebuildable(member, name, workspace)
    return weights


def blend_space(name: str, workspace: Workspace) -> tuple[str, float]:
    """The space in which the model `name` averages its members, and its power; an experiment has one member."""
    content = _content(name, workspace) if name in _folders(workspace.ensembles) else {}
    return (_space(content), float(content.get("power", 1.0))) if content else ("logit", 1.0)


def usable_models(workspace: Workspace) -> list[str]:
    """Names of the blends and experiments of an output folder that can predict a picture alone."""
    experiments = [name for name in _folders(workspace.experiments) if _usable(workspace.experiment(name))]
    return [*_usable_blends(workspace, experiments), *experiments]


def finished_folds(folder: ExperimentFolder) -> list[TaskFolder]:
    """The finished folds of an experiment, by number."""
    names = [path.parent.name.removeprefix("fold_") for path in folder.folder.glob("fold_*/done.json")]
    return [folder.task(number) for number in sorted(int(name) for name in names if name.isdigit())]


def _folders(parent: Path) -> list[str]:
    return [path.name for path in sorted(parent.glob("*")) if path.is_dir()]


def _usable(folder: ExperimentFolder) -> bool:
    return folder.config.exists() and bool(finished_folds(folder)) and _keeps_networks(folder)


def _keeps_networks(folder: ExperimentFolder) -> bool:
    row = NETWORKS.get(_network_name(folder))
    return row is not None and row.kind == "keras"


def _network_name(folder: ExperimentFolder) -> str:
    """Name of the record's network; empty where there is none, as for predictions that were added."""
    if not folder.config.exists():
        return ""
    network = (read_yaml(folder.config).get("experiment") or {}).get("network") or {}
    return str(network.get("name", ""))


def _usable_blends(workspace: Workspace, experiments: list[str]) -> list[str]:
    def complete(content: dict[str, Any]) -> bool:
        return all(
            names and set(names) <= set(experiments) for names in _speaking(content, experiments).values()
        )

    blends = {name: _content(name, workspace) for name in _folders(workspace.ensembles)}
    return [name for name, content in blends.items() if _space(content) in POINTWISE and complete(content)]


def _content(name: str, workspace: Workspace) -> dict[str, Any]:
    path = workspace.ensemble(name).weights
    return dict(read_json(path)) if path.exists() else {}


def _space(content: dict[str, Any]) -> str:
    """The space a blend averages in; blends that do not say it are means of logits or of ranks."""
    return str(content.get("space", "logit" if content.get("rule") == "logit_mean" else "rank"))


def _blend_weights(name: str, workspace: Workspace) -> dict[str, float]:
    """Weight of each experiment of a blend that has any; equal seeds of one member share its weight."""
    content = _content(name, workspace)
    if _space(content) not in POINTWISE:
        rule = str(content.get("rule", "unknown rule")).replace("_", " ")
        raise ConfigRefusal(
            f"{name} is a blend by {rule}, which needs all patches of a table at once: "
            "a rank is a place among others, and a picture alone has none.",
            "a blend in logits or probabilities, or an experiment",
            _choices(workspace),
        )
    present = _folders(workspace.experiments)
    seeds = _speaking(content, present)
    if gone := [one for member, names in seeds.items() for one in names or [member] if one not in present]:
        raise ArtifactRefusal(
            f"{name} blends {some(gone)}, which is not in {workspace.experiments}.",
            "its folder beside those of the other members",
            f"bring it back (archive/ may hold it), or {_choices(workspace)}",
        )
    weights = content["weights"]
    return {one: float(weights[member]) / len(names) for member, names in seeds.items() for one in names}


def _speaking(content: dict[str, Any], present: list[str]) -> dict[str, list[str]]:
    """The seeds of the members that have a weight: a rule may leave the others out."""
    return {member: names for member, names in _seeds(content, present).items() if content["weights"][member]}


def _seeds(content: dict[str, Any], present: list[str]) -> dict[str, list[str]]:
    """The experiments, one for each seed, that a blend averages as each of its members.

    Blends written before these were recorded are taken to hold every seed that is `present`.
    """
    if "members" in content:
        return dict(content["members"])
    return {member: [one for one in present if base_name(one) == member] for member in content["weights"]}


def _check_rebuildable(member: str, model: str, workspace: Workspace) -> None:
    folder = workspace.experiment(member)
    what = member if member == model else f"{model} needs {member}, which"
    if not _keeps_networks(folder):
        network = _network_name(folder)
        kind = "learns from statistics: it" if network else "holds predictions made elsewhere: it"
        raise ConfigRefusal(
            f"{what} {kind} keeps no weights of a network.",
            "an experiment whose folds keep model.weights.h5",
            _choices(workspace),
        )
    if not finished_folds(folder):
        raise ArtifactRefusal(
            f"{what} has no finished fold yet.",
            "at least one",
            f"let its run go on (the same ./run.sh run command), or {_choices(workspace)}",
        )


def _unknown(name: str, workspace: Workspace) -> ArtifactRefusal:
    usable = usable_models(workspace)
    if not usable:
        return ArtifactRefusal(
            f"{workspace.folder} holds no finished network.",
            "the output folder of a run",
            "name it with --output, or train one first: ./run.sh run PLAN.",
        )
    return ArtifactRefusal(
        f"{workspace.folder} holds no model {name!r}. {nearest(name, usable)}",
        "an experiment or a blend of that folder",
        _choices(workspace),
    )


def _choices(workspace: Workspace) -> str:
    usable = usable_models(workspace)
    return (
        f"--model with one of: {', '.join(usable)}."
        if usable
        else "train a network first: ./run.sh run PLAN."
    )
