"""What kernels on Kaggle have brought home: each version's output is an output folder inside kernels/ of this one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from histoblend.artifacts.forms import read_metrics
from histoblend.evaluation.metrics import Metrics
from histoblend.ledger import Submission, read_submissions, scores_by_name
from histoblend.workspace import Workspace

PULLED = "pulled.json"  # which `kernel pull` leaves in each version's folder, once that is whole


def finished_metrics(workspace: Workspace) -> list[Metrics]:
    """Metrics of the experiments and blends that runs left in this folder.

    Raises:
        ArtifactRefusal: a file is damaged.
    """
    paths = sorted(workspace.folder.glob("experiments/*/metrics.json"))
    paths += sorted(workspace.folder.glob("ensembles/*/metrics.json"))
    return [read_metrics(path) for path in paths]


def pulled_outputs(workspace: Workspace) -> list[Workspace]:
    """The output folders of the pulled versions, the newest first."""
    folders = [path for path in workspace.kernels.glob("*") if path.is_dir()]
    return [Workspace(path) for path in sorted(folders, key=_version, reverse=True)]


def _version(folder: Path) -> tuple[int, str]:
    return (int(folder.name), "") if folder.name.isdecimal() else (-1, folder.name)


def pulled_name(pulled: Workspace, name: str) -> str:
    """How something of a pulled version is called among the others: ``kernels/3: kaggle_logit_mean``."""
    return f"kernels/{pulled.folder.name}: {name}"


def home_of(workspace: Workspace) -> Workspace:
    """The output folder whose ledger counts: of a pulled version the one that it was pulled into."""
    inside = workspace.folder.parent.name == "kernels" and (workspace.folder / PULLED).is_file()
    return Workspace(workspace.folder.parents[1]) if inside else workspace


def pulled_metrics(workspace: Workspace) -> list[Metrics]:
    """Metrics of all pulled versions, named after them; what a newer version brought again as it was comes once.

    Raises:
        ArtifactRefusal: a file is damaged.
    """
    found: list[Metrics] = []
    seen: set[tuple[object, ...]] = set()
    for pulled in pulled_outputs(workspace):
        for one in finished_metrics(pulled):
            if (same := _identity(one)) not in seen:
                seen.add(same)
                found.append(replace(one, name=pulled_name(pulled, one.name)))
    return found


def _identity(one: Metrics) -> tuple[object, ...]:
    return one.name, one.kind, tuple(one.folds), one.auc_pooled, *ground_of_metrics(one)


def ground_of_metrics(one: Metrics) -> tuple[object, object]:
    """Fingerprints of data and folds: scores compare where both are the same."""
    return one.about.get("data_fingerprint"), one.about.get("folds_fingerprint")


def unlike(metrics: Sequence[Metrics], own: Sequence[Metrics]) -> dict[str, str]:
    """Those whose scores do not compare with the folder's own (else with the first), and why in two words."""
    if not metrics:
        return {}
    data, folds = ground_of_metrics((own or metrics)[0])
    reasons = {}
    for one in metrics:
        its_data, its_folds = ground_of_metrics(one)
        if its_data != data:
            reasons[one.name] = "other data"
        elif its_folds != folds:
            reasons[one.name] = "other folds"
    return reasons


def known_submissions(workspace: Workspace) -> list[Submission]:
    """The lines of the folder's ledger; of a pulled version also what its home's ledger has of it, by its own names.

    Raises:
        ArtifactRefusal: a ledger is broken.
    """
    own, home = read_submissions(workspace.ledger), home_of(workspace)
    if home == workspace:
        return own
    prefix = pulled_name(workspace, "")
    there = [one for one in read_submissions(home.ledger) if one.name.startswith(prefix)]
    return own + [replace(one, name=one.name.removeprefix(prefix)) for one in there]


def known_scores(workspace: Workspace) -> pd.DataFrame:
    """What leaderboards have answered, by name, as `scores_by_name` has it."""
    return scores_by_name(known_submissions(workspace))
