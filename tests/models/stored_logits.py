"""Build networks, store or load their weights, and write the logits: run by two Pythons in turn.

python stored_logits.py write|read FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

NETWORKS: dict[str, dict[str, Any]] = {
    "small_vgg": {"widths": [8, 16], "depths": [1, 1]},
    "small_resnet": {},
    "two_stream": {},
    "d4_resnet": {},
    "small_vit": {},
    "densenet121": {"weights": "none"},
    "efficientnetv2_b0": {"weights": "none"},
    "convnext_tiny": {"weights": "none"},
}


def main(mode: str, folder: Path) -> None:
    import keras
    import numpy as np

    from histoblend.models.problem import Problem
    from histoblend.models.registry import build_network

    patches = np.random.default_rng(0).integers(0, 256, (2, 96, 96, 3), np.uint8)
    for name, parameters in NETWORKS.items():
        keras.utils.set_random_seed(0 if mode == "write" else 1)
        model = build_network(name, parameters, Problem())
        path = folder / f"{name}.weights.h5"
        if mode == "write":
            generator = np.random.default_rng(1)
            for weight in model.weights:  # statistics and scales as no fresh network has them
                value = np.asarray(weight)
                if "float" in weight.dtype and value.ndim == 1:
                    weight.assign(value + 0.1 * generator.random(value.shape))
            model.save_weights(path)
        else:
            model.load_weights(path)
        np.save(folder / f"{name}.{mode}.npy", np.asarray(model(patches, training=False)))
    (folder / f"{mode}.txt").write_text(keras.__version__)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
