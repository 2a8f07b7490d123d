"""The page's colours, each with a value for light and for dark, and the marks that go with them.

The series are Okabe and Ito's (Color Universal Design, 2008), darkened or lightened until each stands at least 3:1
against its paper; text colours stand at least 4.5:1. A series never differs by colour alone: it has a dash and a
marker of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

COLOURS: dict[str, tuple[str, str]] = {  # name of the CSS variable -> light, dark
    "paper": ("#fcfbf8", "#17191b"),
    "raised": ("#f3f1ea", "#212427"),
    "ink": ("#1c1e20", "#e6e4de"),
    "muted": ("#5a5f64", "#a7abaf"),
    "rule": ("#d8d5cc", "#3a3e42"),
    "link": ("#00598c", "#7cc0ee"),
    "alarm": ("#9c2f00", "#ff9d6b"),
    "alarm-paper": ("#fbeadf", "#3a2117"),
    "series1": ("#0072b2", "#56b4e9"),
    "series2": ("#c44f00", "#f28c4a"),
    "series3": ("#007f5f", "#2fc29a"),
    "series4": ("#a84d86", "#dd97c0"),
    "series5": ("#8a6700", "#e3c54a"),
    "series6": ("#4b57b8", "#9aa5f5"),
}
DASHES: tuple[Any, ...] = (
    "-",
    (0, (6, 2)),
    (0, (2, 1.5)),
    (0, (7, 2, 1.5, 2)),
    (0, (10, 3)),
    (0, (4, 1, 1, 1, 1, 1)),
)
MARKERS = "osD^vP"


@dataclass(frozen=True)
class Mark:
    """How a series is told from the others."""

    colour: str
    dash: Any
    marker: str


def placeholder(name: str) -> str:
    """The colour that stands for the CSS variable `name` while matplotlib draws."""
    return f"#a1b2{list(COLOURS).index(name):02x}"


def mark(number: int) -> Mark:
    """The mark of a series; after the sixth, colours come again with the next dash and marker."""
    count = len(DASHES)
    shift = (number + number // count) % count
    return Mark(placeholder(f"series{number % count + 1}"), DASHES[shift], MARKERS[shift])


def stylesheet() -> str:
    """The colours as CSS: light, dark where the reader's system or the page's button asks for it, light on paper."""
    light, dark = ("".join(f"--{name}:{pair[side]};" for name, pair in COLOURS.items()) for side in (0, 1))
    light, dark = f"color-scheme:light;{light}", f"color-scheme:dark;{dark}"
    return "\n".join(
        [
            f":root{{{light}}}",
            f"@media (prefers-color-scheme:dark){{:root{{{dark}}}}}",
            f':root[data-theme="light"]{{{light}}}',
            f':root[data-theme="dark"]{{{dark}}}',
            f"@media print{{:root,:root[data-theme]{{{light}}}}}",
        ]
    )
