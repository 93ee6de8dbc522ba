"""Golden vectors: made-up inputs and an export's answers, to prove a port to another language.

`vectors` gives JSON: a clip, what the front-end makes of it, and images, each with its embedding.
The inputs come from integer arithmetic, so a port can also make them itself; beside them stand the
front-end's own constants, of which a port builds its own front-end, and made-up images of which a
port makes the square that an encoder takes. How near an answer of a `.tflite` must be is measured
in `tolerances`.
"""

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfav import items, tensors
from tfav.evaluation import decisions
from tfav.inference import embedders
from tfav.layers import frontend, spectrograms
from tfav.ops import level
from tfav.recipes import outputs
from tfav.recipes import recipe as base

FORMAT = 1
FULL_SCALE = 32_768

_CLIP = (
    "One second. With integers of 64 bits, / rounding down and x(0) = 1, "
    "x(n + 1) = (1103515245 * x(n) + 12345) mod 2^31, sample n is "
    "(1 + (n / 2000) mod 4) * (2000 * abs(2 * (n mod 100) - 100) / 100 - 1000) "
    "+ 1500 * abs(2 * (n mod 23) - 23) / 23 - 750 + x(n) / 1048576 - 1024. "
    "waveform = waveform_pcm16 / 32768.0 in float32; a longer clip is padded with anything behind "
    "num_samples. Of a clip the first max_seconds of `hearing` are heard, a shorter one than "
    "min_seconds repeats itself up to them, and with window_seconds above 0 the embedding is the "
    "mean of those of consecutive windows, by their samples. Embeddings have unit norm."
)
_NUMBERS = (
    "Number i of the flattened item, the last axis fastest, is ((37 * i) mod 101) / 50 - 1; of a "
    "whole type (37 * i) mod 101. Embeddings have unit norm."
)
_STEPS = 16  # of a sequence of any length
_PICTURE = (
    "Base64 of the uint8 bytes, the last axis fastest. Frame f (0 of a single picture), row y, "
    "column x, channel c (R, G, B) holds (x * y / 4 + 5 * x * (c + 1) + 3 * y + 40 * f) mod 256, / "
    "rounding down. Embeddings have unit norm."
)
_FIT = (
    "Images [height, width, 3] by the formula of `description`, and the squares of `size` pixels "
    "that they are fitted into, base64 as there. With scale = size / max(height, width), both "
    "sides times scale are rounded, halves to the even number. Along each axis, pixel i of n out "
    "of m is the mean of those at j, weighted by max(0, 1 - abs(j + 1/2 - (i + 1/2) m / n) / r) "
    "with r = max(m / n, 1). It is rounded to 0..255, and the rest is 127, the smaller half of an "
    "odd number of lines before the image. A port may differ by 1: a sum may lie between two "
    "numbers."
)


def vectors(recipe: base.Recipe, num_frames: Mapping[str, int] | None = None) -> dict[str, Any]:
    """Returns inputs and answers of every encoder of a recipe, ready for `json.dumps`.

    Args:
      recipe: built, float32, with the weights that are exported.
      num_frames: modality to frames of an image input; one where left out.

    Returns:
      `format`, and by modality:
      `audio`: `description`, `sample_rate_hz`, `num_samples`, `waveform_pcm16` [num_samples],
        `hearing` (how much of a clip is heard), `embedding` [D]; and of an encoder with a
        front-end `frontend` (its constants, see `frontend_constants`) and, by the front-end's name,
        such as `log_mel`, what it gives, [frames][bands].
      images: `description`, `shape` ([S, S, 3], or [F, S, S, 3] of several frames), `pixels`,
        `embedding` [D]; `fit_description` and `fit`, each with `shape`, `size` and `fitted`.
    """
    found: dict[str, Any] = {"format": FORMAT}
    for modality, spec in outputs.item_specs(recipe, num_frames).items():
        found[modality] = _KINDS.get(spec.kind, _of_numbers)(recipe, modality, spec)
    return found


def decided(its: decisions.Decisions | None) -> dict[str, Any]:
    """Returns `decisions` as files have them, with `examples` of scores; nothing without them."""
    if its is None:
        return {}
    scores = np.linspace(-1.0, 1.0, 9)
    examples: dict[str, Any] = {"score": scores.tolist()}
    for name, value in (("probability", its.probability(scores)), ("matched", its.matched(scores))):
        if value is not None:
            examples[name] = value.tolist()
    return {"decisions": {**its.content, "examples": examples}}


def clip() -> np.ndarray:
    """Returns the made-up second, [16000] int16: a buzz that swells, a whistle and noise."""
    state, noise = 1, []
    for _ in range(tensors.SAMPLE_RATE_HZ):
        noise.append(state // 2**20 - 1024)
        state = (1_103_515_245 * state + 12_345) % 2**31
    n = np.arange(tensors.SAMPLE_RATE_HZ)
    buzz = 2000 * abs(2 * (n % 100) - 100) // 100 - 1000
    whistle = 1500 * abs(2 * (n % 23) - 23) // 23 - 750
    return ((1 + n // 2000 % 4) * buzz + whistle + np.array(noise)).astype(np.int16)


def picture(height: int, width: int, frames: int = 1) -> np.ndarray:
    """Returns made-up images, [height, width, 3] uint8; of several frames [frames, ...]."""
    f, y, x, c = np.meshgrid(*map(np.arange, (frames, height, width, 3)), indexing="ij")
    pixels = ((x * y // 4 + 5 * x * (c + 1) + 3 * y + 40 * f) % 256).astype(np.uint8)
    return pixels if frames > 1 else pixels[0]


def item(spec: items.ItemSpec) -> np.ndarray:
    """Returns the made-up item of a modality: a waveform [16000] float32, pixels or numbers."""
    if spec.clip:
        return clip().astype(np.float32) / FULL_SCALE
    if spec.fitted:
        return picture(spec.side, spec.side, spec.num_frames)
    shape = [_STEPS if size is None else size for size in spec.shape]
    numbers = 37 * np.arange(np.prod(shape)) % 101
    whole = np.issubdtype(np.dtype(spec.dtype), np.integer)
    return (numbers if whole else numbers / 50 - 1).reshape(shape).astype(spec.dtype)


def frontend_constants(layer: frontend.Frontend) -> dict[str, Any]:
    """Returns what a front-end computes with, numbers and tables, in the order of its steps.

    With `silence_db` above 0, `level.without_silence` comes first: the clip falls into steps of
    `silence_step_samples`, and those are cut that lie in a stretch of `silence_steps` or more, or
    in one that reaches an end of the clip, where every |x| is below
    `sum x^2 / sum |x| * 10^(-silence_db / 20)`. With `level_norm`, what is left is then multiplied
    by `sum |x| / max(sum x^2, level_least_squares)`.
    `window` [frame_length_samples]; `bands` of a log-mel are triangles, the weights of the bins
    from `first_bin` on; `density` [bins] of a log spectrogram multiplies its power.
    """
    names = (
        *("silence_db", "level_norm", "amplitude", "preemphasis", "centered", "detrend"),
        *("frame_length_samples", "frame_step_samples", "fft_length", "power", "log_offset"),
        "instance_norm",
    )
    found = {"name": layer.name, "num_bands": layer.num_bands}
    found |= {name: getattr(layer, name) for name in names if hasattr(layer, name)}
    if layer.silence_db:
        found["silence_step_samples"] = level.SILENCE_STEP_SAMPLES
        found["silence_steps"] = level.SILENCE_STEPS
    if layer.level_norm:
        found["level_least_squares"] = level.LEAST_SQUARES
    if found.get("instance_norm"):
        found["instance_norm_epsilon"] = spectrograms.INSTANCE_NORM_EPSILON
    found["window"] = layer.window_values.tolist()
    if isinstance(layer, spectrograms.LogMel):
        found["bands"] = [_band(weights) for weights in layer.mel.T]
    if isinstance(layer, spectrograms.LogSpectrogram):
        found["density"] = layer.density.tolist()
        found["deviation_epsilon"] = spectrograms.DEVIATION_EPSILON
    return found


def _band(weights: np.ndarray) -> dict[str, Any]:
    bins = np.flatnonzero(weights)
    first, last = (bins[0], bins[-1]) if len(bins) else (0, -1)
    return {"first_bin": int(first), "weights": weights[first : last + 1].tolist()}


def _of_clip(recipe: base.Recipe, modality: str, spec: items.ItemSpec) -> dict[str, Any]:
    samples, waveform = clip(), item(spec)
    found = {
        "description": _CLIP,
        "sample_rate_hz": tensors.SAMPLE_RATE_HZ,
        "num_samples": len(samples),
        "hearing": recipe.hearing.facts(),
        "waveform_pcm16": samples.tolist(),
    }
    layer = getattr(recipe.encoders[modality], "frontend", None)
    if isinstance(layer, frontend.Frontend):
        found["frontend"] = frontend_constants(layer)
        found[layer.name] = _listed(layer(tf.constant(waveform[np.newaxis]))[0][0])
    return {**found, "embedding": _embedding(recipe, modality, waveform)}


def _of_picture(recipe: base.Recipe, modality: str, spec: items.ItemSpec) -> dict[str, Any]:
    pixels = item(spec)
    return {
        "description": _PICTURE,
        "shape": list(pixels.shape),
        "pixels": _encoded(pixels),
        "embedding": _embedding(recipe, modality, pixels),
        "fit_description": _FIT,
        "fit": _fits(spec.side),
    }


def _fits(size: int) -> list[dict[str, Any]]:
    """Returns a wide image that shrinks, a tall one that grows, and one whose half is rounded."""
    shapes = [(size + 5, 2 * size + 3), (size // 2 + 1, size // 3 + 1), (4 * size, 2 * size + 2)]
    return [
        {
            "shape": [*shape, 3],
            "size": size,
            "fitted": _encoded(embedders.fitted(picture(*shape), size)),
        }
        for shape in shapes
    ]


def _encoded(pixels: np.ndarray) -> str:
    return base64.b64encode(pixels.tobytes()).decode()


def _of_numbers(recipe: base.Recipe, modality: str, spec: items.ItemSpec) -> dict[str, Any]:
    values = item(spec)
    return {
        "description": _NUMBERS,
        "shape": list(values.shape),
        "embedding": _embedding(recipe, modality, values),
    }


# By the kind of an item; others are made of numbers.
_KINDS = {"audio": _of_clip, "image": _of_picture}


def _embedding(recipe: base.Recipe, modality: str, value: np.ndarray) -> list[float]:
    batch = {modality: tf.constant(value[np.newaxis])}
    return _listed(outputs.embedding(recipe, modality, batch)[0])


def _listed(values: tf.Tensor) -> Any:
    """Returns nested lists of the shortest decimals that are these float32 values again."""
    array = values.numpy()
    if array.ndim > 1:
        return [_listed(tf.constant(row)) for row in array]
    return [float(str(value)) for value in array]
