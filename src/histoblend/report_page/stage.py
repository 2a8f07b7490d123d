"""The report as a command: an output folder in, one HTML page out; nothing but the page is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from histoblend.artifacts.artifacts import Artifacts
from histoblend.artifacts.opening import opened_output
from histoblend.artifacts.pixels import NoPixels, Pixels, find_pixels
from histoblend.artifacts.reading import read_artifacts
from histoblend.competition.contract import labelled_centre
from histoblend.errors import MachineRefusal
from histoblend.report_page.contents import report_page
from histoblend.report_page.contents_patches import Shown
from histoblend.report_page.explaining import explanation
from histoblend.report_page.gallery import Chosen, confidently_wrong, gallery, hard_for_all, judged
from histoblend.report_page.render import render
from histoblend.reporting.progress import Display
from histoblend.workspace import Workspace, write_text

LARGEST = 5_000_000  # bytes of the page
PATCHES = 8  # of each gallery


@dataclass(frozen=True)
class ReportRequest:
    """What the user typed; `data`: where the patches are, `to`: the page."""

    output: Path | None = None
    data: Path | None = None
    to: Path | None = None


def write_report(request: ReportRequest, display: Display, environment: Mapping[str, str]) -> Path:
    """Write one self-contained page about everything in the output folder.

    Returns:
        Its path.

    Raises:
        ArtifactRefusal: no run was made there, or an artifact is damaged; names file and row or key.
        MachineRefusal: the page cannot be written.
    """
    workspace = opened_output(request.output, environment)
    artifacts = read_artifacts(workspace)
    for note in artifacts.notes:
        display.tell(note)
    shown = _shown(artifacts, request.data, environment)
    html = render(report_page(artifacts, shown))
    if len(html.encode()) > LARGEST:
        display.warn("The page would be larger than 5 MB with its patches, so they are left out.")
        html = render(report_page(artifacts, _without_pictures(shown)))
    path = _page(request, workspace)
    display.tell(
        f"Writing one page of {len(html.encode()) / 1e6:.1f} MB that opens from disk without a network."
    )
    try:
        write_text(path, html)
    except MachineRefusal as refusal:
        remedy = f"write it elsewhere: ./run.sh report --output {workspace.folder} --to FILE."
        raise MachineRefusal(refusal.found, "a place this user may write to, with room", remedy) from refusal
    return path


def _page(request: ReportRequest, workspace: Workspace) -> Path:
    """Where the page goes: the file that was named, or index.html in the folder that was."""
    if request.to is None:
        return workspace.report
    return request.to / workspace.report.name if request.to.is_dir() else request.to


def _shown(artifacts: Artifacts, data: Path | None, environment: Mapping[str, str]) -> Shown:
    """Everything that takes pixels; a sentence in place of what there is none of."""
    lead = artifacts.lead
    if lead is None:
        reason = "No fold is finished yet, so no patch has been predicted."
        return Shown((), reason, (), reason)
    found = find_pixels(artifacts.workspace, artifacts.run, artifacts.folds["id"], data, environment)
    if isinstance(found, NoPixels):
        return Shown((), found.reason, (), found.reason)
    chosen = _chosen(artifacts)
    centre = labelled_centre(artifacts.classes, artifacts.run.side)
    galleries = [gallery(one, found.take(list(one.rows["id"])), artifacts.classes, centre) for one in chosen]
    maps = explanation(artifacts, found, centre)
    return Shown(tuple(galleries), _about(artifacts, chosen, found, centre), maps.galleries, maps.words)


def _chosen(artifacts: Artifacts) -> list[Chosen]:
    lead = artifacts.lead
    assert lead is not None
    rows = judged(lead.table, artifacts.folds)
    wrong = confidently_wrong(rows, artifacts.classes, PATCHES)
    seen = {name for one in wrong for name in one.rows["id"]}
    alone = [one for one in artifacts.complete if one.metrics.kind != "blend"]
    everyone = {one.name: judged(one.table, artifacts.folds) for one in alone}
    return [*wrong, *(hard_for_all(everyone, rows, seen, PATCHES) if lead.metrics.complete else [])]


def _about(artifacts: Artifacts, chosen: list[Chosen], pixels: Pixels, centre: int | None) -> str:
    lead = artifacts.lead
    assert lead is not None
    if not chosen:
        return f"{lead.name} called every patch right, so there is nothing to show."
    outline = (
        " The label is about the outlined centre."
        if labelled_centre(artifacts.classes, artifacts.run.side)
        else ""
    )
    ranks = (
        " Its probabilities come from ranks: take them as an order."
        if lead.weights is not None and "rank" in lead.weights.rule
        else ""
    )
    called = (
        ", the most probable class being the call"
        if artifacts.several
        else f", {artifacts.classes[1]} being called above .5"
    )
    return (
        f"Patches that {lead.name} called wrong, by its out-of-fold probability{called}: networks that never saw "
        f"them spoke.{ranks}{outline} Wrong with confidence means either that something is to be learned "
        "from them or that the label is wrong. Below each: its label, what was called, the first digits of "
        f"its id. Pixels from {pixels.source}."
    )


def _without_pictures(shown: Shown) -> Shown:
    reason = "Left out: with its patches the page would be larger than 5 MB."
    return replace(shown, galleries=(), about=reason, explained=(), explanation=reason)
