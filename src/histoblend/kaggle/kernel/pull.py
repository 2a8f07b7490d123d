"""`kernel pull`: output and log of a session, fetched into kernels/VERSION and unpacked into an ordinary output folder.

What is fetched lies in kernels/.partial-VERSION until everything is there; typed again, the command goes on with it.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from pathlib import Path

import filelock

from histoblend.config_kaggle import load_kaggle_settings
from histoblend.errors import ArtifactRefusal, ServiceRefusal
from histoblend.kaggle.connection import Connection, connect
from histoblend.kaggle.kernel.before import holds_output
from histoblend.kaggle.kernel.fetching import fetch_all, put_in_place, sizes
from histoblend.kaggle.kernel.outcome import has_failed, session_of, tell_outcome
from histoblend.kaggle.kernel.progress import in_words, is_under_way
from histoblend.kaggle.kernel.records import (
    FRESH_SECONDS,
    Pulled,
    now,
    pushed_within,
    read_pulled,
    read_pushes,
)
from histoblend.kaggle.kernel.request import PullRequest, workspace_of
from histoblend.kaggle.kernel.status import no_kernel
from histoblend.kaggle.kernels import Kernel, Look, SessionOutput, look
from histoblend.reporting.progress import Display
from histoblend.workspace import PARTIAL, Workspace, storage_errors

PULLED = ("session", "kept", "output")
LISTED_POLLS = 4
"""Looks at a session that has ended before it counts as one that left nothing."""


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
            "`./run.sh kernel watch` waits for the end of the new session and then pulls.",
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
            "`./run.sh kernel watch` waits for its end and then pulls.",
        )
    version = version_of(found, kernel, workspace)
    folder = workspace.kernels / str(version)
    with storage_errors(folder):
        workspace.kernels.mkdir(parents=True, exist_ok=True)
        # a watch and a pull of the same version: the later one waits, and finds it there
        with filelock.FileLock(workspace.kernels / f".lock-{kernel.slug}"):
            if not is_there(folder, kernel):
                fetch_version(connection, kernel, (version, found), workspace, display)
    display.tell(f"Version {version} of {kernel.ref}: {folder}")
    tell_outcome(folder, kernel, found.session, display)
    if found.session.state == "error" or has_failed(folder):
        raise ServiceRefusal(
            f"Version {version} of {kernel.ref} failed; all that it left is in {folder}.",
            "a session that ends well, or pauses",
            "see the end of its log above; mend the reason before the next `./run.sh kernel push`.",
        )


def fetch_version(
    connection: Connection,
    kernel: Kernel,
    version_and_look: tuple[int, Look],
    workspace: Workspace,
    display: Display,
) -> None:
    """Fetch what the session left into kernels/VERSION.

    Raises:
        ServiceRefusal, ArtifactRefusal: as `pull_kernel`.
    """
    version, found = version_and_look
    session = found.session
    assert session is not None
    folder = workspace.kernels / str(version)
    staging = folder.with_name(f"{PARTIAL}-{kernel.slug}-{version}")
    staging.mkdir(parents=True, exist_ok=True)
    fetch_all(connection, kernel, listed_output(connection, kernel, found), staging, display)
    check_of_push(staging, version, kernel, workspace)
    record = Pulled(kernel.ref, version, session.state, session.failure, now(), sizes(staging))
    put_in_place(staging, folder, record)


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
