"""Which files a session needs: the slide map, the pretrained weights of a plan, and what was trained before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from histoblend.competition.leak_check import check_sent_files, check_weights_names
from histoblend.competition.leaked_labels import SLIDE_MAPS
from histoblend.competition.locate import locate
from histoblend.config import Plan
from histoblend.config_experiment import Experiment
from histoblend.data.slides import read_slide_map
from histoblend.errors import ConfigRefusal, DataRefusal, counted, some
from histoblend.execution.preflight import DOWNLOAD, RANDOM, backbone_of, starting_weights, weights_name
from histoblend.execution.sources import sha256_of
from histoblend.kaggle.assets.manifest import Asset
from histoblend.models.weights import keras_home
from histoblend.models.weights_file import file_shapes
from histoblend.workspace import kaggle_root


@dataclass(frozen=True)
class Collected:
    """What there is to send.

    Attributes:
        missing: names of weights files that are to be fetched first, with the experiments that need them.
        notes: what the user should be told.
    """

    assets: list[Asset] = field(default_factory=list)
    missing: dict[str, list[Experiment]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def slide_map_asset(
    named: Path | None, plan: Plan, environment: Mapping[str, str], input_folder: Path
) -> Asset | None:
    """The slide map that was named, or that of the plan, or that beside the data; None where there is none.

    Raises:
        ConfigRefusal: the one that was named is no file; DataRefusal: it is malformed.
    """
    asked = named or plan.folds.slide_map
    if asked is not None and not asked.expanduser().is_file():
        raise ConfigRefusal(
            f"There is no slide map {asked}.", "a CSV file with the columns id,wsi", "mend the path."
        )
    path = asked.expanduser() if asked is not None else _beside_data(environment, input_folder)
    if path is None:
        return None
    check_sent_files([path])
    slides = read_slide_map(path)
    name = (
        path.name if path.name in SLIDE_MAPS else SLIDE_MAPS[0]
    )  # the name under which a session looks for it
    note = f"{slides.nunique():,} slides of {len(slides):,} patches"
    return Asset("slide map", name, path.stat().st_size, sha256_of(path), path, note=note)


def _beside_data(environment: Mapping[str, str], input_folder: Path) -> Path | None:
    folders = [input_folder]
    located = locate(None, environment, input_folder)
    if located is not None:
        folders = [located.root, located.root.parent, input_folder]
    places = [folder / name for name in SLIDE_MAPS for folder in folders]
    return next((place for place in places if place.is_file()), None)


def weights_assets(experiments: list[Experiment], side: int, environment: Mapping[str, str]) -> Collected:
    """The files of pretrained weights that the experiments start from, each once, under Keras's own names.

    Raises:
        ConfigRefusal: an experiment names a file that is not there.
        MachineRefusal: weights are nowhere and cannot be fetched; names all of them, and where they can be put.
    """
    found = starting_weights(experiments, side)
    users: dict[str, list[Experiment]] = {}
    paths: dict[str, Path] = {}
    collected = Collected()
    for experiment in experiments:
        where = found[experiment.name]
        if where == RANDOM:
            continue
        name = weights_name(experiment, side)
        if where == DOWNLOAD:
            collected.missing.setdefault(name, []).append(experiment)
        elif Path(where).name != name:
            collected.notes.append(
                f"{experiment.name} starts from {where}: no file of Keras's, so it is not sent. A session has it only "
                "where network.weights names a path under /kaggle/input."
            )
        else:
            users.setdefault(name, []).append(experiment)
            paths[name] = Path(where)
    check_weights_names(paths.values(), kaggle_root(environment) / "input")
    collected.assets.extend(_weights(paths[name], users[name]) for name in sorted(paths))
    return collected


def fetched_weights(missing: Mapping[str, list[Experiment]], side: int) -> list[Asset]:
    """Fetch weights by way of Keras, which holds them against its own hashes.

    Raises:
        MachineRefusal: a fetch failed.
    """
    from histoblend.models.backbones import fetch_weights  # TensorFlow is loaded here and not before

    assets = []
    for name, experiments in missing.items():
        fetch_weights(backbone_of(experiments[0]), experiments[0].input_size or side)
        assets.append(_weights(keras_home() / "models" / name, experiments))
    return assets


def _weights(path: Path, experiments: list[Experiment]) -> Asset:
    names = [experiment.name for experiment in experiments]
    file_shapes(path, backbone_of(experiments[0]))  # a web page or half a file is no weights
    return Asset("weights", path.name, path.stat().st_size, sha256_of(path), path, note=some(names, 3))


def check_any(assets: list[Asset]) -> None:
    """Refuse to make an empty dataset.

    Raises:
        DataRefusal: there is nothing to send.
    """
    if not assets:
        raise DataRefusal(
            "There is nothing to send: no slide map was found, the plan needs no pretrained weights, and --output "
            "names no earlier run.",
            "at least one file",
            "name --slide-map, another --plan or --output; a session of this plan needs no assets else.",
        )
    if empty := [asset.name for asset in assets if asset.size == 0]:
        raise DataRefusal(
            f"{counted(len(empty), 'file')} would be empty: {some(empty)}.", "files with content"
        )
