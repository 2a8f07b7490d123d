"""From NAME or FILE to what is to be submitted; an experiment's submission is made from its test table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from histoblend.artifacts.forms import BlendAudit, RunNote, read_form, read_metrics
from histoblend.artifacts.opening import opened_output
from histoblend.checking.request import CheckRequest
from histoblend.config_files import configs_folder
from histoblend.errors import ArtifactRefusal, nearest
from histoblend.kaggle.submitting.entry import Entry
from histoblend.kaggle.submitting.making import made_submission, submission_bytes
from histoblend.kaggle.submitting.request import SubmitRequest
from histoblend.preparation import default_output
from histoblend.pulled import home_of, pulled_name, pulled_outputs
from histoblend.workspace import Workspace, file_hash, fingerprint, read_json, write_csv


def find_entry(request: SubmitRequest, environment: Mapping[str, str]) -> Entry:
    """What was asked for: submission.csv, a blend, an experiment (also of a pulled version), or any file.

    Raises:
        ArtifactRefusal: there is no such thing, or it is damaged.
    """
    if request.what is None:
        workspace = opened_output(request.output, environment)
        if not workspace.submission.is_file():
            raise _no_submission(workspace)
        return _of_file(workspace.submission, workspace, request, environment)
    workspace = _workspace(request.output, environment)
    inside, name = _inside(request.what, workspace)
    if (blend := inside.ensemble(name).submission).is_file():
        return _of_blend(name, blend, inside)
    if inside.experiment(name).metrics.is_file():
        return _of_experiment(name, inside, request, environment)
    for path in (Path(request.what), workspace.folder / request.what):
        if path.is_file():
            return _of_file(path.absolute(), workspace, request, environment)
    raise _nothing(request.what, workspace)


def _workspace(output: Path | None, environment: Mapping[str, str]) -> Workspace:
    """The folder that was named, which has to be one; else the default one, be it there or not."""
    if output is not None:
        return opened_output(output, environment)
    return Workspace(default_output(configs_folder(environment).parent, environment).absolute())


def _inside(what: str, workspace: Workspace) -> tuple[Workspace, str]:
    """``kernels/3: name``, as `rank` shows it: the pulled version and the name in it."""
    for pulled in pulled_outputs(workspace):
        prefix = pulled_name(pulled, "")
        if what.startswith(prefix):
            return pulled, what.removeprefix(prefix)
    return workspace, what


def _known_name(name: str, workspace: Workspace) -> str:
    """The name as the ledger has it: of a pulled version with that in front."""
    return name if home_of(workspace) == workspace else pulled_name(workspace, name)


def _of_blend(name: str, path: Path, workspace: Workspace) -> Entry:
    folder = workspace.ensemble(name)
    print_of = fingerprint(read_json(folder.weights)) if folder.weights.exists() else ""
    return Entry(
        _known_name(name, workspace),
        "blend",
        path,
        file_hash(path),
        workspace,
        read_metrics(folder.metrics),
        print_of,
    )


def _of_experiment(
    name: str, workspace: Workspace, request: SubmitRequest, environment: Mapping[str, str]
) -> Entry:
    folder = workspace.experiment(name)
    metrics = read_metrics(folder.metrics)
    if not folder.test.is_file():
        raise ArtifactRefusal(
            f"{folder.folder} has no test.csv: {name} has finished folds {metrics.folds} only.",
            "an experiment with predictions of every test patch",
            "let the same ./run.sh run command finish it.",
        )
    path = folder.folder / "submission.csv"
    write_csv(path, made_submission(folder.test, _form_request(request, workspace, path), environment))
    found = str(metrics.about.get("config_fingerprint", ""))
    return Entry(_known_name(name, workspace), metrics.kind, path, file_hash(path), workspace, metrics, found)


def _form_request(request: SubmitRequest, workspace: Workspace, path: Path) -> CheckRequest:
    return CheckRequest(path, None, request.data, workspace.folder)


def _of_file(
    path: Path, workspace: Workspace, request: SubmitRequest, environment: Mapping[str, str]
) -> Entry:
    """A file; where its bytes are those of a blend or experiment, that is what it is."""
    found = file_hash(path)
    same = [one for one in sorted(workspace.ensembles.glob("*/submission.csv")) if file_hash(one) == found]
    finals = _finals(workspace)
    for own in sorted(same, key=lambda one: one.parent.name not in finals):
        entry = _of_blend(own.parent.name, own, workspace)
        return Entry(entry.name, "blend", path, found, workspace, entry.metrics, entry.fingerprint)
    for name in finals:
        folder = workspace.experiment(name)
        if not (folder.test.is_file() and folder.metrics.is_file()):
            continue
        table = made_submission(folder.test, _form_request(request, workspace, path), environment)
        if submission_bytes(table) == path.read_bytes():
            metrics = read_metrics(folder.metrics)
            print_of = str(metrics.about.get("config_fingerprint", ""))
            return Entry(
                _known_name(name, workspace), metrics.kind, path, found, workspace, metrics, print_of
            )
    return Entry(_known_name(path.name, workspace), "file", path, found, workspace)


def _finals(workspace: Workspace) -> list[str]:
    """Names of what the last run recommended to submit."""
    if not workspace.run_record.exists():
        return []
    path = workspace.blend_audit(read_form(workspace.run_record, RunNote).plan_name)
    return [one.name for one in read_form(path, BlendAudit).finals] if path.exists() else []


def _no_submission(workspace: Workspace) -> ArtifactRefusal:
    pulled = [one for one in pulled_outputs(workspace) if one.submission.is_file()]
    remedy = (
        f"./run.sh submit --output {pulled[0].folder}, which kernel pull brought home."
        if pulled
        else "let a run finish, or name a blend, an experiment or a file."
    )
    return ArtifactRefusal(f"There is no {workspace.submission}.", "the submission of a finished run", remedy)


def _nothing(what: str, workspace: Workspace) -> ArtifactRefusal:
    names = {path.parent.name for path in workspace.folder.glob("e*/*/metrics.json")}
    for pulled in pulled_outputs(workspace):
        names |= {pulled_name(pulled, path.parent.name) for path in pulled.folder.glob("e*/*/metrics.json")}
    where = nearest(what, sorted(names)) if names else "Was it another --output?"
    return ArtifactRefusal(
        f"{what!r} is neither a file nor a blend or experiment with a score in {workspace.folder}. {where}",
        "NAME of a blend or an experiment, or a CSV FILE",
        f"./run.sh rank --output {workspace.folder} shows the names.",
    )
