"""The text of script.py: what Kaggle is sent, one file that needs nothing beside it."""

from __future__ import annotations

import base64
import inspect
import shlex
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import histoblend
from histoblend.config_files import load_plan, plan_experiments
from histoblend.errors import ConfigRefusal, MachineRefusal
from histoblend.kaggle.session import bootstrap
from histoblend.kaggle.session.carrying import Carried, carry

LIMIT = 1_000_000
"""Bytes that Kaggle takes as a kernel's source."""
LINE = 100


def script_text(
    plan: str, settings: tuple[str, ...], configs: Path, *, goes_on: bool = False, anew: bool = False
) -> str:
    """The whole script that runs `plan` on Kaggle: the same package, configs and words give the same text.

    Args:
        plan: plan by name.
        settings: ``key=value`` as after ``--set``.
        configs: the configs folder that goes along.
        goes_on: an earlier output is mounted: a session that finds none it can use refuses, at once.
        anew: finished tasks of another plan, other settings or folds may be left behind.

    Raises:
        ConfigRefusal: there is no such plan, or a setting does not fit it.
        MachineRefusal: it would be larger than Kaggle takes; the biggest parts are named.
    """
    _check_plan(plan, settings, configs)
    carried = carry(configs)
    about = {"plan": plan, "settings": list(settings), "expects_earlier": goes_on, "anew": anew}
    text = _assembled(about, _header(plan, settings, carried), carried)
    if len(text.encode()) > LIMIT:
        raise _too_large(len(text.encode()), carried)
    return text


def _check_plan(plan: str, settings: tuple[str, ...], configs: Path) -> None:
    if plan.endswith((".yaml", ".yml")):
        raise ConfigRefusal(
            f"The plan {plan} is a path, and the script carries {configs} alone.",
            "a plan by name",
            f"put it into {configs / 'plans'} and name it without .yaml.",
        )
    plan_experiments(load_plan(plan, configs, settings), configs)


def _assembled(asked: Mapping[str, Any], header: str, carried: Carried) -> str:
    about = {
        "version": histoblend.__version__,
        "fingerprint": carried.fingerprint,
        "sha256": carried.sha256,
        **asked,
    }
    listed = "\n".join(f"    {key!r}: {value!r}," for key, value in about.items())
    encoded = base64.b64encode(carried.archive).decode()
    lines = "\n".join(encoded[start : start + LINE] for start in range(0, len(encoded), LINE))
    return "\n".join(
        [
            header,
            inspect.getsource(bootstrap),
            f"\nCARRIED = {{\n{listed}\n}}",
            f'ARCHIVE = """\n{lines}\n"""\n',
            'if __name__ == "__main__":',
            "    sys.exit(run_carried(CARRIED, ARCHIVE))\n",
        ]
    )


def _header(plan: str, settings: tuple[str, ...], carried: Carried) -> str:
    words = [word for one in settings for word in ("--set", one)]
    command = shlex.join(["./run.sh", "kernel", "push", "--plan", plan, *words])
    count, size = len(carried.files), sum(size for _, size in carried.files)
    sentences = [
        "histoblend: a plan for Histopathologic Cancer Detection as one Kaggle script.",
        f"Version {histoblend.__version__}, fingerprint {carried.fingerprint}. Made by: {command}",
        f"ARCHIVE at the end holds the package and its configs: base64 of a tar.xz of {count} files, {size:,} bytes.",
        'To look inside: python -c \'import base64, script; open("package.tar.xz", '
        '"wb").write(base64.b64decode(script.ARCHIVE))\'',
        "Written by a program: do not edit it here; change the configs and push again.",
    ]
    return "\n".join("# " + sentence.replace("\n", " ") for sentence in sentences)


def _too_large(size: int, carried: Carried) -> MachineRefusal:
    parts: Counter[str] = Counter()
    for name, count in carried.files:
        parts["/".join(name.split("/")[:3])] += count
    biggest = "\n".join(
        f"  {name}  {count:,} bytes before compression" for name, count in parts.most_common(5)
    )
    return MachineRefusal(
        f"The script would take {size:,} bytes. Its biggest parts:\n{biggest}",
        f"at most {LIMIT:,} bytes, which is what Kaggle takes",
        "move what the plan does not need out of configs/ (or name another folder in HISTOBLEND_CONFIGS).",
    )
