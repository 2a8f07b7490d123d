from __future__ import annotations

import io
import struct
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from PIL import Image

from histoblend.data import decode as decoding
from histoblend.data.decode import (
    Chunk,
    Fitting,
    Unreadable,
    decode_patch,
    decode_picture,
    decode_rows,
    pixel_hash,
    read_patches,
)
from histoblend.data.tiff_header import first_directory, is_plain_patch

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, on what is damaged on purpose

Pixels = npt.NDArray[np.uint8]
IMAGE: Pixels = np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8)


def encoded(image: npt.NDArray[np.generic], suffix: str = ".tif") -> bytes:
    if image.ndim == 3:
        image = image[..., [2, 1, 0, 3][: image.shape[2]]]
    return cv2.imencode(suffix, image)[1].tobytes()


def plain_tiff(image: Pixels, *more: tuple[int, int, int, int], order: str = "<", follows: int = 0) -> bytes:
    """An uncompressed TIFF with its directory first, as every file of the competition has it."""
    height, width = image.shape[:2]
    shift = 16 if order == ">" else 0  # where a short lies in its four bytes
    tags = [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, 3, 206),
        (259, 3, 1, 1 << shift),
        (262, 3, 1, 2 << shift),
        (273, 4, 1, 212),
        (277, 3, 1, 3 << shift),
        (278, 4, 1, height),
        (279, 4, 1, image.nbytes),
        *((tag, kind, count, value << shift) for tag, kind, count, value in more),
    ]
    directory = b"".join(struct.pack(f"{order}HHII", *tag) for tag in sorted(tags))
    signature = b"II*\0" if order == "<" else b"MM\0*"
    head = signature + struct.pack(f"{order}IH", 8, len(tags)) + directory + struct.pack(f"{order}I", follows)
    return head.ljust(206, b"\0") + struct.pack(f"{order}3H", 8, 8, 8) + image.tobytes()


def as_file(tmp_path: Path, content: bytes, name: str = "a.tif") -> str:
    (tmp_path / name).write_bytes(content)
    return str(tmp_path / name)


def table_of(paths: list[str], rows: list[int] | None = None) -> pd.DataFrame:
    return pd.DataFrame({"path": paths, "row": rows or [-1] * len(paths)})


def no_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("Pillow was asked")

    monkeypatch.setattr(decoding, "picture_of", never)


@pytest.mark.parametrize(
    "content",
    [
        encoded(IMAGE),
        plain_tiff(IMAGE),
        plain_tiff(IMAGE, order=">"),
        plain_tiff(IMAGE, (274, 3, 1, 1), (284, 3, 1, 1), (339, 3, 1, 1)),
    ],
    ids=["compressed", "plain", "big-endian", "plain with defaults spelled"],
)
def test_the_competitions_tiff_comes_in_rgb_through_opencv(
    tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_pillow(monkeypatch)
    decoded = decode_picture(as_file(tmp_path, content))
    np.testing.assert_array_equal(decoded.image, IMAGE)
    assert decoded.odd == {}
    decoded = decode_picture(as_file(tmp_path, content, "a.jpg"))
    np.testing.assert_array_equal(decoded.image, IMAGE)
    assert decoded.odd == {"suffix": "TIFF under .jpg"}


def test_the_real_patches_are_plain(hcd_mini: Path) -> None:
    for part in ("train", "test"):
        for path in sorted((hcd_mini / part).glob("*.tif"))[:50]:
            assert is_plain_patch(path.read_bytes(), 96)


@pytest.mark.parametrize(
    "content",
    [
        plain_tiff(IMAGE, (274, 3, 1, 3)),
        plain_tiff(IMAGE, (339, 3, 1, 2)),
        plain_tiff(IMAGE, (338, 3, 1, 0)),
        plain_tiff(IMAGE[:95]),
        plain_tiff(IMAGE, follows=8),
        encoded(IMAGE[..., 0]),
        encoded(IMAGE.astype(np.uint16)),
        encoded(np.dstack([IMAGE, IMAGE[..., 0]])),
        encoded(IMAGE, ".png"),
        plain_tiff(IMAGE)[:60],
        b"II*\0" + struct.pack("<I", 2**31) + bytes(100),
        b"II*\0",
    ],
)
def test_whatever_is_not_plain_goes_by_the_rules(content: bytes) -> None:
    assert not is_plain_patch(content, 96)


def test_the_directory_tells_numbers_and_pages() -> None:
    for order in "<>":
        page = first_directory(plain_tiff(IMAGE[:50], (274, 3, 1, 6), order=order, follows=8))
        assert page is not None and page.more_pages
        assert [page.numbers(tag) for tag in (256, 257, 258, 274)] == [(96,), (50,), (8, 8, 8), (6,)]
        assert page.numbers(338) == () and page.numbers(338, (7,)) == (7,)
    assert first_directory(encoded(IMAGE, ".png")) is None


@pytest.mark.parametrize("length", [1, 4, 7, 8, 60, 127, 134, 5000, 20000, -300, -20, -2, -1])
@pytest.mark.parametrize("kind", [encoded, plain_tiff])
def test_a_truncated_file_is_never_taken(tmp_path: Path, length: int, kind: object) -> None:
    assert callable(kind)
    with pytest.raises(Unreadable, match=r"truncated or damaged TIFF|no picture: it begins with b'I"):
        decode_picture(as_file(tmp_path, kind(IMAGE)[:length]))


@pytest.mark.parametrize("suffix", [".tif", ".png", ".jpg", ".bmp"])
@pytest.mark.parametrize("shape", [(96, 120), (50, 60), (300, 200), (95, 96)])
@pytest.mark.parametrize("fit", ["resize", "crop"])
def test_pictures_of_another_size_are_fitted_and_told(
    tmp_path: Path, suffix: str, shape: tuple[int, int], fit: str
) -> None:
    image = np.full((*shape, 3), (200, 20, 90), np.uint8)
    fitting = Fitting(96, fit)  # type: ignore[arg-type]
    decoded = decode_picture(as_file(tmp_path, encoded(image, suffix), f"a{suffix}"), fitting)
    assert decoded.odd == {"other size": f"{shape[1]}x{shape[0]}"}
    assert decoded.image.shape == (96, 96, 3) and np.ptp(decoded.image, axis=(0, 1)).max() == 0
    assert np.abs(decoded.image[0, 0].astype(int) - (200, 20, 90)).max() <= (3 if suffix == ".jpg" else 0)


def test_resize_takes_the_centre_square() -> None:
    marked = np.zeros((40, 100, 3), np.uint8)
    marked[:, 30:70] = 255
    assert (Fitting(20).apply(marked) == 255).all()
    assert (Fitting(20).apply(marked.swapaxes(0, 1)) == 255).all()


def test_shrinking_averages_and_enlarging_is_smooth() -> None:
    checkers = np.indices((192, 192)).sum(axis=0)[..., None].repeat(3, 2) % 2 * 200
    assert np.abs(Fitting(48).apply(checkers.astype(np.uint8)).astype(int) - 100)[4:-4, 4:-4].max() <= 3
    ramp = np.tile(np.arange(0, 240, 10, dtype=np.uint8)[:, None, None], (1, 24, 3))
    large = Fitting(96).apply(ramp)[..., 0].astype(int)
    assert (np.diff(large, axis=0) >= 0).all() and np.diff(large, axis=0).max() <= 4
    assert np.ptp(large, axis=1).max() == 0


def test_crop_cuts_the_centre_and_reflects_what_is_missing() -> None:
    image = IMAGE[:90, :70]
    centre = Fitting(64, "crop").apply(image)
    np.testing.assert_array_equal(centre, image[13:77, 3:67])
    padded = Fitting(96, "crop").apply(image)
    np.testing.assert_array_equal(padded[3:93, 13:83], image)
    np.testing.assert_array_equal(padded[2, 13:83], image[1])
    np.testing.assert_array_equal(padded[3:93, 12], image[:, 1])
    assert (Fitting(96, "crop").apply(IMAGE[:1, :1]) == IMAGE[0, 0]).all()
    np.testing.assert_array_equal(Fitting(96, "crop").apply(IMAGE), IMAGE)


def test_a_picture_is_turned_before_it_is_fitted(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    stream = io.BytesIO()
    Image.fromarray(IMAGE[:30]).save(stream, "PNG", exif=exif)
    decoded = decode_picture(as_file(tmp_path, stream.getvalue(), "a.png"), Fitting(30, "crop"))
    np.testing.assert_array_equal(decoded.image, np.rot90(IMAGE[:30], -1)[33:63])
    assert decoded.odd == {"EXIF rotation": "orientation 6", "other size": "30x96"}


def test_a_tiff_that_says_it_lies_on_its_head_is_turned(tmp_path: Path) -> None:
    decoded = decode_picture(as_file(tmp_path, plain_tiff(IMAGE, (274, 3, 1, 3))))
    np.testing.assert_array_equal(decoded.image, IMAGE[::-1, ::-1])
    assert decoded.odd == {"EXIF rotation": "orientation 3"}


def test_decode_patch_is_the_picture_alone(tmp_path: Path) -> None:
    path = as_file(tmp_path, encoded(IMAGE, ".png"))
    np.testing.assert_array_equal(decode_patch(path), IMAGE)
    assert decode_patch(path, Fitting(32)).shape == (32, 32, 3)
    with pytest.raises(Unreadable, match="empty file"):
        decode_patch(as_file(tmp_path, b""))
    with pytest.raises(Unreadable, match="cannot be opened: No such file"):
        decode_patch(str(tmp_path / "none.tif"))


@pytest.mark.parametrize("workers", [1, 3])
def test_many_files_come_back_in_order_with_all_that_is_odd(
    tmp_path: Path, workers: int, capfd: pytest.CaptureFixture[str]
) -> None:
    bad, paths = (5, 150, 299), []
    for number in range(300):
        content = plain_tiff(np.full_like(IMAGE, number % 256))[: 400 if number in bad else None]
        paths.append(as_file(tmp_path, content, f"{number}.{'jpg' if number == 7 else 'tif'}"))
    chunks: list[Chunk] = list(decode_rows(table_of(paths), {}, workers, Fitting()))
    hashes = [digest for chunk in chunks for digest in chunk.hashes]
    odd = [(128 * n + place, kind) for n, chunk in enumerate(chunks) for place, kind, _ in chunk.odd]
    assert odd == [(5, "unreadable"), (7, "suffix"), (150, "unreadable"), (299, "unreadable")]
    assert [number for number, digest in enumerate(hashes) if not digest] == list(bad)
    images = np.concatenate([chunk.images for chunk in chunks])
    good = [number for number in range(300) if number not in bad]
    assert images[:, 0, 0, 0].tolist() == [number % 256 for number in good]
    assert [hashes[number] for number in good] == [pixel_hash(image) for image in images]
    assert capfd.readouterr().err == ""  # OpenCV's own complaints would bury the message


def test_patches_of_any_layout_are_read_in_the_tables_order(tmp_path: Path) -> None:
    array = np.random.default_rng(3).integers(0, 256, (9, 96, 96, 3), dtype=np.uint8)
    np.save(tmp_path / "train.npy", array)
    png, stack = as_file(tmp_path, encoded(IMAGE, ".png"), "b.png"), str(tmp_path / "train.npy")
    patches = read_patches(table_of([stack, png, stack, "sklearn:digits"], [7, -1, 0, 3]))
    np.testing.assert_array_equal(patches[:3], [array[7], IMAGE, array[0]])
    assert patches.shape == (4, 96, 96, 3) and (patches[3] == patches[3][..., :1]).all()
    assert read_patches(table_of([stack], [2]), Fitting(32)).shape == (1, 32, 32, 3)
    assert read_patches(table_of([], [])).shape == (0, 96, 96, 3)
    with pytest.raises(Unreadable, match=r"c.tif: empty file"):
        read_patches(table_of([png, as_file(tmp_path, b"", "c.tif")]))


def test_one_pixel_changes_the_hash() -> None:
    other = IMAGE.copy()
    other[50, 50, 1] ^= 1
    assert pixel_hash(IMAGE) == pixel_hash(IMAGE.copy()) != pixel_hash(other)
