"""The process in which the `kaggle` client lives: ``python -P -m histoblend.kaggle.child``.

It reads calls from stdin, a line of JSON each: the function as module and name, its arguments, and the seconds that
one HTTP request may be silent. The client is imported here and nowhere else: it stops its process without
credentials, prints to stdout, and waits for ever on a silent server.
"""

from __future__ import annotations

import importlib
import json
import os
import queue
import sys
import threading
from typing import Any

from histoblend.kaggle import channel
from histoblend.kaggle.requests_limits import limit_requests
from histoblend.kaggle.symptoms import symptom_of


def main() -> None:
    """Run call after call; each is answered with its value, or the symptom of what went wrong."""
    channel.open_channel()
    calls: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_take_in, args=(calls,), daemon=True).start()
    sys.argv = ["histoblend"]  # the client takes options out of it
    while True:
        call = json.loads(calls.get())
        try:
            channel.send("value", _run(call))
        except BaseException as error:  # SystemExit too: the client uses it for refusals
            channel.send("symptom", symptom_of(error))


def _take_in(calls: queue.Queue[str]) -> None:
    """Calls as they come; where the parent is gone, killed or not, so is this process."""
    for line in sys.stdin:
        calls.put(line)
    os._exit(1)


def _run(call: dict[str, Any]) -> Any:
    limit_requests(call["request_seconds"])
    channel.begin_part(0, 0)
    function = getattr(importlib.import_module(call["module"]), call["name"])
    return function(authenticated_api(), **call["arguments"])


def authenticated_api() -> Any:
    """The client's KaggleApi, signed in.

    Importing it signs in already; clients since 2.1 keep silent where that fails, so it is asked for once more.
    """
    import kaggle

    api = kaggle.api
    # where KAGGLE_API_ENVIRONMENT is set the client prints every request, with the credential in it
    api.args = [word for word in api.args if word not in ("--verbose", "-v")]
    signed_in = "auth_method" in api.config_values or {"username", "key"} <= set(api.config_values)
    if not signed_in:
        api.authenticate()
    return api


def own_username(api: Any) -> str:
    """The name of the user the credential belongs to."""
    return str(api.config_values["username"])


if __name__ == "__main__":
    main()
