"""A session on Kaggle after the package is there: go on from the earlier output, run the plan, say how it stands."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from histoblend.config_files import configs_folder, plan_experiments
from histoblend.data.pack import pack
from histoblend.errors import ArtifactRefusal, some
from histoblend.execution.device import processor_count
from histoblend.kaggle.session.earlier import Ground, choose_earlier
from histoblend.kaggle.session.packing import gather, note_session
from histoblend.kaggle.session.stored import FOLDER, find_stored
from histoblend.kaggle.session.taking_over import take_over
from histoblend.pipeline import run
from histoblend.preparation import Request, chosen
from histoblend.reporting.progress import Display
from histoblend.workspace import Workspace, kaggle_root, scratch_folder


@dataclass(frozen=True)
class SessionRequest:
    """What the script carries for its run.

    Attributes:
        expects_earlier: `kernel push` knew of an earlier output: without it nothing is trained.
        anew: finished tasks of other settings, folds or data may be left behind, and none need be there.
    """

    plan: str
    settings: tuple[str, ...] = ()
    expects_earlier: bool = False
    anew: bool = False


def run_session(request: SessionRequest, display: Display, environment: Mapping[str, str]) -> None:
    """Go on from what is there, and run the plan as far as its budget allows.

    Raises:
        Refusal: something stands in the way; what is finished is kept in the working folder.
    """
    working = kaggle_root(environment) / "working"
    workspace = Workspace(working / FOLDER)
    note_session(
        working,
        {
            "plan": request.plan,
            "settings": list(request.settings),
            "package": environment.get("HISTOBLEND_CARRIED", ""),
            "started": time.strftime("%Y-%m-%d %H:%M:%S"),
            "state": "running",
        },
    )
    asked = Request(request.plan, None, workspace.folder, settings=request.settings)
    gather(working)
    if workspace.run_record.exists():
        display.tell(
            f"Going on with what lies in {workspace.folder}; earlier outputs among the inputs are not looked at."
        )
    else:
        go_on(request, asked, workspace, display, environment)
    run(asked, display, environment)


def go_on(
    request: SessionRequest,
    asked: Request,
    workspace: Workspace,
    display: Display,
    environment: Mapping[str, str],
) -> None:
    """Copy the furthest output of the same run among the inputs into the working folder, if there is one.

    Raises:
        ArtifactRefusal: there is none although there should be, or finished tasks would be left behind.
    """
    mounts = kaggle_root(environment) / "input"
    found = find_stored(mounts) if mounts.is_dir() else []
    if found:
        display.tell(f"Earlier outputs among the inputs: {some([one.place for one in found])}.")
        ground = ground_of(asked, workspace, display, environment)
        if ground is None:
            return
        if earlier := choose_earlier(found, ground, display, request.anew):
            take_over(earlier, workspace)
            display.tell(f"Going on from {earlier.stored.place}: {earlier.sentence}.")
            return
    if request.expects_earlier and not request.anew:
        raise _nothing_to_go_on_with(mounts)
    display.tell(f"No earlier output of this run among the inputs ({mounts}): this session starts anew.")


def _nothing_to_go_on_with(mounts: Path) -> ArtifactRefusal:
    return ArtifactRefusal(
        f"No output among the inputs ({mounts}) can be gone on with, and this session was sent to go on with one: to "
        "start anew would spend GPU hours on the same work twice.",
        "the output of the kernel's last session",
        "fetch an earlier version's output (`./run.sh kernel pull`, or from Kaggle's page) and mount it: `histoblend "
        "assets push --output FOLDER`, such as output/kernels/1, then `./run.sh kernel push`. To start anew: "
        "`./run.sh kernel push --anew`.",
    )


def ground_of(
    asked: Request, workspace: Workspace, display: Display, environment: Mapping[str, str]
) -> Ground | None:
    """What this session works on, its patches decoded; None where no data is found, which the run then says."""
    configs = configs_folder(environment)
    plan, source = chosen(asked, configs, environment, display)
    if source is None:
        return None
    with display.counting("Decoding patches") as count:
        scratch = scratch_folder(workspace, environment)
        packed = pack(source.competition, scratch, processor_count(), count, plan.data)
    return Ground(plan, plan_experiments(plan, configs), source.competition, packed.fingerprint)
