"""How long a network trains when every one gets the same wall time."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Length:
    """Epochs of a training and the patches drawn in each."""

    epochs: int
    samples_per_epoch: int

    def passes(self, patches: int) -> float:
        """How often each of `patches` training patches is seen on average."""
        return self.epochs * self.samples_per_epoch / patches


def length_for(minutes: float, images_per_second: float, patches: int, batch_size: int) -> Length:
    """The training that takes `minutes` at the measured rate, with a complete schedule whatever the rate.

    Epochs hold about `patches` training patches each: a few more or less, so that all of the time is used and
    no more than it. A network too slow for one pass gets one shorter epoch; a batch at least.
    """
    steps = max(1, int(images_per_second * 60 * minutes) // batch_size)
    epochs = max(1, round(steps * batch_size / patches))
    return Length(epochs, max(1, steps // epochs) * batch_size)
