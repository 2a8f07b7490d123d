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


def list_submissions(api: Any, competition: str, pages: int = MOST_PAGES) -> list[dict[str, Any]]:
    """The submissions of so many pages, a dictionary each: the newest first.

    A page is asked for by number and by the token of the one before: no client says which of them the service heeds.
    """
    parameters = inspect.signature(api.competition_submissions).parameters
    both = "page_number" in parameters  # 1.7 knows numbers only, and names them page_token
    rows: dict[int, dict[str, Any]] = {}
    token = ""
    with _page_tokens() as tokens:
        for page in range(1, pages + 1):
            place = {"page_number": page, "page_token": token} if both else {"page_token": page}
            listed = [
                row for row in api.competition_submissions(competition, **place) or [] if row is not None
            ]
            fresh = {row.ref: _row(row) for row in listed if row.ref not in rows}
            rows.update(fresh)
            token = tokens[-1] if tokens else ""
            if not fresh or (len(listed) < PAGE and not token):
                break
    return list(rows.values())


@contextmanager
def _page_tokens() -> Iterator[list[str]]:
    """The tokens of the pages that follow, one an answer: the client drops them."""
    from kagglesdk.competitions.services.competition_api_service import CompetitionApiClient

    ask = CompetitionApiClient.list_submissions
    tokens: list[str] = []

    def asked(self: Any, request: Any = None) -> Any:
        response = ask(self, request)
        tokens.append(getattr(response, "next_page_token", "") or "")
        return response

    with mock.patch.object(CompetitionApiClient, "list_submissions", asked):
        yield tokens


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


def send_submission(api: Any, path: str, description: str, competition: str) -> dict[str, Any]:
    """Send the file; what the client says about it, which is no proof that it arrived, and the ref it was given.

    Raises:
        UploadRefused: the client gave the upload up; it would only say so and end well.
    """
    response = api.competition_submit(path, description, competition, quiet=True)
    message = str(getattr(response, "message", response) or "")
    if message.startswith("Could not submit"):
        raise UploadRefused(message)
    return {"words": message, "ref": getattr(response, "ref", 0) or 0}


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
