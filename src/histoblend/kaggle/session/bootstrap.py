"""The part of the script that works before the package is there: its source text is copied into script.py.

Hence nothing of histoblend is imported here, only Python's own library. The run is a process of its own: whatever
becomes of it, even if the system kills it for its memory, this process lives and packs what is finished. Workers
that the run starts import the package, not the script with its half megabyte of text.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

DAMAGED, MACHINE = 4, 5  # exit codes, as those of ArtifactRefusal and MachineRefusal
PACKAGE_INDEX = ("pypi.org", 443)
FLAGS = {"--expects-earlier": "expects_earlier", "--anew": "anew"}


def run_carried(carried: Mapping[str, Any], archive: str) -> int:
    """Unpack the package, install what is missing, run the plan, pack what came out; the exit code.

    Args:
        carried: `version`, `fingerprint` and `sha256` of what is carried; `plan`, `settings`, `expects_earlier` and
            `anew`, as `script_text` has them.
        archive: base64 of a tar compressed with xz.
    """
    started = time.time() - age_of_process()
    root = Path(os.environ.get("HISTOBLEND_KAGGLE_ROOT") or "/kaggle")
    python = ".".join(str(part) for part in sys.version_info[:3])
    say(
        f"histoblend {carried['version']} ({carried['fingerprint']}), plan {carried['plan']}, Python {python}."
    )
    package = unpacked(base64.b64decode(archive), str(carried["sha256"]), root)
    if package is None:
        return DAMAGED
    environment = environment_of(package, carried, started)
    settings = [word for one in carried["settings"] for word in ("--set", str(one))]
    flags = [word for word, key in FLAGS.items() if carried[key]]
    code = MACHINE
    if complete(package, environment, root):
        code = session(["run", str(carried["plan"]), *settings, *flags], package, environment)
    return session(["pack", "--exit-code", str(code)], package, environment)


def age_of_process() -> float:
    """Seconds since this process began: in a notebook long before the cell that is run; 0 where it is not known."""
    try:
        begun = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - begun / os.sysconf("SC_CLK_TCK"))
    except (OSError, ValueError, IndexError, AttributeError):
        return 0.0


def say(text: str) -> None:
    """Write one line of the log, at once."""
    print(text, flush=True)


def unpacked(archive: bytes, sha256: str, root: Path) -> Path | None:
    """A new folder with the package and its configs; None, with a word why, where the text was damaged."""
    if (found := hashlib.sha256(archive).hexdigest()) != sha256:
        say(f"The package inside this script is damaged: its SHA-256 is {found}.\nExpected: {sha256}")
        say("To do: push the script again (./run.sh kernel push); do not edit it by hand.")
        return None
    folder = Path(tempfile.mkdtemp(prefix="histoblend-package-", dir=scratch(root)))
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:xz") as tar:
        tar.extractall(folder, filter="data")
    return folder


def scratch(root: Path) -> Path | None:
    """Kaggle's temp folder, which has to be created; None stands for the system's."""
    try:
        (root / "temp").mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return root / "temp" if os.access(root / "temp", os.W_OK) else None


def environment_of(package: Path, carried: Mapping[str, Any], started: float) -> dict[str, str]:
    """The environment of the run: where package and configs are, when the session began; an unbuffered log."""
    given = dict(os.environ)
    added = [str(package / "src"), str(package / "installed")]
    paths = [*added, *filter(None, given.get("PYTHONPATH", "").split(os.pathsep))]
    return given | {
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONUNBUFFERED": "1",
        "HISTOBLEND_CONFIGS": str(package / "configs"),
        "HISTOBLEND_SESSION_STARTED": given.get("HISTOBLEND_SESSION_STARTED") or str(started),
        "HISTOBLEND_SCRATCH": given.get("HISTOBLEND_SCRATCH") or str(package.parent / "histoblend"),
        "HISTOBLEND_CARRIED": f"{carried['version']} {carried['fingerprint']}",
        "KAGGLE_KERNEL_RUN_TYPE": given.get("KAGGLE_KERNEL_RUN_TYPE", "Batch"),
        "NO_ALBUMENTATIONS_UPDATE": "1",
        "TF_CPP_MIN_LOG_LEVEL": given.get("TF_CPP_MIN_LOG_LEVEL", "2"),
    }


def complete(package: Path, environment: Mapping[str, str], root: Path) -> bool:
    """Install the modules that are missing here, and no other: False, with a word why, where they stay missing."""
    lacking = missing(package, environment)
    if not lacking:
        return True
    wheels = wheel_folders(root / "input")
    online = reachable(*PACKAGE_INDEX)
    source = [*([] if online else ["--no-index"]), *(f"--find-links={folder}" for folder in wheels)]
    places = [*wheels, *(["PyPI"] if online else [])]
    say(f"Missing here: {', '.join(lacking)}. Installing from {' and '.join(places) or 'nowhere'}.")
    if online or wheels:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        # Into a folder apart: what the image has is never replaced.
        target = [f"--target={package / 'installed'}", *lacking]
        subprocess.run([*pip, *source, *target], env=dict(environment), check=False)
        lacking = missing(package, environment)
    if lacking:
        say(f"These modules are missing, and could not be installed: {', '.join(lacking)}")
        say("Expected: them in Kaggle's notebook image, the internet, or their wheels in an attached dataset")
        say(
            "To do: set kernel.internet: true in configs/kaggle.yaml, or attach a dataset with their .whl files"
        )
    return not lacking


def wheel_folders(mounts: Path) -> list[str]:
    """Folders among the inputs that hold wheels; those of pictures are not walked."""
    found = []
    for place, folders, names in os.walk(mounts):
        folders[:] = sorted(one for one in folders if one not in ("train", "test"))
        if any(name.endswith(".whl") for name in names):
            found.append(place)
    return found


def missing(package: Path, environment: Mapping[str, str]) -> list[str]:
    """Requirements of a run whose module is not to be found."""
    command = [sys.executable, str(package / "src" / "histoblend" / "requirements.py"), "--missing-for-a-run"]
    answer = subprocess.run(command, env=dict(environment), cwd=package, stdout=subprocess.PIPE, check=True)
    return answer.stdout.decode().split()


def reachable(host: str, port: int) -> bool:
    """Whether there is internet."""
    try:
        socket.create_connection((host, port), timeout=5).close()
    except OSError:
        return False
    return True


def session(words: list[str], package: Path, environment: Mapping[str, str]) -> int:
    """Run a command of the package's session in a process of its own; its exit code, or 128 and the signal."""
    command = [sys.executable, "-m", "histoblend.kaggle.session", *words]
    code = subprocess.run(command, env=dict(environment), cwd=package, check=False).returncode
    if code < 0:
        say(
            f"The process was killed by signal {-code}{' (memory?)' if code == -9 else ''}: {' '.join(words)}"
        )
    return code if code >= 0 else 128 - code
