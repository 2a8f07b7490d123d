"""Looking for better settings: the learning-rate range test, and sweeps of trials over a declared space."""
