"""SoundNet (Aytar et al., NIPS 2016): audio learns what a trained image network sees."""

import tensorflow as tf

from tfav import registry, tensors, values, weights
from tfav.encoders import encoder as encoders_base
from tfav.layers import blocks, classifiers
from tfav.losses import softmax
from tfav.ops import precision
from tfav.recipes import paired


class SoundNet(paired.Correspondence):
    """A student that hears what a frozen teacher sees: no label of the audio is read.

    loss_i = KL(p(image_i) || q(audio_i))

    p: class posterior of the teacher, the image encoder and the classifier of another run (of
    `mmcosine` on images alone with `head="vanilla"`), both taken over as they are: a config's
    `first_phase` trains it, or `train.tables_from` names it. q: softmax of a dense layer on the
    pooled feature map of the audio encoder.

    The paper has two teachers (objects and scenes), whose divergences it sums, hears raw waveforms,
    and reads the features of a layer within; here there is one teacher, the audio encoder is any,
    and its features are the pooled map, as those of DMC and L3 are.

    Args:
      encoders: `audio`, the student, and `image`, the teacher.
      num_classes: labels of the training split, which the teacher was trained on.
      teacher_classes: Number of classes of a teacher of other data; 0: `num_classes`.
      temperature: Number that the teacher's logits are divided by.
      negatives: a row of `pairs.NEGATIVES`: whom the logged similarities are held against.
      pooling: Pooling of the feature map, for `embed`: `max` or `mean`.
      seed: Random seed of the weights and the mismatches.

    Raises:
      UserError: a value that makes no sense; names it and the fix.
    """

    scalars = ("loss", "similarity_matched", "similarity_mismatched", "matched_wins", "agreement")

    arguments = {
        "teacher_classes": values.whole(0, 10**6, "classes; 0: those of the training split"),
        "temperature": values.number(0.0, 1e6, "a divisor of logits", above=True),
        **{name: paired.ARGUMENTS[name] for name in ("negatives", "pooling")},
    }
    needs_tables = True

    def __init__(
        self,
        encoders: dict[str, encoders_base.Encoder],
        num_classes: int,
        *,
        teacher_classes: int = 0,
        temperature: float = 1.0,
        negatives: str = "derangement",
        pooling: str = "max",
        seed: int = 0,
    ):
        if not temperature > 0:
            raise registry.UserError(
                f"temperature={temperature} must be positive: 1 is the paper's."
            )
        count = teacher_classes or num_classes
        student = blocks.dense(
            count,
            paired.seed_of("student", seed),
            use_bias=True,
            dtype=precision.full_dtype(),
            name="student",
        )
        super().__init__(
            encoders,
            {"student": student},
            negatives=negatives,
            pooling=pooling,
            frozen=("image",),
            seed=seed,
        )
        self.temperature = temperature
        size = self.encoders["image"].embedding_size
        self.tables["classifier"] = classifiers.ConcatClassifier(count, {"image": size}, seed=seed)
        student(tf.zeros([1, self.map_shape["audio"][3]]))  # gives it its weights

    def taken_weights(self) -> dict[str, tf.Variable]:
        """Returns the whole teacher, by structural name: its encoder and its classifier."""
        classifier = weights.named_weights(self.tables["classifier"], "classifier")
        return super().taken_weights() | classifier

    def compute_losses(self, batch: tensors.Batch, training: bool) -> dict[str, tf.Tensor]:
        """Returns each of `scalars` as [b].

        `agreement`: whether student and teacher name one class. The similarities are those of
        `pair_scores`.
        """
        audio, image = (self.represent(m, batch, training) for m in paired.MODALITIES)
        same = tf.equal(tf.argmax(audio, axis=1), tf.argmax(image, axis=1))
        return {
            "loss": softmax.distillation(audio, image),
            **paired.matches(*self.compare(audio, image, training)),
            "agreement": tf.cast(same, audio.dtype),
        }

    def represent(self, modality: str, batch: tensors.Batch, training: bool = False) -> tf.Tensor:
        """Returns logits [B, C]: the student's of audio, the teacher's of images, softened."""
        if modality not in self.frozen:
            return self.heads["student"](self.embed(modality, batch, training))
        embedding = self.encoders["image"](batch["image"], training=False)
        logits = self.tables["classifier"]({"image": embedding})["image"]
        return tf.stop_gradient(logits / self.temperature)

    def pair_scores(self, audio: tf.Tensor, image: tf.Tensor) -> tf.Tensor:
        """Returns `sum_c p_c log q_c` [B, N], of logits of audio [B, C] and of images [N, C]."""
        return tf.matmul(tf.nn.log_softmax(audio), tf.nn.softmax(image), transpose_b=True)
