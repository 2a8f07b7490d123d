"""The command: a page from a finished run's artifacts, nothing else touched."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from histoblend.errors import ArtifactRefusal, MachineRefusal
from histoblend.report_page import ReportRequest, stage, write_report
from histoblend.workspace import Workspace, file_hash

ENVIRONMENT: dict[str, str] = {}


def content(folder: Path) -> dict[str, str]:
    return {str(path): file_hash(path) for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_finished_run_gives_a_page_and_nothing_else_is_touched(
    finished: Path, toy_configs: Path, listening: Any
) -> None:
    before, heard = content(finished), listening()
    path = write_report(ReportRequest(finished), heard, {"HISTOBLEND_CONFIGS": str(toy_configs)})
    after = content(finished)
    assert path == finished / "report" / "index.html"
    assert after.keys() - before.keys() == {str(path)}
    assert {name: after[name] for name in before} == before
    html = path.read_text()
    assert len(html) < 5_000_000
    assert html.count("data:image/png;base64,") > 4
    assert "first" in html and "second" in html
    assert re.search(r"The network (small_vgg|course_cnn) of (first|second), trained without fold 0", html)
    assert "MB that opens from disk" in heard.text


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The pages that are made, in place of drawing them: figures take seconds."""
    pages: list[Any] = []

    def remember(artifacts: Any, shown: Any) -> Any:
        pages.append(shown)
        return shown

    monkeypatch.setattr(stage, "report_page", remember)
    monkeypatch.setattr(stage, "render", lambda shown: f"<html>{len(shown.galleries)} galleries</html>")
    return pages


def test_patches_come_from_the_cache_and_networks_without_weights_are_said(
    whole: Workspace, drawn: list[Any], listening: Any
) -> None:
    to = whole.folder / "elsewhere.html"
    assert write_report(ReportRequest(whole.folder, to=to), listening(), ENVIRONMENT) == to
    (shown,) = drawn
    assert len(shown.galleries) >= 2
    assert f"the pixel cache {whole.cache}" in shown.about
    assert shown.explained == ()
    assert "alpha keeps no weights." in shown.explanation
    assert to.read_text() == f"<html>{len(shown.galleries)} galleries</html>"


def test_a_folder_that_is_named_takes_the_page(whole: Workspace, drawn: list[Any], listening: Any) -> None:
    to = whole.folder / "pages"
    to.mkdir()
    written = write_report(ReportRequest(whole.folder, to=to), listening(), ENVIRONMENT)
    assert written == to / "index.html" and written.exists()
    assert "tumour being called above .5" in drawn[0].about


def test_a_place_that_cannot_be_written_asks_for_another(
    whole: Workspace, drawn: list[Any], listening: Any
) -> None:
    to = whole.folds / "page.html"  # a file stands where a folder would have to
    with pytest.raises(MachineRefusal, match="--to FILE") as refusal:
        write_report(ReportRequest(whole.folder, to=to), listening(), ENVIRONMENT)
    assert str(to) in refusal.value.found


def test_without_pixels_the_page_says_so(whole: Workspace, drawn: list[Any], listening: Any) -> None:
    shutil.rmtree(whole.cache)
    write_report(ReportRequest(whole.folder), listening(), ENVIRONMENT)
    assert drawn[0].galleries == ()
    assert "is gone, and so is the data" in drawn[0].about
    assert "Name the data with --data." in drawn[0].explanation


def test_other_data_are_not_taken_for_those_trained_on(
    whole: Workspace, toy: Path, drawn: list[Any], listening: Any
) -> None:
    shutil.rmtree(whole.cache)
    write_report(ReportRequest(whole.folder, data=toy), listening(), ENVIRONMENT)
    assert "it is not what was trained on" in drawn[0].about


def test_pixels_of_the_files_are_those_of_the_cache(
    finished: Path, toy: Path, toy_configs: Path, drawn: list[Any], listening: Any
) -> None:
    environment = {"HISTOBLEND_CONFIGS": str(toy_configs)}
    write_report(ReportRequest(finished), listening(), environment)
    shutil.rmtree(finished / "cache")
    write_report(ReportRequest(finished, data=toy), listening(), environment)
    cached, filed = drawn
    assert cached.galleries == filed.galleries
    assert cached.explained == filed.explained
    assert "the pixel cache that would prove them unchanged is gone" in filed.about


def test_a_page_that_is_too_large_goes_without_its_patches_aloud(
    whole: Workspace, drawn: list[Any], listening: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "LARGEST", 10)
    heard = listening()
    path = write_report(ReportRequest(whole.folder), heard, ENVIRONMENT)
    assert path.read_text() == "<html>0 galleries</html>"
    assert "larger than 5 MB" in heard.text
    assert "larger than 5 MB" in drawn[-1].about


def test_a_damaged_artifact_stops_the_command_and_leaves_the_old_page(
    whole: Workspace, listening: Any
) -> None:
    whole.report.parent.mkdir()
    whole.report.write_text("old")
    path = whole.experiment("alpha").metrics
    path.write_text(json.dumps(json.loads(path.read_text()) | {"auc_pooled": 0.999}))
    with pytest.raises(ArtifactRefusal, match=r"alpha/metrics\.json: auc_pooled is 0\.999"):
        write_report(ReportRequest(whole.folder), listening(), ENVIRONMENT)
    assert whole.report.read_text() == "old"


def test_damaged_weights_stop_the_command(
    finished: Path, toy_configs: Path, drawn: list[Any], listening: Any
) -> None:
    for path in finished.glob("experiments/*/fold_0/model.weights.h5"):
        path.write_bytes(b"no network")
    with pytest.raises(ArtifactRefusal, match=r"Damaged: model\.weights\.h5"):
        write_report(ReportRequest(finished), listening(), {"HISTOBLEND_CONFIGS": str(toy_configs)})


def test_on_another_backend_the_page_goes_without_maps_and_says_why(
    finished: Path, toy_configs: Path, drawn: list[Any], listening: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise MachineRefusal("Keras runs on jax.", "", "unset KERAS_BACKEND for this command.")

    monkeypatch.setattr("histoblend.inference.grad_cam.grad_cam", refuse)
    write_report(ReportRequest(finished), listening(), {"HISTOBLEND_CONFIGS": str(toy_configs)})
    assert drawn[0].explained == ()
    assert (
        drawn[0].explanation
        == "There are no maps: Keras runs on jax. To do: unset KERAS_BACKEND for this command."
    )


def test_unfinished_folds_are_told(whole: Workspace, drawn: list[Any], listening: Any) -> None:
    folder = whole.experiment("beta")
    folder.task(1).done.unlink()
    for path in (folder.metrics, folder.out_of_fold, folder.test):
        path.unlink()
    shutil.rmtree(whole.ensembles)
    heard = listening()
    write_report(ReportRequest(whole.folder), heard, ENVIRONMENT)
    assert "beta: fold 1 of 2 is not finished." in heard.text
