"""The authors' PyTorch checkpoints (Wen et al., CVPR 2021) as our encoders.

Three kinds of file, told apart by the names in them:

* a training checkpoint (`.pth.tar`): `start_it`, `stage`, `optimizer` and `state_dict`, in which
  the voice encoder stands behind `V.`, the face encoder behind `F.`, beside `F.cls.weight`,
  `center.loss_mean` and `center.weight`;
* an encoder alone: the backbone behind `model.`, the tail behind `fc.`;
* a pre-trained backbone (`.pth`, `.model`): the names behind `model.` alone, with or without that.
  The encoder's tail keeps fresh weights.

A file is data. It is read by PyTorch's weights-only unpickler, which knows tensors and plain
containers and runs nothing.
"""

import functools
import math
import os
import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from absl import logging

from tfav import registry, weights
from tfav.encoders import audio, image
from tfav.encoders import encoder as base
from tfav.interop import torch_file

AMPLITUDE = 32768.0  # the released voice encoder was fed int16 values as floats
_SHOWN = 3  # names listed of each kind of misfit


class Released(NamedTuple):
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

RELEASED = {
    "audio": Released(
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
    "image": Released(
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
# Counters, the constants of the mel front-end, and the classifier beside the face encoder.
_HARMLESS = re.compile(r"(.*\.)?num_batches_tracked|model\.torchfb\..*|cls\.weight")
# In a training checkpoint, beside the encoders: identity weights, and the scaling of the pixels.
_BESIDE = ("center.", "normalize.")
_WRAPPERS = re.compile(r"(^|\.)(module|__S__)\.")  # DataParallel's, and clovaai's of the backbone
_LOSS_OF_CLOVAAI = "__L__."


def load_released(path: str | os.PathLike, modality: str, whole: bool = False) -> base.Encoder:
    """Returns a released encoder that takes our Batch.

    Amplitude (int16 range) and the channel order (theirs is BGR) are inside: it takes waveforms in
    [-1, 1] and uint8 RGB, and gives embeddings [B, 128] float32, not normalised.

    Args:
      path: the authors' `.pth`, `.model` or `.pth.tar` file.
      modality: `audio` (thin SE-ResNet-34) or `image` (IR-50).
      whole: refuse a backbone without its tail.

    Raises:
      UserError: not such a file, or one that does not fit; names what is missing, surplus or of
        another shape. Or PyTorch is not installed.
    """
    if modality not in RELEASED:
        raise ValueError(f"modality is {modality!r}: it is audio or image")
    entries = torch_file.read(path)
    encoder = RELEASED[modality].create()
    assign(encoder, entries, os.fspath(path), whole)
    return encoder


def assign(
    encoder: base.Encoder, entries: Mapping[str, np.ndarray], source: str, whole: bool = False
) -> None:
    """Gives an encoder released weights, all of them or (on an error) none.

    Args:
      encoder: a `ThinResNet34` or an `IR50`.
      entries: as `torch_file.read` returns them.
      source: the file, for messages.
      whole: refuse a backbone without its tail.

    Raises:
      UserError: another encoder, or entries that are missing, surplus, of another shape or not
        finite.
    """
    released = RELEASED[encoder.modality]
    if not isinstance(encoder, released.kind):
        raise registry.UserError(
            f"{source} is for {released.row} and this {encoder.modality} encoder is a "
            f"{type(encoder).__name__}: set --config.{encoder.modality}.encoder={released.row}."
        )
    theirs, surplus, in_training = _select(entries, encoder.modality)
    ours = {
        released_name(name, encoder.modality): (name, variable)
        for path, variable in weights.named_weights(encoder, "").items()
        if not (name := path[1:]).endswith("/calls")
    }
    if not theirs.keys() & ours.keys():
        raise registry.UserError(
            f"{source} holds no {encoder.modality} encoder ({released.row}) but "
            f"{_listed(list(entries))}: name the file of that encoder."
        )
    backbone = not in_training and not any(name.startswith("fc.") for name in theirs)
    if backbone and whole:
        raise registry.UserError(
            f"{source} is a backbone without the tail that makes embeddings: give a training "
            f"checkpoint, or train that tail with --config.init.{encoder.modality}={source}."
        )
    missing, misshapen, values = [], [], []
    for name, (our_name, variable) in ours.items():
        if name not in theirs:
            if not (backbone and name.startswith("fc.")):
                missing.append(released.prefix * in_training + name)
            continue
        full_name, value = theirs.pop(name)
        shape = _their_shape(our_name, tuple(variable.shape), encoder.modality)
        if value.shape != shape:
            misshapen.append(f"{full_name} is {list(value.shape)}, not {list(shape)}")
        elif not np.isfinite(value).all():
            misshapen.append(f"{full_name} is not finite")
        else:
            value = _convert(our_name, value, encoder.modality)
            values.append((variable, value.reshape(variable.shape)))
    surplus += [name for name, _ in theirs.values()]
    misfits = {"missing": missing, "surplus": surplus, "wrong": misshapen}
    found = [f"{len(n)} {kind} ({_listed(n)})" for kind, n in misfits.items() if n]
    if found:
        raise registry.UserError(
            f"{source} does not fit {released.row}, by its names in PyTorch: {', '.join(found)}: "
            "give the authors' file unchanged, and the encoder as released (128 outputs, images "
            "of 112 pixels, no squeeze-excite in the face)."
        )
    for variable, value in values:
        variable.assign(value)
    if backbone:
        logging.info("%s: the backbone alone; the tail keeps fresh weights", source)
    frontend = getattr(encoder, "frontend", None)
    if frontend is not None and frontend.amplitude != AMPLITUDE:
        logging.warning(
            "%s was trained on int16 amplitudes and this front-end multiplies by %g: "
            "set --config.audio.frontend.amplitude=%g",
            source,
            frontend.amplitude,
            AMPLITUDE,
        )


def released_name(name: str, modality: str) -> str:
    """Returns the PyTorch name of a weight of ours, as an encoder alone has it.

    Args:
      name: path inside the encoder, such as `layer1/0/conv1/kernel`.
      modality: `audio` or `image`.
    """
    pattern, theirs = next(n for n in RELEASED[modality].names if re.match(n[0], name))
    name = re.sub(f"^{pattern}", theirs, name)
    stem, _, leaf = name.replace("/", ".").rpartition(".")
    return f"{stem}.{_LEAVES.get(leaf, leaf)}"


def _select(
    entries: Mapping[str, np.ndarray], modality: str
) -> tuple[dict[str, tuple[str, np.ndarray]], list[str], bool]:
    """Returns one encoder's entries, which names are no one's, and whether others stand beside it.

    The entries are (name in the file, value) by the name an encoder alone would give them.
    """
    prefix = RELEASED[modality].prefix
    others = tuple(r.prefix for r in RELEASED.values() if r.prefix != prefix) + _BESIDE
    plain = {_WRAPPERS.sub(r"\1", name): name for name in entries}
    in_training = any(name.startswith((prefix, *others)) for name in plain)
    behind_model = any(name.startswith("model.") for name in plain)
    theirs, surplus = {}, [name for name in entries if name not in plain.values()]
    for name, full_name in plain.items():
        if in_training:
            if name.startswith(others):
                continue
            if not name.startswith(prefix):
                surplus.append(full_name)
                continue
            name = name[len(prefix) :]
        elif name.startswith(_LOSS_OF_CLOVAAI):
            continue
        elif not behind_model:
            name = f"model.{name}"
        if not _HARMLESS.fullmatch(name):
            theirs[name] = (full_name, entries[full_name])
    return theirs, surplus, in_training


def _their_shape(name: str, shape: tuple[int, ...], modality: str) -> tuple[int, ...]:
    """Returns the shape in PyTorch of our weight `name` of `shape`."""
    if len(shape) == 4:
        transposed = RELEASED[modality].transposed
        return shape[::-1] if transposed else (*shape[:1:-1], *shape[:2])
    if name.endswith("alpha"):
        return shape[-1:]
    return shape if name == "sap/context/kernel" else shape[::-1]


def _convert(name: str, value: np.ndarray, modality: str) -> np.ndarray:
    """Returns PyTorch's value of our weight `name` in our order of axes."""
    released = RELEASED[modality]
    if value.ndim == 4:  # [out, in, height, width]
        if name == released.bgr:
            value = value[:, ::-1]
        return value.transpose(3, 2, 1, 0) if released.transposed else value.transpose(2, 3, 1, 0)
    if name == released.flattened:
        outputs, channels = len(value), 512
        side = math.isqrt(value.shape[1] // channels)
        value = value.reshape(outputs, channels, side, side).transpose(2, 3, 1, 0)
        return value.reshape(-1, outputs)
    return value if name == "sap/context/kernel" else value.T


def _listed(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
