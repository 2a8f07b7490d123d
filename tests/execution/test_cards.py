"""Which card the process of each task sees."""

from __future__ import annotations

import dataclasses
import os

import pytest

from histoblend.execution.cards import Lane, lane_environment, lanes_of, visible_cards
from histoblend.execution.device import Device

TWO = Device("gpu", "Tesla T4", 2, "mixed_float16", 2, False, 2, processes=2)
CPU = Device("cpu", "x86_64 CPU", 0, "float32", 1, True, 0, processes=2)


@pytest.mark.parametrize(
    ("outer", "count", "names"),
    [
        (None, 2, ["0", "1"]),
        ("2,3", 2, ["2", "3"]),
        ("3, 0", 2, ["3", "0"]),
        ("GPU-8f0e1d2c-aa,MIG-77,5", 3, ["GPU-8f0e1d2c-aa", "MIG-77", "5"]),
        ("1,-1,0", 1, ["1"]),  # CUDA stops at what is no card
        ("0,9", 1, ["0"]),
        ("", 0, []),
        ("-1", 0, []),
        (None, 0, []),
        ("7,8", 0, ["7", "8"]),
    ],
)
def test_the_cards_of_an_outer_mask_are_those_that_are_dealt_out(
    outer: str | None, count: int, names: list[str]
) -> None:
    assert visible_cards(outer, count) == names


def test_each_process_has_a_card_of_its_own() -> None:
    assert lanes_of(TWO, {}) == [Lane("card 0", "0"), Lane("card 1", "1")]
    masked = lanes_of(TWO, {"CUDA_VISIBLE_DEVICES": "GPU-8f0e1d2c-aa,3"})
    assert masked == [Lane("card 0", "GPU-8f0e1d2c-aa"), Lane("card 1", "3")]
    assert [lane.name for lane in lanes_of(TWO, {"CUDA_VISIBLE_DEVICES": "5,3"})] == ["card 5", "card 3"]


def test_more_processes_than_cards_share_them_and_their_memory() -> None:
    lanes = lanes_of(dataclasses.replace(TWO, processes=3), {})
    assert [lane.mask for lane in lanes] == ["0", "1", "0"]
    assert [lane.name for lane in lanes] == ["process 1", "process 2", "process 3"]
    assert lane_environment({}, lanes[0], TWO, [])["TF_FORCE_GPU_ALLOW_GROWTH"] == "true"
    alone = lane_environment({}, lanes_of(TWO, {})[0], TWO, [])
    assert "TF_FORCE_GPU_ALLOW_GROWTH" not in alone


def test_without_cards_nothing_is_masked() -> None:
    assert lanes_of(CPU, {"CUDA_VISIBLE_DEVICES": "-1"}) == [
        Lane("process 1", None, True),
        Lane("process 2", None, True),
    ]
    environment = lane_environment({"CUDA_VISIBLE_DEVICES": "-1"}, lanes_of(CPU, {})[0], CPU, [])
    assert environment["CUDA_VISIBLE_DEVICES"] == "-1" and "TF_FORCE_GPU_ALLOW_GROWTH" not in environment


def test_a_process_finds_the_modules_this_one_found_and_has_its_share_of_threads() -> None:
    outer = {"PYTHONPATH": "elsewhere", "KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": "0,1"}
    environment = lane_environment(outer, Lane("card 1", "1"), TWO, ["", "/a/src", "/b/site"])
    assert environment["PYTHONPATH"] == f"/a/src{os.pathsep}/b/site"
    assert environment["CUDA_VISIBLE_DEVICES"] == "1" and environment["OMP_NUM_THREADS"] == "2"
    assert environment["KERAS_BACKEND"] == "tensorflow"
    assert lane_environment({"OMP_NUM_THREADS": "1"}, Lane("", "0"), TWO, [])["OMP_NUM_THREADS"] == "1"
