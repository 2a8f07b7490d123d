"""`histoblend submit` with the real client against the stand-in: what is sent, what is kept, what is refused."""

from __future__ import annotations

import csv
import os
import re
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from server.competitions import SENT, Submission
from server.service import Answer, Fault, error
from submit_output import IDS, answer_here, competition_of, make_output

from conftest import BRISK
from histoblend.config_kaggle import KaggleSettings
from histoblend.errors import ArtifactRefusal, ConfigRefusal, DataRefusal, Refusal, ServiceRefusal
from histoblend.kaggle import connection
from histoblend.kaggle.connection import Connection, connect
from histoblend.kaggle.submitting import SubmitRequest, sending, stage, submit_file
from histoblend.kaggle.submitting.description import LONGEST
from histoblend.kaggle.submitting.desk import Desk
from histoblend.kaggle.submitting.finding import find_entry
from histoblend.kaggle.submitting.line import line_of
from histoblend.workspace import write_json

CREATE = "CreateSubmission"
MARK = "hb-0000000000-20261121T120000Z"


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return make_output(tmp_path / "out")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client in this process, and few looks for a row."""
    monkeypatch.setattr(Connection, "_once", answer_here)
    monkeypatch.setattr(sending, "LOOKS", 2)


@pytest.fixture
def said(display):
    return lambda: display.text


@pytest.fixture
def submit(kaggle_service, display, output: Path):
    def run(what: str | None = None, **settings: object) -> int:
        request = SubmitRequest(what, **{"output": output, "yes": True, **settings})
        return submit_file(request, display, kaggle_service.environment)

    return run


def ledger(output: Path) -> list[dict[str, str]]:
    with (output / "submissions.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def aged(output: Path, minutes: int) -> None:
    """Make the last attempt so many minutes older."""
    rows = ledger(output)
    when = datetime.now(UTC) - timedelta(minutes=minutes)
    rows[-1]["when"] = when.strftime("%Y-%m-%dT%H:%M:%SZ")
    rows[-1]["description"] = re.sub(r"\d{8}T\d{6}Z", f"{when:%Y%m%dT%H%M%SZ}", rows[-1]["description"])
    pd.DataFrame(rows).to_csv(output / "submissions.csv", index=False)


def test_from_the_file_to_the_score_in_the_ledger(kaggle_service, submit, output, said):
    competition = competition_of(kaggle_service, pending_polls=2)
    assert submit(message="first  of\nall") == 0
    (row,), (one,) = ledger(output), competition.submissions
    assert row["name"] == "toy_mean" and row["what"] == "blend" and row["status"] == "complete"
    assert (row["auc_pooled"], row["auc_low"], row["auc_high"]) == ("0.910000", "0.885000", "0.935000")
    assert float(row["public_score"]) == float(one.public_score) > 0.8 and row["ref"] == str(one.ref)
    assert row["description"] == one.description and len(one.description) <= LONGEST
    assert one.description.startswith(f"hb-{row['file_hash'][:10]}-")
    assert one.description.endswith("Z | toy_mean | CV 0.9100 [0.885 0.935] | first of all")
    assert (
        f"public {float(one.public_score):.5f}" in said() and "0 of today's 5 submissions are used" in said()
    )
    for secret in (kaggle_service.environment["KAGGLE_KEY"], kaggle_service.environment["KAGGLE_USERNAME"]):
        assert secret not in said() and secret not in (output / "submissions.csv").read_text()


def test_the_same_bytes_are_not_sent_again_but_for_a_reason(quick, kaggle_service, submit, output, said):
    competition = competition_of(kaggle_service)
    assert submit() == 0 == submit("toy_mean")
    assert "These very bytes are on Kaggle" in said() and len(competition.submissions) == 1
    assert submit(force="it errs") == 0 and len(competition.submissions) == 1
    for _ in range(2):  # the same wish, typed once more
        assert submit(again="do scores repeat?") == 0
    assert [row["again"] for row in ledger(output)] == ["", "do scores repeat?"]
    first, second = competition.submissions
    assert first.description != second.description, "also within one second"


def test_bytes_that_a_lost_ledger_knew_are_entered_again(quick, kaggle_service, submit, output):
    competition = competition_of(kaggle_service)
    submit()
    before = ledger(output)
    (output / "submissions.csv").unlink()
    assert submit() == 0 and len(competition.submissions) == 1
    (row,) = ledger(output)
    assert {**row, "when": ""} == {**before[0], "when": ""} and row["when"] >= before[0]["when"]


def test_an_experiment_is_sent_as_a_blend_of_it_would_be(quick, kaggle_service, submit, output):
    competition_of(kaggle_service)
    assert submit("resnet") == 0
    made = output / "experiments/resnet/submission.csv"
    assert made.read_bytes() == (output / "submission_alternative.csv").read_bytes()
    assert ledger(output)[0]["fingerprint"] == "of resnet"
    assert submit("submission_alternative.csv", again="known") == 0
    assert [row["name"] for row in ledger(output)] == ["resnet", "resnet"]


def test_any_file_that_the_doctor_lets_through(quick, kaggle_service, submit, output, tmp_path):
    competition_of(kaggle_service)
    table = pd.read_csv(output / "submission.csv")
    table.assign(label=table["label"] ** 2).to_csv(tmp_path / "mine.csv", index=False)
    assert submit(str(tmp_path / "mine.csv")) == 0
    (row,) = ledger(output)
    assert (row["name"], row["what"], row["auc_pooled"]) == ("mine.csv", "file", "")
    with pytest.raises(ArtifactRefusal, match=r"'toy_meen' is neither[\s\S]*Did you mean toy_mean"):
        submit("toy_meen")


def test_what_would_score_wrongly_is_sent_for_a_reason_only(
    quick, kaggle_service, submit, output, said, tmp_path
):
    competition = competition_of(kaggle_service)
    table = pd.read_csv(output / "submission.csv")
    table.assign(label=1 - table["label"]).to_csv(tmp_path / "turned.csv", index=False)
    with pytest.raises(ArtifactRefusal, match="findings stand above"):
        submit(str(tmp_path / "turned.csv"))
    assert "turned around" in said() and not kaggle_service.log
    with pytest.raises(ConfigRefusal, match="no reason"):
        submit(str(tmp_path / "turned.csv"), force="  ")
    assert submit(str(tmp_path / "turned.csv"), force="to see it") == 0
    assert ledger(output)[0]["forced"] == "to see it" and float(competition.submissions[0].public_score) < 0.2


def test_synthetic_patches_are_never_sent(kaggle_service, submit, tmp_path):
    drawn = make_output(tmp_path / "drawn", synthetic=True)
    for what in (None, "toy_mean", "vgg"):
        with pytest.raises(DataRefusal, match="SYNTHETIC"):
            submit(what, output=drawn, force="really")
    with pytest.raises(DataRefusal, match="SYNTHETIC"):
        submit(str(drawn / "submission.csv"), force="named beside a real run")
    assert not kaggle_service.log


def test_a_pulled_version_goes_into_the_ledger_of_its_home(quick, kaggle_service, submit, output):
    competition_of(kaggle_service)
    pulled = make_output(output / "kernels/3", data="other")
    write_json(pulled / "pulled.json", {})
    table = pd.read_csv(pulled / "submission.csv")
    assert submit(None, output=pulled) == 0
    assert ledger(output)[0]["name"] == "kernels/3: toy_mean" and len(table) == len(IDS)
    assert submit("kernels/3: vgg") == 0
    assert [row["name"] for row in ledger(output)] == ["kernels/3: toy_mean", "kernels/3: vgg"]


def test_without_a_terminal_it_is_not_asked_and_not_sent(
    quick, kaggle_service, submit, output, monkeypatch, said
):
    competition_of(kaggle_service)
    with pytest.raises(ConfigRefusal, match="no terminal"):
        submit(yes=False)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    for answer in ("n", EOFError()):
        monkeypatch.setattr("rich.prompt.Confirm.ask", _answering(answer))
        assert submit(yes=False) == 1
    assert "Nothing was sent." in said()
    assert not kaggle_service.requests(CREATE) and not (output / "submissions.csv").exists()


def _answering(answer: object):
    def ask(*_: object, **__: object) -> bool:
        if isinstance(answer, Exception):
            raise answer
        return answer == "y"

    return ask


def test_the_days_slots_are_counted_by_utc_day(quick, kaggle_service, submit, output, said):
    competition = competition_of(kaggle_service)
    now = datetime.now(UTC)
    yesterday = now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(seconds=1)
    competition.submissions += [
        Submission(number, yesterday, f"old {number}", "s.csv", "0.5") for number in range(9)
    ]
    competition.submissions += [
        Submission(number, now, f"new {number}", "s.csv", "0.5") for number in range(9, 13)
    ]
    competition.submissions.append(Submission(13, now, "broken", "s.csv", error="no"))
    competition.daily_limit = 6
    assert submit() == 0
    assert "4 of today's 5 submissions are used (1 further one could not be scored)" in said()
    with pytest.raises(ServiceRefusal, match=r"All 5 submissions of today[\s\S]*00:00 UTC"):
        submit("vgg")
    assert len(kaggle_service.requests(CREATE)) == 1 and len(ledger(output)) == 1


@pytest.mark.parametrize(("status", "sends"), [(401, 1), (403, 1), (404, 1), (429, 2), (503, 2)])
@pytest.mark.parametrize("call", ["StartSubmissionUpload", CREATE])
def test_a_refusing_service(quick, kaggle_service, submit, output, status, sends, call):
    competition = competition_of(kaggle_service)
    kaggle_service.faults.append(Fault(call, times=9, answer=error(status, "so it says")))
    with pytest.raises(ServiceRefusal, match=f"{status} so it says"):
        submit()
    certain = status < 500 or call != CREATE
    assert len(ledger(output)) == (0 if certain else 1), "an attempt stays where nobody knows"
    assert len(kaggle_service.requests(call)) == (sends if certain else 1)
    assert not competition.submissions
    kaggle_service.faults.clear()
    if certain:
        assert submit() == 0 and len(competition.submissions) == 1


def test_a_refusing_list_stops_before_anything_is_sent(quick, kaggle_service, submit, output):
    competition_of(kaggle_service)
    for status in (401, 403, 404, 429, 500):
        kaggle_service.faults = [Fault("ListSubmissions", times=9, answer=error(status, "no"))]
        with pytest.raises(ServiceRefusal, match=f"{status} no"):
            submit()
    assert not kaggle_service.requests("StartSubmission") and not (output / "submissions.csv").exists()


def test_a_service_that_stalls_leaves_a_doubt_that_time_settles(
    kaggle_service, submit, output, monkeypatch, said
):
    competition = competition_of(kaggle_service, pending_polls=0)
    monkeypatch.setattr(connection, "USUAL", replace(BRISK, request_seconds=1))
    monkeypatch.setattr(sending, "LOOKS", 2)
    kaggle_service.faults.append(Fault(CREATE, stall=60))
    with pytest.raises(ServiceRefusal, match=r"did not answer in time[\s\S]*type the same command again"):
        submit()
    assert [row["status"] for row in ledger(output)] == ["sending"]
    monkeypatch.setattr(Connection, "_once", answer_here)
    with pytest.raises(ServiceRefusal, match="An attempt to send the same bytes was cut off"):
        submit()
    assert len(kaggle_service.requests(CREATE)) == 1
    aged(output, 11)
    assert submit() == 0 and len(competition.submissions) == 1
    assert [row["status"] for row in ledger(output)] == ["lost", "complete"] and "never arrived" in said()


def test_a_dropped_upload_is_sent_once_more(kaggle_service, submit, output, said):
    competition = competition_of(kaggle_service, pending_polls=0)
    kaggle_service.faults.append(Fault("/upload/", drop="before"))
    assert submit() == 0 and len(competition.submissions) == 1
    assert (
        "Nothing was created, so it is sent once more" in said() and len(kaggle_service.requests(CREATE)) == 1
    )


@pytest.mark.parametrize("status", [403, 503])
def test_a_refused_upload_after_which_the_client_exits_well(
    quick, kaggle_service, submit, output, said, status
):
    competition = competition_of(kaggle_service)
    kaggle_service.faults.append(Fault("/upload/", times=99, answer=Answer(status)))
    with pytest.raises(ServiceRefusal, match="upload did not arrive"):
        submit()
    assert not kaggle_service.requests(CREATE) and ledger(output) == []
    assert len(kaggle_service.requests("/upload/")) == 2
    kaggle_service.faults[:] = [Fault("StartSubmissionUpload", answer=error(503, "busy"))]
    assert submit() == 0 and len(competition.submissions) == 1
    assert "503 busy" in said() and "Nothing was created, so it is sent once more" in said()


@pytest.mark.parametrize("limit", [{"swallow": 1}, {"daily_limit": 0}])
def test_success_is_what_is_listed_not_what_is_said(quick, kaggle_service, submit, output, limit):
    competition = competition_of(kaggle_service, **limit)
    with pytest.raises(ServiceRefusal, match=rf"{SENT}[\s\S]*lists no such submission"):
        submit()
    assert [row["status"] for row in ledger(output)] == ["sending"] and not competition.submissions
    with pytest.raises(ServiceRefusal, match="cut off"):
        submit()
    assert len(kaggle_service.requests(CREATE)) == 1


def test_a_file_that_kaggle_cannot_score(quick, kaggle_service, submit, output, said):
    competition = competition_of(kaggle_service)
    competition.labels = {"another": 1}
    assert submit() == 1
    (row,) = ledger(output)
    assert row["status"] == "error" and row["public_score"] == "" and "Submission must have 1 rows" in said()
    competition.labels = dict.fromkeys(IDS, 0) | {IDS[0]: 1}
    with pytest.raises(ArtifactRefusal, match="could not score these very bytes: Submission must"):
        submit()
    assert submit(again="Kaggle has mended it") == 0 and len(competition.submissions) == 2


def test_what_the_client_prints_does_no_harm(kaggle_service, submit, output, tmp_path, monkeypatch):
    competition_of(kaggle_service, pending_polls=0)
    warning = "Warning: Looks like you're using an outdated `kaggle` version (installed: 1.7.4.5)"
    (tmp_path / "sitecustomize.py").write_text(
        "import requests\nsend = requests.Session.send\n"
        f"def loud(*given, **more):\n    print({warning!r}, flush=True)\n    return send(*given, **more)\n"
        "requests.Session.send = loud\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ['PYTHONPATH']}")
    assert submit() == 0
    assert (
        ledger(output)[0]["status"] == "complete" and warning not in (output / "submissions.csv").read_text()
    )


def test_a_lost_reply_is_looked_for(quick, kaggle_service, submit, output):
    competition = competition_of(kaggle_service)
    kaggle_service.faults.append(Fault(CREATE, drop="after"))
    assert submit() == 0
    assert len(kaggle_service.requests(CREATE)) == 1 == len(competition.submissions)
    assert [row["status"] for row in ledger(output)] == ["complete"]


def test_a_list_that_fails_after_sending_leaves_it_to_the_next_time(quick, kaggle_service, submit, output):
    competition = competition_of(kaggle_service)
    kaggle_service.faults.append(Fault("ListSubmissions", times=9, skip=1, answer=error(500, "down")))
    with pytest.raises(ServiceRefusal, match=r"Whether the submission arrived is not known[\s\S]*500 down"):
        submit()
    kaggle_service.faults.clear()
    assert submit() == 0 and len(competition.submissions) == 1
    assert [row["status"] for row in ledger(output)] == ["complete"]


def test_killed_between_sending_and_noting(kaggle_service, submit, output, monkeypatch):
    competition = competition_of(kaggle_service)
    created = threading.Event()
    create = kaggle_service.calls["competitions.CompetitionApiService/CreateSubmission"]

    def create_and_hang(request):
        answer = create(request)
        created.set()
        kaggle_service.closing.wait(60)
        return answer

    kaggle_service.calls["competitions.CompetitionApiService/CreateSubmission"] = create_and_hang
    words = [sys.executable, "-m", "histoblend", "submit", "--output", str(output), "--yes"]
    source = str(Path(connection.__file__).parents[2])
    process = subprocess.Popen(words, env={**kaggle_service.environment, "PYTHONPATH": source})
    assert created.wait(60)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert [row["status"] for row in ledger(output)] == ["sending"]
    monkeypatch.setattr(Connection, "_once", answer_here)
    assert submit() == 0
    assert len(kaggle_service.requests(CREATE)) <= 1 == len(competition.submissions)
    assert [(row["status"], row["ref"]) for row in ledger(output)] == [
        ("complete", str(competition.submissions[0].ref))
    ]


class Interrupted(BaseException):
    """Ctrl-C as the command line raises it."""


def test_interrupted_while_it_waits(quick, kaggle_service, submit, output, monkeypatch):
    competition = competition_of(kaggle_service, pending_polls=3)

    def pause(_: float) -> None:
        raise Interrupted

    with monkeypatch.context() as patched:
        patched.setattr("histoblend.kaggle.submitting.waiting.time.sleep", pause)
        with pytest.raises(Interrupted):
            submit()
    assert [row["status"] for row in ledger(output)] == ["pending"]
    assert submit() == 0 and len(competition.submissions) == 1
    assert [row["status"] for row in ledger(output)] == ["complete"]


def test_not_waited_for(quick, kaggle_service, submit, output, said):
    competition_of(kaggle_service, pending_polls=50)
    assert submit(wait=False) == 0
    assert ledger(output)[0]["status"] == "pending" and "./run.sh submissions" in said()


def test_waiting_has_an_end(quick, kaggle_service, submit, output, monkeypatch):
    competition_of(kaggle_service, pending_polls=50)
    monkeypatch.setattr("histoblend.kaggle.submitting.waiting.POLLS", 3)
    with pytest.raises(ServiceRefusal, match=r"has not scored[\s\S]*./run.sh submissions"):
        submit()
    assert ledger(output)[0]["status"] == "pending"


def test_waiting_outlasts_what_passes_and_asks_for_one_page(quick, kaggle_service, submit, output, said):
    competition = competition_of(kaggle_service, pending_polls=5)
    old = datetime(2026, 1, 1, tzinfo=UTC)
    competition.submissions += [Submission(n, old, f"old {n}", "s.csv", "0.5") for n in range(50)]
    kaggle_service.faults.append(Fault("ListSubmissions", times=3, skip=5, answer=error(503, "down")))
    assert submit() == 0 and "503 down" in said() and ledger(output)[0]["status"] == "complete"
    assert len(kaggle_service.requests("ListSubmissions")) < 3 + 3 + 8


def test_what_stops_the_waiting_says_what_to_do_and_what_is_kept(
    quick, kaggle_service, submit, output, monkeypatch
):
    competition_of(kaggle_service, pending_polls=5)
    kaggle_service.faults.append(Fault("ListSubmissions", skip=2, answer=error(401, "no")))
    with pytest.raises(ServiceRefusal, match=r"kaggle\.json[\s\S]*has it as pending"):
        submit()
    slow = error(429, "slow", {"Retry-After": "180"})
    kaggle_service.faults[:] = [Fault("ListSubmissions", skip=1, answer=slow)]
    with pytest.raises(ServiceRefusal, match=r"180 s[\s\S]*has it as pending"):
        submit()  # nothing is left of a wait without pauses
    pauses = []
    monkeypatch.setattr("histoblend.kaggle.submitting.waiting.time.sleep", pauses.append)
    monkeypatch.setattr(connection, "USUAL", replace(BRISK, poll_seconds=15))
    kaggle_service.faults[:] = [Fault("ListSubmissions", skip=1, answer=slow)]
    assert submit() == 0 and pauses[:3] == [15, 180, 15]


def test_nobody_signed_in(kaggle_service, output, display, tmp_path):
    environment = {
        name: word for name, word in kaggle_service.environment.items() if not name.startswith("KAGGLE")
    }
    with pytest.raises(Refusal, match=r"kaggle\.json"):
        submit_file(SubmitRequest(output=output, yes=True), display, environment | {"HOME": str(tmp_path)})


def test_two_commands_at_once_with_the_same_bytes(kaggle_service, output, display):
    desk = Desk(
        connect(kaggle_service.environment, display), KaggleSettings(), output / "submissions.csv", display
    )
    cells = line_of(find_entry(SubmitRequest(output=output), {}), f"{MARK} | x", datetime.now(UTC))
    desk.begin(cells, ())
    for status in ("sending", "pending", "complete"):
        pd.DataFrame([{**ledger(output)[0], "status": status}]).to_csv(desk.ledger, index=False)
        with pytest.raises(ServiceRefusal, match="Another command"):
            desk.begin({**cells, "description": "y"}, ())
    desk.begin({**cells, "description": "y"}, {(cells["description"], "complete")})
    assert len(ledger(output)) == 2


def test_an_upload_that_goes_on_says_so_until_it_is_given_up(kaggle_service, output, display, monkeypatch):
    book = output / "submissions.csv"
    desk = Desk(connect(kaggle_service.environment, display), KaggleSettings(), book, display)
    desk.begin(line_of(find_entry(SubmitRequest(output=output), {}), f"{MARK} | x", datetime.now(UTC)), ())

    def send(connection, path, description, competition, progress):
        pd.DataFrame([{**ledger(output)[0], "when": "2026-01-01T00:00:00Z"}]).to_csv(book, index=False)
        progress(1, 3)
        assert ledger(output)[0]["when"] > "2026-11"
        pd.DataFrame([{**ledger(output)[0], "status": "lost"}]).to_csv(book, index=False)
        progress(2, 3)

    monkeypatch.setattr("histoblend.kaggle.submitting.desk.RENEWED", 0)
    monkeypatch.setattr("histoblend.kaggle.competitions.send_submission", send)
    with pytest.raises(ServiceRefusal, match="has given it up"):
        desk.send(output / "submission.csv", f"{MARK} | x")


def test_another_command_sends_while_this_one_asks(quick, kaggle_service, submit, output, monkeypatch, said):
    competition = competition_of(kaggle_service, pending_polls=0)

    def asked(question: str, yes: bool, display: object) -> bool:
        return yes or submit() == 0  # the other command's answer comes first

    monkeypatch.setattr(stage, "agreed", asked)
    assert submit(yes=False) == 0 and "These very bytes are on Kaggle" in said()
    assert len(competition.submissions) == 1 == len(ledger(output))


def test_a_file_that_changes_while_it_is_asked_about_is_not_sent(
    quick, kaggle_service, submit, output, monkeypatch
):
    competition_of(kaggle_service)

    def asked(*_: object) -> bool:
        table = pd.read_csv(output / "submission.csv")
        table.assign(label=1 - table["label"]).to_csv(output / "submission.csv", index=False)
        return True

    monkeypatch.setattr(stage, "agreed", asked)
    with pytest.raises(ArtifactRefusal, match="has changed since it was checked"):
        submit()
    assert not kaggle_service.requests("StartSubmission") and not (output / "submissions.csv").exists()


def test_a_forced_attempt_is_looked_for_as_any_other(quick, kaggle_service, submit, output, tmp_path):
    competition = competition_of(kaggle_service, pending_polls=0)
    table = pd.read_csv(output / "submission.csv")
    table.assign(label=1 - table["label"]).to_csv(tmp_path / "turned.csv", index=False)
    for reasons in ({"force": "it errs"}, {"force": "it errs", "again": "once more"}):
        kaggle_service.faults[:] = [Fault("ListSubmissions", times=9, skip=1, answer=error(500, "down"))]
        with pytest.raises(ServiceRefusal, match="not known"):
            submit(str(tmp_path / "turned.csv"), **reasons)
        kaggle_service.faults.clear()
        assert submit(str(tmp_path / "turned.csv"), **reasons) == 0
    assert [row["again"] for row in ledger(output)] == ["", "once more"] and len(competition.submissions) == 2


def test_plain_labels_are_sent_for_a_reason_only(quick, kaggle_service, submit, output, tmp_path):
    competition = competition_of(kaggle_service)
    table = pd.read_csv(output / "submission.csv")
    table.assign(label=(table["label"] > 0.5).astype(int)).to_csv(tmp_path / "plain.csv", index=False)
    with pytest.raises(ArtifactRefusal, match="cannot be told from leaked labels"):
        submit(str(tmp_path / "plain.csv"))
    assert submit(str(tmp_path / "plain.csv"), force="thresholded by me") == 0
    assert len(competition.submissions) == 1


def test_what_waits_and_is_listed_no_more_is_not_sent_again(
    quick, kaggle_service, submit, output, monkeypatch, said
):
    competition = competition_of(kaggle_service, pending_polls=50)
    monkeypatch.setattr("histoblend.kaggle.submitting.waiting.POLLS", 2)
    submit(wait=False)
    aged(output, 11)
    competition.submissions, kept = [], competition.submissions
    assert submit() == 0 and "Kaggle's list lacks it" in said() and len(ledger(output)) == 1
    competition.submissions = kept
    with pytest.raises(ServiceRefusal, match="has not scored"):
        submit(again="it is stuck")  # as long as it is listed it is waited for
    assert len(kaggle_service.requests(CREATE)) == 1


def test_a_row_that_is_listed_late_or_with_its_description_cut(quick, kaggle_service, submit, monkeypatch):
    monkeypatch.setattr(sending, "LOOKS", 4)
    competition = competition_of(kaggle_service, pending_polls=0, late=5, cut=20)
    assert submit(message="a word") == 0  # by its ref: the mark is longer than 20 letters
    competition.late, competition.cut = 5, 40
    assert submit("vgg") == 0 == submit("vgg") and len(competition.submissions) == 2


def test_an_attempt_that_nobody_can_date_is_not_sent_again(quick, kaggle_service, submit, output):
    competition_of(kaggle_service, swallow=1)
    with pytest.raises(ServiceRefusal, match="lists no such submission"):
        submit()
    rows = ledger(output)
    for description, words in ((rows[0]["description"], "cut off"), ("mine", "does not say when")):
        rows[0] |= {"when": "21/11/2026 12:00", "description": description}
        pd.DataFrame(rows).to_csv(output / "submissions.csv", index=False)
        with pytest.raises(Refusal, match=words):
            submit()
    assert len(kaggle_service.requests(CREATE)) == 1


def test_an_attempt_that_was_given_up_meanwhile_is_not_tried_again(quick, kaggle_service, submit, output):
    competition = competition_of(kaggle_service, pending_polls=0)
    kaggle_service.faults.append(Fault("/upload/", answer=Answer(503)))
    real = kaggle_service.calls["competitions.CompetitionApiService/ListSubmissions"]

    def listed(request):
        if (
            output / "submissions.csv"
        ).exists():  # the look after the failure: by now another command has come and given it up
            pd.DataFrame([{**ledger(output)[0], "status": "lost"}]).to_csv(
                output / "submissions.csv", index=False
            )
        return real(request)

    kaggle_service.calls["competitions.CompetitionApiService/ListSubmissions"] = listed
    with pytest.raises(ServiceRefusal, match="has given it up"):
        submit()
    assert not competition.submissions and not kaggle_service.requests(CREATE)
