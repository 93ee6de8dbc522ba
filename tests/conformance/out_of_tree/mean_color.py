"""An encoder: one class."""

import keras
import tensorflow as tf

from tfav.encoders import base
from tfav.layers import blocks


@keras.saving.register_keras_serializable("out_of_tree")
class MeanColor(base.ImageEncoder):
    """The mean colour of an image, through one dense layer."""

    def __init__(self, embedding_size=8, image_size=32, seed=0, name="image"):
        super().__init__(embedding_size, image_size, name)
        self.remember(embedding_size=embedding_size, image_size=image_size, seed=seed)
        self.dense = blocks.dense(embedding_size, seed)
        self.create_weights()

    def pixels_to_map(self, pixels, training):
        return pixels

    def pool(self, feature_map, training):
        return self.dense(tf.reduce_mean(feature_map, axis=[1, 2]))
