"""Parts of evaluation_simulation.py."""
