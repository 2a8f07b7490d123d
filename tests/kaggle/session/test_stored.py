"""What a session hands back: packed in few files, whole or refused, and an ordinary output folder again."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from histoblend.errors import ArtifactRefusal, MachineRefusal
from histoblend.kaggle.session import packing, unpacked_output
from histoblend.kaggle.session.packing import gather, pack_output, put_on_top
from histoblend.kaggle.session.stored import ARCHIVE, FOLDER, check_whole, find_stored, stored_in
from histoblend.workspace import atomic_write

KEPT = {
    "run.json": "{}",
    "folds.csv": "id,label\n" * 50,
    "submission.csv": "id,label\n",
    "report/index.html": "<html>",
    "experiments/first/config.yaml": "a: 1\n",
    "experiments/first/fold_0/done.json": "{}",
    "experiments/first/fold_0/model.weights.h5": "w" * 40_000,
}
LEFT = ("cache/pixels/train.npy", ".lock", ".lock-holder.json", "experiments/first/.partial-1-oof.csv")


@pytest.fixture
def working(tmp_path: Path) -> Path:
    """The working folder of a session that is about to pack."""
    for name, content in KEPT.items() | {(name, "x") for name in LEFT}:
        path = tmp_path / "working" / FOLDER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return tmp_path / "working"


def contents(folder: Path) -> dict[str, str]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_text() for path in paths}


def test_few_files_no_pixels_and_the_same_output_again(working, tmp_path):
    put_on_top(working)
    about = pack_output(working)
    assert {path.name for path in working.iterdir()} == {
        ARCHIVE,
        "session.json",
        "submission.csv",
        "report.html",
    }
    assert about["files"] == len(KEPT) and about["bytes"] == (working / ARCHIVE).stat().st_size
    (tmp_path / "to").mkdir()
    (tmp_path / "to" / "run.log").write_text("said")
    folder = unpacked_output(working, tmp_path / "to")
    assert contents(folder) == {**KEPT, "run.log": "said"}
    assert not list(tmp_path.glob(".partial*"))
    with pytest.raises(ArtifactRefusal, match="holds an output already"):
        unpacked_output(working, tmp_path / "to")


def test_a_notebook_run_again_that_stops_at_once_keeps_what_the_first_run_made(working):
    put_on_top(working)
    pack_output(working)
    before = contents(working)
    put_on_top(working)
    assert pack_output(working) is None
    assert contents(working) == before


def test_a_session_that_made_nothing_hands_back_no_tar(tmp_path):
    (tmp_path / FOLDER).mkdir()
    assert pack_output(tmp_path) is None
    with pytest.raises(ArtifactRefusal, match="nothing of that kind"):
        unpacked_output(tmp_path, tmp_path / "to")


@pytest.mark.parametrize("survivors", range(len(KEPT)))
def test_packing_that_was_cut_anywhere_loses_nothing(working, tmp_path, monkeypatch, survivors):
    """The process dies after a file's copy is begun: the tar ends in the middle of it, the file is still there."""
    add, done = tarfile.TarFile.add, []

    def dying(tar: tarfile.TarFile, name: Path, *arguments: object, **options: object) -> None:
        add(tar, name, *arguments, **options)
        if len(done) == survivors:
            tar.fileobj.flush()
            tar.fileobj.truncate(tar.fileobj.tell() - 300)
            tar.fileobj.close()
            raise KeyboardInterrupt
        done.append(name)

    monkeypatch.setattr(tarfile.TarFile, "add", dying)
    with pytest.raises((KeyboardInterrupt, ValueError)):
        pack_output(working)
    monkeypatch.undo()
    assert contents(unpacked_output(working, tmp_path / "to")) == KEPT
    with monkeypatch.context() as full:
        full.setattr(packing, "atomic_write", no_room)
        with contextlib.suppress(
            MachineRefusal
        ):  # the same notebook's cell run again, on the disk that is full
            gather(working)
    pack_output(working)
    again = tmp_path / "again"
    assert contents(unpacked_output(working, again)) == KEPT
    gather(working)
    kept = {name: text for name, text in contents(working / FOLDER).items() if name in KEPT}
    assert kept == KEPT and not (working / ARCHIVE).exists()


def no_room(path: Path) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_packing_and_gathering_never_need_room_for_everything_twice(working, monkeypatch):
    sizes = []
    total = sum(len(text) for text in KEPT.values())

    def measure() -> None:
        sizes.append(sum(path.stat().st_size for path in working.rglob("*") if path.is_file()))

    def watched(tar: tarfile.TarFile, name: Path, *arguments: object, **options: object) -> None:
        add(tar, name, *arguments, **options)
        tar.fileobj.flush()
        measure()

    @contextlib.contextmanager
    def written(path: Path) -> Iterator[Path]:
        with atomic_write(path) as temporary:
            yield temporary
        measure()

    add = tarfile.TarFile.add
    monkeypatch.setattr(tarfile.TarFile, "add", watched)
    monkeypatch.setattr(packing, "atomic_write", written)
    pack_output(working)
    gather(working)
    assert len(sizes) == 2 * len(KEPT)
    overhead = 1024 * (len(KEPT) + 1) + 2000  # headers, filling, session.json
    assert max(sizes) <= total + max(map(len, KEPT.values())) + overhead


@pytest.mark.parametrize("kept_bytes", [100, 20_000, 44_000])
def test_a_tar_that_was_cut_on_its_way_is_refused_by_name(working, tmp_path, kept_bytes):
    pack_output(working)
    archive = working / ARCHIVE
    archive.write_bytes(archive.read_bytes()[:kept_bytes])
    with pytest.raises(ArtifactRefusal, match=rf"{ARCHIVE} is incomplete") as refusal:
        unpacked_output(working, tmp_path / "to")
    assert "session.json says" in refusal.value.found and not (tmp_path / "to").exists()
    (working / "session.json").unlink()
    with pytest.raises(ArtifactRefusal, match=rf"{ARCHIVE} is incomplete"):
        unpacked_output(working, tmp_path / "to")


def test_a_changed_byte_is_noticed(working, tmp_path):
    pack_output(working)
    content = bytearray((working / ARCHIVE).read_bytes())
    content[len(content) // 2] ^= 1
    (working / ARCHIVE).write_bytes(content)
    with pytest.raises(ArtifactRefusal, match="SHA-256"):
        unpacked_output(working, tmp_path / "to")


def test_it_is_found_in_every_form_and_competitions_are_not_entered(working, tmp_path):
    pack_output(working)
    inputs = tmp_path / "input"
    places = [
        inputs / "notebooks" / "owner" / "histoblend-run",
        inputs / "histoblend-old",
        inputs / "datasets" / "owner" / "checkpoints",
    ]
    for place in places:
        place.parent.mkdir(parents=True, exist_ok=True)
    working.rename(places[0])
    places[1].mkdir()
    (places[1] / ARCHIVE).write_bytes((places[0] / ARCHIVE).read_bytes())
    unpacked_output(places[0], places[2])  # an output folder, as people upload it
    unpacked = inputs / "datasets" / "owner" / "unpacked-by-kaggle" / "histoblend-output"
    unpacked_output(places[0], unpacked / FOLDER)  # Kaggle unpacks the tars of a data set into a folder each
    competition = inputs / "competitions" / "hcd"
    (competition / "train" / FOLDER).mkdir(parents=True)
    (competition / "train" / FOLDER / "run.json").write_text("{}")
    (competition / "train_labels.csv").write_text("")
    found = find_stored(inputs)
    assert {one.place for one in found} == {*places, unpacked}
    for one in found:
        check_whole(one)
        assert {name: one.read(name).decode() for name in one.names} == KEPT
    with pytest.raises(ArtifactRefusal, match="one loose output folder"):
        unpacked_output(inputs, tmp_path / "to")


def test_a_member_that_leaves_the_folder_is_not_unpacked(tmp_path):
    with tarfile.open(tmp_path / ARCHIVE, "w") as tar:
        for name in (f"{FOLDER}/run.json", f"{FOLDER}/../../evil", "elsewhere/evil"):
            entry = tarfile.TarInfo(name)
            entry.size = 2
            tar.addfile(entry, io.BytesIO(b"{}"))
    unpacked_output(tmp_path, tmp_path / "deep" / "to")
    assert [path.name for path in (tmp_path / "deep").rglob("*")] == ["to", "run.json"]
    assert not list(tmp_path.rglob("evil"))


def test_a_session_that_died_before_packing_is_read_as_it_lies(working, tmp_path):
    (working / "session.json").write_text(json.dumps({"state": "running", "plan": "toy"}))
    stored = stored_in(working)
    check_whole(stored)
    assert stored.names == set(KEPT)
    assert contents(unpacked_output(working, tmp_path / "to")) == KEPT
