"""Fetching one file: what an answer may say, and what is kept of it."""

from __future__ import annotations

import json

import pytest
import requests

from histoblend.kaggle.transfers import CHUNK, CutShort, NotTheFile, receive

CONTENT = bytes(range(256)) * 1024
ETAG = '"one"'


class Given:
    """An answer of `requests` as far as it is looked at."""

    status_code = 200

    def __init__(self, body=CONTENT, **headers):
        self.body = body
        self.headers = {"Content-Length": str(len(CONTENT)), "ETag": ETAG, **headers}
        self.request = requests.Request("GET", "http://127.0.0.1/file").prepare()

    def iter_content(self, size):
        yield from (self.body[start : start + size] for start in range(0, len(self.body), size))

    def raise_for_status(self):
        pass

    def close(self):
        pass


@pytest.fixture
def path(tmp_path):
    return tmp_path / "all.zip"


@pytest.fixture
def later(monkeypatch):
    """What is answered to a request for the rest, and the headers it came with."""
    asked = []

    def answers(given):
        monkeypatch.setattr(
            requests.Session, "send", lambda self, request, **_: asked.append(request.headers) or given
        )
        return asked

    return answers


def broken_off(path, **headers):
    with pytest.raises(CutShort):
        receive(Given(CONTENT[:CHUNK], **headers), path)
    assert path.with_name("all.zip.part").read_bytes() == CONTENT[:CHUNK] and not path.exists()


def test_less_than_announced_is_no_file_and_the_rest_is_asked_for(path, later):
    broken_off(path)
    rest = Given(CONTENT[CHUNK:], **{"Content-Range": f"bytes {CHUNK}-{len(CONTENT) - 1}/{len(CONTENT)}"})
    rest.status_code = 206
    asked = later(rest)
    assert receive(Given(), path) == len(CONTENT) and path.read_bytes() == CONTENT
    assert (asked[0]["Range"], asked[0]["If-Range"]) == (f"bytes={CHUNK}-", ETAG)
    assert not path.with_name("all.zip.part.json").exists()


def test_storage_that_sends_all_again_is_taken_from_the_start(path, later):
    broken_off(path)
    later(Given())
    assert receive(Given(), path) == len(CONTENT) and path.read_bytes() == CONTENT


def test_a_weak_tag_does_not_stand_in_if_range_and_no_tag_means_no_rest(path, later):
    broken_off(path, ETag='W/"one"')
    asked = later(Given(ETag='W/"one"'))
    receive(Given(ETag='W/"one"'), path)
    assert "If-Range" not in asked[0]
    path.unlink()
    broken_off(path, ETag="")
    receive(Given(ETag=""), path)
    assert path.read_bytes() == CONTENT and len(asked) == 1


def test_a_note_that_is_broken_and_a_page_of_html(path):
    broken_off(path)
    path.with_name("all.zip.part.json").write_text(json.dumps({})[:1])
    assert receive(Given(), path) == len(CONTENT) and path.read_bytes() == CONTENT
    with pytest.raises(NotTheFile):
        receive(Given(b"<html>", **{"Content-Type": "text/html"}), path)
