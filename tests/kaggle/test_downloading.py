"""`download` against the stand-in: whole, broken off anywhere, killed, damaged, refused."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import filelock
import pytest
from server.competitions import SLUG, Competition, archive_of
from server.service import Answer, Fault

from histoblend.errors import DataRefusal, MachineRefusal, ServiceRefusal
from histoblend.kaggle import connection, unpacking
from histoblend.kaggle.downloading import DownloadRequest, download_competition
from histoblend.kaggle.transfers import CHUNK

ZIP = f"{SLUG}.zip"


@pytest.fixture
def files(toy):
    return {str(path.relative_to(toy)): path.read_bytes() for path in toy.rglob("*") if path.is_file()}


@pytest.fixture
def to(tmp_path):
    return tmp_path / "hcd"


def held(folder):
    found = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {name: content for name, content in found.items() if not name.startswith(".")}


def came(service):
    return [entry.status for entry in service.requests("/storage/")]


def download(service, to, display, keep=False):
    return download_competition(DownloadRequest(to, keep), display, service.environment)


def test_all_files_come_are_checked_and_are_not_fetched_twice(kaggle_service, files, display, toy_configs):
    Competition(kaggle_service, files=files)
    environment = {**kaggle_service.environment, "HISTOBLEND_CONFIGS": str(toy_configs)}
    folder = download_competition(DownloadRequest(), display, environment)
    assert folder == toy_configs.parent / "input" / SLUG and held(folder) == files
    assert "Checked: 60 training patches" in display.text and f"./run.sh run --data {folder}" in display.text
    asked = len(kaggle_service.log)
    (folder / "patch_id_wsi.csv").write_text("id,wsi\n")  # what is put beside later is no change
    download(kaggle_service, folder, display)
    assert len(kaggle_service.log) == asked and "nothing is fetched" in display.text


def test_a_folder_that_was_filled_otherwise_is_taken_as_it_is(kaggle_service, toy, display):
    before = held(toy)
    download(kaggle_service, toy, display)
    assert not kaggle_service.log and "nothing is fetched" in display.text
    assert held(toy) == before and not list(toy.glob(".*"))


def test_a_broken_download_goes_on_in_the_same_run_and_in_the_next(
    kaggle_service, files, to, display, monkeypatch
):
    Competition(kaggle_service, files=files)
    cut, frozen = Fault("/storage/", cut=140_000), Fault("/storage/", freeze=70_000, stall=30)
    kaggle_service.faults += [cut, frozen]
    impatient = replace(connection.USUAL, tries=1, request_seconds=3)
    monkeypatch.setattr(connection, "USUAL", impatient)
    with pytest.raises(ServiceRefusal, match="broke"):
        download(kaggle_service, to, display)
    assert (to / f"{ZIP}.part").stat().st_size == 2 * CHUNK
    monkeypatch.setattr(connection, "USUAL", replace(impatient, tries=4))
    kaggle_service.faults[:] = [replace(cut, times=1, skip=1, cut=70_000), replace(frozen, times=1, skip=2)]
    download(kaggle_service, to, display, keep=True)
    assert held(to) == {**files, ZIP: archive_of(files)}
    assert came(kaggle_service)[-1] == 206 and came(kaggle_service).count(206) >= 2


def test_a_beginning_of_another_file_is_thrown_away(kaggle_service, files, to, display, monkeypatch):
    competition = Competition(kaggle_service, files={**files, "train_labels.csv": b"old"})
    monkeypatch.setattr(connection, "USUAL", replace(connection.USUAL, tries=1))
    kaggle_service.faults.append(Fault("/storage/", cut=140_000))
    with pytest.raises(ServiceRefusal):
        download(kaggle_service, to, display)
    competition.files = files
    kaggle_service.storage.offered.clear()
    download(kaggle_service, to, display)
    assert held(to) == files and came(kaggle_service) == [200, 200]


def test_a_killed_download_leaves_no_process_and_goes_on(kaggle_service, files, to, display):
    Competition(kaggle_service, files=files)
    kaggle_service.faults.append(Fault("/storage/", freeze=140_000, stall=60))
    command = [sys.executable, "-m", "histoblend", "download", "--to", str(to)]
    process = subprocess.Popen(command, env=kaggle_service.environment, stdout=subprocess.DEVNULL)
    part = to / f"{ZIP}.part"
    while not part.exists() or part.stat().st_size < 2 * CHUNK:
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    while str(part) in open_files():  # its child's
        time.sleep(0.02)
    download(kaggle_service, to, display)
    assert held(to) == files and came(kaggle_service) == [200, 200, 206]


def open_files():
    """What any process holds open."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*/fd"):
        with contextlib.suppress(OSError):
            found |= {str(opened.readlink()) for opened in folder.iterdir()}
    return found


def test_a_damaged_archive_is_fetched_anew_once_and_whole_files_are_kept(kaggle_service, files, to, display):
    Competition(kaggle_service, files=files)
    good = archive_of(files)
    damaged = bytearray(good)
    damaged[len(good) // 2] ^= 0xFF
    kaggle_service.faults += [
        Fault("/storage/", answer=Answer(200, bytes(damaged))),
        Fault("/storage/", answer=Answer(200, good[:-100])),
    ]
    with pytest.raises(ServiceRefusal, match="damaged 2 times"):
        download(kaggle_service, to, display)
    assert "fetched anew" in display.text
    download(kaggle_service, to, display)
    assert held(to) == files and "of them were there" in display.text


def test_an_archive_without_files_is_no_download(kaggle_service, to, display):
    Competition(kaggle_service, files={})
    for _ in range(2):
        with pytest.raises(ServiceRefusal, match="holds no file"):
            download(kaggle_service, to, display)
    assert held(to) == {}


def test_a_page_in_place_of_the_archive_is_not_saved(kaggle_service, files, to, display):
    Competition(kaggle_service, files=files)
    page = Answer(200, b"<html>Sign in</html>", {"Content-Type": "text/html"})
    kaggle_service.faults.append(Fault("/storage/", times=9, answer=page))
    with pytest.raises(ServiceRefusal, match="not Kaggle's service"):
        download(kaggle_service, to, display)
    assert held(to) == {}


def test_no_room_is_told_before_the_archive_comes(kaggle_service, files, to, display, monkeypatch):
    Competition(kaggle_service, files=files)
    usage = namedtuple("usage", "total used free")
    free = unpacking.SPARE_BYTES + len(archive_of(files)) + 1000
    monkeypatch.setattr(unpacking.shutil, "disk_usage", lambda _: usage(10, 9, free))
    with pytest.raises(MachineRefusal, match="MiB free"):
        download(kaggle_service, to, display)
    assert not (to / ZIP).exists()


def test_what_came_is_checked_at_the_door(kaggle_service, files, to, display):
    name = next(name for name in files if name.startswith("test/"))
    Competition(kaggle_service, files={other: files[other] for other in files if other != name})
    with pytest.raises(DataRefusal, match="without a file"):
        download(kaggle_service, to, display)


def test_on_kaggle_the_files_are_attached(kaggle_service, display):
    environment = {**kaggle_service.environment, "KAGGLE_KERNEL_RUN_TYPE": "Batch"}
    with pytest.raises(DataRefusal, match="attached and not downloaded"):
        download_competition(DownloadRequest(), display, environment)


def test_one_download_at_a_time(kaggle_service, files, to, display):
    to.mkdir()
    with filelock.FileLock(to / ".download.lock"), pytest.raises(MachineRefusal, match="Another download"):
        download(kaggle_service, to, display)
