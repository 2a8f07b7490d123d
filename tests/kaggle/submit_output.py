"""An output folder with one blend and two experiments, made by hand, for tests of submissions; and a quick client."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from server.competitions import Competition

from histoblend.blending.submission import submission_table
from histoblend.evaluation.metrics import Metrics
from histoblend.kaggle.answers import Answer
from histoblend.kaggle.child import authenticated_api
from histoblend.kaggle.connection import Connection
from histoblend.kaggle.symptoms import symptom_of
from histoblend.workspace import write_csv, write_json

IDS = [f"{number:040x}" for number in range(90)]
LABELS = {identity: number % 2 for number, identity in enumerate(IDS)}
INTERVAL = {"low": 0.885, "high": 0.935, "standard_error": 0.01, "level": 0.95, "method": "slide bootstrap",
            "clusters": 60, "warning": None}  # fmt: skip
AUCS = {"toy_mean": 0.91, "vgg": 0.9, "resnet": 0.905}


def make_output(
    folder: Path, synthetic: bool = False, data: str = "d", aucs: dict[str, float] = AUCS
) -> Path:
    """A finished run: a blend toy_mean (chosen), experiments vgg and resnet (the second final)."""
    rng = np.random.default_rng(3)
    write_csv(folder / "folds.csv", pd.DataFrame({"id": ["a", "b"], "label": [0, 1], "fold": [0, 1]}))
    about = {"slides_policy": "map", "data_set": "toy", "synthetic": synthetic, "data_fingerprint": data,
             "folds_fingerprint": "f"}  # fmt: skip
    sample = pd.DataFrame({"id": IDS, "label": 0})
    for name, auc in aucs.items():
        kind = "blend" if name == "toy_mean" else "experiment"
        place = folder / f"{'ensembles' if kind == 'blend' else 'experiments'}/{name}"
        fingerprint = {"config_fingerprint": f"of {name}"} if kind == "experiment" else {}
        metrics = Metrics(
            name, kind, True, [0, 1], auc, auc, 0.01, about=about | fingerprint, interval=INTERVAL
        )
        write_json(place / "metrics.json", asdict(metrics))
        logits = np.array(list(LABELS.values())) + rng.normal(0, 0.5, len(IDS))
        test = pd.DataFrame({"id": IDS, "logit": logits, "probability": 1 / (1 + np.exp(-logits))})
        write_csv(place / "test.csv", test)
        if kind == "blend":
            write_json(place / "weights.json", {"rule": "mean", "weights": {"vgg": 0.5, "resnet": 0.5}})
            write_csv(place / "submission.csv", submission_table(test, sample, "rank", ("no", "yes")))
            shutil.copy(place / "submission.csv", folder / "submission.csv")
        elif name == "resnet":
            alternative = submission_table(test, sample, "rank", ("no", "yes"))
            write_csv(folder / "submission_alternative.csv", alternative)
    write_json(folder / "run.json", _run(synthetic, data))
    write_json(folder / "ensembles/toy_audit.json", _audit())
    return folder


def _run(synthetic: bool, data: str) -> dict[str, Any]:
    return {
        "started": "2026-11-21 06:00:00",
        "plan": {"name": "toy", "submission": {"scale": "rank"}},
        "folds": {"fingerprint": "f", "policy": "map", "sentence": ""},
        "data": {
            "root": "",
            "name": "toy",
            "fingerprint": data,
            "synthetic": synthetic,
            "classes": {"no": 1, "yes": 1},
        },
    }


def _audit() -> dict[str, Any]:
    unknown = dict.fromkeys(("gain", "gain_standard_error", "gain_low", "gain_high", "p_value"))
    rule = unknown | {
        "rule": "mean",
        "learns": False,
        "auc_in_sample": 0.91,
        "auc_cross_fitted": 0.91,
        "optimism": 0.0,
    }
    finals = [
        {"name": "toy_mean", "rule": "mean", "why": "chosen"},
        {"name": "resnet", "rule": None, "why": "else"},
    ]
    return {"plan": "toy", "folds_fingerprint": "f", "members": ["vgg", "resnet"], "method": "none",
            "clusters_are": "slides", "rules": [rule], "asked": "auto", "chosen": "mean", "reason": "equal weights",
            "finals": finals}  # fmt: skip


def answer_here(connection: Connection, function: Any, progress: Any, arguments: Any) -> Any:
    """In place of Connection._once: the real client in this process, which spares its start in every call."""
    try:
        value = json.loads(json.dumps(function(authenticated_api(), **arguments)))
    except Exception as error:
        return connection._value(Answer(symptom=symptom_of(error)), function, arguments)
    return connection._value(Answer(value), function, arguments)


def competition_of(service: Any, **settings: Any) -> Competition:
    """The stand-in's competition with the labels of `IDS`."""
    return Competition(service, labels=LABELS, **settings)
