"""Training augmentations given as data: their check at the door, and the pipeline they build.

A preset is a list of transforms, each a mapping ``{"name": ..., parameter: value, ..., "p": probability}``:
the names and parameters of albumentations 2.0.8, those of `CUSTOM`, or ``{"name": "OneOf", "transforms":
[...], "p": ...}``.
"""

from __future__ import annotations

import difflib
import functools
import inspect
import os
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from typing import Any

import numpy as np

from histoblend.data.augmentation_presets import PRESETS
from histoblend.data.custom_transforms import CUSTOM
from histoblend.data.stain import UInt8Array
from histoblend.errors import ConfigRefusal


def resolve_augmentation(spec: str | Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The transforms that `spec` stands for: a preset's name, or a list, checked by a trial on a patch.

    Raises:
        ConfigRefusal: an unknown preset, transform or parameter (the nearest valid ones are named), a value
            that the transform does not take, or a transform that changes a patch's shape or type.
    """
    if not isinstance(spec, str):
        for transform in _leaves(spec):
            _try_out(transform)
        return deepcopy(list(spec))
    if spec not in PRESETS:
        raise ConfigRefusal(
            f"The augmentation preset {spec!r} does not exist{_nearest(spec, PRESETS)}.",
            f"one of {', '.join(PRESETS)}, or a list of transforms",
        )
    return deepcopy(PRESETS[spec])


def transform_parameters() -> dict[str, list[str]]:
    """Every transform that a list may name, each with the parameters it takes beside its name."""
    names = dict.fromkeys(_names_of_transforms())
    return {name: ["transforms", "p"] if name == "OneOf" else _parameters_of(name) for name in names}


class Augmenter:
    """A pipeline of transforms whose output is a pure function of the images and a seed.

    Pickled as its list of transforms, so that it crosses into a spawned worker, which builds it at its
    first batch.
    """

    def __init__(self, transforms: Sequence[dict[str, Any]], centre: int = 32) -> None:
        self.transforms = deepcopy(list(transforms))
        self.centre = centre
        self._alone = threading.Lock()  # one pipeline, one generator: two threads would share its draws

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.transforms, self.centre)

    @functools.cached_property
    def _pipeline(self) -> Any:
        steps = [_build(transform, self.centre) for transform in self.transforms]
        return _albumentations().Compose(steps, is_check_shapes=False)

    def augment_batch(self, images: UInt8Array, seed: int) -> UInt8Array:
        """Each image with its own draw: uint8 (n, height, width, 3) in, a new array of the same shape out.

        `seed` (0 or greater) and the images decide every byte; what was augmented before, the process and
        the global generators do not matter. Another batch size or order gives other draws to an image: seed
        per batch.
        """
        if not self.transforms:
            return images.copy()
        # Not Compose.set_random_seed: that hands every transform a twin of one stream, so that all of them
        # would draw the same numbers and the first image of each batch would get either most of the
        # transforms or few.
        augmented = np.empty_like(images)
        with self._alone:
            self._pipeline.set_random_state(np.random.default_rng(seed), random.Random(seed))
            for place, image in zip(augmented, images, strict=True):
                # A copy, because some transforms write into what they are given when nothing before them made
                # a new array.
                place[...] = self._pipeline(image=np.array(image))["image"]
        return augmented


def build_augmenter(transforms: Sequence[dict[str, Any]], centre: int = 32) -> Augmenter:
    """The augmenter of a resolved list; `centre` is the side of the labelled square in pixels."""
    return Augmenter(transforms, centre)


@functools.cache
def _albumentations() -> Any:
    """albumentations, imported late: it takes seconds, and calls the package index unless told not to."""
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
    import albumentations

    return albumentations


@functools.cache
def _custom_class() -> type:
    """The albumentations transform that runs a function of `CUSTOM` on the pipeline's own generator."""

    class CustomTransform(_albumentations().ImageOnlyTransform):  # type: ignore[misc]
        def __init__(self, function: Callable[..., UInt8Array], parameters: dict[str, Any], p: float) -> None:
            super().__init__(p=p)
            self.function, self.parameters = function, parameters

        def apply(self, img: UInt8Array, **_: Any) -> UInt8Array:
            return self.function(img, self.random_generator, **self.parameters)

    return CustomTransform


def _build(transform: dict[str, Any], centre: int) -> Any:
    """The albumentations object of one mapping; `centre` goes to the custom transforms that ask for it."""
    parameters = {key: _as_tuple(value) for key, value in transform.items() if key != "name"}
    name = transform["name"]
    if name == "OneOf":
        parameters["transforms"] = [_build(choice, centre) for choice in transform["transforms"]]
        return _albumentations().OneOf(**parameters)
    if name not in CUSTOM:
        return getattr(_albumentations(), name)(**parameters)
    p = parameters.pop("p", 0.5)
    if "centre" in inspect.signature(CUSTOM[name]).parameters:
        parameters.setdefault("centre", centre)
    return _custom_class()(CUSTOM[name], parameters, p)


def _as_tuple(value: Any) -> Any:
    """A range as albumentations wants it: YAML and JSON know lists only."""
    return tuple(value) if isinstance(value, list) else value


def _leaves(transforms: Any) -> Iterator[dict[str, Any]]:
    """Every transform of a list, those inside OneOf included; refuses what is not shaped like one."""
    if not isinstance(transforms, Sequence) or isinstance(transforms, str):
        raise ConfigRefusal(f"An augmentation holds {transforms!r}.", "a list of transforms")
    for transform in transforms:
        if not isinstance(transform, dict) or not isinstance(transform.get("name"), str):
            raise ConfigRefusal(
                f"An augmentation holds {transform!r}.",
                'a mapping with a name, like {"name": "D4", "p": 1.0}',
            )
        if transform["name"] != "OneOf":
            yield transform
            continue
        yield from _leaves(_choices(transform))


def _choices(one_of: dict[str, Any]) -> Sequence[dict[str, Any]]:
    """What a OneOf chooses from, each with its `p` as weight; refuses a OneOf that cannot choose."""
    _check_parameters("OneOf", one_of, ["transforms", "p"])
    if not one_of.get("transforms"):
        raise ConfigRefusal("An augmentation's OneOf holds no transforms.", "at least one under 'transforms'")
    p = one_of.get("p", 0.5)
    if not isinstance(p, int | float) or not 0 <= p <= 1:
        raise ConfigRefusal(f"An augmentation's OneOf has p={p!r}.", "a probability from 0 to 1")
    return one_of["transforms"]


def _try_out(transform: dict[str, Any]) -> None:
    """Refuse a transform that does not exist, does not take its parameters, or does not give a patch back."""
    name = transform["name"]
    names = _names_of_transforms()
    if name not in names:
        raise ConfigRefusal(
            f"The augmentation {name!r} does not exist{_nearest(name, names)}.",
            f"a transform of albumentations 2.0.8, OneOf, or one of {', '.join(CUSTOM)}",
        )
    _check_parameters(name, transform, _parameters_of(name))
    patch = np.random.default_rng(0).integers(0, 256, size=(96, 96, 3), dtype=np.uint8)
    try:
        result = _build(transform, centre=32)(image=patch, force_apply=True)["image"]
    except Exception as error:  # whatever a third party's transform raises on values it does not take
        raise ConfigRefusal(
            f"The augmentation {name} does not work with {_stated(transform)}: {error}",
            "values that albumentations 2.0.8 takes, in a transform that needs nothing but the image",
        ) from error
    if result.shape != patch.shape or result.dtype != patch.dtype:
        raise ConfigRefusal(
            f"The augmentation {name} turns a patch of uint8 (96, 96, 3) into {result.dtype} {result.shape}.",
            "a transform that keeps shape and type",
        )


def _check_parameters(name: str, transform: dict[str, Any], known: Sequence[str]) -> None:
    for key in transform:
        if key != "name" and key not in known:
            raise ConfigRefusal(
                f"The augmentation {name} has no parameter {key!r}{_nearest(key, known)}.",
                f"some of {', '.join(known)}",
            )


def _names_of_transforms() -> list[str]:
    """Names of albumentations' concrete transforms of single images, and of `CUSTOM`."""
    library = _albumentations()
    kinds = (library.ImageOnlyTransform, library.DualTransform)
    members = inspect.getmembers(library, inspect.isclass)
    theirs = [name for name, kind in members if issubclass(kind, kinds) and kind not in kinds]
    return [*CUSTOM, "OneOf", *theirs]


def _parameters_of(name: str) -> list[str]:
    if name in CUSTOM:
        return [*list(inspect.signature(CUSTOM[name]).parameters)[2:], "p"]
    return list(inspect.signature(getattr(_albumentations(), name)).parameters)


def _nearest(name: str, known: Sequence[str] | dict[str, Any]) -> str:
    """``'; the nearest are a, b'``, or nothing where no known name resembles `name`."""
    by_lower = {each.lower(): each for each in known}
    close = [by_lower[each] for each in difflib.get_close_matches(name.lower(), by_lower, n=3, cutoff=0.5)]
    return f"; the nearest are {', '.join(close)}" if close else ""


def _stated(transform: dict[str, Any]) -> str:
    return (
        ", ".join(f"{key}={value!r}" for key, value in transform.items() if key != "name") or "its defaults"
    )
