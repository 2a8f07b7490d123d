from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from histoblend.blending.mixture import Mixture, mixed
from histoblend.data.pictures import read_picture
from histoblend.errors import ArtifactRefusal, ConfigRefusal
from histoblend.predicting.known_models import usable_models
from histoblend.predicting.trained import Member, TrainedModel, load_trained
from histoblend.workspace import Workspace, read_json, write_json


def predicted(name: str, output: Path, toy: Path) -> tuple[np.ndarray, np.ndarray]:
    """Logits of five test patches, from their files and as the run's test.csv has them."""
    kind = "ensembles" if name.startswith("toy_") else "experiments"
    table = pd.read_csv(output / kind / name / "test.csv", dtype={"id": str}).head(5)
    patches = np.stack([read_picture(toy / "test" / f"{one}.tif") for one in table["id"]])
    return load_trained(name, Workspace(output)).logits(patches)[:, 0], table["logit"].to_numpy()


@pytest.mark.parametrize("name", ["first", "second", "toy_logit_mean", "toy_power_mean"])
def test_a_rebuilt_model_gives_the_logits_of_the_run(name: str, finished: Path, toy: Path) -> None:
    rebuilt, recorded = predicted(name, finished, toy)
    np.testing.assert_allclose(rebuilt, recorded, rtol=2e-2, atol=2e-2)  # bfloat16, in other batches
    assert np.ptp(recorded) > 0.05


def test_views_are_as_recorded_unless_said_otherwise(finished: Path) -> None:
    assert load_trained("first", Workspace(finished)).members[0].views == (0, 1, 2, 3)
    assert load_trained("first", Workspace(finished), 1).members[0].views == (0,)


def test_only_finished_folds_speak_and_that_is_said(finished: Path) -> None:
    (finished / "experiments/first/fold_1/done.json").unlink()
    model = load_trained("first", Workspace(finished))
    assert len(model.members[0].networks) == 1
    assert model.notes == ("first: 1 of its 2 folds are finished; only they are averaged.",)


def with_seeds(finished: Path, *members: str) -> dict[str, float]:
    """Weights of the blend, two more seeds of `first` beside it; `members` of `first` as recorded, if any are."""
    experiments, path = finished / "experiments", finished / "ensembles/toy_logit_mean/weights.json"
    for number in (1, 2):
        (experiments / f"first.seed{number}").symlink_to(experiments / "first")
    content = read_json(path)
    assert content["members"] == {"first": ["first"], "second": ["second"]}
    recorded = {"members": {"first": list(members), "second": ["second"]}} if members else {}
    write_json(path, {key: content[key] for key in ("rule", "weights")} | recorded)
    model = load_trained("toy_logit_mean", Workspace(finished))
    return {member.name: member.weight for member in model.members}


def test_equal_seeds_share_a_members_weight(finished: Path) -> None:
    weights = with_seeds(finished, "first", "first.seed2")
    assert weights == pytest.approx({"first": 1 / 4, "first.seed2": 1 / 4, "second": 1 / 2})


def test_seeds_that_were_not_blended_do_not_speak(finished: Path) -> None:
    assert with_seeds(finished, "first") == pytest.approx({"first": 1 / 2, "second": 1 / 2})


def test_blends_that_name_no_seeds_are_taken_to_hold_all(finished: Path) -> None:
    assert with_seeds(finished) == pytest.approx(
        {"first": 1 / 6, "first.seed1": 1 / 6, "first.seed2": 1 / 6, "second": 1 / 2}
    )


@pytest.mark.parametrize(("space", "power"), [("logit", 1.0), ("probability", 1.0), ("probability", 3.0)])
def test_seeds_are_averaged_in_logits_and_members_as_their_blend_says(space: str, power: float) -> None:
    """On a picture of 2 x 2 cells; a network here is the number it answers with."""
    parts = [("a", (1.0, 2.0), 0.3), ("a.seed1", (4.0, 5.0), 0.3), ("b", (-2.0, -1.0), 0.4)]
    members = tuple(Member(name, networks, (0,), weight) for name, networks, weight in parts)  # type: ignore[arg-type]
    model = TrainedModel("blend", 96, ("no", "yes"), False, members, space=space, power=power)
    found = model.mean(lambda network, views: np.full((2, 2, 1), float(network)))  # type: ignore[arg-type]
    logits = np.array([[[3.0], [-1.5]]])
    expected = mixed(logits, np.zeros(1), Mixture(np.array([0.6, 0.4]), space, power))
    np.testing.assert_allclose(found, np.broadcast_to(expected, (2, 2, 1)))


def test_a_seed_that_is_gone_is_named(finished: Path) -> None:
    with pytest.raises(ArtifactRefusal, match=r"blends first\.seed7"):
        with_seeds(finished, "first", "first.seed7")
    assert "toy_logit_mean" not in usable_models(Workspace(finished))


def test_records_without_side_and_classes_are_of_hcd(finished: Path) -> None:
    path = finished / "experiments/first/config.yaml"
    content = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump({k: v for k, v in content.items() if k not in ("side", "classes")}))
    model = load_trained("first", Workspace(finished))
    assert (model.side, model.classes) == (96, ("no tumour", "tumour"))


def test_changed_weights_are_refused(finished: Path) -> None:
    with (finished / "experiments/first/fold_0/model.weights.h5").open("r+b") as stream:
        stream.seek(3000)
        stream.write(b"moth")
    with pytest.raises(ArtifactRefusal, match=r"model\.weights\.h5"):
        load_trained("first", Workspace(finished))


def test_a_fold_of_another_record_is_refused(finished: Path) -> None:
    done = finished / "experiments/first/fold_0/done.json"
    write_json(done, read_json(done) | {"fingerprint": "other"})
    with pytest.raises(ArtifactRefusal, match="does not belong"):
        load_trained("first", Workspace(finished))


def test_an_unknown_name_names_the_nearest(finished: Path) -> None:
    with pytest.raises(ArtifactRefusal, match="Did you mean first"):
        load_trained("frist", Workspace(finished))
    with pytest.raises(ArtifactRefusal, match="no finished network"):
        load_trained("first", Workspace(finished / "nowhere"))


@pytest.mark.parametrize("rule", ["rank_mean", "stacking_l2"])
def test_a_blend_of_ranks_has_no_meaning_for_a_picture_alone(finished: Path, rule: str) -> None:
    with pytest.raises(ConfigRefusal, match="a picture alone has none") as refusal:
        load_trained(f"toy_{rule}", Workspace(finished))
    assert "toy_logit_mean" in str(refusal.value)


def relabelled(output: Path, network: str) -> None:
    path = output / "experiments/second/config.yaml"
    content = yaml.safe_load(path.read_text())
    content["experiment"]["network"] = {"name": network}
    path.write_text(yaml.safe_dump(content))


def test_a_yardstick_keeps_no_weights(finished: Path) -> None:
    relabelled(finished, "texture_hgb")
    with pytest.raises(ConfigRefusal, match="keeps no weights") as refusal:
        load_trained("second", Workspace(finished))
    assert ", first." in str(refusal.value) and ", second" not in str(refusal.value)
    with pytest.raises(ConfigRefusal, match="toy_logit_mean needs second, which learns from statistics"):
        load_trained("toy_logit_mean", Workspace(finished))


def test_predictions_made_elsewhere_keep_no_weights_either(finished: Path) -> None:
    path = finished / "experiments/second/config.yaml"
    path.write_text("kind: external\nname: second\n")
    with pytest.raises(ConfigRefusal, match="made elsewhere"):
        load_trained("second", Workspace(finished))
    assert {"first", "toy_logit_mean"} & set(usable_models(Workspace(finished))) == {"first"}


def test_a_member_that_is_gone_is_named(finished: Path) -> None:
    (finished / "experiments/second").rename(finished / "gone")
    with pytest.raises(ArtifactRefusal, match="blends second"):
        load_trained("toy_logit_mean", Workspace(finished))


@pytest.mark.filterwarnings("ignore:Skipping nested container")
def test_weights_of_another_network_are_refused(finished: Path) -> None:
    path = finished / "experiments/first/config.yaml"
    content = yaml.safe_load(path.read_text())
    content["experiment"]["network"]["widths"] = [8, 8]
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(ArtifactRefusal, match="does not fit the network"):
        load_trained("first", Workspace(finished))


def test_usable_models_are_those_that_can_be_asked(finished: Path) -> None:
    """Blends of ranks cannot; those that leave the yardstick out still can when it is one."""
    blends = ["best_single", "greedy", "hill_climbing", "logit_mean", "power_mean", "probability_mean"]
    everyone = [*(f"toy_{rule}" for rule in blends), "first", "second"]
    assert usable_models(Workspace(finished)) == everyone
    relabelled(finished, "texture_hgb")
    alone = [name for name in everyone if "second" not in speakers(finished, name)]
    assert usable_models(Workspace(finished)) == alone
    assert "first" in alone and "toy_best_single" in alone and "toy_logit_mean" not in alone


def speakers(output: Path, name: str) -> list[str]:
    """The experiments that have a weight in a model."""
    path = output / "ensembles" / name / "weights.json"
    weights = read_json(path)["weights"] if path.exists() else {name: 1.0}
    return [member for member, weight in weights.items() if weight]


def test_a_member_without_weight_is_not_asked(finished: Path) -> None:
    path = finished / "ensembles/toy_greedy/weights.json"
    write_json(path, read_json(path) | {"weights": {"first": 1.0, "second": 0.0}})
    (finished / "experiments/second").rename(finished / "gone")
    assert [one.name for one in load_trained("toy_greedy", Workspace(finished)).members] == ["first"]
