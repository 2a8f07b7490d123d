"""On what and with what a figure was measured."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from histoblend.execution.device import Device
from histoblend.pipeline import PACKAGES, installed


def machine(device: Device, cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The accelerator, or the processor's model and the threads used."""
    if device.kind == "gpu":
        return device.name
    return f"{processor_model(cpuinfo)}, {device.threads} threads"


def processor_model(cpuinfo: Path) -> str:
    """The processor as it calls itself, else its architecture."""
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def versions() -> dict[str, str]:
    """Of Python and of what computes."""
    return {"python": platform.python_version()} | {name: installed(name) for name in PACKAGES}


def commit(folder: Path = Path(__file__).parent) -> str:
    """The checkout's commit, ``+`` where files differ from it; a dash outside a checkout."""
    try:
        head = _git(folder, "rev-parse", "--short", "HEAD")
        return head + ("+" if _git(folder, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return "-"


def _git(folder: Path, *words: str) -> str:
    command = ["git", "-C", str(folder), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout.strip()


@dataclass(frozen=True)
class BusyReading:
    """Seconds on the clock, of computing by all processes of the machine, and by this one."""

    clock: float
    machine: float
    own: float


def read_busy(stat: Path = Path("/proc/stat")) -> BusyReading | None:
    """What has been computed up to now; None where the system does not tell."""
    if not stat.exists():
        return None
    user, nice, system, _, _, irq, soft_irq, steal = map(int, stat.read_text().split("\n")[0].split()[1:9])
    ticks = user + nice + system + irq + soft_irq + steal
    own = os.times()
    return BusyReading(time.monotonic(), ticks / os.sysconf("SC_CLK_TCK"), own.user + own.system)


def cores_of_others(before: BusyReading | None, after: BusyReading | None) -> float | None:
    """Cores that other processes kept busy between two readings; None where nobody counts."""
    if before is None or after is None:
        return None
    others = (after.machine - before.machine) - (after.own - before.own)
    return max(others, 0.0) / max(after.clock - before.clock, 1e-9)


def about(device: Device) -> dict[str, Any]:
    """Machine, versions and commit."""
    return {"machine": machine(device), "versions": versions(), "commit": commit()}
