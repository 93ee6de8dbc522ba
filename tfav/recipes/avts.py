"""Audio-visual temporal synchronisation (Korbar et al., NeurIPS 2018): is this audio in step?"""

from collections.abc import Sequence

import tensorflow as tf

from tfav import registry, tensors, values
from tfav.encoders import encoder as encoders_base
from tfav.layers import blocks
from tfav.losses import pairs
from tfav.ops import distributed, precision, similarity
from tfav.recipes import paired


class AVTS(paired.Correspondence):
    """Pairs in step are near each other; pairs of two rows, or out of step, are a margin apart.

    loss_i = 0.5 |a_i - v_i|^2 + 0.5 [margin - |n_i - v_i|]_+^2

    a, v and n are of unit length: with `normalized=False`, as we recall the paper's, both encoders
    soon answered one point to everything on our recordings.

    An image is held against the middle of its clip, `window_seconds` long. n_i is an easy negative,
    the middle of another row's clip; from step `easy_steps` on it is for a share `hard_share` of
    the rows a hard one: a window of the row's own clip, `shift_seconds` or more before or after. So
    the image must be of the middle of what a training batch hears: give pieces of one length, as
    `tfav-prepare --source=videos` cuts them, and `data.audio_seconds` that length twice.

    In the paper a clip of frames goes through 3-D convolutions; here the frames of an image
    modality are pooled, so that motion counts only where it is an input (optical flow).

    Args:
      encoders: `audio` and `image`.
      num_classes: ignored.
      size: Size of the space of both dense layers in which distances are taken.
      normalized: Whether embeddings are brought to unit length before they are compared.
      margin: Distance from which on negatives cost nothing.
      window_seconds: Length of the window that an image is held against.
      shift_seconds: Least distance of a hard negative from it; below the window's length they
        overlap.
      easy_steps: Steps with easy negatives alone.
      hard_share: Share of the rows whose negative is a hard one from then on.
      pooling: Pooling of the feature map, for `embed`: `max` or `mean`.
      frozen: modalities whose encoder stays as it is.
      seed: Random seed of the weights, the mismatches and the shifts.

    Raises:
      UserError: a value that makes no sense; names it and the fix.
    """

    scalars = (
        "loss",
        "similarity_matched",
        "similarity_mismatched",
        "matched_wins",
        "hard_negatives",
        "in_step_wins",
    )

    arguments = {
        "size": values.whole(1, 65_536, "numbers per embedding that is compared"),
        "normalized": values.FLAG,
        "margin": values.number(0.0, 1e6, "a distance", above=True),
        "window_seconds": values.number(0.01, 3600.0, "of the window in step"),
        "shift_seconds": values.number(0.001, 3600.0, "the least shift of a hard negative"),
        "easy_steps": values.whole(0, 10**10, "steps without hard negatives"),
        "hard_share": values.number(0.0, 1.0, "a share of the rows"),
        **{name: paired.ARGUMENTS[name] for name in ("pooling", "frozen")},
    }

    def __init__(
        self,
        encoders: dict[str, encoders_base.Encoder],
        num_classes: int = 0,
        *,
        size: int = 128,
        normalized: bool = True,
        margin: float = 0.99,
        window_seconds: float = 1.0,
        shift_seconds: float = 1.0,
        easy_steps: int = 0,
        hard_share: float = 0.25,
        pooling: str = "max",
        frozen: Sequence[str] = (),
        seed: int = 0,
    ):
        del num_classes
        heads = {
            f"projection_{m}": blocks.dense(
                size,
                paired.seed_of(f"projection/{m}", seed),
                use_bias=False,
                dtype=precision.full_dtype(),
                name=f"projection_{m}",
            )
            for m in paired.MODALITIES
        }
        super().__init__(
            encoders, heads, negatives="derangement", pooling=pooling, frozen=frozen, seed=seed
        )
        self.normalized = normalized
        self.margin = margin
        self.easy_steps = easy_steps
        self.hard_share = hard_share
        self.window_samples = round(window_seconds * tensors.SAMPLE_RATE_HZ)
        self.shift_samples = round(shift_seconds * tensors.SAMPLE_RATE_HZ)
        for m, shape in self.map_shape.items():  # gives the heads their weights
            self.heads[f"projection_{m}"](tf.zeros([1, shape[3]]))

    def compute_losses(self, batch: tensors.Batch, training: bool) -> dict[str, tf.Tensor]:
        """Returns each of `scalars` as [b]; what pads a clip counts as a part of it.

        `hard_negatives`: whether the row has one; `in_step_wins`: whether the middle of the clip is
        nearer to the image than a shifted window.

        Raises:
          UserError: clips too short for a shift.
        """
        step = tf.identity(self.tables["mismatches"].count)
        waveform = tf.convert_to_tensor(batch["audio"])
        num_rows = waveform.shape[0] or tf.shape(waveform)[0]
        start, hard = self._draw(num_rows, self._room(waveform), step)
        windows = tf.concat([self._cut(waveform, at) for at in start], axis=0)
        heard, shifted = tf.split(self.represent("audio", {"audio": windows}, training), 2)
        image = self.represent("image", batch, training)
        matched, mismatched = self.compare(heard, image, training)
        out_of_step = -tf.reduce_sum(tf.square(shifted - image), axis=1)
        negative = tf.where(hard, out_of_step, mismatched[:, 0])[:, tf.newaxis]
        ahead = tf.sign(matched - out_of_step)
        return {
            "loss": pairs.contrast(-matched, -negative, self.margin),
            **paired.matches(matched, negative),
            "hard_negatives": tf.cast(hard, matched.dtype),
            "in_step_wins": 0.5 * (1.0 + ahead),
        }

    def _room(self, waveform: tf.Tensor) -> tf.Tensor:
        """Returns how many samples lie before the middle window of each clip, [] int32."""
        wanted = self.window_samples + 2 * self.shift_samples
        rate = tensors.SAMPLE_RATE_HZ
        sentence = (
            f"a clip must last window_seconds and twice shift_seconds, {wanted / rate:g} s: lower "
            "--config.model.window_seconds or shift_seconds, or raise --config.data.audio_seconds."
        )
        if waveform.shape[1] is not None and waveform.shape[1] < wanted:
            heard = waveform.shape[1] / rate
            raise registry.UserError(f"the clips of a batch last {heard:g} s, and {sentence}")
        length = tf.shape(waveform)[1]
        check = tf.debugging.assert_greater_equal(length, wanted, message=sentence)
        with tf.control_dependencies([] if check is None else [check]):
            return (length - self.window_samples) // 2

    def _draw(
        self, num_rows: tf.Tensor | int, room: tf.Tensor, step: tf.Tensor
    ) -> tuple[tuple[tf.Tensor, tf.Tensor], tf.Tensor]:
        """Returns where the windows of each row start, in step and shifted, and who has a hard one.

        Drawn for the global batch, of which a replica takes its rows.
        """
        total = num_rows * distributed.num_replicas()
        seeds = tf.random.experimental.stateless_split(
            tf.stack([tf.constant(self.seed, tf.int64), step]), 3
        )
        size = tf.random.stateless_uniform(
            [total], seeds[0], self.shift_samples, room + 1, dtype=tf.int32
        )
        sign = 2 * tf.random.stateless_uniform([total], seeds[1], 0, 2, dtype=tf.int32) - 1
        hard = tf.random.stateless_uniform([total], seeds[2]) < self.hard_share
        own = distributed.replica_id() * num_rows + tf.range(num_rows)
        shift, hard = tf.gather(sign * size, own), tf.gather(hard, own)
        middle = tf.fill(tf.shape(shift), room)
        return (middle, middle + shift), hard & (step >= self.easy_steps)

    def _cut(self, waveform: tf.Tensor, start: tf.Tensor) -> tf.Tensor:
        """Returns the window of each clip [b, window] from its own sample on."""
        place = start[:, tf.newaxis] + tf.range(self.window_samples)
        return tf.gather(waveform, place, axis=1, batch_dims=1)

    def represent(self, modality: str, batch: tensors.Batch, training: bool = False) -> tf.Tensor:
        """Returns the embeddings [B, size] of one modality in the space of distances."""
        projected = self.heads[f"projection_{modality}"](self.embed(modality, batch, training))
        return similarity.normalize(projected) if self.normalized else projected

    def pair_scores(self, audio: tf.Tensor, image: tf.Tensor) -> tf.Tensor:
        """Returns `-|a - v|^2` [B, N] of audio [B, size] and images [N, size]."""
        return -pairs.pair_distance(audio[:, tf.newaxis], image[:, tf.newaxis])
