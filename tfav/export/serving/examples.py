"""Made-up inputs of the signatures of a server, of the kinds that real ones come in."""

from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

from tfav import items, tensors

_STEPS = 16  # of a sequence of any length
_LARGER = (48, 64)  # height and width of an image that is to be fitted


def of_items(specs: Mapping[str, items.ItemSpec]) -> dict[str, dict[str, np.ndarray]]:
    """Returns inputs of the signatures that read one modality, by their names.

    Args:
      specs: modality to what one item of it is.

    Returns:
      Two rows each: of two lengths where they are padded, images that are to be resized; as arrays
      and as files (dtype object: NumPy's own strings lose the zero bytes at their end).
    """
    random = np.random.default_rng(0)
    found: dict[str, dict[str, np.ndarray]] = {}
    for modality, spec in specs.items():
        inputs = numbers(spec, 2, random)
        found[f"embed_{modality}"] = inputs
        if spec.file:
            rows = spec.unstack(spec.tensor, inputs)
            content = [FILES[spec.file](row) for row in rows]
            found[f"embed_{spec.file}"] = {spec.file: np.array(content, object)}
    return found


def numbers(spec: items.ItemSpec, rows: int, random: np.random.Generator) -> dict[str, np.ndarray]:
    """Returns made-up rows of a modality as the tensors of a signature, the second one shorter."""
    steps = tensors.SAMPLE_RATE_HZ if spec.clip else _STEPS
    shape = [steps if size is None else size for size in spec.shape]
    if spec.fitted:
        shape[-3:-1] = _LARGER
    if np.issubdtype(np.dtype(spec.dtype), np.integer):
        values = random.integers(0, 256, [rows, *shape], spec.dtype)
    else:
        values = random.uniform(-0.5, 0.5, [rows, *shape]).astype(spec.dtype)
    if not spec.length:
        return {spec.tensor: values}
    values[0, -1] = 0  # a file that ends with zero bytes
    count = np.array([shape[0], *[shape[0] // 2] * (rows - 1)], np.int32)
    return {spec.tensor: values, spec.length: count}


def of_embeddings(embedding_size: Mapping[str, int]) -> dict[str, dict[str, np.ndarray]]:
    """Returns inputs of `score` and `match`: embeddings, and a list of them for each of several.

    Args:
      embedding_size: modality to D, equal in all.
    """
    random = np.random.default_rng(0)
    vectors = {
        f"{m}_embedding": random.normal(size=[3, size]).astype(np.float32)
        for m, size in embedding_size.items()
    }
    probe = next(iter(vectors.values()))[:2]
    candidates = random.normal(size=[2, 3, probe.shape[1]]).astype(np.float32)
    return {"score": vectors, "match": {"probe": probe, "candidates": candidates}}


def _wav(clip: np.ndarray) -> bytes:
    return tf.audio.encode_wav(clip[:, np.newaxis], tensors.SAMPLE_RATE_HZ).numpy()


def _jpeg(pixels: np.ndarray) -> bytes:
    return tf.io.encode_jpeg(pixels).numpy()


# Name of a tensor of whole files to what makes one of an item.
FILES: dict[str, Callable[[np.ndarray], bytes]] = {"wav": _wav, "jpeg": _jpeg}
