"""What the tasks run on: found once, before the backend starts."""

from __future__ import annotations

import logging
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from histoblend.config import Execution


@dataclass(frozen=True)
class Device:
    """The accelerator, or the CPU, that this process trains on."""

    kind: str
    """``gpu`` or ``cpu``."""
    name: str
    count: int
    precision: str
    """What ``precision: auto`` means here."""
    threads: int
    deterministic: bool
    workers: int
    """Processes that augment."""

    @property
    def jit_compile(self) -> bool | str:
        """XLA pays on a GPU; on a CPU it was slower than plain graphs."""
        return "auto" if self.kind == "gpu" else False


def gpu_names() -> list[str]:
    """Names of the NVIDIA cards, asked of the driver; empty where there is none. Loads no backend."""
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.split("(UUID")[0].strip() for line in listed.stdout.splitlines() if line.startswith("GPU")]


def processor_count() -> int:
    """Cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def prepare_device(execution: Execution) -> Device:
    """Start the backend with fixed threads and, on a CPU, deterministic operations; describe what was found.

    `precision: auto` is mixed bfloat16 on a CPU that computes in it, else float32; on a GPU mixed bfloat16 from
    compute capability 8 on, else mixed float16.
    """
    with quiet_start():
        import keras

        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            tf.config.list_physical_devices("GPU")

    cores = processor_count()
    threads = cores if execution.threads == "auto" else execution.threads
    if keras.backend.backend() == "tensorflow":
        gpus, capability = _start_tensorflow(threads)
    else:
        gpus, capability = gpu_names(), 8.0  # JAX's own cards here are recent ones
    kind = "gpu" if gpus else "cpu"
    mixed = "mixed_bfloat16" if capability >= 8 else "mixed_float16"
    deterministic = kind == "cpu" if execution.deterministic == "auto" else execution.deterministic
    if deterministic and keras.backend.backend() == "tensorflow":
        _make_deterministic()
    automatic_workers = max(cores - 1, 1) if gpus else 0
    return Device(
        kind=kind,
        name=gpus[0] if gpus else _processor_name(),
        count=len(gpus),
        precision=mixed if gpus else processor_precision(),
        threads=threads,
        deterministic=deterministic,
        workers=automatic_workers if execution.workers == "auto" else execution.workers,
    )


@contextmanager
def quiet_start() -> Iterator[None]:
    """Hold back what TensorFlow's libraries print while they load: a page on every start, of no use here.

    They write past Python and before their log level counts, so the stream itself is put aside; what it caught
    is shown if loading fails.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2" if gpu_names() else "3")
    logging.getLogger("tensorflow").setLevel(
        logging.ERROR
    )  # its hints on retracing: a network a task is normal
    sys.stderr.flush()
    real = os.dup(2)
    with tempfile.TemporaryFile() as aside:
        os.dup2(aside.fileno(), 2)
        try:
            yield
        except BaseException:
            aside.seek(0)
            os.write(real, aside.read())
            raise
        finally:
            os.dup2(real, 2)
            os.close(real)


def _start_tensorflow(threads: int) -> tuple[list[str], float]:
    import tensorflow as tf

    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    except RuntimeError:
        # Already started in this process, by an earlier run: its threads stay as they are.
        logging.getLogger(__name__).debug("TensorFlow runs with the threads it was started with")
    gpus = tf.config.list_physical_devices("GPU")
    details: list[dict[str, Any]] = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
    names = [str(detail.get("device_name", "GPU")) for detail in details]
    capabilities = [detail.get("compute_capability", (0, 0)) for detail in details]
    return names, min((major + minor / 10 for major, minor in capabilities), default=0.0)


def _make_deterministic() -> None:
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(0)  # deterministic operations refuse to run without a seed
    tf.config.experimental.enable_op_determinism()


BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16"}


def processor_precision(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """What ``precision: auto`` means on this CPU: bfloat16 only where the processor has instructions for it."""
    if not cpuinfo.exists():
        return "float32"
    flags = next((line for line in cpuinfo.read_text().splitlines() if line.startswith("flags")), "")
    return "mixed_bfloat16" if BFLOAT16_FLAGS & set(flags.split()) else "float32"


def _processor_name() -> str:
    return f"{platform.machine()} CPU"
