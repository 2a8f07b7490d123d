"""A Page as HTML: one file without a single outside reference."""

from __future__ import annotations

import base64
import hashlib
import re
from importlib.resources import files

from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup

from histoblend.report_page.blocks import Block, Cell, Column, FigureBlock, Page, Picture, TableBlock
from histoblend.report_page.figures.palette import stylesheet

SMALLEST = 156  # CSS pixels: four side by side beside the contents, two on a phone of 360
IDENTITY = re.compile(r'(\bid="|href="#|url\(#)([^")]+)')
LABELLED = re.compile(r'aria-labelledby="([^"]+)"')


def render(page: Page) -> str:
    """The whole page as HTML text (UTF-8); opens from disk, asks the network for nothing."""
    script = _template("script.js")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, loader=_loader()
    )
    environment.filters |= {
        "drawing": _drawing,
        "encoded": _encoded,
        "shown_size": shown_size,
        "key": sort_key,
        "row_head": row_head,
        "breakable": _breakable,
    }
    return environment.get_template("page.html").render(
        page=page,
        sections=_numbered(page),
        style=Markup(stylesheet() + "\n" + _template("style.css")),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def sort_key(cell: Cell, column: Column) -> str | None:
    """What a cell is sorted by where that is not its text: a number, or nothing where a number is missing."""
    if cell.value is not None:
        return "" if cell.value != cell.value else repr(float(cell.value))
    if not column.numeric:
        return None
    try:
        return repr(float(cell.text.replace(",", "").replace("−", "-").rstrip("%")))
    except ValueError:
        return ""


def row_head(block: TableBlock) -> int:
    """The number of the column that names a row: the first that holds no numbers."""
    return next((number for number, column in enumerate(block.columns) if not column.numeric), 0)


def shown_size(picture: Picture) -> tuple[int, int]:
    """Width and height in CSS pixels: those in the PNG's header, small ones enlarged."""
    width, height = (int.from_bytes(picture.png[start : start + 4], "big") for start in (16, 20))
    scale = max(1.0, SMALLEST / width)
    return round(width * scale), round(height * scale)


def _numbered(page: Page) -> list[tuple[str, str, list[tuple[str, str, Block]]]]:
    """Key and title of each section, and its blocks: kind, an id no other block has, the block."""
    return [
        (
            section.key,
            section.title,
            [
                (type(block).__name__, f"{section.key}-{number}", block)
                for number, block in enumerate(section.blocks, 1)
            ],
        )
        for section in page.sections
    ]


def _drawing(block: FigureBlock, key: str, narrow: bool = False) -> Markup:
    """The SVG with ids that no other drawing of the page has."""
    prefix = f"{key}-{'n' if narrow else 'w'}-"
    text = IDENTITY.sub(rf"\g<1>{prefix}\g<2>", block.narrow if narrow else block.svg)
    return Markup(LABELLED.sub(lambda match: _labelled(match[1], prefix), text))


def _labelled(names: str, prefix: str) -> str:
    return f'aria-labelledby="{" ".join(prefix + name for name in names.split())}"'


def _encoded(picture: Picture) -> str:
    return f"data:image/png;base64,{base64.b64encode(picture.png).decode()}"


def _breakable(text: str) -> Markup:
    """The text with places where a long name may break."""
    return Markup("_<wbr>").join(text.split("_"))


def _loader() -> DictLoader:
    return DictLoader({name: _template(name) for name in ("page.html", "blocks.html")})


def _template(name: str) -> str:
    return files("histoblend.report_page").joinpath("template", name).read_text(encoding="utf-8")
