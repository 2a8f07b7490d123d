"""Which card each task's own process sees, and its share of the machine. Pure."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

from histoblend.execution.device import VISIBLE, Device


@dataclass(frozen=True)
class Lane:
    """A place where one task runs at a time.

    Attributes:
        name: for people: ``card 0``, or ``process 1`` where no card is its own.
        mask: what its process is told to see of the cards; None: what this one sees.
        shared: whether another lane has the same card.
    """

    name: str
    mask: str | None
    shared: bool = False


def lanes_of(device: Device, environment: Mapping[str, str]) -> list[Lane]:
    """One lane for each process, dealt out over the cards that this process was given, by number, UUID or MIG name."""
    cards = visible_cards(environment.get(VISIBLE), device.count)
    shared = device.processes > len(cards)
    lanes = []
    for number in range(device.processes):
        mask = cards[number % len(cards)] if cards else None
        # Of UUIDs people are told the place in the mask: it is the number by which this process knows the card.
        known = mask if all(card.isdigit() for card in cards) else number
        own = device.kind == "gpu" and not shared
        lanes.append(Lane(f"card {known}" if own else f"process {number + 1}", mask, shared))
    return lanes


def visible_cards(outer: str | None, count: int) -> list[str]:
    """Names of the cards under an outer mask, of which `count` are seen; CUDA stops at the first that is none.

    Without cards the names of the mask are dealt out all the same: they are nobody's.
    """
    if outer is None:
        return [str(number) for number in range(count)]
    named = [name.strip() for name in outer.split(",")]
    valid = list(takewhile(lambda name: bool(name) and not name.startswith("-"), named))
    return valid[:count] if count else valid


def lane_environment(
    environment: Mapping[str, str], lane: Lane, device: Device, path: Sequence[str]
) -> dict[str, str]:
    """Environment of a lane's process: its card, its threads, and where Python looks for modules, which is `path`.

    It is set before the process starts: CUDA reads the mask once, when the first library loads.
    """
    own = {
        "PYTHONPATH": os.pathsep.join(part for part in path if part),
        "PYTHONUNBUFFERED": "1",  # what it printed is there when it is killed
        "PYTHONFAULTHANDLER": "1",
        "OMP_NUM_THREADS": environment.get("OMP_NUM_THREADS", str(device.threads)),
    }
    if lane.mask is not None:
        own[VISIBLE] = lane.mask
    if lane.shared and device.kind == "gpu":
        own["TF_FORCE_GPU_ALLOW_GROWTH"] = "true"  # else the first one takes all of the card's memory
    return {**environment, **own}
