"""SpeechBrain's ECAPA-TDNN (`embedding_model.ckpt`) as our encoder.

The file is a plain state dict with names such as `blocks.0.conv.conv.weight`. It is read by
PyTorch's weights-only unpickler, which runs nothing in it.
"""

import re
from collections.abc import Mapping

import numpy as np
from absl import logging

from tfav import registry, weights
from tfav.encoders import ecapa
from tfav.interop import pytorch
from tfav.layers import speechbrain_fbank

# Beginnings of our names, as patterns, and of theirs; every one that matches is replaced.
_NAMES = (
    (r"^first/", "blocks.0."),
    (r"^blocks/(\d+)/", lambda found: f"blocks.{int(found[1]) + 1}."),
    (r"parts/(\d+)/", r"res2net_block.blocks.\1."),
    (r"se/squeeze/", "se_block.conv1.conv."),
    (r"se/excite/", "se_block.conv2.conv."),
    (r"^asp/squeeze/", "asp.tdnn.conv.conv."),
    (r"^asp/bn/", "asp.tdnn.norm.norm."),
    (r"^asp/attend/", "asp.conv.conv."),
    (r"^bn/", "asp_bn.norm."),
    (r"^fc/", "fc.conv."),
    (r"(^|[./])bn/", r"\1norm.norm."),
    (r"(^|[./])dense/", r"\1conv.conv."),
    (r"/", "."),
)
_LEAVES = {
    "kernel": "weight",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
# Counters; and the bias before a softmax over time, which it cancels.
_HARMLESS = re.compile(r".*num_batches_tracked|asp\.conv\.conv\.bias")


def assign(encoder: ecapa.ECAPATDNN, entries: Mapping[str, np.ndarray], source: str) -> None:
    """Gives an encoder SpeechBrain's weights, all of them or (on an error) none.

    Args:
      encoder: of as many channels as the file's.
      entries: as `torch_file.read` returns them.
      source: the file, for messages.

    Raises:
      UserError: entries that are missing, surplus, of another shape or not finite.
    """
    theirs = {name: value for name, value in entries.items() if not _HARMLESS.fullmatch(name)}
    missing, wrong, values = [], [], []
    for path, variable in weights.named_weights(encoder, "").items():
        if path.startswith("/projection/"):
            continue
        name = name_of(path[1:])
        if name not in theirs:
            missing.append(name)
            continue
        value = theirs.pop(name)
        shape = _shape(path[1:], tuple(variable.shape), encoder)
        if value.shape != shape:
            wrong.append(f"{name} is {list(value.shape)}, not {list(shape)}")
        elif not np.isfinite(value).all():
            wrong.append(f"{name} is not finite")
        else:
            values.append((variable, _converted(value)))
    misfits = {"missing": missing, "surplus": list(theirs), "wrong": wrong}
    found = [f"{len(n)} {kind} ({pytorch.listed(n)})" for kind, n in misfits.items() if n]
    if found:
        channels = entries.get("blocks.0.norm.norm.weight", np.zeros(0)).shape[0]
        hint = "set --config.audio.encoder=ecapa_tdnn_512" if channels == 512 else ""
        raise registry.UserError(
            f"{source} does not fit ecapa_tdnn of {encoder.channels} channels, by its names in "
            f"SpeechBrain: {', '.join(found)}: "
            + (hint or "give embedding_model.ckpt of spkrec-ecapa-voxceleb unchanged")
            + "."
        )
    for variable, value in values:
        variable.assign(value)
    if not isinstance(encoder.frontend, speechbrain_fbank.SpeechBrainFbank):
        logging.warning(
            "%s was trained on SpeechBrain's Fbank and this front-end is a %s: give "
            "c.audio.frontend the kind speechbrain_fbank, as configs/voice_face.py:pretrained does",
            source,
            type(encoder.frontend).__name__,
        )


def name_of(name: str) -> str:
    """Returns SpeechBrain's name of a weight of ours, such as `blocks/0/tdnn1/dense/kernel`."""
    stem, _, leaf = name.rpartition("/")
    stem += "/"
    for pattern, theirs in _NAMES:
        stem = re.sub(pattern, theirs, stem)
    return stem + _LEAVES.get(leaf, leaf)


def _shape(name: str, shape: tuple[int, ...], encoder: ecapa.ECAPATDNN) -> tuple[int, ...]:
    """Returns the shape in SpeechBrain, [out, in, frames], of our kernel [frames * in, out]."""
    if len(shape) == 1:
        return shape
    inputs = encoder.frontend.num_bands if name.startswith("first/") else shape[0]
    if "/parts/" in name:
        inputs = shape[1]
    return shape[1], inputs, shape[0] // inputs


def _converted(value: np.ndarray) -> np.ndarray:
    """Returns their value in our order of axes: the earliest frame's channels come first."""
    if value.ndim == 1:
        return value
    return value.transpose(2, 1, 0).reshape(-1, len(value))
