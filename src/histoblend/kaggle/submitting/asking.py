"""The question before one of the day's few submissions is spent."""

from __future__ import annotations

import sys

from rich.prompt import Confirm

from histoblend.errors import ConfigRefusal
from histoblend.reporting.progress import Display


def agreed(question: str, yes: bool, display: Display) -> bool:
    """Whether the user says yes, or has said so with --yes; the end of input is a no.

    Raises:
        ConfigRefusal: there is nobody to ask.
    """
    if yes:
        display.tell(f"{question} Yes, by --yes.")
        return True
    if not sys.stdin.isatty():
        raise ConfigRefusal(
            f"There is no terminal to ask on: {question}", "an answer, or --yes", "add --yes to the command."
        )
    try:
        return Confirm.ask(question, console=display.console, default=False)
    except EOFError:
        return False
