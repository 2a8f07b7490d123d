"""What the page is made of: plain data between those who read artifacts and those who draw."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Words:
    """A paragraph of plain text; `tone` is ``plain``, ``verdict`` (set apart) or ``warning``."""

    text: str
    tone: str = "plain"


@dataclass(frozen=True)
class Column:
    """A column of a table: its heading, whether its cells are numbers, and what it means (a tooltip)."""

    heading: str
    numeric: bool = False
    meaning: str = ""


@dataclass(frozen=True)
class Cell:
    """What a cell shows, and the number by which it is sorted where the shown text does not sort."""

    text: str
    value: float | None = None


@dataclass(frozen=True)
class TableBlock:
    """A table whose columns can be sorted; `marked` are the numbers of rows to set apart."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    marked: tuple[int, ...] = ()


@dataclass(frozen=True)
class FigureBlock:
    """A drawing: SVG text, what it shows for those who cannot see it, and a caption below.

    `narrow` is the same drawn for a phone (SVG text); where it is empty, a phone shows `svg` made smaller.
    """

    svg: str
    alternative: str
    caption: str
    narrow: str = ""


@dataclass(frozen=True)
class Picture:
    """A patch: PNG bytes, what it shows for those who cannot see it, and lines below it."""

    png: bytes
    alternative: str
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class GalleryBlock:
    """Patches side by side."""

    caption: str
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class CodeBlock:
    """Commands or settings, in a fixed-width font, with a button that copies them."""

    text: str
    caption: str = ""


Block = Words | TableBlock | FigureBlock | GalleryBlock | CodeBlock


@dataclass(frozen=True)
class Section:
    """A part of the page with its place in the table of contents; `key` is its anchor."""

    key: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Page:
    """The whole page; `synthetic` is said on top and beside every score's heading."""

    title: str
    subtitle: str
    synthetic: bool
    sections: tuple[Section, ...] = field(default_factory=tuple)
