"""Settings that came after outputs existed, each with the value that means what histoblend did before it knew them.

An output that was made without such a setting goes on as long as the setting stands at that value. The values are
written down here, not taken from today's defaults: a default that changes must stop an older output. A setting that
a record lacks and that is not named here counts as changed (tests/execution/test_added_settings.py finds them).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ADDED: dict[str, Any] = {
    "optimizer.first_layer_rate": 1.0,
    "schedule.hold": 0.0,
    "training.average_last": 0.0,
    "training.mixup": 0.0,
    "training.stages": [],
    "training.pseudo_labels": None,
    "network.stem_stride": 4,
}


def with_added(old: Mapping[str, Any], fresh: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The settings of an old record with those of `ADDED` that it lacks and `fresh` has."""
    result = dict(old)
    for key, value in fresh.items():
        path = f"{prefix}{key}"
        if key not in old and path in ADDED:
            result[key] = ADDED[path]
        elif isinstance(value, Mapping) and isinstance(old.get(key), Mapping):
            result[key] = with_added(old[key], value, f"{path}.")
    return result
