"""What the audit of the data found, and how to make all of this again."""

from __future__ import annotations

from shlex import quote

import yaml

from histoblend.artifacts.artifacts import Artifacts
from histoblend.report_page.blocks import Block, CodeBlock, Column, Section, TableBlock, Words
from histoblend.report_page.wording import number_cell, words_cell

GRAVITY = {"wrong": 0, "odd": 1, "note": 2}


def audit_section(artifacts: Artifacts) -> Section:
    """Findings of ``histoblend audit``, or how to have them."""
    title, audit = "What is odd in the data", artifacts.data_audit
    command = CodeBlock(
        f"./run.sh audit{_data(artifacts)} --output {quote(str(artifacts.workspace.folder))}",
        (
            "Looks for unreadable, blank and duplicate patches, odd colours, labels in doubt and shift "
            "between train and test:"
        ),
    )
    if audit is None:
        return Section(
            "audit", title, (Words("The data has not been audited in this output folder."), command)
        )
    blocks: list[Block] = []
    if audit.data.get("fingerprint") != artifacts.run.data.fingerprint:
        blocks.append(
            Words("The audit was of other data than the run: its findings may not hold here.", "warning")
        )
    findings = sorted(audit.findings, key=lambda one: GRAVITY.get(one.severity, 3))
    if not findings:
        return Section("audit", title, (*blocks, Words("The audit found nothing.")))
    columns = (
        Column(
            "gravity",
            False,
            "wrong: mend it or know it before a score is believed; odd: look at it; note: a fact.",
        ),
        Column("kind"),
        Column("part"),
        Column("count", True, "Patches, or whatever else is counted."),
        Column("in training", False, "What training does with them."),
        Column("what"),
    )
    rows = tuple(
        (
            number_cell(GRAVITY.get(one.severity, 3), one.severity),
            words_cell(one.kind),
            words_cell(one.part),
            number_cell(one.count, f"{one.count:,}"),
            words_cell(one.training or "–"),
            words_cell(one.sentence),
        )
        for one in findings
    )
    marked = tuple(place for place, one in enumerate(findings) if one.severity == "wrong")
    where = f"Ids and pictures of all of them: {artifacts.workspace.audit}."
    blocks += [TableBlock("Findings of the audit", columns, rows, marked), Words(where)]
    return Section("audit", title, tuple(blocks))


def reproduce_section(artifacts: Artifacts) -> Section:
    """Commands, settings, versions and fingerprints."""
    run = artifacts.run
    blocks: list[Block] = [
        Words(
            "Data, split and every experiment have a fingerprint: hashes of decoded pixels and labels, of "
            "the folds, and of settings, data and folds together. The same fingerprints mean the same task; "
            "trained anew on another machine or in another precision, scores agree to about the noise of a "
            "seed, not digit by digit."
        ),
        CodeBlock(
            f"./run.sh run {run.plan_name}{_data(artifacts)} --output output/again\n"
            "./run.sh report --output output/again",
            "The same plan into a new folder, then this page:",
        ),
        CodeBlock(
            _plan(artifacts),
            (
                "The plan as it ran, defaults and --set spelled out; what was --set goes behind the command "
                "above:"
            ),
        ),
        Words(
            f"Settings of each experiment: config.yaml in its folder under {artifacts.workspace.experiments}."
        ),
        _fingerprints(artifacts),
        *_sources(artifacts),
        _versions(artifacts),
    ]
    return Section("reproduce", "How to make this again", tuple(blocks))


def _data(artifacts: Artifacts) -> str:
    """The option that names the data; none where the plan brings it."""
    return f" --data {quote(artifacts.run.data.root)}" if artifacts.run.of_files else ""


def _plan(artifacts: Artifacts) -> str:
    return str(yaml.safe_dump(artifacts.run.plan, sort_keys=False, allow_unicode=True)).rstrip()


def _fingerprints(artifacts: Artifacts) -> TableBlock:
    run = artifacts.run
    rows = [
        ("data", run.data.name, run.data.fingerprint, ""),
        ("folds", "folds.csv", run.folds.fingerprint, ""),
        *(
            (
                one.metrics.kind,
                one.name,
                str(one.settings.get("fingerprint", "")),
                str(run.weights.get(one.name, "")),
            )
            for one in artifacts.ranked
            if one.settings
        ),
    ]
    columns = (
        Column("what"),
        Column("name"),
        Column("fingerprint"),
        Column("start", False, "Weights the training began with, where the last run says it."),
    )
    return TableBlock("Fingerprints", columns, tuple(tuple(words_cell(text) for text in row) for row in rows))


def _sources(artifacts: Artifacts) -> list[Block]:
    """The files the last run was made from; nothing where it did not note them."""
    if not artifacts.run.sources:
        return []
    columns = (Column("what"), Column("file"), Column("sha256", False, "Hash of the file's bytes."))
    rows = [(one.kind, one.path, one.sha256 or "–") for one in artifacts.run.sources]
    return [
        TableBlock("Sources of the last run", columns, tuple(tuple(map(words_cell, row)) for row in rows))
    ]


def _versions(artifacts: Artifacts) -> TableBlock:
    rows = tuple((words_cell(name), words_cell(one)) for name, one in artifacts.run.versions.items())
    return TableBlock("Versions of the last run", (Column("package"), Column("version")), rows)
