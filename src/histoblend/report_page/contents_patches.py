"""Patches worth looking at, and where a network looked."""

from __future__ import annotations

from dataclasses import dataclass

from histoblend.artifacts.artifacts import Artifacts
from histoblend.report_page.blocks import Block, GalleryBlock, Section, Words


@dataclass(frozen=True)
class Shown:
    """What was made of pixels.

    Attributes:
        galleries: patches called wrong; `about`: what they are, or why there are none.
        explained: patches with their maps; `explanation`: of which network, or why there are none.
    """

    galleries: tuple[GalleryBlock, ...]
    about: str
    explained: tuple[GalleryBlock, ...]
    explanation: str


def patches_section(artifacts: Artifacts, shown: Shown) -> Section:
    """The galleries of the leading predictions."""
    blocks: list[Block] = [Words(shown.about), *shown.galleries]
    if shown.galleries and artifacts.policy != "map":
        blocks.append(
            Words(
                "No slide map was given: the slide named below a patch is a group made here, not a slide's "
                "name."
            )
        )
    return Section("patches", "Hardest patches", tuple(blocks))


def explained_section(shown: Shown) -> Section:
    """Grad-CAM."""
    return Section(
        "grad-cam", "Where a network looked (Grad-CAM)", (Words(shown.explanation), *shown.explained)
    )
