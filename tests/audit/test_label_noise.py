"""Confident learning: the class a patch is counted to, by hand; suspects found among good labels; none among good."""

from __future__ import annotations

import numpy as np

from histoblend.audit.label_noise import confident_class, confident_joint, label_noise_finding

CLASSES = ("no tumour", "tumour")


def both(positive: list[float]) -> np.ndarray:
    return np.stack([1 - np.array(positive), np.array(positive)], axis=1)


def test_the_class_a_patch_is_counted_to_by_hand() -> None:
    """Thresholds: the labelled negatives' mean for class 0 is .6, the positives' mean for class 1 is .7."""
    labels = np.array([0, 0, 0, 1, 1, 1])
    probabilities = both([0.1, 0.2, 0.9, 0.9, 0.9, 0.3])
    counted = confident_class(probabilities, labels)
    assert list(counted) == [0, 0, 1, 1, 1, 0]
    assert confident_joint(labels, counted, 2).tolist() == [[2, 1], [1, 2]]


def test_a_patch_sure_of_nothing_is_counted_to_no_class() -> None:
    labels = np.array([0, 0, 1, 1, 1])
    assert list(confident_class(both([0.1, 0.1, 0.9, 0.9, 0.5]), labels)) == [0, 0, 1, 1, -1]


def test_an_overconfident_model_does_not_suspect_a_whole_class() -> None:
    """All probabilities lie above .5; what is usual for negatives is no reason to suspect them."""
    labels = np.repeat([0, 1], 50)
    positive = np.r_[np.linspace(0.55, 0.65, 50), np.linspace(0.85, 0.95, 50)]
    counted = confident_class(both(list(positive)), labels)
    assert not ((counted >= 0) & (counted != labels)).any()


def noisy(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """True classes, labels of which some are flipped, and probabilities of a good model; three classes."""
    generator = np.random.default_rng(seed)
    true = generator.integers(0, 3, 600)
    labels = true.copy()
    flipped = generator.choice(600, 20, replace=False)
    labels[flipped] = (true[flipped] + 1) % 3
    probabilities = generator.dirichlet([0.5, 0.5, 0.5], 600) * 0.3
    probabilities[np.arange(600), true] += 0.7
    return flipped, labels, probabilities


def test_flipped_labels_are_the_suspects_worst_first() -> None:
    flipped, labels, probabilities = noisy()
    ids = [f"{row:03d}" for row in range(600)]
    finding = label_noise_finding(ids, labels, {"a": probabilities, "b": probabilities}, ("x", "y", "z"))
    assert set(finding.ids) <= {ids[row] for row in flipped}
    assert finding.count > 8  # the rest are not sure enough
    contradiction = probabilities.max(axis=1) - probabilities[np.arange(600), labels]
    assert finding.ids[0] == ids[contradiction.argmax()]
    assert "2 of 2 models" in finding.patches["detail"].iloc[0]
    assert finding.training == "keep" and "flatter" in finding.sentence
    assert np.sum(finding.values["joint"]) == (confident_class(probabilities, labels) >= 0).sum()


def test_good_labels_give_no_suspect() -> None:
    labels = np.tile([0, 1], 40)
    finding = label_noise_finding(
        [str(i) for i in range(80)], labels, {"a": both(list(labels * 0.8 + 0.1))}, CLASSES
    )
    assert finding.count == 0 and finding.severity == "note"
