"""What a saved state says of itself, read without its arrays and without Keras."""

from __future__ import annotations

import json
import struct
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np

# What a flipped byte in the archive can raise: RuntimeError for a file that now claims to be encrypted.
DAMAGE = (OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error, struct.error)


def saved_epochs(path: Path | IO[bytes]) -> tuple[list[dict[str, float]], str] | None:
    """History and device of the state at `path`, or in a file that is open; None where there is none that can be read.

    A damaged state is put aside, aloud, when its task starts.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            about: dict[str, Any] = json.loads(stored["about"].tobytes())
            return about["history"], about.get("device", "")
    except DAMAGE:
        return None
