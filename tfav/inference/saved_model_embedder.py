"""Embeddings, classes and maps from an exported SavedModel."""

import json
import os

import numpy as np
import tensorflow as tf

from tfav import files, registry, tensors
from tfav.clients import client
from tfav.inference import artefacts, embedders, spaces
from tfav.media import bad_file


class SavedModelEmbedder:
    """The signatures of a SavedModel, see `embedders.Embedder`.

    Args:
      path: its folder, the one with `saved_model.pb`.

    Raises:
      UserError: damaged, or not of our making.
    """

    def __init__(self, path: str):
        self.path = path
        folder, version = os.path.split(os.path.abspath(path))
        parity = artefacts.read_parity(folder)
        try:
            with open(os.path.join(path, artefacts.FACTS_FILE), "rb") as f:
                text = f.read()
            found = json.loads(text)
            if artefacts.sealed(found):
                artefacts.check_seal(text, text, found)
            facts = artefacts.parse_facts(found)
            if parity and parity.files(version):
                parity.check(version)
            else:
                artefacts.check_files(path, facts.files)
            with files.plain_path(path) as plain:
                self._model = tf.saved_model.load(plain)
        except registry.UserError:
            raise
        except Exception as error:  # of a damaged one, TensorFlow raises whatever it stumbles over
            raise registry.UserError(
                f"{path} is not a whole SavedModel of ours ({bad_file.first_line(error)}): export "
                "again."
            ) from error
        self.modalities = tuple(facts.items)
        self.items = facts.items
        self.hearing = facts.hearing
        self.embedding_space = facts.embedding_space
        self.embedding_size = facts.embedding_size
        self.shares_space = spaces.shares(facts.told_space, self._model.signatures)
        self.classes = facts.classes
        self.threshold = facts.threshold
        self.temperature = facts.temperature
        self.decisions = facts.decisions
        # Before format 3, signatures heard all they were sent.
        self._hears = facts.format >= 3

    def embed(self, modality: str, batch: tensors.Batch) -> np.ndarray:
        """See `Embedder.embed`."""
        embedders.require(self, modality)
        return self.run(f"embed_{modality}", **self._inputs(modality, batch))["embedding"]

    def refuses(self, modality: str, item: np.ndarray) -> str:
        """Returns nothing: items of any size go through."""
        del modality, item
        return ""

    def classify(self, batch: tensors.Batch) -> dict[str, np.ndarray]:
        """Returns the outputs [B, C] of the signature `classify` on rows of all modalities.

        Raises:
          UserError: it tells no classes apart.
        """
        if "classify" not in self._model.signatures:
            raise registry.UserError(
                f"{self.path} tells no classes apart: name the export of an mmcosine run."
            )
        return self.run("classify", **self._rows(batch))

    def localize(self, batch: tensors.Batch) -> np.ndarray:
        """Returns where the sounds of rows of all modalities come from, [B, H', W'] in [0, 1].

        Raises:
          UserError: it says no such thing.
        """
        if "localize" not in self._model.signatures:
            raise registry.UserError(
                f"{self.path} does not say where a sound comes from: name the export of a dmc run."
            )
        return self.run("localize", **self._rows(batch))["map"]

    def score_pairs(self, batch: tensors.Batch) -> dict[str, np.ndarray]:
        """See `embedders.Embedder.score_pairs`."""
        if "score_pairs" not in self._model.signatures:
            raise registry.UserError(
                f"{self.path} scores no pairs: name the export of a dmc, l3 or infonce run, and "
                "export it again if it was made before exports did."
            )
        return self.run("score_pairs", **self._rows(batch))

    def run(self, signature: str, **inputs: tf.Tensor) -> dict[str, np.ndarray]:
        """Returns the outputs of a signature by its name.

        Raises:
          UserError: what it refuses, with its sentence.
        """
        try:
            outputs = self._model.signatures[signature](**inputs)
        except tf.errors.InvalidArgumentError as error:
            sentence = client.asserted(error.message.removeprefix("Graph execution error:").strip())
            raise registry.UserError(sentence) from error
        return {name: value.numpy() for name, value in outputs.items()}

    def _rows(self, batch: tensors.Batch) -> dict[str, tf.Tensor]:
        each = [self._inputs(modality, batch) for modality in self.modalities]
        return {name: value for inputs in each for name, value in inputs.items()}

    def _inputs(self, modality: str, batch: tensors.Batch) -> dict[str, tf.Tensor]:
        spec = self.items[modality]
        if spec.clip and not self._hears:
            clips = [self.hearing.heard(clip) for clip in spec.unstack(modality, batch)]
            batch = spec.stack(modality, clips)
        values = tf.convert_to_tensor(batch[modality])
        if spec.num_frames > 1 and values.shape.rank == 4:
            values = values[:, tf.newaxis]  # one image stands for all frames
        inputs = {spec.tensor: values}
        if spec.length:
            count = batch.get(spec.length)
            whole = tf.fill(values.shape[:1], values.shape[1])
            inputs[spec.length] = whole if count is None else tf.cast(count, tf.int32)
        return inputs
