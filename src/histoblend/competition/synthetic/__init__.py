"""The synthetic competition: drawn H&E-like patches in the real competition's layout, for trying everything without it."""

from histoblend.competition.synthetic.patches import draw_patches
from histoblend.competition.synthetic.write import MARKER, SLIDE_MAP, SOLUTION, draw_competition, is_synthetic

__all__ = ["MARKER", "SLIDE_MAP", "SOLUTION", "draw_competition", "draw_patches", "is_synthetic"]
