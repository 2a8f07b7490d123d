"""Every odd kind of picture file, written here with known pixels and read back by rule."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from histoblend.competition.recognise import PICTURE_FORMATS, PICTURE_SUFFIXES
from histoblend.data.pictures import Unreadable, picture_of, read_picture

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, on what is damaged on purpose

Pixels = npt.NDArray[np.uint8]
RANDOM = np.random.default_rng(1)
COLOUR: Pixels = RANDOM.integers(0, 256, (20, 30, 3), dtype=np.uint8)
GREY: Pixels = RANDOM.integers(0, 256, (20, 30), dtype=np.uint8)
DEEP: npt.NDArray[np.uint16] = RANDOM.integers(0, 65536, (20, 30, 3), dtype=np.uint16)
ALPHA: Pixels = np.repeat(np.array([[0, 255, 51]], np.uint8), 20, axis=0).repeat(10, axis=1)
WITH_ALPHA: Pixels = np.dstack([COLOUR, ALPHA])
FEW_COLOURS: Pixels = COLOUR[:1, :7].repeat(20, axis=0)


def stored(image: Image.Image | npt.NDArray[np.generic], kind: str, **options: object) -> bytes:
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def by_opencv(image: npt.NDArray[np.generic], suffix: str) -> bytes:
    if image.ndim == 3:
        image = image[..., [2, 1, 0, 3][: image.shape[2]]]
    return cv2.imencode(suffix, image)[1].tobytes()


def tiff(pixels: npt.NDArray[np.generic], tags: dict[int, list[int]], pages: int = 1) -> bytes:
    """An uncompressed little-endian TIFF with its directories first; `tags` override what follows from `pixels`."""
    height, width = pixels.shape[:2]
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    bits = [8 * pixels.dtype.itemsize] * channels
    fields = {256: [width], 257: [height], 258: bits, 259: [1], 262: [2 if channels > 2 else 1], 273: [1000]}
    fields |= {277: [channels], 278: [height], 279: [pixels.nbytes]} | tags
    out, extras_at = b"II*\0" + struct.pack("<I", 8), 8 + pages * (6 + 12 * len(fields))
    extras = b""
    for page in range(pages):
        out += struct.pack("<H", len(fields))
        for tag, values in sorted(fields.items()):
            inline = struct.pack(f"<{len(values)}H", *values)
            if len(inline) > 4:
                inline, extras = struct.pack("<I", extras_at + len(extras)), extras + inline
            out += struct.pack("<HHI", tag, 3, len(values)) + inline.ljust(4, b"\0")
        out += struct.pack("<I", len(out) + 4 if page + 1 < pages else 0)
    return (out + extras).ljust(1000, b"\0") + pixels.tobytes()


def png(depth: int, colour_type: int, rows: bytes, chunks: dict[bytes, bytes] | None = None) -> bytes:
    """A PNG of 30x20 pixels from its filtered rows."""
    parts = {b"IHDR": struct.pack(">IIBBBBB", 30, 20, depth, colour_type, 0, 0, 0)} | (chunks or {})
    parts |= {b"IDAT": zlib.compress(rows), b"IEND": b""}
    told = [
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in parts.items()
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(told)


def paletted(pixels: Pixels) -> Image.Image:
    picture = Image.fromarray(pixels).quantize(7)
    assert np.array_equal(np.asarray(picture.convert("RGB")), pixels)
    return picture


def over_white(pixels: Pixels, alpha: Pixels) -> npt.NDArray[np.float64]:
    weight = alpha[..., None] / 255
    return pixels * weight + 255 * (1 - weight)


def check(content: bytes, suffix: str, expected: npt.NDArray[np.generic], odd: dict[str, str]) -> None:
    picture = picture_of(content, suffix)
    assert picture.image.dtype == np.uint8 and picture.image.flags.c_contiguous
    assert picture.image.shape == expected.shape
    np.testing.assert_allclose(picture.image.astype(float), expected.astype(float), atol=0.51)
    assert picture.odd == odd


def grey(pixels: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    return np.dstack([pixels] * 3)


@pytest.mark.parametrize(
    ("kind", "suffix", "options"),
    [
        ("PNG", ".png", {}),
        ("TIFF", ".tif", {}),
        ("TIFF", ".TIFF", {"compression": "tiff_lzw"}),
        ("TIFF", ".tif", {"compression": "tiff_deflate", "big_tiff": True}),
        ("BMP", ".bmp", {}),
        ("WEBP", ".webp", {"lossless": True}),
        ("PNG", "", {}),
        ("PNG", ".dat", {}),
    ],
)
def test_plain_pictures_come_as_they_are(kind: str, suffix: str, options: dict[str, object]) -> None:
    check(stored(COLOUR, kind, **options), suffix, COLOUR, {})


@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg_comes_as_pillow_decodes_it(progressive: bool) -> None:
    smooth = np.add.outer(np.arange(20), np.arange(30))[..., None] * np.array([3, 4, 5])
    content = stored(smooth.astype(np.uint8), "JPEG", quality=95, progressive=progressive)
    picture = picture_of(content, ".jpg")
    assert not picture.odd and np.abs(picture.image.astype(int) - smooth).max() < 12


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP"])
@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg", ".bmp"])
def test_content_under_another_suffix(kind: str, suffix: str) -> None:
    right = {"PNG": ".png", "TIFF": ".tif", "BMP": ".bmp"}[kind] == suffix
    check(stored(COLOUR, kind), suffix, COLOUR, {} if right else {"suffix": f"{kind} under {suffix}"})


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP"])
def test_greyscale(kind: str) -> None:
    check(stored(GREY, kind), f".{kind.lower()}", grey(GREY), {"greyscale": "one channel"})


def test_greyscale_jpeg_and_gif() -> None:
    flat = np.full((20, 30), 77, np.uint8)
    check(stored(flat, "JPEG", quality=100), ".jpg", grey(flat), {"greyscale": "one channel"})
    odd = picture_of(stored(flat, "GIF"), ".gif")
    assert set(odd.odd) <= {"greyscale", "palette"} and (odd.image == 77).all()


def test_white_is_zero_is_inverted() -> None:
    check(tiff(GREY, {262: [0]}), ".tif", grey(255 - GREY), {"greyscale": "one channel"})


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP"])
def test_one_bit(kind: str) -> None:
    bits = GREY > 127
    check(stored(bits, kind), f".{kind.lower()}", grey(bits * np.uint8(255)), {"greyscale": "one channel"})


def test_few_bits_of_grey_are_stretched() -> None:
    rows = b"".join(b"\0" + bytes([0b00011011] * 7 + [0b00010000]) for _ in range(20))
    expected = np.tile(np.array([0, 85, 170, 255] * 7 + [0, 85], np.uint8), (20, 1))
    check(png(2, 0, rows), ".png", grey(expected), {"greyscale": "one channel"})


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_alpha_lies_over_white(kind: str) -> None:
    expected = over_white(COLOUR, ALPHA)
    assert (expected[:, :10] == 255).all() and (expected[:, 10:20] == COLOUR[:, 10:20]).all()
    check(stored(WITH_ALPHA, kind), f".{kind.lower()}", expected, {"alpha": "over white"})


def test_grey_with_alpha() -> None:
    pixels = Image.fromarray(np.dstack([GREY, ALPHA]), "LA")
    odd = {"greyscale": "one channel", "alpha": "over white"}
    for kind in ("PNG", "TIFF"):
        check(stored(pixels, kind), f".{kind.lower()}", over_white(grey(GREY), ALPHA), odd)


def test_premultiplied_alpha() -> None:
    weight = np.uint16(ALPHA)[..., None]
    stored_colour = (COLOUR // 5 * 5 * weight // 255).astype(np.uint8)
    content = tiff(np.dstack([stored_colour, ALPHA]), {338: [1]})
    picture = picture_of(content, ".tif")
    expected = over_white(COLOUR // 5 * 5, ALPHA)
    assert np.abs(picture.image - expected).max() <= 1.5 and picture.odd == {"alpha": "over white"}


def test_a_fourth_channel_of_unknown_meaning_is_left_out_and_told() -> None:
    picture = picture_of(tiff(WITH_ALPHA, {338: [0]}), ".tif")
    np.testing.assert_array_equal(picture.image, COLOUR)
    assert "left out" in picture.odd["alpha"]


def test_a_transparent_colour() -> None:
    content = stored(COLOUR, "PNG", transparency=tuple(COLOUR[3, 4].tolist()))
    expected = COLOUR.copy()
    expected[(COLOUR[3, 4] == COLOUR).all(axis=2)] = 255
    check(content, ".png", expected, {"alpha": "over white"})
    expected_grey = np.where(GREY[3, 4] == GREY, 255, GREY)
    odd = {"greyscale": "one channel", "alpha": "over white"}
    check(stored(GREY, "PNG", transparency=int(GREY[3, 4])), ".png", grey(expected_grey), odd)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP", "GIF"])
def test_palette(kind: str) -> None:
    check(stored(paletted(FEW_COLOURS), kind), f".{kind.lower()}", FEW_COLOURS, {"palette": "its colours"})


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_transparency_of_a_palette_lies_over_white(kind: str) -> None:
    picture = paletted(FEW_COLOURS)
    clear = int(np.asarray(picture)[0, 2])
    expected = FEW_COLOURS.copy()
    expected[:, 2] = 255
    odd = {"palette": "its colours", "alpha": "over white"}
    check(stored(picture, kind, transparency=clear), f".{kind.lower()}", expected, odd)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bits_keep_the_high_byte(suffix: str) -> None:
    check(by_opencv(DEEP, suffix), suffix, DEEP // 256, {"16 bit": "high byte"})
    odd = {"16 bit": "high byte", "greyscale": "one channel"}
    check(by_opencv(DEEP[..., 0], suffix), suffix, grey(DEEP[..., 0] // 256), odd)
    with_alpha = np.dstack([DEEP, np.uint16(ALPHA) * 257])
    odd = {"16 bit": "high byte", "alpha": "over white"}
    check(by_opencv(with_alpha, suffix), suffix, over_white((DEEP // 256).astype(np.uint8), ALPHA), odd)


def test_sixteen_bit_tiff_in_either_byte_order() -> None:
    odd = {"16 bit": "high byte", "greyscale": "one channel"}
    for order in ("<u2", ">u2"):
        image = Image.fromarray(DEEP[..., 0].astype(order))
        check(stored(image, "TIFF"), ".tif", grey(DEEP[..., 0] // 256), odd)


def test_sixteen_bit_grey_with_alpha() -> None:
    pairs = np.dstack([DEEP[..., 0], np.uint16(ALPHA) * 257]).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in pairs)
    odd = {"16 bit": "high byte", "greyscale": "one channel", "alpha": "over white"}
    expected = over_white(grey(DEEP[..., 0] // 256).astype(np.uint8), ALPHA)
    check(png(16, 4, rows), ".png", expected, odd)


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_as_pillow_converts_it(kind: str) -> None:
    flat = Image.new("CMYK", (30, 20), (255, 0, 0, 0))
    options = {"quality": 100} if kind == "JPEG" else {}
    expected = np.full((20, 30, 3), (0, 255, 255), np.uint8)
    check(stored(flat, kind, **options), f".{kind.lower()}", expected, {"CMYK": "as Pillow converts it"})


TURNS: dict[int, Callable[[Pixels], Pixels]] = {
    1: lambda image: image,
    2: lambda image: image[:, ::-1],
    3: lambda image: image[::-1, ::-1],
    4: lambda image: image[::-1],
    5: lambda image: image.swapaxes(0, 1),
    6: lambda image: np.rot90(image, -1),
    7: lambda image: image[::-1, ::-1].swapaxes(0, 1),
    8: lambda image: np.rot90(image),
}


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "TIFF lzw"])
def test_exif_rotation_is_applied(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"compression": "tiff_lzw"} if kind.endswith("lzw") else {}
    content = stored(COLOUR, kind.split()[0], exif=exif, **options)
    odd = {} if orientation == 1 else {"EXIF rotation": f"orientation {orientation}"}
    check(content, f".{kind.split()[0].lower()}", TURNS[orientation](COLOUR), odd)


def test_exif_rotation_of_a_photograph() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    half = np.zeros((16, 32, 3), np.uint8)
    half[:, 16:] = 255
    picture = picture_of(stored(half, "JPEG", quality=100, exif=exif), ".jpg")
    assert picture.image.shape == (32, 16, 3) and picture.odd == {"EXIF rotation": "orientation 6"}
    assert (picture.image[:16] == 0).all() and (picture.image[16:] == 255).all()


def test_damaged_exif_data_turn_nothing() -> None:
    content = stored(COLOUR, "PNG", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12")
    check(content, ".png", COLOUR, {})


@pytest.mark.parametrize("kind", ["TIFF", "GIF", "PNG", "WEBP"])
def test_of_several_pages_the_first_is_taken(kind: str) -> None:
    pages = [Image.fromarray(np.full((20, 30, 3), shade, np.uint8)) for shade in (10, 200, 90)]
    options = {"lossless": True} if kind == "WEBP" else {}
    content = stored(pages[0], kind, save_all=True, append_images=pages[1:], **options)
    picture = picture_of(content, f".{kind.lower()}")
    assert picture.odd.pop("multi-page") == "the first of 3"
    assert (picture.image == 10).all() and set(picture.odd) <= {"palette"}


def test_all_that_is_odd_about_a_file_is_told() -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    pages = [Image.fromarray(np.dstack([shade, ALPHA]), "LA") for shade in (GREY, 255 - GREY)]
    content = stored(pages[0], "TIFF", save_all=True, append_images=pages[1:], exif=exif)
    odd = picture_of(content, ".jpg").odd
    assert set(odd) == {"suffix", "multi-page", "EXIF rotation", "greyscale", "alpha"}


PIECES = [
    ("JPEG", {}),
    ("JPEG", {"progressive": True}),
    ("PNG", {}),
    ("TIFF", {}),
    ("TIFF", {"compression": "tiff_lzw"}),
    ("TIFF", {"compression": "tiff_deflate"}),
    ("BMP", {}),
    ("GIF", {}),
    ("WEBP", {}),
]


@pytest.mark.parametrize(("kind", "options"), PIECES)
def test_a_truncated_file_is_never_half_a_picture(kind: str, options: dict[str, object]) -> None:
    content = stored(COLOUR, kind, **options)
    whole = picture_of(content, "").image
    refused = 0
    for length in [*range(1, len(content) - 40, 13), *range(max(1, len(content) - 40), len(content))]:
        try:
            image = picture_of(content[:length], "").image
        except Unreadable as fault:
            refused += 1
            assert str(fault).startswith(("no picture", f"truncated or damaged {kind}"))
        else:  # what is missing is the end mark alone
            assert len(content) - length <= 24
            np.testing.assert_array_equal(image, whole)
    assert refused >= (len(content) - 64) // 13 and (kind != "JPEG" or length + 1 == len(content))


def test_no_truncated_jpeg_is_taken() -> None:
    content = stored(COLOUR, "JPEG")
    for length in range(1, len(content)):
        with pytest.raises(Unreadable):
            picture_of(content[:length], ".jpg")


def test_damaged_bytes_end_in_unreadable_and_in_nothing_else() -> None:
    generator = np.random.default_rng(2)
    for kind, options in PIECES:
        content = np.frombuffer(stored(COLOUR, kind, **options), np.uint8)
        for _ in range(40):
            damaged = content.copy()
            damaged[generator.integers(0, len(content), 8)] = generator.integers(0, 256, 8)
            try:
                assert picture_of(damaged.tobytes(), "").image.shape[2] == 3
            except Unreadable as fault:
                assert str(fault)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<html>404</html>" * 100, "no picture: it begins with b'<html>40'"),
        (b"P6 1 1 255 abc", "no picture"),
        (tiff(COLOUR.astype(np.float32), {339: [3, 3, 3]}), "floating-point numbers"),
        (tiff(COLOUR[..., 0].astype(np.float32), {339: [3]}), "floating-point numbers"),
        (tiff(COLOUR[..., 0].astype(np.float64), {339: [3]}), "floating-point numbers"),
        (tiff(DEEP[..., 0], {339: [2]}), "signed numbers"),
        (tiff(GREY, {339: [2]}), "signed numbers"),
        (tiff(DEEP.astype(np.uint32)[..., 0], {}), "32 bits a sample"),
        (tiff(np.dstack([COLOUR, COLOUR]), {338: [0, 0, 0]}), "6 channels"),
        (tiff(DEEP, {284: [2], 273: [1000, 2200, 3400], 279: [1200] * 3}), "separate planes"),
        (tiff(DEEP[..., 0], {262: [0]}), "zero is white"),
        (stored(Image.new("LAB", (30, 20)), "TIFF"), "without a rule: Pillow calls it LAB"),
        (png(16, 0, (b"\0" + bytes(60)) * 20, {b"tRNS": b"\0\0"}), "transparent colour"),
    ],
)
def test_what_has_no_rule_is_refused_by_name(content: bytes, words: str) -> None:
    with pytest.raises(Unreadable, match=words):
        picture_of(content, "")


def test_a_decompression_bomb_is_refused_before_it_is_unpacked() -> None:
    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    with pytest.raises(Unreadable, match="too large to be decoded"):
        picture_of(b"\x89PNG\r\n\x1a\n" + chunk + png(8, 2, b"")[33:], ".png")


def test_a_file_of_any_size_is_read_by_the_same_rules(tmp_path: Path) -> None:
    large = np.tile(WITH_ALPHA, (11, 17, 1))
    (tmp_path / "large.jpg").write_bytes(stored(large, "PNG"))
    image = read_picture(tmp_path / "large.jpg")
    assert image.shape == (220, 510, 3)
    np.testing.assert_allclose(image, over_white(large[..., :3], large[..., 3]), atol=0.51)
    with pytest.raises(Unreadable, match="cannot be opened: No such file"):
        read_picture(tmp_path / "none.png")
    (tmp_path / "empty.png").touch()
    with pytest.raises(Unreadable, match="empty file"):
        read_picture(str(tmp_path / "empty.png"))
    with pytest.raises(Unreadable, match="cannot be opened: Is a directory"):
        read_picture(tmp_path)


@pytest.mark.parametrize("suffix", PICTURE_SUFFIXES)
def test_every_suffix_that_is_taken_for_a_picture_is_decoded(suffix: str) -> None:
    kind = next(name for name, suffixes in PICTURE_FORMATS.items() if suffix in suffixes)
    picture = picture_of(stored(COLOUR, kind), suffix)
    assert picture.image.shape == COLOUR.shape and "suffix" not in picture.odd
