"""The audit as a command: data in, a report of everything wrong or odd out; nothing of the data is changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from histoblend.audit.appearance import blank_findings, channel_finding, outlier_findings
from histoblend.audit.balance import class_finding, fold_finding, slide_finding
from histoblend.audit.copies import exact_findings, near_findings
from histoblend.audit.description import described
from histoblend.audit.files import door_findings, file_findings
from histoblend.audit.findings import Finding, Part, in_order
from histoblend.audit.label_noise import label_noise_finding
from histoblend.audit.opening import Opened, chosen_settings, open_leniently, pack_leniently, parts_of
from histoblend.audit.report import (
    AT_THE_DOOR,
    LOOKED_FOR,
    audit_sheets,
    closing,
    findings_record,
    findings_table,
    looker,
    printed_audit,
)
from histoblend.audit.run_output import RunOutput, read_run_output
from histoblend.audit.shift import shift_finding
from histoblend.competition.contract import DIGITS, Competition, labelled_centre
from histoblend.competition.door import Door
from histoblend.config_files import configs_folder
from histoblend.data.slides import read_slide_map
from histoblend.preparation import default_output
from histoblend.reporting.contact_sheet import write_png
from histoblend.reporting.progress import Display
from histoblend.workspace import Workspace, atomic_write, scratch_folder, write_csv, write_json


@dataclass(frozen=True)
class AuditRequest:
    """What the user typed."""

    data: Path | None = None
    output: Path | None = None
    plan: str | None = None


def audit(request: AuditRequest, display: Display, environment: Mapping[str, str]) -> Path:
    """Look at the data as `run` would see it and report everything wrong or odd at once.

    Returns:
        The folder of the report: ``audit.json``, ``findings.csv``, ``audit.png`` and further pages.

    Raises:
        Refusal: there is nothing that could be looked at, or the report cannot be written.
    """
    workspace, door = _workspace(request, environment), Door(lenient=True)
    settings = chosen_settings(request.plan, workspace, environment)
    source = open_leniently(request.data, settings, environment, door)
    display.tell(f"Auditing {source.competition.root} ({source.reason.rstrip('.')}).")
    opened = pack_leniently(source, settings, scratch_folder(workspace, environment), display, door)
    found = [*door_findings(opened.refusals), *file_findings(opened.odd_files, settings)]
    parts: tuple[Part, ...] = ()
    run = RunOutput()
    if opened.pack is not None:
        parts, run = parts_of(opened.pack), read_run_output(workspace, opened.pack.train)
        found += _pixel_findings(opened, parts, run, display)
    findings = in_order(found)
    folder = workspace.audit
    _write(folder, opened, findings, parts)
    display.show(printed_audit(findings, _title(opened.competition)))
    for sentence in closing(findings, _not_looked(opened, run)):
        display.tell(sentence)
    for note in opened.competition.notes:
        display.tell(f"Note: {note}")
    display.tell(f"Written: {folder}")
    return folder


def _not_looked(opened: Opened, run: RunOutput) -> dict[str, str]:
    """What could not be looked for, and why."""
    if opened.pack is None:
        return {name: "no pixel could be read" for name in LOOKED_FOR if name != AT_THE_DOOR}
    reasons = {}
    if opened.competition.layout == DIGITS:
        reasons["near duplicates"] = "8x8 pixels of unrelated digits are as alike as copies"
    if run.folds is None:
        reasons["classes of each fold and slide"] = "there are no folds of this data in the output folder"
    if not run.predictions:
        reasons["label suspects"] = "there are no out-of-fold predictions of this data in the output folder"
    return reasons


def _workspace(request: AuditRequest, environment: Mapping[str, str]) -> Workspace:
    project = configs_folder(environment).parent
    return Workspace((request.output or default_output(project, environment)).absolute())


def _pixel_findings(
    opened: Opened, parts: tuple[Part, ...], run: RunOutput, display: Display
) -> list[Finding]:
    """Everything that is seen in decoded patches."""
    train, test = parts
    competition, settings = opened.competition, opened.settings
    looks = []
    for part in parts:
        with display.counting(f"Looking at the patches of {part.name}") as count:
            looks.append((part, described(part.images, count)))
    found = [one for part, look in looks for one in blank_findings(part, look, settings)]
    found += exact_findings(train, test, settings)
    if competition.layout != DIGITS:  # eight pixels wide, unrelated digits are as alike as copies
        with display.counting("Looking for near duplicates") as count:
            found += near_findings(train, test, settings, count)
    found += outlier_findings(looks, settings)
    found += _table_findings(competition, train, run)
    found += [channel_finding(part, look, competition.layout) for part, look in looks if len(part.table)]
    folds = _folds_by_row(train, run)
    shift = shift_finding(looks[0][1].features, looks[1][1].features, folds)
    return [*found, *([shift] if shift else [])]


def _table_findings(competition: Competition, train: Part, run: RunOutput) -> list[Finding]:
    """What labels, slides, folds and predictions tell."""
    classes, labels = competition.classes, train.table["label"]
    found = [
        Finding("output folder", "wrong", "data", f"{sentence} It was left aside.", number=1)
        for sentence in run.refused
    ]
    found.append(class_finding(labels, classes))
    slides = _slides(competition, train, run)
    if slides is not None:
        found.append(slide_finding(slides, labels[slides.index], classes))
    if run.folds is not None:
        found.append(fold_finding(run.folds, classes))
    if run.folds is not None and run.predictions:
        given = run.folds["label"].to_numpy(np.int64)
        found.append(label_noise_finding(list(run.folds["id"]), given, run.predictions, classes))
    return found


def _slides(competition: Competition, train: Part, run: RunOutput) -> pd.Series | None:
    """Slide by row of the training patches whose slide is known: of the folds, the layout, or a slide map."""
    if run.folds is not None:
        known = run.folds.set_index("id")["slide"]
    elif competition.slides is not None:
        known = competition.slides
    elif competition.slide_map is not None:
        known = read_slide_map(competition.slide_map)
    else:
        return None
    slides = train.table["id"].map(known).dropna()
    return slides if len(slides) else None


def _folds_by_row(train: Part, run: RunOutput) -> NDArray[np.int64] | None:
    if run.folds is None:
        return None
    return train.table["id"].map(run.folds.set_index("id")["fold"]).fillna(-1).to_numpy(np.int64)


def _title(competition: Competition) -> str:
    synthetic = " (SYNTHETIC patches)" if competition.synthetic else ""
    return (
        f"Audit of {competition.name}{synthetic}, layout {competition.layout}: "
        f"{len(competition.train):,} training, {len(competition.test):,} test patches"
    )


def _label_centre(opened: Opened) -> int | None:
    """Side of the square that the label is about, where pixels are there and it is not about the whole patch."""
    return None if opened.pack is None else labelled_centre(opened.competition.classes, opened.pack.side)


def _write(folder: Path, opened: Opened, findings: list[Finding], parts: tuple[Part, ...]) -> None:
    """The report's files; pages of an earlier audit go."""
    competition = opened.competition
    sheets = audit_sheets(findings, looker(parts, competition.classes), _label_centre(opened))
    names = ["audit.png", *(f"audit-{number}.png" for number in range(2, len(sheets) + 1))]
    for old in folder.glob("audit*.png"):
        old.unlink()
    write_csv(folder / "findings.csv", findings_table(findings))
    for name, sheet in zip(names, sheets, strict=False):
        with atomic_write(folder / name) as temporary:
            write_png(temporary, sheet)
    record: dict[str, Any] = {
        "data": {
            "root": competition.root,
            "layout": competition.layout,
            "synthetic": competition.synthetic,
            "classes": competition.class_counts(),
            "test": len(competition.test),
            "fingerprint": opened.pack.fingerprint if opened.pack else None,
            "notes": competition.notes,
        },
        "settings": opened.settings.model_dump(mode="json"),
        "pages": names[: len(sheets)],
        "findings": findings_record(findings),
    }
    write_json(folder / "audit.json", record)
