"""Where uploads arrive and downloads come from, as a cloud's storage would: plain GET with Range, plain PUT."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

HOST = "http://localhost"


@dataclass
class Upload:
    """A place an upload was promised: its name, and what has arrived."""

    name: str
    content: bytes | None = None


class Storage:
    """Files by address."""

    def __init__(self) -> None:
        self.uploads: dict[str, Upload] = {}
        self.offered: dict[str, bytes | Path] = {}

    def expect(self, name: str) -> tuple[str, str]:
        """Make a place for a file called `name`; its token, and the address to PUT to."""
        token = f"blob-{len(self.uploads) + 1}"
        self.uploads[token] = Upload(name)
        return token, f"{HOST}/upload/{token}"

    def uploaded(self, token: str) -> Upload | None:
        """What arrived under `token`; None where nothing has."""
        upload = self.uploads.get(token)
        return upload if upload is not None and upload.content is not None else None

    def offer(self, name: str, content: bytes | Path) -> str:
        """The address from which `content` may be downloaded; the last part of it is `name`'s."""
        self.offered[f"/storage/{name}"] = content
        return f"{HOST}/storage/{name}"

    def serve(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[int, bytes, dict[str, str]]:
        """Status, body and headers of the answer."""
        token = path.removeprefix("/upload/")
        if method == "PUT" and token in self.uploads:
            if headers.get("Content-Range", "").startswith("bytes */"):  # how much is there already?
                return (308 if self.uploads[token].content is None else 200), b"", {}
            self.uploads[token].content = body
            return 200, b"", {}
        if method != "GET" or path not in self.offered:
            return 404, b"<html>no such thing in storage</html>", {"Content-Type": "text/html"}
        content = self.offered[path]
        return ranged(content.read_bytes() if isinstance(content, Path) else content, headers)


def ranged(content: bytes, headers: Mapping[str, str]) -> tuple[int, bytes, dict[str, str]]:
    """The part of `content` that is asked for, if it is still what If-Range says; else the whole."""
    tag = f'"{hashlib.md5(content).hexdigest()}"'
    given = {"ETag": tag, "Accept-Ranges": "bytes", "Content-Type": "application/octet-stream"}
    asked = re.fullmatch(r"bytes=(\d+)-", headers.get("Range", ""))
    if asked is None or headers.get("If-Range", tag) != tag:
        return 200, content, given
    start = int(asked[1])
    if start >= len(content):
        return 416, b"", {**given, "Content-Range": f"bytes */{len(content)}"}
    return (
        206,
        content[start:],
        {**given, "Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"},
    )
