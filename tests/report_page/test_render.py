"""The page as text: escaping, no outside references, ids, words for those who cannot see."""

from __future__ import annotations

import base64
import hashlib
import re
import struct
import zlib
from html.parser import HTMLParser

import numpy as np
import pytest

from histoblend.report_page.blocks import (
    Cell,
    CodeBlock,
    Column,
    FigureBlock,
    GalleryBlock,
    Page,
    Picture,
    Section,
    TableBlock,
    Words,
)
from histoblend.report_page.figures import Curve, roc_figure
from histoblend.report_page.render import render, row_head, shown_size, sort_key

EVIL = "<b>x</b> & \"y\" 'z' </script><img src=http://evil.example/x>"
GRID = np.linspace(0, 1, 11)


def png(width: int, height: int) -> bytes:
    """A black PNG."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(b"\0" * (height * (width + 1)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def evil_page(synthetic: bool = False) -> Page:
    """Every kind of block, each of its texts as bad as can be; two equal drawings."""
    figure = roc_figure([Curve(EVIL, GRID, GRID, 0.5)])
    table = TableBlock(
        EVIL,
        (Column("rank", True), Column(EVIL, meaning=EVIL), Column("AUC", True)),
        ((Cell("1"), Cell(EVIL), Cell("0.9", 0.9)), (Cell("2"), Cell("b"), Cell("—"))),
        marked=(1,),
    )
    blocks = (
        Words(EVIL, "verdict"),
        Words(EVIL, "warning"),
        table,
        figure,
        figure,
        FigureBlock(figure.svg, EVIL, EVIL),
        GalleryBlock(EVIL, (Picture(png(96, 96), EVIL, (EVIL, "second")),)),
        CodeBlock(EVIL, EVIL),
    )
    return Page(EVIL, EVIL, synthetic, (Section("first", EVIL, blocks), Section("second", "Last", ())))


class Collected(HTMLParser):
    """Tags with their attributes, and the text outside of script and style."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.inside = tag

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""

    def handle_data(self, data: str) -> None:
        if self.inside not in ("script", "style"):
            self.text.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def html() -> str:
    return render(evil_page())


@pytest.fixture(scope="module")
def collected(html: str) -> Collected:
    return Collected(html)


def test_names_never_become_markup(html: str, collected: Collected) -> None:
    assert not collected.all("b")
    assert len(collected.all("img")) == 1  # the gallery's
    assert len(collected.all("script")) == 1
    assert html.count("</script>") == 1
    assert "".join(collected.text).count(EVIL) >= 12


def test_nothing_points_outside(html: str, collected: Collected) -> None:
    for _, attributes in collected.tags:
        for name in ("src", "href", "srcset", "action", "poster", "data", "xlink:href"):
            value = attributes.get(name)
            assert value is None or value.startswith(("#", "data:")), (name, value)
        assert not re.search(r"url\((?!#)", attributes.get("style") or "")
        assert not any(name.startswith("on") for name in attributes)
    style = html[html.index("<style>") : html.index("</style>")]
    assert "url(" not in style and "@import" not in style and "http" not in style


def test_the_policy_forbids_the_network_and_allows_this_script_only(html: str, collected: Collected) -> None:
    policy = next(one["content"] for one in collected.all("meta") if "http-equiv" in one) or ""
    assert policy.startswith("default-src 'none'; img-src data:;")
    script = html[html.index("<script>") + 8 : html.index("</script>")]
    assert f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" in policy
    assert "http" not in policy and "*" not in policy


def test_ids_are_unique_and_every_reference_has_its_end(html: str, collected: Collected) -> None:
    ids = [attributes["id"] for _, attributes in collected.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    ends = set(re.findall(r"url\(#([^)]+)\)", html)) | set(re.findall(r'href="#([^"]+)"', html))
    for _, attributes in collected.tags:
        ends |= set((attributes.get("aria-labelledby") or "").split())
    assert ends and ends <= set(ids)


def test_everything_seen_has_words(collected: Collected) -> None:
    assert all(one.get("alt") == EVIL for one in collected.all("img"))
    drawings = collected.all("svg")
    assert len(drawings) == 5 and all(one["role"] == "img" and one["aria-labelledby"] for one in drawings)
    assert len(collected.all("desc")) == 5
    assert len(collected.all("caption")) == len(collected.all("table")) == 1
    scopes = [one.get("scope") for one in collected.all("th")]
    assert scopes == ["col"] * 3 + ["row"] * 2
    headings = [tag for tag, _ in collected.tags if re.fullmatch(r"h\d", tag)]
    assert headings == ["h1", "h2", "h2"]


def test_the_contents_lead_to_every_section(collected: Collected) -> None:
    assert {"#first", "#second"} <= {one.get("href") for one in collected.all("a")}
    assert {"first", "second"} <= {one.get("id") for one in collected.all("section")}
    assert next(one for one in collected.all("a")).get("href") == "#content"


def test_synthetic_data_is_said_on_top_and_beside_every_heading(html: str) -> None:
    marked = render(evil_page(synthetic=True))
    assert "SYNTHETIC DATA" in marked[: marked.index("<style>")]  # the title
    assert marked.index("<strong>SYNTHETIC DATA</strong>") < marked.index("<h1>")
    headings = re.findall(r"<h[12].*?</h[12]>", marked)
    assert len(headings) == 3 and all("synthetic data</span>" in heading for heading in headings)
    assert "SYNTHETIC" not in html and "synthetic data<" not in html


def test_a_cell_sorts_by_its_number_or_its_text() -> None:
    number, text = Column("n", True), Column("t")
    assert sort_key(Cell("1,234"), number) == "1234.0"
    assert sort_key(Cell("−0.5"), number) == "-0.5"
    assert sort_key(Cell("12 %"), number) == "12.0"
    assert sort_key(Cell("—"), number) == sort_key(Cell("x", float("nan")), text) == ""
    assert sort_key(Cell("word"), text) is None
    assert sort_key(Cell("about 3", 3), text) == "3.0"
    assert row_head(TableBlock("", (number, text), ())) == 1
    assert row_head(TableBlock("", (number,), ())) == 0


def test_pictures_keep_their_shape() -> None:
    assert shown_size(Picture(png(96, 48), "")) == (156, 78)
    assert shown_size(Picture(png(300, 200), "")) == (300, 200)


def test_a_page_of_nothing_is_still_a_page() -> None:
    assert Collected(render(Page("Empty", "", False))).all("main")
