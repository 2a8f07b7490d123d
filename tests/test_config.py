from __future__ import annotations

from pathlib import Path

import pytest

from histoblend.config import parse_duration
from histoblend.config_experiment import Experiment
from histoblend.config_files import load_experiment, load_plan, plan_experiments
from histoblend.config_settings import merged
from histoblend.errors import ConfigRefusal, nearest
from histoblend.yaml_files import read_yaml


def put(configs: Path, name: str, text: str) -> Path:
    (configs / name).write_text(text)
    return configs


def experiment(configs: Path, text: str) -> Experiment:
    return load_experiment("one", put(configs, "experiments/one.yaml", text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("network: small_vgg\ntraning: {}", r"unknown key 'traning'. Did you mean training"),
        ("network: small_vgg\ntraining: {epoch: 3}", r"'training.epoch'. Did you mean epochs"),
        (
            "network: small_vgg\noptimizer: {name: adamv}",
            r"optimizer.name: unknown value 'adamv'. Did you mean adam",
        ),
        ("network: small_vgg\nschedule: {name: cosin}", "Did you mean cosine"),
        ("network: small_vg", "Did you mean small_vgg"),
        ("network: {name: small_vgg, width: [4]}", "Did you mean widths"),
        ("network: small_vgg\naugmentation: hevy", "heavy"),
        ("network: small_vgg\naugmentation: [{name: HorizontalFlop}]", "HorizontalFlip"),
        ("network: small_vgg\ntraining: {epochs: 0}", r"training.epochs: .*greater than or equal to 1"),
        ("network: small_vgg\ntraining: {batch_size: many}", r"training.batch_size: .*found 'many'"),
        ("network: small_vgg\nviews: 3", "views"),
        ("training: {epochs: 3}", "network"),
        ("[1, 2]", "holds a list"),
        ("network: {", "cannot be read"),
        ("network: small_vgg\nseed: 1\nseed: 2", "key 'seed' stands twice"),
        ("network: small_vgg\ntraining: {ema: 0.5, ema: 0.9}", "key 'ema' stands twice"),
    ],
)
def test_what_is_wrong_in_a_file_is_named_with_what_would_be_right(
    toy_configs: Path, text: str, message: str
):
    with pytest.raises(ConfigRefusal, match=message):
        experiment(toy_configs, text)


def test_a_blends_rule_alone_is_short_for_its_block(toy_configs: Path):
    plan = "experiments: [first]\n"
    put(toy_configs, "plans/one.yaml", f"{plan}blend: greedy")
    assert load_plan("one", toy_configs).blend.rule == "greedy"
    changed = load_plan("one", toy_configs, ("blend.gate=0.98",)).blend
    assert (changed.rule, changed.gate) == ("greedy", 0.98)
    assert load_plan("one", toy_configs, ("blend=auto",)).blend.rule == "auto"
    assert load_plan("toy", toy_configs).blend.rule == "auto"


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("blend=gredy", "Did you mean greedy"),
        ("blend.rule=rank", "Did you mean rank_mean"),
        ("blend.rule=weighted", "rule weighted has no weights"),
        ("blend.weights={first: 0}", "weights gives no experiment any weight"),
        ("blend.weights={first: -1}", "greater than or equal to 0"),
        ("blend.weights={first: .inf}", "finite number"),
    ],
)
def test_a_blend_that_cannot_be_is_refused(toy_configs: Path, setting: str, message: str):
    with pytest.raises(ConfigRefusal, match=message):
        load_plan("toy", toy_configs, (setting,))


def test_names_that_do_not_exist_name_the_nearest(toy_configs: Path):
    with pytest.raises(ConfigRefusal, match=r"no plan named 'to'(.|\n)*toy"):
        load_plan("to", toy_configs)
    put(toy_configs, "plans/wrong.yaml", "experiments: [frist]")
    with pytest.raises(ConfigRefusal, match=r"no experiment named 'frist'(.|\n)*first"):
        plan_experiments(load_plan("wrong", toy_configs), toy_configs)
    assert nearest("zzz", ["a", "b"]) == "Valid: a, b."


@pytest.mark.parametrize("number", ["1e-3", "1.0e-3", ".001", "0.001"])
def test_numbers_are_numbers_however_they_are_written(toy_configs: Path, number: str):
    """YAML 1.1 reads 1e-3 as text."""
    text = f"network: small_vgg\noptimizer: {{learning_rate: {number}}}"
    assert experiment(toy_configs, text).optimizer.learning_rate == 0.001
    plan = load_plan("toy", toy_configs, [f"optimizer.learning_rate={number}"])
    assert plan_experiments(plan, toy_configs)[0].optimizer.learning_rate == 0.001


def test_bom_and_windows_lines_are_fine(toy_configs: Path):
    (toy_configs / "experiments/one.yaml").write_bytes(b"\xef\xbb\xbfnetwork: small_vgg\r\nseed: 3\r\n")
    assert load_experiment("one", toy_configs).seed == 3


def test_settings_go_to_the_plan_or_to_every_experiment(toy_configs: Path):
    settings = ["tta=8", "folds.count=3", "training.epochs=7", "network.dropout=0.1", "augmentation=none"]
    plan = load_plan("toy", toy_configs, settings)
    assert (plan.tta, plan.folds.count) == (8, 3)
    for one in plan_experiments(plan, toy_configs):
        assert one.training.epochs == 7
        assert one.training.batch_size == 16  # the rest of the block stays
        assert one.network.parameters["dropout"] == 0.1
        assert one.augmentation == "none"


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("trainig.epochs=3", "unknown key 'trainig'. Did you mean training"),
        ("folds.cuont=3", "Did you mean count"),
        ("training.epochs", "has no value"),
        ("=3", "has no value"),
        ("tta=5", "tta"),
        ("tta.x=5", "tta"),
        ("folds=[", "folds"),
        ("budget=soon", "not a duration"),
        ("budget=0s", "no time for anything"),
        ("seeds=[0, 0]", "seeds"),
        ("experiments=[first, first]", "experiments"),
    ],
)
def test_a_wrong_setting_is_named(toy_configs: Path, setting: str, message: str):
    with pytest.raises(ConfigRefusal, match=message):
        load_plan("toy", toy_configs, [setting])


def test_a_wrong_setting_of_the_experiments_is_named(toy_configs: Path):
    plan = load_plan("toy", toy_configs, ["training.epoch=3"])
    with pytest.raises(ConfigRefusal, match="Did you mean epochs"):
        plan_experiments(plan, toy_configs)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("11h", 39600), ("40m", 2400), ("90s", 90), ("1h30m", 5400), ("1h0m5s", 3605), ("0.5h", 1800)],
)
def test_durations(text: str, seconds: float):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", " ", "11", "h", "-1h", "1d", "30m1h", "1h x"])
def test_what_is_no_duration(text: str):
    with pytest.raises(ValueError, match="not a duration"):
        parse_duration(text)


def test_seeds_make_experiments_of_their_own(toy_configs: Path):
    plan = load_plan("toy", toy_configs, ["seeds=[0, 4]", "seed=10"])
    named = {one.name: one.seed for one in plan_experiments(plan, toy_configs)}
    assert named == {"first": 10, "first.seed4": 14, "second": 10, "second.seed4": 14}


def test_an_experiment_may_say_seeds_of_its_own(toy_configs: Path):
    put(toy_configs, "experiments/first.yaml", "network: small_vgg\nseed: 10\nseeds: [0, 1, 5]")
    plan = load_plan("toy", toy_configs)
    named = {one.name: one.seed for one in plan_experiments(plan, toy_configs)}
    assert named == {"first": 10, "first.seed1": 11, "first.seed5": 15, "second": 0}
    assert list(named)[:3] == [one.name for one in plan_experiments(plan, toy_configs, ["first"])]
    [one] = plan_experiments(plan, toy_configs, ["first.seed5"])
    assert (one.name, one.seed) == ("first.seed5", 15)
    with pytest.raises(ConfigRefusal, match=r"no experiment first\.seed4.*(.|\n)*Did you mean first\.seed"):
        plan_experiments(plan, toy_configs, ["first.seed4"])
    wider = load_plan("toy", toy_configs, ["seeds=[0, 7]"])
    assert [one.name for one in plan_experiments(wider, toy_configs)] == [*named, "second.seed7"]


@pytest.mark.parametrize("seeds", ["[]", "[1, 1]", "[-1]", "3"])
def test_seeds_are_numbers_each_once(toy_configs: Path, seeds: str):
    with pytest.raises(ConfigRefusal, match="seeds"):
        experiment(toy_configs, f"network: small_vgg\nseeds: {seeds}")


def test_a_teacher_named_without_a_seed_is_all_its_seeds(toy_configs: Path):
    put(toy_configs, "experiments/first.yaml", "network: small_vgg\nseeds: [0, 1]")
    text = "network: small_vgg\ntraining: {pseudo_labels: {teachers: [%s], confidence: 0.9}}"
    put(toy_configs, "experiments/one.yaml", text % "first, second")
    plan = load_plan("toy", toy_configs)
    for only in (["one"], ["one", "first", "second"]):  # who is in the run is no matter
        student = next(one for one in plan_experiments(plan, toy_configs, only) if one.name == "one")
        assert student.teachers == ("first", "first.seed1", "second")
        assert student.training.pseudo_labels.confidence == 0.9
    seeded = load_plan("toy", toy_configs, ["seeds=[0, 3]"])
    students = plan_experiments(seeded, toy_configs, ["one"])
    assert [one.name for one in students] == ["one", "one.seed3"]
    assert {one.teachers for one in students} == {("first", "first.seed1", "second", "second.seed3")}
    put(toy_configs, "experiments/one.yaml", text % "first.seed1, elsewhere")
    [student] = plan_experiments(plan, toy_configs, ["one"])
    assert student.teachers == ("first.seed1", "elsewhere")


def test_merging_goes_key_by_key_and_replaces_lists():
    base = {"training": {"epochs": 1, "ema": 0.9}, "list": [1, 2], "network": "a"}
    over = {"training": {"epochs": 2}, "list": [3], "network": {"dropout": 0.1}}
    result = merged(base, over)
    assert result == {
        "training": {"epochs": 2, "ema": 0.9}, "list": [3], "network": {"name": "a", "dropout": 0.1},
    }  # fmt: skip
    assert base["training"] == {"epochs": 1, "ema": 0.9}


@pytest.mark.parametrize(
    ("text", "needs"),
    [
        ("", False),
        ("training: {selection: best}", True),
        ("training: {stop_patience: 2}", True),
        ("schedule: {name: plateau}", True),
    ],
)
def test_whatever_watches_a_metric_needs_an_inner_split(toy_configs: Path, text: str, needs: bool):
    assert experiment(toy_configs, f"network: small_vgg\n{text}").needs_inner_split is needs


def test_an_empty_file_is_an_empty_mapping(tmp_path: Path):
    (tmp_path / "a.yaml").write_text("# nothing\n")
    assert read_yaml(tmp_path / "a.yaml") == {}
