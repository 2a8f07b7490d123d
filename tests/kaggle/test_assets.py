"""`assets push` by the real client: collected, sent once, found again by a session; and what is refused."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pytest
from server.datasets import Dataset as Kept
from server.datasets import Datasets
from server.service import USER, Service

from histoblend.competition.layouts import read_competition
from histoblend.errors import ArtifactRefusal, ConfigRefusal, DataRefusal, MachineRefusal, ServiceRefusal
from histoblend.execution.sources import sha256_of
from histoblend.kaggle.assets import AssetsRequest, push, push_assets, staging
from histoblend.kaggle.assets.earlier import earlier_output
from histoblend.kaggle.session.stored import check_whole, find_stored, unpacked_output
from histoblend.models import weights
from histoblend.models.weights import resolve_weights
from histoblend.workspace import Workspace, locked

OURS = f"{USER}/histoblend-assets"
NET = "densenet121_weights_tf_dim_ordering_tf_kernels_notop.h5"
MAP = "patch_id_wsi_full.csv"
Push = Callable[..., None]


@pytest.fixture
def kept(kaggle_service: Service) -> Datasets:
    return Datasets(kaggle_service)


@pytest.fixture
def project(tmp_path: Path, toy_configs: Path, toy: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Configs with a plan on pretrained weights, data with a slide map, and a tiny file of weights."""
    (toy_configs / "experiments/pretrained.yaml").write_text(
        "network: {name: densenet121, weights: imagenet}\ninput_size: 96\n"
    )
    (toy_configs / "plans/carried.yaml").write_text("experiments: [first, pretrained]\nreport: false\n")
    folder = tmp_path / "weights"
    folder.mkdir()
    with h5py.File(folder / NET, "w") as file:
        file["kernel"] = np.ones((3, 3), np.float32)
    monkeypatch.setenv("HISTOBLEND_WEIGHTS", str(folder))
    monkeypatch.setenv("HISTOBLEND_DATA", str(toy))
    monkeypatch.setenv("TMPDIR", str(folder))  # where the client notes uploads that broke off
    monkeypatch.setenv("HISTOBLEND_CONFIGS", str(toy_configs))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setattr(weights, "has_internet", lambda *_: False)
    monkeypatch.setattr("histoblend.execution.preflight.has_internet", lambda *_: False)
    return tmp_path


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """An output folder with one finished task, one begun, and what does not go along."""
    folder = tmp_path / "output"
    contents = {
        "run.json": json.dumps({"data": {"layout": "hcd", "synthetic": False}}),
        "folds.csv": "id,label,slide,fold\n",
        "experiments/first/config.yaml": "fingerprint: abc\n",
        "experiments/first/fold_0/done.json": "{}",
        "experiments/first/fold_0/model.weights.h5": "w" * 20_000,
        "experiments/first/fold_1/state/last.npz": "s" * 10_000,
        "cache/abc/train.npy": "pixels",
        "report/index.html": "page",
        "kernels/1/run.json": "{}",
        "experiments/first/.partial-1-oof.csv": "half",
    }
    for name, text in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def pushed(project: Path, display: Any, kaggle_service: Service) -> Push:
    def act(**asked: Any) -> None:
        push_assets(AssetsRequest(plan="carried", **asked), display, dict(os.environ))

    return act


def test_a_dry_run_asks_nobody_and_says_all(
    pushed: Push, output: Path, display: Any, kaggle_service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KAGGLE_USERNAME")
    pushed(output=output, dry_run=True)
    assert not kaggle_service.log and not (output / "cache" / "kaggle-assets").exists()
    for part in (MAP, "12 slides of 81 patches", NET, "pretrained", "histoblend-output.tar", "manifest-"):
        assert part in display.text
    assert "1 finished task" in display.text and "nothing was sent" in display.text


@pytest.mark.parametrize("unpacking", [False, True])
def test_a_session_finds_what_was_pushed(
    pushed: Push, output: Path, kept: Datasets, project: Path, toy: Path, display: Any, unpacking: bool
) -> None:
    kept.unpacking = unpacking
    pushed(output=output)
    assert "version 1, private" in display.text
    assert kept.kept[OURS].private and kept.kept[OURS].license == "other"
    assert not (output / "cache" / "kaggle-assets").exists()

    kaggle_input = project / "kaggle" / "input"
    mount = kept.mount(OURS, kaggle_input / "datasets" / USER / "histoblend-assets")
    found = resolve_weights("densenet121", "imagenet", [mount], project / "none", online=False)
    assert isinstance(found, Path) and sha256_of(found) == sha256_of(project / "weights" / NET)
    data = kaggle_input / "competitions" / "hcd"
    shutil.copytree(toy, data, ignore=shutil.ignore_patterns(MAP))
    assert read_competition(data, kaggle_input).slide_map == mount / MAP

    (stored,) = find_stored(kaggle_input)
    check_whole(stored)
    back = unpacked_output(mount, project / "back")
    same = [path.relative_to(back) for path in back.rglob("*") if path.is_file()]
    assert len(same) == 6 and all((back / one).read_bytes() == (output / one).read_bytes() for one in same)
    (manifest,) = mount.glob("manifest-*.json")
    listed = json.loads(manifest.read_text())["files"]
    assert listed[NET] == {"kind": "weights", "sha256": sha256_of(found), "bytes": found.stat().st_size}


def test_killed_typed_again_and_changed(
    pushed: Push,
    kept: Datasets,
    display: Any,
    project: Path,
    kaggle_service: Service,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    kept.pending_polls = 0
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(push, "wait_listed", killed)
        pushed()
    kept.kept[OURS].polls_left = 1  # it is still being processed
    kaggle_service.log.clear()
    pushed()
    assert "still being processed" in display.text
    assert "version 1, holds all of it already: nothing to do" in display.text
    assert not kaggle_service.requests("/upload/")
    kept.stale_polls = 1  # the next version takes a while to show
    with h5py.File(project / "weights" / NET, "a") as file:
        file["bias"] = np.ones(3, np.float32)
    pushed()
    assert kept.kept[OURS].version == 2 and "version 2, private" in display.text


def test_a_file_that_vanishes_there_is_noticed(
    pushed: Push, kept: Datasets, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("histoblend.kaggle.datasets.LISTED_POLLS", 1)
    kept.losing = (NET,)
    with pytest.raises(ServiceRefusal, match=rf"{NET} is missing(.|\n)*same command again"):
        pushed()


def test_what_would_vanish_is_named_and_kept(pushed: Push, output: Path, kept: Datasets) -> None:
    kept.unpacking = True
    pushed(output=output)
    with pytest.raises(ConfigRefusal, match=r"histoblend-output(.|\n)*--remove") as refusal:
        pushed()
    assert MAP not in refusal.value.found and "manifest" not in refusal.value.found
    assert kept.kept[OURS].version == 1
    (output / "folds.csv").write_text("id,label,slide,fold\nx,1,s,0\n")
    pushed(output=output)  # the same names with other content: nothing vanishes
    pushed(remove=True)
    assert kept.kept[OURS].version == 3 and set(kept.kept[OURS].files) >= {MAP, NET}
    assert not [name for name in kept.kept[OURS].files if "histoblend-output" in name]


def test_a_public_dataset_gets_nothing(pushed: Push, kept: Datasets, kaggle_service: Service) -> None:
    kept.kept[OURS] = Kept("Histoblend assets", False, "other", {})
    with pytest.raises(ServiceRefusal, match="is public"):
        pushed()
    assert not kaggle_service.requests("/upload/")


def test_weights_that_are_nowhere_are_named(pushed: Push, project: Path) -> None:
    (project / "weights" / NET).unlink()
    with pytest.raises(MachineRefusal, match=rf"{NET}(.|\n)*HISTOBLEND_WEIGHTS"):
        pushed(dry_run=True)


def test_weights_are_fetched_where_there_is_internet(
    pushed: Push, project: Path, kept: Datasets, display: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = project / "weights" / NET
    cache = project / "keras" / "models"
    fetched = []

    def fetch(backbone: str, side: int) -> None:
        fetched.append((backbone, side))
        cache.mkdir(parents=True)
        file.rename(cache / NET)

    monkeypatch.setattr("histoblend.execution.preflight.has_internet", lambda *_: True)
    fake = SimpleNamespace(fetch_weights=fetch)  # the real one loads TensorFlow, and asks its server
    monkeypatch.setitem(sys.modules, "histoblend.models.backbones", fake)
    monkeypatch.setenv("HISTOBLEND_WEIGHTS", "")
    pushed(dry_run=True)
    assert not fetched and "fetched by Keras" in display.text
    pushed()
    assert fetched == [("densenet121", 96)] and NET in kept.kept[OURS].files


def test_half_a_file_of_weights_is_not_sent(pushed: Push, project: Path) -> None:
    (project / "weights" / NET).write_bytes(b"<html>no</html>")
    with pytest.raises(MachineRefusal, match="a web page"):
        pushed(dry_run=True)


def test_slide_maps(pushed: Push, project: Path, toy: Path, display: Any) -> None:
    other = project / "slides.csv"
    shutil.copyfile(toy / MAP, other)
    pushed(slide_map=other, dry_run=True)
    assert MAP in display.text and str(project) in display.text  # a session looks for it under its own name
    with pytest.raises(ConfigRefusal, match="no slide map"):
        pushed(slide_map=project / "absent.csv", dry_run=True)
    leak = project / "test_labels.csv"
    leak.write_text("id,label\n")
    with pytest.raises(DataRefusal, match="would be sent"):
        pushed(slide_map=leak, dry_run=True)


def test_without_a_slide_map_it_says_what_follows(
    pushed: Push, project: Path, toy: Path, display: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = project / "bare" / "hcd"
    shutil.copytree(toy, bare, ignore=shutil.ignore_patterns(MAP))
    monkeypatch.setenv("HISTOBLEND_DATA", str(bare))
    pushed(dry_run=True)
    assert "No slide map was found" in display.text and "To do: --slide-map" in display.text


def test_an_output_that_may_not_go_along(pushed: Push, project: Path, output: Path) -> None:
    with pytest.raises(ArtifactRefusal, match="no output of a run"):
        pushed(output=project / "weights", dry_run=True)
    with locked(Workspace(output)), pytest.raises(MachineRefusal, match="in use"):
        pushed(output=output, dry_run=True)
    record = json.loads((output / "run.json").read_text())
    record["data"]["layout"] = "pcam hdf5"
    (output / "run.json").write_text(json.dumps(record))
    with pytest.raises(ArtifactRefusal, match="a run on PCam"):
        pushed(output=output, dry_run=True)


def test_the_same_folder_gives_the_same_tar(output: Path) -> None:
    first = earlier_output(Workspace(output))
    for path in output.rglob("*"):
        path.touch()
    assert earlier_output(Workspace(output)) == first
    assert len(first.members) == 6
    (output / "folds.csv").write_text("changed")
    assert earlier_output(Workspace(output)).sha256 != first.sha256


def test_limits_of_size_and_disk(
    pushed: Push, output: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asset = earlier_output(Workspace(output))
    manifest = push.Manifest((replace(asset, size=21 * 2**30),))
    with pytest.raises(ConfigRefusal, match=r"21\.0 GiB would be sent"):
        push.check_size(manifest)
    free = shutil.disk_usage(project)._replace(free=2**20)
    monkeypatch.setattr(staging.shutil, "disk_usage", lambda _: free)
    with pytest.raises(MachineRefusal, match="room for 1 MiB"):
        staging.stage(push.Manifest((asset,)), {}, project / "staging")
