from __future__ import annotations

import pytest

from histoblend.errors import counted


@pytest.mark.parametrize(
    ("number", "noun", "said"),
    [
        (1, "id", "1 id"),
        (2622, "id", "2,622 ids"),
        (0, "other file", "0 other files"),
        (3, "patch", "3 patches"),
        (2, "epoch", "2 epochs"),
    ],
)
def test_one_is_singular(number: int, noun: str, said: str) -> None:
    assert counted(number, noun) == said
