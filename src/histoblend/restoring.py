"""What to do about a damaged file of an output folder: by where it lies, never more than is needed."""

from __future__ import annotations

from pathlib import Path

REWRITTEN = "let the same ./run.sh run command write it again: it trains nothing anew that is whole."


def remedy_for(path: Path) -> str:
    """How a damaged artifact comes back.

    A finished fold holds weights that took hours, so only its own files send it back to training; tables of whole
    experiments and everything about blends are written anew by any run.
    """
    folder = path.parent
    if folder.name.startswith("fold_"):
        return f"restore it, or move {folder} away: the same ./run.sh run command trains that fold anew."
    if folder.parent.name == "experiments" and _is_added(folder):
        return (
            f"restore it, or add these predictions anew: ./run.sh archive {folder.name} --output "
            f"{folder.parents[1]}, then ./run.sh add."
        )
    if path.name == "folds.csv":
        return f"restore it, or move {path} away: the same ./run.sh run command deals the same folds again."
    if folder.name == "audit":
        return "restore it, or let ./run.sh audit write it again."
    if path.suffix == ".json":  # what reads one that is broken stops before it is written anew
        return f"restore it, or move this one file away and {REWRITTEN}"
    return f"restore it, or {REWRITTEN}"


def _is_added(folder: Path) -> bool:
    from histoblend.external.members import is_external  # it reads tables, which ask here
    from histoblend.workspace import ExperimentFolder

    return is_external(ExperimentFolder(folder))
