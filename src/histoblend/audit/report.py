"""An audit for people: a table for the terminal, tables for files, contact sheets of what was found."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from rich import box
from rich.table import Table

from histoblend.audit.findings import Finding, Part
from histoblend.data.blank import KINDS as BLANK_KINDS
from histoblend.data.handling import CONVERTED
from histoblend.data.stain import UInt8Array
from histoblend.reporting.contact_sheet import GAP, contact_sheet, outline_centre

WIDE = 100  # columns of the printed table
SHOWN_IDS = 2
STYLES = {"wrong": "bold red", "odd": "yellow", "note": ""}
MARKS = {"wrong": "!!", "odd": "!", "note": ""}

LABELS_IN_DOUBT = ("label suspects", "conflicting labels", "near duplicates, other label")
AT_THE_DOOR = "faults at the door"
LOOKED_FOR: dict[str, tuple[str, ...]] = {
    AT_THE_DOOR: ("at the door",),
    "unreadable files": ("unreadable",),
    "files to convert": CONVERTED,
    "other sizes": ("other size",),
    "other suffixes": ("other suffix",),
    "blank patches": BLANK_KINDS,
    "exact duplicates": ("exact duplicates",),
    "conflicting labels": ("conflicting labels",),
    "near duplicates": ("near duplicates",),
    "colour outliers": ("colour outliers",),
    "label suspects": ("label suspects",),
    "classes of each fold and slide": ("fold balance",),
}
"""What an audit looks for, and the kinds that say it was found."""

SHEET_COLUMNS = 8
SHEET_ROWS = 2  # of each kind
KINDS_A_PAGE = 6
SHOWN_SIDE = 192  # pixels of a patch on a sheet
ID_DIGITS = 8
FRAME = 170  # grey level

Look = Callable[[str, str], tuple[UInt8Array, str] | None]
"""Picture (side, side, 3) and label name of a patch, by part and id; None for one whose file cannot be read."""


def printed_audit(findings: Sequence[Finding], title: str) -> Table:
    """One row a finding, within 100 columns: kind, part, how many, what training does, first ids or the sentence."""
    table = Table(
        title=title,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        caption="!! wrong: mend it or know it before a score is believed; ! odd: look at it; else a fact",
        caption_justify="left",
        width=WIDE,
    )
    for heading, justify in (("", "left"), ("kind", "left"), ("part", "left"), ("count", "right")):
        table.add_column(heading, justify=justify, no_wrap=heading in ("", "count"))  # type: ignore[arg-type]
    table.add_column("training", no_wrap=True)
    table.add_column("what", ratio=1, overflow="fold")
    for finding in findings:
        table.add_row(
            MARKS[finding.severity],
            finding.kind,
            finding.part,
            f"{finding.count:,}",
            finding.training,
            _what(finding),
            style=STYLES[finding.severity],
        )
    return table


def closing(findings: Sequence[Finding], not_looked: Mapping[str, str]) -> list[str]:
    """How grave it is, what was looked for in vain, and what was not looked for.

    Args:
        not_looked: reasons by key of `LOOKED_FOR`; one that some of was found of all the same is not named.
    """
    counts = Counter(finding.severity for finding in findings)
    found = {finding.kind for finding in findings if finding.count}
    missing = [name for name, kinds in LOOKED_FOR.items() if not found & set(kinds)]
    absent = [name for name in missing if name not in not_looked]
    sentences = [f"{counts['wrong']} wrong, {counts['odd']} odd, {counts['note']} facts."]
    if absent:
        sentences.append(f"Looked for and not found: {', '.join(absent)}.")
    for reason in dict.fromkeys(not_looked.values()):
        names = [name for name in missing if not_looked.get(name) == reason]
        sentences += [f"Not looked for: {', '.join(names)}: {reason}."] if names else []
    return sentences


def _what(finding: Finding) -> str:
    """The first ids, shortened as on the sheets, under the sentence."""
    names = [short_id(name) for name in finding.ids[:SHOWN_IDS]]
    first = f"\n{', '.join(names)}{', ...' if finding.count > len(names) else ''}" if names else ""
    return finding.sentence + first


def short_id(name: str) -> str:
    """The first digits of a long hash; of a path its last part; anything else as it is."""
    last = name.rpartition("/")[2]
    return last[:ID_DIGITS] if re.fullmatch(r"[0-9a-f]{32,}", last) else last


def findings_table(findings: Sequence[Finding]) -> pd.DataFrame:
    """id,part,kind,detail (str) of every patch concerned, kind by kind, the most telling first."""
    tables = [finding.patches.assign(kind=finding.kind) for finding in findings if len(finding.patches)]
    everything = pd.concat(tables) if tables else pd.DataFrame(columns=["id", "part", "kind", "detail"])
    return everything[["id", "part", "kind", "detail"]].reset_index(drop=True)


def findings_record(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """The findings as plain data, every id included."""
    return [
        {
            "kind": finding.kind,
            "severity": finding.severity,
            "part": finding.part,
            "count": finding.count,
            "sentence": finding.sentence,
            "training": finding.training,
            "ids": finding.ids,
            "values": finding.values,
        }
        for finding in findings
    ]


def audit_sheets(
    findings: Sequence[Finding], look: Look, label_centre: int | None = None
) -> list[UInt8Array]:
    """Pages of contact sheets uint8 RGB, six kinds a page: the first patches of each kind, sets side by side.

    Args:
        look: finds a patch; what it does not find is left out.
        label_centre: side in pixels of the centre square that the label is about: outlined where labels are in
            doubt; None where it is about the whole patch.
    """
    centres = [label_centre if finding.kind in LABELS_IN_DOUBT else None for finding in findings]
    shown = (_strip(finding, look, centre) for finding, centre in zip(findings, centres, strict=True))
    strips = [strip for strip in shown if strip is not None]
    pages = [strips[start : start + KINDS_A_PAGE] for start in range(0, len(strips), KINDS_A_PAGE)]
    return [_stacked(page) for page in pages]


def looker(parts: Sequence[Part], classes: Sequence[str]) -> Look:
    """Finds the patches of `parts` by part and id."""
    places = {part.name: {name: row for row, name in enumerate(part.ids)} for part in parts}
    by_name = {part.name: part for part in parts}

    def look(part: str, name: str) -> tuple[UInt8Array, str] | None:
        row = places.get(part, {}).get(name)
        if row is None:
            return None
        table = by_name[part].table
        label = classes[int(table["label"].iloc[row])] if "label" in table else "no label"
        return np.asarray(by_name[part].images[row]), label

    return look


def _strip(finding: Finding, look: Look, centre: int | None) -> UInt8Array | None:
    """Title and patches of one kind; None where there is nothing to show."""
    tiles, captions = [], []
    across = SHEET_COLUMNS // 2 if finding.in_sets else SHEET_COLUMNS
    for members in _shown(finding):
        seen = [look(str(member["part"]), str(member["id"])) for member in members]
        if None in seen:  # no picture could be read
            continue
        pictures = [patch[0] for patch in seen if patch]
        tiles.append(_side_by_side([outline_centre(one, centre) if centre else one for one in pictures]))
        captions.append(_caption(members, [patch[1] for patch in seen if patch]))
        if len(tiles) == across * SHEET_ROWS:
            break
    if not tiles:
        return None
    scale = max(1, round(SHOWN_SIDE / tiles[0].shape[0]))
    unit = f"{finding.values['sets']:,} sets" if finding.in_sets else f"{finding.count:,}"
    more = f", {len(tiles)} shown" if len(tiles) < (finding.values.get("sets") or finding.count) else ""
    title = f"{finding.kind}, {finding.part}: {unit}{more}"
    return contact_sheet(tiles, across, captions, title, scale)


def _shown(finding: Finding) -> list[list[dict[str, Any]]]:
    """What stands together on the sheet: two of each set, of train and of test where it has both; else one by one."""
    if not finding.in_sets:
        return [[member] for member in finding.patches.to_dict("records")]
    pairs = []
    for _, rows in finding.patches.groupby("set", sort=False):
        first, *others = rows.to_dict("records")
        others.sort(key=lambda member: member["part"] == first["part"])
        pairs.append([first, others[0]])
    return pairs


def _side_by_side(pictures: Sequence[UInt8Array]) -> UInt8Array:
    """Pictures of one size in a row, each in a grey frame: white ones would not be seen on white paper."""
    edges = ((1, 1), (1, 1), (0, 0))
    return np.hstack([np.pad(picture, edges, constant_values=FRAME) for picture in pictures])


def _caption(members: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> str:
    """Ids and labels in one line, what was found in the next, in ASCII: the letters there are."""
    names = [
        f"{member['part']} {short_id(member['id'])} ({label})"
        for member, label in zip(members, labels, strict=True)
    ]
    detail = re.sub(r"\b[0-9a-f]{40}\b", lambda name: short_id(name[0]), members[0]["detail"])
    text = " | ".join(names) + "\n" + detail
    return text.encode("ascii", "replace").decode()


def _stacked(strips: Sequence[UInt8Array]) -> UInt8Array:
    """Strips under each other, white to the right of the narrower ones."""
    width = max(strip.shape[1] for strip in strips)
    padded = [
        np.pad(strip, ((0, 2 * GAP), (0, width - strip.shape[1]), (0, 0)), constant_values=255)
        for strip in strips
    ]
    return np.vstack(padded)
