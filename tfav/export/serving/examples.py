"""Made-up inputs of the signatures of a server, of the kinds that real ones come in."""

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from tfav import tensors


def inputs(
    num_frames: Mapping[str, int], embedding_size: Mapping[str, int]
) -> dict[str, dict[str, np.ndarray]]:
    """Returns inputs for the signatures that read one modality or compare two, by their names.

    Args:
      num_frames: modality of pictures to their frames.
      embedding_size: modality to D.

    Returns:
      Clips of two lengths and pictures that are to be resized, as arrays and as files (dtype
      object: NumPy's own strings lose the zero bytes at their end), embeddings, and a list of
      them for each of several.
    """
    random = np.random.default_rng(0)
    second = tensors.SAMPLE_RATE_HZ
    found: dict[str, dict[str, np.ndarray]] = {}
    for modality in sorted(embedding_size):
        if modality == "audio":
            clips = random.uniform(-0.5, 0.5, [2, second]).astype(np.float32)
            clips[0, -1] = 0  # a file that ends with zero bytes
            lengths = np.array([second, second // 2], np.int32)
            found["embed_audio"] = {"waveform": clips, "num_samples": lengths}
            files = [
                tf.audio.encode_wav(clip[:length, np.newaxis], second).numpy()
                for clip, length in zip(clips, lengths)
            ]
            found["embed_wav"] = {"wav": np.array(files, object)}
            continue
        frames = num_frames[modality]
        shape = [2, *([frames] if frames > 1 else []), 48, 64, 3]
        found[f"embed_{modality}"] = {modality: random.integers(0, 256, shape, np.uint8)}
    if num_frames.get("image") == 1:
        jpeg = [tf.io.encode_jpeg(x).numpy() for x in found["embed_image"]["image"]]
        found["embed_jpeg"] = {"jpeg": np.array(jpeg, object)}
    vectors = {
        f"{m}_embedding": random.normal(size=[3, size]).astype(np.float32)
        for m, size in embedding_size.items()
    }
    found["score"] = vectors
    probe = next(iter(vectors.values()))[:2]
    candidates = random.normal(size=[2, 3, probe.shape[1]]).astype(np.float32)
    found["match"] = {"probe": probe, "candidates": candidates}
    return found
