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
from tfav.media import audio_files, bad_file, formats, image_files, limits

MODALITIES = ("audio", "image")
Item = tuple[str, str]  # id, path


def find(inputs: Sequence[str]) -> dict[str, list[Item]]:
    """Returns the files of each modality below `inputs`, sorted, as (id, path).

    Which files those are says `media.formats`; what else a folder holds is counted in the log. The
    id of a file inside a folder is its path relative to that folder, that of a file named outright
    its path as given.

    Raises:
      UserError: an input does not exist, is of no known kind, or nothing was found.
    """
    found: dict[str, list[Item]] = {m: [] for m in MODALITIES}
    known = formats.listed(*MODALITIES)
    left_out = formats.LeftOut()
    for top in inputs:
        if os.path.isdir(top):
            for name in sorted(formats.below(top), key=os.path.split):  # a folder's own files first
                path = os.path.join(top, name)
                if formats.modality(name) in found:
                    found[formats.modality(name)].append((name, path))
                else:
                    left_out.add([path])
        elif not os.path.exists(top):
            raise registry.UserError(f"{top} does not exist: mend --inputs.")
        elif formats.modality(top) in found:
            found[formats.modality(top)].append((top, top))
        else:
            raise registry.UserError(f"{top} is neither audio nor image: --inputs takes {known}.")
    left_out.warn("--inputs")
    if not any(found.values()):
        raise registry.UserError(
            f"no audio or image in {', '.join(inputs)}: --inputs takes {known}."
        )
    for items in found.values():
        names = [name for name, _ in items]
        if len(set(names)) < len(names):
            twice = next(n for n in names if names.count(n) > 1)
            raise registry.UserError(
                f"two inputs are called {twice}: embed their folders one by one."
            )
    return found


def _load(
    modality: str, path: str, image_size: int | None, max_samples: int, bounds: limits.Limits
) -> np.ndarray:
    """Decodes a file as `tfav-prepare` does; raises BadFile when it cannot be used."""
    bad_file.check_name(path)
    if modality == "audio":
        # Through PCM16, as prepare stores it: one file has one embedding, whichever way it came.
        samples = audio_files.read_audio(path, bounds=bounds, dtype=np.int16)
        return samples[:max_samples].astype(np.float32) / 32768.0
    content, _, _ = image_files.read_image(path, bounds=bounds)
    return pipeline.decode_image(tf.constant(content), image_size).numpy()


def _batches(
    modality: str,
    items: Sequence[Item],
    embedder: embedders.Embedder,
    batch_size: int,
    max_samples: int,
    bad: list[tuple[str, str]],
    bounds: limits.Limits,
) -> Iterator[dict[str, np.ndarray | list[str]]]:
    for start in range(0, len(items), batch_size):
        names, values = [], []
        for name, path in items[start : start + batch_size]:
            try:
                size = embedder.image_size.get(modality)
                values.append(_load(modality, path, size, max_samples, bounds))
                names.append(name)
            except bad_file.BadFile as error:
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
    bounds: limits.Limits = limits.DEFAULT,
) -> tuple[dict[str, np.ndarray], list[tuple[str, str]]]:
    """Embeds files, leaving out what the embedder has no encoder for.

    Args:
      embedder: a run, a SavedModel or a `.tflite`.
      found: as `find` returns it.
      batch_size: files of one call.
      max_seconds: the first seconds of a clip are heard.
      max_bad_fraction: share of unreadable files, of all, that may be left out.
      stream: decode sounds inside tf.data with tensorflow-io (addons line).
      bounds: what of one file is refused as too long or too large.

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
                batches = _batches(modality, items, embedder, batch_size, samples, bad, bounds)
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
