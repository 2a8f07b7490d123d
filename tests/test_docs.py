"""What the documents promise is there: tests, files, commands, settings."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer

from histoblend import cli_kaggle
from histoblend.config import DataSettings

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def known_tests() -> set[str]:
    """Names of all tests and of their files."""
    files = list((ROOT / "tests").rglob("test_*.py"))
    found = {name for file in files for name in re.findall(r"def (test_\w+)", file.read_text())}
    return found | {file.stem for file in files}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_test_that_is_named_exists(document: Path) -> None:
    named = set(re.findall(r"\btest_[a-z0-9_]+", document.read_text()))
    assert named <= known_tests(), sorted(named - known_tests())


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(document: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", document.read_text())
    missing = [one for one in targets if "://" not in one and not (document.parent / one).exists()]
    assert not missing


def test_every_row_of_the_tables_of_odd_files_and_layouts_names_a_test() -> None:
    tables = re.findall(r"(?:^\|.*\n)+", (ROOT / "docs/data.md").read_text(), re.MULTILINE)
    rows = [row for table in tables for row in table.splitlines()[2:]]
    assert len(rows) > 25 and all("test_" in row for row in rows)


def test_the_table_of_settings_tells_the_defaults() -> None:
    text = (ROOT / "docs/data.md").read_text()
    stated = dict(re.findall(r"^\| `(\w+)` \| `(\w+)` \|", text, re.MULTILINE))
    actions = {name: value for name, value in DataSettings().model_dump().items() if value in
               {"keep", "drop", "group", "stop"}}  # fmt: skip
    assert stated == actions


def test_the_page_about_kaggle_shows_what_every_command_printed() -> None:
    """Recorded by benchmarks/kaggle_commands.py; a command added to the page shows nothing until it is run."""
    page = (ROOT / "docs/kaggle.md").read_text()
    blocks = re.findall(r"^```console\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    shown = [part for block in blocks for part in re.split(r"^\$ ", block, flags=re.MULTILINE) if part]
    assert len(shown) >= 10
    assert not [part for part in shown if not part.partition("\n")[2].strip()]


def test_the_page_about_kaggle_names_every_command() -> None:
    page = (ROOT / "docs/kaggle.md").read_text()
    app = typer.Typer()
    cli_kaggle.add_to(app)
    names = [command.callback.__name__ for command in app.registered_commands if command.callback]
    for group in app.registered_groups:
        assert group.typer_instance is not None
        names += [f"{group.name} {command.name}" for command in group.typer_instance.registered_commands]
    assert len(names) >= 10
    assert not [name for name in names if f"`{name}`" not in page and f"./run.sh {name}" not in page]
