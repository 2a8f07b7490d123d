"""Patches that look unlike the others: blank ones, colour outliers; and the channels against HCD's."""

from __future__ import annotations

import numpy as np

from histoblend.audit.description import CHANNELS, IN_WORDS, Description
from histoblend.audit.findings import Finding, Part, patch_rows
from histoblend.competition.contract import HCD, PCAM
from histoblend.config import DataSettings
from histoblend.data.blank import KINDS
from histoblend.data.outliers import OUTLYING, colour_distances
from histoblend.data.stain import STATISTICS
from histoblend.errors import counted

HCD_MEAN = (0.702, 0.546, 0.696)  # of red, green and blue over HCD's 220,025 training patches, 0 to 1
HCD_SPREAD = (0.239, 0.282, 0.216)
SAID = {
    "black": "nearly black, off the scanned area or a lost picture",
    "white": "white, nothing was scanned there",
    "one colour": "of one colour",
    "hardly any contrast": "hardly any contrast, empty glass most likely",
}
FAR_FROM_HCD = 0.1  # of a channel's mean or spread


def blank_findings(part: Part, description: Description, settings: DataSettings) -> list[Finding]:
    """One finding for each kind of blank patch."""
    found = []
    for kind in KINDS:
        places = np.flatnonzero(description.blank == kind)
        if len(places):
            ordered = places[np.argsort(part.ids[places])]
            levels = np.rint(description.means * 255).astype(int)
            rows = patch_rows(
                (part.name, part.ids[place], "red, green, blue {} {} {}".format(*levels[place]), 0)
                for place in ordered
            )
            sentence = f"{counted(len(places), 'patch')} of {part.name}: {SAID[kind]}."
            training = settings.blank if part.name == "train" else "keep"
            found.append(Finding(kind, "odd", part.name, sentence, training, rows))
    return found


def outlier_findings(parts: list[tuple[Part, Description]], settings: DataSettings) -> list[Finding]:
    """Patches whose colours lie far from those of all others, of the same part; blank ones left aside."""
    found = []
    for part, description in parts:
        distances = colour_distances(description.stains, description.blank == "")
        order = [place for place in np.argsort(-distances, kind="stable") if distances[place] > OUTLYING]
        if order:
            found.append(_outlier_finding(part, description, distances, order, settings))
    return found


def _outlier_finding(
    part: Part, description: Description, distances: np.ndarray, order: list[int], settings: DataSettings
) -> Finding:
    low, middle, high = np.quantile(description.stains, [0.25, 0.5, 0.75], axis=0)
    standard = np.abs(description.stains - middle) / np.maximum(high - low, 1e-3)
    telling = standard[:, : STATISTICS.index("blue_slope") + 1].argmax(axis=1)
    return Finding(
        kind="colour outliers",
        severity="odd",
        part=part.name,
        sentence=f"{counted(len(order), 'patch')} of {part.name} lie more than {OUTLYING:.0f} times the usual "
        "distance from the patches most like them in colour: ink, pigment, the slide's edge, blood, another stain.",
        training=settings.stain_outliers if part.name == "train" else "keep",
        patches=patch_rows(
            (
                part.name,
                part.ids[place],
                f"{distances[place]:.1f} x, by {IN_WORDS[STATISTICS[telling[place]]]}",
                0,
            )
            for place in order
        ),
    )


def channel_finding(part: Part, description: Description, layout: str) -> Finding:
    """Mean and spread of each channel over all pixels, held against HCD's where the patches should be like them."""
    mean = description.means.astype(np.float64).mean(axis=0)
    spread = np.sqrt(description.squares.astype(np.float64).mean(axis=0) - mean**2)
    said = f"Mean of {', '.join(CHANNELS)} {_three(mean)}, spread {_three(spread)}"
    far = False
    if layout in (HCD, PCAM):
        far = max(np.abs(mean - HCD_MEAN).max(), np.abs(spread - HCD_SPREAD).max()) > FAR_FROM_HCD
        verdict = "far from it" if far else f"within {FAR_FROM_HCD} of it"
        said += f" (HCD's {_three(HCD_MEAN)} and {_three(HCD_SPREAD)}): {verdict}"
    return Finding(
        kind="channels",
        severity="odd" if far else "note",
        part=part.name,
        sentence=f"{said}.",
        number=len(part.table),
        values={"mean": mean.tolist(), "spread": spread.tolist()},
    )


def _three(values: object) -> str:
    return " ".join(f"{value:.3f}" for value in np.asarray(values))
