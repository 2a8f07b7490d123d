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
from histoblend.errors import MachineRefusal

VISIBLE = "CUDA_VISIBLE_DEVICES"  # what the driver shows of the cards, by number or UUID


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
    """Processes that augment, beside each task that runs."""
    processes: int = 1
    """Tasks that run at the same time; above 1 each in a process of its own, and this one holds no card."""

    @property
    def label(self) -> str:
        """What measured times hold for: the card, or the processor with its threads."""
        return self.name if self.kind == "gpu" else f"{self.name}, {self.threads} threads"

    @property
    def sentence(self) -> str:
        """What tasks run on, for people."""
        if self.processes == 1:
            first = f" (the first of {self.count}; the others idle)" if self.count > 1 else ""
            return f"{self.name}{first}, {self.threads} threads"
        cards = f"{self.count} x {self.name}" if self.count > 1 else self.name
        return f"{cards}, {self.processes} tasks at a time in processes of their own, {self.threads} threads each"

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


def card_memory() -> float | None:
    """Bytes of memory of the largest NVIDIA card, asked of the driver; None where it does not tell."""
    asked = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    try:
        told = subprocess.run(asked, capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    return max((float(line) * 2**20 for line in told.split() if line.isdecimal()), default=None)


def processor_count() -> int:
    """Cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def prepare_device(execution: Execution, *, side_by_side: bool = False) -> Device:
    """Start the backend with fixed threads and, on a CPU, deterministic operations; describe what was found.

    `precision: auto` is mixed bfloat16 on a CPU that computes in it, else float32; on a GPU mixed bfloat16 from
    compute capability 8 on, else mixed float16.

    Args:
        side_by_side: whether tasks may run in processes of their own (`execution.processes`). Where they will, this
            process sees no card any more: the first operation would take all memory of every card it sees.

    Raises:
        MachineRefusal: several processes were asked for, and this one holds the cards already.
    """
    with quiet_start():
        import keras

        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            tf.config.list_physical_devices("GPU")

    tensorflow = keras.backend.backend() == "tensorflow"
    processes = _processes(execution, tensorflow) if side_by_side else 1
    cores = max(processor_count() // processes, 1)
    threads = cores if execution.threads == "auto" else execution.threads
    if tensorflow:
        gpus, capability = _start_tensorflow(threads, hidden=processes > 1)
    else:
        gpus, capability = gpu_names(), 8.0  # JAX's own cards here are recent ones
    kind = "gpu" if gpus else "cpu"
    mixed = "mixed_bfloat16" if capability >= 8 else "mixed_float16"
    deterministic = kind == "cpu" if execution.deterministic == "auto" else execution.deterministic
    if deterministic and keras.backend.backend() == "tensorflow":
        _make_deterministic()
    # One core is left to the training itself; of a share of two that would be half, and the feed is what a card
    # waits for.
    automatic_workers = (max(cores - 1, 1) if processes == 1 else cores) if gpus else 0
    return Device(
        kind=kind,
        name=gpus[0] if gpus else _processor_name(),
        count=len(gpus),
        precision=mixed if gpus else processor_precision(),
        threads=threads,
        deterministic=deterministic,
        workers=automatic_workers if execution.workers == "auto" else execution.workers,
        processes=processes,
    )


def _processes(execution: Execution, tensorflow: bool) -> int:
    """How many tasks run at the same time; where it is several and there are cards, they are hidden from here.

    Raises:
        MachineRefusal: several were asked for, and that is not possible.
    """
    cards = _card_count() if tensorflow else len(gpu_names())
    wanted = max(cards, 1) if execution.processes == "auto" else execution.processes
    if wanted == 1 or not cards or (tensorflow and _hidden_cards()):
        return wanted
    if execution.processes == "auto":  # another backend, or a notebook that has used a card
        return 1
    raise MachineRefusal(
        f"execution.processes is {wanted}, and this process holds the cards already."
        if tensorflow
        else f"execution.processes is {wanted}: only TensorFlow leaves the cards to other processes.",
        "cards that are free for the tasks' own processes",
        "restart the notebook or command, or set execution.processes to 1.",
    )


def _card_count() -> int:
    import tensorflow as tf

    return len(tf.config.list_physical_devices("GPU"))


def _hidden_cards() -> bool:
    """Whether TensorFlow could be kept from seeing any card in this process; not once it has used one."""
    import tensorflow as tf

    try:
        tf.config.set_visible_devices([], "GPU")
    except RuntimeError:
        return False
    return True


def enter_device(device: Device) -> None:
    """Start the backend in a task's own process as `prepare_device` decided it in the process of the run.

    Raises:
        MachineRefusal: the card this process was given cannot be used.
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        return
    cards, _ = _start_tensorflow(device.threads)
    if device.kind == "gpu" and not cards:
        raise MachineRefusal(
            f"A process that was given a card ({VISIBLE}={os.environ.get(VISIBLE)}) sees none.",
            "the card that the run found",
            "see `nvidia-smi`; run again, or in one process: set execution.processes to 1.",
        )
    if device.deterministic:
        _make_deterministic()


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


def _start_tensorflow(threads: int, hidden: bool = False) -> tuple[list[str], float]:
    """Names of the cards this process may use, `hidden` ones included, and the lowest compute capability of them."""
    import tensorflow as tf

    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    except RuntimeError:
        # Already started in this process, by an earlier run: its threads stay as they are.
        logging.getLogger(__name__).debug("TensorFlow runs with the threads it was started with")
    gpus = tf.config.list_physical_devices("GPU") if hidden else tf.config.get_visible_devices("GPU")
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
