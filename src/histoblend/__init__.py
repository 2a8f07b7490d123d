"""histoblend: from raw histopathology patches to a ranked leaderboard submission."""

__version__ = "0.1.0"
