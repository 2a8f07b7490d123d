"""What a run finds to train on, without an accelerator at hand to find."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from histoblend.config import Execution
from histoblend.errors import MachineRefusal
from histoblend.execution import device
from histoblend.execution.device import (
    Device,
    enter_device,
    gpu_names,
    prepare_device,
    processor_precision,
    quiet_start,
)

CPUINFO = "processor\t: 0\nmodel name\t: fake\nflags\t\t: fpu vme {}\nbugs\t\t: none\n"


@pytest.mark.parametrize(
    ("flags", "precision"),
    [
        ("avx2 avx512f avx512_bf16", "mixed_bfloat16"),
        ("amx_bf16 avx2", "mixed_bfloat16"),
        ("avx2 avx512f", "float32"),
        ("not_avx512_bf16 amx_bf16_not", "float32"),
    ],
)
def test_automatic_precision_is_bfloat16_where_the_processor_computes_in_it(
    tmp_path: Path, flags: str, precision: str
) -> None:
    (tmp_path / "cpuinfo").write_text(CPUINFO.format(flags) * 2)
    assert processor_precision(tmp_path / "cpuinfo") == precision


def test_a_processor_that_does_not_tell_computes_in_float32(tmp_path: Path) -> None:
    assert processor_precision(tmp_path / "absent") == "float32"
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nFeatures\t: fp asimd bf16\n")
    assert processor_precision(tmp_path / "cpuinfo") == "float32"


def driver(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """A fake nvidia-smi, the only one on the path."""
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


LISTED = "echo 'GPU 0: Tesla T4 (UUID: GPU-1)'; echo 'GPU 1: Tesla T4 (UUID: GPU-2)'; echo '  MIG 1g.5gb'"
needs_sh = pytest.mark.skipif(os.name == "nt", reason="the fake driver is a shell script")


@needs_sh
def test_cards_are_named_as_the_driver_names_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver(tmp_path, monkeypatch, LISTED)
    assert gpu_names() == ["GPU 0: Tesla T4", "GPU 1: Tesla T4"]


@needs_sh
@pytest.mark.parametrize("script", ["echo 'No devices were found'", "echo GPU 0: broken; exit 9", ""])
def test_a_driver_without_cards_names_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    driver(tmp_path, monkeypatch, script)
    assert gpu_names() == []


def test_without_a_driver_there_are_no_cards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpu_names() == []


@pytest.fixture
def no_cards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "gpu_names", list)
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)


def test_what_a_library_prints_while_it_loads_is_held_back(
    no_cards: None, capfd: pytest.CaptureFixture[str]
) -> None:
    """Written past Python, as TensorFlow's libraries do."""
    with quiet_start():
        os.write(2, b"a page of chatter\n")
    os.write(2, b"heard again\n")
    assert capfd.readouterr().err == "heard again\n"
    assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == "3"


@pytest.mark.parametrize("error", [ImportError("no such library"), SystemExit(3)])
def test_what_was_held_back_is_shown_if_loading_fails(
    no_cards: None, capfd: pytest.CaptureFixture[str], error: BaseException
) -> None:
    with pytest.raises(type(error)), quiet_start():
        os.write(2, b"libcudart.so.12: cannot open shared object file\n")
        raise error
    os.write(2, b"heard again\n")
    assert capfd.readouterr().err == "libcudart.so.12: cannot open shared object file\nheard again\n"


def test_warnings_about_cards_stay_where_there_are_cards(
    no_cards: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "gpu_names", lambda: ["GPU 0: Tesla T4"])
    with quiet_start():
        pass
    assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == "2"


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[list[str], float]]:
    """The cards that TensorFlow would find, with their lowest compute capability; four cores."""
    found: dict[str, tuple[list[str], float]] = {"cards": ([], 0.0)}
    monkeypatch.setattr(device, "_start_tensorflow", lambda threads, hidden=False: found["cards"])
    monkeypatch.setattr(device, "_make_deterministic", lambda: None)
    monkeypatch.setattr(device, "processor_count", lambda: 4)
    monkeypatch.setattr(device, "processor_precision", lambda: "float32")
    return found


def test_on_a_processor_the_main_process_augments_and_operations_are_deterministic(
    backend: dict[str, tuple[list[str], float]],
) -> None:
    found = prepare_device(Execution())
    assert (found.kind, found.count, found.workers, found.threads) == ("cpu", 0, 0, 4)
    assert found.precision == "float32" and found.deterministic and found.jit_compile is False


@pytest.mark.parametrize(("capability", "precision"), [(7.5, "mixed_float16"), (8.0, "mixed_bfloat16")])
def test_beside_a_card_all_cores_but_one_augment(
    backend: dict[str, tuple[list[str], float]], capability: float, precision: str
) -> None:
    backend["cards"] = (["Tesla T4", "Tesla T4"], capability)
    found = prepare_device(Execution())
    assert (found.kind, found.name, found.count, found.workers) == ("gpu", "Tesla T4", 2, 3)
    assert found.precision == precision and not found.deterministic and found.jit_compile == "auto"


def test_beside_a_card_a_single_core_still_augments(
    backend: dict[str, tuple[list[str], float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    backend["cards"] = (["Tesla T4"], 7.5)
    monkeypatch.setattr(device, "processor_count", lambda: 1)
    assert prepare_device(Execution()).workers == 1


def test_what_the_plan_says_counts(backend: dict[str, tuple[list[str], float]]) -> None:
    found = prepare_device(Execution(workers=2, threads=1, deterministic=False))
    assert (found.workers, found.threads, found.deterministic) == (2, 1, False)


@pytest.fixture
def two_cards(
    backend: dict[str, tuple[list[str], float]], monkeypatch: pytest.MonkeyPatch
) -> dict[str, bool]:
    """Two T4s that this process can be kept from, or has used already."""
    backend["cards"] = (["Tesla T4", "Tesla T4"], 7.5)
    state = {"free": True, "hidden": False}

    def hide() -> bool:
        state["hidden"] = state["free"]
        return state["free"]

    monkeypatch.setattr(device, "_card_count", lambda: 2)
    monkeypatch.setattr(device, "_hidden_cards", hide)
    return state


def test_side_by_side_each_card_has_a_process_with_its_share_of_the_cores(two_cards: dict[str, bool]) -> None:
    found = prepare_device(Execution(), side_by_side=True)
    assert (found.processes, found.count, found.threads, found.workers) == (2, 2, 2, 2)
    assert found.precision == "mixed_float16" and two_cards["hidden"]
    assert "2 x Tesla T4, 2 tasks at a time" in found.sentence


def test_what_trains_in_this_process_keeps_its_card(two_cards: dict[str, bool]) -> None:
    assert prepare_device(Execution()).processes == 1
    assert prepare_device(Execution(processes=2)).processes == 1
    assert prepare_device(Execution(processes=1), side_by_side=True).workers == 3
    assert not two_cards["hidden"]


def test_a_process_that_has_used_a_card_cannot_give_it_away(two_cards: dict[str, bool]) -> None:
    two_cards["free"] = False
    found = prepare_device(Execution(), side_by_side=True)
    assert found.processes == 1 and "the others idle" in found.sentence
    with pytest.raises(MachineRefusal, match=r"holds the cards already(.|\n)*processes to 1"):
        prepare_device(Execution(processes=2), side_by_side=True)


def test_on_a_processor_tasks_run_one_by_one_unless_the_plan_says_so(
    backend: dict[str, tuple[list[str], float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "_card_count", lambda: 0)
    assert prepare_device(Execution(), side_by_side=True).processes == 1
    several = prepare_device(Execution(processes=3), side_by_side=True)
    assert (several.processes, several.threads, several.workers) == (3, 1, 0)


def test_a_task_is_not_trained_on_the_processor_because_its_card_is_gone(
    backend: dict[str, tuple[list[str], float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = Device("gpu", "Tesla T4", 2, "mixed_float16", 2, False, 2, processes=2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    with pytest.raises(MachineRefusal, match="CUDA_VISIBLE_DEVICES=1"):
        enter_device(given)
    backend["cards"] = (["Tesla T4"], 7.5)
    enter_device(given)
