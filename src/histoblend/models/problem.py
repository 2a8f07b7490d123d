"""What every network is built for: the side of the patch that comes in, and how many logits go out."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Field:
    """The source square that a feature map covers, and the labelled square in its middle, in source pixels."""

    side: int = 96
    labelled: int = 32


@dataclass(frozen=True)
class Problem:
    """The frame of a network.

    Attributes:
        side: side in pixels of the packed patch that enters.
        input_size: side in pixels at which the layers see the (cropped) patch; resized inside the model.
        classes: number of classes; two share one logit, more have one each.
    """

    side: int = 96
    input_size: int = 96
    classes: int = 2

    @property
    def outputs(self) -> int:
        """Logits of one patch."""
        return 1 if self.classes == 2 else self.classes

    def field(self, crop: int | None) -> Field:
        """What the layers see of the patch; the labelled centre is a third of its side, 32 of 96 pixels."""
        return Field(crop or self.side, self.side // 3)
