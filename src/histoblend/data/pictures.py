"""Picture files of every kind to RGB, by stated rules; what is odd about a file is told, what is damaged refused.

The content decides what a file is, never its suffix. Greyscale becomes three equal channels, transparency lies
over white, of 16 bits the high byte counts, CMYK is converted as Pillow does, EXIF rotation is applied, and of
several pages the first is taken. Colour profiles are not applied.
"""

from __future__ import annotations

import io
import struct
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from histoblend.competition.recognise import PICTURE_FORMATS
from histoblend.data import tiff_header as tiff
from histoblend.data.odd_files import ALPHA, CMYK, GREYSCALE, PAGES, PALETTE, ROTATED, SIXTEEN_BIT, SUFFIX

UInt8Array = npt.NDArray[np.uint8]

SIGNATURES = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
    b"BM": "BMP",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
}
_FORMAT_OF_SUFFIX = {suffix: name for name, suffixes in PICTURE_FORMATS.items() for suffix in suffixes}
_ORIENTATION_TAG = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SOUND_BITS = {1, 2, 4, 8, 16}
_PNG_GREY_AND_ALPHA = 4

# Pillow warns, once per file, of what is refused or reported here in order; a filter inside the threads that
# decode would not be safe, filters belong to the process.
warnings.filterwarnings("ignore", module=r"PIL\.")


class Unreadable(Exception):
    """A file that is no sound picture; the message says in what way."""


@dataclass(frozen=True)
class Picture:
    """A picture of any size, uint8 (h, w, 3) RGB, and what was odd about its file: kind -> detail."""

    image: UInt8Array
    odd: dict[str, str]


def read_picture(path: str | Path) -> UInt8Array:
    """Decode the picture file at `path` into uint8 (h, w, 3), RGB, 0-255, of its own size.

    Raises:
        Unreadable: it cannot be opened, is empty, damaged, truncated, no picture, or of a kind without a rule.
    """
    return picture_of(read_content(path), Path(path).suffix).image


def read_content(path: str | Path) -> bytes:
    """The bytes of a file that is there and not empty.

    Raises:
        Unreadable: it cannot be opened, or has no bytes.
    """
    try:
        with open(path, "rb", buffering=0) as stream:  # noqa: PTH123 (a Path for each of 277,000 files costs)
            content = stream.read()
    except OSError as error:
        raise Unreadable(f"cannot be opened: {error.strerror or error}") from error
    if not content:
        raise Unreadable("empty file")
    return content


def picture_of(content: bytes, suffix: str) -> Picture:
    """Decode the bytes of a picture file whose name ends in `suffix`.

    Raises:
        Unreadable: they are damaged, truncated, no picture, or of a kind without a rule.
    """
    name = format_of(content)
    odd = suffix_oddity(name, suffix)
    try:
        with Image.open(io.BytesIO(content), formats=[name]) as opened:
            deep = _is_deep(opened, content)
            odd |= _pages(opened) | _hidden(opened, content)
            upright = _upright(opened, odd)
            pixels = _pixels(upright, deep, odd)
    except (Unreadable, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        raise Unreadable(f"too large to be decoded: {error}") from error
    except Exception as error:  # Pillow's readers let through whatever damaged bytes make them raise
        raise Unreadable(_damage(name, content, error)) from error
    image, more = to_rgb(pixels)
    return Picture(image, odd | more)


def format_of(content: bytes) -> str:
    """``"JPEG"``, ``"PNG"``, ``"TIFF"``, ``"BMP"``, ``"GIF"`` or ``"WEBP"``, by the first bytes.

    Raises:
        Unreadable: none of them.
    """
    for signature, name in SIGNATURES.items():
        if content.startswith(signature):
            return name
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "WEBP"
    raise Unreadable(f"no picture: it begins with {content[:8]!r}")


def suffix_oddity(name: str, suffix: str) -> dict[str, str]:
    """What is odd about content of format `name` in a file with this suffix; an unknown suffix claims nothing."""
    claimed = _FORMAT_OF_SUFFIX.get(suffix.lower(), name)
    return {} if claimed == name else {SUFFIX: f"{name} under {suffix}"}


def to_rgb(pixels: UInt8Array) -> tuple[UInt8Array, dict[str, str]]:
    """Pixels uint8 (..., h, w, 1 to 4) to RGB (..., h, w, 3), and what was odd: kind -> detail.

    One channel is grey, two are grey and alpha, four are RGB and alpha; alpha is composited over white.
    """
    channels, odd = pixels.shape[-1], {}
    if channels <= 2:
        odd[GREYSCALE] = "one channel"
    if channels in (2, 4):
        odd[ALPHA] = "over white"
        pixels = _over_white(pixels[..., :-1], pixels[..., -1:])
    if channels <= 2:
        pixels = np.repeat(pixels, 3, axis=-1)
    return np.ascontiguousarray(pixels), odd


def _over_white(colour: UInt8Array, alpha: UInt8Array) -> UInt8Array:
    weight = alpha.astype(np.uint16)
    mixed = colour * weight + np.uint16(255) * (255 - weight)  # at most 255 x 255: it fits
    return ((mixed + np.uint16(127)) // np.uint16(255)).astype(np.uint8)


def _pages(opened: Image.Image) -> dict[str, str]:
    pages = getattr(opened, "n_frames", 1)
    return {PAGES: f"the first of {pages:,}"} if pages > 1 else {}


def _hidden(opened: Image.Image, content: bytes) -> dict[str, str]:
    """Oddities that Pillow's mode does not tell: a fourth channel left out, 16-bit grey with alpha as RGBA."""
    if opened.format == "PNG" and content[25] == _PNG_GREY_AND_ALPHA:
        return {GREYSCALE: "one channel"}
    if opened.format == "TIFF" and opened.mode == "RGB" and _tag(opened, tiff.SAMPLES, 3)[0] > 3:
        return {ALPHA: "the fourth channel is not declared to be transparency and is left out"}
    return {}


def _upright(opened: Image.Image, odd: dict[str, str]) -> Image.Image:
    """The loaded picture, turned as its EXIF data say."""
    orientation = _orientation(opened)
    opened.load()
    if orientation not in _UPRIGHT:
        return opened
    odd[ROTATED] = f"orientation {orientation}"
    if opened.format == "TIFF":  # Pillow has turned it while loading
        return opened
    return opened.transpose(_UPRIGHT[orientation])


def _orientation(opened: Image.Image) -> int | None:
    try:
        return opened.getexif().get(_ORIENTATION_TAG)
    except (SyntaxError, struct.error, ValueError, KeyError, TypeError, IndexError):
        return None  # damaged EXIF data say nothing about the pixels: shown as it is, as by every viewer


def _pixels(loaded: Image.Image, deep: bool, odd: dict[str, str]) -> UInt8Array:
    """Loaded pixels as uint8 (h, w, channels): grey, grey and alpha, RGB or RGBA."""
    mode, clear = loaded.mode, "transparency" in loaded.info
    if deep:
        odd[SIXTEEN_BIT] = "high byte"
        if clear:
            raise Unreadable("16-bit picture with a transparent colour")
    if mode.startswith("I;16") or (mode == "I" and deep):
        return (np.asarray(loaded) >> 8).astype(np.uint8)[..., None]
    if mode in ("P", "PA"):
        odd[PALETTE] = "its colours"
        clear = clear or mode == "PA"
    if mode == "CMYK":
        odd[CMYK] = "as Pillow converts it"
    if mode not in _CONVERSIONS:
        raise Unreadable(f"pixels of a kind without a rule: Pillow calls it {mode}")
    wanted = _CONVERSIONS[mode][clear]
    pixels = np.asarray(loaded if wanted == mode else loaded.convert(wanted), dtype=np.uint8)
    return pixels[..., None] if pixels.ndim == 2 else pixels


_CONVERSIONS = {
    "1": ("L", "LA"),
    "L": ("L", "LA"),
    "LA": ("LA", "LA"),
    "La": ("LA", "LA"),
    "P": ("RGB", "RGBA"),
    "PA": ("RGBA", "RGBA"),
    "RGB": ("RGB", "RGBA"),
    "RGBX": ("RGB", "RGB"),
    "RGBA": ("RGBA", "RGBA"),
    "RGBa": ("RGBA", "RGBA"),
    "CMYK": ("RGB", "RGB"),
    "YCbCr": ("RGB", "RGB"),
}
"""Pillow's mode to the mode whose bytes are taken: without, and with a transparent colour."""


def _is_deep(opened: Image.Image, content: bytes) -> bool:
    """Whether a sample has 16 bits; Pillow's mode does not tell it of colour pictures."""
    if opened.format == "PNG":
        return content[24] == 16
    return opened.format == "TIFF" and _checked_bits(opened) == 16


def _checked_bits(opened: Image.Image) -> int:
    """Bits of a sample of a TIFF whose kind is one that Pillow decodes as meant.

    Raises:
        Unreadable: numbers that are no plain 1 to 16 bits, or a kind whose pixels Pillow gets wrong.
    """
    bits, formats = _tag(opened, tiff.BITS, 1), _tag(opened, tiff.SAMPLE_FORMAT, tiff.UNSIGNED)
    samples, extra = _tag(opened, tiff.SAMPLES, 1)[0], _tag(opened, tiff.EXTRA_SAMPLES, 0)
    if not set(formats) <= {tiff.UNSIGNED, tiff.UNDEFINED}:
        raise Unreadable(_number_kind(formats))
    if len(set(bits)) > 1 or bits[0] not in _SOUND_BITS:
        raise Unreadable(f"TIFF of {', '.join(map(str, bits))} bits a sample")
    if samples > 4 or (samples == 2 and extra[0] == 0):
        raise Unreadable(f"TIFF of {samples} channels")
    if bits[0] == 16 and samples > 1 and _tag(opened, tiff.PLANES, 1)[0] != tiff.INTERLEAVED:
        raise Unreadable("16-bit TIFF with its colours in separate planes")
    if bits[0] == 16 and _tag(opened, tiff.PHOTOMETRIC, 1)[0] == 0:
        raise Unreadable("16-bit TIFF in which zero is white")
    return int(bits[0])


def _tag(opened: Image.Image, tag: int, default: int) -> tuple[int, ...]:
    value = opened.tag_v2.get(tag, default)  # type: ignore[attr-defined]
    return tuple(value) if isinstance(value, tuple) else (value,)


def _number_kind(formats: tuple[int, ...]) -> str:
    kind = "floating-point" if tiff.FLOATING in formats else "signed"
    return f"TIFF of {kind} numbers, not of 8 or 16 bits"


def _damage(name: str, content: bytes, error: Exception) -> str:
    page = tiff.first_directory(content)
    if page is not None and isinstance(error, UnidentifiedImageError):
        try:
            formats = page.numbers(tiff.SAMPLE_FORMAT, (tiff.UNSIGNED,))
        except struct.error:
            formats = (tiff.UNSIGNED,)
        if not set(formats) <= {tiff.UNSIGNED, tiff.UNDEFINED}:
            return _number_kind(formats)
    reason = "" if isinstance(error, UnidentifiedImageError) else f" ({error})"
    return f"truncated or damaged {name} of {len(content):,} bytes{reason}"
