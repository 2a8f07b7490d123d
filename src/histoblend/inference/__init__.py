"""Logits for out-of-fold and test patches through one path, with test-time augmentation."""
