"""The command line: commands and their options, no logic. Everything heavy is imported late."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Annotated

import typer

from histoblend import cli_kaggle

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it calls out on import otherwise

app = typer.Typer(
    help="From histopathology patches to a ranked submission.\n\nExample: histoblend run mini --data ../hcd",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    add_completion=False,
)


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a list of numbers such as 0,1") from None


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks; may stand anywhere.")] = False,
) -> None:
    """Options of every command; `main` has taken `--debug` out already."""


@app.command(epilog="Example: histoblend run mini --data ../hcd --output output/mini --folds 0")
def run(
    plan: Annotated[
        str | None,
        typer.Argument(help="Plan by name (configs/plans) or path; chosen by data and device if left out."),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Competition folder; else HISTOBLEND_DATA, Kaggle mounts, input/.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Where everything is written.")] = None,
    experiments: Annotated[str, typer.Option(help="Only these experiments of the plan: a,b")] = "",
    folds: Annotated[
        str, typer.Option(help="Only these folds, such as 0 or 0,1: ranked as partial, not blended.")
    ] = "",
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="key=value of the plan or of every experiment; may be repeated."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything and print the tasks; train nothing.")
    ] = False,
) -> None:
    """Train, predict, blend, rank and write the submission; what is done already is kept."""
    from histoblend.pipeline import run as run_pipeline
    from histoblend.preparation import Request
    from histoblend.reporting.progress import Display

    request = Request(plan, data, output, _names(experiments), _numbers(folds), tuple(set_ or ()), dry_run)
    run_pipeline(request, Display())


@app.command(epilog="Example: histoblend draw /tmp/synthetic --train-patches 3000")
def draw(
    folder: Annotated[Path, typer.Argument(help="A new folder.")],
    train_patches: Annotated[int, typer.Option(help="Labelled patches.")] = 2000,
    test_patches: Annotated[int, typer.Option(help="Test patches, of other slides.")] = 1000,
    slides: Annotated[int, typer.Option(help="Slides of the training patches; test has half as many.")] = 36,
    seed: Annotated[int, typer.Option(help="The same seed draws the same bytes.")] = 0,
) -> None:
    """Draw the synthetic competition into a folder."""
    from histoblend.competition.synthetic import draw_competition
    from histoblend.reporting.progress import Display

    display = Display()
    with display.counting(f"Drawing a SYNTHETIC competition into {folder}") as count:
        draw_competition(folder, train_patches, test_patches, slides, seed, count)
    display.tell(f"Drawn: {folder} (SYNTHETIC)")


@app.command(
    "augment-preview", epilog="Example: histoblend augment-preview small_resnet --output preview.png"
)
def augment_preview(
    experiment: Annotated[str, typer.Argument(help="Experiment by name or path.")],
    data: Annotated[Path | None, typer.Option(help="Competition folder, as in run.")] = None,
    output: Annotated[Path | None, typer.Option(help="The picture to write.")] = None,
    patches: Annotated[int, typer.Option(help="Patches shown.", min=1, max=24)] = 6,
    seed: Annotated[int, typer.Option(help="Seed of the draw.")] = 0,
) -> None:
    """Write a contact sheet of patches and what the experiment's augmentation makes of them."""
    from histoblend.reporting.augment_preview import write_augment_preview
    from histoblend.reporting.progress import Display

    path = output or Path(f"augment-preview-{Path(experiment).name.removesuffix('.yaml')}.png")
    write_augment_preview(experiment, data, path, (patches, seed), os.environ)
    Display().tell(f"Written: {path}")


@app.command(epilog="Example: histoblend archive small_resnet --output output")
def archive(
    experiment: Annotated[str, typer.Argument(help="Name of the experiment whose artifacts are put aside.")],
    output: Annotated[Path | None, typer.Option(help="The output folder of the run.")] = None,
) -> None:
    """Put an experiment's artifacts aside, so that it can be trained anew; nothing is deleted."""
    from histoblend.archive import archive_experiment
    from histoblend.reporting.progress import Display

    Display().tell(f"Moved to {archive_experiment(experiment, output, os.environ)}")


@app.command(epilog="Example: histoblend audit ../hcd --output output")
def audit(
    folder: Annotated[Path | None, typer.Argument(help="Data folder of any layout; found as in run.")] = None,
    output: Annotated[
        Path | None, typer.Option(help="Output folder of a run, for its folds and predictions.")
    ] = None,
    plan: Annotated[str | None, typer.Option(help="Plan whose data settings apply.")] = None,
) -> None:
    """Report everything wrong or odd about the data at once: a table, JSON, CSV and contact sheets."""
    from histoblend.audit.stage import AuditRequest
    from histoblend.audit.stage import audit as run_audit
    from histoblend.reporting.progress import Display

    run_audit(AuditRequest(folder, output, plan), Display(), os.environ)


@app.command(epilog="Example: histoblend predict slide.png --model mini_vgg --output output/mini")
def predict(
    pictures: Annotated[list[Path], typer.Argument(help="Pictures of any size and format, or folders.")],
    model: Annotated[str, typer.Option(help="Experiment or blend of the output folder.")],
    output: Annotated[Path | None, typer.Option(help="Output folder of the run.")] = None,
    to: Annotated[
        Path | None, typer.Option(help="Folder for the CSV and the maps, or a name ending in .csv.")
    ] = None,
    stride: Annotated[
        int | None, typer.Option(help="Pixels between two tiles of a larger picture.", min=1)
    ] = None,
    views: Annotated[int | None, typer.Option(help="Views averaged: 1, 4 or 8; else as trained.")] = None,
    dense: Annotated[
        bool,
        typer.Option("--dense", help="One fully convolutional pass in place of tiles: faster, not equal."),
    ] = False,
    whole: Annotated[
        bool | None,
        typer.Option("--whole/--tiles", help="Each picture as one patch, or in tiles; else as trained."),
    ] = None,
) -> None:
    """Send pictures to a trained model: a probability each, and a map of each larger picture.

    Pictures must have the magnification of the training patches.
    """
    from histoblend.predicting import PredictRequest, predict_pictures
    from histoblend.reporting.progress import Display

    request = PredictRequest(tuple(pictures), model, output, stride, to, views, dense, whole)
    predict_pictures(request, Display(), os.environ)


@app.command(epilog="Example: histoblend add torch_net --oof oof.csv --test test.csv --output output/mini")
def add(
    name: Annotated[str, typer.Argument(help="Name in ranking and blend.")],
    oof: Annotated[Path | None, typer.Option(help="Out-of-fold predictions of every training id.")] = None,
    test: Annotated[Path | None, typer.Option(help="Predictions of every test id.")] = None,
    data: Annotated[Path | None, typer.Option(help="Data folder, as in run.")] = None,
    output: Annotated[Path | None, typer.Option(help="Output folder of the run they join.")] = None,
    folds_fingerprint: Annotated[
        str | None, typer.Option(help="Where the CSV has no fold column: the folds it was made on.")
    ] = None,
) -> None:
    """Let predictions made elsewhere join ranking and blend."""
    from histoblend.external import AddRequest, add_external
    from histoblend.reporting.progress import Display

    add_external(AddRequest(name, oof, test, data, output, folds_fingerprint), Display(), os.environ)


@app.command(epilog="Example: histoblend init my_vgg --from mini_vgg --set training.epochs=40")
def init(
    name: Annotated[str, typer.Argument(help="Name of the new experiment.")],
    source: Annotated[str, typer.Option("--from", help="Experiment it starts from.")],
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="key=value that differs; may be repeated.")
    ] = None,
) -> None:
    """Write a new experiment file that holds only the differences from another."""
    from histoblend.initialise import initialise
    from histoblend.reporting.progress import Display

    display = Display()
    display.tell(f"Written: {initialise(name, source, tuple(set_ or ()), os.environ)}")
    if not set_:
        display.tell(f"It differs in nothing yet from {source}: edit it before you run it.")
    display.tell(
        "Its second line asks its question, the third says how to run it: add --data and --output as for the plan."
    )


@app.command(epilog="Example: histoblend networks small_vgg")
def networks(
    name: Annotated[str | None, typer.Argument(help="One network in detail; else a table of all.")] = None,
    json: Annotated[bool, typer.Option("--json", help="The same as JSON.")] = False,
    page: Annotated[
        Path | None,
        typer.Option(help="Write the page of trials to this .md, its figure and records beside it."),
    ] = None,
    trials: Annotated[
        Path | None, typer.Option(help="Output folder of `trial`; else the records beside the page.")
    ] = None,
) -> None:
    """List the networks: size, cost, what a cell sees, normalisation, weights; or write the page of their trials."""
    from histoblend.networks import list_networks, write_page
    from histoblend.reporting.progress import Display

    if page is not None:
        write_page(page, trials, Display())
    else:
        list_networks(name, as_json=json, display=Display(), environment=os.environ)


@app.command(epilog="Example: histoblend trial --networks small_vgg,densenet121 --minutes 4 --data ../hcd")
def trial(
    networks: Annotated[
        str, typer.Option(help="Networks a,b under one recipe; all where nothing is named.")
    ] = "",
    experiments: Annotated[str, typer.Option(help="Experiments a,b with recipes of their own.")] = "",
    recipe: Annotated[
        str, typer.Option(help="Experiment that gives --networks all but the network.")
    ] = "mini_resnet",
    minutes: Annotated[float, typer.Option(help="Training time of each.", min=0.01)] = 4.0,
    input_size: Annotated[
        int, typer.Option(help="Side in pixels at which all see the patch; 0: as each says.", min=0)
    ] = 96,
    random_weights: Annotated[
        bool, typer.Option("--random-weights", help="Start --networks without their published weights.")
    ] = False,
    plan: Annotated[str, typer.Option(help="Plan whose data, folds and TTA apply.")] = "mini",
    fold: Annotated[int, typer.Option(help="The fold that is scored.")] = 0,
    data: Annotated[Path | None, typer.Option(help="Data folder, as in run.")] = None,
    output: Annotated[Path | None, typer.Option(help="Where records and artifacts lie.")] = None,
    speeds_only: Annotated[
        bool, typer.Option("--speeds-only", help="Measure images/s only: first, on a quiet machine.")
    ] = False,
    remeasure: Annotated[
        bool, typer.Option("--remeasure", help="Measure speeds again that are known already.")
    ] = False,
    speed_seconds: Annotated[
        float, typer.Option(help="How long each of the two rates is measured.", min=0.1)
    ] = 8.0,
) -> None:
    """Give each network the same wall time on one fold; what is measured or trained already is kept.

    Rates are measured first, for all, with nothing else running; a training then takes as many passes as fit the
    time. Every network's record is one JSON file, from which `networks --page` makes a table and a figure.
    """
    from histoblend.reporting.progress import Display
    from histoblend.trials.ground import TrialRequest
    from histoblend.trials.recipe import Asked
    from histoblend.trials.stage import run_trials

    asked = Asked(_names(networks), _names(experiments), recipe, input_size or None, random_weights)
    request = TrialRequest(asked, plan, data, output, fold, minutes, speed_seconds, speeds_only, remeasure)
    run_trials(request, Display(), os.environ)


@app.command("lr-find", epilog="Example: histoblend lr-find mini_resnet --data ../hcd --output output/mini")
def lr_find(
    experiment: Annotated[str, typer.Argument(help="Experiment by name or path.")],
    data: Annotated[Path | None, typer.Option(help="Data folder, as in run.")] = None,
    output: Annotated[Path | None, typer.Option(help="Output folder of the run it belongs to.")] = None,
    plan: Annotated[str | None, typer.Option(help="Plan whose folds and data settings apply.")] = None,
    fold: Annotated[int, typer.Option(help="The fold that is left out.", min=0)] = 0,
    set_: Annotated[list[str] | None, typer.Option("--set", help="key=value, as in run.")] = None,
    steps: Annotated[int, typer.Option(help="Steps of one batch each.")] = 300,
    lowest: Annotated[float, typer.Option(help="Learning rate of the first step.")] = 1e-6,
    highest: Annotated[float, typer.Option(help="Learning rate of the last step.")] = 1.0,
    to: Annotated[
        Path | None, typer.Option(help="The plot (.png); the curve goes beside it as .csv.")
    ] = None,
) -> None:
    """Raise the learning rate until the loss diverges, draw the curve and suggest a rate."""
    from histoblend.preparation import Request
    from histoblend.reporting.progress import Display
    from histoblend.searching.range_test import RangeRequest, Rise, find_learning_rate

    run_request = Request(plan, data, output, settings=tuple(set_ or ()))
    request = RangeRequest(experiment, run_request, fold, to, Rise(lowest, highest, steps))
    find_learning_rate(request, Display(), os.environ)


@app.command(epilog="Example: histoblend sweep mini_resnet --trials 20 --data ../hcd --output output/mini")
def sweep(
    name: Annotated[
        str, typer.Argument(help="Sweep (configs/sweeps) or experiment, by name or path.", metavar="SWEEP")
    ],
    trials: Annotated[int | None, typer.Option(help="Trials in all, earlier ones included.")] = None,
    data: Annotated[Path | None, typer.Option(help="Data folder, as in run.")] = None,
    output: Annotated[Path | None, typer.Option(help="Output folder of the run it belongs to.")] = None,
    plan: Annotated[str | None, typer.Option(help="Plan whose folds and data settings apply.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="key=value, as in run.")] = None,
    confirm: Annotated[
        bool, typer.Option("--confirm/--no-confirm", help="Run the winner and the base on all folds.")
    ] = True,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the space and its cost.")] = False,
) -> None:
    """Search for better settings of an experiment with Optuna, then confirm the best on all folds.

    A killed sweep goes on with the same command.
    """
    from histoblend.preparation import Request
    from histoblend.reporting.progress import Display
    from histoblend.searching.sweep import SweepRequest, run_sweep

    run_request = Request(plan, data, output, settings=tuple(set_ or ()), dry_run=dry_run)
    run_sweep(SweepRequest(name, run_request, trials, confirm), Display(), os.environ)


@app.command(epilog="Example: histoblend check submission.csv --against mini_logit_mean --output output/mini")
def check(
    file: Annotated[Path, typer.Argument(help="The CSV that is to be submitted.")],
    against: Annotated[
        str | None, typer.Option(help="Blend or experiment of the output folder it should agree with.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Data folder, as in run.")] = None,
    output: Annotated[Path | None, typer.Option(help="Output folder of the run.")] = None,
) -> None:
    """Examine a submission: what is wrong with it, how bad that is, and what to do.

    Exit code 1 where it would be refused or score wrongly, 0 else.
    """
    from histoblend.checking import CheckRequest, check_submission_file
    from histoblend.reporting.progress import Display

    code = check_submission_file(CheckRequest(file, against, data, output), Display(), os.environ)
    if code:
        sys.exit(code)


@app.command(epilog="Example: histoblend compare mini_vgg mini_resnet --output output/mini")
def compare(
    names: Annotated[
        list[str],
        typer.Argument(help="Experiments or blends by name, or their folders.", metavar="A B [...]"),
    ],
    output: Annotated[Path | None, typer.Option(help="Output folder of the run.")] = None,
    data: Annotated[Path | None, typer.Option(help="Data folder, for pictures, as in run.")] = None,
    to: Annotated[
        Path | None, typer.Option(help="Picture (.png) of the patches they disagree on most.")
    ] = None,
) -> None:
    """Compare experiments or blends: AUC with interval, paired differences, settings, cost, disagreements."""
    from histoblend.comparing import CompareRequest
    from histoblend.comparing import compare as run_compare
    from histoblend.reporting.progress import Display

    run_compare(CompareRequest(tuple(names), output, data, to), Display(), os.environ)


@app.command(epilog="Example: histoblend rank --output output/mini")
def rank(
    output: Annotated[Path | None, typer.Option(help="Output folder of the run.")] = None,
) -> None:
    """Show the local leaderboard: cross-fitted AUC with interval, beside leaderboard scores where known.

    Those are read from submissions.csv in the output folder: entered by `submit`, or by hand (name,public_score).
    """
    from histoblend.leaderboard import RankRequest, show_leaderboard
    from histoblend.reporting.progress import Display

    show_leaderboard(RankRequest(output), Display(), os.environ)


@app.command(epilog="Example: histoblend report --output output/mini")
def report(
    output: Annotated[Path | None, typer.Option(help="Output folder of the run.")] = None,
    data: Annotated[Path | None, typer.Option(help="Data folder, for pictures, as in run.")] = None,
    to: Annotated[Path | None, typer.Option(help="The page; else report/index.html in the output.")] = None,
) -> None:
    """Write one self-contained HTML page about everything in the output folder."""
    from histoblend.report_page import ReportRequest, write_report
    from histoblend.reporting.progress import Display

    display = Display()
    display.tell(f"Report: {write_report(ReportRequest(output, data, to), display, os.environ)}")


@app.command(epilog="Example: histoblend schema")
def schema(
    output: Annotated[Path | None, typer.Option(help="Folder; else schema/ in the configs folder.")] = None,
) -> None:
    """Write the JSON schemas of plans and experiments, by which editors complete and check them."""
    from histoblend.reporting.progress import Display
    from histoblend.schema import schema_command

    for path in schema_command(output, os.environ):
        Display().tell(f"Written: {path}")


cli_kaggle.add_to(app)


class Interrupted(BaseException):
    """Ctrl-C. Not KeyboardInterrupt: Typer ends the process on that one without a word."""


def _interrupt(*_: object) -> None:
    raise Interrupted


def main() -> None:
    """Run the command line; refusals are printed without a traceback and set the exit code."""
    from histoblend.errors import Refusal

    signal.signal(signal.SIGINT, _interrupt)
    arguments = [word for word in sys.argv[1:] if word != "--debug"]
    debug = len(arguments) < len(sys.argv) - 1
    try:
        app(arguments)
    except Refusal as refusal:
        _fail(str(refusal), refusal.exit_code, refusal if debug else None)
    except Exception as error:
        where = "" if debug else " (`--debug` shows where)"
        message = f"Unexpected: {type(error).__name__}: {error}{where}\nFinished tasks are kept."
        _fail(message, 1, error if debug else None)
    except Interrupted as interrupt:
        message = "Interrupted. What is finished is kept; the same command goes on."
        _fail(message, 130, interrupt if debug else None)


def _fail(message: str, code: int, shown: BaseException | None) -> None:
    if shown is not None:
        traceback.print_exception(shown)
    print(message, file=sys.stderr)
    sys.exit(code)
