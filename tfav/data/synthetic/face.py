"""The face half of the synthetic corpus: portraits drawn from a person's latent vector.

NumPy and Pillow only. Shapes are polygons in face units (the distance from the eyes to the crown is
one, x to the right, y down), posed by one affine map, drawn `_SUPERSAMPLE` times too large and
reduced, which is what smooths their edges.
"""

import dataclasses

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

_SUPERSAMPLE = 3
# Paths through RGB: a latent chooses the place on them.
_SKIN = np.array(
    [[88, 56, 40], [138, 92, 66], [188, 138, 104], [224, 180, 148], [246, 216, 194]], np.float64
)
_HAIR = np.array(
    [[26, 22, 26], [66, 40, 30], [126, 70, 38], [186, 130, 66], [232, 204, 140]], np.float64
)
_IRIS = np.array([[70, 46, 30], [52, 92, 60], [62, 104, 148]], np.float64)
_BLUSH, _RED = np.array([230, 90, 90]), np.array([200, 84, 80])
_LID, _PUPIL, _EYEBALL = (np.array(c) for c in ([36, 26, 24], [14, 12, 14], [244, 242, 238]))


@dataclasses.dataclass(frozen=True)
class Looks:
    """How one person looks, in face units and RGB. Nothing here differs between their images."""

    female: bool
    half_width: float
    chin: float  # below the eyes
    skin: np.ndarray
    hair: np.ndarray
    iris: np.ndarray
    lips: np.ndarray
    mouth_half_width: float
    mouth_half_height: float
    eye_distance: float  # from the middle of the face
    eye_half_width: float
    brow: float  # half thickness
    hairline: float  # y on the forehead, negative


def looks(female: bool, latent: np.ndarray) -> Looks:
    """Returns the looks of a person.

    Args:
      female: the gender bit, which sets hair, jaw, lips and brows.
      latent: [5] in [-1, 1], in the order of `synthetic.LATENTS`.
    """
    size, breath, tempo, diction, spread = latent
    skin, red = _along(_SKIN, breath), (0.60 if female else 0.35) + 0.25 * diction
    return Looks(
        female=female,
        half_width=0.80 - 0.13 * size,
        chin=1.02 + 0.17 * size,
        skin=skin,
        hair=_along(_HAIR, tempo),
        iris=_along(_IRIS, spread),
        lips=(1 - red) * 0.85 * skin + red * _RED,
        mouth_half_width=0.30 + 0.12 * diction,
        mouth_half_height=0.09 + 0.05 * diction,
        eye_distance=0.345 + 0.075 * spread,
        eye_half_width=0.145 + 0.025 * spread,
        brow=(0.045 if female else 0.057) + 0.03 * diction,
        hairline=-0.62 + 0.24 * diction,
    )


def _along(colours: np.ndarray, position: float) -> np.ndarray:
    """Returns the colour at `position` in [-1, 1] of a path [N, 3] through RGB."""
    at = (position + 1) / 2 * (len(colours) - 1)
    return np.array([np.interp(at, np.arange(len(colours)), channel) for channel in colours.T])


def portrait(looks: Looks, rng: np.random.Generator, image_size: int) -> Image.Image:
    """Draws one portrait: pose, expression, clothes, background and light come from `rng`.

    Returns:
      an RGB picture of image_size x image_size pixels.
    """
    canvas = _Canvas(_background(rng, image_size * _SUPERSAMPLE), rng)
    turn = rng.uniform(-0.05, 0.05)  # of the head: what lies in front moves sideways
    face = _outline(looks)
    _draw_behind(canvas, looks, rng.uniform(40, 200, 3))
    canvas.fill(face, looks.skin)
    _draw_eyes(canvas, looks, turn, rng)
    _draw_nose(canvas, looks, 1.3 * turn)
    _draw_mouth(canvas, looks, turn, smile=rng.uniform(0.0, 0.06))
    _draw_hair(canvas, looks, turn)
    return _light(canvas, face, rng, image_size)


class _Canvas:
    """Draws shapes given in face units onto a picture, through one random pose."""

    def __init__(self, picture: Image.Image, rng: np.random.Generator):
        self.picture = picture
        self.draw = ImageDraw.Draw(picture)
        size, angle = picture.size[0], np.deg2rad(rng.uniform(-6, 6))
        self.scale = size * 0.345 * rng.uniform(0.95, 1.05)
        self.matrix = self.scale * np.array(
            [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        )
        self.origin = size * (np.array([0.5, 0.49]) + rng.uniform(-0.03, 0.03, 2))

    def pixels(self, points: np.ndarray) -> list[tuple[float, float]]:
        return [tuple(p) for p in points @ self.matrix.T + self.origin]

    def fill(self, points: np.ndarray, colour: np.ndarray) -> None:
        self.draw.polygon(self.pixels(points), fill=_rgb(colour))

    def line(self, points: np.ndarray, width: float, colour: np.ndarray) -> None:
        pixels = max(1, round(width * self.scale))
        self.draw.line(self.pixels(points), fill=_rgb(colour), width=pixels, joint="curve")


def _rgb(colour: np.ndarray) -> tuple[int, int, int]:
    red, green, blue = (int(c) for c in np.clip(np.round(colour), 0, 255))
    return red, green, blue


def _ellipse(
    x: float, y: float, a: float, b: float, start: float = 0.0, stop: float = 360.0
) -> np.ndarray:
    """Points [33, 2] of an ellipse or its arc; degrees run clockwise from the right."""
    t = np.deg2rad(np.linspace(start, stop, 33))
    return np.stack([x + a * np.cos(t), y + b * np.sin(t)], axis=1)


def _outline(looks: Looks) -> np.ndarray:
    """Points [65, 2] of the face: round above the eyes, tapering to the chin below."""
    t = np.linspace(0, 2 * np.pi, 65)
    x, y = np.cos(t), np.sin(t)
    jaw = 0.80 if looks.female else 0.62  # smaller is squarer
    x = np.where(y > 0, np.sign(x) * np.abs(x) ** jaw, x)
    return np.stack([looks.half_width * x, np.where(y > 0, looks.chin * y, y)], axis=1)


def _background(rng: np.random.Generator, size: int) -> Image.Image:
    top, bottom = (rng.uniform(90, 200) + rng.uniform(-25, 25, 3) for _ in range(2))
    ramp = np.linspace(0, 1, size)[:, None, None]
    rows = np.round(top * (1 - ramp) + bottom * ramp).astype(np.uint8)
    return Image.fromarray(np.ascontiguousarray(np.broadcast_to(rows, (size, size, 3))))


def _draw_behind(canvas: _Canvas, looks: Looks, clothes: np.ndarray) -> None:
    """The hair behind the head, shoulders, neck and ears."""
    w, chin = looks.half_width, looks.chin
    if looks.female:
        crown = _ellipse(0, -0.1, w + 0.22, 1.12, 180, 360)
        t = np.linspace(1, -1, 33)
        ends = [(w + 0.22) * np.sign(t) * np.abs(t) ** 0.35, 1.0 + 0.30 * np.abs(t) ** 3]
        canvas.fill(np.concatenate([crown, np.stack(ends, 1)]), 0.76 * looks.hair)
    canvas.fill(_ellipse(0, chin + 1.25, 1.75, 0.95), clothes)
    neck, collar = (0.36 if looks.female else 0.48), chin + 0.42
    sides = [[-neck, 0.5], [neck, 0.5], [neck + 0.05, collar], [-neck - 0.05, collar]]
    canvas.fill(np.array(sides), 0.8 * looks.skin)
    canvas.fill(_ellipse(0, collar, neck + 0.05, 0.12), 0.8 * looks.skin)
    for side in (-1, 1):
        canvas.fill(_ellipse(side * w, 0.12, 0.10, 0.20), 0.9 * looks.skin)


def _draw_eyes(canvas: _Canvas, looks: Looks, turn: float, rng: np.random.Generator) -> None:
    """Cheeks, eyes and brows; how far the eyes open and where they look comes from `rng`."""
    width, height = looks.eye_half_width, looks.eye_half_width * rng.uniform(0.50, 0.62)
    gaze, lift = rng.uniform(-0.03, 0.03, 2)
    lid = 0.035 if looks.female else 0.022
    for side in (-1, 1):
        x = turn + side * looks.eye_distance
        canvas.fill(_ellipse(x, 0.34, 0.17, 0.10), 0.94 * looks.skin + 0.06 * _BLUSH)
        canvas.fill(_ellipse(x, 0.0, width, height), _EYEBALL)
        canvas.fill(_ellipse(x + gaze, 0.0, 0.95 * height, 0.95 * height), looks.iris)
        canvas.fill(_ellipse(x + gaze, 0.0, 0.5 * height, 0.5 * height), _PUPIL)
        canvas.fill(_ellipse(x + gaze + 0.025, -0.03, 0.022, 0.022), np.full(3, 255))
        canvas.line(_ellipse(x, 0.0, width, height, 185, 355), lid, _LID)
        t = np.linspace(-1, 1, 17)  # from the nose outwards
        arch = lift - 0.20 - 0.5 * looks.brow - 0.055 * (1 - t**2)
        along = x + side * (0.02 + (width + 0.06) * t)
        taper = looks.brow * np.sqrt(1 - (0.5 + 0.5 * t) ** 3) * np.minimum(1, 3 * (1.15 + t))
        above, below = np.stack([along, arch - taper], 1), np.stack([along, arch + taper], 1)
        canvas.fill(np.concatenate([above, below[::-1]]), 0.62 * looks.hair)


def _draw_nose(canvas: _Canvas, looks: Looks, x: float) -> None:
    tip, shadow = 0.40 * looks.chin, 0.78 * looks.skin
    bridge = [[x - 0.05, 0.02], [x - 0.08, tip - 0.10], [x - 0.13, tip]]
    canvas.line(np.array(bridge), 0.03, shadow)
    canvas.line(_ellipse(x, tip - 0.01, 0.12, 0.06, 20, 160), 0.035, shadow)
    for side in (-1, 1):
        canvas.fill(_ellipse(x + side * 0.065, tip + 0.02, 0.03, 0.02), 0.5 * looks.skin)


def _draw_mouth(canvas: _Canvas, looks: Looks, turn: float, smile: float) -> None:
    t = np.linspace(-1, 1, 25)
    x = turn + looks.mouth_half_width * t
    middle = 0.68 * looks.chin + smile * (0.5 - t**2)
    bow = (1 - t**2) * (1 - 0.25 * np.exp(-((t / 0.18) ** 2)))
    upper = np.stack([x, middle - looks.mouth_half_height * bow], 1)
    lower = np.stack([x, middle + 1.15 * looks.mouth_half_height * (1 - t**2) ** 0.8], 1)
    canvas.fill(np.concatenate([upper, lower[::-1]]), looks.lips)
    canvas.line(np.stack([x, middle], 1), 0.022, 0.5 * looks.lips)


def _draw_hair(canvas: _Canvas, looks: Looks, turn: float) -> None:
    """The hair in front: from the crown to the hairline and down the sides."""
    female, t = looks.female, np.linspace(1, -1, 25)
    outer = looks.half_width + (0.12 if female else 0.05)
    inner = looks.half_width - (0.05 if female else 0.02)
    side = 0.62 if female else -0.05  # where the hair beside the face ends
    edge = looks.hairline * (1 - np.abs(t) ** 4) + side * np.abs(t) ** 4
    edge = edge + (0.10 * np.abs(t - 0.35) - 0.05 if female else 0.0)  # a parting
    crown = _ellipse(0, -0.15, outer, 1.05 if female else 0.98, 180, 360)
    hairline = np.stack([inner * t + 0.5 * turn, edge], 1)
    canvas.fill(np.concatenate([crown, [[outer, side]], hairline, [[-outer, side]]]), looks.hair)
    for angle in (205, 230, 255, 285, 310, 335):
        strand = _ellipse(0, -0.15, 0.93 * outer, 0.95, angle, angle + 16)
        canvas.line(strand, 0.02, 1.12 * looks.hair + 8)


def _light(
    canvas: _Canvas, face: np.ndarray, rng: np.random.Generator, image_size: int
) -> Image.Image:
    """Reduces the picture, rounds the head with a soft light from one side, tints the whole."""
    size = (image_size, image_size)
    mask = Image.new("L", canvas.picture.size)
    ImageDraw.Draw(mask).polygon(canvas.pixels(face), fill=255)
    mask = mask.resize(size, Image.Resampling.BOX).filter(ImageFilter.GaussianBlur(image_size / 60))
    pixels = np.asarray(canvas.picture.resize(size, Image.Resampling.LANCZOS), np.float64)
    at = (np.arange(image_size) + 0.5) * _SUPERSAMPLE
    x = np.clip((at - canvas.origin[0]) / canvas.scale, -1, 1)[None, :]
    y = np.clip((at - canvas.origin[1]) / canvas.scale, -1, 1)[:, None]
    shade = rng.uniform(-0.13, 0.13) * x - 0.05 * y
    shade = shade - 0.16 * np.clip(x**2 / 0.7 + y**2 / 1.3 - 0.35, 0, 1)
    shade = 1 + shade * (np.asarray(mask, np.float64) / 255)
    tint = rng.uniform(0.93, 1.07) * rng.uniform(0.98, 1.02, 3)
    pixels = pixels * shade[..., None] * tint + rng.normal(0, 2.0, pixels.shape)
    return Image.fromarray(np.clip(np.round(pixels), 0, 255).astype(np.uint8))
