"""`histoblend check` from the request to what is said."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from histoblend.artifacts.opening import opened_output
from histoblend.checking.asked import asked_form, asked_reference
from histoblend.checking.content import read_content
from histoblend.checking.examine import examine
from histoblend.checking.printed import held_against, printed_findings, verdict
from histoblend.checking.request import CheckRequest
from histoblend.config_files import configs_folder
from histoblend.errors import counted
from histoblend.preparation import default_output
from histoblend.reporting.progress import Display
from histoblend.workspace import Workspace


def check_submission_file(request: CheckRequest, display: Display, environment: Mapping[str, str]) -> int:
    """Examine a submission and say what was found.

    Returns:
        The exit code: 1 where it would be refused or score wrongly, else 0.

    Raises:
        Refusal: what it should be held against, or the output folder, was named and is not there or broken.
    """
    workspace = _workspace(request.output, environment)
    form = asked_form(request, workspace, environment)
    reference = asked_reference(request.against, workspace)
    examination = examine(read_content(request.file), form, reference)
    if examination.rows:
        display.tell(f"{request.file}: {counted(examination.rows, 'row')}.")
        for sentence in held_against(form, reference, examination):
            display.tell(sentence)
    if examination.findings:
        display.show(printed_findings(examination.findings, display.console.width))
    display.tell(verdict(form, examination))
    return 0 if examination.ready else 1


def _workspace(output: Path | None, environment: Mapping[str, str]) -> Workspace:
    """The output folder that was named, which has to be one; else the default one, be it there or not."""
    if output is not None:
        return opened_output(output, environment)
    return Workspace(default_output(configs_folder(environment).parent, environment).absolute())
