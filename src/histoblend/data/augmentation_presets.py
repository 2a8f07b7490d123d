"""The shipped augmentations: nothing but data.

The label lives in the centre 32x32 of a patch, so that geometric distortions move the centre by a few
pixels at most and reflect at the border. Colour changes are mild, because they can cost a small network
more than they bring.
"""

from __future__ import annotations

from typing import Any

# cv2.BORDER_REFLECT_101: black corners would tell the network that a patch was turned.
REFLECT = 4
# cv2.INTER_CUBIC: a bilinear rotation also blurs, which is a separate choice below.
CUBIC = 2

LIGHT: list[dict[str, Any]] = [{"name": "D4", "p": 1.0}]

MEDIUM: list[dict[str, Any]] = [
    *LIGHT,
    {
        "name": "Affine",
        "scale": [0.95, 1.05],
        "rotate": [-8, 8],
        "interpolation": CUBIC,
        "border_mode": REFLECT,
        "p": 0.3,
    },
    {"name": "StainJitter", "scale": [0.95, 1.05], "shift": [-0.01, 0.01], "p": 0.4},
    {
        "name": "RandomBrightnessContrast",
        "brightness_limit": [-0.08, 0.08],
        "contrast_limit": [-0.08, 0.08],
        "p": 0.4,
    },
]

HEAVY: list[dict[str, Any]] = [
    *LIGHT,
    {
        "name": "Affine",
        "scale": [0.92, 1.08],
        "rotate": [-10, 10],
        "shear": [-4, 4],
        "translate_percent": [-0.02, 0.02],
        "interpolation": CUBIC,
        "border_mode": REFLECT,
        "p": 0.4,
    },
    {
        "name": "OneOf",
        "transforms": [
            {
                "name": "GridDistortion",
                "num_steps": 4,
                "distort_limit": [-0.08, 0.08],
                "border_mode": REFLECT,
                "p": 1.0,
            },
            {"name": "ElasticTransform", "alpha": 16, "sigma": 5, "border_mode": REFLECT, "p": 0.5},
        ],
        "p": 0.25,
    },
    {"name": "StainJitter", "scale": [0.85, 1.15], "shift": [-0.03, 0.03], "p": 0.5},
    {
        "name": "HueSaturationValue",
        "hue_shift_limit": [-5, 5],
        "sat_shift_limit": [-20, 20],
        "val_shift_limit": [-10, 10],
        "p": 0.3,
    },
    {
        "name": "OneOf",
        "transforms": [
            {
                "name": "RandomBrightnessContrast",
                "brightness_limit": [-0.15, 0.15],
                "contrast_limit": [-0.15, 0.15],
            },
            {"name": "RandomGamma", "gamma_limit": [80, 125]},
        ],
        "p": 0.5,
    },
    {"name": "GaussianBlur", "blur_limit": 0, "sigma_limit": [0.3, 1.2], "p": 0.15},
    {"name": "GaussNoise", "std_range": [0.01, 0.04], "p": 0.15},
    {"name": "ImageCompression", "quality_range": [60, 95], "p": 0.15},
    {"name": "CentreSafeDropout", "holes": [1, 3], "size": [8, 20], "p": 0.3},
]

PRESETS: dict[str, list[dict[str, Any]]] = {"none": [], "light": LIGHT, "medium": MEDIUM, "heavy": HEAVY}
