"""What 8-bit ranges are measured on: real inputs, balanced, in the form a signature takes."""

import collections
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import tensorflow as tf

# Modality to item, a waveform [T] or a picture [S, S, 3] or its frames; of a recipe whose answers
# need all modalities, all of them.
Rows = Sequence[Mapping[str, np.ndarray]]

_NUM_BINS = 4  # of loudness


def balanced(identity: Sequence[str], loudness: Sequence[float] | None, count: int) -> list[int]:
    """Returns up to `count` places of a list, spread over identities and loudness alike.

    Loudness is cut into quarters, by rank. Quarters take turns, and in each the identity that was
    taken least so far comes next, by its first clip in the list: no chance in it.

    Args:
      identity: N names.
      loudness: N numbers; None, as of pictures: identities alone take turns.
      count: at most so many.
    """
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


def feeds(function: Callable, rows: Rows) -> Iterator[dict[str, np.ndarray]]:
    """Yields the inputs of a phone's signature, by name, for each of the rows it can take.

    A clip is cut or padded to the signature's length, where that is fixed.

    Args:
      function: a concrete function of batch 1.
      rows: those without all of its modalities are left out.
    """
    specs: Mapping[str, tf.TensorSpec] = function.structured_input_signature[1]
    modalities = {"audio" if n == "waveform" else n for n in specs.keys() - {"num_samples"}}
    for row in rows:
        if modalities <= row.keys():
            inputs = {m: row[m][np.newaxis] for m in modalities - {"audio"}}
            if "audio" in modalities:
                inputs |= _clip(row["audio"], specs["waveform"].shape[1])
            yield inputs


def _clip(waveform: np.ndarray, samples: int | None) -> dict[str, np.ndarray]:
    padded = np.zeros([1, samples or len(waveform)], np.float32)
    kept = waveform[: padded.shape[1]]
    padded[0, : len(kept)] = kept
    return {"waveform": padded, "num_samples": np.array([len(kept)], np.int32)}
