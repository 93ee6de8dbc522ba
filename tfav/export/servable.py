"""What serves: a recipe behind named signatures, its weights tracked one by one."""

import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfav import registry, tensors
from tfav.data.input import pipeline
from tfav.export.serving import examples as made_up
from tfav.export.serving import requests
from tfav.inference import artefacts
from tfav.ops import similarity
from tfav.recipes import outputs
from tfav.recipes import recipe as base

Functions = dict[str, Callable[..., dict[str, tf.Tensor]]]
_Tensors = dict[str, tf.Tensor]
_Specs = dict[str, tf.TensorSpec]

# Names that a modality cannot have: inputs, outputs, signatures and files are called so.
_TAKEN = ("classifier", "fused", "jpeg", "num_samples", "waveform", "wav")


class Servable(tf.Module):
    """A recipe as a module that SavedModel and the TFLite converter keep whole.

    Embeddings are float32 of unit norm, so that their inner product is their cosine. A recipe with
    `features` and `logits` also classifies, one with `localize` says where a sound comes from.

    Args:
      recipe: built, in float32. Its heads are kept where it classifies or localises.
      num_frames: modality to frames of a picture input; one where left out.
      classes: names of the classes, in the order of the logits; of a recipe that classifies.

    Raises:
      ValueError: an encoder that computes in another type, sound under another name than `audio`,
        or names that are not those of the recipe's classes.
      UserError: a modality whose name means something else here.
    """

    def __init__(
        self,
        recipe: base.Recipe,
        num_frames: Mapping[str, int] | None = None,
        classes: Sequence[str] = (),
    ):
        super().__init__(name="servable")
        for modality, encoder in recipe.encoders.items():
            if encoder.compute_dtype != "float32":
                raise ValueError(
                    f"the {modality} encoder computes in {encoder.compute_dtype}: rebuild "
                    "the recipe in float32 and load its weights, then export"
                )
            if (modality == "audio") != (encoder.modality == "audio"):
                raise ValueError(f"{modality!r} encodes {encoder.modality}: no signature for that")
            if modality in _TAKEN:
                raise registry.UserError(
                    f"a modality is called {modality}, and exports call something else so: rename "
                    "it in the config and the data."
                )
        # Keras 3 hides its variables from tf.Module: without this list a SavedModel has no weights
        # for the C++ loader, and converts to a .tflite of NaN, both without a word.
        self.tracked = outputs.served_weights(recipe)
        self.classifies = outputs.classifies(recipe)
        if self.classifies and len(classes) != recipe.num_classes:
            raise ValueError(f"{len(classes)} names for {recipe.num_classes} classes")
        self.classes = tuple(classes) if self.classifies else ()
        given = num_frames or {}
        # A plain dict would become a part of the SavedModel.
        self.num_frames = types.MappingProxyType(
            {m: given.get(m, 1) for m in sorted(recipe.encoders) if m != "audio"}
        )
        self.embedding_space = outputs.embedding_space(recipe)
        self._recipe = recipe

    @property
    def modalities(self) -> tuple[str, ...]:
        """Returns the modalities that have an encoder, sorted."""
        return tuple(sorted(self._recipe.encoders))

    @property
    def joint(self) -> tuple[str, ...]:
        """Returns the signatures that take rows of all modalities."""
        return tuple(outputs.joint(self._recipe))

    @property
    def embedding_size(self) -> dict[str, int]:
        """Returns D of each modality."""
        return {m: self._recipe.embedding_size[m] for m in self.modalities}

    @property
    def image_size(self) -> dict[str, int]:
        """Returns the side in pixels of the pictures that each encoder of pictures expects."""
        return {m: self._recipe.encoders[m].image_size for m in self.num_frames}

    def facts(self) -> dict[str, Any]:
        """Returns what an artefact says of itself beside its signatures."""
        return {
            "format": artefacts.FACTS_FORMAT,
            "modalities": self.modalities,
            "embedding_size": self.embedding_size,
            "embedding_space": self.embedding_space,
            "image_size": self.image_size,
            "num_frames": dict(self.num_frames),
            "sample_rate_hz": tensors.SAMPLE_RATE_HZ,
            "classes": self.classes,
            "localizes": outputs.localizes(self._recipe),
        }

    def signatures(self) -> Functions:
        """Returns the signatures of a server: any batch, clip length, picture size and frames."""
        found: Functions = {}

        def add(name: str, function: Callable[..., _Tensors], specs: _Specs) -> None:
            def run(**inputs: tf.Tensor) -> _Tensors:
                return function(**requests.shapes(name, inputs, specs))

            found[name] = _signature(run, specs)

        for modality in self.modalities:
            name = f"embed_{modality}"
            add(name, self._checked(name, self._embed), self._served(modality))
        if "audio" in self.modalities:
            add("embed_wav", self._embed_wav, {"wav": tf.TensorSpec([None], tf.string)})
        if self.num_frames.get("image") == 1:
            add("embed_jpeg", self._embed_jpeg, {"jpeg": tf.TensorSpec([None], tf.string)})
        for name in self.joint:
            add(name, self._checked(name, self._answering(name)), self._joined(self._served))
        if self._scores:
            size = self.embedding_size["audio"]
            rows = tf.TensorSpec([None, size], tf.float32)
            add("score", self._score, {f"{m}_embedding": rows for m in self.modalities})
            # As many rows in every input: a server that batches joins the rows of its callers.
            lists = tf.TensorSpec([None, None, size], tf.float32)
            add("match", self._match, {"probe": rows, "candidates": lists})
        # For clients that know no names (OpenVINO's among them).
        return {**found, "serving_default": found[self._default]}

    def fixed_signatures(self, audio_samples: int | None, only: str = "") -> Functions:
        """Returns the signatures of a phone: batch 1, every shape known, no check and no resize.

        Args:
          audio_samples: length of the waveform; a shorter clip is padded with anything and says so
            in `num_samples`. None: any length.
          only: a modality; empty: all, and what answers to rows of them.
        """

        def fixed(modality: str) -> _Specs:
            if modality == "audio":
                return {
                    "waveform": tf.TensorSpec([1, audio_samples], tf.float32),
                    "num_samples": tf.TensorSpec([1], tf.int32),
                }
            frames, size = self.num_frames[modality], self.image_size[modality]
            shape = [1, *([frames] if frames > 1 else []), size, size, 3]
            return {modality: tf.TensorSpec(shape, tf.uint8)}

        modalities = [only] if only else self.modalities
        found = {f"embed_{m}": _signature(self._embed, fixed(m)) for m in modalities}
        if self.classifies and not only:
            found["classify"] = _signature(self._answering("classify"), self._joined(fixed))
        return found

    def examples(self) -> dict[str, dict[str, np.ndarray]]:
        """Returns made-up inputs for every signature: two clip lengths, pictures to be resized."""
        inputs = made_up.inputs(self.num_frames, self.embedding_size)
        for name in self.joint:
            inputs[name] = self._joined(lambda m: inputs[f"embed_{m}"])
        if not self._scores:
            del inputs["score"], inputs["match"]
        return {**inputs, "serving_default": inputs[self._default]}

    @property
    def _scores(self) -> bool:
        """Whether sound and picture share a space: a classifier's do not, nor pooled features."""
        if self.modalities != ("audio", "image") or len(set(self.embedding_size.values())) > 1:
            return False
        return self._recipe.shares_space and not self.classifies

    @property
    def _default(self) -> str:
        return next(iter(self.joint), f"embed_{self.modalities[0]}")

    def _served(self, modality: str) -> _Specs:
        if modality == "audio":
            return {
                "waveform": tf.TensorSpec([None, None], tf.float32),
                "num_samples": tf.TensorSpec([None], tf.int32),
            }
        axes = 2 if self.num_frames[modality] > 1 else 1
        return {modality: tf.TensorSpec([None] * axes + [None, None, 3], tf.uint8)}

    def _joined(self, of: Callable[[str], dict]) -> dict:
        return {name: value for m in self.modalities for name, value in of(m).items()}

    def _checked(self, signature: str, function: Callable[..., _Tensors]) -> Callable:
        """Returns `function` behind the checks of a server."""

        def run(**inputs: tf.Tensor) -> _Tensors:
            if "waveform" in inputs:
                names = ("waveform", "num_samples")
                checked = requests.waveform(signature, *(inputs[name] for name in names))
                inputs |= dict(zip(names, checked))
            for modality in inputs.keys() & self.num_frames.keys():
                size = self.image_size[modality]
                inputs[modality] = requests.pictures(signature, modality, inputs[modality], size)
            return function(**requests.rows(signature, inputs))

        return run

    def _embed(self, **inputs: tf.Tensor) -> _Tensors:
        batch = _batch(inputs)
        (modality,) = batch.keys() - {"num_samples"}
        embedding = self._recipe.embed(modality, batch, training=False)
        return {"embedding": similarity.normalize(tf.cast(embedding, tf.float32))}

    def _embed_wav(self, wav: tf.Tensor) -> _Tensors:
        waveform, num_samples = requests.wav("embed_wav", wav)
        return self._embed(waveform=waveform, num_samples=num_samples)

    def _embed_jpeg(self, jpeg: tf.Tensor) -> _Tensors:
        size = self.image_size["image"]
        image = tf.map_fn(
            lambda one: pipeline.decode_image(one, size),
            jpeg,
            fn_output_signature=tf.TensorSpec([size, size, 3], tf.uint8),
        )
        return self._embed(image=image)

    def _answering(self, name: str) -> Callable[..., _Tensors]:
        answer = outputs.joint(self._recipe)[name]
        return lambda **inputs: answer(_batch(inputs))

    def _score(self, audio_embedding: tf.Tensor, image_embedding: tf.Tensor) -> _Tensors:
        given = {"audio_embedding": audio_embedding, "image_embedding": image_embedding}
        audio, image = requests.rows("score", requests.embeddings("score", given)).values()
        product = similarity.normalize(audio) * similarity.normalize(image)
        return {"score": tf.reduce_sum(product, axis=-1)}

    def _match(self, probe: tf.Tensor, candidates: tf.Tensor) -> _Tensors:
        given = requests.rows("match", requests.candidates("match", probe, candidates))
        probe, candidates = requests.embeddings("match", given).values()
        scores = tf.linalg.matvec(similarity.normalize(candidates), similarity.normalize(probe))
        return {"scores": scores, "best": tf.argmax(scores, axis=1, output_type=tf.int32)}


def kernel_bytes(signature: Callable[..., _Tensors], bytes_per_value: int) -> int:
    """Returns the bytes of the kernels that a signature reads: what no converter can fold away.

    Args:
      signature: one of a `Servable`.
      bytes_per_value: 4 for float32, 2 for float16.
    """
    shapes = [v.shape for v in signature.variables if len(v.shape) >= 2]
    return sum(bytes_per_value * shape.num_elements() for shape in shapes)


def _batch(inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    return {"audio" if name == "waveform" else name: value for name, value in inputs.items()}


def _signature(function: Callable[..., _Tensors], specs: _Specs) -> Callable[..., _Tensors]:
    """Returns `function` traced with one input tensor for each of `specs`, by its name."""
    named = {name: tf.TensorSpec(spec.shape, spec.dtype, name) for name, spec in specs.items()}

    def call(**inputs: tf.Tensor) -> _Tensors:
        return function(**inputs)

    return tf.function(call).get_concrete_function(**named)
