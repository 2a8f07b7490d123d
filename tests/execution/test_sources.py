"""Sources of a run: every file with the hash of its bytes, pictures left to the data's fingerprint."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from histoblend.competition.layouts import read_competition
from histoblend.config import FoldSettings
from histoblend.execution import sources
from histoblend.execution.sources import run_sources


def test_every_file_once_with_its_hash(toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net = tmp_path / "net.h5"
    net.write_bytes(b"weights")
    weights = {"a": str(net), "b": str(net), "c": "random", "d": "download"}
    found = run_sources(read_competition(toy), "abc", FoldSettings(), weights)
    names = {Path(one["path"]).name: one["kind"] for one in found}
    assert names == {
        "train_labels.csv": "data",
        "sample_submission.csv": "data",
        "patch_id_wsi_full.csv": "slide map",
        "net.h5": "weights",
    }
    assert found[-1] == {
        "kind": "weights",
        "path": str(net),
        "sha256": hashlib.sha256(b"weights").hexdigest(),
        "bytes": 7,
        "experiments": ["a", "b"],
    }
    assert {one["fingerprint"] for one in found if one["kind"] == "data"} == {"abc"}
    monkeypatch.setattr(sources, "TABLE_BYTES", 0)  # arrays of pictures are not read again
    ignored = run_sources(read_competition(toy), "abc", FoldSettings(slides="none"), {})
    assert ignored == []


def test_a_run_keeps_them(finished: Path) -> None:
    content = json.loads((finished / "run.json").read_text())
    kinds = [one["kind"] for one in content["sources"]]
    assert kinds == ["data", "data", "slide map"]
