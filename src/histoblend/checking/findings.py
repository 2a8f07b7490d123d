"""What the doctor finds, and how a diagnosis is made: one function and one row each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

Severity = Literal["wrong", "warning"]
SEVERITIES: tuple[Severity, ...] = ("wrong", "warning")

Subject = TypeVar("Subject")


@dataclass(frozen=True)
class Finding:
    """One thing about a submission.

    Attributes:
        key: what it is, in a word or two.
        severity: ``wrong``: it would be refused or score wrongly; ``warning``: it would not.
        found: what is there, with numbers.
        remedy: what to do.
    """

    key: str
    severity: Severity
    found: str
    remedy: str


@dataclass(frozen=True)
class Diagnosis(Generic[Subject]):
    """A row of a table of diagnoses; `look` says what it found, or nothing; `remedy` may hang on what is there."""

    key: str
    severity: Severity
    look: Callable[[Subject], str | None]
    remedy: str | Callable[[Subject], str]

    def advice(self, subject: Subject) -> str:
        """What to do about it."""
        return self.remedy if isinstance(self.remedy, str) else self.remedy(subject)


def diagnosed(diagnoses: Sequence[Diagnosis[Subject]], subject: Subject) -> list[Finding]:
    """The findings of those diagnoses that hold, in their order."""
    looked = ((one, one.look(subject)) for one in diagnoses)
    return [Finding(one.key, one.severity, found, one.advice(subject)) for one, found in looked if found]


def worst_first(findings: Iterable[Finding]) -> list[Finding]:
    """What is wrong before what is a warning; otherwise as they came."""
    return sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))
