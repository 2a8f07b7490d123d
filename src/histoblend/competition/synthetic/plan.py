"""Which patch of the synthetic competition lies on which slide, what it shows and how it is labelled."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from histoblend.competition.synthetic.slides import Slide

FLIPPED_SHARE = 0.035  # wrong labels on tumour slides; about 2.3 % of all patches
DUPLICATE_SHARE = 0.004
WHITE_SHARE = 0.001
BLACK_SHARE = 0.0005
DISTRACTOR_SHARE = 0.45  # of the negatives on tumour slides


@dataclass(frozen=True)
class PartPlan:
    """The plan of one part, an entry per patch; kind ``tumour`` and label 1 differ where a label is wrong."""

    part: str
    ids: list[str]
    slides: np.ndarray  # (n,) int: index into the part's slides
    kinds: np.ndarray  # (n,) str, of `patches.KINDS`
    labels: np.ndarray  # (n,) int, 0 or 1
    sources: (
        np.ndarray
    )  # (n,) int: the patch whose pixels are shown: its own number, or another's for a duplicate


def plan_part(part: str, count: int, slides: list[Slide], seed: int) -> PartPlan:
    """Deal `count` patches of ``train`` or ``test`` to the slides; a number tells no slide and no label."""
    generator = np.random.default_rng([seed, {"train": 3, "test": 4}[part]])
    owners = _deal(count, len(slides), generator)
    rates = np.array([slide.positive_rate for slide in slides])[owners]
    tumour = generator.random(count) < rates
    distractor = ~tumour & (rates > 0) & (generator.random(count) < DISTRACTOR_SHARE)
    kinds = np.where(tumour, "tumour", np.where(distractor, "distractor", "benign"))
    labels = (tumour ^ ((rates > 0) & (generator.random(count) < FLIPPED_SHARE))).astype(np.int64)
    _blank(kinds, labels, owners, generator)
    sources = _duplicate(kinds, labels, owners, generator)
    ids = [_identity(seed, part, number) for number in range(count)]
    return PartPlan(part, ids, owners, kinds, labels, sources)


def _identity(seed: int, part: str, number: int) -> str:
    return hashlib.sha1(
        f"histoblend synthetic {seed} {part} {number}".encode(), usedforsecurity=False
    ).hexdigest()


def _deal(count: int, slides: int, generator: np.random.Generator) -> np.ndarray:
    """Slides of unequal size, none without a patch."""
    weights = generator.dirichlet(np.full(slides, 5.0))
    rest = generator.choice(slides, size=max(count - slides, 0), p=weights)
    return generator.permutation(np.concatenate([np.arange(slides), rest]))[:count]


def _blank(kinds: np.ndarray, labels: np.ndarray, owners: np.ndarray, generator: np.random.Generator) -> None:
    """Turn a few negatives into blank patches.

    All lie on one slide: blank patches equal each other, and grouping duplicates would chain their slides.
    """
    negatives = np.flatnonzero((kinds == "benign") & (labels == 0))
    slide = np.bincount(owners[negatives]).argmax()
    chosen = generator.permutation(negatives[owners[negatives] == slide])
    whites, blacks = _few(WHITE_SHARE, len(kinds)), _few(BLACK_SHARE, len(kinds))
    kinds[chosen[:whites]] = "white"
    kinds[chosen[whites : whites + blacks]] = "black"


def _duplicate(
    kinds: np.ndarray, labels: np.ndarray, owners: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """Let a few patches show the pixels of another one of the same slide, kind and label."""
    sources = np.arange(len(kinds))
    free = np.isin(kinds, ("tumour", "distractor", "benign"))
    wanted = _few(DUPLICATE_SHARE, len(kinds))
    for number in generator.permutation(len(kinds)):
        if not wanted:
            break
        alike = free & (kinds == kinds[number]) & (labels == labels[number]) & (owners == owners[number])
        others = np.flatnonzero(alike & (np.arange(len(kinds)) != number))
        if free[number] and len(others):
            original = generator.choice(others)
            sources[number] = original
            free[[number, original]] = False  # neither takes part again: no chains
            wanted -= 1
    return sources


def _few(share: float, count: int) -> int:
    return max(1, round(share * count))
