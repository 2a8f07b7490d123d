"""The kernels of the stand-in: what is pushed, sessions that pass through scripted states, output in pages, a log.

    kernels = Kernels(service)                              # kernels.kernels is what was pushed
    kernels.script = ["QUEUED", "RUNNING", "COMPLETE"]      # states, one a poll; the last one stays
    kernels.offer(folder)                                   # the files of a real folder are the sessions' output
    kernels.runner = ScriptRunner(root)                     # or: the pushed script really runs, in root

A `ScriptRunner` starts the script as a process of its own in a tree laid out like Kaggle's; the session is RUNNING as
long as it does, COMPLETE or ERROR by its exit code, and its output is what lies in working/ then.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from server.service import Request, Service, error

API = "kernels.KernelsApiService"
LARGEST = 1_000_000
DENIED = "Permission 'kernels.get' was denied"
QUOTA = "You have used up your weekly GPU quota of 30 hours."
SESSIONS = "Maximum batch GPU session count of 2 reached."
KEPT = (
    "isPrivate",
    "enableGpu",
    "enableTpu",
    "enableInternet",
    "machineShape",
    "datasetDataSources",
    "competitionDataSources",
    "kernelDataSources",
)


@dataclass
class ScriptRunner:
    """Runs a pushed script in `root`, which the caller has laid out like /kaggle, its input/ included.

    Attributes:
        environment: of the process, beside what Kaggle sets.
    """

    root: Path
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    process: subprocess.Popen[bytes] | None = None

    def start(self, script: str, sources: Sequence[str] = ()) -> None:
        """Start it anew: an empty working folder, the script alone in src/.

        Args:
            sources: kernels, as owner/slug, whose last output is mounted among the inputs: that is this one's.
        """
        earlier = {one: self.root / "input" / "notebooks" / one for one in sources}
        for place in earlier.values():
            shutil.rmtree(place, ignore_errors=True)
            shutil.copytree(self.root / "working", place)
        for name in ("src", "working", "temp"):
            shutil.rmtree(self.root / name, ignore_errors=True)
            (self.root / name).mkdir(parents=True)
        (self.root / "src" / "script.py").write_text(script)
        own = {"KAGGLE_KERNEL_RUN_TYPE": "Batch", "HISTOBLEND_KAGGLE_ROOT": str(self.root)}
        with (self.root / "log.txt").open("wb") as log:
            command = [sys.executable, str(self.root / "src" / "script.py")]
            self.process = subprocess.Popen(
                command,
                cwd=self.root / "working",
                env={**self.environment, **own},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def state(self) -> str:
        """As Kaggle names it."""
        code = self.process.poll() if self.process else None
        return "RUNNING" if code is None else "ERROR" if code else "COMPLETE"

    @property
    def log(self) -> str:
        """What it has said so far, in the form that Kaggle keeps."""
        text = (self.root / "log.txt").read_text(errors="replace")
        return as_log(text.splitlines(keepends=True))

    def output(self) -> dict[str, Path]:
        """Files of the working folder by name."""
        return files_of(self.root / "working")


@dataclass
class Kernel:
    """One kernel: what was pushed last, and how often."""

    owner: str
    slug: str
    request: dict[str, Any]
    version: int = 0


@dataclass
class Kernels:
    """The kernels of `service`.

    Attributes:
        script: states of each session, one a poll; the last one stays.
        failure: failureMessage of a session in ERROR.
        output: content by name, of every session that has ended.
        log: as it is kept, or None for none; shown while running only if `live`.
        page: files on one page.
        refuse: said to every push in the reply's `error`, with HTTP 200.
        unknown: sources that Kaggle does not know: named among the invalid ones, and not kept.
        keep: fields of a kernel that Kaggle keeps otherwise than it was told, by name; None: says nothing of them.
        datasets: datasets that exist, as owner/slug.
    """

    service: Service
    script: list[str] = field(default_factory=lambda: ["QUEUED", "RUNNING", "COMPLETE"])
    failure: str = ""
    output: dict[str, bytes | Path] = field(default_factory=dict)
    log: str | None = None
    live: bool = False
    page: int = 20
    refuse: str = ""
    unknown: tuple[str, ...] = ()
    keep: dict[str, Any] = field(default_factory=dict)
    runner: ScriptRunner | None = None
    kernels: dict[str, Kernel] = field(default_factory=dict)
    polls: int = 0

    def __post_init__(self) -> None:
        self.service.calls.update(
            {
                f"{API}/SaveKernel": self.save,
                f"{API}/GetKernel": self._known(self.get),
                f"{API}/GetKernelSessionStatus": self._known(self.status),
                f"{API}/ListKernelSessionOutput": self._known(self.list_output),
                f"{API}/ListKernelFiles": self._known(self.list_files),
            }
        )

    def offer(self, folder: Path) -> None:
        """Let the files of `folder` be the sessions' output."""
        self.output = dict(files_of(folder))

    @property
    def state(self) -> str:
        """The last session's, as Kaggle names it."""
        if self.runner is not None and self.runner.process is not None:
            return self.runner.state
        return self.script[min(self.polls, len(self.script)) - 1] if self.polls else self.script[0]

    @property
    def ended(self) -> bool:
        """Whether the last session has."""
        return self.state in ("COMPLETE", "ERROR", "CANCEL_ACKNOWLEDGED")

    def save(self, request: Request) -> Any:
        """A push: a new version, and a session that starts."""
        asked = request.json
        if self.refuse:
            return refused(self.refuse)
        if len(asked.get("text", "").encode()) > LARGEST:
            return refused(f"Source exceeds the maximum size of {LARGEST} bytes")
        owner = asked["slug"].split("/")[0]
        slug = slug_of(asked["newTitle"])  # the title decides, whatever the id says
        kernel = self.kernels.setdefault(f"{owner}/{slug}", Kernel(owner, slug, {}))
        invalid = {
            f"invalid{kind}Sources": [one for one in asked.get(name, []) if one in self.unknown]
            for kind, name in INVALID.items()
        }
        for name in INVALID.values():
            asked[name] = [one for one in asked.get(name, []) if one not in self.unknown]
        kernel.request, kernel.version, self.polls = asked, kernel.version + 1, 0
        if self.runner is not None:
            self.runner.start(asked["text"], asked["kernelDataSources"])
        address = f"https://www.kaggle.com/code/{owner}/{slug}"
        reply = {"ref": f"/code/{owner}/{slug}", "url": address, "versionNumber": kernel.version, "error": ""}
        return {**reply, **invalid, "invalidTags": [], "kernelId": 1}

    def get(self, request: Request, kernel: Kernel) -> Any:
        """What is kept of it."""
        kept = {name: kernel.request[name] for name in KEPT if name in kernel.request} | self.keep
        about = {
            "id": 1,
            "ref": f"{kernel.owner}/{kernel.slug}",
            "title": kernel.request["newTitle"],
            "slug": kernel.slug,
            "author": kernel.owner,
            "language": "python",
            "kernelType": "script",
            "lastRunTime": "2026-11-21T06:00:00.000Z",
            "currentVersionNumber": kernel.version,
            **kept,
        }
        blob = {
            "source": kernel.request["text"],
            "language": "python",
            "kernelType": "script",
            "slug": kernel.slug,
        }
        return {"metadata": {name: value for name, value in about.items() if value is not None}, "blob": blob}

    def status(self, request: Request, kernel: Kernel) -> Any:
        """The next of the scripted states."""
        self.polls += 1
        failed = {"failureMessage": self.failure} if self.state == "ERROR" and self.failure else {}
        return {"status": self.state, **failed}

    def list_output(self, request: Request, kernel: Kernel) -> Any:
        """A page of files with their addresses, and the log."""
        files, log = self._left_behind()
        names, start = sorted(files), int(request.json.get("pageToken") or 0)
        size = min(request.json.get("pageSize") or self.page, self.page)
        shown = names[start : start + size]
        place = f"kernels/{kernel.slug}/{kernel.version}"
        rows = [
            {"fileName": name, "url": self.service.storage.offer(f"{place}/{name}", files[name])}
            for name in shown
        ]
        more = {"nextPageToken": str(start + size)} if start + size < len(names) else {}
        return {"files": rows, **({"log": log} if log is not None and not start else {}), **more}

    def list_files(self, request: Request, kernel: Kernel) -> Any:
        """Names and sizes of the output, on one page."""
        files, _ = self._left_behind()
        sizes = {
            name: len(one) if isinstance(one, bytes) else one.stat().st_size for name, one in files.items()
        }
        return {"files": [{"name": name, "size": size, "creationDate": ""} for name, size in sizes.items()]}

    def _left_behind(self) -> tuple[dict[str, bytes | Path], str | None]:
        """Output and log as they may be seen now."""
        if self.runner is not None and self.runner.process is not None:
            return (dict(self.runner.output()) if self.ended else {}), self.runner.log
        return (self.output if self.ended else {}), (self.log if self.ended or self.live else None)

    def _known(self, handler: Any) -> Any:
        def answer(request: Request) -> Any:
            name = f"{request.json.get('userName')}/{request.json.get('kernelSlug')}"
            kernel = self.kernels.get(name)
            return error(403, DENIED) if kernel is None else handler(request, kernel)

        return answer


INVALID = {
    "Dataset": "datasetDataSources",
    "Competition": "competitionDataSources",
    "Kernel": "kernelDataSources",
}


def refused(words: str) -> dict[str, Any]:
    """A reply to a push that was not taken: HTTP 200, and nulls where a version would stand."""
    empty = {
        f"invalid{kind}": [] for kind in ("Tags", "DatasetSources", "CompetitionSources", "KernelSources")
    }
    return {"ref": None, "url": None, "versionNumber": None, "error": words, **empty}


def slug_of(title: str) -> str:
    """As Kaggle makes addresses of titles."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def as_log(pieces: list[str]) -> str:
    """Pieces of output in the form in which Kaggle keeps logs."""
    events = [{"stream_name": "stdout", "time": place * 0.5, "data": one} for place, one in enumerate(pieces)]
    return "[" + "\n,".join(json.dumps(event) for event in events) + "\n]"


def files_of(folder: Path) -> dict[str, Path]:
    """Files under `folder` by their name in it."""
    return {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
