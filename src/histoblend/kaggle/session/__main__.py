"""`python -m histoblend.kaggle.session`: what the script on Kaggle calls, each time in a process of its own.

run PLAN [--set key=value ...] [--expects-earlier] [--anew]     the session itself
pack --exit-code N                                              whatever came out of it
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from itertools import pairwise

from histoblend.errors import Refusal
from histoblend.reporting.progress import Display


def main(words: list[str], environment: Mapping[str, str]) -> int:
    """Do what `words` say; the exit code, after a refusal was told."""
    display = Display()
    try:
        return _commanded(words, display, environment)
    except Refusal as refusal:
        display.warn(str(refusal))
        return refusal.exit_code


def _commanded(words: list[str], display: Display, environment: Mapping[str, str]) -> int:
    if words[0] == "pack":
        from histoblend.kaggle.session.finish import finish_session

        return finish_session(int(words[2]), display, environment)
    from histoblend.kaggle.session.run import SessionRequest, run_session

    settings = tuple(value for word, value in pairwise(words) if word == "--set")
    request = SessionRequest(words[1], settings, "--expects-earlier" in words, "--anew" in words)
    run_session(request, display, environment)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
