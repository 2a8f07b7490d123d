"""Trials of networks: each gets the same wall time on one fold, and its speed is measured on a quiet machine."""
