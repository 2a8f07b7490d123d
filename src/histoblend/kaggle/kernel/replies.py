"""What Kaggle replies to a push, judged: taken as it was meant, or a refusal in its words. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from histoblend.errors import ServiceRefusal
from histoblend.kaggle.failures import CallFailure
from histoblend.kaggle.kernel.metadata import contradictions
from histoblend.kaggle.kernels import Description, Kernel, Reply

LIMITS = "Kaggle gives 30 GPU hours a week and two GPU sessions at once"
OF_LIMITS = re.compile(
    r"quota|session count|hours? (allowed|limit|remaining)|maximum .*session", re.IGNORECASE
)


def taken_version(reply: Reply, kernel: Kernel) -> int:
    """The version that a push made.

    Raises:
        ServiceRefusal: Kaggle refused it, took it without some of its sources, or keeps it under another name.
    """
    if reply.error:
        raise ServiceRefusal(
            f"Kaggle refused the push of {kernel.ref}: {reply.error}",
            "a new version of the kernel",
            remedy_of(reply.error, kernel),
        )
    if not reply.version:
        raise ServiceRefusal(
            f"Kaggle replied to the push of {kernel.ref} without a version: nothing says that it was taken.",
            "the number of the new version",
            "see `./run.sh kernel status`; push again if nothing is running.",
        )
    kept = f"{reply.address}/{reply.reference}/".lower()
    if (reply.address or reply.reference) and f"/{kernel.slug}/" not in kept.replace("?", "/"):
        raise ServiceRefusal(
            f"Kaggle keeps the push of {kernel.ref} under another name: {reply.address or reply.reference}.",
            kernel.address,
            "stop and delete that kernel on its page, and give kernel.slug of configs/kaggle.yaml another value.",
        )
    return reply.version


def refused_call(failure: CallFailure, kernel: Kernel) -> ServiceRefusal:
    """`failure` of a push; where Kaggle's limits are its reason, with what to do about them."""
    if not OF_LIMITS.search(failure.found):
        return failure
    return ServiceRefusal(failure.found, "a session that is free", remedy_of(failure.found, kernel))


def check_sources(reply: Reply, kernel: Kernel) -> None:
    """Refuse a push that was taken without some of what it needs.

    Raises:
        ServiceRefusal: naming what is missing; the session has started for all that.
    """
    if reply.invalid:
        listed = "; ".join(f"{kind}: {', '.join(names)}" for kind, names in reply.invalid.items())
        raise ServiceRefusal(
            f"Kaggle started version {reply.version} of {kernel.ref} without some of its sources. Not taken: "
            f"{listed}.",
            "every source taken",
            f"stop that session on {kernel.address}, then look at the names: have you accepted the competition's "
            "rules, is the dataset yours and ready (`./run.sh assets push`)? Then push again.",
        )


def check_kept(meant: Mapping[str, Any], kept: Description, kernel: Kernel) -> None:
    """Refuse a kernel that Kaggle keeps otherwise than it was meant.

    Raises:
        ServiceRefusal: naming the differences; the session has started for all that.
    """
    if wrong := contradictions(meant, kept):
        raise ServiceRefusal(
            f"Kaggle keeps {kernel.ref} otherwise than it was pushed: {'; '.join(wrong)}.",
            f"a kernel as {', '.join(_said(meant))}",
            f"stop the session on {kernel.address} and correct it there, or push again.",
        )


def _said(meant: Mapping[str, Any]) -> list[str]:
    return [
        "private" if meant["is_private"] else "public",
        "with a GPU" if meant["enable_gpu"] else "without a GPU",
        "internet on" if meant["enable_internet"] else "internet off",
        "with the sources of kernel-metadata.json",
    ]


def remedy_of(words: str, kernel: Kernel) -> str:
    """What to do about a push that was refused with `words`."""
    if OF_LIMITS.search(words):
        return (
            f"{LIMITS}. Wait for a session to end or for the week's quota (what is left: your Kaggle settings, "
            "Quotas), or set kernel.accelerator to none in configs/kaggle.yaml for a slow session on CPUs."
        )
    return f"see what it says; the kernel's page is {kernel.address}. Nothing was started."
