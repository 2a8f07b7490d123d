"""What is tried, and with which recipe."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from histoblend.config_files import load_experiment
from histoblend.errors import ConfigRefusal, MachineRefusal
from histoblend.execution import preflight
from histoblend.trials import recipe as recipes
from histoblend.trials.recipe import Asked, chosen_trials, trainable_networks

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.fixture
def weights_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "has_internet", lambda: False)
    monkeypatch.setattr(preflight, "attached_folders", lambda: [])
    monkeypatch.setattr(preflight, "keras_home", lambda: Path("/nowhere"))


@pytest.fixture
def weights_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipes, "starting_weights", lambda experiments, side: {})


def test_all_networks_get_the_one_recipe(weights_nowhere: None):
    trials = chosen_trials(Asked(random_weights=True), CONFIGS, 96)
    recipe = load_experiment("mini_resnet", CONFIGS)
    assert [trial.name for trial in trials] == list(trainable_networks())
    for trial in trials:
        experiment = trial.experiment
        assert experiment.network.name == trial.name
        assert experiment.input_size == 96
        assert (experiment.optimizer, experiment.schedule) == (recipe.optimizer, recipe.schedule)
        assert experiment.augmentation == recipe.augmentation


def test_weights_that_are_not_to_be_had_are_refused_by_name(weights_nowhere: None):
    asked = Asked(("mobilenet_v2", "small_vgg"), ("densenet121_192",))
    for one in (
        asked,
        replace(asked, random_weights=True),
    ):  # random never where an experiment says otherwise
        with pytest.raises(MachineRefusal, match=r"densenet121_weights.*densenet121_192") as refused:
            chosen_trials(one, CONFIGS, 96)
        assert "--random-weights" in refused.value.remedy
        assert ("mobilenet_v2_weights" in refused.value.found) != one.random_weights


def test_weights_are_random_where_that_is_asked_for_and_say_so(weights_nowhere: None):
    backbone, small = chosen_trials(Asked(("densenet121", "small_vgg"), random_weights=True), CONFIGS, 96)
    assert backbone.weights == backbone.experiment.network.parameters["weights"] == "none"
    assert small.weights == "from scratch" and small.experiment.network.parameters == {}


def test_weights_that_are_there_are_taken_with_a_tenth_of_the_rate(weights_everywhere: None):
    (backbone,) = chosen_trials(Asked(("densenet121",)), CONFIGS, 96)
    recipe = load_experiment("mini_resnet", CONFIGS)
    assert backbone.weights == "imagenet" and "weights" not in backbone.experiment.network.parameters
    assert backbone.experiment.optimizer.learning_rate == pytest.approx(recipe.optimizer.learning_rate / 10)


def test_an_experiment_brings_its_own_recipe_and_network(weights_nowhere: None):
    (trial,) = chosen_trials(Asked(experiments=("mini_vgg_colour",)), CONFIGS, 96)
    own = load_experiment("mini_vgg_colour", CONFIGS)
    assert trial.recipe == trial.name == "mini_vgg_colour"
    assert trial.experiment.network == own.network and trial.experiment.seed == own.seed
    assert trial.experiment.augmentation == own.augmentation


@pytest.mark.parametrize(
    "asked", [Asked(experiments=("mini_pseudo",)), Asked(("small_vgg",), recipe="mini_pseudo")]
)
def test_students_are_refused(asked: Asked):
    """A trial empties the test part, from which they learn."""
    with pytest.raises(ConfigRefusal, match=r"(mini_pseudo|small_vgg) learns from pseudo-labels"):
        chosen_trials(asked, CONFIGS, 96)


def test_what_cannot_be_tried_is_refused(weights_nowhere: None):
    with pytest.raises(ConfigRefusal, match="texture_hgb is no network"):
        chosen_trials(Asked(("texture_hgb",)), CONFIGS, 96)
    with pytest.raises(ConfigRefusal, match="Did you mean small_vgg"):
        chosen_trials(Asked(("smal_vgg",)), CONFIGS, 96)
    with pytest.raises(ConfigRefusal, match="small_vgg would be tried twice"):
        chosen_trials(Asked(("small_vgg",), ("small_vgg",)), CONFIGS, 96)
