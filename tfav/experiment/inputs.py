"""What a run reads of its data: training batches, and each listed item once."""

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence

import ml_collections
import numpy as np
import tensorflow as tf

from tfav import registry, tensors
from tfav.data.input import augment, endless, pipeline
from tfav.experiment import collect, models


@contextlib.contextmanager
def whole(directory: str) -> Iterator[None]:
    """Makes of a damaged record in the data set `directory` a sentence."""
    try:
        yield
    except tf.errors.DataLossError as error:
        where = re.search(r"corrupted record at \d+|truncated record at \d+", error.message)
        raise registry.UserError(
            f"a shard in {directory} is damaged ({where[0] if where else 'it cannot be read'}): "
            f"copy it again, or make it again with tfav-prepare --output={directory} --overwrite."
        ) from error


def training_batches(
    c: ml_collections.ConfigDict, start_step: int
) -> Callable[[tf.distribute.InputContext | None], tf.data.Dataset]:
    """Returns what `strategy.distribute_datasets_from_function` takes, from `start_step` on."""
    if c.data.sampling == "identities":
        return endless.identity_batches(
            c.data.directory,
            c.data.train_split,
            batch_size=c.train.batch_size,
            seed=c.seed,
            audio_seconds=c.data.audio_seconds,
            image_size=c.image.size,
            augment=c.data.augment,
            start_step=start_step,
        )
    its = models.pictures(c)
    return endless.row_batches(
        c.data.directory,
        c.data.train_split,
        modalities=tuple(c.modalities),
        batch_size=c.train.batch_size,
        seed=c.seed,
        audio_seconds=c.data.audio_seconds,
        image_size={name: its[name].size for name in its},
        num_frames={name: its[name].num_frames for name in its},
        augment=_augment(c),
        start_step=start_step,
    )


def _augment(c: ml_collections.ConfigDict) -> dict[str, tuple[str, ...]]:
    """Returns the augmentations of each modality; a row that knows no sound is for the pictures."""
    sounds = augment.AUDIO_AUGMENTATIONS
    return {
        "audio": tuple(name for name in c.data.augment if name in sounds),
        "image": tuple(name for name in c.data.augment if name not in sounds),
        **{name: c.further[name].augment for name in c.further},
    }


def evaluation_batches(
    c: ml_collections.ConfigDict,
    directory: str,
    ids: Sequence[str],
    modality: str,
    batch_size: int,
) -> tf.data.Dataset:
    """Returns batches of one modality of the items `ids`, once and in order, clips as heard."""
    its = models.pictures(c).get(modality)
    heard = models.hearing(c)
    return pipeline.evaluation_batches(
        directory,
        ids,
        modality,
        batch_size=batch_size,
        max_seconds=heard.max_seconds,
        min_seconds=heard.min_seconds,
        image_size=its.size if its else 0,
        num_frames=its.num_frames if its else 1,
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
                lambda batch, modality=modality: embed(modality, batch),
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
