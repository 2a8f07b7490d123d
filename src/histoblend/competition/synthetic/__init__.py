"""The synthetic competition: drawn H&E-like patches in the real one's layout, to try everything without it."""

from histoblend.competition.synthetic.patches import draw_patches
from histoblend.competition.synthetic.plan import PartPlan
from histoblend.competition.synthetic.write import MARKER, SLIDE_MAP, SOLUTION, draw_competition, is_synthetic

__all__ = ["MARKER", "SLIDE_MAP", "SOLUTION", "PartPlan", "draw_competition", "draw_patches", "is_synthetic"]
