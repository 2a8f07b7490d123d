"""Where pretrained weights come from, found out before anything is built.

Order: a folder attached to the run, the Keras cache, a download where there is internet, else a refusal.
Random weights only where the experiment says ``weights: none``.
"""

from __future__ import annotations

import functools
import os
import socket
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from histoblend.errors import ConfigRefusal, MachineRefusal
from histoblend.models.weights_file import check_weights_file
from histoblend.workspace import kaggle_root

if TYPE_CHECKING:
    import keras

DOWNLOAD: Literal["download"] = "download"
PICTURE_FOLDERS = {"train", "test"}
SERVER = ("storage.googleapis.com", 443)

_TF_KERNELS = "weights_tf_dim_ordering_tf_kernels"
FILE_NAMES: dict[str, str] = {
    "densenet121": f"densenet121_{_TF_KERNELS}_notop.h5",
    "densenet169": f"densenet169_{_TF_KERNELS}_notop.h5",
    "efficientnet_b0": "efficientnetb0_notop.h5",
    "efficientnet_b3": "efficientnetb3_notop.h5",
    "efficientnetv2_b0": "efficientnetv2-b0_notop.h5",
    "efficientnetv2_s": "efficientnetv2-s_notop.h5",
    "resnet50v2": f"resnet50v2_{_TF_KERNELS}_notop.h5",
    "resnet50": f"resnet50_{_TF_KERNELS}_notop.h5",
    "convnext_tiny": "convnext_tiny_notop.h5",
    "xception": f"xception_{_TF_KERNELS}_notop.h5",
    "mobilenet_v2": f"mobilenet_v2_{_TF_KERNELS}_1.0_{{size}}_no_top.h5",
    "mobilenet_v3_large": "weights_mobilenet_v3_large_224_1.0_float_no_top_v2.h5",
    "vgg16": f"vgg16_{_TF_KERNELS}_notop.h5",
    "nasnet_mobile": "nasnet_mobile_no_top.h5",
}
_MOBILENET_SIZES = (96, 128, 160, 192, 224)


def weights_file_name(backbone: str, input_size: int) -> str:
    """The exact name under which keras.applications publishes the weights without the top."""
    size = input_size if input_size in _MOBILENET_SIZES else 224
    return FILE_NAMES[backbone].format(size=size)


def resolve_weights(
    backbone: str,
    weights: str,
    search_folders: Sequence[Path],
    keras_home: Path,
    *,
    input_size: int = 224,
    online: bool | None = None,
) -> Path | Literal["download"] | None:
    """Find pretrained weights without building anything.

    Args:
        backbone: row of keras.applications.
        weights: ``imagenet``, ``none``, or the path of a weights file.
        search_folders: attached folders, searched with their subfolders.
        keras_home: folder whose ``models/`` is the cache of Keras; may be read-only.
        input_size: MobileNetV2 has a file for each size.
        online: whether a download is possible; None tries to reach the server.

    Returns:
        A file to load, ``"download"``, or None for random weights.

    Raises:
        ConfigRefusal: `weights` names a file that does not exist.
        MachineRefusal: the weights are nowhere and there is no internet.
    """
    if weights == "none":
        return None
    if weights != "imagenet":
        return _named_file(weights)
    name = weights_file_name(backbone, input_size)
    attached = (path for folder in search_folders for path in _occurrences(folder, name))
    for candidate in (*attached, keras_home / "models" / name):
        if candidate.is_file():
            return candidate
    if has_internet() if online is None else online:
        return DOWNLOAD
    raise _nowhere(backbone, name, [*search_folders, keras_home / "models"])


def load_weights(body: keras.Model, path: Path) -> None:
    """Load a weights file, Keras's published ``.h5`` or a ``.weights.h5``, into a backbone without its top.

    Raises:
        MachineRefusal: the file is damaged, belongs to another network, has a top, or holds values that are no numbers.
    """
    check_weights_file(path, body.name, [tuple(weight.shape) for weight in body.weights])
    try:
        body.load_weights(path)
    except (OSError, ValueError, KeyError) as error:
        raise _unusable(path, body, str(error)) from error
    for weight in body.weights:
        if not bool(np.isfinite(np.asarray(weight)).all()):
            raise _unusable(path, body, f"{weight.path} holds values that are no finite numbers")


def _unusable(path: Path, body: keras.Model, reason: str) -> MachineRefusal:
    return MachineRefusal(
        f"{path} does not load into {body.name}: {reason}",
        f"the weights of {body.name} without its top",
        "fetch the file again, or name another one under network.weights.",
    )


def attached_folders(environment: Mapping[str, str] = os.environ) -> list[Path]:
    """Folders that may hold weights: ``HISTOBLEND_WEIGHTS``, Kaggle's mounts, the project's ``input/weights``."""
    named = environment.get("HISTOBLEND_WEIGHTS", "")
    folders = [Path(part) for part in named.split(os.pathsep) if part]
    mounts = kaggle_root(environment) / "input"
    folders += [mounts / kind for kind in ("datasets", "models")]
    project = Path(
        environment.get("HISTOBLEND_CONFIGS", "configs")
    ).parent  # run.sh names it, wherever it starts
    folders += [*_flat_mounts(mounts), project / "input" / "weights"]
    return [folder for folder in folders if folder.is_dir()]


def keras_home(environment: Mapping[str, str] = os.environ) -> Path:
    """``KERAS_HOME``, else ``~/.keras``."""
    named = environment.get("KERAS_HOME")
    return Path(named).expanduser() if named else Path.home() / ".keras"


def has_internet(timeout: float = 2.0) -> bool:
    """Whether the server of the pretrained weights can be reached, in at most `timeout` seconds."""
    try:
        socket.create_connection(SERVER, timeout=timeout).close()
    except OSError:
        return False
    return True


def _flat_mounts(root: Path) -> Iterable[Path]:
    """Kaggle's older mounts ``/kaggle/input/<slug>``; the competition's 277,483 images are not walked."""
    if not root.is_dir():
        return
    for folder in sorted(root.iterdir()):
        known = folder.name in ("datasets", "models", "competitions", "notebooks")
        if folder.is_dir() and not known and not (folder / "train").is_dir():
            yield folder


def _occurrences(folder: Path, name: str) -> list[Path]:
    mounted = folder.is_relative_to(kaggle_root(os.environ) / "input")
    return sorted(path for path in (_mounted if mounted else _files)(folder) if path.name == name)


@functools.cache
def _mounted(folder: Path) -> tuple[Path, ...]:
    """The files of a mount of Kaggle's: slow to walk, and unchanged as long as a session runs."""
    return _files(folder)


def _files(folder: Path) -> tuple[Path, ...]:
    """All files that may be weights; folders of pictures are not walked."""
    found = []
    for place, folders, names in os.walk(folder):
        folders[:] = [one for one in folders if one not in PICTURE_FOLDERS]
        found += [Path(place) / name for name in names if name.endswith(".h5")]
    return tuple(found)


def _named_file(weights: str) -> Path:
    path = Path(weights).expanduser()
    if not path.is_file():
        raise ConfigRefusal(
            f"network.weights names {weights}, which is no file.",
            "imagenet, none, or the path of a weights file",
            "correct network.weights in the experiment.",
        )
    return path


def _nowhere(backbone: str, name: str, places: Sequence[Path]) -> MachineRefusal:
    searched = ", ".join(str(place) for place in places)
    return MachineRefusal(
        f"The pretrained weights of {backbone} are nowhere, and there is no internet. Searched: {searched}.",
        f"a file named {name}",
        "attach a dataset that holds it (or set HISTOBLEND_WEIGHTS to its folder), put it into the "
        "Keras cache, or say network.weights: none for random weights.",
    )
