"""The door: whether the first fault stops, or all are gathered while the readers go on with the sound rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from histoblend.errors import DataRefusal


class Door:
    """Where readers report faults.

    A strict door raises at once. A lenient one, for the audit, keeps the refusal in `refusals`; the reader then
    goes on with the rows that are sound, and raises itself where none is left.
    """

    def __init__(self, lenient: bool = False) -> None:
        self.lenient = lenient
        self.refusals: list[DataRefusal] = []

    def refuse(self, refusal: DataRefusal) -> None:
        """Raise `refusal`, or keep it if this door is lenient."""
        if not self.lenient:
            raise refusal
        self.refusals.append(refusal)

    @contextmanager
    def passing(self) -> Iterator[None]:
        """Run what is inside; a refusal it raises is kept if this door is lenient, and the rest is skipped."""
        try:
            yield
        except DataRefusal as refusal:
            self.refuse(refusal)

    def require(self, rows: int, place: object) -> None:
        """Raise, whatever the door, where no sound row is left in `place`."""
        if rows == 0:
            raise DataRefusal(
                f"Nothing sound is left in {place}. {' '.join(refusal.found for refusal in self.refusals)}",
                "at least one sound patch",
                "mend what was found.",
            )
