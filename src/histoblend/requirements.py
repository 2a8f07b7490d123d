"""What histoblend needs and what of it is missing here; runs before anything is installed.

python src/histoblend/requirements.py --missing      names to install, on one line
"""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

# Modules whose name is not that of their distribution.
MODULES = {
    "opencv-python-headless": "cv2",
    "scikit-learn": "sklearn",
    "pillow": "PIL",
    "pyyaml": "yaml",
}

# What a requirement imports beside itself: on Kaggle it is installed with --no-deps. Of what Optuna (4.0, 5.0)
# declares, alembic and sqlalchemy are for studies in databases alone, and are not imported for ours.
BESIDE = {"optuna": ("colorlog", "packaging>=20", "tqdm"), "jinja2": ("markupsafe>=2",)}


def requirements(project_file: Path) -> list[str]:
    """The requirement strings of pyproject.toml, without markers."""
    import tomllib

    declared = tomllib.loads(project_file.read_text(encoding="utf-8"))["project"]["dependencies"]
    return [str(one).split(";")[0].strip() for one in declared]


def missing(needed: list[str]) -> list[str]:
    """Requirements whose module cannot be found, and those that they import beside themselves."""
    beside = [one for requirement in needed for one in BESIDE.get(_name(requirement), ())]
    wanted = {_name(requirement): requirement for requirement in [*beside, *needed]}
    return [
        requirement
        for name, requirement in wanted.items()
        if importlib.util.find_spec(MODULES.get(name, name.replace("-", "_"))) is None
    ]


def _name(requirement: str) -> str:
    """The distribution's name."""
    return re.split(r"[<>=!~\[ ]", requirement, maxsplit=1)[0]


if __name__ == "__main__" and "--missing" in sys.argv:
    sys.path.pop(0)  # this folder: its subpackages must not pass for distributions of the same name
    print(" ".join(missing(requirements(Path(__file__).parents[2] / "pyproject.toml"))))
