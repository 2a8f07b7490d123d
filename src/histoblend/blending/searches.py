"""Searches for weights by the AUC pooled on ranks within fold: deterministic, and blind to the order of the
members but for ties.

Above `SEARCH_ROWS` patches a search looks at a seeded sample of so many: it only proposes weights. What they are worth
is always measured on all patches.
"""

from __future__ import annotations

import numpy as np

from histoblend.blending.objective import Objective
from histoblend.blending.training import Training

SEED = 20_040  # of bags and samples
SEARCH_ROWS = 50_000
BAGS = 10
BAG_SHARE = 0.5  # of the members in each bag
BAG_LEAST = 5  # members in a bag, if there are as many: so few need no bags
ROUNDS = 20  # members added after the start
STEPS = np.arange(1, 11) / 20  # shares that a climb tries for the member it adds
CLIMBS = 20
LEAST_RISE = 1e-5  # of the AUC, for which a climb goes on


def best_weights(training: Training) -> np.ndarray:
    """All weight on the member with the highest AUC; of equals the first."""
    values = _alone(training.objective(), training.logits)
    return np.eye(training.members)[int(np.argmax(values))]


def greedy_weights(training: Training) -> np.ndarray:
    """The mean over bags of how often each member was selected (Caruana, Niculescu-Mizil, Crew, Ksikes 2004).

    A bag holds half of the members (five at least), drawn by their place by AUC, and above `SEARCH_ROWS` patches its
    own sample of them; of at most five members and fewer patches there is one bag of everything. It starts with its
    best few, as many as blend best, then adds `ROUNDS` times the member that lifts the AUC most (the same one again
    if it is that), and keeps the selection that was best on the way.
    """
    order = np.argsort(-_alone(training.objective(), training.logits), kind="stable")
    generator = np.random.default_rng(SEED)
    size = min(training.members, max(BAG_LEAST, round(BAG_SHARE * training.members)))
    sampled = len(training.labels) > SEARCH_ROWS
    weights = np.zeros(training.members)
    for _ in range(BAGS if size < training.members or sampled else 1):
        bag = order[np.sort(generator.permutation(training.members)[:size])]
        counts = _selected(_sample(training.only(bag), generator))
        weights[bag] += counts / counts.sum()
    return np.asarray(weights / weights.sum())


def climbed_weights(training: Training) -> np.ndarray:
    """Weights by forward search: from the best member on, each time the member and share that lift the AUC most.

    All weights there are shrink by the share that the next member gets: 5, 10, ... 50 %. It ends when no step lifts
    the AUC by `LEAST_RISE`.
    """
    training = _sample(training, np.random.default_rng(SEED))
    objective = training.objective()
    alone = _alone(objective, training.logits)
    place = int(np.argmax(alone))
    weights, blend, value = np.eye(training.members)[place], training.logits[:, place], alone[place]
    for _ in range(CLIMBS):
        tried = [
            (objective((1 - share) * blend + share * training.logits[:, member]), member, share)
            for member in range(training.members)
            for share in STEPS
        ]
        best, member, share = max(tried, key=lambda one: one[0])
        if best < value + LEAST_RISE:
            break
        weights = (1 - share) * weights + share * np.eye(training.members)[member]
        blend, value = (1 - share) * blend + share * training.logits[:, member], best
    return weights


def _alone(objective: Objective, logits: np.ndarray) -> np.ndarray:
    """The AUC of each member by itself."""
    return np.array([objective(logits[:, member]) for member in range(logits.shape[1])])


def _sample(training: Training, generator: np.random.Generator) -> Training:
    if len(training.labels) <= SEARCH_ROWS:
        return training
    chosen = generator.permutation(len(training.labels))[:SEARCH_ROWS]
    return training.rows(np.sort(chosen))


def _selected(training: Training) -> np.ndarray:
    """How often each member, the best first, is in the best selection."""
    objective, logits = training.objective(), training.logits
    starts = [objective(logits[:, : size + 1].mean(axis=1)) for size in range(training.members)]
    size = int(np.argmax(starts)) + 1
    counts, total = np.zeros(training.members), logits[:, :size].sum(axis=1)
    counts[:size] = 1
    best, kept = starts[size - 1], counts.copy()
    for _ in range(ROUNDS):
        number = counts.sum() + 1
        tried = [objective((total + logits[:, member]) / number) for member in range(training.members)]
        member = int(np.argmax(tried))
        counts[member] += 1
        total = total + logits[:, member]
        if tried[member] > best:
            best, kept = tried[member], counts.copy()
    return kept
