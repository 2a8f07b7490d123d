"""The benchmark of equivariance compares networks of equal cost."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from histoblend.models.problem import Problem
from histoblend.models.registry import build_network
from histoblend.models.summary import count_macs

PATH = Path(__file__).parents[1] / "benchmarks" / "equivariance.py"


def test_the_networks_it_compares_multiply_as_often() -> None:
    spec = importlib.util.spec_from_file_location("equivariance", PATH)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    macs = {name: count_macs(build_network(*row, Problem())) for name, row in module.NETWORKS.items()}
    assert macs[module.OURS] == pytest.approx(macs[module.PLAIN], rel=1e-3)
    assert macs[module.HALVED] < macs[module.OURS] / 3
