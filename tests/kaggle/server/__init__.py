"""A stand-in for Kaggle on loopback, spoken to by the real client; see service.py."""
