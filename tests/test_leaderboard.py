"""The local leaderboard: cross-validation beside what a leaderboard has answered."""

from __future__ import annotations

import io
import json
import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from histoblend.errors import ArtifactRefusal
from histoblend.evaluation.metrics import Metrics
from histoblend.leaderboard import RankRequest, show_leaderboard
from histoblend.pulled import finished_metrics, home_of, pulled_metrics
from histoblend.report_page.figures import Answered, agreement_figure
from histoblend.reporting.progress import Display
from histoblend.workspace import Workspace, write_json

ABOUT = {"slides_policy": "map", "data_set": "toy", "synthetic": False}
INTERVAL = {"low": 0.89, "high": 0.94, "standard_error": 0.01, "level": 0.95, "method": "slide bootstrap",
            "clusters": 60, "warning": None}  # fmt: skip


def add(folder: Path, name: str, auc: float, kind: str = "experiment", **changes: Any) -> Path:
    values = {"complete": True, "folds": [0, 1], "interval": INTERVAL, "about": ABOUT} | changes
    metrics = Metrics(name=name, kind=kind, auc_pooled=auc, auc_fold_mean=auc, auc_fold_std=0.01, **values)
    path = folder / ("ensembles" if kind == "blend" else "experiments") / name / "metrics.json"
    write_json(path, asdict(metrics))
    return path


@pytest.fixture
def output(tmp_path: Path) -> Path:
    for number, name in enumerate(("vgg", "resnet", "densenet_with_a_long_name")):
        add(tmp_path, name, 0.90 + number / 100)
    add(tmp_path, "mini_greedy", 0.925, "blend", auc_in_sample=0.9282)
    return tmp_path


def ledger(folder: Path, *rows: str) -> None:
    (folder / "submissions.csv").write_text("\n".join(["name,public_score,private_score", *rows]) + "\n")


def shown(folder: Path, width: int = 120) -> str:
    stream = io.StringIO()
    console = Console(file=stream, width=width, soft_wrap=True, force_terminal=True, color_system=None)
    show_leaderboard(RankRequest(folder), Display(console), {})
    return stream.getvalue()


def row_of(text: str, name: str) -> str:
    return next(line for line in text.splitlines() if name in line)


def test_cross_validation_and_the_optimism_of_blends(output: Path):
    text = shown(output)
    row = row_of(text, "mini_greedy")
    assert row.split()[0] == "1" and "0.9250 [.890, .940]" in row and "+0.0032" in row
    assert "No leaderboard score is known: ./run.sh submit" in text and "public" not in text.splitlines()[2]


def write_audit(output: Path) -> None:
    unknown = dict.fromkeys(("gain", "gain_standard_error", "gain_low", "gain_high", "p_value"))
    rules = [
        unknown | {"rule": rule, "learns": rule == "stack", "auc_in_sample": auc, "auc_cross_fitted": 0.92,
                   "optimism": auc - 0.92}
        for rule, auc in (("stack", 0.9331), ("mean", 0.92))
    ]  # fmt: skip
    audit = {"plan": "old", "folds_fingerprint": "f", "members": ["vgg"], "method": "none", "clusters_are": "slides",
             "rules": rules, "asked": "auto", "chosen": "mean", "reason": "no gain", "finals": []}  # fmt: skip
    write_json(output / "ensembles/old_audit.json", audit)


def write_run(output: Path) -> None:
    folds = {"fingerprint": "f", "policy": "map", "sentence": ""}
    data = {"root": "", "name": "toy", "fingerprint": "d", "synthetic": False, "classes": {"a": 1, "b": 1}}
    write_json(output / "run.json", {"started": "", "plan": {"name": "old"}, "folds": folds, "data": data})


def test_before_a_run_has_blended_nothing_is_marked_as_chosen(output: Path):
    write_run(output)
    assert "chosen by the last run" not in shown(output)


def test_what_is_submitted_is_marked_and_said_with_its_reason(output: Path):
    add(output, "old_mean", 0.92, "blend")
    write_audit(output)
    write_run(output)
    assert "> chosen by the last run: old_mean (no gain)." in shown(output)
    for path in (output / "submission.csv", output / "ensembles/old_mean/submission.csv"):
        path.write_text("id,label\n")
    text = shown(output)
    assert "> old_mean" in row_of(text, "old_mean") and "> submission.csv: old_mean (no gain)." in text
    assert "0.9200 ± 0.0100" in row_of(text, "old_mean")
    (output / "submission.csv").write_text("another")
    assert "but submission.csv is not its file" in shown(output)


def test_a_damaged_audit_is_refused(output: Path):
    write_run(output)
    write_json(output / "ensembles/old_audit.json", {})
    with pytest.raises(ArtifactRefusal, match=r"old_audit\.json: plan is not there"):
        shown(output)


def test_scores_gaps_and_rank_correlation(output: Path):
    ledger(output, "vgg,.95,.91", "resnet,.94,.93", "densenet_with_a_long_name,.93,", "unknown,.5,")
    text = shown(output)
    assert "0.9500  +0.0500" in row_of(text, "vgg")
    assert "CV and public: Spearman rank correlation -1.00 over 3 rows. Mean gap to CV +0.0300." in text
    assert "CV and private: 2 rows have both, too few to tell" in text
    assert "nothing of it in this folder: unknown" in text


def test_gap_and_correlation_are_of_the_file_that_was_sent(output: Path):
    rows = ["vgg,.95,,.88", "resnet,.94,,", "mini_greedy,.90,,.80"]
    (output / "submissions.csv").write_text(
        "\n".join(["name,public_score,private_score,auc_pooled", *rows, ""])
    )
    text = shown(output)
    assert "0.9500  +0.0700" in row_of(text, "vgg") and "0.9400  +0.0300" in row_of(text, "resnet")
    assert "Spearman rank correlation +0.50 over 3 rows. Mean gap to CV +0.0667." in text
    assert "anew since it was sent, so score and gap are of what it was then: mini_greedy, vgg." in text


def test_partial_ones_say_nothing_of_agreement(output: Path):
    add(output, "half", 0.99, complete=False, folds=[0])
    ledger(output, "vgg,.91,", "resnet,.92,", "half,.1,")
    assert "CV and public: 2 rows have both" in shown(output)


def test_a_leaderboard_that_gives_all_the_same_correlates_with_nothing(output: Path):
    ledger(output, *(f"{name},.9," for name in ("vgg", "resnet", "mini_greedy")))
    assert "no rank correlation" in shown(output)


def test_metrics_of_before_there_were_intervals_are_read_and_told(output: Path):
    path = add(output, "old", 0.8)
    content = json.loads(path.read_text())
    del content["interval"], content["auc_in_sample"]
    path.write_text(json.dumps(content))
    text = shown(output)
    assert "0.8000 [" not in text and "the next run finds them: old." in text
    add(output, "few", 0.8, interval=INTERVAL | {"low": float("nan"), "high": float("nan")})
    assert "No interval can be had" in shown(output) and "class: few." in shown(output)


@pytest.mark.parametrize("width", [60, 80, 96, 120])
def test_no_score_is_cut(output: Path, width: int):
    ledger(output, "vgg,.95,.91", "resnet,.94,.93", "densenet_with_a_long_name,.93,.9")
    table = shown(output, width).split("CV and")[0]
    assert "…" not in table and all(len(line) <= width for line in table.splitlines())
    for score in ("0.9250", "0.9500", "0.9100"):
        assert score in table


def test_what_is_no_output_folder_is_refused(tmp_path: Path):
    with pytest.raises(ArtifactRefusal, match="There is no folder"):
        shown(tmp_path / "gone")
    with pytest.raises(ArtifactRefusal, match="is no output folder"):
        shown(tmp_path)
    (tmp_path / "experiments").mkdir()
    with pytest.raises(ArtifactRefusal, match="Nothing is finished yet"):
        shown(tmp_path)


def test_damaged_metrics_are_named(output: Path):
    path = output / "experiments/vgg/metrics.json"
    path.write_text(json.dumps({"name": "vgg"}))
    with pytest.raises(ArtifactRefusal, match=r"vgg/metrics.json: kind is not there"):
        finished_metrics(Workspace(output))


def pulled(output: Path, version: int, name: str, auc: float, **about: Any) -> None:
    add(output / f"kernels/{version}", name, auc, about=ABOUT | about)


def test_what_kernels_brought_home_is_ranked_where_it_compares(output: Path):
    pulled(output, 3, "vgg", 0.97)
    pulled(output, 10, "resnet", 0.99, data_fingerprint="full")
    pulled(output, 10, "vgg", 0.98, folds_fingerprint="seed 1")
    ledger(output, "vgg,.9,", "resnet,.91,", "kernels/3: vgg,.92,", "kernels/10: resnet,.1,")
    text = shown(output)
    assert row_of(text, "kernels/3: vgg").split()[0] == "1" and "0.9200" in row_of(text, "kernels/3: vgg")
    assert row_of(text, "kernels/10: resnet").startswith("  other data") and "other folds" in row_of(
        text, "10: vgg"
    )
    assert row_of(text, "mini_greedy").split()[0] == "2", "what does not compare takes no rank"
    assert "kernels/10 was made on other data or other folds" in text
    assert "Spearman rank correlation +1.00 over 3 rows" in text


def test_what_a_newer_version_brought_again_comes_once(output: Path):
    for version in (2, 10):
        pulled(output, version, "vgg", 0.97)
    pulled(output, 2, "old", 0.5)
    names = [one.name for one in pulled_metrics(Workspace(output))]
    assert names == ["kernels/10: vgg", "kernels/2: old"]


def test_a_folder_of_pulled_versions_alone(tmp_path: Path):
    pulled(tmp_path, 1, "vgg", 0.97, data_fingerprint="full")
    text = shown(tmp_path)
    assert row_of(text, "kernels/1: vgg").split()[0] == "1" and "does not compare" not in text


def test_a_pulled_version_alone_knows_its_scores_from_home(output: Path):
    pulled(output, 3, "vgg", 0.97)
    assert home_of(Workspace(output / "kernels/3")).folder == output / "kernels/3", "a folder of the user's"
    write_json(output / "kernels/3/pulled.json", {})
    ledger(output, "kernels/3: vgg,.92,.91", "vgg,.8,")
    assert "0.9200" in row_of(shown(output / "kernels/3"), "vgg")


POINTS = [
    Answered("mini_mean", 0.93, 0.91, 0.95, 0.94, 0.92),
    Answered("kernels/3: vgg", 0.96, float("nan"), float("nan"), 0.95, float("nan"), apart=True),
]


def test_the_figure_of_agreement_tells_its_numbers():
    block = agreement_figure(POINTS)
    assert "mini_mean 0.9300 here, public 0.9400, private 0.9200" in block.alternative
    assert "kernels/3: vgg 0.9600 here, public 0.9500." in block.alternative
    assert "1 of 2 lie above it by the public score" in block.caption and "Hollow" in block.caption
    for drawing in (block.svg, block.narrow):
        assert "mini_mean" in drawing and "private score" in drawing


def test_names_that_have_no_room_are_left_to_the_table():
    crowd = [replace(POINTS[0], name=f"blend_{number:02d}", auc=0.93 + number * 1e-5) for number in range(12)]
    drawn = re.findall(r">([^<>]+)</text>", agreement_figure([*crowd, POINTS[1]]).svg)
    assert 0 < sum(one.name in drawn for one in crowd) < len(crowd) and "kernels/3: vgg" in drawn
