"""`kernel push`: package and configs as one script, sent to Kaggle, started, and verified as taken."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from histoblend import __version__
from histoblend.config_files import configs_folder, load_plan
from histoblend.config_kaggle import KernelSettings, load_kaggle_settings
from histoblend.errors import ConfigRefusal, ServiceRefusal
from histoblend.kaggle.connection import Connection, connect
from histoblend.kaggle.failures import CallFailure
from histoblend.kaggle.kernel.before import Before, known_before
from histoblend.kaggle.kernel.continuing import Asked
from histoblend.kaggle.kernel.metadata import METADATA, SCRIPT, kernel_metadata, untold
from histoblend.kaggle.kernel.mounting import assets_of, chosen_sources
from histoblend.kaggle.kernel.parcel import Parcel, fingerprint_of, introduce
from histoblend.kaggle.kernel.progress import LONGEST_HOURS, in_words, is_doubtful, is_under_way
from histoblend.kaggle.kernel.records import Push, note_push, now, pushed_within
from histoblend.kaggle.kernel.replies import check_kept, check_sources, refused_call, taken_version
from histoblend.kaggle.kernel.request import PullRequest, PushRequest, workspace_of
from histoblend.kaggle.kernel.watch import follow
from histoblend.kaggle.kernels import Description, Kernel, Look, Reply, look, send
from histoblend.kaggle.session import script_text
from histoblend.kaggle.session_limit import within_limit
from histoblend.reporting.progress import Display
from histoblend.workspace import storage_errors


def push_kernel(request: PushRequest, display: Display, environment: Mapping[str, str]) -> None:
    """Send plan, package and configs to Kaggle, check that they were taken as meant, and note the version.

    Raises:
        ConfigRefusal: plan, experiment or setting cannot be used, or would not go on with what is finished; nothing
            was sent then.
        ServiceRefusal: Kaggle refused, took it otherwise than meant, or a session is under way.
    """
    settings = load_kaggle_settings(environment)
    check_public(settings.kernel, request.public)
    plan, configs = request.plan or settings.kernel.plan, configs_folder(environment)
    script = script_text(plan, request.settings, configs, anew=request.anew)
    within_limit(load_plan(plan, configs, request.settings), display.tell)
    connection = connect(environment, display)
    kernel = Kernel(connection.username(), settings.kernel.slug)
    workspace = workspace_of(request.output, environment)
    before = known_before(connection, kernel, assets_of(kernel, settings), workspace)
    if request.to is None:
        refuse_second_session(before, kernel, display)
    asked = Asked(plan, request.settings, configs, fingerprint_of(script), request.anew)
    sources, goes_on = chosen_sources(before, kernel, settings, asked, display)
    if goes_on:
        script = script_text(plan, request.settings, configs, goes_on=True)
    parcel = Parcel(plan, request.settings, script, kernel_metadata(kernel, settings.kernel, sources))
    introduce(parcel, display)
    if request.to is not None:
        parcel.write(request.to)
        display.tell(f"Written, nothing sent: {request.to / SCRIPT} and {request.to / METADATA}.")
        return
    with storage_errors(workspace.kernels):
        workspace.kernels.mkdir(
            parents=True, exist_ok=True
        )  # before a session starts that could not be noted
    reply = sent(connection, kernel, parcel, before.kernel, display)
    version = taken_version(reply, kernel)
    noted = Push(kernel.ref, version, now(), plan, request.settings, __version__, asked.fingerprint)
    note_push(workspace, noted)
    verify(connection, kernel, parcel, reply, display)
    display.tell(f"Version {version} of {kernel.ref} has started: {kernel.address}")
    if request.watch:
        follow(PullRequest(request.output), connection, kernel, display, environment)
    else:
        display.tell("Follow it and fetch what comes out: ./run.sh kernel watch")


def check_public(settings: KernelSettings, agreed: bool) -> None:
    """Refuse to show the package and every config to everybody, unless that was `agreed` to.

    Raises:
        ConfigRefusal: kernel.private is false, and --public was not given.
    """
    if not settings.private and not agreed:
        raise ConfigRefusal(
            "kernel.private is false: everybody would see the script, which carries the package and all of configs/.",
            "a private kernel, or --public",
            "set kernel.private: true in configs/kaggle.yaml, or add --public to the command.",
        )


def refuse_second_session(before: Before, kernel: Kernel, display: Display) -> None:
    """Refuse to push while a session is under way.

    Raises:
        ServiceRefusal: one is.
    """
    session = before.kernel.session
    if session is None or not is_under_way(session):
        return
    if is_doubtful(session) and not pushed_within(before.pushes, LONGEST_HOURS * 3600 + 1800):
        display.warn(
            f"{kernel.ref} {in_words(session)}. It is not waited for: the output folder notes no push of it in the "
            f"last {LONGEST_HOURS} hours, which is a session's length."
        )
        return
    raise ServiceRefusal(
        f"{kernel.ref} {in_words(session)}: a push would start a second session beside it, from the same point, and "
        "spend GPU hours on the same work.",
        "a kernel whose last session has ended",
        f"`./run.sh kernel watch` waits for it; to stop it, press Cancel Run on {kernel.address}.",
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
            f"look at {kernel.address} and at `./run.sh kernel status`.",
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
