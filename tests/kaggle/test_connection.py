"""A call to Kaggle: its deadline, its repetitions, and that nothing in the client can hurt the caller."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
from dataclasses import replace

import calls_gone_wrong as gone_wrong
import pytest
from server.competitions import SLUG, Competition
from server.service import USER, Fault, error

from histoblend.errors import ServiceRefusal
from histoblend.kaggle import competition_calls
from histoblend.kaggle.answers import Deadline, await_answer
from histoblend.kaggle.connection import connect
from histoblend.kaggle.failures import CallFailure


@pytest.fixture
def connection(kaggle_service, display):
    Competition(kaggle_service)
    return connect(kaggle_service.environment, display)


def failing(connection, function, **arguments):
    with pytest.raises(CallFailure) as caught:
        connection.ask(function, **{"again": False, **arguments})
    return caught.value


def list_again(connection, again=True):
    return connection.ask(competition_calls.list_submissions, again=again, competition=SLUG)


def test_what_passes_is_tried_again_after_the_time_kaggle_names(
    connection, kaggle_service, display, monkeypatch
):
    waited = []
    monkeypatch.setattr(type(connection), "pause", lambda self, seconds: waited.append(seconds))
    kaggle_service.faults += [
        Fault("List", answer=error(429, "Too many requests", {"Retry-After": "7"})),
        Fault("List", answer=error(502, "Bad gateway")),
    ]
    assert list_again(replace(connection, patience=replace(connection.patience, pause_seconds=2))) == []
    assert waited[0] == 7 and 3 <= waited[1] <= 5  # twice the pause, and a quarter more or less
    assert "429 Too many requests" in display.text and "502 Bad gateway" in display.text
    assert [entry.status for entry in kaggle_service.requests("List")] == [429, 502, 200]


def test_tries_come_to_an_end(connection, kaggle_service):
    kaggle_service.faults.append(Fault("List", times=9, answer=error(503, "Down for maintenance")))
    failure = failing(connection, competition_calls.list_submissions, again=True, competition=SLUG)
    assert (failure.kind, failure.status) == ("server", 503)
    assert len(kaggle_service.requests("List")) == connection.patience.tries


@pytest.mark.parametrize(
    ("again", "answer"),
    [
        (False, error(503, "Busy")),  # what may have created something
        (True, error(403, "You must accept the rules")),  # what does not pass
        (True, error(429, "Too many", {"Retry-After": "3600"})),  # longer than anybody waits
    ],
)
def test_what_may_not_be_repeated_is_asked_once(connection, kaggle_service, again, answer):
    kaggle_service.faults.append(Fault("List", answer=answer))
    failing(connection, competition_calls.list_submissions, again=again, competition=SLUG)
    assert len(kaggle_service.requests("List")) == 1


def test_a_client_that_leaves_its_process_is_a_failure_in_words(connection):
    failure = failing(connection, gone_wrong.print_and_exit)
    assert failure.kind == "exit" and "You must authenticate" in str(failure)
    assert connection.words == "You must authenticate before you can call the Kaggle API."
    assert failing(connection, gone_wrong.vanish).kind == "died"


def test_a_client_that_hangs_is_ended_at_the_deadline(connection):
    patience = replace(connection.patience, call_seconds=1)
    failure = failing(replace(connection, patience=patience), gone_wrong.wait_long, seconds=60)
    assert failure.kind == "hung" and "no answer for 1 s" in str(failure)


def coming(seconds, *messages):
    """Lines that come `seconds` apart."""
    lines = queue.Queue()

    def come():
        for message in messages:
            time.sleep(seconds)
            lines.put(json.dumps(message))

    threading.Thread(target=come, daemon=True).start()
    return lines


def test_a_transfer_may_take_its_time_while_it_gets_on():
    seen = []
    lines = coming(0.2, *({"progress": [done, 4]} for done in (1, 2, 3, 4)), {"value": "arrived"})
    answer = await_answer(lines, Deadline(0.7, moves=True), lambda done, total: seen.append((done, total)))
    assert answer.value == "arrived" and seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    talking = [{"progress": [1, 4]}] * 9  # and getting nowhere
    assert await_answer(coming(0.1, *talking), Deadline(0.5, moves=True), print).symptom["kind"] == "hung"
    getting_on = [{"progress": [done, 99]} for done in range(9)]  # but no transfer
    assert await_answer(coming(0.1, *getting_on), Deadline(0.5), lambda *_: None).symptom["kind"] == "hung"


def test_what_is_printed_before_the_child_speaks_is_no_answer():
    lines = queue.Queue()
    for line in ("a plug-in says hello", "3", "{}", json.dumps({"value": "ours"})):
        lines.put(line)
    assert await_answer(lines, Deadline(1), print).value == "ours"


def test_one_process_serves_until_something_goes_wrong_in_it(connection, kaggle_service):
    def serving():
        return connection.ask(gone_wrong.process, again=True)

    first = serving()
    kaggle_service.faults.append(Fault("List", answer=error(503, "Busy")))
    list_again(connection)
    assert serving() == first
    failing(connection, gone_wrong.print_and_exit)
    assert serving() != first


def test_warnings_of_the_client_do_not_reach_the_answer(connection, kaggle_service):
    kaggle_service.faults.append(Fault("List", times=9, headers={"X-Kaggle-APIVersion": "99.0"}))
    connection = replace(
        connection, environment={**kaggle_service.environment, "VERBOSE": "true"}
    )  # headers too
    assert list_again(connection) == []
    assert "outdated" in connection.words and "Authorization" not in connection.words
    assert connection.username() == USER


def test_without_a_credential_the_ways_to_set_one(kaggle_service, display):
    environment = {**kaggle_service.environment, "KAGGLE_KEY": ""}
    with pytest.raises(ServiceRefusal, match=r"(?s)access_token.*KAGGLE_API_TOKEN.*kaggle.json.*KAGGLE_KEY"):
        connect(environment, display)
    with pytest.raises(ServiceRefusal, match="Add-ons > Secrets"):
        connect({**environment, "KAGGLE_KERNEL_RUN_TYPE": "Batch"}, display)


def test_a_file_called_kaggle_in_the_current_folder_is_not_the_client(connection, tmp_path, monkeypatch):
    (tmp_path / "kaggle.py").write_text("raise RuntimeError('not me')")
    monkeypatch.chdir(tmp_path)
    assert list_again(connection) == []


def test_the_client_is_not_imported_here():
    code = "import sys, histoblend.cli, histoblend.kaggle.connection as c; sys.exit('kaggle' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env=os.environ.copy()).returncode == 0
