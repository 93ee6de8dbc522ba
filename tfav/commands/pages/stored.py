"""Files of a data set as they are shown: read from its shards, never decoded."""

import os

import tensorflow as tf

from tfav.data import kinds, shards


def content(index: shards.Index, row: int, modality: str) -> bytes | None:
    """Returns what a row holds of a modality, the first frame of several; None if there is nothing.

    PCM16 little-endian of audio, a JPEG file of all else; nothing of vectors, which can neither be
    played nor shown. For rows that were read and verified a moment ago: the record's checksum is
    not looked at again.
    """
    if not index.held(modality)[row] or index.kind(modality) == kinds.ARRAY.name:
        return None
    with tf.io.gfile.GFile(os.path.join(index.directory, index.shard[row]), "rb") as file:
        file.seek(int(index.offset[row]))
        record = tf.train.Example.FromString(file.read(int(index.length[row])))
    return record.features.feature[modality].bytes_list.value[0]
