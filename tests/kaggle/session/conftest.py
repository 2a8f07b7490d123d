"""The Kaggle-like tree for the tests of a session."""

from __future__ import annotations

from tree import kaggle_tree

__all__ = ["kaggle_tree"]
