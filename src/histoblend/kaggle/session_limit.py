"""No plan may work on Kaggle until Kaggle ends the session: what is not handed back by then is lost."""

from __future__ import annotations

from collections.abc import Callable

from histoblend.config import Plan, parse_duration
from histoblend.errors import ConfigRefusal

BUDGET = "11h"
"""Of a plan that names none."""
LONGEST = "11h30m"  # the rest is for start, and for what takes longer than was thought at the end


def within_limit(plan: Plan, tell: Callable[[str], None]) -> Plan:
    """`plan` with a budget that ends before Kaggle does.

    Raises:
        ConfigRefusal: its own budget is longer.
    """
    if plan.budget_seconds is None:
        tell(
            f"Plan {plan.name} sets no budget: {BUDGET} on Kaggle, which ends a session after 12 hours with nothing "
            "handed back. What does not fit waits for the next session."
        )
        return plan.model_copy(update={"budget": BUDGET})
    if plan.budget_seconds > parse_duration(LONGEST):
        raise ConfigRefusal(
            f"The budget is {plan.budget}, and Kaggle ends a session after 12 hours with nothing handed back.",
            f"a budget of at most {LONGEST} on Kaggle",
            f"--set budget={BUDGET}; what does not fit waits for the next session.",
        )
    return plan
