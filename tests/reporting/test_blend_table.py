from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from histoblend.reporting.blend_table import printed_audit


def rule(name: str, learns: bool, areas: tuple[float, float], error: float | None) -> dict[str, Any]:
    in_sample, cross_fitted = areas
    gain = cross_fitted - 0.9
    limits = (None, None) if error is None else (gain - 2 * error, gain + 2 * error)
    return {
        "rule": name, "learns": learns, "auc_in_sample": in_sample, "auc_cross_fitted": cross_fitted,
        "optimism": in_sample - cross_fitted, "gain": gain, "gain_standard_error": error,
        "gain_low": limits[0], "gain_high": limits[1],
    }  # fmt: skip


AUDIT = {
    "members": ["a", "b"], "chosen": "logit_mean", "clusters": 20, "clusters_are": "pseudo-slides", "gated": [],
    "rules": [
        rule("logit_mean", False, (0.9, 0.9), 0.0),
        rule("rank_mean", False, (0.8976, 0.8976), 0.0011),
        rule("greedy", True, (0.9102, 0.9052), 0.0031),
        rule("stacking_l2", True, (0.9, 0.89), None),
    ],
}  # fmt: skip


def printed(audit: dict[str, Any]) -> list[str]:
    stream = io.StringIO()
    Console(file=stream, width=80).print(printed_audit(audit))
    return [line.strip() for line in stream.getvalue().splitlines()]


def test_the_rules_stand_by_what_they_are_worth_and_the_chosen_one_is_marked():
    lines = printed(AUDIT)
    rows = [line for line in lines if ".8" in line or ".9" in line]
    assert [row.removeprefix("> ").split()[0] for row in rows] == [
        "greedy", "logit_mean", "rank_mean", "stacking_l2",
    ]  # fmt: skip
    assert rows[0].split()[1:] == ["0.9052", "0.9102", "+0.0050", "+0.0052", "[-0.0010,", "+0.0114]"]
    assert rows[1].startswith("> logit_mean") and rows[1].endswith("the reference")
    assert rows[2].split()[1:] == [
        "0.8976",
        "-0.0024",
        "[-0.0046,",
        "-0.0002]",
    ]  # nothing learned, no optimism
    assert rows[3].endswith("[?]")
    assert any("20 pseudo-slides" in line for line in lines)


def test_it_fits_80_columns_on_one_line_each():
    long = AUDIT | {"members": ["a"] * 30, "rules": [rule("stacking_nonnegative", True, (0.9, 0.89), 0.001)]}
    assert max(map(len, printed(long))) <= 80
    assert any(line == "Blend rules, 30 members" for line in printed(long))
    assert sum(":" in line for line in printed(long)) == 3


def test_with_a_gate_every_rule_learns():
    gated = AUDIT | {"gated": [{"member": "b", "why": "too much like a"}]}
    assert any("a gate is learned" in line for line in printed(gated))
