"""What failures say: each its own words, who was signed in, and where to go."""

from __future__ import annotations

import pytest

from histoblend.kaggle.credentials import Credential
from histoblend.kaggle.failures import ALIKE, PASSING, PLAIN, WRITTEN, Asked, call_failure

KEY = Credential("API key", "~/.kaggle/kaggle.json")
TOKEN = Credential("access token", "KAGGLE_API_TOKEN", (KEY,))


def failure(kind, message="", words="", credential=KEY, deed="list files", **about):
    status = about.pop("status", None)
    symptom = {"kind": kind, "status": status, "message": message, "retry_after": about.pop("wait", None)}
    return call_failure(symptom, words, Asked(deed, about or {"competition": "hcd"}, credential))


@pytest.mark.parametrize(
    ("message", "there", "absent"),
    [
        ("You must accept this competition's rules", "accept the competition's rules", "phone"),
        ("Phone verification is required", "verify the phone number", "accept the"),
        ("Permission 'datasets.get' was denied", "ask its owner", "phone"),
        ("Forbidden", "accept the competition's rules there; or verify the phone", "nothing"),
    ],
)
def test_what_is_forbidden_names_what_kaggle_names_else_all_ways(message, there, absent):
    said = failure("forbidden", message, status=403)
    assert there in said.remedy and absent not in said.remedy
    assert "https://www.kaggle.com/competitions/hcd/rules" in said.remedy
    assert "the API key from ~/.kaggle/kaggle.json" in said.remedy and f"(403 {message})" in said.found


def test_a_dataset_or_kernel_has_no_rules():
    said = failure("forbidden", "Forbidden", dataset="me/assets")
    assert "rules" not in str(said) and "https://www.kaggle.com/datasets/me/assets" in said.remedy


@pytest.mark.parametrize(
    ("about", "address"),
    [
        ({"competition": "hcd"}, "https://www.kaggle.com/competitions/hcd"),
        ({"dataset": "me/assets"}, "https://www.kaggle.com/datasets/me/assets"),
        ({"kernel": "me/run"}, "https://www.kaggle.com/code/me/run"),
    ],
)
def test_what_is_not_found_is_named_with_its_page(about, address):
    said = failure("not found", **about)
    assert (
        f"knows no {next(iter(about))} {next(iter(about.values()))}" in said.found and address in said.remedy
    )


def test_who_was_not_accepted_and_what_it_hides():
    said = failure("unauthorised", "Unauthenticated", credential=TOKEN, status=401)
    assert "the access token from KAGGLE_API_TOKEN" in said.found
    assert "hides the API key from ~/.kaggle/kaggle.json" in said.remedy
    notebook = Credential("notebook token", "KAGGLE_API_V1_TOKEN")
    assert "Add-ons > Secrets" in failure("unauthorised", credential=notebook).remedy


def test_every_kind_has_words_of_its_own():
    said = {kind: failure(kind, "message") for kind in (*PLAIN, *WRITTEN, "client")}
    assert len({refusal.found for refusal in said.values()}) == len(said)
    assert all(refusal.found and refusal.expected and refusal.remedy for refusal in said.values())
    assert all("competition hcd" in refusal.found for kind, refusal in said.items() if kind != "missing")
    assert {kind for kind in said if said[kind].passing} == set(PASSING) - set(ALIKE)
    assert all(failure(kind).found == failure(same).found for kind, same in ALIKE.items())


def test_the_last_that_the_client_printed_tells_why_it_stopped_and_a_warning_does_not_join_an_answer():
    words = "Warning: outdated\nPlease log in."
    assert "(SystemExit: 1; Please log in.)" in failure("exit", "SystemExit: 1", words).found
    assert "log in" not in failure("server", "Busy", words, status=503).found


def test_a_client_that_knows_no_tokens_is_thought_of():
    assert (
        "API keys only" in failure("client", "OSError: Could not find kaggle.json", credential=TOKEN).expected
    )
    assert "API keys only" not in failure("client", "KeyError: 'x'").expected


def test_how_long_kaggle_wants_to_be_left_alone_is_told():
    assert "it asks to wait 3,600 s" in failure("too many", "Slow down", status=429, wait=3600.0).found
