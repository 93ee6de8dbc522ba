"""What serves: a recipe's encoders behind named signatures, their weights tracked one by one."""

import numpy as np
import tensorflow as tf

from tfav import typing, weights
from tfav.data import augment, pipeline
from tfav.ops import similarity
from tfav.recipes import base

Functions = dict[str, tf.types.experimental.GenericFunction]


class Servable(tf.Module):
    """A recipe's encoders as a module that SavedModel and the TFLite converter keep whole.

    Embeddings are float32 of unit norm, so that their inner product is their cosine.

    Args:
      recipe: built, in float32; heads stay behind.

    Raises:
      ValueError: an encoder that computes in another type, or a modality without a signature.
    """

    def __init__(self, recipe: base.Recipe):
        super().__init__(name="servable")
        for modality, encoder in recipe.encoders.items():
            if modality not in ("audio", "image"):
                raise ValueError(f"no signature is defined for the modality {modality!r}")
            if encoder.compute_dtype != "float32":
                raise ValueError(
                    f"the {modality} encoder computes in {encoder.compute_dtype}: rebuild "
                    "the recipe in float32 and load its weights, then export"
                )
        # Keras 3 hides its variables from tf.Module: without this list a SavedModel has no weights
        # for the C++ loader, and converts to a .tflite of NaN, both without a word.
        self.tracked = list(recipe.encoder_weights().values())
        self._recipe = recipe

    @property
    def modalities(self) -> tuple[str, ...]:
        """Returns the modalities that have an encoder, sorted."""
        return tuple(sorted(self._recipe.encoders))

    @property
    def embedding_size(self) -> int:
        """Returns D."""
        return next(iter(self._recipe.encoders.values())).embedding_size

    @property
    def image_size(self) -> int | None:
        """Returns the side in pixels of the images the image encoder expects; None without one."""
        return self._recipe.encoders["image"].image_size if "image" in self.modalities else None

    def kernel_bytes(self, modality: str, bytes_per_value: int) -> int:
        """Returns the bytes that the kernels of an encoder need: what no converter can fold away.

        Args:
          modality: whose encoder.
          bytes_per_value: 4 for float32, 2 for float16.
        """
        found = weights.named_weights(self._recipe.encoders[modality], modality).values()
        return sum(bytes_per_value * v.shape.num_elements() for v in found if len(v.shape) >= 2)

    def signatures(self) -> Functions:
        """Returns the signatures of a server: any batch, any clip length, any image size."""
        found: Functions = {}
        if "audio" in self.modalities:
            found["embed_audio"] = _signature(
                self._embed_audio,
                waveform=([None, None], tf.float32),
                num_samples=([None], tf.int32),
            )
        if "image" in self.modalities:
            found["embed_image"] = _signature(
                self._embed_image, image=([None, None, None, 3], tf.uint8)
            )
            found["embed_jpeg"] = _signature(self._embed_jpeg, jpeg=([None], tf.string))
        if len(self.modalities) == 2:
            shape = [None, self.embedding_size]
            found["score"] = _signature(
                self._score,
                audio_embedding=(shape, tf.float32),
                image_embedding=(shape, tf.float32),
            )
        return found

    def fixed_signatures(self, audio_samples: int) -> Functions:
        """Returns the signatures of a phone: batch 1, every shape known, no check and no resize.

        Args:
          audio_samples: length of the waveform; a shorter clip is padded with anything and says so
            in `num_samples`.
        """
        found: Functions = {}
        if "audio" in self.modalities:
            found["embed_audio"] = _signature(
                self._normalized_audio,
                waveform=([1, audio_samples], tf.float32),
                num_samples=([1], tf.int32),
            )
        if "image" in self.modalities:
            size = self.image_size
            found["embed_image"] = _signature(
                self._normalized_image, image=([1, size, size, 3], tf.uint8)
            )
        return found

    def examples(self) -> dict[str, dict[str, np.ndarray]]:
        """Returns made-up inputs for every signature: two clip lengths, images to be resized."""
        random = np.random.default_rng(0)
        second = typing.SAMPLE_RATE_HZ
        inputs: dict[str, dict[str, np.ndarray]] = {}
        if "audio" in self.modalities:
            inputs["embed_audio"] = {
                "waveform": random.uniform(-0.5, 0.5, [2, second]).astype(np.float32),
                "num_samples": np.array([second, second // 2], np.int32),
            }
        if "image" in self.modalities:
            image = random.integers(0, 256, [2, 48, 64, 3], np.uint8)
            inputs["embed_image"] = {"image": image}
            jpeg = [tf.io.encode_jpeg(x).numpy() for x in image]
            inputs["embed_jpeg"] = {"jpeg": np.array(jpeg)}
        if len(self.modalities) == 2:
            pair = random.normal(size=[2, 3, self.embedding_size]).astype(np.float32)
            inputs["score"] = {"audio_embedding": pair[0], "image_embedding": pair[1]}
        return inputs

    def _embed_audio(self, waveform: tf.Tensor, num_samples: tf.Tensor) -> dict[str, tf.Tensor]:
        rows, length = tf.unstack(tf.shape(waveform))
        checks = [
            tf.debugging.assert_positive(
                length,
                "embed_audio: waveform has no samples, send at least one (16000 are a second)",
            ),
            tf.debugging.assert_equal(
                rows,
                tf.size(num_samples),
                "embed_audio: send one num_samples for each row of waveform",
            ),
            tf.debugging.assert_positive(
                num_samples, "embed_audio: num_samples counts a clip's true samples, at least 1"
            ),
            tf.debugging.assert_less_equal(
                num_samples, length, "embed_audio: num_samples is more than the waveform holds"
            ),
            tf.debugging.assert_all_finite(
                waveform,
                "embed_audio: waveform holds NaN or infinite samples, decode the clip again",
            ),
        ]
        # Without this edge the encoder would fail first, on shapes that mean nothing to the caller.
        with tf.control_dependencies([c for c in checks if c is not None]):
            return self._normalized_audio(tf.identity(waveform), tf.identity(num_samples))

    def _embed_image(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
        size = self.image_size
        sides = tf.shape(image)[1:3]
        check = tf.debugging.assert_positive(
            sides, "embed_image: image has no pixels, send at least 1 x 1"
        )
        with tf.control_dependencies([] if check is None else [check]):
            image = tf.identity(image)
        image = tf.cond(
            tf.reduce_all(sides == size),
            lambda: image,
            lambda: tf.map_fn(lambda one: augment.fit(one, size), image),
        )
        return self._normalized_image(tf.ensure_shape(image, [None, size, size, 3]))

    def _embed_jpeg(self, jpeg: tf.Tensor) -> dict[str, tf.Tensor]:
        size = self.image_size
        image = tf.map_fn(
            lambda one: pipeline.decode_image(one, size),
            jpeg,
            fn_output_signature=tf.TensorSpec([size, size, 3], tf.uint8),
        )
        return self._normalized_image(image)

    def _normalized_audio(
        self, waveform: tf.Tensor, num_samples: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        return self._normalized("audio", {"audio": waveform, "num_samples": num_samples})

    def _normalized_image(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
        return self._normalized("image", {"image": image})

    def _normalized(self, modality: str, batch: typing.Batch) -> dict[str, tf.Tensor]:
        embedding = self._recipe.embed(modality, batch, training=False)
        return {"embedding": similarity.normalize(tf.cast(embedding, tf.float32))}

    def _score(
        self, audio_embedding: tf.Tensor, image_embedding: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        product = similarity.normalize(audio_embedding) * similarity.normalize(image_embedding)
        return {"score": tf.reduce_sum(product, axis=-1)}


def _signature(function, **inputs) -> tf.types.experimental.GenericFunction:
    """Returns `function` with one input tensor for each (shape, dtype), by its name."""
    specs = [tf.TensorSpec(shape, dtype, name=name) for name, (shape, dtype) in inputs.items()]
    return tf.function(function, input_signature=specs)
