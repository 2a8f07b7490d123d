"""A sweep's winner on all folds, beside the base as it was: the one comparison that counts."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from histoblend.config_files import configs_folder, load_experiment
from histoblend.evaluation.metrics import Metrics
from histoblend.initialise import as_yaml, differences
from histoblend.pipeline import run
from histoblend.preparation import Prepared, Request
from histoblend.reporting.progress import Display
from histoblend.searching.space import nested
from histoblend.searching.sweep_config import Sweep
from histoblend.searching.trial_records import Trial, sweep_folder
from histoblend.searching.trials import FOLD
from histoblend.workspace import Workspace, read_json, write_csv, write_text

HEADER = """\
# yaml-language-server: $schema=../schema/experiment.schema.json
# Are the values of trial {number} of sweep {sweep} better than those of {base} on all folds?
# histoblend run {plan} --experiments {name}   (once this file lies in configs/experiments)
# Cost and score: see confirmation.csv beside the sweep. Inner-split AUC {objective:.4f}: the best trial's, so too high.
"""


@dataclass(frozen=True)
class Winner:
    """The best trial of a sweep."""

    sweep: Sweep
    trial: Trial

    @property
    def name(self) -> str:
        """Of its experiment; the trial's number gives another winner artifacts of its own."""
        return f"{self.sweep.name}_winner_{self.trial.number}"


def confirm(
    winner: Winner, prepared: Prepared, request: Request, display: Display, environment: Mapping[str, str]
) -> pd.DataFrame | None:
    """Write the winner's experiment file, run it and the base on all folds, and tell how they compare.

    Returns:
        The comparison; None where the best trial is the base itself, or where a budget ran out.
    """
    configs, folder = configs_folder(environment), sweep_folder(prepared.workspace, winner.sweep.name)
    plan = request.plan or prepared.plan.name
    content = winner_settings(winner, configs)
    if content.keys() == {"base"}:
        display.tell(
            f"The best trial is {winner.sweep.base} unchanged: nothing was found, nothing to confirm."
        )
        return None
    path = folder / f"{winner.name}.yaml"
    write_text(path, _header(winner, plan) + as_yaml(content))
    display.tell(f"Winner: {path}. Now {winner.sweep.base} and {winner.name} on all folds.")
    members = f"experiments={json.dumps([winner.sweep.base, str(path)])}"
    run(dataclasses.replace(request, plan=plan, settings=(*request.settings, members)), display, environment)
    table = comparison(winner, prepared.workspace)
    if not table["complete"].all():
        display.warn("Base and winner are not complete, so they are not compared; the same command goes on.")
        return None
    write_csv(folder / "confirmation.csv", table)
    for line in verdict(winner, table):
        display.tell(line)
    display.tell(
        f"To keep it: cp {path} {configs / 'experiments'}/ (the blend above holds it; run {plan} without it)."
    )
    return table


def winner_settings(winner: Winner, configs: Path) -> dict[str, object]:
    """The winner's file: its base and what differs from it; the sweep's trial settings are not in it."""
    base = load_experiment(winner.sweep.base, configs)
    changed = load_experiment(winner.sweep.base, configs, nested(winner.trial.values))
    return {"base": base.name, **differences(base, changed)}


def _header(winner: Winner, plan: str) -> str:
    sweep, trial = winner.sweep, winner.trial
    about = {"sweep": sweep.name, "base": sweep.base, "name": winner.name, "plan": plan}
    return HEADER.format(number=trial.number, objective=trial.objective, **about)


def comparison(winner: Winner, workspace: Workspace) -> pd.DataFrame:
    """name, complete, auc_pooled, auc_fold_mean, then the AUC of each fold: the base's row, then the winner's."""
    rows = []
    for name in (winner.sweep.base, winner.name):
        path = workspace.experiment(name).metrics
        metrics = Metrics(**read_json(path)) if path.exists() else Metrics(name, "", False, [], 0.0, 0.0, 0.0)
        row = {key: getattr(metrics, key) for key in ("name", "complete", "auc_pooled", "auc_fold_mean")}
        rows.append(row | {f"fold_{fold}": value for fold, value in metrics.auc_by_fold.items()})
    return pd.DataFrame(rows)


def verdict(winner: Winner, table: pd.DataFrame) -> list[str]:
    """How winner and base compare, in sentences; only fold 0 was never looked at by a trial."""
    base, best = (row for _, row in table.iterrows())
    folds = [column for column in table.columns if column.startswith("fold_")]
    gain = best["auc_pooled"] - base["auc_pooled"]
    wins = sum(best[fold] > base[fold] for fold in folds)
    untouched = f"fold_{FOLD}"
    lines = [
        f"Out of fold, AUC pooled / mean of folds: {winner.name} {best['auc_pooled']:.4f}/{best['auc_fold_mean']:.4f}, "
        f"{winner.sweep.base} {base['auc_pooled']:.4f}/{base['auc_fold_mean']:.4f}: {gain:+.4f} pooled, better in "
        f"{wins} of {len(folds)} folds.",
        f"On fold {FOLD}, which no trial has seen: {best[untouched]:.4f}, {base[untouched]:.4f}. The trials were "
        "compared on patches of the other folds, so those favour the winner a little.",
    ]
    if gain <= 0:
        return [*lines, f"The winner is no better than {winner.sweep.base}: keep {winner.sweep.base}."]
    return [*lines, f"The winner is better than {winner.sweep.base} by {gain:.4f} on this split."]
