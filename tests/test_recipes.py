"""Recipes: what wins over what, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from histoblend.config_experiment import Experiment
from histoblend.config_files import load_experiment, load_plan, plan_experiments
from histoblend.errors import ConfigRefusal
from histoblend.execution.records import make_record
from histoblend.initialise import initialise
from histoblend.yaml_files import read_yaml

GENTLE = """
optimizer: {name: sgd, learning_rate: 1.0e-4, momentum: 0.5}
schedule: {name: step, milestones: [0.9]}
training: {epochs: 7, batch_size: 4}
augmentation: none
"""
FAST = "optimizer: {learning_rate: 0.5}\ntraining: {epochs: 3}\n"


@pytest.fixture
def configs(toy_configs: Path) -> Path:
    (toy_configs / "recipes").mkdir()
    (toy_configs / "recipes/gentle.yaml").write_text(GENTLE)
    (toy_configs / "recipes/fast.yaml").write_text(FAST)
    return toy_configs


def loaded(configs: Path, text: str, overrides: dict[str, Any] | None = None) -> Experiment:
    (configs / "experiments/one.yaml").write_text(text)
    return load_experiment("one", configs, overrides)


def test_a_recipe_stands_over_the_defaults_and_under_the_file(configs: Path):
    one = loaded(
        configs, "recipe: gentle\nnetwork: small_vgg\noptimizer: {momentum: 0.6}\ntraining: {ema: 0.9}"
    )
    assert one.recipe == "gentle"
    optimizer = one.optimizer
    assert (optimizer.name, optimizer.learning_rate, optimizer.momentum) == ("sgd", 1e-4, 0.6)
    assert (one.training.epochs, one.training.batch_size, one.training.ema) == (7, 4, 0.9)
    assert one.training.label_smoothing == 0 and one.augmentation == "none"
    assert one.schedule.milestones == (0.9,)


def test_a_base_wins_over_the_recipe_whoever_names_it(configs: Path):
    (configs / "experiments/below.yaml").write_text("network: small_vgg\ntraining: {epochs: 5}")
    one = loaded(configs, "base: below\nrecipe: gentle\nseed: 3")
    assert (one.training.epochs, one.training.batch_size, one.seed) == (5, 4, 3)
    (configs / "experiments/below.yaml").write_text(
        "recipe: fast\nnetwork: small_vgg\ntraining: {batch_size: 9}"
    )
    inherited = loaded(configs, "base: below")
    assert (inherited.recipe, inherited.training.epochs, inherited.training.batch_size) == ("fast", 3, 9)
    changed = loaded(configs, "base: below\nrecipe: gentle")
    assert (changed.recipe, changed.training.epochs, changed.training.batch_size) == ("gentle", 7, 9)
    assert changed.optimizer.name == "sgd"


def test_a_plan_wins_over_the_file_and_set_over_the_plan(configs: Path):
    (configs / "experiments/one.yaml").write_text("recipe: gentle\nnetwork: small_vgg\ntraining: {epochs: 5}")
    text = "experiments: [one]\noverrides: {training: {epochs: 6, batch_size: 10}}"
    (configs / "plans/p.yaml").write_text(text)
    [plain] = plan_experiments(load_plan("p", configs), configs)
    assert (plain.training.epochs, plain.training.batch_size) == (6, 10)
    [over] = plan_experiments(load_plan("p", configs, ["training.epochs=8"]), configs)
    assert (over.training.epochs, over.training.batch_size) == (8, 10)


def test_set_may_name_another_recipe_or_none(configs: Path):
    (configs / "experiments/one.yaml").write_text(
        "recipe: gentle\nnetwork: small_vgg\ntraining: {batch_size: 5}"
    )
    (configs / "plans/p.yaml").write_text("experiments: [one]")
    for setting, rate, epochs in (("recipe=fast", 0.5, 3), ("recipe=null", 1e-3, 20)):
        [one] = plan_experiments(load_plan("p", configs, [setting]), configs)
        assert (one.optimizer.learning_rate, one.training.epochs) == (rate, epochs)
        assert one.training.batch_size == 5  # the file's own words stand


def test_recipes_are_laid_over_each_other_in_their_order(configs: Path):
    first_fast = loaded(configs, "recipe: [fast, gentle]\nnetwork: small_vgg\ntraining: {ema: 0.9}")
    last_fast = loaded(configs, "recipe: [gentle, fast]\nnetwork: small_vgg\ntraining: {ema: 0.9}")
    for one, rate, epochs in ((first_fast, 1e-4, 7), (last_fast, 0.5, 3)):
        assert (one.optimizer.learning_rate, one.training.epochs) == (rate, epochs)
        assert (one.optimizer.momentum, one.training.batch_size, one.training.ema) == (0.5, 4, 0.9)
    assert last_fast.recipe == ("gentle", "fast")
    again = loaded(configs, "network: small_vgg", {"recipe": ["gentle", "fast"], "training": {"ema": 0.9}})
    assert again == last_fast


@pytest.mark.parametrize("recipes", ["[]", "[fast, gentle, fast]"])
def test_a_list_of_recipes_holds_at_least_one_and_each_once(configs: Path, recipes: str):
    with pytest.raises(ConfigRefusal, match="recipe"):
        loaded(configs, f"recipe: {recipes}\nnetwork: small_vgg")


@pytest.mark.parametrize("name", ["gentl", "3", "[gentle, gentl]", "[[gentle]]", "../experiments/first"])
def test_a_recipe_that_does_not_exist_names_those_that_do(configs: Path, name: str):
    with pytest.raises(ConfigRefusal, match=r"there is no recipe(.|\n)*gentle"):
        loaded(configs, f"recipe: {name}\nnetwork: small_vgg")
    with pytest.raises(ConfigRefusal, match=r"there is no recipe 'fats'. Did you mean fast"):
        loaded(configs, "network: small_vgg", {"recipe": "fats"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("traning: {epochs: 3}", r"gentle.yaml: unknown key 'traning'. Did you mean training"),
        ("training: {epoch: 3}", r"gentle.yaml: unknown key 'training.epoch'. Did you mean epochs"),
        ("network: small_vgg", r"gentle.yaml: unknown key 'network'"),
        ("recipe: fast", r"gentle.yaml: unknown key 'recipe'"),
        ("augmentation: hevy", r"gentle.yaml: .*heavy"),
        ("training: {average_last: 0.5, ema: 0.9}", r"gentle.yaml: training: ema and average_last"),
    ],
)
def test_what_is_wrong_in_a_recipe_is_named_with_its_file(configs: Path, text: str, message: str):
    (configs / "recipes/gentle.yaml").write_text(text)
    with pytest.raises(ConfigRefusal, match=message):
        loaded(configs, "recipe: gentle\nnetwork: small_vgg")


def test_what_a_recipe_and_its_file_cannot_be_together_is_refused(configs: Path):
    (configs / "recipes/gentle.yaml").write_text("training: {average_last: 0.5}")
    with pytest.raises(ConfigRefusal, match=r"one.yaml: training: ema and average_last"):
        loaded(configs, "recipe: gentle\nnetwork: small_vgg\ntraining: {ema: 0.9}")


def test_where_settings_were_written_is_no_identity(configs: Path):
    data = {"data": "d", "folds": "f", "side": 96, "classes": ["a", "b"]}
    told = loaded(configs, "recipe: gentle\nnetwork: small_vgg")
    spelled_out = loaded(configs, "network: small_vgg\n" + GENTLE)
    records = [make_record(one, 4, "float32", data) for one in (told, spelled_out)]
    assert records[0].fingerprint == records[1].fingerprint
    assert records[0].content["experiment"]["training"]["epochs"] == 7


def test_a_new_experiment_names_its_recipe_and_not_what_that_says(configs: Path):
    environment = {"HISTOBLEND_CONFIGS": str(configs)}
    path = initialise("mine", "first", ["recipe=gentle", "training.ema=0.9"], environment)
    assert read_yaml(path) == {"base": "first", "recipe": "gentle", "training": {"ema": 0.9}}
    found = load_experiment("mine", configs)
    assert (found.optimizer.name, found.training.ema) == ("sgd", 0.9)
    assert found.training.epochs == 2  # the words of the base
