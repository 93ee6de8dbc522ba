"""What a run reads of its data: training batches, and each listed item once."""

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence

import ml_collections
import numpy as np
import tensorflow as tf

from tfav import registry, tensors
from tfav.clients import client
from tfav.data import kinds, shards
from tfav.data.input import augment, endless, pipeline, reader
from tfav.data.input.batches import ATTEMPTS, Batches
from tfav.experiment import bad_records, collect, models


@contextlib.contextmanager
def whole(directory: str) -> Iterator[None]:
    """Makes of a record in the data set `directory` that cannot be used a sentence."""
    try:
        yield
    except (tf.errors.DataLossError, tf.errors.NotFoundError, tf.errors.InvalidArgumentError) as e:
        sentence = client.asserted(e.message)
        if kinds.MISFIT in sentence:
            raise registry.UserError(f"{directory}: {sentence}") from e
        found = bad_records.find(directory, e.message)
        if not found and bad_records.NOTHING in e.message:
            found = f"{ATTEMPTS} rows that its plan names in turn"
        if not found and not isinstance(e, tf.errors.DataLossError):
            raise
        raise registry.UserError(
            f"a record of {directory} cannot be read ({found or 'it is whole by now'}): copy the "
            f"data set again, or make it again with tfav-prepare --output={directory} --overwrite."
        ) from e


def training_batches(c: ml_collections.ConfigDict, start_step: int) -> Batches:
    """Returns what `strategy.distribute_datasets_from_function` takes, from `start_step` on.

    Raises:
      UserError: the data lacks what the config asks for, or is of another kind.
    """
    if c.data.sampling == "identities":
        others = [name for name in c.modalities if name not in ("audio", "image")]
        if others:
            raise registry.UserError(
                f"--config.data.sampling=identities draws audio and image and not {others[0]}: set "
                "it to rows."
            )
        return endless.identity_batches(
            c.data.directory,
            c.data.train_split,
            batch_size=c.train.batch_size,
            seed=c.seed,
            items=_items(c),
            audio_seconds=c.data.audio_seconds,
            num_lengths=c.data.num_lengths,
            start_step=start_step,
            tolerant=c.data.max_bad_records > 0,
        )
    return endless.row_batches(
        c.data.directory,
        c.data.train_split,
        items=_items(c),
        batch_size=c.train.batch_size,
        seed=c.seed,
        audio_seconds=c.data.audio_seconds,
        num_lengths=c.data.num_lengths,
        start_step=start_step,
        tolerant=c.data.max_bad_records > 0,
    )


def check_shapes(c: ml_collections.ConfigDict, index: shards.Index) -> None:
    """Reads one record of each modality whose records share a shape, before a run is begun.

    Args:
      c: config of a run.
      index: of its data.

    Raises:
      UserError: the config asks for another shape; an unreadable record where none is tolerated.
    """
    part = index.select(c.data.train_split)
    for modality, item in _items(c).items():
        held = np.flatnonzero(part.held(modality))[:1]
        if type(item.kind).form is kinds.Kind.form or not len(held):
            continue
        try:
            with whole(index.directory):
                _read_first(part.take(held), modality, item)
        except registry.UserError as error:
            if not c.data.max_bad_records or kinds.MISFIT in str(error):
                raise


def _read_first(part: shards.Index, modality: str, item: kinds.Item) -> None:
    first, make = reader.Reader(part), item.kind.evaluation(modality, item, (1, 1))
    row = tf.data.Dataset.range(1)  # on the CPU, and what a graph asserts is a sentence
    row.map(lambda k: make(first.read(k, (modality,))[modality])).get_single_element()


def _items(c: ml_collections.ConfigDict) -> dict[str, kinds.Item]:
    """Returns what batches hold of each modality.

    The augmentations of `data` that change sounds are those of `audio`, the others of `image`.
    """
    found = {}
    for modality, (_, kind, its) in models.sections(c).items():
        names = its.get("augment")
        if names is None:
            sounds = kind is kinds.AUDIO
            names = [n for n in c.data.augment if augment.changes_sound(n) is sounds]
        found[modality] = kinds.Item(kind, kind.item(modality, its), tuple(names))
    return found


def evaluation_batches(
    c: ml_collections.ConfigDict,
    directory: str,
    ids: Sequence[str],
    modality: str,
    batch_size: int,
) -> tf.data.Dataset:
    """Returns batches of one modality of the items `ids`, once and in order, clips as heard."""
    _, kind, its = models.sections(c)[modality]
    heard = models.hearing(c)
    return pipeline.evaluation_batches(
        directory,
        ids,
        modality,
        batch_size=batch_size,
        item=kinds.Item(kind, kind.item(modality, its)),
        max_seconds=heard.max_seconds,
        min_seconds=heard.min_seconds,
    )


def embeddings(
    c: ml_collections.ConfigDict,
    embed: Callable[[str, tensors.Batch], np.ndarray],
    directory: str,
    ids: Mapping[str, Sequence[str]],
) -> dict[str, dict[str, np.ndarray]]:
    """Embeds each modality's items once: modality -> id -> vector."""
    vectors = {}
    for modality, names in ids.items():
        batches = evaluation_batches(c, directory, names, modality, c.eval.batch_size)
        with whole(directory):
            found, matrix = collect.collect(
                batches,
                functools.partial(embed, modality),
                total=len(names),
                description=f"embed {modality}",
            )
        vectors[modality] = dict(zip(found, matrix))
    return vectors


def joint_batches(
    c: ml_collections.ConfigDict, directory: str, ids: Sequence[str], batch_size: int
) -> tf.data.Dataset:
    """Returns batches of all modalities of the rows `ids`, once and in order."""
    each = [evaluation_batches(c, directory, ids, m, batch_size) for m in c.modalities]
    return tf.data.Dataset.zip(tuple(each)).map(
        lambda *parts: {name: value for part in parts for name, value in part.items()}
    )
