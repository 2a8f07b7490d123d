"""The page of networks: what each reached in the same wall time, made from the records of its trials alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from histoblend.reporting.networks_table import DASH, amount

Content = Mapping[str, Any]
HEADER = (
    "network", "family", "parameters", "MACs", "images/s train", "images/s predict", "passes",
    "AUC one view", "AUC TTA", "notes",
)  # fmt: skip
FEW_DIGITS = 3
BUSY_CORES = 0.5  # kept busy by others, above which a measured rate is too low
WORDS = {
    "imagenet": "from ImageNet weights",
    "none": "from random weights",
    "from scratch": "",
}


def figure_path(page: Path) -> Path:
    """The figure that belongs to a page: ``images/<page>.png`` beside it."""
    return page.parent / "images" / f"{page.stem}.png"


def has_scores(trials: Sequence[Content]) -> bool:
    """Whether any trial was trained."""
    return any(trial.get("result") for trial in trials)


def page_text(content: Content, page: Path) -> str:
    """The page in Markdown from the records: trials, and size and cost of the networks that were not tried."""
    trials = sorted(content["trials"], key=_order)
    parts = ["# Which network first?", _synthetic(trials), _introduction(trials, page), _figure(trials, page)]
    parts += [_table(trials, content["not_tried"]), _reading(trials), _refusals(trials), _conditions(trials)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _order(trial: Content) -> tuple[float, str]:
    result = trial.get("result")
    return (-result["auc"] if result else 1.0, trial["name"])


def _synthetic(trials: Sequence[Content]) -> str:
    if not any(trial["data"]["synthetic"] for trial in trials):
        return ""
    return "**SYNTHETIC patches: these scores say nothing about real tissue.**"


def _introduction(trials: Sequence[Content], page: Path) -> str:
    """What this page answers, and with what it was made."""
    made = (
        f"This page is made by `histoblend networks --page {page.parent.name}/{page.name}` from the records in "
        f"[{page.stem}.json]({page.stem}.json); nothing on it is written by hand."
    )
    if not has_scores(trials):
        return f"No trial has been run yet. {made}"
    best = next(trial for trial in trials if trial.get("result"))
    return (
        "Each network was given the same wall time on the same patches and scored on the same held-out fold: which one "
        "gives most for the minutes you have? Take the first row that starts from the weights you have, then, for a "
        "blend, the best row of another family: networks of one family make similar errors. Here the first is "
        f"`{best['name']}`. {made}"
    )


def _figure(trials: Sequence[Content], page: Path) -> str:
    if not has_scores(trials):
        return ""
    path = figure_path(page).relative_to(page.parent)
    return f"![AUC of each network against the images/s it trains at]({path})"


def _table(trials: Sequence[Content], others: Sequence[Content]) -> str:
    lines = ["| " + " | ".join(HEADER) + " |", "|---|---|" + "---:|" * 7 + "---|"]
    lines += [_line(_cells(trial)) for trial in trials]
    lines += [_line(_cells({**other, "speeds": None, "notes": "not tried"})) for other in others]
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _cells(row: Content) -> list[str]:
    speeds, result = row.get("speeds") or {}, row.get("result") or {}
    return [
        f"`{row['name']}`",
        row["family"],
        amount(row["parameters"]),
        amount(row["macs"]),
        _rate(speeds.get("train")),
        _rate(speeds.get("predict")),
        f"{result['passes']:.1f}" if result else DASH,
        _score(result.get("auc_one_view")),
        _score(result.get("auc")) if result.get("views", 1) > 1 else DASH,
        row["notes"] if "notes" in row else _notes(row),
    ]


def _rate(value: float | None) -> str:
    return DASH if value is None else f"{value:,.0f}"


def _score(value: float | None) -> str:
    return DASH if value is None else f"{value:.{FEW_DIGITS}f}"


def _notes(trial: Content) -> str:
    """What sets a row apart from the others."""
    notes = [WORDS[trial["weights"]] if trial["weights"] in WORDS else f"from {trial['weights']}"]
    if trial["network"] != trial["name"]:
        notes.append(f"`{trial['network']}` with its own recipe")
    if trial["refused"]:
        notes.append("refused, see below")
    return "; ".join(note for note in notes if note)


def _reading(trials: Sequence[Content]) -> str:
    results = [trial["result"] for trial in trials if trial.get("result")]
    lines = [
        "- images/s: of the training step (augmentation included) and of prediction with one view, measured for some "
        "seconds each, warm, before any training.",
        "- parameters; MACs: multiply-accumulates of one patch at the input size of the trial.",
        f"- {DASH}: not run.",
    ]
    if not results:
        return "\n".join(lines)
    minutes, fold, patches = (_values(results, key) for key in ("minutes", "fold", "patches"))
    return "\n".join(
        [
            f"- {minutes} minutes of training each: as many passes over the training folds as the measured rate "
            "allows, with a complete schedule. A slow network is judged here on what it reaches in that time, not on "
            "what it would reach in the end.",
            f"- AUC: fold {fold} ({patches} patches), not seen in training; one view, and the mean of "
            f"{_values(results, 'views')} turned and mirrored views (TTA). One fold and one seed: differences of "
            ".01 to .02 are noise.",
            *lines,
        ]
    )


def _values(rows: Sequence[Content], key: str) -> str:
    """The values that stand under `key`, each once."""
    return " or ".join(dict.fromkeys(f"{row[key]:,}" for row in rows))


def _refusals(trials: Sequence[Content]) -> str:
    refused = [trial for trial in trials if trial["refused"]]
    return "\n".join(f"- `{trial['name']}` was refused: {_flat(trial['refused'])}" for trial in refused)


def _flat(text: str) -> str:
    return " ".join(text.split())


def _conditions(trials: Sequence[Content]) -> str:
    """Data, recipe, machine, versions, dates and commands."""
    if not trials:
        return ""
    data = dict.fromkeys(
        f"{trial['data']['name']} (data {trial['data']['fingerprint']}, folds {trial['data']['folds']})"
        for trial in trials
    )
    recipes = dict.fromkeys(trial["recipe"] for trial in trials)
    sizes = dict.fromkeys(f"{trial['input_size']}" for trial in trials)
    machines = dict.fromkeys(
        f"{trial['machine']}, {(trial['speeds'] or {}).get('precision', 'precision unknown')}"
        for trial in trials
    )
    dates = sorted({one["date"] for trial in trials for one in (trial["speeds"], trial.get("result")) if one})
    versions = dict.fromkeys(_versions(trial["versions"]) for trial in trials)
    commits = dict.fromkeys(trial["commit"] for trial in trials)
    commands = dict.fromkeys(trial["command"] for trial in trials)
    lines = [
        "## How it was measured",
        f"- Data: {'; '.join(data)}. Input: {', '.join(sizes)} pixels.",
        f"- Recipe: of {', '.join(f'`{one}`' for one in recipes)} (configs/experiments).",
        f"- Machine: {'; '.join(machines)}. {' to '.join(dict.fromkeys((dates[0], dates[-1])))}."
        if dates
        else f"- Machine: {'; '.join(machines)}.",
        f"- {'; '.join(versions)}; commit {', '.join(commits)} (`+`: with changes on top).",
        *_busy(trials),
        "",
        *(f"    {command}" for command in commands),
    ]
    return "\n".join([lines[0], "", *lines[1:]])


def _versions(versions: Mapping[str, str]) -> str:
    shown = ("python", "tensorflow", "keras", "numpy")
    return ", ".join(f"{name} {versions[name]}" for name in shown if name in versions)


def _busy(trials: Sequence[Content]) -> list[str]:
    """A warning where others used the machine while rates were measured."""
    loads = [(trial["speeds"] or {}).get("busy_cores") or 0.0 for trial in trials]
    names = [f"`{trial['name']}`" for trial, load in zip(trials, loads, strict=True) if load > BUSY_CORES]
    return (
        [f"- The machine was not quiet when these rates were measured: {', '.join(names)}."] if names else []
    )
