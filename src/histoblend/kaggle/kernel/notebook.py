"""`kernel notebook`: the script as a notebook of three cells, for people who prefer Kaggle's web page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from histoblend import __version__
from histoblend.config_files import configs_folder
from histoblend.config_kaggle import KaggleSettings, load_kaggle_settings
from histoblend.errors import ArtifactRefusal
from histoblend.kaggle.session import script_text
from histoblend.reporting.progress import Display
from histoblend.workspace import write_json

SETTINGS = """\
# 1. What is to run, and what it needs.
#
# In the panel on the right of Kaggle's editor:
#   Add Input -> Competitions: {competition} (accept its rules first)
{assets}#   Add Input -> Notebook Outputs: this notebook itself, from the second session on: it then goes on
#   Session options -> Accelerator: {accelerator}; Internet: {internet}
#
# Then Save Version -> Save & Run All. What comes out lies in /kaggle/working; submission.csv is at its top.

PLAN = {plan!r}
SETTINGS = []  # as after --set: ["training.epochs=3", "budget=8h"]
"""

RUN = """\
# 3. The run. Again after a stop or in a new version: it goes on with what is finished.

code = run_carried({**CARRIED, "plan": PLAN, "settings": SETTINGS}, ARCHIVE)
if code:
    raise RuntimeError(f"histoblend stopped with exit code {code}: the lines above say why.")
"""

PACKAGE = "# 2. histoblend itself: it is unpacked from here, nothing is installed by this cell. Leave it as it is.\n\n"

MAIN = 'if __name__ == "__main__":'


def write_notebook(to: Path, plan: str | None, display: Display, environment: Mapping[str, str]) -> None:
    """Write a notebook that runs `plan`, or the kernel's plan.

    Raises:
        ConfigRefusal: the plan cannot be used.
        ArtifactRefusal: `to` is a file that this command did not write.
    """
    settings = load_kaggle_settings(environment)
    name = plan or settings.kernel.plan
    script = script_text(name, (), configs_folder(environment))
    _check_replaceable(to)
    write_json(to, notebook(name, script, settings))
    display.tell(
        f"Written: {to} ({to.stat().st_size:,} bytes). On Kaggle: Create > New Notebook, then File > Import Notebook."
    )


def notebook(plan: str, script: str, settings: KaggleSettings) -> dict[str, Any]:
    """The notebook (nbformat 4.5) as plain data.

    Args:
        script: as `script_text` gives it; its last statement, which runs it, gives way to the third cell.
    """
    package = PACKAGE + script.rpartition(MAIN)[0].rstrip() + "\n"
    cells = {"settings": first_cell(plan, settings), "package": package, "run": RUN}
    card = settings.kernel.accelerator != "none"
    return {
        "cells": [_cell(name, source) for name, source in cells.items()],
        "metadata": {
            "histoblend": {"version": __version__},
            "kaggle": {
                "accelerator": "nvidiaTeslaT4" if card else "none",
                "isGpuEnabled": card,
                "isInternetEnabled": settings.kernel.internet,
                "language": "python",
                "sourceType": "notebook",
            },
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def first_cell(plan: str, settings: KaggleSettings) -> str:
    """The cell that a user reads and edits."""
    own = f"your {settings.assets.slug} (made by `./run.sh assets push`)"
    lines = [f"#   Add Input -> Datasets: {name}\n" for name in (own, *settings.kernel.datasets)]
    return SETTINGS.format(
        competition=settings.competition,
        assets="".join(lines),
        accelerator="None" if settings.kernel.accelerator == "none" else "GPU T4 x2",
        internet="On" if settings.kernel.internet else "Off",
        plan=plan,
    )


def _cell(name: str, source: str) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "execution_count": None,
        "id": name,
        "metadata": {},
        "outputs": [],
        "source": source.rstrip("\n").splitlines(keepends=True),
    }


def _check_replaceable(to: Path) -> None:
    """Refuse to write over what was not written by this command."""
    if not to.exists():
        return
    try:
        ours = "histoblend" in json.loads(to.read_text(encoding="utf-8"))["metadata"]
    except (ValueError, KeyError, TypeError, OSError):
        ours = False
    if not ours:
        raise ArtifactRefusal(
            f"{to} is there already, and `./run.sh kernel notebook` did not write it.",
            "a new file, or one that this command wrote",
            "name another file with --to.",
        )
