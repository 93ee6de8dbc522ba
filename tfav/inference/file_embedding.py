"""Embeddings of files, by a run, a SavedModel or a `.tflite`."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import tqdm
from absl import logging

from tfav import progress, registry, tensors
from tfav.data import kinds
from tfav.inference import embedders, file_batches, spaces
from tfav.inference.input_files import Item
from tfav.items import ItemSpec
from tfav.media import bad_file, limits


def _load(spec: ItemSpec, path: str, bounds: limits.Limits) -> np.ndarray:
    """Decodes a file as `tfav-prepare` does; raises BadFile when it cannot be used."""
    bad_file.check_name(path)
    spaces.require_row(path, spec)
    return kinds.find(spec.kind).load(path, spec, bounds)


class _Read(NamedTuple):
    """What is heard or seen of a file, or why it is left out; seconds of a clip not heard."""

    value: np.ndarray | None
    reason: str = ""
    unheard: float = 0.0


class Embedded(NamedTuple):
    """What became of files.

    Attributes:
      arrays: `audio_id` [N], `audio` [N, D] float32 of unit norm, and so of every modality that
        there is a file of; `embedding_space` [], whose id embeddings that can be compared share,
        and `shares_space` [], whether those of unlike modalities can.
      bad: (path, reason) of every file left out.
      unheard: path of a clip to the seconds of it that come after what is heard.
    """

    arrays: dict[str, np.ndarray]
    bad: list[tuple[str, str]]
    unheard: dict[str, float]


def load(embedder: embedders.Embedder, modality: str, path: str) -> np.ndarray:
    """Returns the item in a file, of clips as much as is heard.

    Raises:
      UserError: it cannot be read.
    """
    spec = embedder.items[modality]
    try:
        item = _load(spec, path, limits.DEFAULT)
    except bad_file.BadFile as error:
        raise registry.UserError(f"{path} {error.reason}: correct it or name another.") from error
    return item[: embedder.hearing.max_samples] if spec.clip else item


def _batches(
    modality: str,
    items: Sequence[Item],
    embedder: embedders.Embedder,
    batch_size: int,
    result: Embedded,
    bounds: limits.Limits,
) -> Iterator[dict[str, np.ndarray | list[str]]]:
    """Yields batches of what can be embedded; notes in `result` what cannot, and what is unheard.

    Files come in batches of like length, not in their order.
    """
    spec = embedder.items[modality]

    def read(path: str) -> _Read:
        try:
            value = _load(spec, path, bounds)
        except bad_file.BadFile as error:
            return _Read(None, error.reason)
        refusal = embedder.refuses(modality, value)
        if refusal:
            return _Read(None, refusal)
        if not spec.clip:
            return _Read(value)
        heard = value[: embedder.hearing.max_samples].copy()  # the rest need not wait in memory
        return _Read(heard, unheard=(len(value) - len(heard)) / tensors.SAMPLE_RATE_HZ)

    def good() -> Iterator[tuple[str, np.ndarray]]:
        for (name, path), found in file_batches.ahead(read, items, batch_size):
            if found.value is None:
                result.bad.append((path, found.reason))
                continue
            if found.unheard:
                result.unheard[path] = found.unheard
            yield name, found.value

    for batch in file_batches.of_like_length(good(), batch_size):
        names, values = zip(*batch)
        yield {"id": list(names), **spec.stack(modality, values)}


def _streamed(
    items: Sequence[Item], embedder: embedders.Embedder, batch_size: int, result: Embedded
) -> Iterator:
    """Yields batches of sound that tensorflow-io decodes; a sentence for what it cannot."""
    import soundfile
    import tensorflow as tf

    from tfav.data.input import streaming

    names, paths = zip(*items)
    longest = embedder.hearing.max_seconds
    batches = streaming.file_batches(paths, batch_size=batch_size, max_seconds=longest, ids=names)
    for path in paths:
        seconds = soundfile.info(path).duration - longest
        if seconds > 0:
            result.unheard[path] = seconds
    try:
        yield from batches
    except tf.errors.OpError as error:
        raise registry.UserError(
            "tensorflow-io cannot decode one of the audio files: leave --stream out, then "
            "that file is named."
        ) from error


def embed(
    embedder: embedders.Embedder,
    found: dict[str, list[Item]],
    *,
    batch_size: int,
    max_bad_fraction: float | None,
    stream: bool = False,
    bounds: limits.Limits = limits.DEFAULT,
) -> Embedded:
    """Embeds files, leaving out what the embedder has no encoder for.

    Args:
      embedder: a run, a SavedModel or a `.tflite`.
      found: as `input_files.find` returns it.
      batch_size: files of one call.
      max_bad_fraction: share of all files that may be left out; None: none, whatever the flags.
      stream: decode sounds inside tf.data with tensorflow-io (addons line).
      bounds: what of one file is refused as too long or too large.

    Raises:
      UserError: no file for the encoders at hand, too many that cannot be embedded or nothing else,
        or an embedding that is NaN or infinite.
    """
    if not embedder.modalities:
        raise registry.UserError(
            "this .tflite answers to rows and embeds nothing: name another file of that export."
        )
    for modality, items in found.items():
        if items and modality not in embedder.modalities:
            logging.warning(
                "%d %s files left out: this model has no such encoder", len(items), modality
            )
    wanted = {m: items for m, items in found.items() if items and m in embedder.modalities}
    if not wanted:
        raise registry.UserError(
            f"this model embeds {' and '.join(embedder.modalities)} and the inputs hold none of "
            f"it: name another model or other files."
        )
    total = sum(len(items) for items in wanted.values())
    most = (max_bad_fraction or 0.0) * total
    result = Embedded(about(embedder), [], {})
    with progress.bar(total=total, unit="file", desc="embed") as bar:
        for modality, items in wanted.items():
            if stream and embedder.items[modality].clip:
                batches: Iterable = _streamed(items, embedder, batch_size, result)
            else:
                batches = _batches(modality, items, embedder, batch_size, result, bounds)
            names = [name for name, _ in items]
            _collect(embedder, modality, names, batches, result, most, bar)
            if len(result.bad) > most or len(result.bad) == total:
                raise registry.UserError(_too_many(result.bad, total, max_bad_fraction))
    return result


def embed_some(
    embedder: embedders.Embedder,
    modality: str,
    items: Sequence[Item],
    *,
    batch_size: int,
    bounds: limits.Limits = limits.DEFAULT,
) -> Embedded:
    """Embeds what can be embedded of one modality's files; arguments as of `embed`."""
    result = Embedded(about(embedder), [], {})
    batches = _batches(modality, items, embedder, batch_size, result, bounds)
    with progress.bar(total=len(items), disable=True) as bar:
        _collect(embedder, modality, [n for n, _ in items], batches, result, float("inf"), bar)
    return result


def about(embedder: embedders.Embedder) -> dict[str, np.ndarray]:
    """Returns the arrays that say of which space embeddings are."""
    return {
        "embedding_space": np.array(embedder.embedding_space),
        "shares_space": np.array(embedder.shares_space),
    }


def _too_many(bad: Sequence[tuple[str, str]], total: int, allowed: float | None) -> str:
    """Returns the sentence on too many bad files, with a fraction that allows those so far."""
    path, reason = bad[0]
    said = f"{path} {reason} ({len(bad)} of {total} files so far): correct"
    if allowed is None:
        return f"{said} it, as none may be left out."
    if len(bad) == total:
        return f"{said} or remove it, and name at least one that can be used."
    tenths = -(-10 * len(bad) // total)
    return f"{said} or remove it, or leave such files out with --max_bad_fraction={tenths / 10:g}."


def _collect(
    embedder: embedders.Embedder,
    modality: str,
    names: Sequence[str],
    batches: Iterable,
    result: Embedded,
    max_bad: float,
    bar: tqdm.tqdm,
) -> None:
    """Embeds the batches of a modality into `result`, its rows in the order of `names`.

    Stops where too many files are bad.
    """
    vectors: dict[str, np.ndarray] = {}
    for batch in batches:
        found = np.asarray(batch["id"]).tolist()
        found = [name.decode() if isinstance(name, bytes) else name for name in found]
        vectors |= zip(found, embedder.embed(modality, batch))
        bar.update(len(found))
        if len(result.bad) > max_bad:
            return
    if not vectors:
        return
    ids = [name for name in names if name in vectors]
    matrix = np.stack([vectors[name] for name in ids])
    finite = np.isfinite(matrix).all(axis=1)
    if not finite.all():
        raise registry.UserError(
            f"the embedding of {ids[int(np.argmin(finite))]} is NaN or infinite: look at that file "
            "and at the model's weights."
        )
    result.arrays.update({f"{modality}_id": np.array(ids), modality: matrix})
