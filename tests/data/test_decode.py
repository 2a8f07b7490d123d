from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from histoblend.data.decode import Unreadable, decode_files, decode_patch, pixel_hash

Image = npt.NDArray[np.uint8]
IMAGE: Image = np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8)


def encoded(image: npt.NDArray[np.generic], suffix: str = ".tif") -> bytes:
    if image.ndim == 3:
        image = image[..., [2, 1, 0, 3][: image.shape[2]]]
    return cv2.imencode(suffix, image)[1].tobytes()


def plain_tiff(image: Image) -> bytes:
    """An uncompressed TIFF with its directory first, as every file of the competition has it."""
    tags = [
        (256, 4, 1, 96),
        (257, 4, 1, 96),
        (258, 3, 3, 128),
        (259, 3, 1, 1),
        (262, 3, 1, 2),
        (273, 4, 1, 134),
    ]
    tags += [(277, 3, 1, 3), (278, 4, 1, 96), (279, 4, 1, image.nbytes)]
    directory = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    head = b"II*\0" + struct.pack("<IH", 8, len(tags)) + directory + bytes(4)
    return head.ljust(128, b"\0") + struct.pack("<3H", 8, 8, 8) + image.tobytes()


def decode(tmp_path: Path, content: bytes) -> Image:
    (tmp_path / "a.tif").write_bytes(content)
    return decode_patch(str(tmp_path / "a.tif"))


@pytest.mark.parametrize("content", [encoded(IMAGE), plain_tiff(IMAGE)], ids=["compressed", "plain"])
def test_pixels_come_back_in_rgb(tmp_path: Path, content: bytes) -> None:
    np.testing.assert_array_equal(decode(tmp_path, content), IMAGE)


@pytest.mark.parametrize("length", [1, 4, 7, 8, 60, 127, 134, 5000, 20000, -300, -20, -2, -1])
@pytest.mark.parametrize("kind", [encoded, plain_tiff])
def test_a_truncated_file_is_never_taken(tmp_path: Path, length: int, kind: object) -> None:
    assert callable(kind)
    with pytest.raises(Unreadable, match="TIFF"):
        decode(tmp_path, kind(IMAGE)[:length])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty file"),
        (b"<html>404</html>" * 100, "no TIFF file"),
        (encoded(IMAGE, ".jpg"), "no TIFF file"),
        (encoded(IMAGE, ".jpg")[:4000], "no TIFF file"),
        (encoded(IMAGE, ".png"), "no TIFF file"),
        (encoded(IMAGE[..., 0]), "96x96 uint8 in place of 96x96x3"),
        (encoded(np.dstack([IMAGE, IMAGE[..., 0]])), "96x96x4 uint8"),
        (encoded(IMAGE[:95]), "95x96x3 uint8"),
        (encoded(np.tile(IMAGE, (2, 2, 1))), "192x192x3 uint8"),
        (encoded(IMAGE.astype(np.uint16)), "96x96x3 uint16"),
    ],
)
def test_each_other_kind_of_file_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(Unreadable, match=words):
        decode(tmp_path, content)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="cannot be opened: No such file"):
        decode_patch(str(tmp_path / "none.tif"))


@pytest.mark.parametrize("workers", [1, 3])
def test_many_files_come_back_in_order_with_all_faults(
    tmp_path: Path, workers: int, capfd: pytest.CaptureFixture[str]
) -> None:
    paths = []
    for number in range(300):
        path = tmp_path / f"{number}.tif"
        path.write_bytes(
            plain_tiff(np.full_like(IMAGE, number % 256))[: 400 if number in (5, 150, 299) else None]
        )
        paths.append(str(path))
    chunks = list(decode_files(paths, workers))
    images = np.concatenate([chunk.images for chunk in chunks])
    hashes = [digest for chunk in chunks for digest in chunk.hashes]
    bad = [path for chunk in chunks for path, _ in chunk.faults]
    assert bad == [paths[5], paths[150], paths[299]]
    good = [number for number in range(300) if number not in (5, 150, 299)]
    assert [int(images[number, 0, 0, 0]) for number in good] == [number % 256 for number in good]
    assert all(hashes[number] == pixel_hash(images[number]) for number in good)
    assert capfd.readouterr().err == ""  # OpenCV's own complaints would bury the message


def test_one_pixel_changes_the_hash() -> None:
    other = IMAGE.copy()
    other[50, 50, 1] ^= 1
    assert pixel_hash(IMAGE) == pixel_hash(IMAGE.copy()) != pixel_hash(other)
