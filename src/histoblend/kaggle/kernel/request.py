"""What is asked of the kernel commands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from histoblend.config_files import configs_folder
from histoblend.workspace import Workspace


@dataclass(frozen=True)
class PushRequest:
    """What is to run on Kaggle."""

    plan: str | None = None
    """Plan to run; None for that of configs/kaggle.yaml."""
    settings: tuple[str, ...] = ()
    """``key=value``, as in run."""
    watch: bool = False
    """Follow the session and pull what comes out."""
    output: Path | None = None
    """Output folder that remembers the push."""
    to: Path | None = None
    """Folder to write what would be sent into; nothing is sent then."""
    anew: bool = False
    """Start from the beginning, whatever earlier sessions finished."""
    public: bool = False
    """Let everybody see the kernel, as ``kernel.private: false`` asks."""


@dataclass(frozen=True)
class PullRequest:
    """Where what comes out is put."""

    output: Path | None = None
    """Output folder; what is pulled lies under its kernels/."""


def workspace_of(output: Path | None, environment: Mapping[str, str]) -> Workspace:
    """The output folder that was named, or the usual one."""
    from histoblend.preparation import default_output  # late: it loads scikit-learn

    folder = output or default_output(configs_folder(environment).parent, environment)
    return Workspace(folder.absolute())
