"""What the documents promise is there: tests, files, commands, settings."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

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
