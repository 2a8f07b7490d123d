"""What has an owner and a name on Kaggle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Named:
    """Its owner and its name in the address; `section` is the part of the site that it belongs to."""

    owner: str
    slug: str
    section: ClassVar[str]

    @property
    def ref(self) -> str:
        """``owner/slug``, as Kaggle writes it."""
        return f"{self.owner}/{self.slug}"

    @property
    def address(self) -> str:
        """Its page."""
        return f"https://www.kaggle.com/{self.section}/{self.ref}"
