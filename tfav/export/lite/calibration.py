"""What 8-bit ranges are measured on: real inputs, balanced, in the form a signature takes."""

import collections
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import tensorflow as tf

from tfav import items

# Modality to item, a waveform [T] or an image [S, S, 3] or its frames; of a recipe whose answers
# need all modalities, all of them.
Rows = Sequence[Mapping[str, np.ndarray]]

_NUM_BINS = 4  # of loudness


def balanced(identity: Iterable[str], loudness: Sequence[float] | None, count: int) -> list[int]:
    """Returns up to `count` places of a list, spread over identities and loudness alike.

    Loudness is cut into quarters, by rank. Quarters take turns, and in each the identity that was
    taken least so far comes next, by its first clip in the list: no chance in it.

    Args:
      identity: N names.
      loudness: N numbers; None, as of images: identities alone take turns.
      count: at most so many.
    """
    identity = list(identity)
    size = len(identity)
    quarter = np.zeros(size, int)
    if loudness is not None and size:
        rank = np.argsort(np.argsort(np.asarray(loudness), kind="stable"), kind="stable")
        quarter = rank * _NUM_BINS // size
    waiting = {q: np.flatnonzero(quarter == q).tolist() for q in sorted(set(quarter.tolist()))}
    taken: collections.Counter[str] = collections.Counter()
    found: list[int] = []
    while len(found) < min(count, size):
        for places in waiting.values():
            if places and len(found) < count:
                place = min(places, key=lambda p: (taken[identity[p]], p))
                places.remove(place)
                taken[identity[place]] += 1
                found.append(place)
    return found


def loudness(waveform: np.ndarray) -> float:
    """Returns the level of a waveform [T] in dB of full scale, silence at -120."""
    power = np.mean(np.square(waveform, dtype=np.float64)) if waveform.size else 0.0
    return float(10 * np.log10(max(power, 1e-12)))


def feeds(
    function: tf.types.experimental.ConcreteFunction,
    rows: Rows,
    modalities: Mapping[str, items.ItemSpec],
) -> Iterator[dict[str, np.ndarray]]:
    """Yields the inputs of a phone's signature, by name, for each of the rows it can take.

    What is padded is cut or padded to the signature's length, where that is fixed.

    Args:
      function: the signature, of batch 1.
      rows: Rows; those without all of its modalities are left out.
      modalities: modality to what one item of it is.
    """
    specs: Mapping[str, tf.TensorSpec] = function.structured_input_signature[1]
    taken = {m: spec for m, spec in modalities.items() if spec.tensor in specs}
    for row in rows:
        if taken.keys() <= row.keys():
            inputs: dict[str, np.ndarray] = {}
            for modality, spec in taken.items():
                steps = specs[spec.tensor].shape[1] if spec.length else None
                inputs |= _one(spec, row[modality], steps)
            yield inputs


def _one(spec: items.ItemSpec, item: np.ndarray, steps: int | None) -> dict[str, np.ndarray]:
    inputs = spec.stack(spec.tensor, [item[:steps]] if spec.length else [item])
    if steps is not None:
        axes = [(0, 0)] * item.ndim
        width = [(0, 0), (0, steps - inputs[spec.tensor].shape[1]), *axes[1:]]
        inputs[spec.tensor] = np.pad(inputs[spec.tensor], width)
    return inputs
