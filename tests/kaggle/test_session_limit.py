"""No plan works on Kaggle until Kaggle ends it."""

from __future__ import annotations

import pytest

from histoblend.config import Plan
from histoblend.errors import ConfigRefusal
from histoblend.kaggle.session_limit import within_limit


def plan(budget: str | None) -> Plan:
    return Plan.model_validate({"name": "toy", "experiments": ["first"], "budget": budget})


def test_a_plan_without_a_budget_gets_one_aloud() -> None:
    said: list[str] = []
    assert within_limit(plan(None), said.append).budget_seconds == 11 * 3600
    assert "sets no budget: 11h on Kaggle" in said[0]
    assert within_limit(plan("40m"), said.append) == plan("40m")
    assert within_limit(plan("11h30m"), said.append) == plan("11h30m")
    assert len(said) == 1


def test_a_budget_that_ends_with_kaggle_s_is_refused() -> None:
    with pytest.raises(ConfigRefusal, match=r"The budget is 12h(.|\n)*budget=11h"):
        within_limit(plan("12h"), print)
