"""All diagnoses of a file at once: a fault that can be seen through does not hide the next."""

from __future__ import annotations

from dataclasses import dataclass, replace

from histoblend.checking import about_agreement, about_file, about_form, about_ids, about_values
from histoblend.checking.agreement import Agreement, compared
from histoblend.checking.content import Content
from histoblend.checking.findings import Finding, diagnosed, worst_first
from histoblend.checking.form import Form, Reference
from histoblend.checking.ids import read_ids
from histoblend.checking.sheet import Sheet, sheet_of
from histoblend.checking.values import read_values


@dataclass(frozen=True)
class Examination:
    """What came out.

    Attributes:
        findings: the worst first.
        rows: lines that hold an id and a value.
        agreement: with the model it was held against; None where it could not be compared.
    """

    findings: list[Finding]
    rows: int = 0
    agreement: Agreement | None = None

    @property
    def ready(self) -> bool:
        """Whether nothing wrong was found."""
        return all(finding.severity != "wrong" for finding in self.findings)


def examine(content: Content, form: Form, reference: Reference | None) -> Examination:
    """Every diagnosis that what stands in the file allows."""
    findings = diagnosed(about_file.DIAGNOSES, content)
    if content.text is None:
        return Examination(findings)
    sheet = sheet_of(content.text, form)
    findings += diagnosed(about_form.DIAGNOSES, sheet)
    if sheet.id_column is None or sheet.value_column is None or not sheet.rows:
        return Examination(worst_first(findings))
    rest = _of_rows(sheet, form, reference)
    return Examination(worst_first(findings + rest.findings), rest.rows, rest.agreement)


def _of_rows(sheet: Sheet, form: Form, reference: Reference | None) -> Examination:
    """Ids, values, and both against the model."""
    ids = read_ids(sheet.column(sheet.id_column), form.ids)
    values = read_values(ids.meant, sheet.column(sheet.value_column), form.classes)
    agreement = compared(values, reference, form) if reference is not None else None
    known = replace(ids, training=form.training, vouched=about_agreement.vouched(agreement))
    findings = diagnosed(about_ids.DIAGNOSES, known)
    findings += diagnosed(about_values.OF_NAMES if form.classes else about_values.OF_NUMBERS, values)
    if agreement is not None:
        findings += diagnosed(about_agreement.DIAGNOSES, agreement)
    return Examination(findings, len(sheet.rows), agreement)
