from __future__ import annotations

import json
import os
import shutil
from collections import namedtuple
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from histoblend.competition.layouts import Competition, read_competition
from histoblend.data import pack as packing
from histoblend.data.pack import Pack, check_space, estimate_pack, find_pack, pack
from histoblend.errors import DataRefusal, MachineRefusal

Usage = namedtuple("Usage", "total used free")


def image_of(part: str, name: str) -> np.ndarray:
    return np.random.default_rng(list(f"{part}{name}".encode())).integers(0, 256, (96, 96, 3), dtype=np.uint8)


def draw(root: Path, train: int = 30, test: int = 10) -> Path:
    for part, count in (("train", train), ("test", test)):
        (root / part).mkdir(parents=True)
        for number in range(count):
            write_patch(root, part, str(number))
    rows = [f"{number},{number % 2}" for number in reversed(range(train))]
    (root / "train_labels.csv").write_text("\n".join(["id,label", *rows]))
    rows = [f"{number},0" for number in reversed(range(test))]
    (root / "sample_submission.csv").write_text("\n".join(["id,label", *rows]))
    return root


def write_patch(
    root: Path, part: str, name: str, image: np.ndarray | None = None, compression: int = 5
) -> None:
    pixels = image_of(part, name) if image is None else image
    options = [cv2.IMWRITE_TIFF_COMPRESSION, compression]
    assert cv2.imwrite(str(root / part / f"{name}.tif"), pixels[..., ::-1], options)


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    return draw(tmp_path / "toy")


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    return tmp_path / "scratch"


def pack_toy(toy: Path, scratch: Path, workers: int = 2) -> Pack:
    return pack(read_competition(toy), scratch, workers)


def decodes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of files handed to the decoder from now on."""
    calls: list[int] = []
    real = packing.decode_files
    monkeypatch.setattr(
        packing, "decode_files", lambda paths, workers: calls.append(len(paths)) or real(paths, workers)
    )
    return calls


def test_every_row_holds_the_pixels_and_the_label_of_its_id(toy: Path, scratch: Path) -> None:
    made = pack_toy(toy, scratch)
    assert list(made.train["id"]) == sorted(str(number) for number in range(30))
    for part, frame, images in (
        ("train", made.train, made.train_images()),
        ("test", made.test, made.test_images()),
    ):
        assert images.shape == (len(frame), 96, 96, 3) and images.dtype == np.uint8
        for row, name in enumerate(frame["id"]):
            np.testing.assert_array_equal(images[row], image_of(part, name))
    assert all(
        label == int(name) % 2 for name, label in zip(made.train["id"], made.train["label"], strict=True)
    )
    with pytest.raises(ValueError, match="read-only"):
        made.train_images()[0, 0, 0, 0] = 1
    assert sorted(path.name for path in made.folder.iterdir()) == ["index.csv", "test.npy", "train.npy"]
    assert list(pd.read_csv(made.folder / "index.csv").columns) == [
        "part",
        "row",
        "id",
        "label",
        "pixel_hash",
    ]


def test_a_second_start_decodes_nothing(toy: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = pack_toy(toy, scratch)
    calls = decodes(monkeypatch)
    second = pack_toy(toy, scratch)
    assert not calls and "unchanged" in second.note
    assert second.fingerprint == first.fingerprint
    pd.testing.assert_frame_equal(second.train, first.train)
    pd.testing.assert_frame_equal(second.test, first.test)


def test_touched_and_recompressed_files_are_looked_at_again_and_are_the_same_data(
    toy: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = pack_toy(toy, scratch)
    calls = decodes(monkeypatch)
    os.utime(toy / "train" / "3.tif", ns=(1, 1))
    second = pack_toy(toy, scratch)
    assert sum(calls) == 40 and "changed" in second.note and second.fingerprint == first.fingerprint
    write_patch(toy, "test", "4", compression=1)
    assert pack_toy(toy, scratch).fingerprint == first.fingerprint
    assert [path.name for path in scratch.iterdir() if path.is_dir()] == [first.fingerprint]


def test_the_fingerprint_depends_on_pixels_labels_and_ids_alone(
    toy: Path, scratch: Path, tmp_path: Path
) -> None:
    prints = {"as drawn": pack_toy(toy, scratch).fingerprint}

    def reprint(name: str) -> None:
        prints[name] = pack_toy(toy, scratch).fingerprint

    labels = toy / "train_labels.csv"
    lines = labels.read_text().splitlines()
    labels.write_text("\r\n".join([lines[0], *sorted(lines[1:])]) + "\r\n")
    reprint("other row order")
    assert prints.pop("other row order") == prints["as drawn"]
    copy = shutil.copytree(toy, tmp_path / "copy")
    assert pack_toy(copy, tmp_path / "scratch2", workers=1).fingerprint == prints["as drawn"]

    labels.write_text(labels.read_text().replace("7,1", "7,0", 1))
    reprint("a label")
    pixels = image_of("train", "3")
    pixels[40, 40, 0] ^= 1
    write_patch(toy, "train", "3", pixels)
    reprint("a pixel")
    write_patch(toy, "train", "5", image_of("train", "6"))
    write_patch(toy, "train", "6", image_of("train", "5"))
    reprint("two files swapped")
    (toy / "test" / "9.tif").rename(toy / "test" / "90.tif")
    sample = toy / "sample_submission.csv"
    sample.write_text(sample.read_text().replace("9,0", "90,0"))
    reprint("an id")
    assert len(set(prints.values())) == len(prints) == 5


def test_all_bad_files_are_reported_in_one_go(toy: Path, scratch: Path) -> None:
    bad = {"train": ["1", "12", "29"], "test": ["0", "9"]}
    for part, names in bad.items():
        for name in names:
            path = toy / part / f"{name}.tif"
            path.write_bytes(path.read_bytes()[:1000])
    write_patch(toy, "train", "17", image_of("train", "17")[:95])
    with pytest.raises(DataRefusal, match="6 of 40 files are no sound patches") as refusal:
        pack_toy(toy, scratch)
    listed = pd.read_csv(scratch / "unreadable_files.csv")
    assert str(scratch / "unreadable_files.csv") in refusal.value.found
    assert {Path(path).name for path in listed["path"]} == {
        f"{n}.tif" for n in ("1", "12", "29", "0", "9", "17")
    }
    assert "95x96x3" in " ".join(listed["fault"]) and "truncated" in refusal.value.found
    assert not [path for path in scratch.iterdir() if path.is_dir()]


@pytest.mark.parametrize("damage", ["truncated", "longer", "missing", "pixels", "index", "gone"])
def test_a_damaged_pack_is_set_aside_and_made_anew(toy: Path, scratch: Path, damage: str) -> None:
    first = pack_toy(toy, scratch)
    array, index = first.folder / "train.npy", first.folder / "index.csv"
    content = array.read_bytes()
    if damage == "truncated":
        array.write_bytes(content[:-5000])
    elif damage == "longer":
        array.write_bytes(content + bytes(5000))
    elif damage == "missing":
        array.unlink()
    elif damage == "pixels":
        array.write_bytes(content[:-5000] + bytes(5000))
    elif damage == "index":
        index.write_text(index.read_text().replace("train,3,", "train,4,"))
    else:
        shutil.rmtree(first.folder)
    second = pack_toy(toy, scratch)
    assert "damaged" in second.note and second.fingerprint == first.fingerprint
    assert (second.folder / "train.npy").read_bytes() == content
    aside = [path for path in scratch.iterdir() if "-damaged-" in path.name]
    assert len(aside) == (damage != "gone") and all(path.name in second.note for path in aside)


def test_an_interrupted_packing_leaves_nothing_that_passes_for_a_pack(
    toy: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def kill(done: int, total: int) -> None:
        assert (done, total) == (30, 40)
        (scratch / ".partial-packing" / "witness").write_text("")
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", lambda *_, **__: None)  # as after SIGKILL
        with pytest.raises(Killed):
            pack(read_competition(toy), scratch, 2, kill)
    assert (scratch / ".partial-packing" / "train.npy").exists()
    assert find_pack(read_competition(toy), scratch) is None
    made = pack_toy(toy, scratch)
    assert len(made.train) == 30 and not (scratch / ".partial-packing").exists()
    assert not (made.folder / "witness").exists()


def test_progress_is_told_up_to_the_end(toy: Path, scratch: Path) -> None:
    told: list[tuple[int, int]] = []
    pack(read_competition(toy), scratch, 2, lambda done, total: told.append((done, total)))
    assert told == [(30, 40), (40, 40)]


def test_too_little_space_is_refused_before_anything_is_written(
    toy: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(2**30, 2**30 - 2**20, 2**20))
    competition = read_competition(toy)
    with pytest.raises(MachineRefusal, match="has 1 MiB free"):
        check_space(competition, scratch / "not" / "there")
    with pytest.raises(MachineRefusal, match="HISTOBLEND_SCRATCH"):
        pack(competition, scratch, 2)
    assert not [path for path in scratch.iterdir() if path.is_dir()]


def test_a_full_disk_is_a_refusal_and_leaves_no_pack(
    toy: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(packing, "write_images", full)
    with pytest.raises(MachineRefusal, match="disk is full"):
        pack_toy(toy, scratch)
    assert not [path for path in scratch.iterdir() if path.is_dir()]


def test_a_damaged_record_only_costs_time(toy: Path, scratch: Path) -> None:
    first = pack_toy(toy, scratch)
    for content in ("{", "[]", json.dumps({str(toy.resolve()): {}}), json.dumps({str(toy.resolve()): 1})):
        (scratch / "packs.json").write_text(content)
        assert pack_toy(toy, scratch).fingerprint == first.fingerprint


def test_find_pack_looks_and_leaves_all_as_it_is(toy: Path, scratch: Path) -> None:
    competition: Competition = read_competition(toy)
    assert find_pack(competition, scratch) is None and not scratch.exists()
    made = pack(competition, scratch, 2)
    found = find_pack(competition, scratch)
    assert found is not None and found.fingerprint == made.fingerprint
    os.utime(toy / "test" / "0.tif", ns=(1, 1))
    assert find_pack(competition, scratch) is None


def test_the_estimate_gives_bytes_and_seconds(toy: Path, scratch: Path) -> None:
    needed, seconds = estimate_pack(read_competition(toy))
    assert 0 < seconds < 60
    used = sum(path.stat().st_size for path in pack_toy(toy, scratch).folder.iterdir())
    assert 0.95 * needed < used < 1.05 * needed
