"""What a run says: plain lines with everything in them, and a live display that holds."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest
from rich.console import Console
from rich.table import Table

from histoblend.execution.clock import Clock, Estimate
from histoblend.reporting import progress
from histoblend.reporting.progress import PLAIN_SECONDS, Display, duration, epoch_line

ROW = {"epoch": 1.0, "loss": 0.51234, "accuracy": 0.75, "images_per_second": 321.4}


def display(live: bool = False, width: int = 100) -> tuple[Display, io.StringIO]:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=live, width=width, soft_wrap=True, highlight=False)
    return Display(console), stream


def clock(*seconds: float) -> Clock:
    return Clock([Estimate(f"net{number}", "keras", one) for number, one in enumerate(seconds)])


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3, "0s"),
        (0.4, "0s"),
        (59.4, "59s"),
        (59.6, "1m00s"),
        (185, "3m05s"),
        (3599.6, "1h00m"),
        (3720, "1h02m"),
        (40 * 3600 + 59 * 60 + 59, "40h59m"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_the_inner_auc_stands_only_where_something_watches_it() -> None:
    assert epoch_line(ROW, 4) == "epoch 1/4  loss 0.5123  accuracy 0.750  321 images/s"
    assert "inner AUC 0.8765" in epoch_line({**ROW, "inner_auc": 0.87654}, 4)


def test_a_plain_line_holds_task_epoch_loss_rate_and_time_left() -> None:
    chosen, stream = display()
    with chosen.training("[2/6] net fold 1", clock(100.0, 50.0)) as observer:
        observer.on_start(4, 10)
        observer.on_step(0, 5, 0.7)
        observer.on_epoch(ROW)
        observer.on_epoch({**ROW, "epoch": 4.0})
    first, last = stream.getvalue().splitlines()
    assert first == f"[2/6] net fold 1  {epoch_line(ROW, 4)}  left 2m05s"  # 75 s of this task and 50 s
    assert last.endswith("left 50s")


def test_plain_counting_speaks_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: now[0]))
    chosen, stream = display()
    with chosen.counting("Decoding") as count:
        for second in range(0, 50, 5):
            now[0] = float(second)
            count(second * 100, 5000)
    spoken = [f"Decoding: {second * 100:,} of 5,000" for second in (PLAIN_SECONDS, 2 * PLAIN_SECONDS)]
    assert stream.getvalue().splitlines() == [line.replace(".0", "") for line in spoken]


def test_lines_are_printed_as_they_are_whatever_their_brackets_and_length() -> None:
    text = "[bold]x[/bold] [1/20] /a/path" + " long" * 60
    for live in (False, True):
        chosen, stream = display(live)
        chosen.tell(text)
        chosen.warn(text)
        assert stream.getvalue().count(text) == 2


def test_a_table_in_a_file_is_not_squeezed() -> None:
    chosen, stream = display()
    table = Table(*[f"a heading of some length {number}" for number in range(5)])
    chosen.show(table)
    assert "a heading of some length 4" in stream.getvalue()
    assert "\x1b" not in stream.getvalue()


def test_a_live_display_shows_the_same_and_lets_lines_through() -> None:
    chosen, stream = display(live=True)
    assert chosen.live
    with chosen.training("[2/6] net fold 1", clock(100.0, 50.0)) as observer:
        observer.on_start(4, 10)
        observer.on_step(0, 5, 0.7)
        observer.on_epoch({**ROW, "inner_auc": 0.9})
        chosen.tell("a line in between")
        observer.on_step(1, 10, 0.6)
    shown = stream.getvalue()
    assert "[2/6] net fold 1" in shown  # rich reads some brackets as markup
    assert "a line in between" in shown
    for part in ("epoch 2/4", "loss 0.6000", "inner AUC 0.9000", "321 images/s", "all left 1m40s"):
        assert part in shown


def test_tasks_side_by_side_have_a_row_each() -> None:
    chosen, stream = display(live=True)
    with chosen.side_by_side() as rows:
        one = rows.begin("card 0: [1/2] net fold 0", lambda share: 100 * (1 - share))
        other = rows.begin("card 1: [2/2] net fold 1", lambda share: 60 * (1 - share))
        one.on_start(4, 10)
        other.on_start(2, 10)
        one.on_step(0, 5, 0.7)
        other.on_step(0, 5, 0.6)
        stream.truncate(0)
    shown = stream.getvalue()
    for part in ("card 0: [1/2] net fold 0", "card 1: [2/2] net fold 1", "all left 1m28s", "all left 45s"):
        assert part in shown
    with chosen.side_by_side() as rows:
        rows.end(rows.begin("ended", lambda share: 0.0))
        rows.begin("running", lambda share: 0.0)
        stream.truncate(0)
    assert "running" in stream.getvalue() and "ended" not in stream.getvalue()


def test_on_a_narrow_terminal_nothing_is_cut() -> None:
    chosen, stream = display(live=True, width=70)
    with chosen.side_by_side() as rows:
        one = rows.begin("card 1: [4/25] efficientnetv2_b0_224 fold 2", lambda share: 11000)
        one.on_start(24, 256)
        one.on_epoch({**ROW, "inner_auc": 0.97})
        one.on_step(1, 40, 0.2345)
        stream.truncate(0)
    shown = " ".join(stream.getvalue().split())
    for part in (
        "card 1: [4/25] efficientnetv2_b0_224 fold 2",
        "epoch 2/24",
        "0.2345",
        "0.9700",
        "321",
        "3h03m",
    ):
        assert part in shown


def test_live_counting_shows_how_far_it_is() -> None:
    chosen, stream = display(live=True)
    with chosen.counting("Decoding patches") as count:
        count(1000, 2000)
    assert "Decoding patches" in stream.getvalue() and "1,000 of 2,000" in stream.getvalue()


@pytest.mark.parametrize("live", [False, True])
def test_an_error_inside_comes_out(live: bool) -> None:
    chosen, _ = display(live)
    with (
        pytest.raises(ValueError, match="broken"),
        chosen.training("[1/1] net fold 0", clock(1.0)) as observer,
    ):
        observer.on_start(1, 1)
        raise ValueError("broken")
