"""The stage `download`: the competition's files from Kaggle, unpacked and checked; broken off, it goes on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import filelock

from histoblend.competition.layouts import Competition, read_competition
from histoblend.config_files import configs_folder
from histoblend.config_kaggle import KaggleSettings, load_kaggle_settings
from histoblend.errors import DataRefusal, MachineRefusal, ServiceRefusal, counted
from histoblend.kaggle.competitions import Listing, fetch_archive, list_files
from histoblend.kaggle.connection import Connection, connect
from histoblend.kaggle.unpacking import Damaged, Unpacked, check_room, unpack
from histoblend.reporting.progress import Display
from histoblend.reporting.time_left import TimeLeft
from histoblend.workspace import on_kaggle, read_json, storage_errors, write_json

RECORD, LOCK = ".download.json", ".download.lock"
FETCHES = 2  # of an archive that turns out damaged
MIB = 2**20


@dataclass(frozen=True)
class DownloadRequest:
    """What was asked for.

    Attributes:
        to: the folder to fill; else the competition's name under the project's input/.
        keep_archive: whether the zip file stays after it is unpacked.
    """

    to: Path | None = None
    keep_archive: bool = False


@dataclass(frozen=True)
class Place:
    """Where the competition called `name` is put."""

    folder: Path
    name: str

    @property
    def archive(self) -> Path:
        """The zip file while it is needed."""
        return self.folder / f"{self.name}.zip"

    @property
    def part(self) -> Path:
        """What has come of it so far."""
        return self.folder / f"{self.name}.zip.part"

    @property
    def record(self) -> Path:
        """Written when all is unpacked: how many files and bytes."""
        return self.folder / RECORD


def download_competition(request: DownloadRequest, display: Display, environment: Mapping[str, str]) -> Path:
    """Fetch, unpack and check the competition of configs/kaggle.yaml; the folder it is in.

    Raises:
        ServiceRefusal: Kaggle's side: no credential, rules not accepted, no answer.
        MachineRefusal: no room, or another download is at it.
        DataRefusal: what came does not pass the checks at the door.
    """
    settings = load_kaggle_settings(environment)
    place = _place(request, settings, environment)
    if _is_whole(place):
        display.tell(f"{place.folder} holds all files already; nothing is fetched.")
    else:
        if place.record.exists():
            display.tell(f"{place.folder} is not as the download left it: what is missing is fetched again.")
        with _held(place.folder):
            _fill(place, request.keep_archive, display, environment)
    competition = read_competition(place.folder)
    _tell_next(competition, place.folder, settings, display)
    return place.folder


def _place(request: DownloadRequest, settings: KaggleSettings, environment: Mapping[str, str]) -> Place:
    if request.to is None and on_kaggle(environment):
        raise DataRefusal(
            "This runs on Kaggle, where the competition's files are attached and not downloaded.",
            "the competition among the inputs of the session",
            "Add Input > Competitions; or name a folder with --to.",
        )
    folder = request.to or configs_folder(environment).parent / "input" / settings.competition
    return Place(folder.expanduser().absolute(), settings.competition)


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(folder / LOCK, timeout=0)
        try:
            lock.acquire()
        except filelock.Timeout:
            raise MachineRefusal(
                f"Another download into {folder} is running.", "one at a time", "wait for it, or stop it."
            ) from None
    try:
        yield
    finally:
        lock.release()


def _is_whole(place: Place) -> bool:
    """Whether files and bytes are as an earlier download left them, or what was put there otherwise is sound."""
    if place.part.exists() or (place.archive.exists() and not place.record.exists()):
        return False
    if not place.record.exists():
        return _passes_door(place.folder)
    record = read_json(place.record)
    found = [_extent(place.folder / top) for top in record["tops"]]
    files, size = (sum(column) for column in zip(*found, strict=True))
    return record["competition"] == place.name and (files, size) == (record["files"], record["bytes"])


def _passes_door(folder: Path) -> bool:
    try:
        read_competition(folder)
    except DataRefusal:
        return False
    return True


def _extent(top: Path) -> tuple[int, int]:
    """Number and bytes of the files in `top`, or of itself."""
    if not top.is_dir():
        return (1, top.stat().st_size) if top.exists() else (0, 0)
    files = size = 0
    for folder, _, names in os.walk(top):
        files += len(names)
        size += sum(os.stat(os.path.join(folder, name)).st_size for name in names)  # noqa: PTH116, PTH118
    return files, size


def _fill(place: Place, keep_archive: bool, display: Display, environment: Mapping[str, str]) -> None:
    for attempt in range(1, FETCHES + 1):
        if not place.archive.exists():
            connection = connect(environment, display)
            _fetch(place, connection, display)
            connection.end()
        try:
            unpacked = _unpack(place, display)
            break
        except Damaged as damage:
            place.archive.unlink()
            if attempt == FETCHES:
                raise ServiceRefusal(
                    f"The archive came damaged {FETCHES} times ({damage}).",
                    "a zip file whose checksums hold",
                    "try again later; what is unpacked is kept.",
                ) from damage
            display.warn(f"The archive is damaged ({damage}): it is fetched anew; whole files are kept.")
    kept = f", {unpacked.kept:,} of them were there" if unpacked.kept else ""
    display.tell(f"Unpacked: {counted(unpacked.files, 'file')}, {unpacked.bytes / MIB:,.1f} MiB{kept}.")
    if not keep_archive:
        place.archive.unlink()  # before the record: a folder that has one is never looked through for an archive
    write_json(place.record, {"competition": place.name, **asdict(unpacked)})


def _unpack(place: Place, display: Display) -> Unpacked:
    with display.counting("Unpacking") as count:
        return unpack(place.archive, place.folder, TimeLeft(count, display.tell))


def _fetch(place: Place, connection: Connection, display: Display) -> None:
    listing = list_files(connection, place.name)
    display.tell(f"Competition {place.name}: {_in_words(listing)}.")
    if place.part.exists():
        display.tell(f"{place.part.stat().st_size / MIB:,.1f} MiB lie here from an earlier download.")
    with display.counting("Downloading, MiB") as count:
        arrival = _Arrival(place, listing, TimeLeft(count, display.tell))
        size = fetch_archive(connection, place.name, place.archive, arrival)
    display.tell(f"Downloaded: {size / MIB:,.1f} MiB.")


class _Arrival:
    """Counts what comes in MiB; at the first word, when the size is known, it sees whether there is room."""

    def __init__(self, place: Place, listing: Listing, count: Callable[[int, int], None]) -> None:
        self._place, self._count = place, count
        self._unpacked = sum(listing.sizes.values()) if listing.complete else 0
        self._first: int | None = None

    def __call__(self, done: int, total: int) -> None:
        if self._first is None:
            self._first = done
            needed = total - done + max(self._unpacked, total)  # unpacked it is hardly less
            check_room(needed, self._place.folder, "The archive and the files in it take")
        self._count((done - self._first) // MIB, (total - self._first) // MIB)


def _in_words(listing: Listing) -> str:
    files = counted(len(listing.sizes), "file")
    if not listing.complete:
        return f"more than {files}"
    return f"{files}, {sum(listing.sizes.values()) / MIB:,.1f} MiB unpacked"


def _tell_next(competition: Competition, folder: Path, settings: KaggleSettings, display: Display) -> None:
    counts = ", ".join(f"{number:,} {name}" for name, number in competition.class_counts().items())
    display.tell(
        f"Checked: {counted(len(competition.train), 'training patch')} ({counts}), "
        f"{counted(len(competition.test), 'test patch')}."
    )
    for note in competition.notes:
        display.tell(note)
    if competition.slide_map is None:
        display.tell(
            f"No slide map yet: folds by slide need {settings.slide_map}, which is not among the competition's files. "
            f"It is the dataset histopathologicwsifull on Kaggle; put the file into {folder}."
        )
    display.tell(f"Next: ./run.sh run --data {folder}")
