"""A sweep's winner on all folds, beside the base as it was: the one comparison that counts."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
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
from histoblend.workspace import Workspace, fingerprint, read_json, write_csv, write_text

HEADER = """\
# yaml-language-server: $schema=../schema/experiment.schema.json
# Are the values of trial {number} of sweep {sweep} better than those of {base} on all folds?
# histoblend run {plan} --experiments {name}   (once this file lies in configs/experiments)
# Cost and score: see confirmation.csv beside the sweep. Inner-split AUC {objective:.4f}: the best trial's, so too high.
"""


HASH_LENGTH = 6


@dataclass(frozen=True)
class Winner:
    """The best trial of a sweep."""

    sweep: Sweep
    trial: Trial

    @property
    def name(self) -> str:
        """Of its experiment; a hash of the values gives another winner artifacts of its own."""
        values = fingerprint([self.sweep.base, self.trial.values])[:HASH_LENGTH]
        return f"{self.sweep.name}_winner_{self.trial.number}_{values}"


def confirm(
    winner: Winner, prepared: Prepared, request: Request, display: Display, environment: Mapping[str, str]
) -> pd.DataFrame | None:
    """Write the winner's experiment file, train it and the base on all folds, and tell how they compare.

    Both stand in the ranking; blends and submission of the output folder stay as they are.

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
    both = dataclasses.replace(request, plan=plan, settings=(*request.settings, members))
    run(both, display, environment, blending=False)
    seeds = [one.experiment.name.removeprefix(winner.sweep.base) for one in prepared.planned]
    table = comparison(winner, seeds, prepared.workspace)
    if not table["complete"].all():
        display.warn("Base and winner are not complete, so they are not compared; the same command goes on.")
        return None
    write_csv(folder / "confirmation.csv", table)
    for line in verdict(winner, table):
        display.tell(line)
    display.tell(f"To keep it: cp {path} {configs / 'experiments'}/ and name it in a plan.")
    return table


def winner_settings(winner: Winner, configs: Path) -> dict[str, object]:
    """The winner's file: its base, what differs from it and that a sweep chose it; no trial settings."""
    base = load_experiment(winner.sweep.base, configs)
    changed = differences(base, load_experiment(winner.sweep.base, configs, nested(winner.trial.values)))
    return {"base": base.name, **changed, **({"searched": True} if changed else {})}


def _header(winner: Winner, plan: str) -> str:
    sweep, trial = winner.sweep, winner.trial
    about = {"sweep": sweep.name, "base": sweep.base, "name": winner.name, "plan": plan}
    return HEADER.format(number=trial.number, objective=trial.objective, **about)


def comparison(winner: Winner, seeds: Sequence[str], workspace: Workspace) -> pd.DataFrame:
    """name, of, complete, auc_pooled, auc_fold_mean, then the AUC of each fold: the base's rows, then the winner's.

    Args:
        seeds: what each seed adds to a name: ``["", ".seed1"]``.
    """
    sides = (("base", winner.sweep.base), ("winner", winner.name))
    rows = [_row(side, name + seed, workspace) for side, name in sides for seed in seeds]
    return pd.DataFrame(rows)


def _row(side: str, name: str, workspace: Workspace) -> dict[str, object]:
    path = workspace.experiment(name).metrics
    metrics = Metrics(**read_json(path)) if path.exists() else Metrics(name, "", False, [], 0.0, 0.0, 0.0)
    row = {key: getattr(metrics, key) for key in ("complete", "auc_pooled", "auc_fold_mean")}
    folds = {f"fold_{fold}": value for fold, value in metrics.auc_by_fold.items()}
    return {"name": name, "of": side, **row, **folds}


def verdict(winner: Winner, table: pd.DataFrame) -> list[str]:
    """How winner and base compare, in sentences; a gain counts where fold 0, which no trial has seen, shows it too."""
    folds = [column for column in table.columns if column.startswith("fold_")]
    means = table.groupby("of")[["auc_pooled", "auc_fold_mean", *folds]].mean()
    base, best = means.loc["base"], means.loc["winner"]
    gain, untouched = best["auc_pooled"] - base["auc_pooled"], f"fold_{FOLD}"
    honest = best[untouched] - base[untouched]
    seeds = len(table) // 2
    lines = [
        f"Out of fold, AUC pooled / mean of folds: {winner.name} {best['auc_pooled']:.4f}/{best['auc_fold_mean']:.4f}, "
        f"{winner.sweep.base} {base['auc_pooled']:.4f}/{base['auc_fold_mean']:.4f}: {gain:+.4f} pooled, better in "
        f"{sum(best[folds] > base[folds])} of {len(folds)} folds{f' (means of {seeds} seeds)' if seeds > 1 else ''}.",
        f"On fold {FOLD}, which no trial has seen: {best[untouched]:.4f}, {base[untouched]:.4f}. The trials were "
        "compared on patches of the other folds, so those favour the winner a little.",
    ]
    return [*lines, _word(winner.sweep.base, gain, honest)]


def _word(base: str, gain: float, honest: float) -> str:
    """The verdict by the gain over all folds and by that on the untouched one."""
    if gain <= 0:
        return f"The winner is no better than {base}: keep {base}."
    if honest <= 0:
        return (
            f"They disagree: {gain:+.4f} over all folds, {honest:+.4f} on fold {FOLD}, the only one that no trial "
            f"leaned on. Not shown to be better than {base}: keep {base}, or compare with more seeds."
        )
    return (
        f"The winner is better than {base}, by {gain:.4f} over all folds and by {honest:.4f} on fold {FOLD}."
    )
