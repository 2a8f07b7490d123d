"""Whether a push goes on with what the last session did: other folds or other settings would start anew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from histoblend.config import Plan
from histoblend.config_files import load_plan, plan_experiments
from histoblend.errors import ConfigRefusal, some
from histoblend.kaggle.kernels import Kernel


@dataclass(frozen=True)
class Asked:
    """What a push asks for."""

    plan: str
    settings: tuple[str, ...]
    configs: Path
    fingerprint: str = ""
    """Of package and configs."""
    anew: bool = False
    """Whether it is to start from the beginning."""


def check_continues(noted: Mapping[str, Any], asked: Asked, kernel: Kernel) -> None:
    """Refuse a push that would not go on with the last session's work, or has nothing left to do.

    What cannot be told from here (configs that have changed since, other data) the session itself refuses.

    Args:
        noted: what is known of the last session: plan, settings, package, state.

    Raises:
        ConfigRefusal: saying which.
    """
    if "plan" not in noted:
        return
    plan, settings = str(noted["plan"]), tuple(noted.get("settings", ()))
    same = (plan, settings) == (asked.plan, asked.settings)
    if not same and (differing := _differing(plan, settings, asked)):
        raise ConfigRefusal(
            f"The last session of {kernel.ref} ran {_said(plan, settings)}, and this is "
            f"{_said(asked.plan, asked.settings)}, of which {some(differing)} would be trained anew: what is finished "
            "of that would be in no later version.",
            "what the last session ran: the same folds, and the same settings of each experiment; others may be added",
            f"push that; or set another kernel.slug than {kernel.slug} in configs/kaggle.yaml for this one; or --anew, "
            "to start from the beginning under this name.",
        )
    same_package = bool(asked.fingerprint) and asked.fingerprint in str(noted.get("package", ""))
    if same and same_package and noted.get("state") == "finished":
        raise ConfigRefusal(
            f"Nothing is left: the last session of {kernel.ref} finished this plan, with this package and configs.",
            "something to do",
            "`./run.sh kernel pull` fetches what came out; --anew trains everything again.",
        )


def _differing(plan: str, settings: tuple[str, ...], asked: Asked) -> list[str]:
    """What both runs have in common and one has otherwise: everything, or experiments by name."""
    try:
        before = load_plan(plan, asked.configs, settings)
        old = _experiments(before, asked.configs)
    except ConfigRefusal:
        return []  # the plan of then is not in today's configs: the session compares what it finds
    now = load_plan(asked.plan, asked.configs, asked.settings)
    if (before.folds, before.data, before.synthetic) != (now.folds, now.data, now.synthetic):
        return ["everything"]
    new = _experiments(now, asked.configs)
    return [name for name, one in new.items() if name in old and old[name] != one]


def _experiments(plan: Plan, configs: Path) -> dict[str, Any]:
    """By name, what a network is trained and asked with."""
    return {one.name: (one, one.views_shown(plan.tta)) for one in plan_experiments(plan, configs)}


def _said(plan: str, settings: tuple[str, ...]) -> str:
    return f"plan {plan}" + "".join(f" --set {one}" for one in settings)
