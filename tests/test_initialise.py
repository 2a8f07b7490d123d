"""A new experiment file: literally the differences, loaded as it was meant, runnable as it says."""

from __future__ import annotations

from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from histoblend.config_experiment import Experiment
from histoblend.config_files import beyond_plan, load_experiment, load_plan, plan_experiments
from histoblend.config_settings import merged
from histoblend.errors import ConfigRefusal
from histoblend.execution.records import make_record
from histoblend.initialise import initialise
from histoblend.schema import schemas
from histoblend.yaml_files import read_yaml

ABOUT = {"data": "d", "folds": "f", "side": 96, "classes": ["no tumour", "tumour"]}


def init(configs: Path, name: str, source: str, *settings: str) -> Path:
    return initialise(name, source, settings, {"HISTOBLEND_CONFIGS": str(configs)})


def put(configs: Path, name: str, text: str) -> None:
    (configs / "experiments" / f"{name}.yaml").write_text(text)


def alike(one: Experiment, other: Experiment) -> bool:
    return (
        make_record(one, 4, "float32", ABOUT).fingerprint
        == make_record(other, 4, "float32", ABOUT).fingerprint
    )


def test_a_new_file_holds_the_base_and_what_differs_only(toy_configs: Path):
    settings = ["training.epochs=7", "training.batch_size=16", "optimizer.learning_rate=1e-2", "seed=3"]
    path = init(toy_configs, "third", "first", *settings)
    assert path == toy_configs / "experiments" / "third.yaml"
    # batch size and learning rate are the base's anyway
    assert read_yaml(path) == {"base": "first", "training": {"epochs": 7}, "seed": 3}
    third = load_experiment("third", toy_configs)
    assert (third.training.epochs, third.training.batch_size, third.seed) == (7, 16, 3)
    assert third.network == load_experiment("first", toy_configs).network
    assert Draft202012Validator(schemas()["experiment"]).is_valid(read_yaml(path))


def test_its_header_names_the_schema_asks_for_the_question_and_says_a_command_that_works(toy_configs: Path):
    path = init(toy_configs, "third", "first")
    schema, question, command, cost = path.read_text().splitlines()[:4]
    assert schema == "# yaml-language-server: $schema=../schema/experiment.schema.json"
    assert (path.parent / schema.partition("=")[2]).resolve().is_file()
    assert "(your question)" in question and "?" in question
    assert cost == "# Cost and score: not run yet."
    words = command.removeprefix("# histoblend run ").split()
    assert words == ["toy", "--experiments", "third"]
    plan = load_plan(words[0], toy_configs)
    assert [one.name for one in plan_experiments(plan, toy_configs, [words[2]])] == ["third"]


def test_the_same_experiment_under_another_name_has_the_same_identity(toy_configs: Path):
    init(toy_configs, "third", "first")
    third = load_experiment("third", toy_configs)
    assert alike(third, load_experiment("first", toy_configs))
    assert third.name == "third"


@pytest.mark.parametrize("settings", [["network=small_resnet"], ["network.name=small_resnet"]])
def test_another_network_brings_its_own_defaults(toy_configs: Path, settings: list[str]):
    path = init(toy_configs, "third", "first", *settings)  # first has depths, which small_resnet lacks
    assert read_yaml(path) == {"base": "first", "network": "small_resnet"}
    assert load_experiment("third", toy_configs).network.parameters == {}
    other = init(toy_configs, "fourth", "first", *settings, "network.attention=true", "network.dropout=0.2")
    assert read_yaml(other)["network"] == {"name": "small_resnet", "attention": True}  # 0.2 is its default


def test_a_parameter_of_the_same_network_leaves_the_others(toy_configs: Path):
    path = init(toy_configs, "third", "first", "network.head=gap")
    assert read_yaml(path) == {"base": "first", "network": {"head": "gap"}}
    assert load_experiment("third", toy_configs).network.parameters == {
        "widths": [4, 8], "depths": [1, 1], "head": "gap",
    }  # fmt: skip


def test_a_block_that_the_base_has_not_leaves_its_own_defaults_out(toy_configs: Path):
    settings = ["training.pseudo_labels={teachers: [first, second], confidence: 0.9, soft: true}"]
    path = init(toy_configs, "third", "first", *settings)
    taught = {"teachers": ["first", "second"], "confidence": 0.9}
    assert read_yaml(path) == {"base": "first", "training": {"pseudo_labels": taught}}
    pseudo = load_experiment("third", toy_configs).training.pseudo_labels
    assert pseudo is not None and (pseudo.confidence, pseudo.weight, pseudo.soft) == (0.9, 1.0, True)
    init(toy_configs, "fourth", "third", "training.pseudo_labels.weight=0.5")
    assert read_yaml(path.with_stem("fourth"))["training"] == {"pseudo_labels": {"weight": 0.5}}
    init(toy_configs, "fifth", "third", "training.pseudo_labels=null")
    assert read_yaml(path.with_stem("fifth"))["training"] == {"pseudo_labels": None}
    assert load_experiment("fifth", toy_configs).training.pseudo_labels is None


def test_lists_are_replaced_and_readable(toy_configs: Path):
    path = init(toy_configs, "third", "first", "augmentation=[{name: D4, p: 1.0}, {name: ToGray, p: 0.1}]")
    assert "- {name: D4, p: 1.0}\n" in path.read_text()
    assert "augmentation:\n" in path.read_text()


@pytest.mark.parametrize(
    ("name", "source", "settings", "message"),
    [
        ("first", "second", [], "experiment first already"),
        ("FIRST", "second", [], "experiment first already"),
        ("third", "frist", [], "Did you mean first"),
        ("third", "first", ["training.epoch=3"], "Did you mean epochs"),
        ("third", "first", ["training.epochs=0"], "greater than or equal to 1"),
        ("third", "first", ["network.depths=[1]"], "depths has 1"),
        ("third", "first", ["trainig.epochs=3"], "Did you mean training"),
        ("third", "first", ["folds.count=3"], "unknown key 'folds'"),
        ("third", "first", ["name=other"], "unknown key 'name'"),
        ("third", "first", ["base=second"], "unknown key 'base'"),
        ("third", "first", ["seed"], "has no value"),
        *(
            (name, "first", [], "no name for an experiment")
            for name in ("", "a/b", "..", "a b", "a.yaml", "-a")
        ),
        ("a.seed1", "first", [], "no name for an experiment"),  # the name of an experiment's second seed
    ],
)
def test_what_cannot_be_is_refused_and_leaves_no_file(
    toy_configs: Path, name: str, source: str, settings: list[str], message: str
):
    before = sorted(toy_configs.rglob("*"))
    with pytest.raises(ConfigRefusal, match=message):
        init(toy_configs, name, source, *settings)
    assert sorted(toy_configs.rglob("*")) == before


def test_a_source_that_no_base_can_name_is_refused(toy_configs: Path, tmp_path: Path):
    elsewhere = tmp_path / "far.yaml"
    elsewhere.write_text("network: small_vgg\n")
    with pytest.raises(ConfigRefusal, match="does not lie under"):
        init(toy_configs, "third", str(elsewhere))
    path = init(toy_configs, "third", str(toy_configs / "experiments" / "first.yaml"))
    assert read_yaml(path) == {"base": "first"}


def test_bases_stand_on_bases(toy_configs: Path):
    put(toy_configs, "third", "base: first\ntraining: {epochs: 5}\naugmentation: light\n")
    put(toy_configs, "fourth", "base: third\ntraining: {batch_size: 8}\n")
    fourth = load_experiment("fourth", toy_configs)
    assert (fourth.training.epochs, fourth.training.batch_size, fourth.augmentation) == (5, 8, "light")
    path = init(toy_configs, "fifth", "fourth", "training.epochs=6")
    assert read_yaml(path) == {"base": "fourth", "training": {"epochs": 6}}
    assert "histoblend run toy --experiments fifth" in path.read_text()  # first is in toy
    laid_over = load_experiment("fifth", toy_configs, {"training": {"epochs": 9}})
    assert (laid_over.training.epochs, laid_over.training.batch_size) == (9, 8)


@pytest.mark.parametrize("circle", [{"a": "a"}, {"a": "b", "b": "a"}, {"a": "b", "b": "c", "c": "b"}])
def test_bases_in_a_circle_are_refused(toy_configs: Path, circle: dict[str, str]):
    for name, base in circle.items():
        put(toy_configs, name, f"base: {base}\n")
    with pytest.raises(ConfigRefusal, match="go in a circle: a -> "):
        load_experiment("a", toy_configs)


def test_a_base_that_does_not_exist_names_the_nearest(toy_configs: Path):
    put(toy_configs, "third", "base: frist\n")
    with pytest.raises(ConfigRefusal, match="Did you mean first"):
        load_experiment("third", toy_configs)


def test_merging_networks():
    base = {"network": {"name": "a", "widths": [1], "head": "gap"}}
    assert merged(base, {"network": {"widths": [2]}})["network"] == {
        "name": "a",
        "widths": [2],
        "head": "gap",
    }
    assert merged(base, {"network": "a"}) == base
    assert merged(base, {"network": {"name": "b", "dropout": 0}})["network"] == {"name": "b", "dropout": 0}
    assert merged(base, {"network": "b"})["network"] == {"name": "b"}
    assert merged({"network": "a"}, {"network": {"head": "gap"}})["network"] == {"name": "a", "head": "gap"}


def test_a_run_may_name_experiments_beyond_its_plan(toy_configs: Path):
    put(toy_configs, "third", "base: first\nseed: 5\n")
    plan = load_plan("toy", toy_configs, ["seeds=[0, 4]"])
    assert beyond_plan(plan, toy_configs, ["third", "first", "nowhere"]) == ["third"]
    chosen = plan_experiments(plan, toy_configs, ["third", "second"])
    assert {one.name: one.seed for one in chosen} == {
        "second": 0,
        "second.seed4": 4,
        "third": 5,
        "third.seed4": 9,
    }
    assert [one.name for one in plan_experiments(plan, toy_configs, ["third.seed4"])] == ["third.seed4"]
    assert "third" not in [one.name for one in plan_experiments(plan, toy_configs)]  # unnamed, it stays out
    with pytest.raises(ConfigRefusal, match=r"no experiment thrid(.|\n)*Did you mean third"):
        plan_experiments(plan, toy_configs, ["thrid"])
