"""The released networks (Wen et al., CVPR 2021) and what each weight of ours is called in them."""

import functools
import math
import re
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tfav.encoders import audio, image
from tfav.encoders import encoder as base

AMPLITUDE = 32768.0  # the released voice encoder was fed int16 values as floats


class Network(NamedTuple):
    """A released network and its place in our house.

    Attributes:
      prefix: of its names in a training checkpoint.
      row: of the encoder table.
      kind: class of encoder that takes its weights.
      create: makes one that treats its input as the original does.
      names: beginnings of our names, as patterns, and of theirs; the first match counts.
      transposed: whether its maps are frequency x time, where ours are time x frequency.
      bgr: our name of the kernel that it feeds BGR; empty: none.
      flattened: our name of the kernel that reads a map flattened channels first; empty: none.
    """

    prefix: str
    row: str
    kind: type[base.Encoder]
    create: Callable[[], base.Encoder]
    names: tuple[tuple[str, str], ...]
    transposed: bool = False
    bgr: str = ""
    flattened: str = ""


_TAIL = ((r"tail/bn/", "fc.0."), (r"tail/dense/", "fc.2."))

NETWORKS = {
    "audio": Network(
        "V.",
        "thin_resnet34",
        audio.ThinResNet34,
        functools.partial(audio.ThinResNet34, frontend={"amplitude": AMPLITUDE}),
        (
            *_TAIL,
            (r"sap/context/kernel", "model.attention"),
            (r"sap/linear/", "model.sap_linear."),
            (r"(layer\d)/(\d+)/se/squeeze/", r"model.\1.\2.se.fc.0."),
            (r"(layer\d)/(\d+)/se/excite/", r"model.\1.\2.se.fc.2."),
            (r"", "model."),
        ),
        transposed=True,
    ),
    "image": Network(
        "F.",
        "ir50",
        image.IR50,
        image.IR50,
        (
            *_TAIL,
            (r"conv1/", "model.input_layer.0."),
            (r"bn1/", "model.input_layer.1."),
            (r"prelu/", "model.input_layer.2."),
            (r"bn2/", "model.output_layer.0."),
            (r"fc/", "model.output_layer.3."),
            (r"bn3/", "model.output_layer.4."),
            (r"body/(\d+)/bn1/", r"model.body.\1.res_layer.0."),
            (r"body/(\d+)/conv1/", r"model.body.\1.res_layer.1."),
            (r"body/(\d+)/prelu/", r"model.body.\1.res_layer.2."),
            (r"body/(\d+)/conv2/", r"model.body.\1.res_layer.3."),
            (r"body/(\d+)/bn2/", r"model.body.\1.res_layer.4."),
            (r"body/(\d+)/shortcut/", r"model.body.\1.shortcut_layer."),
            (r"", "model."),
        ),
        bgr="conv1/kernel",
        flattened="fc/kernel",
    ),
}
_LEAVES = {
    "kernel": "weight",
    "gamma": "weight",
    "alpha": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


def name_of(name: str, modality: str) -> str:
    """Returns the PyTorch name of a weight of ours, as an encoder alone has it.

    Args:
      name: path inside the encoder, such as `layer1/0/conv1/kernel`.
      modality: `audio` or `image`.
    """
    pattern, theirs = next(n for n in NETWORKS[modality].names if re.match(n[0], name))
    name = re.sub(f"^{pattern}", theirs, name)
    stem, _, leaf = name.replace("/", ".").rpartition(".")
    return f"{stem}.{_LEAVES.get(leaf, leaf)}"


def shape_of(name: str, shape: tuple[int, ...], modality: str) -> tuple[int, ...]:
    """Returns the shape in PyTorch of our weight `name` of `shape`."""
    if len(shape) == 4:
        transposed = NETWORKS[modality].transposed
        return shape[::-1] if transposed else (*shape[:1:-1], *shape[:2])
    if name.endswith("alpha"):
        return shape[-1:]
    return shape if name == "sap/context/kernel" else shape[::-1]


def converted(name: str, value: np.ndarray, modality: str) -> np.ndarray:
    """Returns PyTorch's value of our weight `name` in our order of axes."""
    network = NETWORKS[modality]
    if value.ndim == 4:  # [out, in, height, width]
        if name == network.bgr:
            value = value[:, ::-1]
        return value.transpose(3, 2, 1, 0) if network.transposed else value.transpose(2, 3, 1, 0)
    if name == network.flattened:
        outputs, channels = len(value), 512
        side = math.isqrt(value.shape[1] // channels)
        value = value.reshape(outputs, channels, side, side).transpose(2, 3, 1, 0)
        return value.reshape(-1, outputs)
    return value if name == "sap/context/kernel" else value.T
