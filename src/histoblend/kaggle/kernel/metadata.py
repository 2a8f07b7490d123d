"""kernel-metadata.json: what Kaggle is told about the kernel, and how that differs from what it keeps. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from histoblend.config_kaggle import KernelSettings
from histoblend.kaggle.kernels import Description, Kernel

SCRIPT = "script.py"
METADATA = "kernel-metadata.json"
SOURCES = ("competition_sources", "dataset_sources", "kernel_sources")


@dataclass(frozen=True)
class Sources:
    """What is mounted into the session, as Kaggle names it."""

    competitions: tuple[str, ...] = ()
    """``slug``."""
    datasets: tuple[str, ...] = ()
    """``owner/slug``."""
    kernels: tuple[str, ...] = ()
    """``owner/slug``."""


def title_of(slug: str) -> str:
    """A title from which Kaggle makes just `slug`: another one would change the kernel's address."""
    return slug.replace("-", " ").capitalize()


def kernel_metadata(kernel: Kernel, settings: KernelSettings, sources: Sources) -> dict[str, Any]:
    """The content of kernel-metadata.json.

    Everything is said, whether it is the client's default or not: internet is on where nothing is said about it.
    """
    card = settings.accelerator != "none"
    return {
        "id": kernel.ref,
        "title": title_of(kernel.slug),
        "code_file": SCRIPT,
        "language": "python",
        "kernel_type": "script",
        "is_private": settings.private,
        "enable_gpu": card,
        "enable_tpu": False,
        "enable_internet": settings.internet,
        **({"machine_shape": settings.accelerator} if card else {}),
        "competition_sources": list(sources.competitions),
        "dataset_sources": list(sources.datasets),
        "kernel_sources": list(sources.kernels),
        "model_sources": [],
    }


def contradictions(meant: Mapping[str, Any], kept: Description) -> list[str]:
    """What Kaggle keeps otherwise than it was told, in words; what Kaggle says nothing about is not compared."""
    switches = {
        "private": ("is_private", kept.private),
        "with a GPU": ("enable_gpu", kept.gpu),
        "connected to the internet": ("enable_internet", kept.internet),
    }
    wrong = [
        f"it is {'' if found else 'not '}{what}"
        for what, (key, found) in switches.items()
        if found is not None and found != meant[key]
    ]
    for key, found in zip(SOURCES, (kept.competitions, kept.datasets, kept.kernels), strict=True):
        wrong += [f"{name} is not among its {_spoken(key)}" for name in absent(meant[key], found)]
    return wrong


def untold(kept: Description) -> list[str]:
    """What Kaggle says nothing about, so that it could not be compared."""
    switches = {"private": kept.private, "GPU": kept.gpu, "internet": kept.internet}
    return [what for what, found in switches.items() if found is None]


def absent(meant: Sequence[str], found: Sequence[str]) -> list[str]:
    """Those of `meant` that are not among `found`; versions and folders of addresses do not matter.

    Kaggle may name a source ``owner/slug``, ``owner/slug/3`` or ``/datasets/owner/slug``.
    """
    there = [f"/{one.strip('/').lower()}/" for one in found]
    return [one for one in meant if not any(f"/{one.lower()}/" in place for place in there)]


def _spoken(key: str) -> str:
    return key.replace("_", " ")
