"""What the last run in an output folder chose to submit, and what lies there to be submitted."""

from __future__ import annotations

from dataclasses import dataclass

from histoblend.artifacts.forms import BlendAudit, RunNote, read_form
from histoblend.workspace import Workspace, file_hash


@dataclass(frozen=True)
class Chosen:
    """The blend that the last run put on top.

    Attributes:
        name: of the blend; `reason`: why, in words.
    """

    name: str
    reason: str


def chosen_blend(workspace: Workspace) -> Chosen | None:
    """The blend whose submission the last run put on top; None where no run has blended.

    Raises:
        ArtifactRefusal: what the run noted is damaged.
    """
    if not workspace.run_record.exists():
        return None
    run = read_form(workspace.run_record, RunNote)
    path = workspace.blend_audit(run.plan_name)
    if not path.exists():
        return None
    audit = read_form(path, BlendAudit)
    return Chosen(audit.blend(audit.chosen), audit.reason)


def told_of_submission(workspace: Workspace, chosen: Chosen) -> str:
    """What submission.csv is, in a sentence; the file is compared with the blend's own, byte by byte."""
    why = f" ({chosen.reason})"
    own = workspace.ensemble(chosen.name).submission
    if not workspace.submission.exists() or not own.exists():
        return f"> chosen by the last run: {chosen.name}{why}."
    if file_hash(workspace.submission) == file_hash(own):
        return f"> submission.csv: {chosen.name}{why}."
    return f"> chosen by the last run: {chosen.name}{why}; but submission.csv is not its file."
