"""Drawn slides: each with its own stains, strengths, optics, tissue mix and cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from histoblend.competition.synthetic.nuclei import NucleusStyle, Stamp, draw_stamps

# Optical densities (R, G, B) of hematoxylin and eosin at the two ends of what the real slides show:
# the brownish scanner and the violet one. A slide lies somewhere between them.
HEMATOXYLIN = np.array([[0.54, 0.70, 0.47], [0.59, 0.77, 0.25]])
EOSIN = np.array([[0.20, 0.78, 0.55], [0.20, 0.94, 0.27]])
GROUNDS = ("lymph", "stroma", "mixed", "fat", "edge", "reactive")
TUMOUR_SHARE_OF_SLIDES = 0.75
STAMPS_PER_KIND = 24


@dataclass(frozen=True)
class Slide:
    """One glass slide: all that its patches have in common."""

    name: str
    positive_rate: float  # share of its patches with tumour in the centre; 0 on a normal slide
    hematoxylin: np.ndarray  # (3,) optical density of one unit of hematoxylin
    eosin: np.ndarray  # (3,) optical density of one unit of eosin
    white: np.ndarray  # (3,) what empty glass looks like, 0..255
    blur: float  # standard deviation in patch pixels
    sharpening: float  # how much of the difference to a blurred picture the scanner adds
    noise: float  # standard deviation in grey levels
    quality: int  # of the JPEG the scanner stored
    ground_shares: np.ndarray  # (len(GROUNDS),) how often each kind of ground occurs
    lymphocytes: list[Stamp]
    spindles: list[Stamp]
    reactive: list[Stamp]
    tumour: list[Stamp]
    lymph_spacing: float  # canvas pixels between neighbouring lymphocytes
    nest_spacing: float  # canvas pixels between neighbouring cells of a tumour nest
    reactive_spacing: float  # the same, benign islands
    cytoplasm: tuple[float, float]  # hematoxylin and eosin between the nuclei of nests and islands


def draw_slides(count: int, part: str, seed: int) -> list[Slide]:
    """`count` slides of one part, ``train`` or ``test``; different parts never share a slide.

    About three quarters are tumour slides with different positive rates, the rest hold no tumour at all, as in
    Camelyon16: so the look of a slide tells something about its labels, to those who have seen the slide.
    """
    salt = {"train": 1, "test": 2}[part]
    tumour_slides = min(
        max(1, round(TUMOUR_SHARE_OF_SLIDES * count)), count - 1
    )  # never without a normal one
    generator = np.random.default_rng([seed, salt, 0])
    rates = generator.permutation(np.linspace(0.35, 0.72, tumour_slides))
    slides = []
    for number in range(count):
        tumour = number < tumour_slides
        name = f"synthetic_{part}_{'tumor' if tumour else 'normal'}_{number + 1:03d}"
        own = np.random.default_rng([seed, salt, 1 + number])
        slides.append(draw_slide(name, float(rates[number]) if tumour else 0.0, own))
    return slides


def draw_slide(name: str, positive_rate: float, generator: np.random.Generator) -> Slide:
    """One slide; nothing about its look depends on the positive rate."""
    between = generator.beta(0.6, 0.6)
    size = generator.uniform(0.88, 1.15)  # one factor for all nuclei: section thickness and scanner
    styles = _styles(size, generator)
    lymphocytes, spindles, reactive, tumour = (draw_stamps(s, STAMPS_PER_KIND, generator) for s in styles)
    shares = generator.dirichlet([2.2, 1.8, 1.8, 0.6, 0.7, 1.6])
    return Slide(
        name=name,
        positive_rate=positive_rate,
        hematoxylin=_stain(HEMATOXYLIN, between, generator) * generator.uniform(1.1, 2.4),
        eosin=_stain(EOSIN, between, generator) * generator.uniform(0.6, 1.2),
        white=generator.uniform(232, 250) + generator.uniform(-4, 4, 3),
        blur=generator.uniform(0.25, 0.7),
        sharpening=generator.uniform(0.2, 1.2),
        noise=generator.uniform(1.5, 5.0),
        quality=int(generator.integers(78, 95)),
        ground_shares=shares,
        lymphocytes=lymphocytes,
        spindles=spindles,
        reactive=reactive,
        tumour=tumour,
        lymph_spacing=size * generator.uniform(14.5, 18.5),
        nest_spacing=size * generator.uniform(26.0, 35.0),
        reactive_spacing=size * generator.uniform(19.5, 26.0),
        cytoplasm=(generator.uniform(0.05, 0.20), generator.uniform(0.22, 0.52)),
    )


def _stain(ends: np.ndarray, between: float, generator: np.random.Generator) -> np.ndarray:
    vector = ends[0] + between * (ends[1] - ends[0]) + generator.normal(0, 0.03, 3)
    vector = np.clip(vector, 0.02, None)
    return vector / np.linalg.norm(vector)


def _styles(size: float, generator: np.random.Generator) -> list[NucleusStyle]:
    """Lymphocytes, spindle nuclei, benign large cells and tumour cells of one slide."""
    draw = generator.uniform
    vesicular = draw(
        0, 1
    )  # pale nuclei with a rim (1) or evenly dark ones (0): tumours and benign cells alike
    pale = 0.95 - 0.4 * vesicular
    dark = pale * draw(0.92, 1.08)
    # Benign cells and tumour cells differ in size, variety, outline and the grain of their chromatin; mean darkness
    # and its variation inside the nucleus are alike, so that colour histograms tell little.
    return [
        NucleusStyle(size * draw(6.5, 7.6), 0.10, 1.4, 0.04, draw(0.85, 1.1), 0.1, 0.16, 1.2, 0.0),
        NucleusStyle(size * draw(5.5, 6.8), 0.18, 6.0, 0.05, draw(0.75, 1.0), 0.05, 0.12, 1.2, 0.0),
        NucleusStyle(size * draw(8.4, 9.8), 0.09, 1.5, 0.035, dark, 0.35, 0.22, 1.1, 0.8),
        NucleusStyle(
            size * draw(11.0, 13.2), 0.22, 2.0, draw(0.11, 0.17), dark, 0.4, 0.16, 2.0, draw(1.0, 2.2)
        ),
    ]
