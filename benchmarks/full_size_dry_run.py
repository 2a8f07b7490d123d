"""Dry run of a plan on a competition of full size: what does it print, how long does it take, is nothing written?

    python benchmarks/full_size_dry_run.py [--plan kaggle] [--columns 80 120]

Makes 220,025 training and 57,458 test files in HCD's layout, as hard links to a few patches of noise (SYNTHETIC: they
say nothing), with labels in the real shares and a complete slide map of 216 slides. Then starts the real command line:
first without weights, where it must refuse and name every missing file at once unless there is internet; then, once
for each width, with files of the right names in an attached folder. Everything is removed afterwards.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import cv2
import h5py
import numpy as np

from histoblend.config_files import load_plan, plan_experiments
from histoblend.models.registry import find_network
from histoblend.models.weights import weights_file_name

TRAIN, POSITIVES, TEST, SLIDES = 220_025, 89_117, 57_458, 216
LINKS_A_FILE = 20_000  # file systems bound the links to one file (ext4: 65,000)
ROOT = Path(__file__).resolve().parents[1]


def make_competition(root: Path, sources: Path) -> None:
    """A competition of full size in HCD's layout; its files are hard links into `sources`."""
    generator = np.random.default_rng(0)
    ids = [generator.bytes(20).hex() for _ in range(TRAIN + TEST)]
    for part, chosen in (("train", ids[:TRAIN]), ("test", ids[TRAIN:])):
        link_files(root / part, chosen, sources / part)
    labels = generator.permutation(np.repeat([1, 0], [POSITIVES, TRAIN - POSITIVES]))
    slides = generator.integers(0, SLIDES, TRAIN)
    pairs = zip(ids, labels, strict=False)
    write_table(root / "train_labels.csv", "id,label", (f"{name},{label}" for name, label in pairs))
    write_table(root / "sample_submission.csv", "id,label", (f"{name},0" for name in ids[TRAIN:]))
    named = zip(ids, slides, strict=False)
    lines = (f"{name},camelyon16_train_normal_{slide:03d}" for name, slide in named)
    write_table(root / "patch_id_wsi_full.csv", "id,wsi", lines)


def link_files(folder: Path, ids: list[str], sources: Path) -> None:
    """One file for each id, all of them links to a few patches as large as HCD's (96x96 RGB, uncompressed)."""
    folder.mkdir(parents=True)
    sources.mkdir(parents=True)
    generator = np.random.default_rng(1)
    for number, name in enumerate(ids):
        source = f"{sources}/{number // LINKS_A_FILE}.tif"
        if number % LINKS_A_FILE == 0:
            noise = generator.integers(0, 256, (96, 96, 3), dtype=np.uint8)
            cv2.imwrite(source, noise, [cv2.IMWRITE_TIFF_COMPRESSION, 1])
        os.link(source, f"{folder}/{name}.tif")


def write_table(path: Path, header: str, lines: Iterable[str]) -> None:
    """A CSV file."""
    path.write_text("\n".join([header, *lines]) + "\n")


def make_weights(folder: Path, plan: str) -> None:
    """Files of zeros under the names of the plan's pretrained weights, in the right shapes."""
    from histoblend.models.backbones import plain_backbone

    folder.mkdir()
    configs = ROOT / "configs"
    for experiment in plan_experiments(load_plan(plan, configs), configs):
        if backbone := find_network(experiment.network.name).fixed.get("backbone"):
            body = plain_backbone(backbone, "none", experiment.input_size)
            with h5py.File(folder / weights_file_name(backbone, experiment.input_size), "w") as file:
                file.attrs["layer_names"] = [layer.name.encode() for layer in body.layers]
                for layer in body.layers:
                    names = [f"weight_{number}" for number in range(len(layer.weights))]
                    group = file.create_group(layer.name)
                    group.attrs["weight_names"] = [name.encode() for name in names]
                    for name, weight in zip(names, layer.weights, strict=True):
                        group.create_dataset(name, weight.shape, np.float32)


def dry_run(plan: str, folder: Path, columns: int, weights: Path | None) -> int:
    """Start the command line, print what it says, its wall time and peak memory; returns its exit code."""
    command = [sys.executable, "-m", "histoblend", "run", plan, "--dry-run"]
    command += ["--data", str(folder / "competition"), "--output", str(folder / "output")]
    environment = os.environ | {
        "COLUMNS": str(columns),
        "FORCE_COLOR": "1",  # rich then writes as to a terminal, of that width
        "NO_COLOR": "1",
        "PYTHONPATH": str(ROOT / "src"),
        "KERAS_HOME": str(folder / "keras"),
        "HISTOBLEND_WEIGHTS": str(weights or ""),
    }
    print(f"\n$ histoblend run {plan} --dry-run   ({columns} columns, {'with' if weights else 'no'} weights)")
    started = time.perf_counter()
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    print(process.stdout.read().replace(str(folder), "<folder>"))
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall, busy, peak = time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 2**20
    print(f"exit code {process.returncode}, {wall:.1f} s ({busy:.1f} s of CPU), peak memory {peak:.2f} GiB")
    return process.returncode


def main() -> None:
    """Make the competition, run, and check that nothing was written."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--plan", default="kaggle")
    parser.add_argument("--columns", type=int, nargs="+", default=[80, 120])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="histoblend-full-size-") as name:
        folder = Path(name)
        started = time.perf_counter()
        make_competition(folder / "competition", folder / "sources")
        print(f"{TRAIN + TEST:,} files made in {time.perf_counter() - started:.1f} s (SYNTHETIC: noise).")
        dry_run(arguments.plan, folder, arguments.columns[0], None)
        make_weights(folder / "weights", arguments.plan)
        codes = [
            dry_run(arguments.plan, folder, columns, folder / "weights") for columns in arguments.columns
        ]
        made = {"competition", "sources", "weights", "keras"}  # keras: Keras's own keras.json, on import
        written = sorted({path.name for path in folder.iterdir()} - made)
        print(f"\nWritten: {', '.join(written) or 'nothing'}")
        if any(codes) or written:
            sys.exit("The dry run failed or wrote something.")


if __name__ == "__main__":
    main()
