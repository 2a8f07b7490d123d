"""Every shipped file is a test case."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from histoblend.config import Plan
from histoblend.config_experiment import Experiment
from histoblend.config_files import load_experiment, load_plan, plan_experiments, recipe_content
from histoblend.config_recipe import PIECES
from histoblend.config_settings import merged
from histoblend.config_training import Optimizer, Schedule, Settings, Training
from histoblend.initialise import differences
from histoblend.models.registry import check_network, find_network
from histoblend.yaml_files import read_yaml

SHIPPED_CONFIGS = Path(__file__).parents[1] / "configs"
PLANS = sorted((SHIPPED_CONFIGS / "plans").rglob("*.yaml"))
EXPERIMENTS = sorted((SHIPPED_CONFIGS / "experiments").rglob("*.yaml"))
RECIPES = sorted((SHIPPED_CONFIGS / "recipes").rglob("*.yaml"))
SMALL = ("course_cnn", "small_vgg", "small_resnet", "two_stream", "d4_resnet", "d4_densenet")


def name(path: Path) -> str:
    return path.stem


@pytest.mark.parametrize("path", PLANS, ids=name)
def test_plans_load_and_their_experiments_resolve(path: Path):
    plan = load_plan(path.stem, SHIPPED_CONFIGS)
    assert len(plan_experiments(plan, SHIPPED_CONFIGS)) >= len(plan.experiments)


def test_the_three_plans_are_shipped_and_every_experiment_is_reachable():
    assert {"quick", "mini", "kaggle"} <= {path.stem for path in PLANS}
    assert len({path.stem for path in EXPERIMENTS}) == len(EXPERIMENTS)


def restated(settings: Settings, content: dict[str, Any]) -> list[str]:
    """Keys of `content` whose value is the default anyway."""
    found = []
    for key, value in content.items():
        field = type(settings).model_fields[key]
        current = getattr(settings, key)
        if isinstance(current, Settings) and isinstance(value, dict):
            found += [f"{key}.{one}" for one in restated(current, value)]
        elif not field.is_required() and current == field.get_default(call_default_factory=True):
            found.append(key)
    return found


def restated_of_recipe(
    content: dict[str, Any], below: dict[str, Any] | None = None, at: str = ""
) -> list[str]:
    """Keys of `content` whose value is that of its recipe, or of the defaults where that says nothing, anyway."""
    if below is None:
        bare = {"name": "bare", "network": "small_vgg"}
        recipe = recipe_content(content["recipe"], SHIPPED_CONFIGS, "here")
        below = Experiment.model_validate(merged(recipe, bare)).model_dump(mode="json")
    found = []
    for key, value in content.items():
        if key not in ("recipe", "network") or at:
            inside = isinstance(value, dict) and isinstance(below[key], dict)
            found += restated_of_recipe(value, below[key], f"{at}{key}.") if inside else []
            found += [f"{at}{key}"] if not inside and below[key] == value else []
    return found


@pytest.mark.parametrize("path", [*PLANS, *EXPERIMENTS], ids=name)
def test_a_file_states_only_what_differs_from_the_defaults(path: Path):
    content = read_yaml(path)
    settings: Plan | Experiment = (
        load_plan(path.stem, SHIPPED_CONFIGS)
        if path in PLANS
        else load_experiment(path.stem, SHIPPED_CONFIGS)
    )
    if isinstance(settings, Experiment) and "base" in content:
        base = load_experiment(content["base"], SHIPPED_CONFIGS)
        assert content == {"base": base.name, **differences(base, settings)}
        return
    again = restated(settings, content)
    if isinstance(settings, Experiment):
        again = restated_of_recipe(content) if "recipe" in content else again
        network = settings.network
        fields = check_network(network.name, {}).model_dump()
        again += [f"network.{key}" for key, value in network.parameters.items() if fields[key] == value]
    assert again == []


@pytest.mark.parametrize("path", RECIPES, ids=name)
def test_a_recipe_opens_with_its_question_and_its_source_and_says_only_what_differs(path: Path):
    header = [line for line in path.read_text().splitlines() if line.startswith("#")]
    assert header[1].endswith("?") and any(line.startswith("# Source: ") for line in header)
    content = recipe_content(path.stem, SHIPPED_CONFIGS, "here")
    assert content.keys() <= set(PIECES)
    bare = {"name": "bare", "network": "small_vgg"}
    assert restated(Experiment.model_validate(merged(content, bare)), content) == []


def test_the_recipes_that_are_promised_are_there():
    promised = {"one_cycle", "cosine_ema", "finetune_staged", "balanced_epochs"}  # issue 4
    assert promised <= {path.stem for path in RECIPES}


SHARED = {"learning_rate": 3e-3, "weight_decay": 0.02}
PRETRAINED = {
    "convnext_tiny_160": {"learning_rate": 1e-4, "weight_decay": 0.05, "clip_norm": 1.0},
    "densenet121_192": {"learning_rate": 2e-4, "weight_decay": 0.02},
    "efficientnetv2_b0_224": {"learning_rate": 4e-4, "weight_decay": 0.02},
    "resnet50v2_192": {"learning_rate": 2e-4, "weight_decay": 0.02},
}


@pytest.mark.parametrize("stem", PRETRAINED)
def test_what_the_kaggle_plan_trains_with_is_what_its_table_was_made_for(stem: str):
    found = load_experiment(stem, SHIPPED_CONFIGS)
    training = {"epochs": 24, "samples_per_epoch": 16384, "balanced": True, "ema": 0.999}
    assert found.optimizer == Optimizer.model_validate(PRETRAINED[stem])
    assert found.schedule == Schedule(name="one_cycle", warmup=0.1)
    assert found.training == Training.model_validate(training)
    assert found.augmentation == "heavy"


@pytest.mark.parametrize(
    ("stem", "epochs", "final"),
    [("small_vgg", 9, 0.01), ("small_resnet", 9, 0.01), ("digits_vgg", 12, 0.01)],
)
def test_what_the_recipe_replaced_is_what_it_was(stem: str, epochs: int, final: float):
    """The plans' scores were measured with these settings."""
    found = load_experiment(stem, SHIPPED_CONFIGS)
    assert found.optimizer == Optimizer.model_validate(SHARED)
    assert found.schedule == Schedule(name="one_cycle", warmup=0.2, final=final)
    assert found.training == Training(epochs=epochs, batch_size=32)


@pytest.mark.parametrize("path", EXPERIMENTS, ids=name)
def test_an_experiment_opens_with_its_question_its_command_and_its_cost(path: Path):
    header = [line for line in path.read_text().splitlines() if line.startswith("#")]
    assert "?" in header[1]  # the first line names the schema: tests/test_schema.py
    assert any("histoblend run" in line for line in header)
    assert "placeholder" not in " ".join(header)


def trained() -> list[Any]:
    cases = []
    for path in EXPERIMENTS:
        network = find_network(load_experiment(path.stem, SHIPPED_CONFIGS).network.name)
        if network.kind == "keras":
            slow = (
                []
                if load_experiment(path.stem, SHIPPED_CONFIGS).network.name in SMALL
                else [pytest.mark.slow]
            )
            cases.append(pytest.param(path, id=path.stem, marks=slow))
    return cases


@pytest.mark.parametrize("path", trained())
def test_every_network_builds_and_takes_a_step(path: Path, tmp_path: Path):
    from histoblend.data.batches import Sampling, TrainingFeed
    from histoblend.data.feed_workers import FeedWorkers
    from histoblend.data.training_rows import TrainingRows
    from histoblend.training.fit import FitJob, build_model, compile_model

    experiment = load_experiment(path.stem, SHIPPED_CONFIGS)
    if "weights" in check_network(experiment.network.name, {}).model_dump():
        parameters = {"name": experiment.network.name, **experiment.network.parameters, "weights": "none"}
        experiment = load_experiment(path.stem, SHIPPED_CONFIGS, {"network": parameters})
    rows = TrainingRows("", np.arange(8), np.array([0, 1] * 4, np.int8))
    feed = TrainingFeed(rows, Sampling(0, 2), [], FeedWorkers(0))
    model = build_model(experiment, "float32")
    compile_model(model, FitJob(experiment, feed, "", "float32", tmp_path / "state"))
    patches = np.random.default_rng(0).integers(0, 256, (2, 96, 96, 3), dtype=np.uint8)
    before = [np.array(one) for one in model.trainable_variables]
    loss = model.train_on_batch(patches, np.array([[0.0], [1.0]], np.float32))
    assert np.isfinite(loss).all()
    assert any(
        not np.array_equal(old, one) for old, one in zip(before, model.trainable_variables, strict=True)
    )
