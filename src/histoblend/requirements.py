"""What histoblend needs and what of it is missing here; runs before anything is installed.

python src/histoblend/requirements.py --missing      names to install, on one line
python src/histoblend/requirements.py --cpu          everything, TensorFlow in its build for a CPU
python src/histoblend/requirements.py --missing-for-a-run    without what only searches and the service need
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

# What a run on Kaggle does without: nothing is searched there, and nothing is sent to the service.
NOT_FOR_A_RUN = {"kaggle", "six", "optuna"}


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


def missing_for_a_run(needed: list[str]) -> list[str]:
    """As `missing`, of what a run alone needs."""
    return missing([one for one in needed if _name(one) not in NOT_FOR_A_RUN])


def for_cpu(needed: list[str]) -> list[str]:
    """The same requirements with TensorFlow in its smaller build, which knows no card."""
    return [
        one.replace("tensorflow", "tensorflow-cpu") if _name(one) == "tensorflow" else one for one in needed
    ]


def _name(requirement: str) -> str:
    """The distribution's name."""
    return re.split(r"[<>=!~\[ ]", requirement, maxsplit=1)[0]


if __name__ == "__main__":
    sys.path.pop(0)  # this folder: its subpackages must not pass for distributions of the same name
    named = {"--missing": missing, "--missing-for-a-run": missing_for_a_run, "--cpu": for_cpu}[sys.argv[1]]
    print(" ".join(named(requirements(Path(__file__).parents[2] / "pyproject.toml"))))
