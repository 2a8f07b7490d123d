"""What the tests of kernels share: the real client called in this process, and a session's output in small."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from server.datasets import Dataset, Datasets
from server.kernels import Kernels
from server.service import USER

from histoblend.kaggle.child import authenticated_api
from histoblend.kaggle.connection import Connection
from histoblend.kaggle.credentials import find_credential
from histoblend.kaggle.failures import Asked, call_failure
from histoblend.kaggle.symptoms import symptom_of

REF = f"{USER}/histoblend-run"
SCRIPT = "print('a session')\n"


def call_here(
    connection: Connection, function: Callable[..., Any], progress: Any, arguments: Mapping[str, Any]
) -> Any:
    """`Connection._once` without the child process: the same function, the same client, the same failures."""
    try:
        return json.loads(json.dumps(function(authenticated_api(), **arguments)))
    except Exception as problem:
        asked = Asked(function.__name__, arguments, find_credential(connection.environment))
        raise call_failure(symptom_of(problem), "", asked) from problem


def with_assets(kernels: Kernels, *there: str) -> Datasets:
    """Let the datasets `there` (owner/slug) exist, and no other."""
    datasets = Datasets(kernels.service)
    datasets.kept |= {name: Dataset("Assets", True, "other", {"map.csv": b"id,wsi\n"}) for name in there}
    return datasets


def session_output(state: str = "finished", **noted: Any) -> dict[str, bytes | Path]:
    """What a session hands back: a tar with an output folder in small, session.json, submission.csv."""
    files = {
        "run.json": b"{}",
        "experiments/a/fold_0/done.json": b"{}",
        "ranking.csv": b"name,auc_pooled\na,0.9\n",
        "submission.csv": b"id,label\nx,0.5\n",
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"histoblend-output/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    packed = buffer.getvalue()
    about: dict[str, Any] = {"name": "histoblend-output.tar", "bytes": len(packed), "files": len(files)}
    about["sha256"] = hashlib.sha256(packed).hexdigest()
    record = {
        "plan": "toy",
        "settings": [],
        "state": state,
        "left": [],
        "archive": about,
        "files": len(files),
        **noted,
    }
    return {
        "histoblend-output.tar": packed,
        "session.json": json.dumps(record).encode(),
        "submission.csv": files["submission.csv"],
    }


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls in this process, which spares the start of one for each."""
    monkeypatch.setattr(Connection, "_once", call_here)
