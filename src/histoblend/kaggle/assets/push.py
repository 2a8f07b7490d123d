"""`assets push`: collected, compared with what is on Kaggle, sent if it changed, waited for, verified."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from histoblend.competition.leak_check import check_sent_files
from histoblend.config_files import configs_folder, load_plan, plan_experiments
from histoblend.config_kaggle import KaggleSettings, load_kaggle_settings
from histoblend.errors import ConfigRefusal, ServiceRefusal, counted, some
from histoblend.kaggle.assets.collecting import (
    Collected,
    check_any,
    fetched_weights,
    slide_map_asset,
    weights_assets,
)
from histoblend.kaggle.assets.earlier import earlier_output
from histoblend.kaggle.assets.manifest import Asset, Manifest
from histoblend.kaggle.assets.printed import folder_of, printed_assets
from histoblend.kaggle.assets.request import AssetsRequest
from histoblend.kaggle.assets.staging import metadata_of, stage
from histoblend.kaggle.connection import Connection, connect
from histoblend.kaggle.credentials import find_credential
from histoblend.kaggle.datasets import FAILED, READY, Dataset, State, look, send, wait_listed, wait_ready
from histoblend.preparation import default_output
from histoblend.reporting.progress import Display
from histoblend.workspace import Workspace, locked

LARGEST = 20 * 2**30
"""What a session's own output may hold: more could not have come out of one, and would not go into the next."""


@dataclass(frozen=True)
class Ready:
    """What is to be sent, from where, and whether what is not sent may leave the dataset."""

    manifest: Manifest
    folder: Path
    remove: bool = False


def push_assets(request: AssetsRequest, display: Display, environment: Mapping[str, str]) -> None:
    """Bring the dataset up to date with this machine, and wait until a session can use it.

    Typed again it sends nothing if nothing changed; after a break it goes on.

    Raises:
        Refusal: something is missing here, or may not be sent; ServiceRefusal: Kaggle did not do what it was asked to.
    """
    settings = load_kaggle_settings(environment)
    if not request.dry_run:
        find_credential(environment)  # before weights are fetched for nothing
    with _held(request.output):
        manifest = collected(request, settings, display, environment)
        if manifest is None:
            return
        connection = connect(environment, display)
        dataset = Dataset(connection.username(), settings.assets.slug)
        staging = _workspace(request, environment).cache / "kaggle-assets"
        bring(Ready(manifest, staging, request.remove), connection, dataset, display)


def collected(
    request: AssetsRequest, settings: KaggleSettings, display: Display, environment: Mapping[str, str]
) -> Manifest | None:
    """What is to be sent, told as a table; None after a dry run, which fetches nothing.

    Raises:
        Refusal: something is missing here, or may not be sent.
    """
    configs = configs_folder(environment)
    plan = load_plan(request.plan or settings.kernel.plan, configs)
    slide_map = slide_map_asset(request.slide_map, plan, environment, configs.parent / "input")
    weights = weights_assets(plan_experiments(plan, configs), plan.data.side, environment)
    for note in _notes(slide_map, weights):
        display.warn(note)
    assets = [*([slide_map] if slide_map else []), *weights.assets]
    if weights.missing and not request.dry_run:
        display.tell(f"Fetching {counted(len(weights.missing), 'file')} of pretrained weights.")
        assets += fetched_weights(weights.missing, plan.data.side)
    if request.output is not None:
        assets.append(earlier_output(Workspace(request.output.absolute())))
    if not weights.missing:
        check_any(assets)
    check_sent_files(asset.source for asset in assets if not asset.members)
    manifest = Manifest(tuple(assets))
    check_size(manifest)
    users = {name: [one.name for one in starting] for name, starting in weights.missing.items()}
    display.show(printed_assets(manifest, users if request.dry_run else {}))
    display.tell(f"From {', '.join(sorted({folder_of(asset) for asset in assets}))}.")
    total = f"{counted(len(assets), 'file')} and the manifest, {manifest.size / 2**20:,.1f} MiB"
    if request.dry_run:
        display.tell(
            f"Dry run: {total} would go to the private dataset {settings.assets.slug}; nothing was sent, and nobody "
            "asked what it holds."
        )
        return None
    display.tell(f"Plan {plan.name}: {total}.")
    return manifest


def bring(ready: Ready, connection: Connection, dataset: Dataset, display: Display) -> None:
    """Send what is `ready` unless Kaggle has it, and wait until it is listed file by file.

    Raises:
        ServiceRefusal: Kaggle did not do what it was asked to.
    """
    manifest = ready.manifest
    before = settled(connection, dataset, display)
    if before is not None:
        check_private(dataset, before)
        if before.word == READY and not manifest.compared(before.files):
            display.tell(f"{dataset.ref}, version {before.version}, holds all of it already: nothing to do.")
            return
        check_unsent(ready, dataset, before)
    stage(manifest, metadata_of(dataset), ready.folder)
    with display.counting(f"Sending to {dataset.ref} (bytes)") as count:
        send(connection, dataset, ready.folder, f"histoblend {manifest.name}", before, count)
    with display.counting("Waiting until Kaggle has processed it (looks)") as count:
        state = wait_listed(connection, dataset, manifest.compared, count)
    check_private(dataset, state)
    shutil.rmtree(ready.folder, ignore_errors=True)
    listed = f"{counted(len(state.files), 'file')}, {sum(state.files.values()) / 2**20:,.1f} MiB"
    display.tell(
        f"Ready: {dataset.address}, version {state.version}, private. Kaggle lists {listed}, as they were sent. "
        "`./run.sh kernel push` mounts it."
    )


def settled(connection: Connection, dataset: Dataset, display: Display) -> State | None:
    """How the dataset stands once nothing is being processed; None where there is none.

    Raises:
        ServiceRefusal: it is still being processed after a long while.
    """
    state = look(connection, dataset)
    if state is None or state.word in (READY, FAILED):
        return state
    display.tell(
        f"{dataset.ref} is still being processed ({state.word.replace('_', ' ')}), from an earlier push."
    )
    with display.counting("Waiting for the earlier version (looks)") as count:
        return wait_ready(connection, dataset, count)


def check_private(dataset: Dataset, state: State) -> None:
    """Refuse a dataset that others see.

    Raises:
        ServiceRefusal: it is public.
    """
    if not state.private:
        raise ServiceRefusal(
            f"{dataset.ref} is public.",
            "a private dataset: checkpoints and files of others are not published by this command",
            f"make it private ({dataset.address}/settings), or set another assets.slug in configs/kaggle.yaml.",
        )


def check_unsent(ready: Ready, dataset: Dataset, before: State) -> None:
    """Refuse a version without files that the one before holds: a new version holds what is sent and nothing else.

    Raises:
        ConfigRefusal: there are such files, and --remove was not given.
    """
    unsent = ready.manifest.unsent(before.files)
    if unsent and not ready.remove:
        raise ConfigRefusal(
            f"{dataset.ref} holds {some(unsent)}, and the new version would not: it holds what is sent now and nothing "
            "else.",
            "all that is there already among what is sent, or --remove",
            "name what it came from too: --output FOLDER (an earlier output), --slide-map FILE, --plan NAME (weights); "
            "or let it go with --remove.",
        )


def check_size(manifest: Manifest) -> None:
    """Refuse more than a session could have handed back.

    Raises:
        ConfigRefusal: it is.
    """
    if manifest.size > LARGEST:
        heaviest = max(manifest.assets, key=lambda asset: asset.size)
        raise ConfigRefusal(
            f"{manifest.size / 2**30:,.1f} GiB would be sent, most of it as {heaviest.name} "
            f"({heaviest.size / 2**30:,.1f} GiB).",
            f"at most {LARGEST / 2**30:.0f} GiB, which is what a session's output may hold",
            "archive experiments that are not needed (histoblend archive NAME), or leave --output out.",
        )


def _notes(slide_map: Asset | None, weights: Collected) -> list[str]:
    if slide_map is not None:
        return weights.notes
    return [
        "No slide map was found (beside the data, in input/): unless another dataset holds one, folds on Kaggle are "
        "cut along pseudo-slides from stain, and are other folds than here. To do: --slide-map FILE.",
        *weights.notes,
    ]


def _workspace(request: AssetsRequest, environment: Mapping[str, str]) -> Workspace:
    project = configs_folder(environment).parent
    return Workspace((request.output or default_output(project, environment)).absolute())


@contextmanager
def _held(output: Path | None) -> Iterator[None]:
    """Let no run change the output folder while it is packed; nothing where none is sent."""
    if output is None or not Workspace(output).run_record.exists():
        yield
        return
    with locked(Workspace(output.absolute())):
        yield
