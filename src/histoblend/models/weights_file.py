"""A file of pretrained weights looked at from outside: is it one, is it whole, does it belong to this backbone?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from histoblend.errors import MachineRefusal, counted, some

Shape = tuple[int, ...]
SIGNATURE = b"\x89HDF\r\n\x1a\n"
PAGE_STARTS = (b"<!doctype", b"<html", b"<?xml", b"<head")


def check_weights_file(path: Path, network: str, expected: Iterable[Shape]) -> None:
    """Compare the arrays in a weights file, by shape, with those of the backbone; reads no values.

    Names are not compared: published files carry those of older Keras versions. Takes Keras's published ``.h5`` and
    ``.weights.h5``; what a training left in it beside the weights is passed over.

    Args:
        path: the file.
        network: name of the backbone, for the message.
        expected: shapes of the backbone's weights.

    Raises:
        MachineRefusal: the file is no HDF5, is cut short, has a top, or holds other arrays.
    """
    found = Counter(shape for shape in file_shapes(path, network) if shape)
    wanted = Counter(shape for shape in expected if shape)  # scalars are counters, which old files leave out
    surplus, missing = found - wanted, wanted - found
    if not surplus and not missing:
        return
    if not missing:
        raise _refused(path, network, f"has {_listed(surplus)} too many: weights with the top")
    raise _refused(path, network, f"is of another network: it lacks {_listed(missing)}{_beside(surplus)}")


def file_shapes(path: Path, network: str) -> list[Shape]:
    """Shapes of the floating-point arrays in an HDF5 file, those of an optimizer left out.

    Raises:
        MachineRefusal: the file is no HDF5, or is cut short.
    """
    import h5py

    with path.open("rb") as file:
        start = file.read(512)
    if not start.startswith(SIGNATURE):
        raise _refused(path, network, f"is {_kind(start)}, no HDF5")
    try:
        with h5py.File(path, "r") as file:
            return list(_shapes(file))
    except (OSError, RuntimeError, KeyError) as error:
        raise _refused(path, network, f"is damaged or cut short ({error})") from error


def _shapes(group: object) -> Iterator[Shape]:
    import h5py

    assert isinstance(group, h5py.Group)
    for name, member in group.items():
        if isinstance(member, h5py.Dataset):
            if member.dtype.kind == "f":
                yield tuple(member.shape)
        elif name not in ("optimizer", "optimizer_weights"):
            yield from _shapes(member)


def _kind(start: bytes) -> str:
    text = start.lstrip().lower()
    if not start:
        return "an empty file"
    return (
        "a web page (a failed download)"
        if text.startswith(PAGE_STARTS)
        else f"a file that starts {start[:8]!r}"
    )


def _listed(shapes: Counter[Shape]) -> str:
    return f"{counted(shapes.total(), 'array')} ({some(list(shapes.elements()), 3)})"


def _beside(surplus: Counter[Shape]) -> str:
    return f" and has {_listed(surplus)} too many" if surplus else ""


def _refused(path: Path, network: str, reason: str) -> MachineRefusal:
    return MachineRefusal(
        f"{path} {reason}.",
        f"the weights of {network} without its top",
        "fetch the file again, or name another one under network.weights.",
    )
