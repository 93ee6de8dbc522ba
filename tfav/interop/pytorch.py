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

import os
import re
from collections.abc import Mapping

import numpy as np
from absl import logging

from tfav import registry, weights
from tfav.encoders import encoder as base
from tfav.interop import released_networks, torch_file

_SHOWN = 3  # names listed of each kind of misfit
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
    if modality not in released_networks.NETWORKS:
        raise ValueError(f"modality is {modality!r}: it is audio or image")
    entries = torch_file.read(path)
    encoder = released_networks.NETWORKS[modality].create()
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
    network = released_networks.NETWORKS[encoder.modality]
    if not isinstance(encoder, network.kind):
        raise registry.UserError(
            f"{source} is for {network.row} and this {encoder.modality} encoder is a "
            f"{type(encoder).__name__}: set --config.{encoder.modality}.encoder={network.row}."
        )
    theirs, surplus, in_training = _select(entries, encoder.modality)
    ours = {
        released_networks.name_of(name, encoder.modality): (name, variable)
        for path, variable in weights.named_weights(encoder, "").items()
        if not (name := path[1:]).endswith("/calls")
    }
    if not theirs.keys() & ours.keys():
        raise registry.UserError(
            f"{source} holds no {encoder.modality} encoder ({network.row}) but "
            f"{listed(list(entries))}: name the file of that encoder."
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
                missing.append(network.prefix * in_training + name)
            continue
        full_name, value = theirs.pop(name)
        shape = released_networks.shape_of(our_name, tuple(variable.shape), encoder.modality)
        if value.shape != shape:
            misshapen.append(f"{full_name} is {list(value.shape)}, not {list(shape)}")
        elif not np.isfinite(value).all():
            misshapen.append(f"{full_name} is not finite")
        else:
            value = released_networks.converted(our_name, value, encoder.modality)
            values.append((variable, value.reshape(variable.shape)))
    surplus += [name for name, _ in theirs.values()]
    misfits = {"missing": missing, "surplus": surplus, "wrong": misshapen}
    found = [f"{len(n)} {kind} ({listed(n)})" for kind, n in misfits.items() if n]
    if found:
        raise registry.UserError(
            f"{source} does not fit {network.row}, by its names in PyTorch: {', '.join(found)}: "
            "give the authors' file unchanged, and the encoder as released (128 outputs, images "
            "of 112 pixels, no squeeze-excite in the face)."
        )
    for variable, value in values:
        variable.assign(value)
    if backbone:
        logging.info("%s: the backbone alone; the tail keeps fresh weights", source)
    frontend = getattr(encoder, "frontend", None)
    if frontend is not None and frontend.amplitude != released_networks.AMPLITUDE:
        logging.warning(
            "%s was trained on int16 amplitudes and this front-end multiplies by %g: "
            "set --config.audio.frontend.amplitude=%g",
            source,
            frontend.amplitude,
            released_networks.AMPLITUDE,
        )


def _select(
    entries: Mapping[str, np.ndarray], modality: str
) -> tuple[dict[str, tuple[str, np.ndarray]], list[str], bool]:
    """Returns one encoder's entries, which names are no one's, and whether others stand beside it.

    The entries are (name in the file, value) by the name an encoder alone would give them.
    """
    prefixes = {name: network.prefix for name, network in released_networks.NETWORKS.items()}
    prefix = prefixes.pop(modality)
    others = (*prefixes.values(), *_BESIDE)
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


def listed(names: list[str]) -> str:
    """Returns the first names of a list for a message."""
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
