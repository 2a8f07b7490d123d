"""What all tests share: no network, no colleague's data, a toy competition drawn in a blink."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import sys
from pathlib import Path

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
if "PYTEST_XDIST_WORKER" in os.environ:  # the workers have the cores already
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")

import cv2
import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from histoblend.pipeline import run
from histoblend.preparation import Request
from histoblend.reporting.progress import Display

ROOT = Path(__file__).parents[1]
SHIPPED_CONFIGS = ROOT / "configs"
HCD_MINI = ROOT.parent / "shared" / "hcd-mini"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="also run what is marked slow")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--slow"):
        return
    skip = pytest.mark.skip(reason="slow: ./run.sh test --slow")
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(skip)


@pytest.fixture(autouse=True)
def quiet_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "HISTOBLEND_DATA",
        "HISTOBLEND_CONFIGS",
        "HISTOBLEND_SCRATCH",
        "HISTOBLEND_KAGGLE_ROOT",
        "KAGGLE_KERNEL_RUN_TYPE",
    ):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def usual_precision() -> None:
    """Whatever precision a test before set: runs set it for the whole process."""
    if "keras" in sys.modules:
        sys.modules["keras"].config.set_dtype_policy("float32")


@pytest.fixture(scope="session")
def hcd_mini() -> Path:
    if not HCD_MINI.is_dir():
        pytest.skip(f"the real patches are not here ({HCD_MINI})")
    return HCD_MINI


def toy_patch(positive: bool, slide: int, generator: np.random.Generator) -> np.ndarray:
    """Noise in the slide's tint; positives have a dark disc in the centre."""
    tint = np.array([190, 120 + 8 * slide, 180]) + generator.integers(-10, 10, 3)
    image = np.clip(tint + generator.normal(0, 12, (96, 96, 3)), 0, 255).astype(np.uint8)
    if positive:
        cv2.circle(image, (48, 48), int(generator.integers(8, 14)), (90, 40, 120), -1)
    return image


def draw_toy(folder: Path, train: int = 60, test: int = 21, slides: int = 6) -> Path:
    """An easy competition in HCD's layout, with a complete slide map."""
    generator = np.random.default_rng(0)
    tables = {}
    for part, count in (("train", train), ("test", test)):
        (folder / part).mkdir(parents=True)
        rows = []
        for number in range(count):
            identity = hashlib.sha1(f"{part}{number}".encode()).hexdigest()
            slide, label = number % slides, int(generator.random() < 0.45)
            image = toy_patch(bool(label), slide, generator)
            cv2.imwrite(str(folder / part / f"{identity}.tif"), image[:, :, ::-1])
            rows.append((identity, label, f"toy_{part}_{slide:03d}"))
        tables[part] = pd.DataFrame(rows, columns=["id", "label", "wsi"])
    tables["train"][["id", "label"]].to_csv(folder / "train_labels.csv", index=False)
    tables["test"][["id"]].assign(label=0).to_csv(folder / "sample_submission.csv", index=False)
    pd.concat(tables.values())[["id", "wsi"]].to_csv(folder / "patch_id_wsi_full.csv", index=False)
    return folder


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_toy(tmp_path_factory.mktemp("toy") / "competition")


# The discs are so much alike that they would count as near duplicates of each other.
TOY_PLAN = "data: {near_duplicates: keep}\nfolds: {count: 2}\nreport: false\n"
TOY_CONFIGS = {
    "plans/toy.yaml": "experiments: [first, second]\n" + TOY_PLAN + "tta: 4\n",
    "plans/every.yaml": "experiments: [everything]\n" + TOY_PLAN + "tta: 1\n",
    "experiments/first.yaml": """
network: {name: small_vgg, widths: [4, 8], depths: [1, 1]}
augmentation: none
optimizer: {learning_rate: 1.0e-2}
training: {epochs: 2, batch_size: 16, tensorboard: false}
""",
    "experiments/second.yaml": """
network: {name: course_cnn, widths: [4, 4], dense: 8}
optimizer: {name: sgd, learning_rate: 1.0e-2}
training: {epochs: 1, batch_size: 16, selection: best, inner_fraction: 0.3, save_model: true}
""",
    # all that could break a resume, at once
    "experiments/everything.yaml": """
network: {name: small_vgg, widths: [4, 8], depths: [1, 1], dropout: 0.3}
augmentation: heavy
precision: mixed_float16
schedule: {name: plateau, patience: 1, factor: 0.5, warmup: 0.1}
training: {epochs: 6, batch_size: 4, ema: 0.9, selection: best, stop_patience: 5, inner_fraction: 0.3}
""",
}


def write_configs(folder: Path) -> Path:
    for name, text in TOY_CONFIGS.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def toy_configs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configs folder of tiny networks, made the current one."""
    folder = write_configs(tmp_path / "project" / "configs")
    monkeypatch.setenv("HISTOBLEND_CONFIGS", str(folder))
    return folder


class Heard(Display):
    """A display that remembers."""

    def __init__(self) -> None:
        self.stream = io.StringIO()
        super().__init__(Console(file=self.stream, highlight=False, soft_wrap=True))

    @property
    def text(self) -> str:
        return self.stream.getvalue()


@pytest.fixture(scope="session")
def listening() -> type[Heard]:
    """The display that remembers, to be made as often as a test needs one."""
    return Heard


@pytest.fixture(scope="session")
def finished_once(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The output of one whole toy run and what it said."""
    project = tmp_path_factory.mktemp("finished")
    configs = write_configs(project / "configs")
    heard = Heard()
    run(Request("toy", toy, project / "output"), heard, {"HISTOBLEND_CONFIGS": str(configs)})
    return project / "output", heard.text


@pytest.fixture
def finished(finished_once: tuple[Path, str], tmp_path: Path, toy_configs: Path) -> Path:
    """A copy of that output, to be changed."""
    return Path(shutil.copytree(finished_once[0], tmp_path / "output"))
