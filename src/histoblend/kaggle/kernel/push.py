"""`kernel push`: package and configs as one script, sent to Kaggle, started, and verified as taken."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from histoblend import __version__
from histoblend.config_files import configs_folder
from histoblend.config_kaggle import load_kaggle_settings
from histoblend.errors import ServiceRefusal
from histoblend.kaggle.connection import Connection, connect
from histoblend.kaggle.failures import CallFailure
from histoblend.kaggle.kernel.metadata import METADATA, SCRIPT, kernel_metadata, untold
from histoblend.kaggle.kernel.mounting import assets_of, chosen_sources
from histoblend.kaggle.kernel.parcel import Parcel, introduce
from histoblend.kaggle.kernel.progress import in_words, is_under_way
from histoblend.kaggle.kernel.records import Push, note_push, now
from histoblend.kaggle.kernel.replies import check_kept, check_sources, refused_call, taken_version
from histoblend.kaggle.kernel.request import PullRequest, PushRequest, workspace_of
from histoblend.kaggle.kernel.watch import follow
from histoblend.kaggle.kernels import Description, Kernel, Look, Reply, look, send
from histoblend.kaggle.session import script_text
from histoblend.reporting.progress import Display
from histoblend.workspace import storage_errors


def push_kernel(request: PushRequest, display: Display, environment: Mapping[str, str]) -> None:
    """Send plan, package and configs to Kaggle, check that they were taken as meant, and note the version.

    Raises:
        ConfigRefusal: plan, experiment or setting cannot be used; nothing was sent then.
        ServiceRefusal: Kaggle refused, took it otherwise than meant, or a session is under way.
    """
    settings = load_kaggle_settings(environment)
    plan = request.plan or settings.kernel.plan
    script = script_text(plan, request.settings, configs_folder(environment))
    connection = connect(environment, display)
    kernel = Kernel(connection.username(), settings.kernel.slug)
    before = look(connection, kernel, "session", "kept", "output", dataset=assets_of(kernel, settings))
    if request.to is None:
        refuse_second_session(before, kernel)
    sources = chosen_sources(before, kernel, settings, display)
    parcel = Parcel(plan, request.settings, script, kernel_metadata(kernel, settings.kernel, sources))
    introduce(parcel, display)
    if request.to is not None:
        parcel.write(request.to)
        display.tell(f"Written, nothing sent: {request.to / SCRIPT} and {request.to / METADATA}.")
        return
    workspace = workspace_of(request.output, environment)
    with storage_errors(workspace.kernels):
        workspace.kernels.mkdir(
            parents=True, exist_ok=True
        )  # before a session starts that could not be noted
    reply = sent(connection, kernel, parcel, before, display)
    version = taken_version(reply, kernel)
    noted = Push(kernel.ref, version, now(), plan, request.settings, __version__, parcel.hash)
    note_push(workspace, noted)
    verify(connection, kernel, parcel, reply, display)
    display.tell(f"Version {version} of {kernel.ref} has started: {kernel.address}")
    if request.watch:
        follow(PullRequest(request.output), connection, kernel, display, environment)
    else:
        display.tell("Follow it and fetch what comes out: histoblend kernel watch")


def refuse_second_session(before: Look, kernel: Kernel) -> None:
    """Refuse to push while a session is under way.

    Raises:
        ServiceRefusal: one is.
    """
    if before.session is not None and is_under_way(before.session):
        raise ServiceRefusal(
            f"{kernel.ref} {in_words(before.session)}: a push would start a second session beside it, from the "
            "same point, and spend GPU hours on the same work.",
            "a kernel whose last session has ended",
            f"`histoblend kernel watch` waits for it; to stop it, press Cancel Run on {kernel.address}.",
        )


def sent(connection: Connection, kernel: Kernel, parcel: Parcel, before: Look, display: Display) -> Reply:
    """Kaggle's reply to the push; where it was lost, whether the push has arrived is seen by the script it keeps.

    Raises:
        ServiceRefusal: it failed, and nothing has arrived.
    """
    with tempfile.TemporaryDirectory(prefix="histoblend-kernel-") as folder:
        parcel.write(Path(folder))
        try:
            return send(connection, Path(folder))
        except CallFailure as failure:
            if failure.status is not None and failure.status < 500:
                raise refused_call(failure, kernel) from failure
            display.warn(f"The push had no proper answer. {failure.found} Looking whether it has arrived.")
            arrived = arrived_version(before.kept, look(connection, kernel, "kept").kept, parcel)
            if arrived is None:
                raise
    display.tell(f"It has: version {arrived}.")
    return Reply(kernel.ref, kernel.address, arrived, "", {})


def arrived_version(before: Description | None, after: Description | None, parcel: Parcel) -> int | None:
    """The version that a push without an answer made; None if it made none."""
    if after is None or after.version is None or after.script != parcel.hash:
        return None
    return after.version if before is None or after.version > (before.version or 0) else None


def verify(connection: Connection, kernel: Kernel, parcel: Parcel, reply: Reply, display: Display) -> None:
    """Compare what Kaggle keeps with what was sent.

    Raises:
        ServiceRefusal: they differ, in what a session needs or in who may see it.
    """
    check_sources(reply, kernel)
    kept = look(connection, kernel, "kept").kept
    if kept is None:
        raise ServiceRefusal(
            f"Kaggle says that version {reply.version} of {kernel.ref} was taken, but knows no such kernel.",
            "the kernel",
            f"look at {kernel.address} and at `histoblend kernel status`.",
        )
    if kept.version is not None and reply.version is not None and kept.version < reply.version:
        display.warn(
            f"Kaggle still describes version {kept.version}, so that its settings could not be compared with what "
            f"was sent. See {kernel.address}."
        )
        return
    check_kept(parcel.metadata, kept, kernel)
    if silent := untold(kept):
        display.warn(f"Kaggle does not say whether these were taken as meant: {', '.join(silent)}.")
    machine = parcel.metadata.get("machine_shape", "")
    if machine and not reply.machine_named:
        display.warn(
            f"This kaggle client does not say which machine is wanted, {machine}: Kaggle chooses. See "
            f"{kernel.address}; for the next push: pip install --upgrade kaggle."
        )
    if kept.machine and kept.machine != machine:
        display.warn(
            f"Kaggle names the machine {kept.machine!r}; asked for: {machine or 'none'!r}. See {kernel.address}."
        )
