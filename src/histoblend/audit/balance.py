"""Class balance: of the whole, of each fold, of each slide."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from histoblend.audit.findings import Finding
from histoblend.errors import counted, some

RARE = 0.1  # of an even share: two classes at 5 %, ten at 1 %
FOLD_DEVIATION = 0.05  # of a class's share in a fold from its share in all


def class_finding(labels: pd.Series, classes: Sequence[str]) -> Finding:
    """How many patches each class has."""
    counts = labels.value_counts().reindex(range(len(classes)), fill_value=0)
    rare = counts[counts < RARE * len(labels) / len(classes)]
    said = ", ".join(
        f"{name} {counts[k]:,} ({counts[k] / len(labels):.1%})" for k, name in enumerate(classes)
    )
    warning = f" Rare: {some([classes[k] for k in rare.index])}." if len(rare) else ""
    return Finding(
        kind="class balance",
        severity="odd" if len(rare) else "note",
        part="train",
        sentence=f"{said}.{warning}",
        number=len(classes),
        values={"counts": {name: int(counts[k]) for k, name in enumerate(classes)}},
    )


def fold_finding(folds: pd.DataFrame, classes: Sequence[str]) -> Finding:
    """Size and class shares of each fold; odd where a share lies far from that of the whole.

    Args:
        folds: id, label, slide, fold.
    """
    shares = pd.crosstab(folds["fold"], folds["label"], normalize="index").reindex(
        columns=range(len(classes)), fill_value=0.0
    )
    overall = folds["label"].value_counts(normalize=True).reindex(range(len(classes)), fill_value=0.0)
    deviation = (shares - overall).abs().max(axis=1)
    far = deviation[deviation > FOLD_DEVIATION]
    shown = (
        [f"{fold}: {share:.1%}" for fold, share in shares[1].items()] if len(classes) == 2 else
        [f"{fold}: within {value:.1%}" for fold, value in deviation.items()]
    )  # fmt: skip
    meaning = f"share of {classes[1]}" if len(classes) == 2 else "class shares against those of all"
    warning = f" More than {FOLD_DEVIATION:.0%} off: fold {some(list(far.index))}." if len(far) else ""
    sizes = folds["fold"].value_counts().sort_index()
    return Finding(
        kind="fold balance",
        severity="odd" if len(far) else "note",
        part="train",
        sentence=f"{sizes.min():,} to {sizes.max():,} patches a fold; {meaning}: {', '.join(shown)}.{warning}",
        number=len(shares),
        values={
            "sizes": {str(fold): int(size) for fold, size in sizes.items()},
            "shares": {
                str(fold): row.tolist() for fold, row in zip(shares.index, shares.to_numpy(), strict=True)
            },
        },
    )


def slide_finding(slides: pd.Series, labels: pd.Series, classes: Sequence[str]) -> Finding:
    """How many slides there are and how many hold one class only: on those, telling slides apart is enough.

    Args:
        slides, labels: of the same patches, in the same order.
    """
    counts = pd.crosstab(slides.to_numpy(), labels.to_numpy())
    alone = counts[(counts > 0).sum(axis=1) == 1]
    by_class = {classes[int(k)]: int((alone[k] > 0).sum()) for k in alone.columns if (alone[k] > 0).any()}
    said = f" ({', '.join(f'{name} {count:,}' for name, count in by_class.items())})" if by_class else ""
    share = alone.to_numpy().sum() / len(slides)
    return Finding(
        kind="slides",
        severity="note",
        part="train",
        sentence=f"{counted(len(counts), 'slide')} of {counts.sum(axis=1).min():,} to {counts.sum(axis=1).max():,} "
        f"patches; {len(alone):,} hold one class only{said}, with {share:.0%} of the patches.",
        number=len(counts),
        values={"one_class_only": sorted(map(str, alone.index)), "share_of_patches": float(share)},
    )
