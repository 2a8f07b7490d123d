"""`histoblend submissions`: the ledger beside what Kaggle lists."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console
from server.competitions import Submission
from submit_output import answer_here, competition_of, make_output

from histoblend.errors import ArtifactRefusal, ServiceRefusal
from histoblend.kaggle.connection import Connection
from histoblend.kaggle.submitting import SubmissionsRequest, SubmitRequest, show_submissions, submit_file
from histoblend.reporting.progress import Display


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Connection, "_once", answer_here)


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return make_output(tmp_path / "out")


def shown(output: Path, environment: dict[str, str], width: int = 80) -> str:
    stream = io.StringIO()
    console = Console(file=stream, width=width, soft_wrap=True, force_terminal=True, color_system=None)
    show_submissions(SubmissionsRequest(output), Display(console), environment)
    return stream.getvalue()


def test_scores_come_since_are_filled_in_and_agreement_is_told(kaggle_service, output, display):
    competition = competition_of(kaggle_service, pending_polls=99)
    for name in ("toy_mean", "vgg", "resnet"):
        submit_file(SubmitRequest(name, output, yes=True, wait=False), display, kaggle_service.environment)
    first = shown(output, kaggle_service.environment)
    assert first.count("pending") == 3 and "Spearman" not in first
    for row, scores in zip(competition.submissions, [(0.95, 0.9), (0.93, 0.94), (0.94, "")], strict=True):
        row.polls_left, (row.public_score, row.private_score) = 0, (str(scores[0]), str(scores[1]))
    text = shown(output, kaggle_service.environment)
    assert (
        "3 lines of" in text and "Spearman rank correlation +1.00 over 3 rows. Mean gap to CV +0.0350" in text
    )
    assert "CV and private: 2 rows have both" in text
    row = next(line for line in text.splitlines() if "toy_mean" in line)
    assert "0.9100" in row and "0.9500  +0.0400" in row and "0.9000  -0.0100" in row
    table = text[text.index("Submissions to") : text.index("CV and public")]
    assert all(len(line) <= 80 for line in table.splitlines()) and "…" not in table
    with (output / "submissions.csv").open(newline="") as stream:
        written = list(csv.DictReader(stream))
    assert [line["public_score"] for line in written] == ["0.95", "0.93", "0.94"]
    assert {(line["data_fingerprint"], line["folds_fingerprint"]) for line in written} == {("d", "f")}
    assert "lines of" not in shown(output, kaggle_service.environment), "nothing new, so nothing is written"


def test_a_ledger_by_hand_is_kept_and_completed_in_place(kaggle_service, output):
    competition = competition_of(kaggle_service)
    when = datetime(2026, 11, 20, 9, tzinfo=UTC)
    competition.submissions += [
        Submission(7, when, "vgg, on the web page", "s.csv", "0.93121", "0.92"),
        Submission(8, when, "a notebook of mine", "s.csv", "0.5", "0.4"),
        Submission(9, when, "broken", "s.csv", error="Too few rows"),
    ]
    (output / "submissions.csv").write_text('name,public_score,note\nold,.8,"kept, as it is"\nvgg,.931,mine')
    text = shown(output, kaggle_service.environment)
    lines = (output / "submissions.csv").read_text().splitlines()
    assert lines[1].startswith('old,.8,"kept, as it is",') and len(lines) == 3
    assert lines[0] == "name,public_score,note,when,private_score,status,ref"
    assert lines[2] == "vgg,0.93121,mine,2026-11-20T09:00:00Z,0.92,complete,7"
    assert (
        "a notebook of mine *" in text
        and "made elsewhere" in text
        and "could not score it: Too few rows" in text
    )


def test_a_score_that_is_none_is_not_entered_and_a_locked_ledger_is_shown(kaggle_service, output):
    competition = competition_of(kaggle_service)
    for ref, strange in enumerate(("1.52", "nan")):
        row = Submission(
            ref, datetime(2026, 11, 20, 9, ref, tzinfo=UTC), f"net{ref}", "s.csv", strange, "0.9"
        )
        competition.submissions.append(row)
    before = "name,public_score,private_score\nnet0,,.9\nnet1,,.9\n"
    (output / "submissions.csv").write_text(before)
    (output / ".submissions.csv.lock").mkdir()
    assert "left as it stands" in shown(output, kaggle_service.environment)
    assert (output / "submissions.csv").read_text() == before
    (output / ".submissions.csv.lock").rmdir()
    text = shown(output, kaggle_service.environment)
    assert "the score 1.52, which is no AUC" in text and "the score nan, which" in text
    assert [line.split(",")[1] for line in (output / "submissions.csv").read_text().splitlines()[1:]] == [
        "",
        "",
    ]


def test_what_was_made_on_other_data_is_not_pooled(kaggle_service, output):
    competition_of(kaggle_service)
    lines = ["a,.91,.95,d,f", "b,.9,.93,d,f", "c,.92,.96,d,f", "d,.5,.99,e,f", "e,.6,.1,d,g", ""]
    header = "name,auc_pooled,public_score,data_fingerprint,folds_fingerprint"
    (output / "submissions.csv").write_text("\n".join([header, *lines]))
    assert "Spearman rank correlation +1.00 over 3 rows" in shown(output, kaggle_service.environment)


def test_without_kaggle_the_ledger_is_shown_as_it_stands(kaggle_service, output, display):
    environment = {
        name: word for name, word in kaggle_service.environment.items() if not name.startswith("KAGGLE")
    }
    nobody = environment | {"HOME": str(output)}
    with pytest.raises(ServiceRefusal):
        shown(output, nobody)
    (output / "submissions.csv").write_text("name,public_score\nvgg,.93\n")
    text = shown(output, nobody)
    assert "could not be asked" in text and "0.9300" in text
    (output / "submissions.csv").write_text("name,public_score\nvgg,high\n")
    with pytest.raises(ArtifactRefusal, match="'high'"):
        shown(output, kaggle_service.environment)
    assert not kaggle_service.log


def test_nothing_anywhere(kaggle_service, output):
    competition_of(kaggle_service)
    assert "No submission yet" in shown(output, kaggle_service.environment)
    assert not (output / "submissions.csv").exists()
