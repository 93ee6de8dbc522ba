"""Embeddings of sound and image files, by a run, a SavedModel or a `.tflite`."""

import os
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import tensorflow as tf
import tqdm
from absl import logging

from tfav import registry, tensors
from tfav.data.input import pipeline, streaming
from tfav.inference import embedders
from tfav.media import decode

SUFFIXES = {
    "audio": (".wav", ".flac", ".mp3", ".ogg"),
    "image": (".jpg", ".jpeg", ".png"),
}
Item = tuple[str, str]  # id, path


def find(inputs: Sequence[str]) -> dict[str, list[Item]]:
    """Returns the files of each modality below `inputs`, sorted, as (id, path).

    The id of a file inside a folder is its path relative to that folder, that of a file named
    outright its path as given.

    Raises:
      UserError: an input does not exist, is of no known kind, or nothing was found.
    """
    found: dict[str, list[Item]] = {m: [] for m in SUFFIXES}

    def add(name: str, path: str) -> bool:
        for modality, suffixes in SUFFIXES.items():
            if path.lower().endswith(suffixes):
                found[modality].append((name, path))
                return True
        return False

    known = ", ".join(s for suffixes in SUFFIXES.values() for s in suffixes)
    for top in inputs:
        if os.path.isdir(top):
            for folder, _, names in sorted(os.walk(top)):
                for name in sorted(names):
                    path = os.path.join(folder, name)
                    add(os.path.relpath(path, top), path)
        elif not os.path.exists(top):
            raise registry.UserError(f"{top} does not exist: mend --inputs.")
        elif not add(top, top):
            raise registry.UserError(f"{top} is neither sound nor image: --inputs takes {known}.")
    if not any(found.values()):
        raise registry.UserError(
            f"no sound or image in {', '.join(inputs)}: --inputs takes {known}."
        )
    for items in found.values():
        names = [name for name, _ in items]
        if len(set(names)) < len(names):
            twice = next(n for n in names if names.count(n) > 1)
            raise registry.UserError(
                f"two inputs are called {twice}: embed their folders one by one."
            )
    return found


def _load(modality: str, path: str, image_size: int | None, max_samples: int) -> np.ndarray:
    if modality == "audio":
        # Through PCM16, as prepare stores it: one file has one embedding, whichever way it came.
        return decode.to_pcm16(decode.read_audio(path)).astype(np.float32)[:max_samples] / 32768.0
    content, _, _ = decode.read_image(path)
    return pipeline.decode_image(tf.constant(content), image_size).numpy()


def _batches(
    modality: str,
    items: Sequence[Item],
    embedder: embedders.Embedder,
    batch_size: int,
    max_samples: int,
    bad: list[tuple[str, str]],
) -> Iterator[dict[str, np.ndarray | list[str]]]:
    for start in range(0, len(items), batch_size):
        names, values = [], []
        for name, path in items[start : start + batch_size]:
            try:
                size = embedder.image_size.get(modality)
                values.append(_load(modality, path, size, max_samples))
                names.append(name)
            except decode.BadFile as error:
                bad.append((path, error.reason))
        if not names:
            continue
        if modality == "image":
            yield {"id": names, "image": np.stack(values)}
            continue
        num_samples = np.array([len(v) for v in values], np.int32)
        audio = np.zeros([len(values), num_samples.max()], np.float32)
        for row, value in zip(audio, values):
            row[: len(value)] = value
        yield {"id": names, "audio": audio, "num_samples": num_samples}


def _decoding(batches: Iterable) -> Iterator:
    """Makes a sentence of what tensorflow-io says of a damaged file, which it does not name."""
    try:
        yield from batches
    except tf.errors.OpError as error:
        raise registry.UserError(
            "tensorflow-io cannot decode one of the sounds in --inputs: leave --stream out, then "
            "that file is named."
        ) from error


def embed(
    embedder: embedders.Embedder,
    found: dict[str, list[Item]],
    *,
    batch_size: int,
    max_seconds: float,
    max_bad_fraction: float,
    stream: bool = False,
) -> tuple[dict[str, np.ndarray], list[tuple[str, str]]]:
    """Embeds files, leaving out what the embedder has no encoder for.

    Args:
      embedder: a run, a SavedModel or a `.tflite`.
      found: as `find` returns it.
      batch_size: files of one call.
      max_seconds: the first seconds of a clip are heard.
      max_bad_fraction: share of unreadable files, of all, that may be left out.
      stream: decode sounds inside tf.data with tensorflow-io (addons line).

    Returns:
      `audio_id` [N], `audio` [N, D] float32 of unit norm, `image_id`, `image`, each where there is
      such a file, and `embedding_space` [], whose id embeddings that can be compared share; and
      (path, reason) of every file left out.

    Raises:
      UserError: no file for the encoders at hand, too many unreadable ones or nothing else, or an
        embedding that is NaN or infinite.
    """
    if not embedder.modalities:
        raise registry.UserError(
            "this .tflite classifies and embeds nothing: name another file of that export."
        )
    for modality, items in found.items():
        if items and modality not in embedder.modalities:
            logging.warning(
                "%d %s files left out: this model has no such encoder", len(items), modality
            )
    wanted = {m: items for m, items in found.items() if items and m in embedder.modalities}
    if not wanted:
        raise registry.UserError(
            f"this model embeds {' and '.join(embedder.modalities)} and --inputs holds none of "
            f"it: mend either."
        )
    total = sum(len(items) for items in wanted.values())
    bad: list[tuple[str, str]] = []
    arrays: dict[str, np.ndarray] = {"embedding_space": np.array(embedder.embedding_space)}
    with tqdm.tqdm(total=total, unit="file", desc="embed", disable=None) as bar:
        for modality, items in wanted.items():
            if stream and modality == "audio":
                names, paths = zip(*items)
                batches = streaming.file_batches(
                    paths, batch_size=batch_size, max_seconds=max_seconds, ids=names
                )
            else:
                samples = int(max_seconds * tensors.SAMPLE_RATE_HZ)
                batches = _batches(modality, items, embedder, batch_size, samples, bad)
            ids: list[str] = []
            vectors: list[np.ndarray] = []
            for batch in _decoding(batches) if stream else batches:
                vectors.append(embedder.embed(modality, batch))
                ids += [
                    n.decode() if isinstance(n, bytes) else n
                    for n in np.asarray(batch["id"]).tolist()
                ]
                bar.update(len(vectors[-1]))
                if len(bad) > max_bad_fraction * total:
                    break
            if len(bad) > max_bad_fraction * total or len(bad) == total:
                path, reason = bad[0]
                raise registry.UserError(
                    f"{path} {reason} ({len(bad)} of {total} files so far): mend or remove it, "
                    f"or leave such files "
                    "out with --max_bad_fraction=0.1."
                )
            if vectors:
                arrays |= {f"{modality}_id": np.array(ids), modality: np.concatenate(vectors)}
                finite = np.isfinite(arrays[modality]).all(axis=1)
                if not finite.all():
                    raise registry.UserError(
                        f"the embedding of {ids[int(np.argmin(finite))]} is NaN or infinite: look "
                        "at that file and at the model's weights."
                    )
    return arrays, bad
