"""An examination for people: a table of findings, and one sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich import box
from rich.table import Table

from histoblend.checking.examine import Examination
from histoblend.checking.findings import Finding
from histoblend.checking.form import Form, Reference

WIDE = 100  # columns of the printed table
IDS_BY = "--data FOLDER for the ids"
DIRECTION_BY = "--output DIR of a run (and --against NAME) for the direction"
STYLES = {"wrong": "bold red", "warning": "yellow"}


def printed_findings(findings: Sequence[Finding], width: int) -> Table:
    """One row a finding, within 100 columns: what it is, how grave, what was found and what to do."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), width=min(WIDE, width))
    table.add_column("", no_wrap=True)
    table.add_column("what", min_width=10)
    table.add_column("found", ratio=5, overflow="fold")
    table.add_column("to do", ratio=4, overflow="fold")
    for finding in findings:
        style = STYLES[finding.severity]
        table.add_row(finding.severity, finding.key, finding.found, finding.remedy, style=style)
    return table


def held_against(form: Form, reference: Reference | None, examination: Examination) -> list[str]:
    """What the file was held against, and what it could not be."""
    if form.ids is None:
        ids = f"Ids could not be checked: {form.source}."
    else:
        ids = f"Ids: the {len(form.ids):,} test ids of {form.source}."
    return [ids, _agreement(reference, examination)]


def _agreement(reference: Reference | None, examination: Examination) -> str:
    agreement = examination.agreement
    if reference is None:
        return "Direction could not be checked: there is no model to hold it against."
    if agreement is None:
        return (
            f"Direction could not be checked against {reference.name}: too few patches in common, or (nearly) all "
            "values the same."
        )
    figure = "Cohen's kappa" if agreement.named else "Spearman's rank correlation"
    return f"{figure} with {reference.name}: {agreement.value:+.3f}, over {agreement.patches:,} patches."


def verdict(form: Form, examination: Examination) -> str:
    """Ready to submit or not, in one sentence."""
    counts = Counter(finding.severity for finding in examination.findings)
    warnings = f"{counts['warning']} warning{'' if counts['warning'] == 1 else 's'}"
    if not examination.ready:
        return f"NOT ready to submit: {counts['wrong']} wrong, {warnings}."
    looked = ((form.ids, "ids", IDS_BY), (examination.agreement, "direction", DIRECTION_BY))
    unchecked = [(what, by) for known, what, by in looked if known is None]
    said = f"with {warnings}" if counts["warning"] else ""
    if not unchecked:
        return f"Ready to submit{f', {said}' if said else ''}."
    names, ways = (" and ".join(words) for words in zip(*unchecked, strict=True))
    found = f"nothing wrong was found in the rest{f', {said}' if said else ''}"
    return f"NOT fully checked: {names} could not be looked at; {found}. To do: {ways}."
