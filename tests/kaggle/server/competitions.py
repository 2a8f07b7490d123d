"""The competitions of the stand-in: files to download, submissions that are scored by AUC after a while."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from server.service import Answer, Request, Service, error

SLUG = "histopathologic-cancer-detection"
API = "competitions.CompetitionApiService"
PAGE = 20
SENT = "Successfully submitted to Histopathologic Cancer Detection"


@dataclass
class Submission:
    """A row of the list of submissions, and how many polls it stays pending."""

    ref: int
    date: datetime
    description: str
    file_name: str
    public_score: str = ""
    private_score: str = ""
    error: str = ""
    polls_left: int = 0

    @property
    def status(self) -> str:
        """As Kaggle names it."""
        if self.polls_left > 0:
            return "PENDING"
        return "ERROR" if self.error else "COMPLETE"

    def row(self) -> dict[str, Any]:
        """As it is listed."""
        shown = self.status == "COMPLETE"
        return {
            "ref": self.ref,
            "date": self.date.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z",
            "description": self.description,
            "errorDescription": self.error if self.status == "ERROR" else "",
            "fileName": self.file_name,
            "publicScore": self.public_score if shown else "",
            "privateScore": self.private_score if shown else "",
            "status": self.status,
            "submittedBy": "histo-tester",
        }


@dataclass
class Competition:
    """One competition on `service`.

    Attributes:
        labels: the truth by id; every third id counts for the public score, the others for the private.
        files: content by path, as in the archive.
        pending_polls: how often a submission is listed before it is scored.
        daily_limit: submissions of one UTC day; over it Kaggle says success and lists nothing.
        rules_accepted: whether files and submissions are allowed.
        swallow: so many submissions are said to have succeeded and never listed.
        late: so many lists are answered as if the newest submission were not there yet.
        cut: so many letters of a description are kept.
        by_token: pages are told by their token alone.
        now: the clock.
    """

    service: Service
    labels: Mapping[str, int] = field(default_factory=dict)
    files: Mapping[str, bytes | Path] = field(default_factory=dict)
    slug: str = SLUG
    pending_polls: int = 1
    daily_limit: int = 5
    rules_accepted: bool = True
    swallow: int = 0
    late: int = 0
    cut: int | None = None
    by_token: bool = False
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    submissions: list[Submission] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.service.calls.update(
            {
                f"{API}/StartSubmissionUpload": self._admitted(self.start_upload),
                f"{API}/CreateSubmission": self._admitted(self.create),
                f"{API}/ListSubmissions": self._admitted(self.list_submissions),
                f"{API}/ListDataFiles": self._admitted(self.list_files),
                f"{API}/DownloadDataFiles": self._admitted(self.download_all),
                f"{API}/DownloadDataFile": self._admitted(self.download_one),
            }
        )

    def _admitted(self, handler: Callable[[Request], Any]) -> Callable[[Request], Any]:
        def admit(request: Request) -> Any:
            if request.json.get("competitionName") != self.slug:
                return error(404, "Competition not found")
            if not self.rules_accepted:
                return error(
                    403, "You must accept this competition's rules before you'll be able to download files."
                )
            return handler(request)

        return admit

    def start_upload(self, request: Request) -> Any:
        """A place for the file."""
        token, url = self.service.storage.expect(request.json["fileName"])
        return {"token": token, "createUrl": url}

    def create(self, request: Request) -> Any:
        """Score what was uploaded and list it, if the day's slots allow."""
        upload = self.service.storage.uploaded(request.json.get("blobFileTokens", ""))
        if upload is None or upload.content is None:
            return error(400, "The uploaded file was not found.")
        if self.swallow > 0:
            self.swallow -= 1
            return {"message": SENT, "ref": 0}
        today = [row for row in self.submissions if row.date.date() == self.now().date()]
        if len(today) >= self.daily_limit:
            return {"message": SENT, "ref": 0}
        row = self.scored_row(request.json.get("submissionDescription", ""), upload.name, upload.content)
        self.submissions.append(row)
        return {"message": SENT, "ref": row.ref}

    def scored_row(self, description: str, file_name: str, content: bytes) -> Submission:
        """What becomes of a file that is submitted now."""
        ref = 50_000_000 + len(self.submissions) + 1
        scores = scored(content, self.labels)
        return Submission(
            ref, self.now(), description[: self.cut], file_name, *scores, polls_left=self.pending_polls
        )

    def list_submissions(self, request: Request) -> Any:
        """A page, the newest first; each look brings what is pending nearer to its score."""
        size = request.json.get("pageSize") or PAGE
        page = max(1, int(request.json.get("pageToken" if self.by_token else "page") or 1))
        newest = sorted(self.submissions, key=lambda row: row.ref, reverse=True)
        if newest and self.late > 0:
            self.late, newest = self.late - 1, newest[1:]
        shown = newest[(page - 1) * size : page * size]
        rows = [row.row() for row in shown]
        for row in shown:
            row.polls_left -= 1
        return {"submissions": rows, "nextPageToken": str(page + 1) if page * size < len(newest) else ""}

    def list_files(self, request: Request) -> Any:
        """A page of files with their sizes."""
        size = request.json.get("pageSize") or PAGE
        start = int(request.json.get("pageToken") or 0)
        names = sorted(self.files)
        rows = [
            {
                "ref": name,
                "name": name,
                "totalBytes": len(content_of(self.files[name])),
                "creationDate": "2018-11-15T20:00:00Z",
            }
            for name in names[start : start + size]
        ]
        more = str(start + size) if start + size < len(names) else ""
        return {"files": rows, "nextPageToken": more}

    def download_all(self, request: Request) -> Answer:
        """To the archive in storage."""
        name = f"{self.slug}.zip"
        if f"/storage/{name}" not in self.service.storage.offered:
            self.service.storage.offer(name, archive_of(self.files))
        return Answer(302, headers={"Location": f"http://localhost/storage/{name}?signature=of-a-moment"})

    def download_one(self, request: Request) -> Answer:
        """To one file in storage."""
        name = request.json["fileName"]
        if name not in self.files:
            return error(404, "File not found")
        return Answer(302, headers={"Location": self.service.storage.offer(name, self.files[name])})


def content_of(content: bytes | Path) -> bytes:
    """The bytes themselves."""
    return content.read_bytes() if isinstance(content, Path) else content


def archive_of(files: Mapping[str, bytes | Path]) -> bytes:
    """A zip file of `files`, the same whenever it is made."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            archive.writestr(zipfile.ZipInfo(name), content_of(files[name]), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def scored(content: bytes, labels: Mapping[str, int]) -> tuple[str, str, str]:
    """Public score, private score and error of a submitted CSV; scores with five digits, as Kaggle shows them."""
    try:
        rows = list(csv.DictReader(io.StringIO(content.decode())))
        predicted = {row["id"]: float(row["label"]) for row in rows}
    except (KeyError, ValueError, TypeError):
        return "", "", "Evaluation Exception: the file has no columns id and label of numbers"
    if len(predicted) != len(rows) or set(predicted) != set(labels):
        return "", "", f"Submission must have {len(labels)} rows with the ids of sample_submission.csv"
    names = list(labels)
    public = set(names[::3])
    parts = [[name for name in names if (name in public) == shown] for shown in (True, False)]
    scores = [auc([labels[name] for name in part], [predicted[name] for name in part]) for part in parts]
    return f"{scores[0]:.5f}", f"{scores[1]:.5f}", ""


def auc(labels: list[int], scores: list[float]) -> float:
    """Share of pairs in the right order, ties half; 0.5 where there is only one class."""
    positive = [score for label, score in zip(labels, scores, strict=True) if label]
    negative = [score for label, score in zip(labels, scores, strict=True) if not label]
    if not positive or not negative:
        return 0.5
    order = sorted(positive + negative)
    rank = {}
    for place, score in enumerate(order, 1):
        first, _ = rank.get(score, (place, place))
        rank[score] = (first, place)
    total = sum(sum(rank[score]) / 2 for score in positive)
    return (total - len(positive) * (len(positive) + 1) / 2) / (len(positive) * len(negative))
