"""A run on Kaggle: the script that carries it there, what it hands back, and how the next session goes on."""

from histoblend.kaggle.session.script import script_text
from histoblend.kaggle.session.stored import unpacked_output

__all__ = ["script_text", "unpacked_output"]
