"""`kernel pull`: output and log of a session, fetched into kernels/VERSION and unpacked into an ordinary output folder.

What is fetched lies in kernels/.partial-VERSION until everything is there; typed again, the command goes on with it.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from histoblend.config_kaggle import load_kaggle_settings
from histoblend.errors import ArtifactRefusal, ServiceRefusal, counted
from histoblend.kaggle.connection import Connection, connect
from histoblend.kaggle.failures import CallFailure
from histoblend.kaggle.kernel.before import holds_output
from histoblend.kaggle.kernel.log import log_text
from histoblend.kaggle.kernel.outcome import has_failed, session_of, tell_outcome
from histoblend.kaggle.kernel.progress import in_words, is_under_way
from histoblend.kaggle.kernel.records import (
    FRESH_SECONDS,
    Pulled,
    now,
    pulled_file,
    pushed_within,
    read_pulled,
    read_pushes,
)
from histoblend.kaggle.kernel.request import PullRequest, workspace_of
from histoblend.kaggle.kernel.status import no_kernel
from histoblend.kaggle.kernels import Kernel, Look, SessionOutput, fetch, look
from histoblend.kaggle.session import unpacked_output
from histoblend.kaggle.session.stored import ARCHIVE, FOLDER, find_stored
from histoblend.reporting.progress import Display
from histoblend.workspace import PARTIAL, Workspace, storage_errors, write_json, write_text

PULLED = ("session", "kept", "output")
LISTED_POLLS = 4
"""Looks at a session that has ended before it counts as one that left nothing."""
EXPIRED = (400, 401, 403, 404, 410)
"""What a storage answers to an address that has served its time."""


def pull_kernel(request: PullRequest, display: Display, environment: Mapping[str, str]) -> None:
    """Fetch output and log of the kernel's last session, whatever became of it, and say what is there.

    Raises:
        ServiceRefusal: there is no such kernel, its session has not ended or has failed (what it left is fetched all
            the same), or a download does not get on.
        ArtifactRefusal: what was fetched is damaged.
    """
    connection = connect(environment, display)
    kernel = Kernel(connection.username(), load_kaggle_settings(environment).kernel.slug)
    workspace = workspace_of(request.output, environment)
    if pushed_within(read_pushes(workspace, kernel), FRESH_SECONDS):
        raise ServiceRefusal(
            f"{kernel.ref} was pushed less than {FRESH_SECONDS / 60:.0f} minutes ago: Kaggle may still show the output "
            "of the session before.",
            "a push that is older",
            "`histoblend kernel watch` waits for the end of the new session and then pulls.",
        )
    pull_output(connection, kernel, look(connection, kernel, *PULLED), workspace, display)


def pull_output(
    connection: Connection, kernel: Kernel, found: Look, workspace: Workspace, display: Display
) -> None:
    """Fetch what a session that has ended left behind, unless it is there already, and say what it is.

    Args:
        found: with all of `PULLED`.

    Raises:
        ServiceRefusal, ArtifactRefusal: as `pull_kernel`.
    """
    if found.session is None:
        raise no_kernel(kernel)
    if is_under_way(found.session):
        raise ServiceRefusal(
            f"{kernel.ref} {in_words(found.session)}: there is nothing to fetch yet.",
            "a session that has ended",
            "`histoblend kernel watch` waits for its end and then pulls.",
        )
    version = version_of(found, kernel, workspace)
    folder = workspace.kernels / str(version)
    if not is_there(folder, kernel):
        with storage_errors(folder):
            staging = folder.with_name(f"{PARTIAL}-{kernel.slug}-{version}")
            staging.mkdir(parents=True, exist_ok=True)
            fetch_all(connection, kernel, listed_output(connection, kernel, found), staging, display)
            check_of_push(staging, version, kernel, workspace)
            session = found.session
            record = Pulled(kernel.ref, version, session.state, session.failure, now(), sizes(staging))
            put_in_place(staging, folder, record)
    display.tell(f"Version {version} of {kernel.ref}: {folder}")
    tell_outcome(folder, kernel, found.session, display)
    if found.session.state == "error" or has_failed(folder):
        raise ServiceRefusal(
            f"Version {version} of {kernel.ref} failed; all that it left is in {folder}.",
            "a session that ends well, or pauses",
            "see the end of its log above; mend the reason before the next `histoblend kernel push`.",
        )


def listed_output(connection: Connection, kernel: Kernel, found: Look) -> SessionOutput:
    """Files and log of a session that has ended: Kaggle may list them only some time after the end."""
    output = found.output or SessionOutput({}, "")
    for _ in range(LISTED_POLLS):
        if holds_output(output.files):
            break
        time.sleep(connection.patience.poll_seconds)
        output = look(connection, kernel, "output").output or output
    return output


def check_of_push(staging: Path, version: int, kernel: Kernel, workspace: Workspace) -> None:
    """Refuse the output of another session than the one this version was pushed as.

    Raises:
        ServiceRefusal: its session.json names another package; what was fetched is thrown away.
    """
    pushes = [one for one in read_pushes(workspace, kernel) if one.version == version]
    carried = str(session_of(staging).get("package", ""))
    if pushes and carried and pushes[-1].fingerprint not in carried:
        shutil.rmtree(staging)
        raise ServiceRefusal(
            f"Kaggle lists the output of another push as version {version} of {kernel.ref}: its session carried "
            f"{carried}, and {pushes[-1].fingerprint} was pushed.",
            "the output of the session that was pushed",
            f"pull again in a few minutes; look at {kernel.address} if it stays so.",
        )


def version_of(found: Look, kernel: Kernel, workspace: Workspace) -> int:
    """The last session's version, as Kaggle says, or else as the last push from here noted it.

    Raises:
        ServiceRefusal: neither is known.
    """
    if found.kept is not None and found.kept.version is not None:
        return found.kept.version
    if pushes := read_pushes(workspace, kernel):
        return pushes[-1].version
    raise ServiceRefusal(
        f"Kaggle does not say which version of {kernel.ref} ran last, and {workspace.kernels} notes no push of it.",
        "the version, which names the folder",
        "name the output folder that the kernel was pushed from with --output.",
    )


def is_there(folder: Path, kernel: Kernel) -> bool:
    """Whether this version was pulled before, and held something.

    Raises:
        ArtifactRefusal: the folder holds something else.
    """
    if not folder.exists():
        return False
    pulled = read_pulled(folder)
    if pulled is not None and pulled.kernel == kernel.ref:
        return not pulled.is_empty
    held = f"version {pulled.version} of {pulled.kernel}" if pulled else "no output that was pulled"
    raise ArtifactRefusal(
        f"{folder} holds {held}.",
        f"nothing, or this version of {kernel.ref}",
        "name another folder with --output.",
    )


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
            "see `histoblend kernel logs`.",
        ) from refusal
