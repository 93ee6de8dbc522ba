"""Several centres per class, of which the nearest one counts (Deng et al., ECCV 2020)."""

import tensorflow as tf

from tfav import registry


def check(sub_centers: int) -> None:
    """Refuses a head without a centre per class.

    Raises:
      UserError: that.
    """
    if sub_centers < 1:
        raise registry.UserError(
            f"sub_centers={sub_centers}: give the number of centres per class, 1 or more."
        )


def nearest(products: tf.Tensor, sub_centers: int) -> tf.Tensor:
    """Returns the largest product with a centre of each class, [B, C].

    Args:
      products: Products with all centres, [B, C * K], those of one class beside each other.
      sub_centers: Number K of centres per class.
    """
    if sub_centers == 1:
        return products
    num_classes = tf.shape(products)[1] // sub_centers
    if products.shape[1] is not None:
        num_classes = products.shape[1] // sub_centers
    shape = [tf.shape(products)[0], num_classes, sub_centers]
    return tf.reduce_max(tf.reshape(products, shape), axis=2)
