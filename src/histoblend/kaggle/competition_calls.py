"""In the child: what is asked of Kaggle about a competition, by what clients 1.7 to 2.2 have in common."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from histoblend.kaggle.symptoms import UploadRefused
from histoblend.kaggle.transfers import receive

PAGE = 20  # rows of a page where a service does as the client's default says
MOST_PAGES = 100
FILE_PAGE, FILE_PAGES = 200, 3  # of files: this competition has more than a thousand pages of them


def list_submissions(api: Any, competition: str) -> list[dict[str, Any]]:
    """Every submission, a dictionary each: the newest first."""
    parameters = inspect.signature(api.competition_submissions).parameters
    number = "page_number" if "page_number" in parameters else "page_token"  # 1.7 names the page so
    rows: dict[int, dict[str, Any]] = {}
    for page in range(1, MOST_PAGES + 1):
        listed = [
            row for row in api.competition_submissions(competition, **{number: page}) or [] if row is not None
        ]
        fresh = {row.ref: _row(row) for row in listed if row.ref not in rows}
        rows.update(fresh)
        if not fresh or len(listed) < PAGE:
            break
    return list(rows.values())


def _row(submission: Any) -> dict[str, Any]:
    return {
        "ref": submission.ref,
        "date": submission.date.isoformat(),
        "description": submission.description or "",
        "file_name": submission.file_name or "",
        "status": getattr(submission.status, "name", str(submission.status)),
        "public_score": submission.public_score or "",
        "private_score": submission.private_score or "",
        "error": submission.error_description or "",
    }


def send_submission(api: Any, path: str, description: str, competition: str) -> str:
    """Send the file; what the client says about it, which is no proof that it arrived.

    Raises:
        UploadRefused: the client gave the upload up; it would only say so and end well.
    """
    response = api.competition_submit(path, description, competition, quiet=True)
    message = str(getattr(response, "message", response) or "")
    if message.startswith("Could not submit"):
        raise UploadRefused(message)
    return message


def list_files(api: Any, competition: str) -> dict[str, Any]:
    """Size in bytes of the competition's files by name, of the first pages alone where there are many of them."""
    sizes: dict[str, int] = {}
    token = None
    for _ in range(FILE_PAGES):
        response = api.competition_list_files(competition, page_token=token, page_size=FILE_PAGE)
        sizes.update({file.name: file.total_bytes for file in response.files})
        token = response.next_page_token
        if not token:
            break
    return {"sizes": sizes, "complete": not token}


def fetch_archive(api: Any, competition: str, path: str) -> int:
    """Fetch all files of the competition as one archive to `path`; its size in bytes.

    The client finds the address and signs the call; the transfer is ours: clients before 2.1 append to whatever
    lies there, 1.7 cannot go on at all and takes the whole archive into memory.
    """
    sizes: list[int] = []

    def transfer(response: Any, *_: Any, **__: Any) -> None:
        sizes.append(receive(response, Path(path)))

    with _streaming(), mock.patch.object(api, "download_file", transfer):
        api.competition_download_files(competition, path=str(Path(path).parent), force=True, quiet=True)
    return sizes[0]


@contextmanager
def _streaming() -> Iterator[None]:
    """Let bodies come as they are read, in clients too that do not ask for it."""
    import requests

    send = requests.Session.send

    def streamed(self: Any, request: Any, **options: Any) -> Any:
        return send(self, request, **{**options, "stream": True})

    with mock.patch.object(requests.Session, "send", streamed):
        yield
