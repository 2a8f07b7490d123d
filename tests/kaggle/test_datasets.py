"""Datasets by the real client: made, versioned, waited for; and each way in which that goes wrong without a word."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from server.datasets import Dataset as Kept
from server.datasets import Datasets
from server.service import USER, Answer, Fault, Service

from histoblend.errors import ServiceRefusal
from histoblend.kaggle import connection as connections
from histoblend.kaggle import datasets
from histoblend.kaggle.connection import Connection, Patience, connect
from histoblend.kaggle.datasets import Dataset, State, look, send, wait_listed, wait_ready
from histoblend.workspace import write_json

OURS = Dataset(USER, "histoblend-assets")
OLDER = State("ready", 1, True)
FILES = {"map.csv": b"id,wsi\n", "net.h5": b"w" * 300_000}


def nothing(done: int, total: int) -> None:
    pass


@pytest.fixture
def kept(kaggle_service: Service) -> Datasets:
    return Datasets(kaggle_service)


@pytest.fixture
def kaggle(kaggle_service: Service, kept: Datasets, display: Any, tmp_path_factory: Any) -> Connection:
    states = str(tmp_path_factory.mktemp("states"))  # where the client notes uploads that broke off
    return connect({**kaggle_service.environment, "TMPDIR": states}, display)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    metadata = {"id": OURS.ref, "title": "Histoblend assets", "licenses": [{"name": "other"}]}
    write_json(tmp_path / "dataset-metadata.json", metadata)
    return tmp_path


def older(kept: Datasets) -> None:
    kept.kept[OURS.ref] = Kept("Histoblend assets", True, "other", {"map.csv": b"old"})


def test_made_then_versioned_and_waited_for(kaggle: Connection, kept: Datasets, folder: Path) -> None:
    assert look(kaggle, OURS) is None
    moved: list[tuple[int, int]] = []
    send(kaggle, OURS, folder, "first", None, lambda done, total: moved.append((done, total)))
    assert kept.kept[OURS.ref].files == FILES and kept.kept[OURS.ref].private
    total = sum(map(len, FILES.values()))
    assert moved[-1] == (total, total) and {of for _, of in moved} == {total}
    state = wait_ready(kaggle, OURS, nothing)
    assert state == State("ready", 1, True, {name: len(content) for name, content in FILES.items()})
    send(kaggle, OURS, folder, "second", state, nothing)
    assert (kept.kept[OURS.ref].version, kept.kept[OURS.ref].notes) == (2, ["second"])


def test_every_page_of_files_is_read(kaggle: Connection, kept: Datasets) -> None:
    files = {f"{number:03d}.csv": b"x" * number for number in range(45)}
    kept.kept[OURS.ref] = Kept("Histoblend assets", True, "other", files)
    state = look(kaggle, OURS)
    assert state is not None and state.files == {name: len(content) for name, content in files.items()}


@pytest.mark.parametrize("status", [403, 503])
def test_a_refused_upload_makes_nothing(
    kaggle: Connection, kept: Datasets, folder: Path, kaggle_service: Service, status: int
) -> None:
    kaggle.patience = replace(kaggle.patience, tries=1)
    kaggle_service.faults.append(Fault("/upload/", times=1_000, skip=1, answer=Answer(status)))
    with pytest.raises(ServiceRefusal, match=r"not taken: (map\.csv|net\.h5)"):
        send(kaggle, OURS, folder, "", None, nothing)
    assert not kept.kept and not kaggle_service.requests("CreateDataset")


def test_an_upload_refused_once_is_tried_again(
    kaggle: Connection, kept: Datasets, folder: Path, kaggle_service: Service, display: Any
) -> None:
    kaggle_service.faults.append(Fault("/upload/", times=1, answer=Answer(403)))
    send(kaggle, OURS, folder, "", None, nothing)
    assert kept.kept[OURS.ref].files == FILES
    assert "trying again" in display.text


@pytest.mark.parametrize("new", [True, False])
def test_a_lost_reply_makes_no_second_version(
    kaggle: Connection, kept: Datasets, folder: Path, kaggle_service: Service, display: Any, new: bool
) -> None:
    if not new:
        older(kept)
    before = None if new else OLDER
    kaggle_service.faults.append(Fault("/CreateDataset", drop="after"))
    send(kaggle, OURS, folder, "", before, nothing)
    assert kept.kept[OURS.ref].version == (1 if new else 2)
    assert len(kaggle_service.requests("/CreateDataset")) == 1
    assert "is there" in display.text


def test_a_making_that_shows_late_is_no_name_in_use(
    kaggle: Connection, kept: Datasets, folder: Path, kaggle_service: Service, display: Any
) -> None:
    """Made without an answer, not seen at the first look, refused as in use at the second try: it is our own."""
    kaggle_service.faults.append(Fault("/CreateDataset", drop="after"))
    kaggle_service.faults.append(Fault("/GetDataset", answer=Answer(404), times=2))
    send(kaggle, OURS, folder, "", None, nothing)
    assert kept.kept[OURS.ref].version == 1 and "earlier try has made" in display.text


def test_what_kaggle_refuses_with_status_200_is_noticed(
    kaggle: Connection, kept: Datasets, folder: Path
) -> None:
    older(kept)
    kept.refusal = "Invalid token"
    with pytest.raises(ServiceRefusal, match=r"Invalid token(.|\n)*uploads anew"):
        send(kaggle, OURS, folder, "", OLDER, nothing)
    assert kept.kept[OURS.ref].version == 1


def test_a_name_that_is_taken_unseen_is_noticed(
    kaggle: Connection, kept: Datasets, folder: Path, kaggle_service: Service
) -> None:
    older(kept)
    with pytest.raises(ServiceRefusal, match=r"already in use(.|\n)*To do: set another assets\.slug"):
        send(kaggle, OURS, folder, "", None, nothing)


def test_a_stalled_upload_ends(
    kept: Datasets, folder: Path, kaggle_service: Service, display: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "USUAL", Patience(request_seconds=20, still_seconds=1.5, tries=1))
    kaggle_service.faults.append(Fault("/upload/", stall=60))
    with pytest.raises(ServiceRefusal, match="no progress"):
        send(connect(kaggle_service.environment, display), OURS, folder, "", None, nothing)
    assert not kept.kept


def test_a_version_that_fails_or_never_ends_is_said(
    kaggle: Connection, kept: Datasets, monkeypatch: pytest.MonkeyPatch
) -> None:
    older(kept)
    kept.kept[OURS.ref].failed = True
    with pytest.raises(ServiceRefusal, match="its state is failed"):
        wait_ready(kaggle, OURS, nothing)
    monkeypatch.setattr(datasets, "READY_POLLS", 2)
    kept.kept[OURS.ref].polls_left = 3
    with pytest.raises(ServiceRefusal, match=r"After 2 looks .* is blobs received(.|\n)*sends nothing twice"):
        wait_ready(kaggle, OURS, nothing)


def test_files_are_looked_at_until_they_are_the_new_ones(
    kaggle: Connection, kept: Datasets, monkeypatch: pytest.MonkeyPatch
) -> None:
    older(kept)
    kept._stale[OURS.ref] = ({"gone.csv": b""}, 1)

    def compared(listed: Mapping[str, int]) -> list[str]:
        return [] if "map.csv" in listed else ["map.csv is missing"]

    assert wait_listed(kaggle, OURS, compared, nothing).files == {"map.csv": 3}
    monkeypatch.setattr(datasets, "LISTED_POLLS", 1)
    with pytest.raises(ServiceRefusal, match=r"does not list what was sent.*net missing"):
        wait_listed(kaggle, OURS, lambda listed: ["net missing"], nothing)


def test_a_wrong_key_is_no_absent_dataset(
    kaggle: Connection, kept: Datasets, kaggle_service: Service
) -> None:
    older(kept)
    kaggle_service.keys.clear()
    with pytest.raises(ServiceRefusal, match="does not accept"):
        look(kaggle, OURS)
