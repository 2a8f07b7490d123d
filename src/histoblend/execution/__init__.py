"""Where and how tasks are run."""
