"""Mixup: training on convex combinations of two patches (Zhang et al. 2018, arXiv:1710.09412).

The whole of one patch is blended with the whole of another, with one weight for every pixel and for the target.
So the labelled centre is mixed exactly as the target says. Pasting a region of one patch into another (CutMix)
has no place here: the label speaks of the centre alone, whatever share of the area is pasted.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

MIXTURE = 1_000_003  # a stream of random numbers of its own, far from those of the classes in `batches`


@dataclass(frozen=True)
class Mixture:
    """With whom each patch of a batch is blended.

    Attributes:
        partners: int64 (n,), a permutation of the batch.
        shares: float64 (n,), the weight of the patch itself, in [0, 1]; its partner has the rest.
    """

    partners: np.ndarray
    shares: np.ndarray


def drawn_mixture(alpha: float, seed: int, step: int, count: int) -> Mixture:
    """The mixture of the `step`-th batch of `count` patches: shares drawn from Beta(alpha, alpha), one a patch."""
    generator = np.random.default_rng([seed, MIXTURE, step])
    return Mixture(generator.permutation(count), generator.beta(alpha, alpha, count))


def mixed_images(images: np.ndarray, mixture: Mixture) -> np.ndarray:
    """uint8 (n, h, w, c) blended, rounded to the nearest grey level: the same shape."""
    result = np.empty_like(images)
    for number, (partner, share) in enumerate(zip(mixture.partners, mixture.shares, strict=True)):
        cv2.addWeighted(images[number], share, images[partner], 1.0 - share, 0.0, dst=result[number])
    return result


def mixed_targets(
    targets: np.ndarray, weights: np.ndarray | None, mixture: Mixture
) -> tuple[np.ndarray, np.ndarray | None]:
    """Targets float32 (n, outputs) and weights in the loss (n,) of the blended patches.

    A cross-entropy is linear in its target, so the blend's loss is that of the two patches, each times its share
    and its own weight.
    """
    own = mixture.shares * (1.0 if weights is None else weights)
    other = (1.0 - mixture.shares) * (1.0 if weights is None else weights[mixture.partners])
    whole = own + other
    mixed = (own[:, None] * targets + other[:, None] * targets[mixture.partners]) / whole[:, None]
    return mixed.astype(np.float32), None if weights is None else whole.astype(np.float32)
