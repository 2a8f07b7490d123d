"""Files of a session's output fetched one by one, and made an ordinary output folder: all of it or nothing."""

from __future__ import annotations

import shutil
from pathlib import Path, PurePosixPath

from histoblend.errors import ArtifactRefusal, ServiceRefusal, counted
from histoblend.kaggle.connection import Connection
from histoblend.kaggle.failures import CallFailure
from histoblend.kaggle.kernel.log import log_text
from histoblend.kaggle.kernel.records import Pulled, pulled_file
from histoblend.kaggle.kernels import Kernel, SessionOutput, fetch, look
from histoblend.kaggle.session import unpacked_output
from histoblend.kaggle.session.stored import ARCHIVE, FOLDER, find_stored
from histoblend.reporting.progress import Display
from histoblend.workspace import write_json, write_text

EXPIRED = (400, 401, 403, 404, 410)
"""What a storage answers to an address that has served its time."""


def fetch_all(
    connection: Connection, kernel: Kernel, output: SessionOutput, staging: Path, display: Display
) -> None:
    """Fetch every file and the log into `staging`; what is there already is not fetched again."""
    places = {name: place_of(name, staging) for name in output.files}
    missing = [name for name, path in places.items() if not path.exists()]
    here = len(places) - len(missing)
    display.tell(
        f"{counted(len(places), 'file')} of output" + (f", {here:,} of them here already." if here else ".")
    )
    for name in missing:
        places[name].parent.mkdir(parents=True, exist_ok=True)
        with display.counting(f"{name}, bytes") as count:
            try:
                fetch(connection, output.files[name], places[name], count)
            except CallFailure as failure:
                if failure.status not in EXPIRED:
                    raise
                listed = look(connection, kernel, "output").output or output
                fetch(connection, listed.files.get(name, output.files[name]), places[name], count)
    if output.log:
        write_text(staging / f"{kernel.slug}.log", log_text(output.log))


def place_of(name: str, staging: Path) -> Path:
    """Where the file called `name` is put.

    Raises:
        ServiceRefusal: its name leads out of the folder.
    """
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts or "\\" in name:
        raise ServiceRefusal(
            f"Kaggle lists a file of output called {name!r}.",
            "a name inside the output folder",
            "fetch what you need on the kernel's page.",
        )
    return staging / path


def sizes(staging: Path) -> dict[str, int]:
    """Bytes of each fetched file by its name."""
    files = sorted(path for path in staging.rglob("*") if path.is_file())
    return {path.relative_to(staging).as_posix(): path.stat().st_size for path in files}


def put_in_place(staging: Path, folder: Path, record: Pulled) -> None:
    """Make `folder` of what was fetched, unpacked: all of it or nothing.

    Raises:
        ArtifactRefusal: an archive is damaged.
    """
    whole = staging
    if find_stored(staging):
        whole = staging.with_name(f"{staging.name}-unpacked")
        shutil.rmtree(whole, ignore_errors=True)
        unpacked(staging, whole)
        for entry in staging.iterdir():
            if entry.name not in (ARCHIVE, FOLDER) and not (whole / entry.name).exists():
                entry.replace(whole / entry.name)
    write_json(pulled_file(whole), vars(record))
    shutil.rmtree(folder, ignore_errors=True)  # a pull that held nothing
    whole.replace(folder)
    if whole != staging:
        shutil.rmtree(staging)


def unpacked(staging: Path, to: Path) -> None:
    """Unpack what was fetched.

    Raises:
        ArtifactRefusal: it is damaged; says how to fetch it anew.
    """
    try:
        unpacked_output(staging, to)
    except ArtifactRefusal as refusal:
        raise ArtifactRefusal(
            refusal.found,
            refusal.expected,
            f"delete {staging} and pull again. If it is the same then, the session itself did not finish packing: "
            "see `./run.sh kernel logs`.",
        ) from refusal
