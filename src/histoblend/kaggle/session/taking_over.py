"""An earlier output becomes the one of this session: to go on with it, or to hand it on as it is.

Kaggle mounts the output of a kernel's last version and of no other. A session that stops before it has an output of
its own therefore hands the earlier one on, or the next session would find nothing.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from histoblend.errors import ArtifactRefusal, counted
from histoblend.kaggle.session.earlier import Earlier
from histoblend.kaggle.session.packing import note_session, session_record
from histoblend.kaggle.session.stored import FOLDER, StoredOutput, check_whole, find_stored, stored_in
from histoblend.reporting.progress import Display
from histoblend.workspace import PARTIAL, Workspace, write_json


def take_over(earlier: Earlier, workspace: Workspace) -> None:
    """Copy an earlier output to where this session works; a copy that is cut is no output."""
    temporary = workspace.folder.with_name(f"{PARTIAL}-{FOLDER}")
    shutil.rmtree(temporary, ignore_errors=True)
    earlier.stored.copy(temporary, earlier.keeps)
    write_json(
        Workspace(temporary).earlier_output, earlier.stored.provenance | {"finished": earlier.finished}
    )
    shutil.rmtree(workspace.folder, ignore_errors=True)  # empty: a run's record would have been gone on with
    temporary.replace(workspace.folder)


def hand_on(working: Path, mounts: Path, display: Display) -> None:
    """Where the session made no output, copy the one among the inputs that the next session is to go on with.

    Of several that of the same plan and settings, and of these the one with the most finished tasks.

    Raises:
        MachineRefusal: the disk is full.
    """
    own = stored_in(working)
    if (own is not None and own.names) or not mounts.is_dir():
        return
    asked = session_record(working)

    def nearness(stored: StoredOutput) -> tuple[bool, bool, int]:
        said = stored.provenance["session"]
        same = [said.get(key) == asked.get(key) for key in ("plan", "settings")]
        return same[0], all(same), len(stored.finished)

    candidates = [one for one in find_stored(mounts) if one.finished and _is_whole(one, display)]
    if not candidates:
        return
    best = max(candidates, key=nearness)
    note_session(working, {"handed_on": best.provenance})  # first: what a cut copy leaves is known for a copy
    take_over(Earlier(best, len(best.finished), 0), Workspace(working / FOLDER))
    display.tell(
        f"This session made no output. That of {best.place} ({counted(len(best.finished), 'finished task')}) is handed "
        "on as it is, so that the next session finds it."
    )


def _is_whole(stored: StoredOutput, display: Display) -> bool:
    try:
        check_whole(stored)
    except ArtifactRefusal as refusal:
        display.warn(f"Not handed on: {refusal.found}")
        return False
    return True
