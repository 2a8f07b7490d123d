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


def requirements(project_file: Path) -> list[str]:
    """The requirement strings of pyproject.toml, without markers."""
    import tomllib

    declared = tomllib.loads(project_file.read_text(encoding="utf-8"))["project"]["dependencies"]
    return [str(one).split(";")[0].strip() for one in declared]


def missing(needed: list[str]) -> list[str]:
    """Requirements whose module cannot be found."""
    absent = []
    for requirement in needed:
        name = re.split(r"[<>=!~\[ ]", requirement, maxsplit=1)[0]
        if importlib.util.find_spec(MODULES.get(name, name.replace("-", "_"))) is None:
            absent.append(requirement)
    return absent


if __name__ == "__main__" and "--missing" in sys.argv:
    sys.path.pop(0)  # this folder: its subpackages must not pass for distributions of the same name
    print(" ".join(missing(requirements(Path(__file__).parents[2] / "pyproject.toml"))))
