"""Fitting one task (experiment x fold): recipes, state, resume."""
