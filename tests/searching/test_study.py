"""What is proposed and stopped is a function of the sweep and of the trials that have ended."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import pytest

from histoblend.errors import ArtifactRefusal, MachineRefusal
from histoblend.searching.study import check_optuna, propose
from histoblend.searching.sweep_config import Sweep
from histoblend.searching.trial_records import Trial, best_trial, read_trials, trial_file, write_trial

pytest.importorskip("optuna")

SWEEP = Sweep(
    name="search",
    base="first",
    parameters={
        "a": {"low": 1e-4, "high": 1.0, "log": True},
        "b": {"low": 2, "high": 5},
        "c": {"choices": ["x", [1, 2], None]},
        "d": {"low": 0.0, "high": 1.0, "step": 0.25},
    },
    random_trials=2,
)
BASE = {"a": 0.01, "b": 3, "c": [1, 2], "d": 0.5}


def climbed(sweep: Sweep, count: int) -> list[Trial]:
    """Trials whose score is higher the closer `a` is to 1."""
    ended: list[Trial] = []
    for number in range(1, count + 1):
        values = propose(sweep, 4, ended, BASE).values
        ended.append(Trial(number, values, "finished", values["a"], [values["a"]]))
    return ended


def test_the_first_trial_is_the_base_and_all_lie_in_the_space():
    trials = climbed(SWEEP, 8)
    assert trials[0].values == BASE
    for one in trials:
        assert list(one.values) == list(SWEEP.parameters)
        assert all(SWEEP.parameters[key].holds(value) for key, value in one.values.items())
    assert len({str(one.values) for one in trials}) > 5


def test_proposals_depend_on_the_seed_and_on_what_has_ended_alone():
    trials = climbed(SWEEP, 6)
    assert climbed(SWEEP, 6) == trials
    assert propose(SWEEP, 4, trials[:4], BASE).values == trials[4].values
    assert climbed(SWEEP.model_copy(update={"seed": 1}), 6)[2:] != trials[2:]
    worse = [Trial(one.number, one.values, "finished", 1 - one.values["a"]) for one in trials]
    assert propose(SWEEP, 4, worse, BASE).values != propose(SWEEP, 4, trials, BASE).values


RATES = Sweep(
    name="rates", base="b", parameters={"a": {"low": 1e-4, "high": 1.0, "log": True}}, random_trials=2
)


def high(ended: list[Trial]) -> int:
    """How many of twenty seeds propose a rate above .1 after `ended`."""
    sweeps = [RATES.model_copy(update={"seed": seed}) for seed in range(20)]
    return sum(propose(one, 4, ended, None).values["a"] > 0.1 for one in sweeps)


@pytest.mark.parametrize("state", ["failed", "pruned"])
def test_the_search_keeps_away_from_what_failed_or_was_stopped(state: str):
    low = [Trial(n, {"a": 10 ** (-n / 2)}, "finished", 0.7 + n / 100, [0.7]) for n in range(2, 8)]
    tried = [
        Trial(n, {"a": 1 - n / 20}, state, None, [0.6] if state == "pruned" else []) for n in range(8, 16)
    ]
    assert high(low + tried) < high(low)


def test_a_trial_that_failed_late_ranks_below_one_that_was_stopped_early():
    """It had reached a good AUC before the loss exploded."""
    late = [Trial(n, {"a": 0.2 + n / 20}, "failed", None, [0.9, 0.95]) for n in range(8)]
    stopped = [Trial(n, {"a": 1e-3 * (1 + n / 8)}, "pruned", None, [0.6]) for n in range(8)]
    assert high(late + stopped) <= 2


@pytest.mark.parametrize(("pruner", "stops"), [("median", [False, True]), ("none", [False, False])])
def test_a_trial_below_the_median_is_stopped_after_a_third_of_its_length(pruner: str, stops: list[bool]):
    sweep = SWEEP.model_copy(update={"pruner": pruner})
    ended = [Trial(n, BASE, "finished", 0.9, [0.7, 0.8, 0.85, 0.88, 0.89, 0.9]) for n in (1, 2)]
    proposal = propose(sweep, 6, ended, None)
    assert [proposal.hopeless(1, 0.5), proposal.hopeless(2, 0.6)] == stops
    good = propose(sweep, 6, ended, None)
    assert not any(good.hopeless(epoch, 0.95) for epoch in range(1, 7))


def test_the_best_is_a_finished_trial_and_the_first_of_equals():
    trials = [
        Trial(1, {}, "pruned", None, [0.99]),
        Trial(2, {}, "finished", 0.8),
        Trial(3, {}, "finished", 0.8),
    ]
    assert best_trial(trials) == trials[1]
    assert best_trial(trials[:1]) is None


def test_records_come_back_and_a_missing_one_is_refused(tmp_path: Path):
    trials = [Trial(n, BASE, "finished", 0.8, [0.7, 0.8], 2.5) for n in (1, 2)]
    for one in trials:
        write_trial(tmp_path, one)
    assert read_trials(tmp_path) == trials
    trial_file(tmp_path, 1).unlink()
    with pytest.raises(ArtifactRefusal, match=r"0002.json|0001.json"):
        read_trials(tmp_path)


def test_without_optuna_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch):
    real = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name == "optuna":
            raise ModuleNotFoundError("No module named 'optuna'")
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MachineRefusal, match="pip install 'optuna"):
        check_optuna()
