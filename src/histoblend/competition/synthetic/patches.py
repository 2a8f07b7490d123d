"""Drawn patches: tissue seen through a slide's stains and a scanner's optics."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from histoblend.competition.synthetic.fields import PATCH_SIDE, SCALE, Textures, draw_textures
from histoblend.competition.synthetic.nuclei import HALF_SIDE
from histoblend.competition.synthetic.plan import PartPlan, plan_part
from histoblend.competition.synthetic.slides import Slide, draw_slides
from histoblend.competition.synthetic.tissue import Canvas, add_island, add_nest, benign_mask, draw_ground

KINDS = ("tumour", "distractor", "benign", "white", "black")


@dataclass(frozen=True)
class Patch:
    """One drawn patch and the truth about it."""

    image: np.ndarray  # (96, 96, 3) uint8 RGB
    tumour: np.ndarray  # (96, 96) bool: at least half of the pixel is tumour


def draw_patch(kind: str, slide: Slide, textures: Textures, generator: np.random.Generator) -> Patch:
    """One patch of a kind of `KINDS`.

    Args:
        kind: ``tumour`` (in the centre square), ``distractor`` (tumour, but only outside the centre square),
            ``benign`` (none), ``white`` or ``black`` (blank, as a few of the real ones are).
        slide: where it was cut.
        textures: noise shared by all patches.
        generator: its state alone decides what is drawn.
    """
    if kind in ("white", "black"):
        image = np.full((PATCH_SIDE, PATCH_SIDE, 3), 255 if kind == "white" else 0, dtype=np.uint8)
        return Patch(image, np.zeros((PATCH_SIDE, PATCH_SIDE), dtype=bool))
    canvas = draw_ground(slide, textures, generator)
    island = {"benign": 0.75, "distractor": 0.75, "tumour": 0.2}[kind]
    if generator.random() < island:
        add_island(canvas, slide, textures, generator, benign_mask(textures, generator))
    if kind != "benign":
        add_nest(canvas, slide, textures, generator, in_centre=kind == "tumour")
    return Patch(_photograph(canvas, slide, generator), _shrink(canvas.tumour.astype(np.float32)) > 0.5)


def draw_planned(plan: PartPlan, number: int, slides: list[Slide], textures: Textures, seed: int) -> Patch:
    """Patch `number` of a plan; depends on nothing but the plan, the slides, the textures and the seed."""
    source = int(plan.sources[number])
    generator = np.random.default_rng([seed, {"train": 5, "test": 6}[plan.part], source])
    return draw_patch(str(plan.kinds[source]), slides[plan.slides[source]], textures, generator)


def draw_patches(part: str, count: int, slides: int, seed: int) -> tuple[np.ndarray, np.ndarray, PartPlan]:
    """All patches of one part in memory; the same arguments give the same bytes on one machine.

    Args:
        part: ``train`` or ``test``.
        count: number of patches, at least that of the slides.
        slides: number of slides of this part.
        seed: decides everything; train and test of one seed share textures but no slide.

    Returns:
        Images (count, 96, 96, 3) uint8 RGB, drawn truth (count, 96, 96) bool (true where there is tumour;
        free of label noise), and the plan: ids, slides, kinds, labels.
    """
    drawn_slides = draw_slides(slides, part, seed)
    textures = draw_textures(seed)
    plan = plan_part(part, count, drawn_slides, seed)
    patches = [draw_planned(plan, number, drawn_slides, textures, seed) for number in range(count)]
    return np.stack([patch.image for patch in patches]), np.stack([patch.tumour for patch in patches]), plan


def _shrink(field: np.ndarray) -> np.ndarray:
    """The canvas without its margin, at patch resolution."""
    inner = field[HALF_SIDE:-HALF_SIDE, HALF_SIDE:-HALF_SIDE]
    return cv2.resize(inner, None, fx=1 / SCALE, fy=1 / SCALE, interpolation=cv2.INTER_AREA)


def _photograph(canvas: Canvas, slide: Slide, generator: np.random.Generator) -> np.ndarray:
    """Beer-Lambert: white * exp(-optical density), then blur, noise and the scanner's JPEG."""
    stain = np.stack([_shrink(plane) for plane in canvas.stain], axis=2)
    thickness = generator.uniform(0.65, 1.45, 2)  # sections and staining vary within a slide, too
    vectors = np.stack([slide.hematoxylin, slide.eosin]) * thickness[:, None]
    vectors *= generator.normal(1.0, 0.06, 3)
    light = np.asarray(slide.white, dtype=np.float32) * np.exp(-stain @ vectors.astype(np.float32))
    light = cv2.GaussianBlur(light, (0, 0), slide.blur * generator.uniform(0.8, 1.25))
    light += slide.sharpening * (light - cv2.GaussianBlur(light, (0, 0), 1.0))
    light += slide.noise * generator.standard_normal(light.shape, dtype=np.float32)
    image = np.clip(np.rint(light), 0, 255).astype(np.uint8)
    _, stored = cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, slide.quality])
    return np.ascontiguousarray(np.asarray(cv2.imdecode(stored, cv2.IMREAD_COLOR))[:, :, ::-1])
