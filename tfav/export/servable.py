"""What serves: a recipe behind named signatures, its weights tracked one by one."""

import functools
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfav import items, registry, tensors
from tfav.evaluation import decisions
from tfav.export import signature_specs
from tfav.export.serving import examples, file_readers, requests, served_pairs, served_scores
from tfav.inference import artefacts
from tfav.ops import similarity
from tfav.recipes import outputs
from tfav.recipes import recipe as base

Functions = Mapping[str, tf.types.experimental.ConcreteFunction]
_Tensors = dict[str, tf.Tensor]
_Specs = signature_specs.Specs


class Servable(tf.Module):
    """A recipe as a module that SavedModel and the TFLite converter keep whole.

    Embeddings are float32 of unit norm, so that their inner product is their cosine. A recipe with
    `features` and `logits` also classifies, one with `localize` says where a sound comes from, and
    one with `pair_scores` whether audio and image belong together.

    Attributes:
      items: modality to what one item of it is.

    Args:
      recipe: built, in float32. Its heads are kept where it answers to rows.
      num_frames: modality to frames of an image input; one where left out.
      classes: names of the classes, in the order of the logits; of a recipe that classifies.
      threshold: Score from which a pair is taken for matched; None: what the recipe was taught.
      decided: thresholds and calibration of its pairs; None: none.

    Raises:
      ValueError: an encoder that computes in another type, two modalities whose inputs are called
        alike, or names that are not those of the recipe's classes.
      UserError: a modality whose name means something else here, or windows that mean nothing.
    """

    def __init__(
        self,
        recipe: base.Recipe,
        num_frames: Mapping[str, int] | None = None,
        classes: Sequence[str] = (),
        threshold: float | None = None,
        decided: decisions.Decisions | None = None,
    ):
        super().__init__(name="servable")
        for modality, encoder in recipe.encoders.items():
            if encoder.compute_dtype != "float32":
                raise ValueError(
                    f"the {modality} encoder computes in {encoder.compute_dtype}: rebuild "
                    "the recipe in float32 and load its weights, then export"
                )
            if modality in items.RESERVED:
                raise registry.UserError(
                    f"a modality is called {modality}, and exports call something else so: rename "
                    "it in the config and the data."
                )
        outputs.check_hearing(recipe)
        specs = outputs.item_specs(recipe, num_frames)
        # Plain dicts would become a part of the SavedModel.
        self.items: Mapping[str, items.ItemSpec] = types.MappingProxyType(specs)
        names = [name for spec in self.items.values() for name in spec.tensors]
        if len(set(names)) < len(names):
            raise ValueError(f"two modalities have inputs of one name among {', '.join(names)}")
        # Keras 3 hides its variables from tf.Module: without this list a SavedModel has no weights
        # for the C++ loader, and converts to a .tflite of NaN, both without a word.
        self.tracked = outputs.served_weights(recipe)
        self.classifies = outputs.classifies(recipe)
        if outputs.classifies(recipe) and len(classes) != recipe.num_classes:
            raise ValueError(f"{len(classes)} names for {recipe.num_classes} classes")
        self.classes = tuple(classes) if self.classifies else ()
        self.scores_pairs = outputs.scores_pairs(recipe)
        # What a pair can be sent as, as whole files.
        self.pair_files = served_pairs.files(self.items) if self.scores_pairs else ()
        self.threshold = outputs.decision(recipe) if threshold is None else threshold
        self.embedding_space = outputs.embedding_space(recipe)
        self.decided = decided
        self._recipe = recipe
        self._traced: Functions | None = None

    @property
    def modalities(self) -> tuple[str, ...]:
        """Returns the modalities that have an encoder, sorted."""
        return tuple(self.items)

    @property
    def joint(self) -> tuple[str, ...]:
        """Returns the signatures that take rows of all modalities."""
        return tuple(outputs.joint(self._recipe))

    @property
    def embedding_size(self) -> dict[str, int]:
        """Returns D of each modality."""
        return {m: self._recipe.embedding_size[m] for m in self.modalities}

    @property
    def num_frames(self) -> dict[str, int]:
        """Returns the frames of an item of each modality of images."""
        return {m: spec.num_frames for m, spec in self.items.items() if spec.fitted}

    @property
    def scores(self) -> bool:
        """Whether there are two modalities, which share a space."""
        sizes = set(self.embedding_size.values())
        return outputs.shares_space(self._recipe) and len(self.items) == 2 and len(sizes) == 1

    @property
    def default(self) -> str:
        """Returns the signature that `serving_default` is another name of."""
        whole = (name for name in self.joint if name != served_pairs.PAIRS)
        return next(whole, f"embed_{self.modalities[0]}")

    def facts(self) -> dict[str, Any]:
        """Returns what an artefact says of itself beside its signatures."""
        return artefacts.write_facts(
            modalities=self.modalities,
            items={modality: spec.facts() for modality, spec in self.items.items()},
            hearing=self._recipe.hearing.facts(),
            embedding_size=self.embedding_size,
            embedding_space=self.embedding_space,
            sample_rate_hz=tensors.SAMPLE_RATE_HZ,
            classes=self.classes,
            localizes=outputs.localizes(self._recipe),
            scores_pairs=self.scores_pairs,
            shares_space=outputs.shares_space(self._recipe),
            threshold=self.threshold,
            **decisions.stored(self.decided),
            **self._recipe.facts(),
        )

    def signatures(self) -> Functions:
        """Returns the signatures of a server: any batch, clip length, image size and frames.

        They are traced at the first call.
        """
        if self._traced is None:
            self._traced = types.MappingProxyType(self._trace())
        return self._traced

    def _trace(self) -> dict[str, tf.types.experimental.ConcreteFunction]:
        found: dict[str, tf.types.experimental.ConcreteFunction] = {}

        def add(name: str, function: Callable[..., _Tensors], specs: _Specs) -> None:
            def run(**inputs: tf.Tensor) -> _Tensors:
                return function(**requests.shapes(name, inputs, specs))

            found[name] = signature_specs.trace(run, specs)

        for modality, spec in self.items.items():
            name = f"embed_{modality}"
            add(name, requests.checked(name, self.items, self._embed), signature_specs.served(spec))
            if spec.file:
                name, one = f"embed_{spec.file}", {spec.file: tf.TensorSpec([None], tf.string)}
                add(name, self._embed_files(name, spec), one)
        for name in self.joint:
            add(
                name,
                requests.checked(name, self.items, self._answering(name)),
                self._joined(signature_specs.served),
            )
        if self.pair_files:
            one = tf.TensorSpec([None], tf.string)
            add(served_pairs.PAIR_FILES, self._score_files, dict.fromkeys(self.pair_files, one))
        if self.scores:
            known = self.embedding_size, self.decided, self.embedding_space
            for name, its in served_scores.signatures(*known).items():
                add(name, *its)
        # For clients that know no names (OpenVINO's among them).
        return {**found, "serving_default": found[self.default]}

    def fixed_signatures(self, audio_samples: int | None, only: str = "") -> Functions:
        """Returns the signatures of a phone: batch 1, every shape known, no check and no resize.

        What is heard of a clip is up to who calls them, see `hearing.Hearing`.

        Args:
          audio_samples: length of a waveform; a shorter clip is padded with anything and says so in
            `num_samples`. None: any length.
          only: a modality; empty: all, and what answers to rows of them.
        """
        fixed = functools.partial(signature_specs.fixed, audio_samples=audio_samples)
        modalities = [only] if only else self.modalities
        trace = signature_specs.trace
        found = {f"embed_{m}": trace(self._encode, fixed(self.items[m])) for m in modalities}
        for name in () if only else self.joint:
            found[name] = trace(self._fixed(name), self._joined(fixed))
        return found

    def examples(self) -> dict[str, dict[str, np.ndarray]]:
        """Returns made-up inputs for every signature: two clip lengths, images to be resized."""
        inputs = examples.of_items(self.items)
        rows = {n: x for m in self.modalities for n, x in inputs[f"embed_{m}"].items()}
        inputs |= dict.fromkeys(self.joint, rows)
        if self.pair_files:
            files = {name: inputs[f"embed_{name}"][name] for name in self.pair_files}
            inputs[served_pairs.PAIR_FILES] = files
        if self.scores:
            inputs |= examples.of_embeddings(self.embedding_size)
        return {**inputs, "serving_default": inputs[self.default]}

    def _joined(self, of: Callable[[items.ItemSpec], dict]) -> dict:
        return {name: value for spec in self.items.values() for name, value in of(spec).items()}

    def _batch(self, inputs: _Tensors) -> _Tensors:
        """Returns a batch: tensors by the names of their modalities."""
        modality = {spec.tensor: m for m, spec in self.items.items()}
        return {modality.get(name, name): value for name, value in inputs.items()}

    def _encode(self, **inputs: tf.Tensor) -> _Tensors:
        (modality,) = (m for m, spec in self.items.items() if spec.tensor in inputs)
        vectors = self._recipe.embed(modality, self._batch(inputs), training=False)
        return {"embedding": similarity.normalize(tf.cast(vectors, tf.float32))}

    def _embed(self, **inputs: tf.Tensor) -> _Tensors:
        (modality,) = (m for m, spec in self.items.items() if spec.tensor in inputs)
        return {"embedding": outputs.embedding(self._recipe, modality, self._batch(inputs))}

    def _embed_files(self, signature: str, spec: items.ItemSpec) -> Callable[..., _Tensors]:
        read = file_readers.reader(signature, spec)
        return lambda **files: self._embed(**read(files[spec.file]))

    def _answering(self, name: str) -> Callable[..., _Tensors]:
        answer = self._fixed(name)
        return lambda **inputs: served_pairs.calibrated(
            answer(**outputs.hear(self._recipe, self._batch(inputs))), self.decided
        )

    def _fixed(self, name: str) -> Callable[..., _Tensors]:
        """Returns what answers to rows as they are, by the names of inputs or of modalities."""
        answer = outputs.joint(self._recipe)[name]
        threshold = self.threshold if name == served_pairs.PAIRS else None
        return lambda **inputs: served_pairs.decided(answer(self._batch(inputs)), threshold)

    def _score_files(self, **sent: tf.Tensor) -> _Tensors:
        read = served_pairs.read(self.items, sent)
        return self._answering(served_pairs.PAIRS)(**read)
