"""The rows of `losses.alignment.ALIGNMENT` as Keras losses, with their functions' arguments."""

from typing import Any

import keras
import tensorflow as tf

from tfav.keras import loss
from tfav.losses import alignment


class Alignment(loss.Loss):
    """A row of `losses.alignment.ALIGNMENT`: embeddings of two modalities and their identities.

    Raises:
      UserError: The row needs tensorflow-addons, and this is the current dependency set.
    """

    row: str

    def __init__(self, arguments: dict[str, Any] | None = None, **options: Any):
        super().__init__(arguments, **options)
        self._loss = alignment.resolve(self.row, **self.arguments)

    def rows(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Returns the loss of each row, [B], of identities [B] and embeddings [B, 2 D]."""
        return self._loss(*self.halves(y_pred, "embeddings"), loss.labels(y_true))


@keras.saving.register_keras_serializable("tfav")
class ExplicitAlignment(Alignment):
    """The explicit loss of Wen et al. (CVPR 2021): `losses.explicit`."""

    row = "explicit"

    def __init__(self, m: float = 5.4, **options: Any):
        super().__init__({"m": m}, **options)


@keras.saving.register_keras_serializable("tfav")
class ContrastiveAlignment(Alignment):
    """MMCosine's stacked contrastive term, L_NCE: `losses.contrastive`."""

    row = "contrastive"

    def __init__(self, temperature: float = 0.1, symmetric: bool = False, **options: Any):
        super().__init__({"temperature": temperature, "symmetric": symmetric}, **options)


@keras.saving.register_keras_serializable("tfav")
class NPairAlignment(Alignment):
    """Sohn's multi-class N-pair loss (NeurIPS 2016, Eq. 6): `losses.n_pair`."""

    row = "n_pair"

    def __init__(self, norm_weight: float = 5e-4, **options: Any):
        super().__init__({"norm_weight": norm_weight}, **options)


@keras.saving.register_keras_serializable("tfav")
class TripletAlignment(Alignment):
    """The cross-modal triplet loss over cosines: `losses.triplet`."""

    row = "triplet"

    def __init__(self, margin: float = 0.2, **options: Any):
        super().__init__({"margin": margin}, **options)


@keras.saving.register_keras_serializable("tfav")
class SupervisedContrastiveAlignment(Alignment):
    """Supervised contrastive loss L_out (Khosla et al., 2020): `losses.supervised_contrastive`."""

    row = "supervised_contrastive"

    def __init__(self, temperature: float = 0.1, **options: Any):
        super().__init__({"temperature": temperature}, **options)


@keras.saving.register_keras_serializable("tfav")
class PercentileAlignment(Alignment):
    """PINs' contrastive loss against a negative of given hardness: `losses.percentile`."""

    row = "percentile"

    def __init__(self, margin: float = 0.6, hardness: float = 0.5, **options: Any):
        super().__init__({"margin": margin, "hardness": hardness}, **options)


@keras.saving.register_keras_serializable("tfav")
class TripletSemihardAlignment(Alignment):
    """tensorflow-addons' semi-hard triplet loss: `losses.triplet_semihard`."""

    row = "triplet_semihard"

    def __init__(self, margin: float = 1.0, **options: Any):
        super().__init__({"margin": margin}, **options)


@keras.saving.register_keras_serializable("tfav")
class LiftedStructAlignment(Alignment):
    """tensorflow-addons' lifted structured loss: `losses.lifted_struct`."""

    row = "lifted_struct"

    def __init__(self, margin: float = 1.0, **options: Any):
        super().__init__({"margin": margin}, **options)


@keras.saving.register_keras_serializable("tfav")
class NpairsAlignment(Alignment):
    """tensorflow-addons' N-pairs loss: `losses.npairs`."""

    row = "npairs"

    def __init__(self, scale: float = 10.0, **options: Any):
        super().__init__({"scale": scale}, **options)
