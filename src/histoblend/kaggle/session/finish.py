"""The end of a session on Kaggle: what it hands back is packed, and session.json says how it stands."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from histoblend.config_files import configs_folder, load_plan, plan_experiments
from histoblend.errors import Refusal, counted, some
from histoblend.kaggle.session.packing import note_session, pack_output, put_on_top, session_record
from histoblend.kaggle.session.stored import FOLDER, stored_in
from histoblend.kaggle.session.taking_over import hand_on
from histoblend.reporting.progress import Display
from histoblend.workspace import PARTIAL, Workspace, kaggle_root, read_json


def finish_session(code: int, display: Display, environment: Mapping[str, str]) -> int:
    """Pack what there is and say how the session stands; the exit code for Kaggle.

    That is 0 where finished tasks are handed back, even if the run failed: whether Kaggle mounts the output of a
    version that failed is documented nowhere, and the next session needs it. session.json says that it failed. Where
    somebody sits at the notebook there is no version, and the code stays.

    Args:
        code: exit code of the run.

    Raises:
        MachineRefusal: the disk is full; nothing is lost.
    """
    root = kaggle_root(environment)
    working = root / "working"
    for cut in working.glob(f"{PARTIAL}*"):  # a copy that was not completed; Kaggle would keep it
        shutil.rmtree(cut) if cut.is_dir() else cut.unlink()
    hand_on(working, root / "input", display)
    record = session_record(working)
    record = note_session(working, {"exit_code": code, **standing(working, record, code, environment)})
    put_on_top(working)
    about = pack_output(working)
    if left := record.get("left"):
        display.tell(f"Left for further sessions: {counted(len(left), 'task')} ({some(left)}).")
    packed = (
        f"{about['files']:,} files, {about['bytes'] / 2**20:,.1f} MiB in {about['name']}"
        if about
        else "nothing"
    )
    display.tell(
        f"Session {record['state']}. Handed back: {packed}; beside it {some(sorted(beside(working)), 8)}."
    )
    stored = stored_in(working)
    interactive = environment.get("KAGGLE_KERNEL_RUN_TYPE") == "Interactive"
    if interactive or not (code and stored and stored.finished):
        return code
    display.warn(
        f"THE RUN FAILED with exit code {code}: the lines above say why. This version counts as complete on Kaggle all "
        f"the same, so that the next session finds its {counted(len(stored.finished), 'finished task')}."
    )
    return 0


def beside(working: Path) -> list[str]:
    """Names of what lies at the top of the working folder."""
    return [one.name for one in working.iterdir()]


def standing(
    working: Path, record: Mapping[str, Any], code: int, environment: Mapping[str, str]
) -> dict[str, Any]:
    """``finished``, ``paused`` or ``failed``, and the tasks that are left."""
    try:
        left = unfinished(working, record, environment)
    except Refusal:
        left = None  # the plan itself was refused: the run has said why
    state = "failed" if code else "paused" if left else "finished"
    return {"state": state, "left": left, **projection(Workspace(working / FOLDER))}


def projection(workspace: Workspace) -> dict[str, Any]:
    """What a paused run has written of the sessions to go; None for each where it has written nothing."""
    said = read_json(workspace.paused) if workspace.paused.exists() else {}
    return {key: said.get(key) for key in ("budget", "sessions_to_go", "seconds_left")}


def unfinished(working: Path, record: Mapping[str, Any], environment: Mapping[str, str]) -> list[str]:
    """Names of the plan's tasks that have no done.json."""
    configs = configs_folder(environment)
    plan = load_plan(str(record.get("plan")), configs, record.get("settings", ()))
    experiments = plan_experiments(plan, configs)
    stored = stored_in(working)  # packed where a cell that is run again stopped at once
    names = stored.names if stored else set()
    tasks = [(one.name, fold) for one in experiments for fold in range(plan.folds.count)]
    return [
        f"{name} fold {fold}"
        for name, fold in tasks
        if f"experiments/{name}/fold_{fold}/done.json" not in names
    ]
