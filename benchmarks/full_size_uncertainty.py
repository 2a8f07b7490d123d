"""How long do intervals take at full size, and how fast is the exact AUC? Generated scores, no real ones.

    OMP_NUM_THREADS=2 python benchmarks/full_size_uncertainty.py
    OMP_NUM_THREADS=2 python benchmarks/full_size_uncertainty.py --slides 5000

Generated: 220,025 patches in slides of unequal size and prevalence, 5 folds of whole slides, 30 members whose logits
share most of their noise. Seconds of one run of `estimates` (2,000 resamples each), of `differences` and of
`prediction_interval`; peak memory of the whole process, the generated scores included. The AUC is timed in turn with
scikit-learn's, so that a busy machine hits both; the ratio is the median over rounds.

Measured with 2 threads of an AMD EPYC (Zen 5, 2 cores) with nothing beside it, 2026-11-21, one run each:

    slides                       200      5,000
    estimates, 30 members      3.5 s     26.6 s
    differences                3.4 s     26.4 s
    prediction_interval         .2 s      1.9 s    one member
    peak memory             0.28 GiB   0.28 GiB
    AUC                       2.0 ms     2.1 ms    24 times scikit-learn's speed
    pooled AUC, ranks too     5.0 ms     5.8 ms    8 to 10 times scikit-learn's speed without the ranks

The time at 5,000 slides is that of one core: above 2,500 the resamples are counted patch by patch.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable
from statistics import median

import numpy as np
from sklearn.metrics import roc_auc_score

from histoblend.evaluation.auc import FoldSplit, LabelSplit
from histoblend.evaluation.slide_bootstrap import RESAMPLES
from histoblend.evaluation.uncertainty import Ground, differences, estimates, prediction_interval

PATCHES, MEMBERS, FOLDS = 220_025, 30, 5
ROUNDS = 7


def main() -> None:
    """Print seconds, memory and ratios."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--slides", type=int, default=200)
    arguments = parser.parse_args()
    ground, logits = generated(arguments.slides)
    print(
        f"GENERATED: {PATCHES:,} patches, {arguments.slides:,} slides, {MEMBERS} members; {RESAMPLES:,} resamples"
    )
    print_speed_of_auc(ground, logits[:, 0, 0].copy())
    print(f"estimates            {seconds(lambda: estimates(ground, logits)):7.1f} s")
    print(f"differences          {seconds(lambda: differences(ground, logits, 0)):7.1f} s")
    print(
        f"prediction_interval  {seconds(lambda: prediction_interval(ground, logits[:, 0], 100)):7.1f} s, one member"
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"peak memory          {peak:7.2f} GiB")


def generated(slides: int, seed: int = 0) -> tuple[Ground, np.ndarray]:
    """Labels, folds, slides and logits float64 (patches, members, 1) at an AUC near .97."""
    generator = np.random.default_rng(seed)
    sizes = generator.lognormal(0, 0.8, slides)
    slide = generator.choice(slides, PATCHES, p=sizes / sizes.sum())
    prevalence = np.where(generator.random(slides) < 0.3, 0.0, generator.beta(1, 0.75, slides))
    labels = (generator.random(PATCHES) < prevalence[slide]).astype(np.int64)
    common = 3.0 * labels + 0.4 * generator.normal(size=slides)[slide] + generator.normal(size=PATCHES)
    logits = np.empty((PATCHES, MEMBERS, 1))
    for member in range(MEMBERS):
        logits[:, member, 0] = common + 0.3 * generator.normal(size=slides)[slide]
        logits[:, member, 0] += 0.4 * generator.normal(size=PATCHES)
    return Ground(labels, slide % FOLDS, slide, "slides"), logits


def print_speed_of_auc(ground: Ground, scores: np.ndarray) -> None:
    """Milliseconds of one AUC, and how often ours fits in scikit-learn's, round by round."""
    split, folded = LabelSplit(ground.labels), FoldSplit(ground.labels, ground.folds)
    contenders: dict[str, Callable[[], object]] = {
        "scikit-learn": lambda: roc_auc_score(ground.labels, scores),
        "LabelSplit.auc": lambda: split.auc(scores),
        "FoldSplit.pooled_auc": lambda: folded.pooled_auc(scores[:, None]),
    }
    rounds = [
        {name: min(seconds(run) for _ in range(3)) for name, run in contenders.items()} for _ in range(ROUNDS)
    ]
    for name in contenders:
        ratio = median(times["scikit-learn"] / times[name] for times in rounds)
        milliseconds = 1000 * median(times[name] for times in rounds)
        print(f"{name:20s} {milliseconds:7.1f} ms, {ratio:.0f} times scikit-learn's speed")


def seconds(run: Callable[[], object]) -> float:
    """Wall clock of one call."""
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
