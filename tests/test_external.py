"""Predictions from elsewhere: every broken contract refused, sound ones kept in our form, none weighed blindly."""

from __future__ import annotations

import io
import json
import os
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from scipy.special import expit

from histoblend.archive import archive_experiment
from histoblend.data.folds import folds_fingerprint
from histoblend.errors import ArtifactRefusal, ConfigRefusal
from histoblend.evaluation.metrics import Scoring, areas
from histoblend.external import AddRequest, add_external, external_members, refuse_external
from histoblend.external.comparison import chance_deviation
from histoblend.external.tables import foreign_scores, read_foreign
from histoblend.pipeline import run
from histoblend.preparation import Request
from histoblend.reporting.progress import Display
from histoblend.workspace import Workspace
from histoblend.yaml_files import read_yaml


def friends(output: Path, seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What a friend sends: both tables, in an order of their own, good but not perfect."""
    folds = pd.read_csv(output / "folds.csv", dtype={"id": str})
    test = pd.read_csv(output / "experiments/first/test.csv", dtype={"id": str})
    generator = np.random.default_rng(seed)
    oof = folds[["id", "fold"]].assign(
        probability=expit(2 * (folds["label"] - 0.5) + generator.normal(0, 0.7, len(folds)))
    )
    test = test[["id"]].assign(probability=expit(test["logit"] + generator.normal(0, 0.3, len(test))))
    return oof.sample(frac=1, random_state=1), test.sample(frac=1, random_state=1)


class Friend:
    """A friend's files and the command that adds them."""

    def __init__(self, folder: Path, output: Path) -> None:
        self.folder, self.output, self.stream = folder, output, io.StringIO()
        self.heard = Display(Console(file=self.stream, highlight=False, soft_wrap=True))
        self.oof, self.test = friends(output)

    def add(self, name: str = "torch", parts: str = "oof test", fingerprint: str | None = None) -> Path:
        paths: dict[str, Path | None] = {"oof": None, "test": None}
        for part in parts.split():
            paths[part] = self.folder / f"{part}-{name}.csv"
            getattr(self, part).to_csv(paths[part], index=False)
        request = AddRequest(name, paths["oof"], paths["test"], None, self.output, fingerprint)
        return add_external(request, self.heard, dict(os.environ)).folder

    def refused(self, message: str, **how: str) -> str:
        before = {path for path in self.output.rglob("*") if not path.name.startswith(".lock")}
        with pytest.raises(ArtifactRefusal, match=message) as caught:
            self.add(**how)
        assert {path for path in self.output.rglob("*") if not path.name.startswith(".lock")} == before
        return str(caught.value)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", self.stream.getvalue())


@pytest.fixture
def friend(finished: Path, tmp_path: Path) -> Friend:
    (tmp_path / "sent").mkdir()
    return Friend(tmp_path / "sent", finished)


def scoring_of(output: Path) -> Scoring:
    folds = pd.read_csv(output / "folds.csv", dtype={"id": str})
    ids = pd.read_csv(output / "experiments/first/test.csv", dtype={"id": str})["id"]
    return Scoring(
        folds, ids, None, None, ("no tumour", "tumour"), {"folds_fingerprint": "f", "slides_policy": "map"}
    )


def test_sound_predictions_are_kept_in_our_form_and_join(friend: Friend):
    folder = friend.add()
    ours = pd.read_csv(friend.output / "experiments/first/oof.csv", dtype={"id": str})
    kept = pd.read_csv(folder / "oof.csv", dtype={"id": str})
    assert list(kept) == list(ours)
    given = friend.oof.set_index("id").loc[kept["id"], "probability"].to_numpy()
    np.testing.assert_allclose(kept["probability"], given, rtol=1e-12)
    np.testing.assert_allclose(expit(kept["logit"]), given, rtol=1e-12)
    test = pd.read_csv(folder / "test.csv", dtype={"id": str})
    assert list(test["id"]) == list(pd.read_csv(friend.output / "experiments/first/test.csv")["id"])
    given = friend.test.set_index("id").loc[test["id"], "probability"].to_numpy()
    np.testing.assert_allclose(test["probability"], given, rtol=1e-12)
    (found,) = external_members(Workspace(friend.output), scoring_of(friend.output))
    assert found.member is not None and found.member.name == "torch"
    assert found.metrics.kind == "external" and found.metrics.complete and found.metrics.folds == [0, 1]


def test_its_auc_is_that_of_its_own_predictions_on_our_folds(friend: Friend):
    folder = friend.add()
    metrics = json.loads((folder / "metrics.json").read_text())
    folds = pd.read_csv(friend.output / "folds.csv", dtype={"id": str})
    joined = friend.oof.merge(folds[["id", "label"]], on="id")
    for fold, part in joined.groupby("fold"):
        positive, negative = (part["probability"][part["label"] == one].to_numpy() for one in (1, 0))
        expected = (positive[:, None] > negative[None]).mean()
        assert metrics["auc_by_fold"][str(fold)] == pytest.approx(expected)
    assert f"AUC {metrics['auc_pooled']:.4f} pooled" in friend.text
    assert metrics["about"]["synthetic"] is False
    assert metrics["about"]["folds_fingerprint"] == folds_fingerprint(folds)


def test_the_record_says_who_when_and_from_which_files(friend: Friend, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LOGNAME", "ada")
    record = read_yaml(friend.add() / "config.yaml")
    assert (record["kind"], record["by"]) == ("external", "ada")
    assert record["files"]["oof"] == str(friend.folder / "oof-torch.csv")
    assert re.fullmatch(r"[0-9a-f]{16}", record["oof"]) and record["oof"] != record["test"]
    run = json.loads((friend.output / "run.json").read_text())
    assert (record["data"], record["folds"]) == (run["data"]["fingerprint"], run["folds"]["fingerprint"])
    assert record["read"]["oof"]["folds_known_by"] == "the column fold"


def test_rank_correlation_with_our_own_test_predictions_is_said(friend: Friend):
    friend.add()
    ours = pd.read_csv(friend.output / "experiments/second/test.csv").set_index("id")["logit"]
    theirs = friend.test.set_index("id")["probability"].loc[ours.index]
    (line,) = (line for line in friend.text.splitlines() if "correlation with second" in line)
    assert f"on test {ours.corr(theirs, method='spearman'):.3f}" in line and "out of fold" in line
    assert "rank correlation with toy_logit_mean" in friend.text


def test_test_rows_in_another_order_are_suspected(friend: Friend):
    friend.oof = pd.read_csv(friend.output / "experiments/second/oof.csv")[["id", "fold", "probability"]]
    ours = pd.read_csv(friend.output / "experiments/second/test.csv")[["id", "probability"]]
    ranks = ours["probability"].rank(method="first").astype(int).to_numpy() - 1
    friend.test = ours.assign(probability=np.sort(ours["probability"].to_numpy())[::-1][ranks])
    friend.add()
    assert "do the rows of the test file stand beside their ids?" in friend.text


def test_the_same_predictions_under_another_name_are_told(friend: Friend):
    friend.oof = pd.read_csv(friend.output / "experiments/second/oof.csv")[["id", "fold", "probability"]]
    friend.test = pd.read_csv(friend.output / "experiments/second/test.csv")[["id", "probability"]]
    friend.add()
    assert "the same predictions as second; in one blend they would count twice" in friend.text


def test_scores_near_chance_are_taken(friend: Friend):
    """On 60 patches an AUC of .45 is chance, not the other class."""
    folds = pd.read_csv(friend.output / "folds.csv", dtype={"id": str})
    noise = np.random.default_rng(0).random(len(folds))
    assert chance_deviation(folds["label"].to_numpy()) > 0.06
    friend.oof = folds[["id", "fold"]].assign(probability=noise)
    friend.add()
    assert "joins ranking and blends" in friend.text


def test_scores_against_the_labels_are_refused(friend: Friend):
    friend.oof["probability"] = 1 - friend.oof["probability"]
    friend.refused("ranks against the labels")


def broken(table: pd.DataFrame, what: str) -> pd.DataFrame:
    first = table.index[0]
    changed = table.astype({"probability": object}) if what in ("text", "empty") else table.copy()
    if what == "foreign":
        changed.loc[first, "id"] = "stranger"
    elif what == "missing":
        changed = changed.drop(first)
    elif what == "twice":
        changed = pd.concat([changed, changed.iloc[:2]])
    elif what == "suffix":
        changed["id"] += ".tif"
    elif what == "no id":
        changed = changed.rename(columns={"id": "image"})
    elif what == "no score":
        changed = changed.rename(columns={"probability": "p"})
    elif what == "two scores":
        changed = changed.rename(columns={"probability": "score"}).assign(prediction=0.5)
    elif what == "above":
        changed.loc[first, "probability"] = 1.5
    elif what == "infinite":
        changed.loc[first, "probability"] = np.inf
    elif what == "constant":
        changed["probability"] = 0.5
    elif what == "contradiction":
        changed = changed.assign(logit=changed["probability"])
    else:
        changed.loc[first, "probability"] = {"nan": np.nan, "text": "high", "empty": ""}[what]
    return changed


@pytest.mark.parametrize("part", ["oof", "test"])
@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("foreign", r"1 foreign ids: stranger"),
        ("missing", r"lacks 1 ids: "),
        ("twice", r"2 ids more than once: "),
        ("suffix", r"foreign ids(.|\n)*take the file suffix off"),
        ("no id", r"a column id"),
        ("no score", r"no score among its columns"),
        ("two scores", r"several scores"),
        ("above", r"outside \[0, 1\] for 1 ids"),
        ("infinite", r"no finite number for 1 ids"),
        ("nan", r"no finite number for 1 ids"),
        ("text", r"no finite number for 1 ids: .*'high'"),
        ("empty", r"no finite number for 1 ids"),
        ("constant", r"the same for all patches"),
        ("contradiction", r"logit and probability contradict each other"),
    ],
)
def test_a_broken_table_is_refused_and_nothing_is_kept(friend: Friend, part: str, what: str, message: str):
    setattr(friend, part, broken(getattr(friend, part), what))
    friend.refused(message)


def test_a_label_that_contradicts_is_refused_and_a_right_one_is_fine(friend: Friend):
    labels = pd.read_csv(friend.output / "folds.csv").set_index("id")["label"]
    friend.oof = friend.oof.assign(label=friend.oof["id"].map(labels))
    wrong = friend.oof.copy()
    wrong.loc[wrong.index[0], "label"] = 1 - wrong["label"].iloc[0]
    right, friend.oof = friend.oof, wrong
    assert wrong["id"].iloc[0] in friend.refused("another label than folds.csv for 1 ids")
    friend.oof = right
    friend.add()


def test_other_folds_are_refused_and_it_is_said_what_is_wrong_with_them(friend: Friend):
    right = friend.oof
    friend.oof = right.assign(fold=1 - right["fold"])
    assert "same parts under other numbers" in friend.refused("another fold than folds.csv for 60 ids")
    friend.oof = right.assign(fold=np.arange(len(right)) % 2)
    assert "scored on" in friend.refused(r"cut through \d slides")
    slides = pd.read_csv(friend.output / "folds.csv").set_index("id")["slide"]
    whole = {slide: number % 2 for number, slide in enumerate(sorted(set(slides), reverse=True))}
    friend.oof = right.assign(fold=right["id"].map(slides).map(whole).to_numpy())
    text = friend.refused("another fold than folds.csv")
    assert "cut through" not in text and "other numbers" not in text and "train it anew" in text


def test_without_a_fold_column_the_fingerprint_of_the_folds_is_needed(friend: Friend):
    friend.oof = friend.oof.drop(columns="fold")
    text = friend.refused("does not say which folds")
    right = folds_fingerprint(pd.read_csv(friend.output / "folds.csv", dtype={"id": str}))
    assert right not in text  # it has to come from where the predictions come from
    friend.refused("another split", fingerprint="0123456789ab")
    record = read_yaml(friend.add(fingerprint=right) / "config.yaml")
    assert record["read"]["oof"]["folds_known_by"] == "--folds-fingerprint"


def test_test_only_predictions_are_compared_and_never_blended(friend: Friend):
    folder = friend.add(parts="test")
    assert not (folder / "oof.csv").exists() and not (folder / "metrics.json").exists()
    assert "test only" in friend.text and "no part in blends" in friend.text
    assert "rank correlation with first" in friend.text
    (found,) = external_members(Workspace(friend.output), scoring_of(friend.output))
    assert found.member is None
    assert (found.metrics.complete, found.metrics.folds) == (False, [])
    assert np.isnan(found.metrics.auc_pooled)


def test_a_kaggle_submission_can_be_added_as_test_only(friend: Friend):
    friend.test = pd.read_csv(friend.output / "submission.csv")  # id,label, percentile ranks
    friend.add(parts="test")
    assert "rank correlation with toy_logit_mean: on test 1.000" in friend.text


def test_answers_that_cannot_be_told_from_leaked_labels_are_refused(friend: Friend):
    scores = friend.test["probability"]
    friend.test = friend.test.assign(probability=(scores > scores.median()).astype(float))
    friend.refused(r"cannot be told from leaked labels(.|\n)*before any threshold")
    friend.test.iloc[0, 1] = 0.5  # one score in between: predictions, however sure of themselves
    friend.add(parts="test")


def test_out_of_fold_alone_is_ranked_and_not_blended(friend: Friend):
    folder = friend.add(parts="oof")
    assert (folder / "metrics.json").exists() and "no test predictions" in friend.text
    (found,) = external_members(Workspace(friend.output), scoring_of(friend.output))
    assert found.member is None and found.metrics.complete


def test_the_same_again_is_nothing_new_and_something_else_is_refused_until_archived(friend: Friend):
    folder = friend.add()
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    friend.add()
    assert "added before, with the same content" in friend.text
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    friend.oof, friend.test = friends(friend.output, seed=5)
    assert "archive torch" in friend.refused("what differs: oof, test")
    archive_experiment("torch", friend.output, dict(os.environ))
    friend.add()


@pytest.mark.parametrize(
    ("name", "message"),
    [("first", "experiment first already"), ("a/b", "no name"), ("", "no name"), ("first.seed1", "no name")],
)
def test_a_name_of_ours_or_no_name_is_refused(friend: Friend, name: str, message: str):
    with pytest.raises(ConfigRefusal, match=message):
        add_external(AddRequest(name, test=Path("x.csv")), friend.heard, dict(os.environ))


def test_names_taken_in_the_output_folder_are_refused(friend: Friend, toy_configs: Path):
    (toy_configs / "experiments/first.yaml").unlink()  # trained once, its file gone since
    friend.refused("of its own", name="first")
    friend.refused("of its own", name="toy_logit_mean")


def test_training_under_the_name_of_added_predictions_is_refused(friend: Friend):
    folder = Workspace(friend.output).experiment("torch")
    refuse_external(folder)
    refuse_external(Workspace(friend.output).experiment("first"))
    friend.add()
    with pytest.raises(ArtifactRefusal, match="archive torch"):
        refuse_external(folder)


def test_nothing_to_add_and_no_run_are_refused(friend: Friend, tmp_path: Path):
    with pytest.raises(ConfigRefusal, match="Nothing to add"):
        add_external(AddRequest("torch"), friend.heard, dict(os.environ))
    with pytest.raises(ConfigRefusal, match="no file"):
        add_external(AddRequest("torch", tmp_path / "x.csv", output=friend.output), friend.heard, {})
    (friend.output / "folds.csv").unlink()
    friend.refused("no run has made folds")


def test_folds_that_were_changed_since_the_run_are_refused(friend: Friend):
    path = friend.output / "folds.csv"
    folds = pd.read_csv(path)
    folds.assign(fold=1 - folds["fold"]).to_csv(path, index=False)
    friend.refused("is not the split")


def test_test_ids_come_from_the_data_where_no_test_table_is_there_yet(friend: Friend, toy: Path):
    for path in friend.output.rglob("test.csv"):
        path.unlink()
    assert len(pd.read_csv(friend.add() / "test.csv")) == 21
    assert "rank correlation" not in friend.text


def again(friend: Friend, toy: Path, **request: object) -> tuple[pd.DataFrame, str]:
    ranking = run(Request("toy", toy, friend.output, **request), friend.heard, dict(os.environ))  # type: ignore[arg-type]
    assert ranking is not None
    return ranking.set_index("name"), friend.text


def test_the_next_run_ranks_and_blends_what_was_added(friend: Friend, toy: Path):
    folder = friend.add()
    friend.add("submission", parts="test")
    friend.add("half", parts="oof")
    ranking, text = again(friend, toy)
    oof = pd.read_csv(folder / "oof.csv", dtype={"id": str})
    assert ranking.loc["torch", "auc_pooled"] == pytest.approx(areas(oof)["auc_pooled"])
    assert (ranking.loc["torch", "kind"], ranking.loc["torch", "status"]) == ("external", "complete")
    assert ranking.loc["submission", "status"] == "test only"
    assert np.isnan(ranking.loc["submission", "auc_pooled"]) and pd.isna(ranking.loc["submission", "rank"])
    weights = json.loads((friend.output / "ensembles/toy_logit_mean/weights.json").read_text())["weights"]
    assert weights == {name: pytest.approx(1 / 3) for name in ("first", "second", "torch")}
    parts = [
        pd.read_csv(friend.output / f"experiments/{name}/test.csv").set_index("id")["logit"]
        for name in weights
    ]
    blended = pd.read_csv(friend.output / "ensembles/toy_logit_mean/test.csv").set_index("id")["logit"]
    np.testing.assert_allclose(blended, (sum(parts) / 3).loc[blended.index])
    assert "Test only, of unknown worth, so not blended: submission." in text
    assert "Without test predictions, so not blended: half." in text
    archive_experiment("torch", friend.output, dict(os.environ))
    archive_experiment("submission", friend.output, dict(os.environ))
    ranking, _ = again(friend, toy)
    assert not {"torch", "submission"} & set(ranking.index)


def test_an_experiment_named_like_what_was_added_is_not_trained(friend: Friend, toy: Path, toy_configs: Path):
    record = (friend.add() / "config.yaml").read_bytes()
    (toy_configs / "experiments/torch.yaml").write_text("base: first\n")
    plan = toy_configs / "plans/toy.yaml"
    plan.write_text(plan.read_text().replace("second", "torch"))
    for experiments in ((), ("torch",), ("first",)):
        with pytest.raises(ArtifactRefusal, match="added from elsewhere as torch"):
            again(friend, toy, experiments=experiments)
    assert (friend.output / "experiments/torch/config.yaml").read_bytes() == record


def test_an_experiment_beyond_the_plan_joins_the_run_that_names_it(
    friend: Friend, toy: Path, toy_configs: Path
):
    (toy_configs / "experiments/third.yaml").write_text("base: first\ntraining: {epochs: 1}\n")
    _, text = again(friend, toy, experiments=("third",))
    assert "Not in plan toy, but asked for: third;" in text
    assert "logit mean of first, second, third." in text or "logit mean of third, first, second." in text
    ranking, text = again(friend, toy)
    assert "Of another plan, so not blended: third." in text and "third" in ranking.index


# ---- the scores of a table


def table(**columns: list[object]) -> pd.DataFrame:
    count = len(next(iter(columns.values())))
    frame = pd.DataFrame({"id": [f"i{k}" for k in range(count)], **columns})
    return frame.map(str)


def scores_of(outputs: int = 1, test: bool = False, **columns: list[object]):
    return foreign_scores(table(**columns), outputs, Path("f.csv"), test=test)


@pytest.mark.parametrize(
    ("columns", "scale"),
    [
        ({"logit": [-2.0, 0.5]}, "logit"),
        ({"probability": [0.2, 0.5]}, "probability"),
        ({"prediction": [0.2, 0.5]}, "probability"),
        ({"score": [0.2, 1.5]}, "logit"),
        ({"score": [0.2, 0.5], "note": ["a", "b"]}, "probability"),
        ({"logit": [0.0, 1.0], "probability": [0.5, 0.731]}, "logit"),
    ],
)
def test_what_a_column_holds_follows_from_its_name_or_its_range(columns: dict, scale: str):
    found = scores_of(**columns)
    (name,) = found.columns
    assert found.scale == scale
    expected = np.array(columns[name], float)
    np.testing.assert_allclose(
        found.logits[:, 0] if scale == "logit" else expit(found.logits[:, 0]), expected
    )


def test_a_label_is_a_score_in_test_only():
    assert scores_of(test=True, label=[0.2, 0.7]).scale == "probability"
    with pytest.raises(ArtifactRefusal, match="no score"):
        scores_of(label=[0, 1])


def test_exact_zeros_and_ones_are_moved_inwards_past_no_other():
    given = [0.0, 1e-12, 0.3, 1 - 1e-13, 1.0, 1.0]
    found = scores_of(probability=given)
    assert found.clipped == 3 and np.isfinite(found.logits).all()
    assert list(np.argsort(found.logits[:, 0], kind="stable")) == [0, 1, 2, 3, 4, 5]
    assert (np.diff(found.logits[:, 0]) > 0).tolist() == [True] * 4 + [False]  # the two ones stay tied
    mild = scores_of(probability=[0.0, 0.5, 1.0])
    assert mild.clipped == 2 and abs(mild.logits).max() < 20


def test_more_classes_take_a_column_for_each():
    logits = np.random.default_rng(0).normal(size=(5, 3))
    columns = {f"logit_{k}": list(logits[:, k]) for k in range(3)}
    np.testing.assert_allclose(scores_of(3, **columns).logits, logits)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    probabilities[0] = [1, 0, 0]
    columns = {f"probability_{k}": list(probabilities[:, k]) for k in range(3)}
    found = scores_of(3, **columns)
    assert found.clipped == 3
    again = np.exp(found.logits) / np.exp(found.logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(again, probabilities, atol=1e-6)
    with pytest.raises(ArtifactRefusal, match="no score"):
        scores_of(3, logit=[0.1, 0.2])
    with pytest.raises(ArtifactRefusal, match="do not sum to 1: i1"):
        scores_of(3, probability_0=[0.5, 0.5], probability_1=[0.25, 0.5], probability_2=[0.25, 0.5])


def test_different_kinds_in_both_files_are_refused(friend: Friend):
    friend.test = friend.test.rename(columns={"probability": "logit"})
    friend.refused("different kinds of scores")


def test_a_file_from_windows_is_read(tmp_path: Path):
    path = tmp_path / "oof.csv"
    path.write_bytes("\ufeffid,logit\r\n007,1.5\r\nNA,-1\r\n".encode())
    found = read_foreign(path, pd.Series(["NA", "007"]))
    assert list(found["id"]) == ["NA", "007"] and list(found["logit"]) == ["-1", "1.5"]
