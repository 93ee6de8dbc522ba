"""The losses of logits as Keras losses."""

import keras
import tensorflow as tf

from tfav.keras import loss
from tfav.losses import multimodal, softmax


@keras.saving.register_keras_serializable("tfav")
class CrossEntropy(loss.Loss):
    """The implicit loss of a shared classifier: `losses.cross_entropy`."""

    function = staticmethod(softmax.cross_entropy)

    def rows(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Returns the loss of each row, [B], of classes [B] and logits [B, C]."""
        return self.function(y_pred, loss.labels(y_true))


@keras.saving.register_keras_serializable("tfav")
class Agreement(loss.Loss):
    """The symmetric divergence of two predictions (Chen et al., CVPR 2021): `losses.agreement`."""

    function = staticmethod(multimodal.agreement)

    def rows(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Returns the loss of each row, [B], of logits [B, 2 C]."""
        return self.function(*self.halves(y_pred, "logits"))
