"""A margin on the cosine of a row's own class: one function."""

import tensorflow as tf


def blunt_margin(cosine, margin):
    """Takes half as much where the cosine is negative as where it is positive."""
    return cosine - margin * tf.where(cosine > 0, 1.0, 0.5)
