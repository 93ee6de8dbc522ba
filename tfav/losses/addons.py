"""Metric losses of tensorflow-addons: rows of `ALIGNMENT` that only the addons set computes.

Each of these losses belongs to the batch and not to a row. So each row holds it whole, the mean
over the global batch is the loss, and per-sample weights scale it by their mean. A batch of one
identity gives 0. The addon computes in float32 alone, under every policy.
"""

from collections.abc import Callable

import tensorflow as tf

from tfav import compat
from tfav.ops import distributed, precision, similarity


def triplet_semihard(
    audio: tf.Tensor, image: tf.Tensor, label: tf.Tensor, margin: float = 1.0
) -> tf.Tensor:
    """Returns tensorflow-addons' semi-hard triplet loss of the global batch, float32 [b].

    The 2 * N * b unit embeddings of both modalities are one set, so a triplet may also lie within
    one modality. The addon needs `(2 N b)^3` floats of memory.

    Args:
      audio: Audio embeddings [b, D].
      image: Image embeddings [b, D].
      label: Identity of each row, [b] int.
      margin: Margin of the Euclidean distance between unit vectors.

    Raises:
      UserError: There is no tensorflow-addons here (current dependency set).
    """
    loss = compat.addons("triplet_semihard").losses.triplet_semihard_loss
    embedding, both = _union(audio, image, label)
    return _fill(audio, both, lambda: loss(both, embedding, margin=margin))


def lifted_struct(
    audio: tf.Tensor, image: tf.Tensor, label: tf.Tensor, margin: float = 1.0
) -> tf.Tensor:
    """Returns tensorflow-addons' lifted structured loss of the global batch, float32 [b].

    Its set and its cost are those of `triplet_semihard`. The embeddings are unit vectors here, as
    everywhere that they are compared, although the original leaves their norm free.

    Args:
      audio: Audio embeddings [b, D].
      image: Image embeddings [b, D].
      label: Identity of each row, [b] int.
      margin: Margin of the Euclidean distance between unit vectors.

    Raises:
      UserError: There is no tensorflow-addons here (current dependency set).
    """
    loss = compat.addons("lifted_struct").losses.lifted_struct_loss
    embedding, both = _union(audio, image, label)
    return _fill(audio, both, lambda: loss(both, embedding, margin=margin))


def npairs(audio: tf.Tensor, image: tf.Tensor, label: tf.Tensor, scale: float = 10.0) -> tf.Tensor:
    """Returns tensorflow-addons' N-pairs loss of the global batch, float32 [b].

    Audio rows are the anchors, image rows the candidates, `scale * cosine` the similarity: the
    addon takes the matrix as logits, which plain cosines would leave almost flat.

    Args:
      audio: Audio embeddings [b, D].
      image: Image embeddings [b, D].
      label: Identity of each row, [b] int.
      scale: Factor of the cosines; 10 is the inverse of `contrastive`'s temperature.

    Raises:
      UserError: There is no tensorflow-addons here (current dependency set).
    """
    loss = compat.addons("npairs").losses.npairs_loss
    everyone = distributed.gather(label)
    cosines = similarity.cosine_matrix(
        distributed.gather(precision.full(audio)),
        distributed.gather(precision.full(image)),
    )
    logits = scale * tf.cast(cosines, tf.float32)
    return _fill(audio, everyone, lambda: loss(everyone, logits))


def _union(audio: tf.Tensor, image: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    both = [distributed.gather(similarity.normalize(x)) for x in (audio, image)]
    embedding = tf.cast(tf.concat(both, axis=0), tf.float32)
    return embedding, tf.tile(distributed.gather(label), [2])


def _fill(audio: tf.Tensor, everyone: tf.Tensor, loss: Callable[[], tf.Tensor]) -> tf.Tensor:
    # Without a negative there is nothing to tell apart, and the addon's lifted loss is NaN.
    one_identity = tf.reduce_all(everyone == everyone[0])
    value = tf.cond(one_identity, lambda: tf.constant(0.0), loss)
    return tf.fill([tf.shape(audio)[0]], tf.cast(value, precision.full(audio).dtype))
