"""Logits of imagined members on imagined slides, whose AUC over all slides there could be is known.

A patch of slide s with label y gets from member m the logit

    separation_m * y  +  loading_m * (level_s + visibility_s * y + error_i)  +  own_level_sm  +  own_error_im

All effects are normal and independent of each other, of the slide's size and of its share of tumour. So the scores of
positives and of negatives of different slides are normal too, and the AUC over infinitely many slides of any weighted
mean of members is exact (`World.population_auc`). Out of fold each fold's model has a shift and a stretch of its own.
What is known of the slides when folds are dealt and scores judged is the world's `folding`; the patches are the same.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.stats import norm

from histoblend.data.folds import make_folds
from histoblend.errors import DataRefusal
from histoblend.evaluation.uncertainty import Ground

FOLDS = 5
LEVEL, VISIBILITY, OWN_LEVEL, ERROR = 0.4, 0.4, 0.2, 0.8
"""Standard deviations: of a slide's level, of how visible tumour is on it, of its level to one member
(unless a world says otherwise), of a patch."""
SHIFT, STRETCH = 0.4, 0.1
"""Of a fold's model: standard deviations of its shift, and of the logarithm of its stretch."""
FREE_OF_TUMOUR = 0.4
"""Share of slides without any; of the others, tumour has a share drawn from Beta(2, 2)."""
SIZES = 0.6
"""Standard deviation of the logarithm of the patches of a slide."""
PIECES = 3
"""Into how many pseudo-slides, at random, a slide is cut."""
BLIND, DEALT, UNKNOWN, CUT = FOLDINGS = ("blind", "dealt", "unknown", "cut")
CLUSTERS_ARE = {BLIND: "slides", DEALT: "slides", UNKNOWN: "patches", CUT: "pseudo-slides"}


@dataclass(frozen=True)
class World:
    """What is drawn from.

    Attributes:
        slides: of the training part; the leaderboard has half as many new ones.
        patches: of a slide, on average.
        separations: by member, what tumour adds to its logit; `own_errors`: standard deviation of its own error.
        loadings: by member, how much of what all share it takes part in.
        folding: ``dealt``: whole slides, as the pipeline deals them; ``blind``: whole slides, without a look at labels;
            ``unknown``: single patches, no slide is known; ``cut``: pseudo-slides, each a piece of a slide.
        own_level: standard deviation of a slide's level to one member.
    """

    name: str
    slides: int
    patches: int
    separations: tuple[float, ...]
    own_errors: tuple[float, ...]
    loadings: tuple[float, ...]
    folding: str = DEALT
    own_level: float = OWN_LEVEL

    @property
    def members(self) -> int:
        """How many there are."""
        return len(self.separations)

    def population_auc(self, weights: np.ndarray) -> float:
        """The exact AUC over infinitely many slides of the mean of logits with `weights` (members,)."""
        own = np.square(weights) @ (np.square(self.own_errors) + self.own_level**2)
        shared = (weights @ np.array(self.loadings)) ** 2
        variance = 2 * own + shared * (2 * LEVEL**2 + 2 * ERROR**2 + VISIBILITY**2)
        return float(norm.cdf(weights @ np.array(self.separations) / np.sqrt(variance)))

    @property
    def member_aucs(self) -> np.ndarray:
        """The exact AUC over infinitely many slides of each member."""
        return np.array([self.population_auc(row) for row in np.eye(self.members)])


@dataclass(frozen=True)
class Patches:
    """Patches of drawn slides: labels int (n,), slides int (n,), logits float64 (n, members, 1)."""

    labels: np.ndarray
    slides: np.ndarray
    logits: np.ndarray


def draw_patches(world: World, slides: int, generator: np.random.Generator) -> Patches:
    """`slides` new slides as one and the same model of each member sees them; both classes are among them."""
    sizes = np.maximum(
        1, generator.lognormal(np.log(world.patches) - SIZES**2 / 2, SIZES, slides).astype(int)
    )
    shares = generator.beta(2, 2, slides) * (generator.random(slides) >= FREE_OF_TUMOUR)
    owner = np.repeat(np.arange(slides), sizes)
    labels = (generator.random(len(owner)) < shares[owner]).astype(np.int64)
    if labels.min() == labels.max():
        return draw_patches(world, slides, generator)
    level, visibility = generator.normal(0, LEVEL, slides), generator.normal(0, VISIBILITY, slides)
    shared = level[owner] + visibility[owner] * labels + generator.normal(0, ERROR, len(owner))
    own = generator.normal(0, world.own_level, (slides, world.members))[owner]
    own += generator.normal(0, world.own_errors, (len(owner), world.members))
    logits = np.array(world.separations) * labels[:, None] + np.outer(shared, world.loadings) + own
    return Patches(labels, owner, logits[..., None])


def draw_out_of_fold(world: World, generator: np.random.Generator) -> tuple[Ground, np.ndarray]:
    """Out-of-fold logits (n, members, 1) of a training part, and the ground they are judged on."""
    while True:
        drawn = draw_patches(world, world.slides, generator)
        with suppress(DataRefusal):  # a fold would lack a class: the pipeline stops there, and tells so
            clusters = _clusters(world, drawn, generator)
            folds = _folds(world, drawn.labels, clusters, generator)
            if all(len(np.unique(drawn.labels[folds == fold])) == 2 for fold in range(FOLDS)):
                break
    shifts = generator.normal(0, SHIFT, (FOLDS, world.members))
    stretches = np.exp(generator.normal(0, STRETCH, (FOLDS, world.members)))
    logits = drawn.logits * stretches[folds][..., None] + shifts[folds][..., None]
    known = None if world.folding == UNKNOWN else clusters
    return Ground(drawn.labels, folds, known, CLUSTERS_ARE[world.folding]), logits


def _clusters(world: World, drawn: Patches, generator: np.random.Generator) -> np.ndarray:
    """What stays together in a fold: int (n,)."""
    if world.folding == UNKNOWN:
        return np.arange(len(drawn.slides))
    if world.folding == CUT:
        return np.asarray(drawn.slides * PIECES + generator.integers(PIECES, size=len(drawn.slides)))
    return drawn.slides


def _folds(
    world: World, labels: np.ndarray, clusters: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    if world.folding == BLIND:
        return generator.permutation(np.arange(world.slides) % FOLDS)[clusters]
    ids = [f"{row:07d}" for row in range(len(labels))]
    slides = [f"{cluster:07d}" for cluster in clusters]
    frame = pd.DataFrame({"id": ids, "label": labels, "slide": slides, "twins": ids})
    return make_folds(frame, FOLDS, 0)["fold"].to_numpy()


def alike(name: str, slides: int, patches: int, members: int) -> World:
    """Members that differ by chance alone."""
    return World(name, slides, patches, (2.4,) * members, (0.6,) * members, (1.0,) * members)


def nearly_alike(name: str, slides: int, patches: int) -> World:
    """Five members whose AUCs are .001 apart."""
    separations = (2.425, 2.4125, 2.4, 2.3875, 2.375)
    return World(name, slides, patches, separations, (0.6,) * 5, (1.0,) * 5)


def one_useless(name: str, slides: int, patches: int) -> World:
    """Five members from good to useless."""
    return World(
        name, slides, patches, (2.8, 2.4, 2.2, 1.6, 0.3), (0.4, 0.6, 0.6, 0.8, 1.2), (1, 1, 1, 1, 0.3)
    )


def unequal(name: str, slides: int, patches: int) -> World:
    """Five members that differ much, none useless."""
    return World(name, slides, patches, (2.8, 2.5, 2.4, 2.2, 2.0), (0.5, 0.6, 0.6, 0.6, 0.7), (1,) * 5)


def folded(world: World, folding: str, words: str) -> World:
    """The same slides, with another `folding`, which `words` tell."""
    return replace(world, name=f"{world.name}, {words}", folding=folding)
