"""The script's text: the same files give the same bytes, everything travels, too much is refused by name."""

from __future__ import annotations

import base64
import io
import os
import random
import subprocess
import sys
import tarfile
from importlib import metadata
from pathlib import Path
from types import ModuleType
from zipfile import ZipFile

import pytest

from histoblend.errors import ConfigRefusal, MachineRefusal
from histoblend.kaggle.session import bootstrap, carrying, script, script_text
from histoblend.requirements import requirements

CHECKOUT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def text() -> str:
    return script_text("quick", ("training.epochs=3",), CHECKOUT / "configs")


def loaded(text: str) -> ModuleType:
    """The script as a module, without being run."""
    module = ModuleType("script")
    exec(compile(text, "script.py", "exec"), module.__dict__)
    return module


def test_a_person_sees_what_it_is_and_where_it_came_from(text):
    head = text.split('"""')[0]
    assert all(line.startswith("#") for line in head.strip().splitlines())
    assert "./run.sh kernel push --plan quick --set training.epochs=3" in head
    module = loaded(text)
    assert module.CARRIED["fingerprint"] in head and module.CARRIED["version"] in head
    assert len(text.encode()) < script.LIMIT


def test_package_data_and_configs_travel_and_nothing_else(text):
    archive = base64.b64decode(loaded(text).ARCHIVE)
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        names = set(tar.getnames())
        members = tar.getmembers()
    package = CHECKOUT / "src" / "histoblend"
    there = {path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert {f"src/histoblend/{path.relative_to(package).as_posix()}" for path in there} <= names
    assert {"pyproject.toml", "configs/plans/quick.yaml", "configs/kaggle.yaml"} <= names
    assert not [name for name in names if "__pycache__" in name or "schema.json" in name]
    assert {(one.mtime, one.uid, one.gid, one.uname) for one in members} == {(0, 0, 0, "")}


@pytest.fixture
def small_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that is compressed in no time."""
    folder = tmp_path / "checkout" / "src" / "histoblend"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (tmp_path / "checkout" / "pyproject.toml").write_text("[project]\ndependencies = []\n")
    monkeypatch.setattr(carrying, "PACKAGE", folder)


def test_the_same_files_give_the_same_text_whenever_they_were_written(toy_configs, small_package):
    before = script_text("toy", (), toy_configs)
    for path in toy_configs.rglob("*.yaml"):
        os.utime(path, (1, 1))
    assert script_text("toy", (), toy_configs) == before
    (toy_configs / "plans" / "toy.yaml").write_text("experiments: [first]\n")
    assert loaded(script_text("toy", (), toy_configs)).CARRIED["sha256"] not in before


def test_it_carries_whether_an_earlier_output_is_expected(toy_configs, small_package):
    plain, told = (
        loaded(script_text("toy", (), toy_configs, **words)).CARRIED
        for words in ({}, {"goes_on": True, "anew": True})
    )
    assert (plain["expects_earlier"], plain["anew"]) == (False, False)
    assert (told["expects_earlier"], told["anew"]) == (True, True)


def test_an_installed_package_carries_what_it_requires_or_is_refused(
    toy_configs, small_package, tmp_path, monkeypatch
):
    (tmp_path / "checkout" / "pyproject.toml").unlink()
    required = ["numpy>=2", 'tzdata; sys_platform == "win32"', 'ruff; extra == "dev"']
    monkeypatch.setattr(metadata, "requires", lambda name: required)
    with tarfile.open(fileobj=io.BytesIO(carrying.carry(toy_configs).archive)) as tar:
        project = tmp_path / "pyproject.toml"
        project.write_bytes(tar.extractfile("pyproject.toml").read())
    assert requirements(project) == ["numpy>=2", "tzdata"]
    monkeypatch.setattr(metadata, "requires", unknown)
    with pytest.raises(MachineRefusal, match="not installed"):
        script_text("toy", (), toy_configs)


def unknown(name: str) -> None:
    raise metadata.PackageNotFoundError(name)


def test_a_cell_that_is_run_late_counts_the_time_of_its_notebook_before_it():
    module = bootstrap.__file__  # by itself, as the script has it
    late = f"import time; time.sleep(0.3); exec(open({module!r}).read()); print(age_of_process())"
    said = subprocess.check_output([sys.executable, "-c", late])
    assert float(said) >= 0.3 - 1 / os.sysconf("SC_CLK_TCK")


def test_more_than_kaggle_takes_is_refused_by_the_biggest_parts(toy_configs, small_package):
    noise = base64.b64encode(random.Random(0).randbytes(800_000)).decode()
    (toy_configs / "experiments" / "large.yaml").write_text(f"# {noise}\n")
    with pytest.raises(MachineRefusal, match=r"configs/experiments/large\.yaml .*\n") as refusal:
        script_text("toy", (), toy_configs)
    assert "1,000,000 bytes" in refusal.value.expected


def test_a_plan_that_cannot_run_is_refused_here_and_not_on_kaggle(toy_configs):
    with pytest.raises(ConfigRefusal, match="path"):
        script_text(str(toy_configs / "plans" / "toy.yaml"), (), toy_configs)
    with pytest.raises(ConfigRefusal, match="toyy"):
        script_text("toyy", (), toy_configs)
    with pytest.raises(ConfigRefusal, match="epochz"):
        script_text("toy", ("training.epochz=3",), toy_configs)


def test_an_edited_archive_is_refused_before_anything_is_unpacked(text, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HISTOBLEND_KAGGLE_ROOT", str(tmp_path))
    module = loaded(text)
    cut = base64.b64encode(base64.b64decode(module.ARCHIVE)[:-8]).decode()
    assert module.run_carried(module.CARRIED, cut) == bootstrap.DAMAGED
    assert "damaged" in (said := capsys.readouterr().out) and module.CARRIED["sha256"] in said
    assert not any(tmp_path.iterdir())


@pytest.fixture
def lacking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package that needs a module which is not here, and no network."""
    folder = tmp_path / "temp" / "package"
    module = folder / "src" / "histoblend" / "requirements.py"
    module.parent.mkdir(parents=True)
    module.write_text((CHECKOUT / "src" / "histoblend" / "requirements.py").read_text())
    (folder / "pyproject.toml").write_text(
        '[project]\ndependencies = ["numpy>=2", "rare-beast>=1", "kaggle"]\n'
    )
    monkeypatch.setattr(bootstrap, "reachable", lambda host, port: False)
    return folder


def test_missing_modules_are_refused_by_name(lacking, tmp_path, capsys):
    environment = bootstrap.environment_of(lacking, {"version": "1", "fingerprint": "f"}, 0.0)
    assert not bootstrap.complete(lacking, environment, tmp_path)
    said = capsys.readouterr().out
    assert "could not be installed: rare-beast>=1\n" in said
    assert "kernel.internet: true" in said and ".whl" in said


def test_missing_modules_come_from_attached_wheels(lacking, tmp_path):
    pytest.importorskip("pip")
    wheels = tmp_path / "input" / "datasets" / "owner" / "wheels"
    wheels.mkdir(parents=True)
    about = "rare_beast-1.0.dist-info"
    with ZipFile(wheels / "rare_beast-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("rare_beast.py", "LEGS = 5\n")
        wheel.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: rare-beast\nVersion: 1.0\n")
        wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{about}/RECORD", "")
    environment = bootstrap.environment_of(lacking, {"version": "1", "fingerprint": "f"}, 0.0)
    assert bootstrap.complete(lacking, environment, tmp_path)
    assert [path.name for path in (lacking / "installed").glob("*.py")] == ["rare_beast.py"]
    assert str(lacking / "installed") not in sys.path  # of the run's own process alone


def test_where_temp_cannot_be_made_the_system_has_one(tmp_path):
    (tmp_path / "file").write_text("")
    assert bootstrap.scratch(tmp_path / "file") is None
    assert bootstrap.scratch(tmp_path) == tmp_path / "temp"
