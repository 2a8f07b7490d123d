"""Search spaces: what can be declared, and what the base does not take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from histoblend.config_files import load_experiment
from histoblend.errors import ConfigRefusal
from histoblend.searching.space import base_values, check_space, nested, trial_experiment
from histoblend.searching.study import propose
from histoblend.searching.sweep_config import Parameter, Sweep, load_sweep

SHIPPED = Path(__file__).parents[2] / "configs"
RATE = "optimizer.learning_rate"


def put(configs: Path, name: str, text: str) -> None:
    (configs / "sweeps").mkdir(exist_ok=True)
    (configs / "sweeps" / f"{name}.yaml").write_text(text)


def sweep_of(parameters: dict[str, Any], **settings: Any) -> Sweep:
    return Sweep(name="search", base="first", parameters=parameters, **settings)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (f"{RATE}: {{low: 1, high: 0.1}}", "low 1 is not below high 0.1"),
        (f"{RATE}: {{low: 1, high: 1}}", "not below"),
        (f"{RATE}: {{low: 0, high: 1, log: true}}", "log needs low above 0"),
        (f"{RATE}: {{low: 1}}", "needs low and high, or choices"),
        (f"{RATE}: {{low: 1, high: 2, choices: [1, 2]}}", "choices stand alone"),
        (f"{RATE}: {{choices: [1]}}", "two values or more"),
        (f"{RATE}: {{choices: [1, 1]}}", "each once"),
        (f"{RATE}: {{lowest: 1, high: 2}}", "Did you mean low"),
        ("training.epochs: {low: 1, high: 9, step: 0.5}", "no whole number"),
    ],
)
def test_what_is_no_space_is_refused(toy_configs: Path, body: str, message: str):
    put(toy_configs, "search", f"base: first\nparameters:\n  {body}\n")
    with pytest.raises(ConfigRefusal, match=message):
        load_sweep("search", toy_configs)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("base: first\nparamters: {a: {low: 0, high: 1}}\n", "Did you mean parameters"),
        ("base: frist\nparameters: {a: {low: 0, high: 1}}\n", "Did you mean first"),
        ("base: first\nname: x\nparameters: {a: {low: 0, high: 1}}\n", "says name"),
        ("base: first\nparameters: {}\n", "at least 1 item"),
    ],
)
def test_a_sweep_file_is_checked_like_any_other(toy_configs: Path, text: str, message: str):
    put(toy_configs, "search", text)
    with pytest.raises(ConfigRefusal, match=message):
        load_sweep(str(toy_configs / "sweeps/search.yaml"), toy_configs)


def test_a_sweep_goes_before_an_experiment_of_its_name_and_a_wrong_name_tells_the_nearest(toy_configs: Path):
    assert set(load_sweep("first", toy_configs).parameters) == {
        RATE, "optimizer.weight_decay", "network.dropout",
    }  # fmt: skip
    put(toy_configs, "first", "base: second\nparameters: {network.dropout: {low: 0, high: 0.5}}\n")
    assert load_sweep("first", toy_configs).base == "second"
    with pytest.raises(ConfigRefusal, match="Did you mean first"):
        load_sweep("frist", toy_configs)


@pytest.mark.parametrize("name", ["first", "second", "everything"])
def test_the_default_search_holds_the_experiment_itself_and_nothing_it_does_not_take(
    toy_configs: Path, name: str
):
    sweep = load_sweep(name, toy_configs)
    check_space(sweep, toy_configs, {})
    base = load_experiment(name, toy_configs)
    values = base_values(sweep, base)
    assert values is not None and values[RATE] == base.optimizer.learning_rate
    assert trial_experiment(sweep, values, toy_configs, {}) == base.model_copy(
        update={"network": trial_experiment(sweep, values, toy_configs, {}).network}
    )


@pytest.mark.parametrize(
    ("parameters", "settings", "message"),
    [
        ({"optimizer.lerning_rate": {"low": 0.1, "high": 1.0}}, {}, "Did you mean learning_rate"),
        ({"optimiser.learning_rate": {"low": 0.1, "high": 1.0}}, {}, "Did you mean optimizer"),
        ({"network.dropuot": {"low": 0.0, "high": 0.5}}, {}, "Did you mean dropout"),
        ({"network.dropout": {"low": 0.0, "high": 1.5}}, {}, "network.dropout = 1.5: "),
        ({"augmentation": {"choices": ["light", "hevy"]}}, {}, "the nearest are heavy"),
        ({"seed": {"low": 0, "high": 9}}, {}, "the best of many seeds is luck"),
        ({"training.inner_fraction": {"low": 0.1, "high": 0.5}}, {}, "one inner split"),
        ({"training.epochs": {"low": 1, "high": 9}}, {}, "set pruner: none"),
        (
            {RATE: {"low": 0.1, "high": 1.0}},
            {"trial_settings": {"training": {"epoch": 1}}},
            "Did you mean epochs",
        ),
    ],
)
def test_settings_the_base_does_not_take_are_refused(
    toy_configs: Path, parameters: dict[str, Any], settings: dict[str, Any], message: str
):
    with pytest.raises(ConfigRefusal, match=message):
        check_space(sweep_of(parameters, **settings), toy_configs, {})


def test_what_the_plan_lays_over_every_experiment_cannot_be_searched(toy_configs: Path):
    sweep = sweep_of({RATE: {"low": 0.1, "high": 1.0}})
    check_space(sweep, toy_configs, {"optimizer": {"weight_decay": 0.1}})
    with pytest.raises(ConfigRefusal, match=f"lays {RATE} over"):
        check_space(sweep, toy_configs, {"optimizer": {"learning_rate": 0.1}})


def test_trial_settings_and_values_are_laid_over_the_base():
    sweep = Sweep(
        name="s", base="mini_vgg", parameters={RATE: Parameter(low=0.1, high=1.0)},
        trial_settings={"training": {"epochs": 3}},
    )  # fmt: skip
    trial = trial_experiment(sweep, {RATE: 0.5, "network.dropout": 0.1}, SHIPPED, {"seed": 4})
    base = load_experiment("mini_vgg", SHIPPED)
    assert (trial.optimizer.learning_rate, trial.training.epochs, trial.seed) == (0.5, 3, 4)
    assert trial.network.parameters["dropout"] == 0.1
    assert trial.optimizer.weight_decay == base.optimizer.weight_decay


def test_a_network_chosen_whole_comes_before_its_parameters():
    values = {"network.dropout": 0.1, "network": "small_vgg", "seed": 1}
    assert nested(values) == {"network": {"name": "small_vgg", "dropout": 0.1}, "seed": 1}


def test_what_a_parameter_holds():
    grid = Parameter(low=0.0, high=0.4, step=0.2)
    assert [grid.holds(value) for value in (0.0, 0.2, 0.4, 0.3, 0.6, None, True)] == [True] * 3 + [False] * 4
    assert Parameter(low=1, high=9).holds(3) and not Parameter(low=1, high=9).holds(3.5)
    assert Parameter(choices=[[1, 2], "a"]).holds([1, 2])


def test_a_choice_is_the_base_s_value_however_it_is_spelled_but_true_is_not_1(toy_configs: Path):
    sweep = sweep_of({"optimizer.weight_decay": {"choices": [0, 0.2]}})
    (first,) = base_values(sweep, load_experiment("first", toy_configs)).values()
    assert first == 0 and isinstance(first, int)  # the base says 0.0
    assert propose(sweep, 3, [], {"optimizer.weight_decay": first}).values == {"optimizer.weight_decay": 0}
    assert not Parameter(choices=[0, 1]).holds(True) and not Parameter(choices=[[0], [1]]).holds([False])
    mixed = Parameter(choices=[1, True, {"a": 1.0}])
    assert [mixed.place(value) for value in (1.0, True, {"a": 1})] == [0, 1, 2]
    assert isinstance(Parameter(low=1, high=9).spelled(3.0), int)


@pytest.mark.parametrize(
    ("key", "choices"),
    [
        ("training.pseudo_labels.confidence", [0.5, 0.9]),
        ("training.pseudo_labels", [None, {"teachers": ["second"]}]),
        ("training", [{"epochs": 2}, {"pseudo_labels": {"teachers": ["second"]}}]),
    ],
)
def test_pseudo_labels_are_not_searched(toy_configs: Path, key: str, choices: list[Any]):
    with pytest.raises(ConfigRefusal, match=r"is not searched: teachers were trained on the inner split"):
        check_space(sweep_of({key: {"choices": choices}}, pruner="none"), toy_configs, {})


TAUGHT = {"training": {"pseudo_labels": {"teachers": ["second"]}}}


@pytest.mark.parametrize(("trial_settings", "overrides"), [(TAUGHT, {}), ({}, TAUGHT)])
def test_trials_that_would_learn_from_pseudo_labels_are_refused(
    toy_configs: Path, trial_settings: dict[str, Any], overrides: dict[str, Any]
):
    sweep = sweep_of({RATE: {"low": 0.1, "high": 1.0}}, trial_settings=trial_settings)
    with pytest.raises(ConfigRefusal, match="first learns from pseudo-labels of second"):
        check_space(sweep, toy_configs, overrides)


@pytest.mark.parametrize("path", sorted((SHIPPED / "sweeps").glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_sweeps_hold_their_base_and_open_with_question_command_and_cost(path: Path):
    sweep = load_sweep(path.stem, SHIPPED)
    check_space(sweep, SHIPPED, {})
    assert base_values(sweep, load_experiment(sweep.base, SHIPPED)) is not None
    question, command, cost = path.read_text().splitlines()[1:4]  # the first names the schema
    assert question.endswith("?") and f"histoblend sweep {path.stem}" in command and "Cost" in cost
