"""What a run has left in its output folder: read once, every row and score checked against the others."""
