"""An archive unpacked: whole files only, nothing twice, nothing outside."""

from __future__ import annotations

import zipfile
from collections import namedtuple

import pytest
from server.competitions import archive_of

from histoblend.errors import DataRefusal, MachineRefusal
from histoblend.kaggle import unpacking
from histoblend.kaggle.unpacking import Damaged, unpack

FILES = {"train_labels.csv": b"id,label\na,1\n", "train/a.tif": b"A" * 900, "train/b.tif": b"B" * 900}


def silent(done, total):
    pass


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "all.zip"
    path.write_bytes(archive_of(FILES))
    return path


def held(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_it_holds_what_was_packed_and_keeps_what_is_whole(archive, tmp_path):
    to = tmp_path / "to"
    counted = []
    unpacked = unpack(archive, to, lambda done, total: counted.append((done, total)))
    assert held(to) == FILES and counted == [(1, 3), (2, 3), (3, 3)]
    assert (unpacked.files, unpacked.bytes, unpacked.kept, unpacked.tops) == (
        3,
        1813,
        0,
        ("train", "train_labels.csv"),
    )
    (to / "train" / "a.tif").write_bytes(b"A" * 899 + b"x")  # the right size, not the right bytes
    (to / "train" / "b.tif").unlink()
    assert unpack(archive, to, silent).kept == 1 and held(to) == FILES


def test_tables_come_first_and_a_file_in_the_works_is_never_under_its_name(archive, tmp_path, monkeypatch):
    to = tmp_path / "to"

    def full(done, total):
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        unpack(archive, to, full)
    assert set(held(to)) == {"train_labels.csv"}
    assert unpack(archive, to, silent).kept == 1 and held(to) == FILES


@pytest.mark.parametrize("damage", ["cut", "flipped", "no zip"])
def test_damage_is_found_and_leaves_no_broken_file(archive, tmp_path, damage):
    content = bytearray(archive.read_bytes())
    if damage == "flipped":
        with zipfile.ZipFile(archive) as opened:
            start = opened.getinfo("train/b.tif").header_offset
        content[start + 30 + len("train/b.tif") + 2] ^= 0xFF
    archive.write_bytes({"cut": content[:-40], "flipped": content, "no zip": b"<html></html>"}[damage])
    with pytest.raises(Damaged):
        unpack(archive, tmp_path / "to", silent)
    assert set(held(tmp_path / "to")) <= {"train_labels.csv", "train/a.tif"}


@pytest.mark.parametrize(
    "name", ["../out.txt", "/tmp/out.txt", "train/../../out.txt", "C:\\out.txt", "..\\out.txt"]
)
def test_names_that_lead_elsewhere_are_refused_before_anything_is_written(tmp_path, name):
    path = tmp_path / "evil.zip"
    with zipfile.ZipFile(path, "w") as opened:
        opened.writestr("train_labels.csv", b"x")
        opened.writestr(zipfile.ZipInfo(name), b"x")
    with pytest.raises(DataRefusal, match="written elsewhere"):
        unpack(path, tmp_path / "to", silent)
    assert not (tmp_path / "to").exists()


def test_a_link_is_refused(tmp_path):
    path = tmp_path / "evil.zip"
    link = zipfile.ZipInfo("train/link")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(path, "w") as opened:
        opened.writestr(link, "/etc")
    with pytest.raises(DataRefusal, match="no links"):
        unpack(path, tmp_path / "to", silent)


def test_no_room_is_told_before_anything_is_written(archive, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(unpacking.shutil, "disk_usage", lambda _: usage(10, 9, unpacking.SPARE_BYTES + 1000))
    with pytest.raises(MachineRefusal, match=r"--to"):
        unpack(archive, tmp_path / "to", silent)
    assert not (tmp_path / "to").exists()
