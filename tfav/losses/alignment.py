"""Cross-modal losses that pull the two embeddings of one identity together: the table `ALIGNMENT`.

Every row is `(audio [b, D], image [b, D], label [b], **arguments) -> [b]`, float32. `b` are the
rows of this replica; candidates come from the global batch. The caller sums the rows and divides by
the size of the global batch, which makes N replicas equal to one.
"""

import functools
import inspect
import math
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfav import compat, registry
from tfav.ops import distributed, similarity

# Far below any logit, and finite: the gradient of a masked entry is an exact zero, never NaN.
_MASKED = float(tf.float32.min) / 2


def explicit(voice: tf.Tensor, face: tf.Tensor, label: tf.Tensor, m: float = 5.4) -> tf.Tensor:
    """Returns the explicit loss of Wen et al. (CVPR 2021), mean of both directions, float32 [b].

    `l_i = log(m + sum_{j: y_j != y_i} exp(v_i . nrm(x_j) - v_i . nrm(x_i)))`. Only candidates are
    normalised: the anchor's norm is a learnt inverse temperature. `m` is a saturation constant, not
    a distance margin, and `log(m)` is the least value. The default is the released code's: its
    "+ 1" and "+ 3.4" and the diagonal, which it does not mask, give 5.4 over true negatives. Its
    directions are averaged, where the supplement sums them; we follow the code.

    Args:
      voice: [b, D], not normalised.
      face: [b, D], not normalised; row i belongs to the same person as row i of `voice`.
      label: [b] int identity.
      m: saturation constant, positive.

    Raises:
      UserError: `m` is not positive.
    """
    if not m > 0:
        raise registry.UserError(
            f"m={m} of the explicit loss must be positive: the default is 5.4."
        )
    voice, face = tf.cast(voice, tf.float32), tf.cast(face, tf.float32)
    negative = ~_same_label(label)
    return 0.5 * (_saturated(voice, face, negative, m) + _saturated(face, voice, negative, m))


def _same_label(label: tf.Tensor) -> tf.Tensor:
    label = tf.convert_to_tensor(label)
    return tf.equal(label[:, tf.newaxis], distributed.gather(label))


def _saturated(anchor: tf.Tensor, other: tf.Tensor, negative: tf.Tensor, m: float) -> tf.Tensor:
    own = similarity.normalize(other)
    similarities = tf.matmul(anchor, distributed.gather(own), transpose_b=True)
    excess = similarities - tf.reduce_sum(anchor * own, axis=1, keepdims=True)
    floor = tf.fill([tf.shape(anchor)[0], 1], tf.constant(math.log(m), tf.float32))
    # log m joins the log-sum-exp: log(m + sum exp) overflows once an anchor's norm passes 88.
    return tf.reduce_logsumexp(
        tf.concat([floor, tf.where(negative, excess, _MASKED)], axis=1), axis=1
    )


def contrastive(
    audio: tf.Tensor,
    image: tf.Tensor,
    label: tf.Tensor,
    temperature: float = 0.1,
    symmetric: bool = False,
) -> tf.Tensor:
    """Returns MMCosine's stacked contrastive term ("CCL", L_NCE), float32 [b].

    With `p_ij = softmax_j(cos(a_i, v_j) / temperature)`: mean over positives of `-ln p_ij` plus
    mean over negatives of `-ln(1 - p_ij)`. A mean over nothing is 0; the released code makes
    it NaN.

    Args:
      audio: [b, D], the anchors.
      image: [b, D], the candidates; row i is the pair of row i of `audio`.
      label: [b] int class; all rows of one class are positives.
      temperature: positive.
      symmetric: add the term with image anchors, as CCL itself does; MMCosine's code has one
        direction.

    Raises:
      UserError: `temperature` is not positive.
    """
    if not temperature > 0:
        raise registry.UserError(
            f"temperature={temperature} of the contrastive loss must be positive: default 0.1."
        )
    positive = _same_label(label)
    rows = _noise_contrast(audio, image, positive, temperature)
    if symmetric:
        rows += _noise_contrast(image, audio, positive, temperature)
    return rows


def _noise_contrast(
    anchor: tf.Tensor, other: tf.Tensor, positive: tf.Tensor, temperature: float
) -> tf.Tensor:
    candidates = distributed.gather(similarity.normalize(other))
    cosines = tf.matmul(similarity.normalize(anchor), candidates, transpose_b=True)
    logits = cosines / temperature
    total = tf.reduce_logsumexp(logits, axis=1, keepdims=True)
    log_p = logits - total
    # ln(1 - p) is exact as log1p(-p) while p <= 1/2. Only the largest entry of a row can be above
    # that, and there 1 - p may round to 0: its ln(1 - p) is the log-sum-exp of the rest of the row.
    top = tf.one_hot(tf.argmax(logits, axis=1), tf.shape(logits)[1], on_value=True, off_value=False)
    rest = tf.reduce_logsumexp(tf.where(top, _MASKED, logits), axis=1, keepdims=True)
    log_not_p = tf.where(top, rest - total, tf.math.log1p(-tf.exp(tf.where(top, _MASKED, log_p))))
    return -_masked_mean(log_p, positive) - _masked_mean(log_not_p, ~positive)


def _masked_mean(x: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    count = tf.reduce_sum(tf.cast(mask, x.dtype), axis=1)
    return tf.math.divide_no_nan(tf.reduce_sum(tf.where(mask, x, 0.0), axis=1), count)


def triplet_semihard(
    audio: tf.Tensor, image: tf.Tensor, label: tf.Tensor, margin: float = 1.0
) -> tf.Tensor:
    """Returns tensorflow-addons' semi-hard triplet loss of the global batch, float32 [b].

    The 2 * N * b unit embeddings of both modalities are one set, so a triplet may also lie within
    one modality. The loss belongs to the batch and not to a row: each row holds it whole, so the
    mean over the global batch is the loss, and per-sample weights scale it by their mean. The addon
    needs `(2 N b)^3` floats of memory. A batch of one identity gives 0.

    Args:
      audio: [b, D].
      image: [b, D].
      label: [b] int identity.
      margin: of the Euclidean distance between unit vectors.

    Raises:
      UserError: no tensorflow-addons here (current line).
    """
    loss = compat.addons("triplet_semihard").losses.triplet_semihard_loss
    embedding, both = _union(audio, image, label)
    return _fill(label, both, lambda: loss(both, embedding, margin=margin))


def lifted_struct(
    audio: tf.Tensor, image: tf.Tensor, label: tf.Tensor, margin: float = 1.0
) -> tf.Tensor:
    """Returns tensorflow-addons' lifted structured loss of the global batch, float32 [b].

    Same set, rows and cost as `triplet_semihard`. The embeddings are unit vectors here, as
    everywhere they are compared, although the original leaves their norm free.

    Args:
      audio: [b, D].
      image: [b, D].
      label: [b] int identity.
      margin: of the Euclidean distance between unit vectors.

    Raises:
      UserError: no tensorflow-addons here (current line).
    """
    loss = compat.addons("lifted_struct").losses.lifted_struct_loss
    embedding, both = _union(audio, image, label)
    return _fill(label, both, lambda: loss(both, embedding, margin=margin))


def npairs(audio: tf.Tensor, image: tf.Tensor, label: tf.Tensor, scale: float = 10.0) -> tf.Tensor:
    """Returns tensorflow-addons' N-pairs loss of the global batch, float32 [b].

    Audio rows are the anchors, image rows the candidates, `scale * cosine` the similarity: the
    addon takes the matrix as logits, which plain cosines would leave almost flat. Rows as
    `triplet_semihard`.

    Args:
      audio: [b, D].
      image: [b, D].
      label: [b] int identity.
      scale: of the cosines; 10 is the inverse of `contrastive`'s temperature.

    Raises:
      UserError: no tensorflow-addons here (current line).
    """
    loss = compat.addons("npairs").losses.npairs_loss
    everyone = distributed.gather(label)
    logits = scale * similarity.cosine_matrix(
        distributed.gather(tf.cast(audio, tf.float32)),
        distributed.gather(tf.cast(image, tf.float32)),
    )
    return _fill(label, everyone, lambda: loss(everyone, logits))


def _union(audio: tf.Tensor, image: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    both = [distributed.gather(similarity.normalize(x)) for x in (audio, image)]
    return tf.concat(both, axis=0), tf.tile(distributed.gather(label), [2])


def _fill(label: tf.Tensor, everyone: tf.Tensor, loss: Callable[[], tf.Tensor]) -> tf.Tensor:
    # Without a negative there is nothing to tell apart, and the addon's lifted loss is NaN.
    one_identity = tf.reduce_all(everyone == everyone[0])
    value = tf.cond(one_identity, lambda: tf.constant(0.0), loss)
    return tf.fill([tf.shape(label)[0]], value)


ALIGNMENT: dict[str, Callable[..., tf.Tensor]] = {
    "explicit": explicit,
    "contrastive": contrastive,
    "triplet_semihard": triplet_semihard,
    "lifted_struct": lifted_struct,
    "npairs": npairs,
}

# Rows of the table that only the addons line can compute.
ADDONS = frozenset({"triplet_semihard", "lifted_struct", "npairs"})


def resolve(name: str, **arguments: Any) -> Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]:
    """Returns the loss that a config names, with its arguments bound, or fails at once.

    Args:
      name: a row of `ALIGNMENT`, or the dotted path of a function with the same signature.
      **arguments: bound to the loss, such as `m` or `temperature`.

    Raises:
      UserError: unknown name, an argument the loss does not take, or a row that needs
        tensorflow-addons on the current line.
    """
    loss = registry.lookup(ALIGNMENT, name, "alignment loss")
    if name in ADDONS:
        compat.addons(name)
    try:
        inspect.signature(loss).bind(None, None, None, **arguments)
    except TypeError as error:
        known = ", ".join(list(inspect.signature(loss).parameters)[3:])
        raise registry.UserError(
            f"alignment loss {name!r} was given {arguments}: {error}; it takes {known or 'none'}."
        ) from error
    return functools.partial(loss, **arguments)
