"""`histoblend networks`: the registry in figures, and the page of what its networks reached."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from histoblend.config_files import config_names, configs_folder, load_experiment
from histoblend.errors import ArtifactRefusal
from histoblend.execution.device import quiet_start
from histoblend.models.registry import NETWORKS, find_network
from histoblend.reporting.progress import Display
from histoblend.trials.record import Content, all_records
from histoblend.workspace import read_json, write_json, write_text


def list_networks(
    name: str | None, *, as_json: bool, display: Display, environment: Mapping[str, str]
) -> None:
    """Print the table of all networks, or one in detail.

    Raises:
        ConfigRefusal: there is no network of that name.
    """
    users = experiments_by_network(configs_folder(environment))
    if name is not None:
        find_network(name)
    rows = build_facts([name] if name else list(NETWORKS), None, display, quiet=as_json)
    from histoblend.reporting import networks_table as tables

    if as_json:
        found = [tables.described(facts, users.get(facts.name, ())) for facts in rows]
        print(json.dumps(found[0] if name else found, indent=2))
        return
    if name is None:
        display.show(tables.printed_networks(rows, users))
        return
    for line in tables.printed_head(rows[0], users.get(name, ())):
        display.tell(line)
    display.show(tables.printed_settings(name))
    if rows[0].stages:
        display.show(tables.printed_stages(rows[0]))


def experiments_by_network(configs: Path) -> dict[str, list[str]]:
    """Names of the experiments that use each network."""
    users: dict[str, list[str]] = {}
    for name in config_names(configs / "experiments"):
        users.setdefault(load_experiment(name, configs).network.name, []).append(name)
    return users


def build_facts(
    names: Sequence[str], input_size: int | None, display: Display, *, quiet: bool = False
) -> list[Any]:
    """The facts of each network, in order; every one is built once, so this takes some seconds each."""
    with quiet_start():
        from histoblend.models.facts import network_facts

    if quiet:
        return [network_facts(name, None, input_size) for name in names]
    rows = []
    with display.counting("Building networks") as count:
        for number, name in enumerate(names):
            count(number, len(names))
            rows.append(network_facts(name, None, input_size))
    return rows


def write_page(page: Path, trials: Path | None, display: Display) -> None:
    """Write page, figure and, beside the page, the records they are made from.

    Args:
        trials: output folder of `trial`; None to make the page anew from the records beside it.

    Raises:
        ArtifactRefusal: there are no records.
    """
    from histoblend.reporting.networks_figure import write_figure
    from histoblend.reporting.networks_page import figure_path, has_scores, page_text

    kept = page.with_suffix(".json")
    if trials is not None:
        content = gathered(all_records(trials), display)
        write_json(kept, content)
    elif kept.exists():
        content = read_json(kept)
    else:
        raise ArtifactRefusal(
            f"There are no records beside {page} ({kept.name}).",
            "the records of trials",
            "name --trials FOLDER.",
        )
    if has_scores(content["trials"]):
        write_figure(figure_path(page), content["trials"])
        display.tell(f"Written: {figure_path(page)}")
    write_text(page, page_text(content, page))
    display.tell(f"Written: {page}, from {kept}")


def gathered(records: Sequence[Content], display: Display) -> dict[str, Any]:
    """The records, and size and cost of every network that has none."""
    tried = {record["network"] for record in records}
    rest = [name for name, row in NETWORKS.items() if row.kind == "keras" and name not in tried]
    facts = build_facts(rest, 96, display) if rest else []
    others = [
        {
            "name": one.name,
            "family": find_network(one.name).family,
            "parameters": one.parameters,
            "macs": one.macs,
        }
        for one in facts
    ]
    return {"trials": list(records), "not_tried": others}
