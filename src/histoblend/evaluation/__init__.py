"""Exact metrics on whole folds."""
