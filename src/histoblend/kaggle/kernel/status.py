"""`kernel status` and `kernel logs`."""

from __future__ import annotations

from collections.abc import Mapping

from histoblend.config_kaggle import load_kaggle_settings
from histoblend.errors import ServiceRefusal
from histoblend.kaggle.connection import connect
from histoblend.kaggle.kernel.log import log_text
from histoblend.kaggle.kernel.progress import in_words, is_under_way
from histoblend.kaggle.kernels import Kernel, look
from histoblend.reporting.progress import Display


def show_status(display: Display, environment: Mapping[str, str]) -> None:
    """Say how the kernel's last session stands, with its version, its page and what to do next.

    Raises:
        ServiceRefusal: there is no such kernel, or Kaggle does not answer.
    """
    connection = connect(environment, display)
    kernel = Kernel(connection.username(), load_kaggle_settings(environment).kernel.slug)
    found = look(connection, kernel, "session", "kept")
    if found.session is None:
        raise no_kernel(kernel)
    session, version = found.session, ""
    if found.kept and found.kept.version:
        version = f", version {found.kept.version},"
    display.tell(f"{kernel.ref}{version} {in_words(session)}. {kernel.address}")
    follow_up = "watch" if is_under_way(session) else "pull"
    display.tell(f"Next: ./run.sh kernel {follow_up}")


def show_logs(display: Display, environment: Mapping[str, str]) -> None:
    """Print the log of the kernel's last session as text.

    Raises:
        ServiceRefusal: there is no such kernel, or no log yet.
    """
    connection = connect(environment, display)
    kernel = Kernel(connection.username(), load_kaggle_settings(environment).kernel.slug)
    found = look(connection, kernel, "session", "output")
    if found.session is None:
        raise no_kernel(kernel)
    if found.output is not None and (text := log_text(found.output.log)):
        display.tell(text.rstrip("\n"))
        return
    raise ServiceRefusal(
        f"Kaggle gives no log of {kernel.ref}, which {in_words(found.session)}.",
        "a log; of a running session Kaggle often gives none before its end",
        f"`./run.sh kernel watch`, or read it live on {kernel.address}.",
    )


def no_kernel(kernel: Kernel) -> ServiceRefusal:
    """Kaggle knows no such kernel."""
    return ServiceRefusal(
        f"Kaggle knows no kernel {kernel.ref}, or does not show it to this account.",
        "the kernel named by kernel.slug in configs/kaggle.yaml, under your user name",
        "`./run.sh kernel push` makes it; if it is another account's, use that one's credentials.",
    )
