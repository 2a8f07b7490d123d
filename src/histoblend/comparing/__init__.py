"""Experiments and blends side by side: which is ahead, whether that can be told, and where they disagree."""

from histoblend.comparing.stage import CompareRequest, compare

__all__ = ["CompareRequest", "compare"]
