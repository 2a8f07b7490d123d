"""The simulation of docs/evaluation.md: its truth is true, its figures are those of the page."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from histoblend.blending.mixture import Mixture
from histoblend.evaluation.auc import auc

ROOT = Path(__file__).parents[1]
FIGURES, PAGE = ROOT / "docs" / "evaluation.json", ROOT / "docs" / "evaluation.md"


@pytest.fixture
def simulation(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("evaluation_simulation")


def part(name: str) -> ModuleType:
    return importlib.import_module(f"simulation.{name}")


def test_the_exact_auc_is_that_of_very_many_slides(simulation: ModuleType):
    slides = part("slides")
    world, weights = slides.one_useless("", 40, 25), np.array([0.4, -0.1, 0.2, 0.1, 0.2])
    drawn = slides.draw_patches(world, 4000, np.random.default_rng(0))
    assert auc(drawn.labels, drawn.logits[..., 0] @ weights) == pytest.approx(
        world.population_auc(weights), abs=0.006
    )
    assert auc(drawn.labels, drawn.logits[:, 4, 0]) == pytest.approx(world.member_aucs[4], abs=0.006)


def test_one_member_is_worth_the_same_in_every_space(simulation: ModuleType, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(part("audits"), "LARGE", 50)
    world = part("slides").unequal("", 20, 10)
    worth = part("audits").Worth(world, np.random.default_rng(0))
    alone = np.eye(world.members)[1]
    for space in ("logit", "probability", "rank", "normal"):
        assert worth.auc(Mixture(alone, space)) == pytest.approx(world.population_auc(alone), abs=1e-9)


def test_folds_hold_whole_slides_and_both_classes(simulation: ModuleType):
    slides = part("slides")
    dealt = slides.alike("", 20, 10, 2)
    for world in (dealt, slides.folded(dealt, slides.BLIND, "")):
        ground, logits = slides.draw_out_of_fold(world, np.random.default_rng(1))
        assert logits.shape == (len(ground.labels), 2, 1)
        pairs = set(zip(ground.slides.tolist(), ground.folds.tolist(), strict=True))
        assert len(pairs) == 20 and set(ground.folds) == set(range(5))
        assert all(set(ground.labels[ground.folds == fold]) == {0, 1} for fold in range(5))


def test_slides_that_are_cut_or_unknown_lie_in_several_folds(simulation: ModuleType):
    slides = part("slides")
    dealt = slides.alike("", 20, 10, 2)
    cut, _ = slides.draw_out_of_fold(slides.folded(dealt, slides.CUT, ""), np.random.default_rng(1))
    pairs = {(one, one // slides.PIECES, fold) for one, fold in zip(cut.slides, cut.folds, strict=True)}
    assert cut.clusters_are == "pseudo-slides" and len(pairs) == len({one for one, _, _ in pairs}) > 40
    assert len({pair[1:] for pair in pairs}) > 40 and len({slide for _, slide, _ in pairs}) == 20
    unknown, _ = slides.draw_out_of_fold(slides.folded(dealt, slides.UNKNOWN, ""), np.random.default_rng(1))
    assert unknown.slides is None and unknown.clusters_are == "patches"
    assert np.ptp(np.bincount(unknown.folds)) <= 2


def test_members_nearly_alike_differ_by_less_than_half_a_hundredth(simulation: ModuleType):
    aucs = part("slides").nearly_alike("", 40, 25).member_aucs
    assert 0.003 < np.ptp(aucs) < 0.005 and np.ptp(part("slides").unequal("", 40, 25).member_aucs) > 0.08


def test_the_same_seed_gives_the_same_figures_and_another_one_others(
    simulation: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    slides = part("slides")
    for name in ("INTERVALS", "AUDITS", "CURSES"):
        monkeypatch.setattr(simulation, name, [slides.alike("small", 20, 10, 2)])
    monkeypatch.setattr(simulation, "BLIND", [])
    monkeypatch.setattr(part("audits"), "LARGE", 50)
    everything = ["intervals", "curse", "audit"]
    first = simulation.simulate(2, 0, everything)
    assert first == simulation.simulate(2, 0, everything) != simulation.simulate(2, 1, everything)
    assert {
        table: set(rows[0]) for table, rows in first.items() if set(simulation.COLUMNS[table]) - set(rows[0])
    } == {}
    for row in first["audit"]:
        assert row["found"] + row["remaining"] == pytest.approx(row["true"], abs=1e-12)
        assert row["rule"] != "logit_mean" or row["found"] == row["true"] == row["worth"] == 0
    simulation.write(tmp_path / "a.json", {"draws": 2, "seed": 0, "curse": first["curse"]})
    simulation.write(tmp_path / "a.json", {"draws": 2, "seed": 0, "auto": first["auto"]})
    assert set(json.loads((tmp_path / "a.json").read_text())) == {"draws", "seed", "curse", "auto"}
    simulation.write(tmp_path / "a.json", {"draws": 3, "seed": 0, "auto": first["auto"]})
    assert set(json.loads((tmp_path / "a.json").read_text())) == {"draws", "seed", "auto"}


def test_coverage_counts_what_lies_inside(simulation: ModuleType):
    world = part("slides").alike("small", 20, 10, 2)
    nothing = float("nan")
    found = [(0.1, 0.5, 0.3, 0), (0.1, 0.5, 0.6, 0), (0.1, 0.5, 0.0, 0), (nothing, nothing, 0.3, 0)]
    row = part("intervals")._covered(world, "any", found)
    assert (row["coverage"], row["too_high"], row["too_low"], row["without"]) == (1 / 3, 1 / 3, 1 / 3, 1)
    assert row["width"] == pytest.approx(0.4)


def test_the_page_shows_these_figures(simulation: ModuleType):
    found, page = json.loads(FIGURES.read_text()), PAGE.read_text()
    assert found["draws"] >= 400 and all(f"<!-- table {name} -->" in page for name in part("page").TABLES)
    assert part("page").filled(page, found) == page


def test_auto_keeps_its_promise(simulation: ModuleType):
    """Never worse on average than the equal mean by more than .0002, and better where members truly differ."""
    rows = json.loads(FIGURES.read_text())["auto"]
    assert all(row["gain"] >= -0.0002 for row in rows)
    assert all(row["gain"] > 3 * row["standard_error"] for row in rows if "different" in row["world"])
    assert [row["left"] for row in rows if "unknown" in row["world"]] == [0]


def test_intervals_hold_what_they_say_where_folds_are_dealt_as_here(simulation: ModuleType):
    module, rows = part("intervals"), json.loads(FIGURES.read_text())["coverage"]
    promised = {module.SLIDES, module.PREDICTION, module.PAIRED}
    dealt = [row for row in rows if row["world"] == "alike" and row["method"] in promised]
    assert len(dealt) == 9 and all(abs(row["coverage"] - 0.95) < 0.035 for row in dealt)
