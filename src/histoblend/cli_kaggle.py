"""The commands about Kaggle: options and no logic, as in `cli`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

assets = typer.Typer(help="What a Kaggle session without internet needs, as one private dataset.")
kernel = typer.Typer(help="The run as a script kernel on Kaggle: push, status, logs, pull, watch, notebook.")

OutputOption = Annotated[Path | None, typer.Option(help="Output folder of the run.")]


def add_to(app: typer.Typer) -> None:
    """Add every command about Kaggle to `app`."""
    app.command(epilog="Example: histoblend download --to input/hcd")(download)
    app.command(epilog="Example: histoblend submit mini_logit_mean --output output/mini")(submit)
    app.command(epilog="Example: histoblend submissions --output output/mini")(submissions)
    app.add_typer(assets, name="assets", no_args_is_help=True)
    app.add_typer(kernel, name="kernel", no_args_is_help=True)


def download(
    to: Annotated[
        Path | None, typer.Option(help="Folder to fill; else input/ and the competition's name.")
    ] = None,
    keep_archive: Annotated[
        bool, typer.Option("--keep-archive", help="Keep the zip file after it is unpacked.")
    ] = False,
) -> None:
    """Fetch the competition's files from Kaggle, unpack and check them; a broken download goes on."""
    from histoblend.kaggle.downloading import DownloadRequest, download_competition
    from histoblend.reporting.progress import Display

    download_competition(DownloadRequest(to, keep_archive), Display(), os.environ)


def submit(
    what: Annotated[
        str | None,
        typer.Argument(
            help="Blend or experiment of the output folder, or a CSV file; else submission.csv.",
            metavar="[NAME|FILE]",
        ),
    ] = None,
    output: OutputOption = None,
    data: Annotated[Path | None, typer.Option(help="Data folder, as in run.")] = None,
    message: Annotated[str, typer.Option(help="A word of your own in the description.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before a slot is spent.")] = False,
    force: Annotated[
        str, typer.Option(help="Submit although `check` refuses it: the reason, kept in the ledger.")
    ] = "",
    again: Annotated[
        str, typer.Option(help="Send bytes that Kaggle has already: the reason, kept in the ledger.")
    ] = "",
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for the score.")] = True,
) -> None:
    """Check a submission, send it to Kaggle, wait for its score and enter it into the ledger.

    Typed again after a failure it looks first whether the submission has arrived: none is sent twice.
    """
    from histoblend.kaggle.submitting import SubmitRequest, submit_file
    from histoblend.reporting.progress import Display

    request = SubmitRequest(what, output, data, message, yes, force, wait, again)
    code = submit_file(request, Display(), os.environ)
    if code:
        sys.exit(code)


def submissions(output: OutputOption = None) -> None:
    """Show the ledger merged with what Kaggle lists: local AUC beside public and private scores."""
    from histoblend.kaggle.submitting import SubmissionsRequest, show_submissions
    from histoblend.reporting.progress import Display

    show_submissions(SubmissionsRequest(output), Display(), os.environ)


@assets.command("push", epilog="Example: histoblend assets push --output output/hcd")
def assets_push(
    plan: Annotated[str | None, typer.Option(help="Plan whose weights are sent; else the kernel's.")] = None,
    slide_map: Annotated[Path | None, typer.Option(help="The slide map; else found beside the data.")] = None,
    output: Annotated[
        Path | None, typer.Option(help="Output folder whose unfinished and finished tasks go along.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be sent; send nothing.")] = False,
    remove: Annotated[
        bool,
        typer.Option("--remove", help="Let files go that the dataset holds and this push does not send."),
    ] = False,
) -> None:
    """Send slide map, pretrained weights and earlier checkpoints to Kaggle, and wait until they are ready."""
    from histoblend.kaggle.assets import AssetsRequest, push_assets
    from histoblend.reporting.progress import Display

    push_assets(AssetsRequest(plan, slide_map, output, dry_run, remove), Display(), os.environ)


@kernel.command("push", epilog="Example: histoblend kernel push --watch")
def kernel_push(
    plan: Annotated[str | None, typer.Option(help="Plan to run; else that of configs/kaggle.yaml.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="key=value, as in run.")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Follow it, and pull what comes out.")] = False,
    output: OutputOption = None,
    to: Annotated[
        Path | None,
        typer.Option(help="Ask Kaggle what exists, write what would be sent into this folder, send nothing."),
    ] = None,
    anew: Annotated[
        bool, typer.Option("--anew", help="Start from the beginning, whatever earlier sessions finished.")
    ] = False,
    public: Annotated[
        bool, typer.Option("--public", help="Show the kernel to everybody, as kernel.private: false asks.")
    ] = False,
) -> None:
    """Send package and configs as one script, check that Kaggle took it as meant, and start it."""
    from histoblend.kaggle.kernel import PushRequest, push_kernel
    from histoblend.reporting.progress import Display

    push_kernel(PushRequest(plan, tuple(set_ or ()), watch, output, to, anew, public), Display(), os.environ)


@kernel.command("status", epilog="Example: histoblend kernel status")
def kernel_status() -> None:
    """Say how the kernel's last session stands."""
    from histoblend.kaggle.kernel import show_status
    from histoblend.reporting.progress import Display

    show_status(Display(), os.environ)


@kernel.command("logs", epilog="Example: histoblend kernel logs")
def kernel_logs() -> None:
    """Print the log of the kernel's last session."""
    from histoblend.kaggle.kernel import show_logs
    from histoblend.reporting.progress import Display

    show_logs(Display(), os.environ)


@kernel.command("pull", epilog="Example: histoblend kernel pull --output output")
def kernel_pull(output: OutputOption = None) -> None:
    """Fetch output and log of the kernel's last session into kernels/VERSION of the output folder."""
    from histoblend.kaggle.kernel import PullRequest, pull_kernel
    from histoblend.reporting.progress import Display

    pull_kernel(PullRequest(output), Display(), os.environ)


@kernel.command("watch", epilog="Example: histoblend kernel watch")
def kernel_watch(output: OutputOption = None) -> None:
    """Follow the kernel's session to its end, then pull what came out."""
    from histoblend.kaggle.kernel import PullRequest, watch_kernel
    from histoblend.reporting.progress import Display

    watch_kernel(PullRequest(output), Display(), os.environ)


@kernel.command("notebook", epilog="Example: histoblend kernel notebook --to histoblend.ipynb")
def kernel_notebook(
    to: Annotated[Path, typer.Option(help="The notebook to write.")] = Path("histoblend.ipynb"),
    plan: Annotated[str | None, typer.Option(help="Plan to run; else that of configs/kaggle.yaml.")] = None,
) -> None:
    """Write a notebook of three cells, to be uploaded on Kaggle's web page."""
    from histoblend.kaggle.kernel import write_notebook
    from histoblend.reporting.progress import Display

    write_notebook(to, plan, Display(), os.environ)
