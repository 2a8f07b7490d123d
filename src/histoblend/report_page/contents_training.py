"""How the networks were trained: curves, what the views gained, what it cost."""

from __future__ import annotations

import pandas as pd

from histoblend.artifacts.artifacts import Artifacts, Candidate
from histoblend.report_page.blocks import Block, Cell, Column, Section, TableBlock, Words
from histoblend.report_page.figures import Cost, ViewGain, cost_figure, training_figure, tta_figure
from histoblend.report_page.wording import gain, listed, number_cell, score, words_cell
from histoblend.reporting.progress import duration


def training_section(artifacts: Artifacts) -> Section:
    """Loss, score and learning rate of every fold."""
    title = "Training"
    histories = {
        one.name: {task.fold: task.history for task in one.tasks if task.history is not None}
        for one in artifacts.experiments
    }
    drawn: dict[str, dict[int, pd.DataFrame]] = {name: folds for name, folds in histories.items() if folds}
    without = sorted(name for name, folds in histories.items() if not folds)
    without += [one.name for one in artifacts.ranked if one.metrics.kind == "external"]
    blocks: list[Block] = []
    if drawn:
        text = (
            "Loss and accuracy are of the training patches, under augmentation, as the epochs went: they say "
            "whether training was stable and long enough, not how good a network is. No fold's own patches "
            "were looked at in training."
        )
        blocks += [Words(text), training_figure(drawn)]
    if without:
        blocks.append(Words(f"Without a history of epochs: {listed(without)}."))
    return Section("training", title, tuple(blocks or [Words("No training is finished yet.")]))


def views_section(artifacts: Artifacts) -> Section:
    """What averaging several views of a patch gained."""
    title = "Test-time augmentation"
    gains = [
        ViewGain(one.name, task.fold, task.done.auc_one_view, task.done.auc)
        for one in artifacts.experiments
        for task in one.tasks
        if task.done.views > 1
    ]
    if not gains:
        text = "No experiment was predicted under more than one view, so there is no gain to show."
        return Section("views", title, (Words(text),))
    named = [one for one in artifacts.experiments if one.metrics.tta_gain is not None]
    told = "; ".join(
        f"{one.name} {gain(one.metrics.tta_gain)} ({one.tasks[0].done.views} views)" for one in named
    )
    losing = [one.name for one in named if (one.metrics.tta_gain or 0.0) < 0]
    advice = (
        f" {listed(losing)} lost by it: predict with one view there (views: 1 in the experiment)."
        if losing
        else ""
    )
    single = [one.name for one in artifacts.experiments if one not in named]
    alone = f" Predicted under one view: {listed(single)}." if single else ""
    text = (
        f"Mean gain in AUC over folds, from turned and mirrored views of each patch: {told}.{advice}{alone}"
    )
    return Section("views", title, (Words(text), tta_figure(gains)))


def cost_section(artifacts: Artifacts) -> Section:
    """Time and images a second, task by task."""
    title = "Time and speed"
    worked = [one for one in artifacts.experiments if one.tasks]
    if not worked:
        return Section("cost", title, (Words("No task is finished yet."),))
    device = artifacts.run.device
    where = (
        f" Last run on {device['name']}, {device.get('threads', '?')} threads." if device.get("name") else ""
    )
    total = sum(one.metrics.minutes for one in worked)
    about = (
        f"{duration(60 * total)} of training and prediction in all, from the records of finished "
        f"tasks.{where} Images a second are training images, augmented, as measured in each task: what else "
        "the machine did then counts too."
    )
    costs = [
        Cost(one.name, one.metrics.auc_pooled, one.metrics.minutes) for one in worked if one.metrics.complete
    ]
    blocks: list[Block] = [Words(about), _tasks(worked)]
    if len(costs) > 1:
        blocks.insert(1, cost_figure(costs))
    return Section("cost", title, tuple(blocks))


def _tasks(worked: list[Candidate]) -> TableBlock:
    columns = (
        Column("experiment"),
        Column("fold", True),
        Column("AUC", True, "Of the whole fold, with all views."),
        Column("training", True, "Wall time."),
        Column("prediction", True, "Wall time: the fold's patches and all test patches, all views."),
        Column("images/s", True, "Training images a second."),
        Column("epochs", True),
        Column("precision", False, "Numbers the network computed with."),
    )
    rows: list[tuple[Cell, ...]] = []
    for one in worked:
        for task in one.tasks:
            done = task.done
            epochs = None if task.history is None else len(task.history)
            precision = "–" if task.history is None else done.precision
            rows.append(
                (
                    words_cell(one.name),
                    number_cell(task.fold, str(task.fold)),
                    number_cell(done.auc, score(done.auc)),
                    number_cell(done.train_seconds, _seconds(done.train_seconds)),
                    number_cell(done.prediction_seconds, _seconds(done.prediction_seconds)),
                    number_cell(done.images_per_second, f"{done.images_per_second:,.0f}"),
                    number_cell(epochs, "–" if epochs is None else str(epochs)),
                    words_cell(precision),
                )
            )
    return TableBlock("Every finished task", columns, tuple(rows))


def _seconds(seconds: float) -> str:
    return duration(seconds) if seconds >= 1 else "under 1s"
