"""A value with its gradient as one call, and the products that no implementation can do without."""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf


def normal(*shape: int, seed: int = 0) -> tf.Tensor:
    """Returns standard normal numbers, float32."""
    return tf.constant(np.random.default_rng(seed).standard_normal(shape, np.float32))


def call(
    value: Callable[..., tf.Tensor], inputs: Sequence[tf.Tensor], *fixed: tf.Tensor
) -> Callable[[], object]:
    """Returns a traced call of the mean of `value(*inputs, *fixed)` and its gradient by `inputs`.

    Args:
      value: Function to one number per row.
      inputs: Tensors or variables that the gradient is taken by.
      *fixed: Further tensors.
    """
    variables = [x for x in inputs if isinstance(x, tf.Variable)]
    tensors = [x for x in inputs if not isinstance(x, tf.Variable)]

    @tf.function
    def run(tensors: list[tf.Tensor], fixed: list[tf.Tensor]) -> object:
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            mean = tf.reduce_mean(value(*tensors, *variables, *fixed))
        return mean, tape.gradient(mean, tensors + variables)

    graph = run.get_concrete_function(tensors, list(fixed))
    return lambda: graph(tensors, list(fixed))


def products(pairs: Sequence[tuple[int, int, int]]) -> Callable[[], object]:
    """Returns a traced call of the bare products of `rows @ columns.T`, forward and gradient.

    Three for each of `pairs`: the product [n, m], and of a gradient [n, m] the products with either
    side, which give the gradients of both.

    Args:
      pairs: Rows n, columns m and length D of each product.
    """
    inputs = [
        (normal(n, size), normal(m, size, seed=1), normal(n, m, seed=2)) for n, m, size in pairs
    ]

    @tf.function
    def run(inputs: list[tuple[tf.Tensor, ...]]) -> object:
        found = []
        for rows, columns, above in inputs:
            found.append(tf.matmul(rows, columns, transpose_b=True))
            found.append(tf.matmul(above, columns))
            found.append(tf.matmul(above, rows, transpose_a=True))
        return found

    graph = run.get_concrete_function(inputs)
    return lambda: graph(inputs)
