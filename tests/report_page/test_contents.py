"""The page says what the artifacts say, and in a sentence what is absent."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from histoblend.artifacts.artifacts import Artifacts
from histoblend.artifacts.reading import read_artifacts
from histoblend.report_page.blocks import CodeBlock, FigureBlock, Page, Section, TableBlock, Words
from histoblend.report_page.contents import report_page
from histoblend.report_page.contents_blend import blend_section
from histoblend.report_page.contents_curves import calibration_section, curves_section, points_section
from histoblend.report_page.contents_data import audit_section
from histoblend.report_page.contents_leaderboard import expected_scores, leaderboard_section
from histoblend.report_page.contents_patches import Shown
from histoblend.report_page.contents_ranking import folds_section, paired_leads, ranking_section
from histoblend.report_page.contents_verdict import verdict_section
from histoblend.report_page.wording import between, gain
from histoblend.workspace import Workspace, write_json

NOTHING = Shown((), "no patches here", (), "no maps here")


@pytest.fixture(scope="session")
def artifacts(whole_once: Path) -> Artifacts:
    return read_artifacts(Workspace(whole_once))


@pytest.fixture(scope="session")
def page(artifacts: Artifacts) -> Page:
    return report_page(artifacts, NOTHING)


def section(page: Page | Section, key: str) -> Section:
    """That section of a page; one that stands alone has to be it: a whole page takes seconds to draw."""
    sections = page.sections if isinstance(page, Page) else (page,)
    return next(one for one in sections if one.key == key)


def text(page: Page | Section, key: str) -> str:
    """All paragraphs, captions and cells of a section."""
    parts = []
    for block in section(page, key).blocks:
        if isinstance(block, Words):
            parts.append(block.text)
        elif isinstance(block, TableBlock):
            parts += [block.caption, *(cell.text for row in block.rows for cell in row)]
        elif isinstance(block, CodeBlock):
            parts += [block.caption, block.text]
        elif isinstance(block, FigureBlock):
            parts.append(block.caption)
    return "\n".join(parts)


def table(page: Page | Section, key: str, number: int = 0) -> TableBlock:
    return [block for block in section(page, key).blocks if isinstance(block, TableBlock)][number]


def test_the_verdict_names_data_score_interval_decision_and_final(page: Page, artifacts: Artifacts) -> None:
    lead = artifacts.named("plan_logit_mean")
    assert lead is not None
    said = text(page, "verdict")
    assert "120 labelled patches" in said and "40 test patches were predicted" in said
    assert f"Chosen: plan_logit_mean, a blend: AUC {lead.metrics.auc_pooled:.4f} (95" in said
    assert f"{lead.interval.low:.3f} to {lead.interval.high:.3f}, by slide bootstrap over 24 clusters" in said
    assert "No rule gains enough; noise." in said
    assert "Recommended to submit: plan_logit_mean." in said
    tones = [block.tone for block in section(page, "verdict").blocks if isinstance(block, Words)]
    assert tones[:2] == ["verdict"] * 2 and tones.count("verdict") == 2
    assert "24 slides only." in said


def test_the_ranking_sorts_by_numbers_and_pairs_differences_with_the_lead(
    page: Page, artifacts: Artifacts
) -> None:
    ranking = table(page, "ranking")
    headings = [column.heading for column in ranking.columns]
    auc, difference = headings.index("AUC"), headings.index("difference")
    assert [row[auc].value for row in ranking.rows] == [one.metrics.auc_pooled for one in artifacts.ranked]
    (marked,) = ranking.marked
    assert ranking.rows[marked][1].text == "plan_logit_mean"
    lead = ranking.rows[marked][auc].value
    assert lead is not None
    for place, row in enumerate(ranking.rows):
        if place == marked:
            assert row[difference].text == "–"
        else:
            assert row[difference].value == pytest.approx(row[auc].value - lead, abs=1e-9)
            assert re.fullmatch(r"[+−]?\d\.\d{4}\n−?\d\.\d{4} to −?\d\.\d{4}", row[difference].text)
    assert len(paired_leads(artifacts)) == 4


def test_what_makes_a_score_unlike_the_others_stands_beside_it(artifacts: Artifacts) -> None:
    first = artifacts.ranked[0]
    marked = replace(first, metrics=replace(first.metrics, about={"searched": True, "pseudo_labels": False}))
    found = ranking_section(replace(artifacts, ranked=(marked,)), {})
    headings = [column.heading for column in table(found, "ranking").columns]
    assert headings[1:3] == ["name", "AUC"] and headings[-1] == "kind"
    assert table(found, "ranking").rows[0][-1].text == "blend, searched"


def test_the_blends_audit_is_a_table_with_the_chosen_rule_set_apart(page: Page, artifacts: Artifacts) -> None:
    audit = table(page, "blend")
    assert [row[0].text for row in audit.rows] == ["logit mean", "greedy"]
    assert audit.marked == (0,)
    assert [row[1].text for row in audit.rows] == ["no", "yes"]
    greedy = artifacts.named("plan_greedy")
    assert greedy is not None
    assert audit.rows[1][3].value == greedy.metrics.auc_pooled
    assert audit.rows[1][4].text == "+0.0100"
    said = text(page, "blend")
    assert "gamma was left out of the blend: it ranks at random." in said
    assert "The most alike are alpha and beta (0.600)" in said
    assert table(page, "blend", 2).rows[0][1].text == "0.8000"


def test_what_to_expect_says_what_it_takes_for_granted(page: Page, artifacts: Artifacts) -> None:
    # 40 test patches at 5 a slide: 8 slides, and half and twice as many
    expected = expected_scores(artifacts)
    assert expected is not None
    assert list(expected.intervals) == [4, 8, 16]
    widths = [one.high - one.low for one in expected.intervals.values()]
    assert widths[0] > widths[1] > widths[2]
    said = text(page, "leaderboard")
    assert "40 test patches come from about 8 new slides" in said
    assert "this supposes as many patches a slide as in training" in said
    assert "No leaderboard score is known" in said


@pytest.mark.parametrize(("held_out", "where"), [(0.2, "outside"), (0.9, "inside")])
def test_labels_that_are_known_test_the_range(artifacts: Artifacts, held_out: float, where: str) -> None:
    lead = artifacts.lead
    assert lead is not None
    expected = expected_scores(artifacts)
    assert expected is not None
    scored = replace(lead, metrics=replace(lead.metrics, local_leaderboard=held_out))
    found = leaderboard_section(artifacts, replace(expected, candidate=scored))
    assert f"scores {held_out:.4f}: {where} the range below" in text(found, "leaderboard").splitlines()[0]


def test_a_range_centred_on_a_score_that_reads_low_says_so(artifacts: Artifacts) -> None:
    expected = expected_scores(artifacts)
    assert expected is not None
    assert "reads about" not in replace(expected, lowered=0.0).sentence
    assert "reads about 0.025 low here" in replace(expected, lowered=0.0247).sentence
    assert "a slide as in training" not in replace(expected, clusters_are="patches").sentence


def test_where_there_is_no_leaderboard_none_is_spoken_of(artifacts: Artifacts) -> None:
    audit = artifacts.blend_audit
    assert audit is not None
    alone = replace(artifacts, blend_audit=audit.model_copy(update={"finals": []}))
    assert artifacts.scored_elsewhere and not alone.scored_elsewhere
    found = leaderboard_section(alone, expected_scores(alone))
    assert found.title == "What to expect on new slides"
    assert "On new slides, expect plan_logit_mean to score" in text(found, "leaderboard")
    assert "eaderboard" not in text(found, "leaderboard")


@pytest.mark.parametrize(("layout", "said"), [("hcd", "in this competition"), ("digits", "in Kaggle's")])
def test_this_competition_is_said_of_the_competition_alone(
    artifacts: Artifacts, layout: str, said: str
) -> None:
    run = artifacts.run
    other = run.model_copy(update={"data": run.data.model_copy(update={"layout": layout})})
    assert said in text(blend_section(replace(artifacts, run=other)), "blend")


@pytest.mark.parametrize(
    ("clusters_are", "said"),
    [("slides", "more than twice"), ("pseudo-slides", "more than 4 times"), ("patches", "no slide is known")],
)
def test_what_auto_asks_for_is_what_it_asks_on_such_clusters(
    artifacts: Artifacts, clusters_are: str, said: str
) -> None:
    audit = artifacts.blend_audit
    assert audit is not None
    other = audit.model_copy(update={"clusters_are": clusters_are})
    assert said in text(blend_section(replace(artifacts, blend_audit=other)), "blend")


def test_fold_by_fold_is_about_the_chosen_one(artifacts: Artifacts) -> None:
    first, lead = artifacts.ranked[0], artifacts.lead
    assert lead is not None
    last_first = replace(artifacts, ranked=tuple(reversed(artifacts.ranked)))
    for one in (artifacts, last_first):
        assert f"For {lead.name}, fold" in text(folds_section(one), "folds")
    assert {first.name, last_first.ranked[0].name} != {lead.name}


@pytest.mark.parametrize(
    ("value", "shown"), [(0.00567, "+0.0057"), (-0.0012, "−0.0012"), (-1e-6, "0.0000"), (None, "–")]
)
def test_differences_show_their_sign_where_there_is_one(value: float | None, shown: str) -> None:
    assert gain(value) == shown
    assert between(-0.00001, 0.5) == "0.000 to 0.500"


def test_scores_of_the_ledger_stand_beside_ours(whole: Workspace) -> None:
    whole.ledger.write_text("name,public_score,private_score\nalpha,0.81,\nalpha,0.83,0.84\n")
    found = leaderboard_section(read_artifacts(whole), None)
    (row,) = table(found, "leaderboard").rows
    assert [cell.text for cell in row][::2] == ["alpha", "0.8300"]
    assert "too few to tell" in text(found, "leaderboard")


def test_what_waits_for_a_score_is_named_and_scores_go_with_what_was_sent(whole: Workspace) -> None:
    whole.ledger.write_text("name,public_score,auc_pooled,status\nalpha,,0.7,pending\n")
    found = text(leaderboard_section(read_artifacts(whole), None), "leaderboard")
    assert "No leaderboard has answered yet. In submissions.csv without a score: alpha." in found
    lines = [
        "alpha,0.8,0.7,",
        "beta,0.7,0.65,",
        "plan_greedy,0.9,0.9,",
        "mine.csv,0.5,,",
        "late,,,pending",
        "",
    ]
    whole.ledger.write_text("\n".join(["name,public_score,auc_pooled,status", *lines]))
    found = text(leaderboard_section(read_artifacts(whole), None), "leaderboard")
    assert "Spearman rank correlation +1.00 over 3 rows. Mean gap to CV +0.0500." in found
    assert "nothing of it in this folder: mine.csv." in found and "without a score: late." in found


def test_time_is_that_of_the_records(page: Page) -> None:
    rows = table(page, "cost").rows
    assert len(rows) == 4
    assert [cell.text for cell in rows[0]][3:7] == ["1m01s", "2s", "120", "2"]
    assert "alpha +0.0100 (4 views)" in text(page, "views")


def test_how_to_reproduce_needs_no_git(page: Page, artifacts: Artifacts) -> None:
    said = text(page, "reproduce")
    assert f"./run.sh run plan --data {artifacts.run.data.root} --output output/again" in said
    for word in (artifacts.run.data.fingerprint, artifacts.run.folds.fingerprint, "print-alpha", "3.15.1"):
        assert word in said
    assert "commit" not in said


def test_findings_of_the_audit_are_shown_gravest_first(whole: Workspace) -> None:
    kinds = [("balance", "note"), ("exact duplicates", "wrong"), ("colour outliers", "odd")]
    found = [
        {"kind": kind, "severity": severity, "part": "train", "count": 3, "sentence": f"{kind} are there"}
        for kind, severity in kinds
    ]
    write_json(whole.audit / "audit.json", {"data": {"fingerprint": "another"}, "findings": found})
    page = audit_section(read_artifacts(whole))
    assert [row[1].text for row in table(page, "audit").rows] == [
        "exact duplicates",
        "colour outliers",
        "balance",
    ]
    assert "The audit was of other data than the run" in text(page, "audit")


@pytest.mark.parametrize(
    ("key", "sentence"),
    [("audit", "./run.sh audit --data"), ("patches", "no patches here"), ("grad-cam", "no maps here")],
)
def test_what_was_not_done_is_said_with_what_to_do(page: Page, key: str, sentence: str) -> None:
    assert sentence in text(page, key)


SAID_OF_ONE_FOLD = {
    "verdict": "on fold 1 alone",
    "blend": "There is no blend",
    "leaderboard": "There is nothing to expect",
    "folds": "One fold is finished",
    "calibration": "Only one fold is finished",
    "points": "needs two finished folds",
}


def test_one_finished_fold_gives_a_page(lay: Callable[..., Any], tmp_path: Path) -> None:
    laid = lay(tmp_path / "output")
    laid.experiment("beta", folds=(1,))
    write_json(laid.workspace.lock_holder, {"pid": 7, "host": "there", "since": "noon"})
    found = read_artifacts(laid.workspace)
    verdict = verdict_section(found, expected_scores(found), paired_leads(found))
    sections = [verdict, blend_section(found), leaderboard_section(found, expected_scores(found))]
    sections += [folds_section(found), calibration_section(found), points_section(found)]
    for one in sections:
        assert SAID_OF_ONE_FOLD[one.key] in text(one, one.key), one.key
    assert "process 7 on there" in text(verdict, "verdict")
    assert "beta: fold 0 of 2 is not finished." in text(verdict, "verdict")
    assert table(ranking_section(found, {}), "ranking").rows[0][0].text == "partial"


def test_cautions_of_curves_and_points_are_said_once_and_what_is_not_known_is_not_drawn(
    artifacts: Artifacts,
) -> None:
    points = points_section(artifacts)
    (warning,) = [one for one in points.blocks if isinstance(one, Words) and one.tone == "warning"]
    assert points.blocks.index(warning) > points.blocks.index(table(points, "points"))
    assert warning.text.count("24 slides only") == 1
    assert "The band is where" in text(curves_section(artifacts), "curves")
    few = replace(
        artifacts, folds=artifacts.folds.assign(slide=artifacts.folds["slide"].str[-1].astype(int) % 3)
    )
    cells = [cell.text for row in table(points_section(few), "points").rows for cell in row]
    assert not any("(" in cell for cell in cells if "Youden" not in cell)
    assert "3 slides only: below 5 no interval is given." in text(points_section(few), "points")
    said = text(curves_section(few), "curves")
    assert "There is no band. 3 slides only" in said and "The band is" not in said


def test_no_finished_fold_gives_a_page(lay: Callable[..., Any], tmp_path: Path) -> None:
    page = report_page(read_artifacts(lay(tmp_path / "output").workspace), NOTHING)
    assert "No fold is finished yet, so there are no scores." in text(page, "verdict")
    assert all(one.blocks for one in page.sections)
    assert not any(isinstance(block, FigureBlock) for one in page.sections for block in one.blocks)


def test_blends_of_an_older_version_are_shown_without_an_audit(whole: Workspace) -> None:
    whole.blend_audit("plan").unlink()
    found = read_artifacts(whole)
    assert "These blends were not audited" in text(verdict_section(found, None, {}), "verdict")
    blend = blend_section(found)
    assert "without training anew" in text(blend, "blend")
    assert any(isinstance(block, FigureBlock) for block in blend.blocks)


def test_more_than_two_classes_give_a_page(lay_run: Callable[..., Any], tmp_path: Path) -> None:
    laid = lay_run(tmp_path / "output", classes=3)
    found = read_artifacts(laid.workspace)
    verdict = verdict_section(found, None, {})
    assert "mean AUC of 3 classes, each against the rest" in text(verdict, "verdict")
    assert "These are of two classes; here there are 3." in text(points_section(found), "points")
    assert "Each class against the rest" in text(curves_section(found), "curves")
    ranking = table(ranking_section(found, {}), "ranking")
    headings = [column.heading for column in ranking.columns]
    assert ranking.rows[0][headings.index("accuracy")].value == found.ranked[0].metrics.accuracy
    rows = table(calibration_section(found), "calibration").rows
    assert [row[0].text for row in rows] == ["as predicted", "after temperature scaling"]


def test_synthetic_data_are_marked(artifacts: Artifacts) -> None:
    run = artifacts.run
    drawn = run.model_copy(update={"data": run.data.model_copy(update={"synthetic": True})})
    nothing = replace(artifacts, run=drawn, ranked=(), blend_audit=None)
    assert report_page(nothing, NOTHING).synthetic
    assert "SYNTHETIC" in text(verdict_section(nothing, None, {}), "verdict")


def test_unknown_slides_are_warned_of(artifacts: Artifacts) -> None:
    unknown = verdict_section(replace(artifacts, policy="none"), None, {})
    assert "No slide is known" in text(unknown, "verdict")


def test_a_number_that_is_not_known_sorts_by_none(page: Page) -> None:
    blend_row = next(row for row in table(page, "ranking").rows if row[1].text == "plan_greedy")
    tta = [column.heading for column in table(page, "ranking").columns].index("TTA")
    assert blend_row[tta].text == "–"
    assert np.isnan(blend_row[tta].value)
