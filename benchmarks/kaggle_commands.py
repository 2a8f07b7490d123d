"""Record docs/kaggle.md: each of its commands run against the stand-in for Kaggle, with what it printed.

python benchmarks/kaggle_commands.py --data ../shared/hcd-mini        about four minutes on two cores

Every line of the page that begins with ``$ ./run.sh`` inside a ``console`` block is run, in the order of the page, and
what it printed takes the place of the block's other lines. The stand-in is the test suite's server on this machine;
it scores by AUC and really runs the script that is pushed, in a tree laid out as Kaggle's. The competition that it
holds is cut from the labelled patches of a small real set, 600 of them drawn at random being its test patches.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "kaggle.md"
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
sys.path.insert(0, str(ROOT / "tests" / "kaggle"))

from server.competitions import SLUG, Competition  # noqa: E402
from server.datasets import Datasets  # noqa: E402
from server.kernels import Kernels, ScriptRunner  # noqa: E402
from server.service import Service  # noqa: E402

TEST_PATCHES = 600
FIRST, LAST = 45, 15  # lines of a long output that the page shows


def competition_files(data: Path) -> tuple[dict[str, bytes | Path], dict[str, int]]:
    """The files of a competition whose test patches are labelled patches of `data`, and their labels."""
    labels = pd.read_csv(data / "train_labels.csv")
    test = labels.sample(TEST_PATCHES, random_state=0)
    train = labels.drop(test.index)
    files: dict[str, bytes | Path] = {
        "train_labels.csv": train.to_csv(index=False).encode(),
        "sample_submission.csv": test.assign(label=0).to_csv(index=False).encode(),
    }
    for part, table in (("train", train), ("test", test)):
        files |= {f"{part}/{name}.tif": data / "train" / f"{name}.tif" for name in table["id"]}
    return files, dict(zip(test["id"], test["label"].astype(int), strict=True))


def mount(files: dict[str, bytes | Path], place: Path) -> None:
    """Lay the competition's files out as a session on Kaggle finds them."""
    for name, content in files.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content) if isinstance(content, bytes) else path.symlink_to(content)


def recorded(page: str, project: Path, environment: dict[str, str]) -> str:
    """`page` with the output of every command as it is printed now."""

    def run_block(block: re.Match[str]) -> str:
        lines = []
        for command in re.findall(r"^\$ (\./run\.sh .*)$", block[1], re.MULTILINE):
            lines += [f"$ {command}", printed(command, project, environment), ""]
        text = "\n".join(lines).strip()
        print(text, flush=True)
        return f"```console\n{text}\n```"

    return BLOCK.sub(run_block, page)


def printed(command: str, project: Path, environment: dict[str, str]) -> str:
    """What `command` prints, standard output and error together, its folder named ~/histoblend."""
    words = [sys.executable, "-m", "histoblend", *command.split()[1:]]
    done = subprocess.run(
        words,
        cwd=project,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    text = done.stdout.replace(str(project), "~/histoblend").replace(
        str(project.parent / "kaggle"), "/kaggle"
    )
    lines = shortened([line.rstrip() for line in text.rstrip().splitlines()])
    return "\n".join(lines + ([f"(exit code {done.returncode})"] if done.returncode else []))


def shortened(lines: list[str]) -> list[str]:
    """A long output's beginning and end, and how much is left out between them."""
    left_out = len(lines) - FIRST - LAST
    return lines if left_out <= 0 else [*lines[:FIRST], f"... ({left_out} lines left out)", *lines[-LAST:]]


def record(data: Path, folder: Path) -> str:
    """The page, recorded in `folder`."""
    project = folder / "histoblend"
    shutil.copytree(ROOT / "configs", project / "configs")
    files, labels = competition_files(data)
    mount(files, folder / "kaggle" / "input" / "competitions" / SLUG)
    with Service() as service:
        Competition(service, labels=labels, files=files)
        Datasets(service)
        Kernels(service, runner=ScriptRunner(folder / "kaggle"))
        environment = service.environment(folder) | {
            "HISTOBLEND_CONFIGS": str(project / "configs"),
            "PYTHONPATH": str(ROOT / "src"),
            "COLUMNS": "110",
        }
        return recorded(PAGE.read_text(), project, environment)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    with tempfile.TemporaryDirectory() as folder:
        page = record(parser.parse_args().data.absolute(), Path(folder))
    PAGE.write_text(page)


if __name__ == "__main__":
    os.environ.pop("HISTOBLEND_DATA", None)
    main()
