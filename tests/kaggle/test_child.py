"""The child process: one HTTP request's limit, what each failure is a symptom of, and its end with its parent."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import calls_gone_wrong as gone_wrong
import pytest
import requests
from server.competitions import SLUG, Competition
from server.service import Answer, Fault, error

from histoblend.kaggle.connection import Patience, connect
from histoblend.kaggle.symptoms import symptom_of

HTML = Answer(200, b"<html>Sign in to the network</html>", {"Content-Type": "text/html"})
STRIKES = [
    ("unauthorised", 401, {"answer": error(401, "Unauthenticated")}),
    ("forbidden", 403, {"answer": error(403, "You must accept the rules")}),
    ("not found", 404, {"answer": error(404, "Competition not found")}),
    ("too many", 429, {"answer": error(429, "Slow down", {"Retry-After": "30"})}),
    ("server", 500, {"answer": error(500, "Oh")}),
    ("server", 503, {"answer": Answer(503, b"<html>down</html>", {"Content-Type": "text/html"})}),
    ("refused", 400, {"answer": error(400, "Bad request")}),
    ("not json", None, {"answer": HTML}),
    (
        "forbidden",
        403,
        {"answer": Answer(200, b'{"code": 403, "message": "No"}', {"Content-Type": "application/json"})},
    ),
    ("stalled", None, {"stall": 30}),
    ("stalled", None, {"freeze": 5, "stall": 30}),
    ("dropped", None, {"drop": "before"}),
    ("dropped", None, {"drop": "after"}),
    ("dropped", None, {"cut": 5}),
]


def test_every_failure_of_the_service_has_its_kind(kaggle_service, display):
    Competition(kaggle_service)
    kaggle_service.faults += [Fault("ListSubmissions", **strike) for _, _, strike in STRIKES]
    connection = connect(kaggle_service.environment, display, Patience(request_seconds=0.7))
    found = connection.ask(gone_wrong.every_symptom, again=False, competition=SLUG, calls=len(STRIKES) + 1)
    expected = [(kind, status) for kind, status, _ in STRIKES]
    assert [(symptom["kind"], symptom["status"]) for symptom in found[:-1]] == expected
    assert found[-1] == {"kind": "fine"}
    assert found[3]["retry_after"] == 30 and found[3]["message"] == "Slow down"


@pytest.mark.parametrize(
    ("address", "proxy", "kind"),
    [
        ("http://127.0.0.1:9/", "", "unreachable"),  # nobody listens at the port for discarding
        ("http://no-such-host.invalid/", "", "unknown host"),
        ("http://127.0.0.1/", "http://127.0.0.1:9", "proxy"),
    ],
)
def test_no_way_to_kaggle(address, proxy, kind):
    session = requests.Session()
    session.trust_env = False
    with pytest.raises(requests.exceptions.ConnectionError) as caught:
        session.get(address, proxies={"http": proxy} if proxy else {}, timeout=20)
    symptom = symptom_of(caught.value)
    assert symptom["kind"] == kind
    assert "0x" not in symptom["message"] and "Pool" not in symptom["message"]


def test_kinds_that_no_service_on_loopback_can_bring_about():
    expired = requests.Response()
    expired.status_code, expired.history = 403, [requests.Response()]
    cases = {
        "certificate": requests.exceptions.SSLError("certificate verify failed: unable to get local issuer"),
        "proxy": requests.exceptions.ProxyError("Unable to connect to proxy"),
        "stalled": requests.exceptions.ConnectionError(
            "HTTPSConnectionPool(host='x', port=443): Read timed out."
        ),
        "server": requests.exceptions.HTTPError("expired signature", response=expired),
        "missing": ModuleNotFoundError("No module named 'six'"),
        "disk": OSError(28, "No space left on device"),
        "client": AttributeError("'KaggleApi' object has no attribute 'competition_submit'"),
    }
    assert {kind: symptom_of(case)["kind"] for kind, case in cases.items()} == {kind: kind for kind in cases}


def test_an_address_is_not_shown_with_its_pool():
    cause = "NewConnectionError('<urllib3.Conn object at 0x7f>: refused')"
    text = f"HTTPConnectionPool(host='h', port=80): Max retries (Caused by {cause})"
    assert symptom_of(requests.exceptions.ConnectionError(text))["message"] == "ConnectionError: refused"


def test_it_ends_with_its_parent(kaggle_service):
    child = subprocess.Popen(
        [sys.executable, "-P", "-m", "histoblend.kaggle.child"],
        stdin=subprocess.PIPE,
        env=kaggle_service.environment,
        text=True,
    )
    call = {
        "module": "calls_gone_wrong",
        "name": "wait_long",
        "arguments": {"seconds": 600},
        "request_seconds": 9,
    }
    child.stdin.write(json.dumps(call) + "\n")
    child.stdin.close()  # as the system does when the parent is killed
    assert child.wait(timeout=60) == 1


def test_uploads_tell_how_far_they_are(monkeypatch):
    from histoblend.kaggle import requests_limits

    told = []
    monkeypatch.setattr(requests_limits.channel, "progress", lambda done, total: told.append((done, total)))
    body = requests_limits._Counted(io.BytesIO(b"abcde"), 5)
    while body.read(3):
        pass
    assert told[:2] == [(3, 5), (5, 5)]
