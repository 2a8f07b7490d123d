"""What is looked for in a pack, and what is kept of it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest

from histoblend.config import DataSettings
from histoblend.data import screening
from histoblend.data.handling import handle
from histoblend.data.odd_files import odd_table
from histoblend.data.screening import kept_near_groups, near_method_version, screened


def compressed(image: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 60])[1], 1))


@pytest.fixture
def pack(tmp_path: Path) -> Any:
    """Patch 0 and 3 the same; 1 recompressed from them; 2 and 4 on their own."""
    small = np.random.default_rng(0).integers(0, 256, (5, 24, 24, 3), dtype=np.uint8)
    images = np.stack([cv2.resize(one, (96, 96), interpolation=cv2.INTER_CUBIC) for one in small])
    images[3], images[1] = images[0], compressed(images[0])
    train = pd.DataFrame({"id": list("abcde"), "label": [0, 0, 1, 0, 1], "pixel_hash": list("xywxv")})
    odd = odd_table([("train", "a", "alpha", "over white")])
    return SimpleNamespace(folder=tmp_path, train=train, odd_files=odd, train_images=lambda: images)


def test_exact_copies_share_the_near_group_of_what_they_repeat(pack: Any) -> None:
    groups = kept_near_groups(pack)
    assert list(groups.number) == [0, 0, 1, 0, 2]
    assert list(groups.parted) == [False] * 5


@pytest.mark.parametrize(
    ("settings", "dropped", "together"),
    [
        ({"converted": "drop"}, "a", {"bd"}),
        ({"near_duplicates": "drop"}, "b", {"ad"}),
        ({"duplicates": "drop"}, "d", {"ab"}),
        ({"duplicates": "drop", "converted": "drop"}, "a", {"bd"}),
    ],
)
def test_no_copy_is_left_alone_when_another_goes(
    pack: Any, settings: dict[str, str], dropped: str, together: set[str]
) -> None:
    chosen = DataSettings(**settings)  # type: ignore[arg-type]
    done = handle(pack.train, screened(pack, chosen), chosen)
    assert "".join(sorted(done.dropped["id"])) == dropped
    groups = done.kept.groupby("twins")["id"].agg("".join)
    assert {group for group in groups if len(group) > 1} == together


def test_groups_are_kept_until_the_method_changes(pack: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    first = kept_near_groups(pack)
    calls = []
    real = screening.near_pairs
    monkeypatch.setattr(screening, "near_pairs", lambda *given: calls.append(given) or real(*given))
    again = kept_near_groups(pack)
    assert not calls and list(again.number) == list(first.number) and again.parted.dtype == bool
    for module in screening.NEAR_METHOD:
        before = near_method_version()
        changed = pack.folder / f"{module.__name__}.py"
        changed.write_text("other code")
        monkeypatch.setattr(module, "__file__", str(changed))
        assert near_method_version() != before
    kept_near_groups(pack)
    assert len(calls) == 1
