"""Schemas: complete, up to date, and of one mind with loading."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from histoblend.config import Plan
from histoblend.config_experiment import Experiment
from histoblend.config_files import load_experiment, load_plan, plan_experiments, recipe_content
from histoblend.config_recipe import PIECES
from histoblend.data.augmentation_presets import PRESETS
from histoblend.errors import ConfigRefusal
from histoblend.models.registry import NETWORKS
from histoblend.schema import RENEW, schema_command, schemas, write_schemas
from histoblend.searching.space import check_space
from histoblend.searching.sweep_config import load_sweep
from histoblend.yaml_files import read_yaml

SHIPPED_CONFIGS = Path(__file__).parents[1] / "configs"
FILES = {
    kind: sorted((SHIPPED_CONFIGS / f"{kind}s").rglob("*.yaml"))
    for kind in ("plan", "experiment", "recipe", "sweep")
}
SHIPPED = [pytest.param(kind, path, id=path.stem) for kind, paths in FILES.items() for path in paths]


@pytest.fixture(scope="module")
def validators() -> dict[str, Draft202012Validator]:
    found = {}
    for kind, schema in schemas().items():
        Draft202012Validator.check_schema(schema)
        found[kind] = Draft202012Validator(schema)
    return found


def test_the_shipped_schemas_are_up_to_date(tmp_path: Path):
    for path in write_schemas(tmp_path):
        shipped = SHIPPED_CONFIGS / "schema" / path.name
        assert shipped.exists() and shipped.read_text() == path.read_text(), f"renew them: {RENEW}"


@pytest.mark.parametrize(("kind", "path"), SHIPPED)
def test_every_shipped_file_names_its_schema_and_fits_it(
    kind: str, path: Path, validators: dict[str, Draft202012Validator]
):
    first = path.read_text().splitlines()[0]
    assert first == f"# yaml-language-server: $schema=../schema/{kind}.schema.json"
    assert (path.parent / first.partition("$schema=")[2]).resolve().is_file()
    assert [error.message for error in validators[kind].iter_errors(read_yaml(path))] == []


def blocks(schema: Any, where: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema inside a schema that describes a mapping."""
    if isinstance(schema, dict):
        if isinstance(schema.get("properties"), dict):
            yield where, schema
        for key, value in schema.items():
            yield from blocks(value, f"{where}/{key}")
    elif isinstance(schema, list):
        for number, value in enumerate(schema):
            yield from blocks(value, f"{where}/{number}")


def described(schema: dict[str, Any], definitions: dict[str, Any]) -> bool:
    below = definitions.get(schema.get("$ref", "").rpartition("/")[2], {})
    return bool(schema.get("description") or below.get("description"))


@pytest.mark.parametrize("kind", ["plan", "experiment", "recipe", "sweep"])
def test_every_field_has_a_description_and_no_block_takes_unknown_keys(kind: str):
    schema = schemas()[kind]
    fields = 0
    for where, block in blocks(schema):
        if where.endswith(("/if", "/then")):  # conditions on fields that are described elsewhere
            continue
        for key, value in block["properties"].items():
            assert described(value, schema["$defs"]), f"{where}: {key}"
            fields += 1
        if where != "/$defs/Transform":  # its keys depend on its name
            assert block.get("additionalProperties") is False, where
    assert fields > (40 if kind == "recipe" else 80)


def keys_of(model: type) -> set[str]:
    return set(model.model_fields) - {"name"}  # type: ignore[attr-defined]


def test_what_the_settings_and_registries_hold_is_in_the_schemas():
    plan, experiment = schemas()["plan"], schemas()["experiment"]
    assert set(plan["properties"]) == keys_of(Plan)
    assert set(experiment["properties"]) == keys_of(Experiment) | {"base"}
    assert set(plan["$defs"]["Overrides"]["properties"]) == keys_of(Experiment)
    assert set(schemas()["recipe"]["properties"]) == set(PIECES)
    assert experiment["properties"]["augmentation"]["anyOf"][0]["enum"] == list(PRESETS)
    named, *branches = experiment["$defs"]["Network"]["anyOf"]
    assert [one["const"] for one in named["oneOf"]] == list(NETWORKS)
    assert sorted(name for branch in branches for name in branch["properties"]["name"]["enum"]) == sorted(
        NETWORKS
    )


EXPERIMENTS = [
    ("network: small_vgg", True),
    ("network: {name: small_vgg, widths: [8, 16], depths: [1, 1], crop: null}", True),
    ("network: {name: small_vgg, attention: true}", False),  # small_resnet's
    ("network: {name: small_resnet, attention: true}", True),
    ("network: {name: densenet121, weights: none, head: gap}", True),
    ("network: {name: densenet121, widths: [8]}", False),
    ("network: {name: texture_hgb, iterations: 10}", True),
    ("network: {name: course_cnn, widths: []}", False),
    ("network: {name: small_vgg, dropout: 1.0}", False),
    ("network: small_vg", False),
    ("network: {widths: [8]}", False),
    ("network: [small_vgg]", False),
    ("training: {epochs: 3}", False),
    ("", False),
    ("recipe: gentle\nnetwork: small_vgg", True),
    ("recipe: gentle", False),
    ("recipe: null\nnetwork: small_vgg", True),
    ("recipe: 3\nnetwork: small_vgg", False),
    ("network: small_vgg\ntraining: {stages: [{until: 0.1, body: 0.0}]}", True),
    ("network: small_vgg\ntraining: {stages: [{until: 0.1}]}", False),
    ("network: small_vgg\ntraining: {stages: [{until: 1.0, body: 0.5}]}", False),
    ("network: small_vgg\ntraining: {mixup: -1}", False),
    ("network: small_vgg\noptimizer: {first_layer_rate: 0}", False),
    ("base: first", True),
    ("base: first\nnetwork: {dropout: 0.1}\ntraining: {epochs: 3}", True),
    ("base: first\nnetwork: small_resnet", True),
    ("base: first\nnetwork: {droput: 0.1}", False),
    ("base: first\ntraning: {epochs: 3}", False),
    ("base: 3", False),
    ("base: ''", False),
    ("name: one\nnetwork: small_vgg", False),
    ("network: small_vgg\ntraning: {}", False),
    ("network: small_vgg\ntraining: {epoch: 3}", False),
    ("network: small_vgg\ntraining: {epochs: 0}", False),
    ("network: small_vgg\ntraining: {epochs: 2.5}", False),
    ("network: small_vgg\ntraining: {batch_size: many}", False),
    ("network: small_vgg\ntraining: {samples_per_epoch: null, stop_patience: 2}", True),
    ("network: small_vgg\noptimizer: {learning_rate: 1e-3}", True),
    ("network: small_vgg\noptimizer: {name: adamv}", False),
    ("network: small_vgg\noptimizer: null", False),
    ("network: small_vgg\nschedule: {name: step, milestones: [0.2, 1.0]}", False),
    ("network: small_vgg\nviews: 8", True),
    ("network: small_vgg\nviews: 3", False),
    ("network: small_vgg\naugmentation: heavy", True),
    ("network: small_vgg\naugmentation: hevy", False),
    ("network: small_vgg\naugmentation: []", True),
    ("network: small_vgg\naugmentation: [{name: D4, p: 1.0}, {name: StainJitter, scale: [0.9, 1.1]}]", True),
    ("network: small_vgg\naugmentation: [{name: HorizontalFlop}]", False),
    ("network: small_vgg\naugmentation: [{name: D4, strength: 3}]", False),
    ("network: small_vgg\naugmentation: [{p: 0.5}]", False),
    ("network: small_vgg\naugmentation: [D4]", False),
    ("network: small_vgg\naugmentation: [{name: D4, p: 2}]", False),
    ("network: small_vgg\naugmentation: [{name: OneOf, transforms: [{name: D4}, {name: ToGray}]}]", True),
    ("network: small_vgg\naugmentation: [{name: OneOf, transforms: [{name: D5}]}]", False),
    ("network: small_vgg\naugmentation: [{name: OneOf, transforms: []}]", False),
    ("network: small_vgg\naugmentation: [{name: OneOf}]", False),
]  # fmt: skip

RECIPES = [
    ("training: {epochs: 3}", True),
    ("", True),
    ("augmentation: heavy\nprecision: float32", True),
    ("augmentation: [{name: D4, strength: 3}]", False),
    ("augmentation: hevy", False),
    ("optimizer: {name: adamv}", False),
    ("network: small_vgg", False),
    ("base: first", False),
    ("recipe: gentle", False),
    ("seed: 3", False),
    ("name: case", False),
]

PLANS = [
    ("experiments: [first]", True),
    ("experiments: []", False),
    ("experiments: first", False),
    ("experiments: [first, first]", False),
    ("{}", False),
    ("name: one\nexperiments: [first]", False),
    ("experiments: [first]\nexperiment: 3", False),
    ("experiments: [first]\nseeds: [0, 1]", True),
    ("experiments: [first]\nseeds: [1, 1]", False),
    ("experiments: [first]\ntta: 5", False),
    ("experiments: [first]\nbudget: 1h30m", True),
    ("experiments: [first]\nbudget: null", True),
    ("experiments: [first]\nbudget: 0.5h", True),
    ("experiments: [first]\nbudget: soon", False),
    ("experiments: [first]\nbudget: 11", False),
    ("experiments: [first]\nbudget: ''", False),
    ("experiments: [first]\nbudget: 30m1h", False),
    ("experiments: [first]\nfolds: {count: 1}", False),
    ("experiments: [first]\nfolds: {count: 3, slides: map, slide_map: a.csv}", True),
    ("experiments: [first]\nfolds: {slides: maps}", False),
    ("experiments: [first]\ndata: {side: 128, fit: crop}", True),
    ("experiments: [first]\ndata: {side: 97}", False),
    ("experiments: [first]\ndata: {blank: group}", False),
    ("experiments: [first]\nblend: {rule: mean}", False),
    ("experiments: [first]\nblend: auto", True),
    ("experiments: [first]\nblend: rank_mean", True),
    ("experiments: [first]\nblend: mean", False),
    ("experiments: [first]\nblend: null", False),
    ("experiments: [first]\nblend: {rule: weighted, weights: {first: 2}, power: 0.5, gate: 0.98}", True),
    ("experiments: [first]\nblend: {weights: {first: -1}}", False),
    ("experiments: [first]\nblend: {power: 0}", False),
    ("experiments: [first]\nblend: {gate: 1.0}", False),
    ("experiments: [first]\nexecution: {workers: auto, threads: 2}", True),
    ("experiments: [first]\nexecution: {workers: all}", False),
    ("experiments: [first]\noverrides: {training: {epochs: 5}, network: {dropout: 0.1}}", True),
    ("experiments: [first]\noverrides: {training: {epoch: 5}}", False),
    ("experiments: [first]\noverrides: {base: second}", False),
    ("experiments: [first]\noverrides: {recipe: gentle}", True),
    ("experiments: [first]\noverrides: {network: {droput: 0.1}}", False),
    ("experiments: [first]\noverrides: [3]", False),
]  # fmt: skip

RATE = "optimizer.learning_rate: {low: 0.1, high: 1}"
SWEEPS = [
    (f"base: first\nparameters: {{{RATE}}}", True),
    ("base: first\nparameters: {network: {choices: [small_vgg, course_cnn]}}", True),
    ("base: first\nparameters: {optimizer.clip_norm: {choices: [1, null]}}", True),
    ("base: first\nparameters: {network.dropout: {choices: [0, 0.2]}}", True),
    (f"base: first\nparameters: {{{RATE}}}\ntrial_settings: {{training: {{epochs: 3}}}}", True),
    (f"base: first\nparameters: {{{RATE}}}\ntrial_settings: {{training: {{epoch: 3}}}}", False),
    (f"base: first\nparameters: {{{RATE}}}\npruner: often", False),
    (f"base: first\nparameters: {{{RATE}}}\nname: case", False),
    (f"parameters: {{{RATE}}}", False),
    ("base: first\nparameters: {}", False),
    ("base: first\nparameters: {optimizer.lerning_rate: {low: 0.1, high: 1}}", False),
    ("base: first\nparameters: {network.dropuot: {low: 0.1, high: 0.2}}", False),
    ("base: first\nparameters: {seed: {low: 0, high: 9}}", False),
    ("base: first\nparameters: {training.pseudo_labels: {choices: [null, {teachers: [second]}]}}", False),
    ("base: first\nparameters: {optimizer.learning_rate: {low: 0.1}}", False),
    ("base: first\nparameters: {optimizer.learning_rate: {low: 0.1, high: 1, choices: [0.1, 1]}}", False),
    ("base: first\nparameters: {optimizer.learning_rate: {low: 0.1, high: 1, step: 0}}", False),
]  # fmt: skip


def loads(kind: str, name: str, configs: Path) -> bool:
    try:
        if kind == "experiment":
            load_experiment(name, configs)
        elif kind == "recipe":
            recipe_content(name, configs, "here")
        elif kind == "sweep":
            check_space(load_sweep(name, configs), configs, {})
        else:
            plan_experiments(load_plan(name, configs), configs)
    except ConfigRefusal:
        return False
    return True


CASES = [("experiment", *case) for case in EXPERIMENTS] + [("plan", *case) for case in PLANS]
CASES += [("recipe", *case) for case in RECIPES] + [("sweep", *case) for case in SWEEPS]


@pytest.mark.parametrize(("kind", "text", "right"), CASES)
def test_the_schema_and_loading_agree(
    toy_configs: Path, validators: dict[str, Draft202012Validator], kind: str, text: str, right: bool
):
    (toy_configs / "recipes").mkdir()
    (toy_configs / "recipes/gentle.yaml").write_text("optimizer: {learning_rate: 1.0e-4}\n")
    path = toy_configs / f"{kind}s" / "case.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    assert (validators[kind].is_valid(read_yaml(path)), loads(kind, "case", toy_configs)) == (right, right)


def test_the_command_writes_into_the_configs_folder_or_where_it_is_told(toy_configs: Path, tmp_path: Path):
    names = [f"{kind}.schema.json" for kind in ("plan", "experiment", "recipe", "sweep")]
    environment = {"HISTOBLEND_CONFIGS": str(toy_configs)}
    assert schema_command(None, environment) == [toy_configs / "schema" / name for name in names]
    for path in schema_command(tmp_path / "new", {}):
        assert path.parent == tmp_path / "new"
        assert json.loads(path.read_text())["$schema"].endswith("2020-12/schema")


def test_no_backend_is_imported_for_a_schema():
    check = "import sys; from histoblend.schema import schemas; schemas(); "
    check += "sys.exit('keras' in sys.modules or 'tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
