"""Kaggle from here: data down, assets and kernels up, submissions, and what a session there runs."""
