"""Cross-modal losses that pull the two embeddings of one identity together: the table `ALIGNMENT`.

Every row is `(audio [b, D], image [b, D], label [b], **arguments) -> [b]`, float32, with b rows on
this replica; candidates come from the global batch. The caller sums the rows and divides by the
size of the global batch, which makes N replicas equal to one.
"""

import functools
import inspect
import math
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfav import compat, registry
from tfav.losses import addons, curriculum, negatives
from tfav.ops import distributed, precision, similarity, sums

# Far below any logit, and finite: the gradient of a masked entry is an exact zero, never NaN.
_MASKED = float(tf.float32.min) / 2


def explicit(voice: tf.Tensor, face: tf.Tensor, label: tf.Tensor, m: float = 5.4) -> tf.Tensor:
    """Returns the explicit loss of Wen et al. (CVPR 2021), mean of both directions, float32 [b].

    `l_i = log(m + sum_{j: y_j != y_i} exp(v_i . nrm(x_j) - v_i . nrm(x_i)))`. Only candidates are
    normalised: the anchor's norm is a learned inverse temperature. `m` is a saturation constant and
    no distance margin, and `log(m)` is the least value. The default is the released code's: its
    "+ 1", its "+ 3.4" and the diagonal, which it does not mask, make 5.4 over true negatives. It
    averages the directions, which the supplement sums; we follow the code.

    Args:
      voice: Voice embeddings [b, D], not normalised.
      face: Face embeddings [b, D], not normalised; row i belongs to the person of row i of `voice`.
      label: Identity of each row, [b] int.
      m: Saturation constant, positive.

    Raises:
      UserError: `m` is not positive.
    """
    _check_positive("explicit", m=m)
    voice, face = negatives.by_cosine(voice, label), negatives.by_cosine(face, label)
    return _soft_floor(voice, face, m)


def _check_positive(loss: str, **argument: float) -> None:
    """Raises UserError unless the argument of a row of `ALIGNMENT` is positive."""
    ((name, value),) = argument.items()
    if not value > 0:
        default = inspect.signature(ALIGNMENT[loss]).parameters[name].default
        raise registry.UserError(
            f"{name}={value} of the {loss} loss must be positive: the default is {default}."
        )


def _same_label(label: tf.Tensor) -> tf.Tensor:
    label = tf.convert_to_tensor(label)
    return tf.equal(label[:, tf.newaxis], distributed.gather(label))


def _soft_floor(one: negatives.Side, other: negatives.Side, m: float) -> tf.Tensor:
    """Returns `log(m + sum over negatives of exp(their excess over the own))`, both ways' mean."""
    totals, owns = negatives.log_sums(one, other), negatives.own(one, other)
    # log(m + e^x) as it stands overflows once an anchor's norm passes 88.
    floor = math.log(m)
    ways = [tf.math.softplus(total - own - floor) for total, own in zip(totals, owns)]
    return 0.5 * sums.in_order(ways) + floor


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
      audio: Audio embeddings [b, D], the anchors.
      image: Image embeddings [b, D], the candidates; row i is the pair of row i of `audio`.
      label: Class of each row, [b] int; all rows of one class are positives.
      temperature: Divisor of the cosines, positive.
      symmetric: Whether the term with image anchors is added, as in CCL itself; MMCosine's code has
        one direction.

    Raises:
      UserError: `temperature` is not positive.
    """
    _check_positive("contrastive", temperature=temperature)
    positive = _same_label(label)
    rows = _noise_contrast(audio, image, positive, temperature)
    if symmetric:
        rows += _noise_contrast(image, audio, positive, temperature)
    return rows


def _noise_contrast(
    anchor: tf.Tensor, other: tf.Tensor, positive: tf.Tensor, temperature: float
) -> tf.Tensor:
    logits = _cosines(anchor, other) / temperature
    total = tf.reduce_logsumexp(logits, axis=1, keepdims=True)
    log_p = logits - total
    # ln(1 - p) is exact as log1p(-p) while p <= 1/2. Only the largest entry of a row can be above
    # that, and there 1 - p may round to 0: its ln(1 - p) is the log-sum-exp of the rest of the row.
    top = tf.one_hot(tf.argmax(logits, axis=1), tf.shape(logits)[1], on_value=True, off_value=False)
    lowest = tf.constant(_MASKED, logits.dtype)
    rest = tf.reduce_logsumexp(tf.where(top, lowest, logits), axis=1, keepdims=True)
    log_not_p = tf.where(top, rest - total, tf.math.log1p(-tf.exp(tf.where(top, lowest, log_p))))
    return -_masked_mean(log_p, positive) - _masked_mean(log_not_p, ~positive)


def _cosines(anchor: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
    candidates = distributed.gather(similarity.normalize(other))
    return tf.matmul(similarity.normalize(anchor), candidates, transpose_b=True)


def _masked_mean(x: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    count = tf.reduce_sum(tf.cast(mask, x.dtype), axis=1)
    return tf.math.divide_no_nan(tf.reduce_sum(tf.where(mask, x, 0.0), axis=1), count)


def n_pair(
    audio: tf.Tensor, image: tf.Tensor, label: tf.Tensor, norm_weight: float = 5e-4
) -> tf.Tensor:
    """Returns Sohn's multi-class N-pair loss (NeurIPS 2016, Eq. 6) across modalities, float32 [b].

    `l_i = log(1 + sum_{j: y_j != y_i} exp(a_i . v_j - a_i . v_i))`, mean of both directions, plus
    `norm_weight * (|a_i|^2 + |v_i|^2)`. Plain inner products, as the paper has them: a unit length
    would cap what they can tell apart, so only the penalty of its section 3.2.2 holds the norms.

    Args:
      audio: Audio embeddings [b, D], not normalised.
      image: Image embeddings [b, D], not normalised; row i is the pair of row i of `audio`.
      label: Identity of each row, [b] int; rows of the same identity are no negatives.
      norm_weight: Factor of the squared norms; the default is tf.contrib's 0.25 * 0.002.

    Raises:
      UserError: `norm_weight` is negative.
    """
    if norm_weight < 0:
        raise registry.UserError(
            f"norm_weight={norm_weight} of the N-pair loss must not be negative: default 5e-4."
        )
    audio, image = precision.full(audio), precision.full(image)
    penalty = norm_weight * tf.reduce_sum(tf.square(audio) + tf.square(image), axis=1)
    rows, columns = (negatives.by_product(x, label) for x in (audio, image))
    return _soft_floor(rows, columns, 1.0) + penalty


def triplet(audio: tf.Tensor, image: tf.Tensor, label: tf.Tensor, margin: float = 0.2) -> tf.Tensor:
    """Returns the cross-modal triplet loss over cosines, mean of both directions, float32 [b].

    `l_i` is the mean of the positive ones among `margin + cos(a_i, v_j) - cos(a_i, v_i)` over all
    `j: y_j != y_i` of the global batch ("batch all" of Hermans et al. 2017), 0 when none is: a mean
    over all of them would fade as training sorts out the easy ones.

    Args:
      audio: Audio embeddings [b, D].
      image: Image embeddings [b, D]; row i is the pair of row i of `audio`.
      label: Identity of each row, [b] int; rows of the same identity are no negatives.
      margin: Margin between cosines, positive.

    Raises:
      UserError: `margin` is not positive.
    """
    _check_positive("triplet", margin=margin)
    negative = ~_same_label(label)
    audio, image = similarity.normalize(audio), similarity.normalize(image)

    def one_direction(anchor: tf.Tensor, own: tf.Tensor) -> tf.Tensor:
        products = tf.matmul(anchor, distributed.gather(own), transpose_b=True)
        hinge = margin + (products - tf.reduce_sum(anchor * own, axis=1, keepdims=True))
        return _masked_mean(hinge, negative & (hinge > 0))

    return 0.5 * (one_direction(audio, image) + one_direction(image, audio))


def supervised_contrastive(
    audio: tf.Tensor, image: tf.Tensor, label: tf.Tensor, temperature: float = 0.1
) -> tf.Tensor:
    """Returns the supervised contrastive loss L_out of Khosla et al. (2020), float32 [b].

    `l_i` is the mean over `p: y_p = y_i` of `-ln softmax_p(cos(a_i, v_j) / temperature)`, mean of
    both directions. Across modalities: positives and candidates are rows of the other one.

    Args:
      audio: Audio embeddings [b, D].
      image: Image embeddings [b, D].
      label: Identity of each row, [b] int; all rows of one identity are positives.
      temperature: Divisor of the cosines, positive.

    Raises:
      UserError: `temperature` is not positive.
    """
    _check_positive("supervised_contrastive", temperature=temperature)
    audio, image = similarity.normalize(audio), similarity.normalize(image)
    audio *= 1.0 / temperature  # the logits of both directions are products with it
    positive = tf.cast(_same_label(label), audio.dtype)
    share = positive / tf.reduce_sum(positive, axis=1, keepdims=True)
    directions = (audio, distributed.gather(image)), (image, distributed.gather(audio))
    logits = [tf.matmul(anchor, others, transpose_b=True) for anchor, others in directions]
    # A mean over the positives is a cross entropy whose target is spread over them: one kernel.
    return 0.5 * sums.in_order([tf.nn.softmax_cross_entropy_with_logits(share, z) for z in logits])


ALIGNMENT: dict[str, Callable[..., tf.Tensor]] = {
    "explicit": explicit,
    "contrastive": contrastive,
    "n_pair": n_pair,
    "triplet": triplet,
    "supervised_contrastive": supervised_contrastive,
    "percentile": curriculum.percentile,
    "triplet_semihard": addons.triplet_semihard,
    "lifted_struct": addons.lifted_struct,
    "npairs": addons.npairs,
}

# Rows of the table that only the addons set can compute.
ADDONS = frozenset({"triplet_semihard", "lifted_struct", "npairs"})


def resolve(name: str, **arguments: Any) -> Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]:
    """Returns the loss that a config names, with its arguments bound, or fails at once.

    Args:
      name: Row of `ALIGNMENT`, or the dotted path of a function with the same signature.
      **arguments: Arguments of the loss, such as `m` or `temperature`.

    Raises:
      UserError: The name is unknown, the loss does not take one of the arguments, or the row needs
        tensorflow-addons on the current dependency set.
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
