"""Which side is ahead, and whether that is told apart, in words."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr

from histoblend.blending.diversity import spearman
from histoblend.comparing.common import Common, common_ground
from histoblend.comparing.disagreements import disagreements
from histoblend.comparing.sides import read_sides
from histoblend.comparing.verdict import Comparison, beside, compared, p_words, short, verdict
from histoblend.evaluation.auc import auc, pooled_auc


def common_of(output: Any, *names: str) -> Common:
    return common_ground(read_sides(names, output.folder, {}))


def comparison_of(output: Any, *names: str) -> Comparison:
    return compared(common_of(output, *names))


def test_figures_are_those_of_the_tables(output: Any):
    found = comparison_of(output, "vgg", "resnet", "toy_greedy")
    labels, folds = output.folds["label"].to_numpy(), output.folds["fold"].to_numpy()
    aucs = [pooled_auc(labels, found.common.logits[:, place], folds) for place in range(3)]
    assert [one.auc for one in found.estimates] == pytest.approx(aucs)
    assert [one.difference.gain for one in found.against] == pytest.approx(
        [aucs[1] - aucs[0], aucs[2] - aucs[0]]
    )
    ranks = found.common.ranks
    assert found.against[0].correlation == pytest.approx(
        spearmanr(ranks[:, 0], ranks[:, 1]).statistic, abs=2e-3
    )
    assert found.accuracies == ()
    for fold, values in found.aucs_by_fold.items():
        here = folds == fold
        assert values[1] == pytest.approx(auc(labels[here], found.common.logits[here, 1, 0]))


def test_a_clear_lead_is_told_apart_whichever_comes_first(output: Any):
    output.experiment("strong", 4.0)
    ahead, behind = comparison_of(output, "vgg", "strong"), comparison_of(output, "strong", "vgg")
    for found, place in ((ahead, 1), (behind, 0)):
        words = verdict(found, 0)
        assert words.startswith("strong is ahead of vgg by .") and words.endswith("50 slides): told apart.")
        assert found.common.names[place] == "strong"
    assert verdict(ahead, 0) == verdict(behind, 0)


def test_a_small_lead_is_not(output: Any):
    words = verdict(comparison_of(output, "toy_logit_mean", "toy_greedy"), 0)
    assert "not told apart" in words and "95 % interval -." in words


def test_the_same_predictions_are_said_to_be_alike(output: Any):
    common = common_of(output, "vgg", "resnet")
    twins = replace(common, logits=common.logits[:, [0, 0]])
    assert verdict(compared(twins), 0) == "resnet and vgg rank every patch alike."
    assert disagreements(twins).empty


def test_too_few_slides_tell_nothing(output: Any):
    common = common_of(output, "vgg", "resnet")
    few = np.where(np.arange(len(common.rows)) % 2, "a", "b").astype(object)
    found = compared(replace(common, ground=replace(common.ground, slides=few)))
    assert "cannot be told. 2 slides only" in verdict(found, 0)


def test_other_tests_stand_beside_and_say_what_they_are(output: Any):
    one = comparison_of(output, "vgg", "toy_greedy").against[0]
    assert one.naive_p is not None and one.folds is not None and one.folds.freedom == 2
    assert "DeLong p" in beside(one) and "over 3 folds +." in beside(one) and "Nadeau-Bengio" in beside(one)
    common = common_of(output, "vgg", "toy_greedy")
    alone = replace(common, ground=replace(common.ground, slides=None, clusters_are="patches"))
    assert compared(alone).against[0].naive_p is None, "it is the leading test there"
    assert "patches taken as independent" in verdict(compared(alone), 0)


def test_on_different_folds_there_is_no_test_by_fold(output: Any):
    found = compared(replace(common_of(output, "vgg", "toy_greedy"), same_folds=False))
    assert found.aucs_by_fold == {} and found.against[0].folds is None
    assert found.against[0].difference.gain > 0


def test_patches_farthest_apart_come_first_with_who_is_right(output: Any):
    common = common_of(output, "vgg", "resnet")
    table = disagreements(common, most=10)
    ranks = common.ranks
    apart = np.abs(ranks[:, 0] - ranks[:, 1])
    assert table["apart"].tolist() == pytest.approx(np.sort(apart)[::-1][:10])
    row = table.iloc[0]
    mine = common.rows.index[common.rows["id"] == row["id"]][0]
    assert [row["rank of vgg"], row["rank of resnet"]] == pytest.approx(ranks[mine])
    higher = "vgg" if row["rank of vgg"] > row["rank of resnet"] else "resnet"
    lower = ({"vgg", "resnet"} - {higher}).pop()
    assert row["rightest"] == (higher if row["label"] == 1 else lower)


def test_of_more_classes_the_ranks_are_those_of_the_patches_own_class(output: Any):
    common = common_of(output, "vgg", "resnet")
    generator = np.random.default_rng(0)
    labels = np.arange(len(common.rows)) % 3
    logits = generator.normal(size=(len(labels), 2, 3))
    logits[labels == 2, 0, 2] += 50
    three = replace(
        common,
        logits=logits,
        rows=common.rows.assign(label=labels),
        ground=replace(common.ground, labels=labels),
    )
    others = three.ranks[(labels == 2), 0]
    assert others.min() > 0.6, "a class of a third of the patches, ranked on top of its own column"
    found = compared(three)
    ours = spearman(logits, three.ground.folds)[0, 1]
    assert found.against[0].correlation == pytest.approx(ours), "as the report says it"
    assert found.accuracies[1] == pytest.approx((logits[:, 1].argmax(axis=1) == labels).mean())
    assert disagreements(three)["rightest"].isin(["vgg", "resnet"]).all()


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.004, ".0040"), (-0.002, "-.0020"), (1.0, "1.0000"), (-1.5, "-1.5000"), (0.00001, "<.0001"), (0.0, ".0000"),
     (-0.00001, "-<.0001"), (float("nan"), "-"), (0.99999, "1.0000")],
)  # fmt: skip
def test_short_numbers(value: float, text: str):
    assert short(value) == text


def test_a_sign_where_asked_for():
    assert short(0.004, signed=True) == "+.0040" and short(-0.004, signed=True) == "-.0040"
    assert short(0.0004, 3) == "<.001"


def test_no_p_is_nothing():
    assert [p_words(p) for p in (0.0, 1e-9, 0.0123, 1.0, float("nan"))] == [
        "<.001",
        "<.001",
        ".012",
        "1.000",
        "-",
    ]
