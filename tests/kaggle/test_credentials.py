"""Which credential is used, and that no value of one is ever shown."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import calls_gone_wrong as gone_wrong
import pytest
from server.competitions import SLUG, Competition
from server.service import KEY, TOKEN, USER

from histoblend.errors import ServiceRefusal
from histoblend.kaggle.competitions import list_submissions
from histoblend.kaggle.connection import connect
from histoblend.kaggle.credentials import blotted, find_credential, open_to_others, secrets
from histoblend.kaggle.failures import CallFailure

SHIPPED = Path(__file__).parents[2] / "configs"
BAD = "not-a-token-0987654321"


@pytest.fixture
def home(tmp_path):
    (tmp_path / ".kaggle").mkdir()
    return tmp_path


def give(home, *names):
    """An environment in which those credentials are set."""
    files = {"access_token": TOKEN, "kaggle.json": json.dumps({"username": USER, "key": KEY})}
    files["credentials.json"] = json.dumps({"refresh_token": "refresh-0123456789", "username": USER})
    files["v1"] = "notebook-token-01234"
    for name in files.keys() & set(names):
        (home / ".kaggle" / name).write_text(files[name])
    variables = {"KAGGLE_API_TOKEN": TOKEN, "KAGGLE_USERNAME": USER, "KAGGLE_KEY": KEY}
    given = {"HOME": str(home), **{name: value for name, value in variables.items() if name in names}}
    if "v1" in names:
        given.update(KAGGLE_KERNEL_RUN_TYPE="Batch", KAGGLE_DATA_PROXY_URL="http://x")
        given["KAGGLE_API_V1_TOKEN"] = str(home / ".kaggle" / "v1")
    return given


def test_the_first_is_taken_in_the_order_of_the_client(home):
    order = ["v1", "KAGGLE_API_TOKEN", "access_token", "KAGGLE_KEY", "kaggle.json", "credentials.json"]
    kinds = ["notebook token", "access token", "access token", "API key", "API key", "OAuth login"]
    environment = give(home, *order, "KAGGLE_USERNAME")
    found = find_credential(environment)
    assert [found.kind, *(other.kind for other in found.hides)] == kinds
    places = [found.place, *(other.place for other in found.hides)]
    assert places[:4] == [
        "KAGGLE_API_V1_TOKEN",
        "KAGGLE_API_TOKEN",
        "~/.kaggle/access_token",
        "KAGGLE_USERNAME and KAGGLE_KEY",
    ]
    for value in (TOKEN, KEY, "refresh-0123456789", "notebook-token-01234"):
        assert value in secrets(environment) and value not in repr(found)


@pytest.mark.parametrize(
    ("names", "place"),
    [
        (("kaggle.json",), "kaggle.json"),
        (("credentials.json",), "~/.kaggle/credentials.json"),
        (("KAGGLE_KEY", "kaggle.json"), "kaggle.json"),  # a key without a name is none
    ],
)
def test_each_alone(home, names, place):
    found = find_credential(give(home, *names))
    assert found.place.endswith(place) and not found.hides


def test_a_token_may_be_given_as_the_path_of_its_file(home):
    give(home, "access_token")
    (home / "token.txt").write_text(TOKEN)
    environment = {"HOME": str(home / "elsewhere"), "KAGGLE_API_TOKEN": str(home / "token.txt")}
    assert find_credential(environment).place == "KAGGLE_API_TOKEN" and TOKEN in secrets(environment)


def test_broken_files_are_none(home):
    give(home, "access_token")
    (home / ".kaggle" / "access_token").write_text(" \n")
    (home / ".kaggle" / "kaggle.json").write_text('{"username": ')
    with pytest.raises(
        ServiceRefusal, match=r"No credential .*kaggle.json cannot be read or does not hold one"
    ):
        find_credential({"HOME": str(home)})


def test_a_file_that_others_may_read_is_told(home, display):
    environment = give(home, "kaggle.json")
    path = home / ".kaggle" / "kaggle.json"
    path.chmod(0o644)
    connect(environment, display)
    assert f"chmod 600 {path}" in display.text
    path.chmod(0o600)
    assert open_to_others(environment) == []


def test_values_headers_and_signatures_are_blotted_out():
    headers = "Authorization: Bearer abc.def {'Authorization': 'Basic Zm9vOmJhcg=='}"
    text = f"key {KEY} {headers} http://s/x.zip?sig=secret more"
    text += " Max retries exceeded with url: /upload/a?upload_id=S3&X-Goog-Signature=5e (Caused by: X-Amz-Token=7f)"
    shown = blotted(text, (KEY,))
    secrets_in = (KEY, "abc.def", "Zm9vOmJhcg", "sig=", "S3", "5e", "7f")
    assert not any(secret in shown for secret in secrets_in) and "url: /upload/a (Caused by" in shown
    assert "http://s/x.zip more" in shown


def test_a_bad_token_that_hides_a_good_key_is_named(kaggle_service, display):
    Competition(kaggle_service)
    environment = {**kaggle_service.environment, "KAGGLE_API_TOKEN": BAD}
    with pytest.raises(CallFailure) as caught:
        list_submissions(connect(environment, display), SLUG)
    assert caught.value.kind == "unauthorised"
    assert "access token from KAGGLE_API_TOKEN" in caught.value.found
    assert "hides the API key from KAGGLE_USERNAME and KAGGLE_KEY" in caught.value.remedy
    assert BAD not in str(caught.value)


def test_a_good_token_is_used(kaggle_service, display):
    Competition(kaggle_service)
    environment = {**kaggle_service.environment, "KAGGLE_API_TOKEN": TOKEN, "KAGGLE_KEY": "old"}
    assert list_submissions(connect(environment, display), SLUG) == []


def test_a_client_that_says_all_it_knows_betrays_nothing(kaggle_service, display):
    connection = connect(kaggle_service.environment, display)
    with pytest.raises(CallFailure, match="cannot log in with") as caught:
        connection.ask(gone_wrong.betray, again=False)
    said = f"{connection!r} {caught.value!r} {caught.value} {caught.value.words} {connection.words} {display.text}"
    assert KEY not in said and "c29tZXRoaW5nOmVsc2U" not in said and USER in said


def test_no_value_in_what_a_command_prints_and_writes(kaggle_service, tmp_path):
    Competition(kaggle_service, rules_accepted=False)
    command = [sys.executable, "-m", "histoblend", "download", "--to", str(tmp_path / "to"), "--debug"]
    environment = {**kaggle_service.environment, "HISTOBLEND_CONFIGS": str(SHIPPED)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 6
    assert "Traceback" in done.stderr and f"{SLUG}/rules" in done.stderr
    texts = [done.stdout, done.stderr, *(path.read_text() for path in tmp_path.rglob("*") if path.is_file())]
    texts += [path.read_text() for path in kaggle_service.home.rglob("*") if path.is_file()]
    for hidden in secrets(environment):
        assert not any(hidden in text for text in texts)
