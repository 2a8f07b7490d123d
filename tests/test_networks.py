"""`histoblend networks`."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import pytest
from rich.console import Console

from histoblend.errors import ArtifactRefusal, ConfigRefusal
from histoblend.networks import experiments_by_network, list_networks, write_page
from histoblend.reporting.networks_page import page_text
from histoblend.reporting.progress import Display
from histoblend.trials.record import REQUIRED


class Heard(Display):
    """A display that remembers."""

    def __init__(self) -> None:
        self.stream = io.StringIO()
        super().__init__(Console(file=self.stream, highlight=False, soft_wrap=True))

    @property
    def text(self) -> str:
        return self.stream.getvalue()


def test_experiments_stand_with_their_networks(toy_configs: Path):
    assert experiments_by_network(toy_configs) == {
        "small_vgg": ["everything", "first"],
        "course_cnn": ["second"],
    }


def test_one_network_is_shown_and_an_unknown_one_refused(toy_configs: Path):
    heard = Heard()
    list_networks("small_vgg", as_json=False, display=heard, environment=os.environ)
    assert "68x68 pixels" in heard.text and "everything, first" in heard.text and "depths" in heard.text
    with pytest.raises(ConfigRefusal, match="Did you mean small_vgg"):
        list_networks("smal_vgg", as_json=False, display=heard, environment=os.environ)


def test_json_is_nothing_but_json(toy_configs: Path, capsys: pytest.CaptureFixture[str]):
    list_networks("course_cnn", as_json=True, display=Heard(), environment=os.environ)
    content = json.loads(capsys.readouterr().out)
    assert content["name"] == "course_cnn" and content["experiments"] == ["second"]


def test_the_page_is_made_anew_from_the_records_beside_it(tmp_path: Path):
    page = tmp_path / "networks.md"
    with pytest.raises(ArtifactRefusal, match="no records beside"):
        write_page(page, None, Heard())
    content = {"trials": [], "not_tried": [{"name": "a", "family": "b", "parameters": 1, "macs": 2}]}
    page.with_suffix(".json").write_text(json.dumps(content))
    write_page(page, None, Heard())
    assert page.read_text() == page_text(content, page)
    assert not (tmp_path / "images").exists()


def test_what_a_record_must_hold_is_what_the_page_reads():
    assert {"name", "network", "family", "weights", "parameters", "macs", "speeds"} <= set(REQUIRED)
