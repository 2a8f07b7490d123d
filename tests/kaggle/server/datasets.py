"""The datasets of the stand-in: blobs that are uploaded, versions that take a while to be ready, their files."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from server.service import Answer, Request, Service, error

API = "datasets.DatasetApiService"
PAGE = 20
PROCESSING = "BLOBS_RECEIVED"


@dataclass
class Dataset:
    """A dataset as it is kept: what was said of it, and the files of its newest version."""

    title: str
    private: bool
    license: str
    files: dict[str, bytes]
    version: int = 1
    notes: list[str] = field(default_factory=list)
    polls_left: int = 0
    failed: bool = False


@dataclass
class Datasets:
    """The datasets on `service`.

    Attributes:
        kept: by ``owner/slug``.
        pending_polls: how often a new version is asked about before it is ready.
        stale_polls: how often its files are still listed as those of the version before.
        failing: a new version ends as FAILED.
        unpacking: archives are unpacked into folders of their name, as Kaggle may do with them.
        refusal: said, with status 200, in answer to what would create something.
        losing: names that vanish while a version is processed.
    """

    service: Service
    kept: dict[str, Dataset] = field(default_factory=dict)
    pending_polls: int = 1
    stale_polls: int = 0
    failing: bool = False
    unpacking: bool = False
    refusal: str = ""
    losing: tuple[str, ...] = ()
    _stale: dict[str, tuple[dict[str, bytes], int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.service.calls.update(
            {
                "blobs.BlobApiService/StartBlobUpload": self.start_upload,
                f"{API}/CreateDataset": self.create,
                f"{API}/CreateDatasetVersion": self.create_version,
                f"{API}/GetDatasetStatus": self._known(self.status),
                f"{API}/GetDataset": self._known(self.describe),
                f"{API}/ListDatasetFiles": self._known(self.list_files),
            }
        )

    def start_upload(self, request: Request) -> Any:
        """A place for one file."""
        token, url = self.service.storage.expect(request.json["name"])
        return {"token": token, "createUrl": url}

    def create(self, request: Request) -> Any:
        """A new dataset of what was uploaded."""
        asked = request.json
        reference = f"{asked['ownerSlug']}/{asked['slug']}"
        if self.refusal:
            return {"status": "error", "error": self.refusal}
        if reference in self.kept:
            title = asked["title"]
            return {
                "status": "error",
                "error": f'The requested title "{title}" is already in use by a dataset.',
            }
        if asked["ownerSlug"] != request.user:
            return error(403, "Permission 'datasets.create' was denied")
        files = self._received(asked.get("files", []))
        if isinstance(files, Answer):
            return files
        self.kept[reference] = Dataset(asked["title"], asked["isPrivate"], asked["licenseName"], files)
        return self._taken(reference)

    def create_version(self, request: Request) -> Any:
        """A new version of one that is there."""
        asked = request.json
        reference = f"{asked['ownerSlug']}/{asked['datasetSlug']}"
        if self.refusal:
            return {"status": "error", "error": self.refusal}
        if reference not in self.kept:
            return error(404, "Dataset not found")
        files = self._received(asked["body"].get("files", []))
        if isinstance(files, Answer):
            return files
        dataset = self.kept[reference]
        self._stale[reference] = (dataset.files, self.stale_polls)
        dataset.files, dataset.version = files, dataset.version + 1
        dataset.notes.append(asked["body"].get("versionNotes", ""))
        return self._taken(reference)

    def _received(self, files: list[dict[str, Any]]) -> dict[str, bytes] | Answer:
        received: dict[str, bytes] = {}
        for file in files:
            upload = self.service.storage.uploaded(file["token"])
            if upload is None or upload.content is None:
                return error(400, "An uploaded file was not found.")
            if upload.name in self.losing:
                continue
            if self.unpacking and upload.name.endswith(".tar"):
                received |= unpacked(upload.name, upload.content)
            else:
                received[upload.name] = upload.content
        return received

    def _taken(self, reference: str) -> Any:
        dataset = self.kept[reference]
        dataset.polls_left, dataset.failed = self.pending_polls, self.failing
        return {
            "ref": f"/{reference}",
            "url": f"https://www.kaggle.com/{reference}",
            "status": "ok",
            "error": "",
        }

    def _known(self, handler: Callable[[Dataset, Request], Any]) -> Callable[[Request], Any]:
        def look_up(request: Request) -> Any:
            asked = request.json
            dataset = self.kept.get(f"{asked['ownerSlug']}/{asked['datasetSlug']}")
            return error(404, "Dataset not found") if dataset is None else handler(dataset, request)

        return look_up

    def status(self, dataset: Dataset, request: Request) -> Any:
        """Each look brings it nearer to its end."""
        if dataset.polls_left > 0:
            dataset.polls_left -= 1
            return {"status": PROCESSING}
        return {"status": "FAILED" if dataset.failed else "READY"}

    def describe(self, dataset: Dataset, request: Request) -> Any:
        """Title, privacy and version."""
        return {
            "title": dataset.title,
            "isPrivate": dataset.private,
            "licenseName": dataset.license,
            "currentVersionNumber": dataset.version,
        }

    def list_files(self, dataset: Dataset, request: Request) -> Any:
        """A page of files with their sizes; for a while those of the version before."""
        reference = f"{request.json['ownerSlug']}/{request.json['datasetSlug']}"
        before, polls = self._stale.get(reference, ({}, 0))
        files = dataset.files
        if polls > 0:
            self._stale[reference] = (before, polls - 1)
            files = before
        size = min(request.json.get("pageSize") or PAGE, PAGE)
        start = int(request.json.get("pageToken") or 0)
        names = sorted(files)
        rows = [{"name": name, "totalBytes": len(files[name])} for name in names[start : start + size]]
        more = str(start + size) if start + size < len(names) else ""
        return {"datasetFiles": rows, "nextPageToken": more}

    def mount(self, reference: str, to: Path) -> Path:
        """Lay the files out as a session finds them."""
        for name, content in self.kept[reference].files.items():
            path = to / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return to


def unpacked(name: str, content: bytes) -> dict[str, bytes]:
    """The files of a tar, below a folder of the tar's name."""
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        members = [member for member in tar if member.isfile()]
        stem = PurePosixPath(name).stem
        return {f"{stem}/{member.name}": tar.extractfile(member).read() for member in members}  # type: ignore[union-attr]
