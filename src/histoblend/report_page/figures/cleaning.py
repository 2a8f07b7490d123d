"""matplotlib's SVG made fit for the page: its colours, its font, words for those who cannot see, and small."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from histoblend.report_page.figures.palette import COLOURS, placeholder

NUMBER = re.compile(r"-?\d+\.\d+")


def cleaned(text: str, title: str, alternative: str, size: tuple[float, float]) -> str:
    """matplotlib's SVG as an element of HTML.

    Args:
        text: the SVG as matplotlib writes it.
        title: a few words, for those who hear the page; `alternative`: what the drawing shows, for them.
        size: width and height in CSS pixels.
    """
    drawn = ElementTree.fromstring(text)
    for element in drawn.iter():
        element.tag = element.tag.rpartition("}")[2]
        element.attrib = {name.rpartition("}")[2]: value for name, value in element.attrib.items()}
        _restyled(element)
    _without_idle_ids(drawn)
    place = {"viewBox": f"0 0 {size[0]:g} {size[1]:g}", "width": f"{size[0]:g}", "height": f"{size[1]:g}"}
    root = ElementTree.Element("svg", place | {"role": "img", "aria-labelledby": "title desc"})
    for tag, words in (("title", title), ("desc", alternative)):
        ElementTree.SubElement(root, tag, {"id": tag}).text = words
    for child in drawn:
        root.extend(_flat(child))
    return ElementTree.tostring(root, encoding="unicode")


def _restyled(element: ElementTree.Element) -> None:
    """Placeholder colours become CSS variables, coordinates shorter; the font is the page's."""
    for name, value in element.attrib.items():
        for colour in COLOURS:
            value = value.replace(placeholder(colour), f"var(--{colour})")
        element.attrib[name] = (
            value if name in ("id", "href", "clip-path") else " ".join(_rounded(value).split())
        )
    if element.attrib.get("transform", "").startswith(("rotate(0 ", "rotate(-0 ")):
        del element.attrib["transform"]
    if "style" in element.attrib:
        element.attrib["style"] = _style(element.attrib["style"])


def _rounded(value: str) -> str:
    return NUMBER.sub(lambda match: f"{float(match[0]):.2f}".rstrip("0").rstrip("."), value)


def _style(text: str) -> str:
    """A style without font family and defaults; matplotlib spells the font in one piece or in several."""
    rules = dict(part.strip().split(": ", 1) for part in text.split(";") if ":" in part)
    rules.pop("font-family", None)
    if "font" in rules:
        words = rules.pop("font").split("px")[0].split()
        rules |= {"font-size": f"{words[-1]}px"} | ({"font-weight": words[0]} if len(words) > 1 else {})
    return ";".join(f"{name}:{value}" for name, value in rules.items())


def _without_idle_ids(root: ElementTree.Element) -> None:
    """Drop the ids that nothing refers to."""
    used = {
        found
        for element in root.iter()
        for name, value in element.attrib.items()
        if name != "id"
        for found in re.findall(r"#([^)]+)", value)
    }
    for element in root.iter():
        if element.attrib.get("id") not in used:
            element.attrib.pop("id", None)


def _flat(element: ElementTree.Element) -> list[ElementTree.Element]:
    """The element, or its children where it is a group that says nothing; without what draws nothing."""
    children = [grandchild for child in element for grandchild in _flat(child)]
    words = (element.text or "").strip()
    idle = element.tag == "path" and element.attrib.get("style") == "fill:none" and "id" not in element.attrib
    if element.tag in ("metadata", "style") or idle or (not children and element.tag in ("g", "defs")):
        return []
    if element.tag == "g" and not element.attrib:
        return children
    kept = ElementTree.Element(element.tag, element.attrib)
    kept.text = words or None
    kept.extend(children)
    return [kept]
