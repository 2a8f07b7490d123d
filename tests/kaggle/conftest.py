"""What the tests about Kaggle share: the real client, a stand-in for the service, and no way to the real one."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(
    0, str(Path(__file__).parent)
)  # `from server.service import ...` everywhere below, and in scripts

from server.service import CREDENTIALS, Service

from histoblend.kaggle import connection
from histoblend.kaggle.connection import Patience
from histoblend.reporting.progress import Display

BRISK = Patience(
    request_seconds=20, call_seconds=60, still_seconds=30, tries=3, pause_seconds=0, poll_seconds=0
)


class KaggleService(Service):
    """The stand-in with the environment in which the client speaks to it."""

    def __init__(self, home: Path) -> None:
        super().__init__()
        self.home = home

    @property
    def environment(self) -> dict[str, str]:  # type: ignore[override]
        """For connect(environment, ...), and for child processes."""
        own = super().environment(self.home)
        named = [place for place in own.get("PYTHONPATH", "").split(os.pathsep) if place]
        places = [str(Path(__file__).parent), *(str(Path(place).absolute()) for place in named)]
        return {**own, "PYTHONPATH": os.pathsep.join(places)}  # of functions called in the child


@pytest.fixture
def kaggle_service(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[KaggleService]:
    """The stand-in, running; this process's own environment is turned to it too. Waits are cut to nothing.

    At the end its log must hold requests for localhost alone: whatever a test meant for another host came here, by
    way of the proxy, and makes it fail.
    """
    monkeypatch.setattr(connection, "USUAL", BRISK)
    with KaggleService(tmp_path_factory.mktemp("home")) as service:
        for name in (*CREDENTIALS, "no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        for name, value in service.environment.items():
            monkeypatch.setenv(name, value)
        yield service
        foreign = [entry for entry in service.log if entry.host.split(":")[0] != "localhost"]
        assert not foreign, f"meant for other hosts: {foreign}"


@pytest.fixture
def display(listening: type[Display]) -> Display:
    """A display that remembers: ``display.text``."""
    return listening()
