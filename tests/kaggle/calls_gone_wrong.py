"""Functions that tests let run in the child: they do what a client might do."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

from histoblend.kaggle.competition_calls import list_submissions
from histoblend.kaggle.symptoms import symptom_of


def every_symptom(api: Any, competition: str, calls: int) -> list[dict[str, Any]]:
    """What comes of `calls` listings, one after the other in one process: "fine", or the symptom."""
    found = []
    for _ in range(calls):
        try:
            list_submissions(api, competition)
            found.append({"kind": "fine"})
        except Exception as error:
            found.append(symptom_of(error))
    return found


def print_and_exit(api: Any) -> None:
    """As the client does where it finds no credential."""
    print("You must authenticate before you can call the Kaggle API.")
    sys.exit(1)


def vanish(api: Any) -> None:
    """As a process does that is killed for its memory."""
    os._exit(9)


def wait_long(api: Any, seconds: float) -> None:
    """A client that hangs outside of any request."""
    time.sleep(seconds)


def process(api: Any) -> int:
    """Which process this is."""
    return os.getpid()


def betray(api: Any) -> None:
    """Say and raise all that is secret, as a careless client would."""
    print(dict(os.environ), json.dumps(api.config_values, default=str))
    print("Authorization: Basic c29tZXRoaW5nOmVsc2U=", file=sys.stderr)
    raise RuntimeError(f"cannot log in with {api.config_values}")
