from __future__ import annotations

import gzip
import json
import os
import shutil
from collections import namedtuple
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import h5py
import numpy as np
import pandas as pd
import pytest

from histoblend.competition.contract import Competition
from histoblend.competition.layouts import read_competition
from histoblend.config import DataSettings
from histoblend.data import pack_writing as packing
from histoblend.data.odd_files import odd_counts, odd_sentence, odd_table
from histoblend.data.pack import Pack, find_pack, pack
from histoblend.data.pack_space import check_space, estimate_pack
from histoblend.errors import DataRefusal, MachineRefusal

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, on what is damaged on purpose

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


def pack_toy(toy: Path, scratch: Path, workers: int = 2, settings: DataSettings = DataSettings()) -> Pack:
    return pack(read_competition(toy), scratch, workers, settings=settings)


def decodes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of rows handed to the decoder from now on."""
    calls: list[int] = []
    real = packing.decode_rows
    monkeypatch.setattr(
        packing, "decode_rows", lambda table, *more: calls.append(len(table)) or real(table, *more)
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
    (toy / "train" / "17.tif").touch()
    (toy / "train" / "17.tif").write_bytes(b"")
    with pytest.raises(DataRefusal, match="6 of 40 files are no sound pictures") as refusal:
        pack_toy(toy, scratch)
    listed = pd.read_csv(scratch / "unreadable_files.csv")
    assert str(scratch / "unreadable_files.csv") in refusal.value.found
    assert {Path(path).name for path in listed["path"]} == {
        f"{n}.tif" for n in ("1", "12", "29", "0", "9", "17")
    }
    assert "empty file" in set(listed["fault"]) and "truncated" in refusal.value.found
    assert "unreadable=drop" not in refusal.value.remedy  # it would not help: test files are among them
    assert not [path for path in scratch.iterdir() if path.is_dir()]


def spoil(toy: Path, part: str, *names: str) -> None:
    for name in names:
        (toy / part / f"{name}.tif").write_bytes(b"")


DROPPING = DataSettings(unreadable="drop")


def test_unreadable_training_files_are_dropped_where_that_is_asked_for(toy: Path, scratch: Path) -> None:
    spoil(toy, "train", "1", "12", "29")
    with pytest.raises(DataRefusal, match="unreadable=drop"):
        pack_toy(toy, scratch)
    made = pack_toy(toy, scratch, settings=DROPPING)
    kept = sorted({str(number) for number in range(30)} - {"1", "12", "29"})
    assert list(made.train["id"]) == kept and made.train_images().shape == (27, 96, 96, 3)
    for row, name in enumerate(kept):
        np.testing.assert_array_equal(made.train_images()[row], image_of("train", name))
    expected = [("train", name, "unreadable", "empty file") for name in ("1", "12", "29")]
    assert list(made.odd_files.itertuples(index=False, name=None)) == expected
    again = pack_toy(toy, scratch, settings=DROPPING)
    assert "unchanged" in again.note and len(again.train) == 27
    pd.testing.assert_frame_equal(again.odd_files, made.odd_files)


def test_unreadable_test_files_always_stop(toy: Path, scratch: Path) -> None:
    spoil(toy, "train", "1")
    spoil(toy, "test", "4")
    with pytest.raises(DataRefusal, match=r"1 of 40 files are no sound pictures: .*4\.tif \(empty file"):
        pack_toy(toy, scratch, settings=DROPPING)
    assert len(pd.read_csv(scratch / "unreadable_files.csv")) == 1


def test_dropping_every_training_file_stops(toy: Path, scratch: Path) -> None:
    spoil(toy, "train", *map(str, range(30)))
    with pytest.raises(DataRefusal, match="30 of 40"):
        pack_toy(toy, scratch, settings=DROPPING)


def test_the_real_patches_have_the_fingerprint_they_always_had(hcd_mini: Path, scratch: Path) -> None:
    made = pack_toy(hcd_mini, scratch, workers=4)
    assert made.fingerprint == "81a08f830e93"  # of part 1, when OpenCV alone decoded
    assert made.side == 96 and made.odd_files.empty


def test_odd_files_are_kept_converted_and_counted(toy: Path, scratch: Path) -> None:
    grey = image_of("train", "3")[..., 0]
    cv2.imwrite(str(toy / "train" / "3.tif"), grey)
    content = cv2.imencode(".png", image_of("train", "4")[:50, :60])[1].tobytes()
    (toy / "train" / "4.tif").write_bytes(content)
    cv2.imwrite(str(toy / "test" / "7.tif"), np.dstack([image_of("test", "7"), grey]))
    made = pack_toy(toy, scratch)
    np.testing.assert_array_equal(
        made.train_images()[list(made.train["id"]).index("3")], np.dstack([grey] * 3)
    )
    assert list(made.odd_files.columns) == ["part", "id", "kind", "detail"]
    assert list(made.odd_files.itertuples(index=False, name=None)) == [
        ("train", "3", "greyscale", "one channel"),
        ("train", "4", "other size", "60x50"),
        ("train", "4", "suffix", "PNG under .tif"),
        ("test", "7", "alpha", "over white"),
    ]
    counts = odd_counts(made.odd_files)
    assert counts == {"train": {"greyscale": 1, "other size": 1, "suffix": 1}, "test": {"alpha": 1}}
    assert odd_sentence(counts) == "Odd files: train 1 greyscale, 1 other size, 1 suffix; test 1 alpha."
    assert odd_counts(odd_table([])) == {} and odd_sentence({}) == ""
    pd.testing.assert_frame_equal(pack_toy(toy, scratch).odd_files, made.odd_files)
    os.utime(toy / "train" / "3.tif", ns=(1, 1))
    pack_toy(toy, scratch)
    assert len(list(scratch.glob("odd_files-*.csv"))) == 1  # that of the files as they were is gone


@pytest.mark.parametrize("damage", ["", "part,id\n", "part,id,kind,detail\ntrain,1,unheard,x\n", None])
def test_without_its_odd_files_a_pack_is_looked_at_again(
    toy: Path, scratch: Path, damage: str | None
) -> None:
    cv2.imwrite(str(toy / "train" / "3.tif"), image_of("train", "3")[..., 0])
    made = pack_toy(toy, scratch)
    (path,) = scratch.glob("odd_files-*.csv")
    path.unlink() if damage is None else path.write_text(damage)
    again = pack_toy(toy, scratch)
    assert "odd files" in again.note and again.fingerprint == made.fingerprint
    pd.testing.assert_frame_equal(again.odd_files, made.odd_files)


def test_packs_of_other_settings_lie_side_by_side(
    toy: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_patch(toy, "train", "3", np.tile(image_of("train", "3"), (2, 2, 1)))
    settings = [
        DataSettings(),
        DataSettings(side=48),
        DataSettings(fit="crop"),
        DataSettings(side=192, fit="crop"),
    ]
    made = [pack_toy(toy, scratch, settings=one) for one in settings]
    assert len({one.fingerprint for one in made}) == 4
    calls = decodes(monkeypatch)
    for before, one in zip(made, settings, strict=True):
        found = find_pack(read_competition(toy), scratch, one)
        assert found is not None and found.fingerprint == before.fingerprint and found.side == one.side
        assert found.train_images().shape == (30, one.side, one.side, 3)
        needed = estimate_pack(read_competition(toy), one)[0]
        used = sum(path.stat().st_size for path in found.folder.iterdir())
        assert 0.9 * needed < used < 1.1 * needed
    assert not calls
    place = list(made[2].train["id"]).index("3")
    middle = np.roll(np.tile(image_of("train", "3"), (2, 2, 1)), (-48, -48), (0, 1))[:96, :96]
    np.testing.assert_array_equal(made[2].train_images()[place], middle)


@pytest.mark.parametrize("empty", ["test", "none"])
def test_a_competition_without_a_test_part(
    toy: Path, scratch: Path, empty: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = read_competition(toy)
    competition = replace(whole, test=whole.test.iloc[: 0 if empty == "test" else None])
    rows = 0 if empty == "test" else 10
    assert estimate_pack(competition)[0] > 0
    made = pack(competition, scratch, 2)
    assert made.test_images().shape == (rows, 96, 96, 3) and len(made.test) == rows
    assert np.load(made.folder / "test.npy").shape == (rows, 96, 96, 3)
    assert list(made.test.columns) == ["id", "pixel_hash"]
    assert not made.test_images().flags.writeable
    calls = decodes(monkeypatch)
    again = pack(competition, scratch, 2)
    assert not calls and again.fingerprint == made.fingerprint
    pd.testing.assert_frame_equal(again.train, made.train)


def rows_of(path: Path | str, rows: Sequence[int], prefix: str) -> pd.DataFrame:
    table = pd.DataFrame(
        {"id": [f"{prefix}_{row:05d}" for row in rows], "path": str(path), "row": list(rows)}
    )
    return table.assign(label=table["row"] % 2)[["id", "label", "path", "row"]]


def arrays(root: Path, kind: str) -> Competition:
    """300 training rows in two files and 20 test rows in a third."""
    root.mkdir()
    tables = {}
    for name, count in (("train", 200), ("valid", 100), ("test", 20)):
        pixels = np.stack([image_of(name, f"{row}")[:40, :40] for row in range(count)])
        path = root / f"{name}_x.{kind}"
        if kind == "npy":
            np.save(path, pixels)
        else:
            with h5py.File(root / f"{name}_x.h5", "w") as file:
                file["x"] = pixels
        if kind == "h5.gz":
            path.write_bytes(gzip.compress((root / f"{name}_x.h5").read_bytes(), 1))
            (root / f"{name}_x.h5").unlink()
        tables[name] = rows_of(path, range(count), name)
    train = pd.concat([tables["valid"], tables["train"]]).iloc[::-1]
    return competition_of(root, train, tables["test"].drop(columns="label"))


def competition_of(root: Path, train: pd.DataFrame, test: pd.DataFrame) -> Competition:
    return Competition(
        root=root,
        layout="npy",
        name=root.name,
        synthetic=False,
        classes=("a", "b"),
        train=train,
        test=test,
        sample=None,
        known_labels=None,
        slide_map=None,
        slides=None,
        notes=(),
    )


SIDE_40 = DataSettings(side=40)


@pytest.mark.parametrize("kind", ["npy", "h5", "h5.gz"])
def test_rows_of_array_files_are_packed_under_their_ids(tmp_path: Path, scratch: Path, kind: str) -> None:
    competition = arrays(tmp_path / "arrays", kind)
    assert estimate_pack(competition, SIDE_40)[1] >= 0
    made = pack(competition, scratch, 2, settings=SIDE_40)
    assert list(made.train["id"]) == sorted(competition.train["id"]) and len(made.test) == 20
    for frame, images in ((made.train, made.train_images()), (made.test, made.test_images())):
        for place in range(0, len(frame), 7):
            name, row = frame["id"][place].split("_")
            np.testing.assert_array_equal(images[place], image_of(name, str(int(row)))[:40, :40])
    assert (made.train["label"] == made.train["id"].str[-5:].astype(int) % 2).all()
    assert made.odd_files.empty and "320 rows decoded" in made.note
    assert sorted(path.name for path in made.folder.iterdir()) == ["index.csv", "test.npy", "train.npy"]
    assert not list(scratch.glob("**/.partial*"))
    assert "unchanged" in pack(competition, scratch, 2, settings=SIDE_40).note
    os.utime(competition.train["path"].iloc[0], ns=(1, 1))
    assert find_pack(competition, scratch, SIDE_40) is None


def test_the_format_of_an_array_is_no_part_of_its_identity(tmp_path: Path, scratch: Path) -> None:
    made = [
        pack(arrays(tmp_path / kind, kind), scratch, 2, settings=SIDE_40) for kind in ("npy", "h5", "h5.gz")
    ]
    assert len({one.fingerprint for one in made}) == 1


def test_digits_are_packed_as_enlarged_greyscale(tmp_path: Path, scratch: Path) -> None:
    train = rows_of("sklearn:digits", range(1797), "digit")
    competition = competition_of(tmp_path, train, train.iloc[:0].drop(columns="label"))
    made = pack(competition, scratch, 2, settings=DataSettings(source="digits", side=16))
    assert made.train_images().shape == (1797, 16, 16, 3) and made.test_images().shape == (0, 16, 16, 3)
    assert odd_counts(made.odd_files) == {"train": {"greyscale": 1797, "other size": 1797}}
    again = pack(competition, scratch, 2, settings=DataSettings(source="digits", side=16))
    assert "unchanged" in again.note


def test_rows_that_the_reader_left_out_are_left_out(tmp_path: Path, scratch: Path) -> None:
    competition = arrays(tmp_path / "arrays", "npy")
    train = rows_of(tmp_path / "arrays" / "train_x.npy", [0, 1, *range(3, 199)], "train")
    made = pack(competition_of(tmp_path, train, competition.test), scratch, 2, settings=SIDE_40)
    assert list(made.train["id"]) == list(train["id"]) and len(made.train_images()) == 198
    np.testing.assert_array_equal(made.train_images()[2], image_of("train", "3")[:40, :40])


@pytest.mark.parametrize("listed", [range(201), range(-1, 199), [*range(200), 7]])
def test_labels_for_other_rows_than_the_array_has_are_refused(
    tmp_path: Path, scratch: Path, listed: Sequence[int]
) -> None:
    competition = arrays(tmp_path / "arrays", "npy")
    train = rows_of(tmp_path / "arrays" / "train_x.npy", listed, "train")
    with pytest.raises(DataRefusal, match=r"has 200 pictures; .* twice or beyond them: row (200|-1|7)"):
        pack(competition_of(tmp_path, train, competition.test), scratch, 2, settings=SIDE_40)
    assert not [path for path in scratch.iterdir() if path.is_dir()]


def test_a_broken_archive_leaves_nothing_behind(tmp_path: Path, scratch: Path) -> None:
    competition = arrays(tmp_path / "arrays", "h5.gz")
    path = Path(competition.test["path"].iloc[0])
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(DataRefusal, match=r"test_x\.h5\.gz is damaged, truncated or gone"):
        pack(competition, scratch, 2, settings=SIDE_40)
    assert sorted(one.name for one in scratch.iterdir()) == [".packing.lock"]


def test_pictures_of_the_same_name_in_several_folders(tmp_path: Path, scratch: Path) -> None:
    paths = []
    for label in ("car", "truck"):
        (tmp_path / label).mkdir()
        paths.append(str(tmp_path / label / "1.png"))
        cv2.imwrite(paths[-1], image_of("train", label)[..., ::-1])
    train = pd.DataFrame({"id": ["car/1", "truck/1"], "label": [0, 1], "path": paths, "row": -1})
    competition = competition_of(tmp_path, train, train.iloc[:0].drop(columns="label"))
    made = pack(competition, scratch, 1)
    np.testing.assert_array_equal(made.train_images()[1], image_of("train", "truck"))
    os.utime(paths[1], ns=(1, 1))
    assert find_pack(competition, scratch) is None
    swapped = replace(competition, train=train.assign(path=paths[::-1]))
    assert pack(swapped, scratch, 1).fingerprint != made.fingerprint
    shutil.rmtree(tmp_path / "car")
    with pytest.raises(DataRefusal, match="car cannot be read: No such file"):
        find_pack(competition, scratch)


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
