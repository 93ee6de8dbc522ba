"""What recipes share that learn from audio and images of the same moment, without labels."""

import zlib
from collections.abc import Collection, Sequence

import keras
import tensorflow as tf

from tfav import compat, registry, tensors, values, weights
from tfav.encoders import encoder as encoders_base
from tfav.losses import pairs
from tfav.ops import distributed, precision, similarity
from tfav.recipes import recipe

MODALITIES = ("audio", "image")
POOLINGS = ("max", "mean")
_LOWEST = float(tf.float32.min)

# What every recipe of pairs takes, see `Recipe.arguments`.
ARGUMENTS = {
    "negatives": values.choice(*pairs.NEGATIVES),
    "pooling": values.choice(*POOLINGS),
    "frozen": values.choice(*MODALITIES, several=True),
}


class Steps(tf.Module):
    """Counts the training steps that drew something; a weight, so that a resumed run goes on."""

    def __init__(self, name: str = "steps"):
        super().__init__(name=name)
        self.count = tf.Variable(
            0,
            dtype=tf.int64,
            trainable=False,
            name="count",
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
        )


class Correspondence(recipe.Recipe):
    """Rows whose audio and image belong together, held against rows where they do not.

    Only the encoders' feature maps are trained and used: what an encoder has after them (the
    tail of `tiny`, for one) stays as it was made and is no part of `trainable_weights`.

    Attributes:
      map_shape: modality to [1, H', W', C] of the encoder's example; all but H' of audio holds for
        every input.

    A subclass makes its heads, writes `compute_losses` by `self.compare`, `represent`,
    `pair_scores`.

    Args:
      encoders: `audio` and `image`.
      heads: name to layer.
      negatives: a row of `clustering.NEGATIVES`.
      pooling: Pooling of the feature map, for `embed`: `max` or `mean`.
      frozen: modalities whose encoder stays as it is, its batch norms in inference mode: a teacher.
      seed: Random seed of the mismatches.

    Raises:
      UserError: other modalities, an unknown row, a frozen modality that is none.
    """

    shares_space = False  # pairs are compared by `pair_scores`, never by their pooled features

    def __init__(
        self,
        encoders: dict[str, encoders_base.Encoder],
        heads: dict[str, keras.layers.Layer],
        *,
        negatives: str,
        pooling: str,
        frozen: Sequence[str],
        seed: int,
    ):
        super().__init__(encoders, heads, tables={"mismatches": Steps()})
        check_modalities(encoders)
        for field, value, choices in (
            ("negatives", negatives, pairs.NEGATIVES),
            ("pooling", pooling, POOLINGS),
            *(("frozen", modality, MODALITIES) for modality in frozen),
        ):
            if value not in choices:
                raise registry.UserError(f"{field}={value!r}: choose one of {', '.join(choices)}.")
        self.negatives = negatives
        self.pooling = pooling
        self.frozen = tuple(frozen)
        self.seed = seed
        self.map_shape: dict[str, tf.TensorShape] = {}
        self._still: set[int] = set()
        for modality, encoder in encoders.items():
            self.map_shape[modality], unread = _map_and_unread(encoder)
            still = encoder.trainable_weights if modality in frozen else unread
            self._still |= {id(w) for w in still}

    @property
    def trainable_weights(self) -> list:
        """Returns the weights that gradients move, in a fixed order."""
        return [w for w in super().trainable_weights if id(w) not in self._still]

    def taken_weights(self) -> dict[str, tf.Variable]:
        """Returns the weights of the frozen encoders, which another run may have taught."""
        found: dict[str, tf.Variable] = {}
        for modality in self.frozen:
            found |= weights.named_weights(self.encoders[modality], modality)
        return found

    def positions(
        self, modality: str, batch: tensors.Batch, training: bool = False
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns features [B, P, C] float32 of one modality and [B, P], 1 where they count."""
        num_samples = batch.get(self.encoders[modality].item_spec.length)
        still = modality in self.frozen
        features, valid = self.encoders[modality].feature_positions(
            batch[modality], num_samples, training=training and not still
        )
        features = precision.full(features)
        return tf.stop_gradient(features) if still else features, valid

    @property
    def embedding_size(self) -> dict[str, int]:
        """Returns C of each modality: what `embed` returns is its pooled feature map."""
        return {modality: shape[3] for modality, shape in self.map_shape.items()}

    def embed(self, modality: str, batch: tensors.Batch, training: bool = False) -> tf.Tensor:
        """Returns the pooled feature map, [B, C] float32: what a linear probe sees."""
        return self.pool(*self.positions(modality, batch, training))

    def pool(self, features: tf.Tensor, valid: tf.Tensor) -> tf.Tensor:
        """Returns [B, C] of features [B, P, C], over the positions where `valid` [B, P] is 1."""
        valid = tf.expand_dims(valid, 2)
        if self.pooling == "mean":
            return tf.reduce_sum(features * valid, axis=1) / tf.reduce_sum(valid, axis=1)
        return tf.reduce_max(tf.where(valid > 0, features, _LOWEST), axis=1)

    def compare(
        self, audio: tf.Tensor, image: tf.Tensor, training: bool
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns `pair_scores` of the matched pair of each row [b], of mismatched ones [b, M]."""
        steps = self.tables["mismatches"].count
        seed = tf.stack([tf.constant(self.seed, tf.int64), tf.identity(steps)])
        if training:
            steps.assign_add(1)
        return pairs.compare(audio, image, self.pair_scores, self.negatives, seed)

    def represent(self, modality: str, batch: tensors.Batch, training: bool = False) -> tf.Tensor:
        """Returns what `pair_scores` takes of one modality, [B, ...]."""
        raise NotImplementedError(f"{type(self).__name__} does not say what it compares")

    def pair_scores(self, audio: tf.Tensor, image: tf.Tensor) -> tf.Tensor:
        """Returns how well each audio fits each image, [B, N]: larger is closer."""
        raise NotImplementedError(f"{type(self).__name__} does not say how pairs score")


def check_modalities(encoders: Collection[str]) -> None:
    """Raises UserError unless the encoders are of audio and image."""
    if set(encoders) != set(MODALITIES):
        raise registry.UserError(
            f"this recipe pairs audio and image, and --config.modalities={tuple(encoders)}: give "
            "('audio', 'image')."
        )


def matches(matched: tf.Tensor, mismatched: tf.Tensor) -> dict[str, tf.Tensor]:
    """Returns the scalars of scores [b] and [b, M]; `matched_wins` is 1/2 where nobody knows."""
    ahead = tf.sign(matched[:, tf.newaxis] - mismatched)
    return {
        "similarity_matched": matched,
        "similarity_mismatched": tf.reduce_mean(mismatched, axis=1),
        "matched_wins": tf.reduce_mean(0.5 * (1.0 + ahead), axis=1),
    }


def cosine_matches(audio: tf.Tensor, image: tf.Tensor) -> dict[str, tf.Tensor]:
    """Returns the scalars of `matches`, of the cosines to all of the global batch; no gradient.

    Args:
      audio: Audio embeddings [b, D] of any norm; row i belongs to row i of the images.
      image: Image embeddings [b, D] of any norm.
    """
    audio, image = (tf.stop_gradient(similarity.normalize(x)) for x in (audio, image))
    scores = tf.matmul(image, distributed.gather(audio), transpose_b=True)
    start = distributed.replica_id() * tf.shape(scores)[0]
    matched = tf.linalg.diag_part(scores[:, start:])
    others = tf.cast(tf.shape(scores)[1] - 1, scores.dtype)
    wins = tf.reduce_sum(0.5 * (1.0 + tf.sign(matched[:, tf.newaxis] - scores)), axis=1)
    return {
        "similarity_matched": matched,
        "similarity_mismatched": (tf.reduce_sum(scores, axis=1) - matched) / others,
        "matched_wins": (wins - 0.5) / others,  # against itself it has drawn
    }


def cosines(audio: tf.Tensor, image: tf.Tensor) -> tf.Tensor:
    """Returns the cosines [N, b] of embeddings [N, D] and [b, D] of unit norm."""
    return tf.matmul(audio, image, transpose_b=True)


def seed_of(name: str, seed: int) -> int:
    """Returns the seed of the head `name` of a run, another one for each head."""
    return zlib.crc32(f"{name}/{seed}".encode()) % 2**30


def _map_and_unread(encoder: encoders_base.Encoder) -> tuple[tf.TensorShape, list]:
    """Returns the shape of the smallest feature map, and the trainable weights it does not read."""
    with tf.GradientTape() as tape:
        shape = encoder.feature_map(encoder.example()).shape
    read = {id(v.handle) for v in tape.watched_variables()}
    # Under a strategy the tape sees the copies of the replicas.
    copies = tf.distribute.get_strategy().experimental_local_results
    unread = [
        w
        for w in encoder.trainable_weights
        if read.isdisjoint(id(v.handle) for v in copies(compat.raw(w)))
    ]
    return shape, unread
