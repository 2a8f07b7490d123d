"""In the child: fetching one large file, going on where an earlier attempt was broken off, killed or not."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

from histoblend.kaggle import channel

CHUNK = 2**16  # what comes is written so often: less than that is lost when the connection breaks


class CutShort(ConnectionError):
    """Fewer bytes came than were announced."""


class NotTheFile(ValueError):
    """Something else came than a file."""


def receive(response: Any, path: Path) -> int:
    """Write the body of `response`, a streamed answer of `requests`, to `path`; the number of bytes it has then.

    What lies at ``<path>.part`` is gone on with if it belongs to the same file on the other side, by size and ETag
    (else Last-Modified), as noted beside it; only the rest is asked for then.
    """
    if "html" in response.headers.get("Content-Type", "") and path.suffix != ".html":
        raise NotTheFile("a page of HTML came in place of the file")
    part, note = path.with_name(f"{path.name}.part"), path.with_name(f"{path.name}.part.json")
    packed = "Content-Encoding" in response.headers  # then the length is not that of the file
    size = 0 if packed else int(response.headers.get("Content-Length") or 0)
    identity = _identity(response, size)
    have = _earlier(part, note, identity)
    if have and have < size:
        response = _rest(response, have)
        have = have if response.status_code == 206 and _starts(response) == have else 0
    if not have:
        response.raise_for_status()
        note.write_text(json.dumps(identity), encoding="utf-8")
        part.unlink(missing_ok=True)
    if have < size or not size:
        _append(response, part, have, size)
    part.replace(path)
    note.unlink()
    return path.stat().st_size


def _identity(response: Any, size: int) -> dict[str, Any]:
    return {"size": size, "validator": response.headers.get("ETag") or response.headers.get("Last-Modified")}


def _earlier(part: Path, note: Path, identity: dict[str, Any]) -> int:
    """Bytes of an earlier attempt that may be kept; none where the other side does not say what file it is."""
    if not part.exists() or not note.exists() or not identity["validator"]:
        return 0
    try:
        noted = json.loads(note.read_text(encoding="utf-8"))
    except ValueError:
        return 0
    have = part.stat().st_size
    return have if noted == identity and have <= identity["size"] else 0


def _rest(response: Any, have: int) -> Any:
    """The same request once more, for what is after the first `have` bytes."""
    import requests

    response.close()
    request = response.request.copy()
    request.headers["Range"] = f"bytes={have}-"
    strong = response.headers.get("ETag", "W/")
    if not strong.startswith("W/"):  # a weak one may not stand in If-Range
        request.headers["If-Range"] = strong
    session = requests.Session()
    settings = session.merge_environment_settings(request.url, {}, True, None, None)
    rest = session.send(request, **settings)
    if rest.status_code in (200, 206):
        return rest
    rest.raise_for_status()
    raise CutShort(f"storage answered {rest.status_code} to a request for the rest of a file")


def _starts(response: Any) -> int:
    """The byte with which a partial answer begins; -1 where it does not say."""
    found = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return int(found[1]) if found else -1


def _append(response: Any, part: Path, have: int, size: int) -> None:
    with part.open("r+b" if have else "wb", buffering=0) as stream:
        stream.seek(have)
        stream.truncate()
        done = have
        channel.progress(done, max(size, done))
        for data in response.iter_content(CHUNK):
            stream.write(data)
            done += len(data)
            channel.progress(done, max(size, done))
        if size and done != size:
            raise CutShort(f"{done:,} of {size:,} bytes came")
        os.fsync(stream.fileno())
