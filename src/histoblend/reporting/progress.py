"""What a run says while it works: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Column, Table

from histoblend.execution.clock import Clock
from histoblend.training.observer import Observer

PLAIN_WIDTH = 160  # of tables in files and pipes
BAR_WIDTH = 100  # of a terminal that has room for bars
PLAIN_SECONDS = 20.0  # between two lines of a counter


def duration(seconds: float) -> str:
    """``1h02m``, ``3m05s`` or ``12s``."""
    seconds = round(max(seconds, 0))
    if seconds >= 3600:
        return f"{seconds // 3600}h{seconds % 3600 // 60:02d}m"
    return f"{seconds // 60}m{seconds % 60:02d}s" if seconds >= 60 else f"{seconds}s"


class Display:
    """Lines, tables and progress of one run."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(soft_wrap=True, highlight=False)
        self.live = self.console.is_terminal
        if not self.live:
            self.console = Console(file=self.console.file, soft_wrap=True, highlight=False, width=PLAIN_WIDTH)

    def tell(self, text: str) -> None:
        """One line."""
        self.console.print(text, markup=False)

    def warn(self, text: str) -> None:
        """One line that must not be missed."""
        self.console.print(text, style="bold yellow", markup=False)

    def show(self, table: Table) -> None:
        """A table."""
        self.console.print(table, soft_wrap=False)

    @contextmanager
    def counting(self, what: str) -> Iterator[Callable[[int, int], None]]:
        """Progress of something counted: a function of (done, all)."""
        if not self.live:
            yield self._plain_counter(what)
            return
        with Progress(*_columns(self.console.width), console=self.console, transient=True) as progress:
            bar = progress.add_task(what, total=None, detail="")

            def count(done: int, total: int) -> None:
                progress.update(bar, completed=done, total=total, detail=f"{done:,} of {total:,}")

            yield count

    def _plain_counter(self, what: str) -> Callable[[int, int], None]:
        told = time.monotonic()

        def count(done: int, total: int) -> None:
            nonlocal told
            if time.monotonic() - told >= PLAIN_SECONDS:
                told = time.monotonic()
                self.tell(f"{what}: {done:,} of {total:,}")

        return count

    @contextmanager
    def training(self, label: str, clock: Clock) -> Iterator[Observer]:
        """Progress of one task as an observer of its steps and epochs."""
        with self.side_by_side() as rows:
            yield rows.begin(label, clock.left)

    @contextmanager
    def side_by_side(self) -> Iterator[Rows]:
        """Progress of several tasks at the same time: a row for each on a terminal, else lines."""
        if not self.live:
            yield Rows(self.tell)
            return
        with Progress(*_columns(self.console.width), console=self.console, transient=True) as progress:
            yield Rows(self.tell, progress)


class Rows:
    """Who shows the tasks that run: one observer for each."""

    def __init__(self, tell: Callable[[str], None], progress: Progress | None = None) -> None:
        self._tell, self._progress = tell, progress
        self._bars: dict[int, TaskID] = {}  # by the observer's identity

    def begin(self, label: str, left: Callable[[float], float]) -> Observer:
        """An observer of a task that begins.

        Args:
            left: seconds until all tasks are finished, when a share of this one is behind us.
        """
        if self._progress is None:
            return _plain_observer(label, left, self._tell)
        bar = self._progress.add_task(label, total=None, detail="starting")
        observer = _live_observer(self._progress, bar, left)
        self._bars[id(observer)] = bar
        return observer

    def end(self, observer: Observer) -> None:
        """The task of `observer` runs no more."""
        if self._progress is not None:
            self._progress.remove_task(self._bars.pop(id(observer)))


def epoch_line(row: dict[str, float], epochs: int) -> str:
    """Epoch, loss, accuracy, inner-split AUC where watched, and rate, in one line."""
    parts = [
        f"epoch {row['epoch']:.0f}/{epochs}",
        f"loss {row['loss']:.4f}",
        f"accuracy {row['accuracy']:.3f}",
    ]
    if "inner_auc" in row:
        parts.append(f"inner AUC {row['inner_auc']:.4f}")
    return "  ".join([*parts, f"{row['images_per_second']:.0f} images/s"])


def _columns(width: int) -> tuple[TextColumn | BarColumn, ...]:
    """What is counted stays whole; beside it the detail takes more lines where one does not hold it."""
    detail = TextColumn("{task.fields[detail]}", table_column=Column(overflow="fold"))
    bar = [BarColumn(bar_width=12)] if width >= BAR_WIDTH else []
    return TextColumn("{task.description}"), *bar, detail


def _plain_observer(label: str, left: Callable[[float], float], tell: Callable[[str], None]) -> Observer:
    epochs = 1

    def on_start(all_epochs: int, steps: int) -> None:
        nonlocal epochs
        epochs = all_epochs

    def on_epoch(row: dict[str, float]) -> None:
        tell(f"{label}  {epoch_line(row, epochs)}  left {duration(left(row['epoch'] / epochs))}")

    return Observer(on_start=on_start, on_epoch=on_epoch)


def _live_observer(progress: Progress, bar: TaskID, left: Callable[[float], float]) -> Observer:
    epochs, steps, last = 1, 1, ""

    def on_start(all_epochs: int, all_steps: int) -> None:
        nonlocal epochs, steps
        epochs, steps = all_epochs, all_steps
        progress.update(bar, total=epochs * steps)

    def on_step(epoch: int, step: int, loss: float) -> None:
        done = epoch * steps + step
        time_left = duration(left(done / (epochs * steps)))
        detail = f"epoch {epoch + 1}/{epochs}  all left {time_left}  loss {loss:.4f}{last}"
        progress.update(bar, completed=done, detail=detail)

    def on_epoch(row: dict[str, float]) -> None:
        nonlocal last
        auc = f"  inner AUC {row['inner_auc']:.4f}" if "inner_auc" in row else ""
        last = f"{auc}  {row['images_per_second']:.0f} images/s"
        progress.update(bar, completed=row["epoch"] * steps)
        if row["epoch"] >= epochs:
            progress.update(bar, detail="finishing: predictions of the held-out fold and of test")

    return Observer(on_start, on_step, on_epoch)
