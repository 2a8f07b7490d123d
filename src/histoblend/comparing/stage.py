"""The comparison as a command: names in; tables, a verdict in words, a CSV and a picture out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from histoblend.comparing.common import Common, common_ground
from histoblend.comparing.disagreements import disagreements
from histoblend.comparing.gallery import write_gallery
from histoblend.comparing.settings import differing
from histoblend.comparing.sides import Side, read_sides
from histoblend.comparing.verdict import Comparison, beside, compared, p_words, short, verdict
from histoblend.errors import ConfigRefusal, DataRefusal, MachineRefusal
from histoblend.evaluation.uncertainty import Estimate, Interval
from histoblend.reporting.comparison_table import (
    printed_costs,
    printed_disagreements,
    printed_folds,
    printed_scores,
    printed_settings,
)
from histoblend.reporting.progress import Display
from histoblend.workspace import fingerprint, write_csv

LONGEST_NAME = 80  # characters of a file's name


@dataclass(frozen=True)
class CompareRequest:
    """What the user typed.

    Attributes:
        names: experiments or blends of the output folder, or paths of their folders, also of another one.
        data: where patches for the picture are, if neither the pixel cache nor the data of the run is there.
        to: the picture (.png); the table of disagreements goes beside it as .csv.
    """

    names: tuple[str, ...]
    output: Path | None = None
    data: Path | None = None
    to: Path | None = None


def compare(request: CompareRequest, display: Display, environment: Mapping[str, str]) -> Comparison:
    """Tell which of the named is ahead, whether that can be told, what differs, and where they disagree.

    Raises:
        ConfigRefusal: a name that is unknown or stands there twice, fewer than two, or no place for the picture.
        ArtifactRefusal: predictions are missing, damaged or of other data.
        DataRefusal: `data` is not there, or not the data.
        MachineRefusal: the picture that was asked for cannot be written.
    """
    if request.data is not None and not request.data.exists():
        raise DataRefusal(
            f"There is no {request.data}.", "--data FOLDER, the data the models were trained on"
        )
    sides = read_sides(request.names, request.output, environment)
    picture = _picture(request, sides)
    common = common_ground(sides)
    comparison = compared(common)
    for note in common.notes:
        display.warn(note)
    _show_scores(comparison, sides, display)
    _show_settings(sides, display)
    _show_costs(sides, display)
    table = disagreements(common)
    _show_disagreements(table, common, sides, display)
    if table.empty:
        display.tell("They rank every patch alike: there is neither a table nor a picture.")
        return comparison
    try:
        write_csv(picture.with_suffix(".csv"), table)
        display.tell(f"Table: {picture.with_suffix('.csv')}, the {len(table):,} patches farthest apart")
        display.tell(write_gallery(picture, table, sides, request.data, environment))
    except MachineRefusal as refusal:
        if request.to is not None:
            raise MachineRefusal(
                refusal.found, refusal.expected, "name another place: --to FILE.png"
            ) from refusal
        display.warn(f"No table or picture was written: {refusal.found} --to FILE.png puts them elsewhere.")
    return comparison


def _picture(request: CompareRequest, sides: Sequence[Side]) -> Path:
    """Where the picture goes: as asked for, else under the output folder of the first, named by who is compared."""
    if request.to is not None:
        if request.to.suffix.lower() != ".png":
            raise ConfigRefusal(f"--to {request.to} is no picture.", "a name ending in .png")
        return request.to.absolute()
    name = "_vs_".join(side.name.replace("/", "_").strip("_.") for side in sides)
    if len(name) > LONGEST_NAME:
        name = f"{name[: LONGEST_NAME - 13]}-{fingerprint(name)}"
    return sides[0].workspace.comparisons / f"{name}.png"


def _show_scores(comparison: Comparison, sides: Sequence[Side], display: Display) -> None:
    run, common = sides[0].run, comparison.common
    mark = " (SYNTHETIC patches)" if run.data.synthetic else ""
    title = f"{len(common.rows):,} patches of {run.data.name}{mark}, folds by {run.folds.policy}, out of fold"
    several = bool(comparison.accuracies)
    display.show(printed_scores(score_rows(comparison), title, common.names[0], several))
    if several:
        shares = zip(common.names, comparison.accuracies, strict=True)
        display.tell(f"Accuracy: {', '.join(f'{name} {short(share)}' for name, share in shares)}.")
    for place, one in enumerate(comparison.against):
        display.tell(verdict(comparison, place))
        if one.correlation < 1 and (sentence := beside(one)):
            display.tell(f"  {sentence}")
    if len(comparison.against) > 1:
        display.tell(
            "Each difference stands for itself: the more are looked at, the likelier one is large by chance."
        )
    for warning in dict.fromkeys(filter(None, (one.interval.warning for one in comparison.estimates))):
        display.warn(warning)
    if comparison.aucs_by_fold:
        display.show(printed_folds(comparison.aucs_by_fold, common.names))


def score_rows(comparison: Comparison) -> list[list[str]]:
    """Cells of the table of scores, the first side without a difference."""
    names = comparison.common.names
    rows = [[names[0], _bracketed(comparison.estimates[0]), "", "", ""]]
    for estimate, one in zip(comparison.estimates[1:], comparison.against, strict=True):
        found = one.difference
        gain = f"{short(found.gain, signed=True)}{_bracket(found.interval, 4)}"
        rows.append([one.name, _bracketed(estimate), gain, p_words(found.p_value), short(one.correlation, 3)])
    return rows


def _bracketed(estimate: Estimate) -> str:
    return f"{short(estimate.auc)}{_bracket(estimate.interval, 3)}"


def _bracket(interval: Interval, digits: int) -> str:
    if pd.isna(interval.low):
        return ""
    return f" \\[{short(interval.low, digits)}, {short(interval.high, digits)}]"


def _show_settings(sides: Sequence[Side], display: Display) -> None:
    """What differs among experiments, and among blends; an experiment and a blend share no setting."""
    for what, kinds in (("experiments", ("experiment", "yardstick", "external")), ("blends", ("blend",))):
        group = [side for side in sides if side.kind in kinds]
        if len(group) < 2:
            for side in group if what == "blends" else ():
                display.tell(
                    f"{side.name}: {', '.join(f'{key} {value}' for key, value in side.settings.items())}."
                )
            continue
        found = differing([side.settings for side in group])
        names = [side.name for side in group]
        if found:
            display.show(printed_settings(found, names, what, display.console.width))
        else:
            display.tell(f"The settings of {' and '.join(names)} are the same.")
    if len({side.kind == "blend" for side in sides}) > 1:
        display.tell("An experiment and a blend have no setting in common.")


def _show_costs(sides: Sequence[Side], display: Display) -> None:
    rows = [
        [
            side.name,
            f"{side.cost.minutes:.1f}",
            str(side.cost.folds),
            "" if side.cost.images_per_second is None else f"{side.cost.images_per_second:.0f}",
            "" if side.cost.stored_numbers is None else f"{side.cost.stored_numbers:,}",
        ]
        for side in sides
        if side.cost.minutes is not None
    ]
    if rows:
        display.show(printed_costs(rows, any(side.kind == "blend" for side in sides)))


def _show_disagreements(table: pd.DataFrame, common: Common, sides: Sequence[Side], display: Display) -> None:
    classes = list(sides[0].run.data.classes)
    of_class = classes[1] if len(classes) == 2 else None
    rows = [
        [
            str(row["id"]),
            classes[int(row["label"])],
            str(row["slide"]),
            *(
                f"{row[f'rank of {name}']:.3f}{'*' if row['rightest'] == name else ' '}"
                for name in common.names
            ),
        ]
        for row in table.to_dict("records")
    ]
    if rows:
        display.show(printed_disagreements(rows, common.names, of_class))
