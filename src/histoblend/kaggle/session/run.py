"""A session on Kaggle after the package is there: go on from the earlier output, run the plan, say how it stands."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from histoblend.config_files import configs_folder, plan_experiments
from histoblend.data.pack import pack
from histoblend.errors import some
from histoblend.execution.device import processor_count
from histoblend.kaggle.session.earlier import Earlier, Ground, choose_earlier
from histoblend.kaggle.session.packing import gather, note_session
from histoblend.kaggle.session.stored import FOLDER, StoredOutput, find_stored
from histoblend.pipeline import run
from histoblend.preparation import Request, chosen
from histoblend.reporting.progress import Display
from histoblend.workspace import PARTIAL, Workspace, kaggle_root, scratch_folder, write_json


@dataclass(frozen=True)
class SessionRequest:
    """What the script carries for its run."""

    plan: str
    settings: tuple[str, ...] = ()


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
        go_on(asked, workspace, display, environment)
    run(asked, display, environment)


def go_on(asked: Request, workspace: Workspace, display: Display, environment: Mapping[str, str]) -> None:
    """Copy the furthest output of the same run among the inputs into the working folder, if there is one."""
    mounts = kaggle_root(environment) / "input"
    found = find_stored(mounts) if mounts.is_dir() else []
    if not found:
        display.tell(f"No earlier output among the inputs ({mounts}): this session starts anew.")
        return
    display.tell(f"Earlier outputs among the inputs: {some([one.place for one in found])}.")
    ground = ground_of(asked, workspace, display, environment)
    earlier = choose_earlier(found, ground, display) if ground else None
    if earlier is None:
        display.warn("None of them is of this run: this session starts anew.")
        return
    take_over(earlier, workspace)
    display.tell(f"Going on from {earlier.stored.place}: {earlier.sentence}.")
    if earlier.changed:
        display.warn(
            f"Its {some(earlier.changed)} had other settings: left out, trained anew. They stay in the earlier "
            "version's output on Kaggle, and nowhere else."
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


def take_over(earlier: Earlier, workspace: Workspace) -> None:
    """Copy an earlier output to where this session works; a copy that is cut is no output."""
    temporary = workspace.folder.with_name(f"{PARTIAL}-{FOLDER}")
    shutil.rmtree(temporary, ignore_errors=True)
    earlier.stored.copy(temporary, earlier.keeps)
    write_json(
        Workspace(temporary).earlier_output, provenance(earlier.stored) | {"finished": earlier.finished}
    )
    shutil.rmtree(workspace.folder, ignore_errors=True)  # empty: a run's record would have been gone on with
    temporary.replace(workspace.folder)


def provenance(stored: StoredOutput) -> dict[str, Any]:
    """What is kept of where an earlier output came from."""
    said = stored.record.get("archive") or {}
    about = {
        key: stored.record[key] for key in ("plan", "settings", "package", "started") if key in stored.record
    }
    where = {"kind": "earlier output", "path": str(stored.archive or stored.loose)}
    return {**where, "sha256": said.get("sha256"), "bytes": said.get("bytes"), "session": about}
