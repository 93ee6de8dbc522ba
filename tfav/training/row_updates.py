"""Optimizer steps on some rows of a weight, as large as these rows and not as the weight.

The rows that a step did not read stay as they are, and so do their slots: no momentum moves them
and no moment decays. Each row is there once.
"""

import tensorflow as tf


def descend(
    weight: tf.Tensor,
    momentum: tf.Tensor | None,
    gradient: tf.IndexedSlices,
    rate: tf.Tensor,
    m: float,
) -> None:
    """Takes a step of SGD, with momentum where there is a slot for it.

    Args:
      weight: Handle of the weight [N, D].
      momentum: Handle of its slot [N, D]; None: there is none.
      gradient: Gradient of some rows.
      rate: Learning rate, [].
      m: Factor of the slot.
    """
    if momentum is None:
        tf.raw_ops.ResourceScatterSub(
            resource=weight, indices=gradient.indices, updates=rate * gradient.values
        )
        return
    kept = tf.constant(m, rate.dtype) * _rows(momentum, gradient) - rate * gradient.values
    tf.raw_ops.ResourceScatterUpdate(resource=momentum, indices=gradient.indices, updates=kept)
    tf.raw_ops.ResourceScatterAdd(resource=weight, indices=gradient.indices, updates=kept)


def adapt(
    weight: tf.Tensor,
    first: tf.Tensor,
    second: tf.Tensor,
    gradient: tf.IndexedSlices,
    *,
    rate: tf.Tensor,
    betas: tuple[tf.Tensor, tf.Tensor],
    powers: tuple[tf.Tensor, tf.Tensor],
    epsilon: float,
) -> None:
    """Takes a step of Adam (lazy Adam: the moments of other rows wait).

    Args:
      weight: Handle of the weight [N, D].
      first: Handle of the first moments [N, D].
      second: Handle of the second moments [N, D].
      gradient: Gradient of some rows.
      rate: Learning rate, [].
      betas: Shares of the moments that a step keeps, [] each.
      powers: The same to the power of the step, counted from 1.
      epsilon: What is added to the root of the second moment.
    """
    values = gradient.values
    moments = []
    for handle, beta, new in zip((first, second), betas, (values, tf.square(values))):
        moment = beta * _rows(handle, gradient) + (1.0 - beta) * new
        tf.raw_ops.ResourceScatterUpdate(resource=handle, indices=gradient.indices, updates=moment)
        moments.append(moment)
    rate = rate * tf.sqrt(1.0 - powers[1]) / (1.0 - powers[0])
    step = rate * moments[0] / (tf.sqrt(moments[1]) + tf.constant(epsilon, rate.dtype))
    tf.raw_ops.ResourceScatterSub(resource=weight, indices=gradient.indices, updates=step)


def _rows(handle: tf.Tensor, gradient: tf.IndexedSlices) -> tf.Tensor:
    return tf.raw_ops.ResourceGather(
        resource=handle, indices=gradient.indices, dtype=gradient.values.dtype
    )
