"""A model as Python code uses it: files or arrays in, records out, whatever holds the encoders."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from tfav import registry, tensors
from tfav.evaluation import decisions
from tfav.inference import embedders, file_embedding, given_arrays, input_files, spaces
from tfav.inference.given_arrays import Given, listed
from tfav.inference.model_results import Classes, Embeddings, Match, Pairs

_BATCH_SIZE = 32


class Model:
    """A trained run, an exported SavedModel or a `.tflite`; made by `tfav.load`.

    Attributes:
      modalities: those it embeds, such as `("audio", "image")`; none: it answers to rows only.
      embedding_space: id of the space it embeds into.
      shares_space: whether cosines between its modalities mean anything: those of a classifier, and
        of what scores pairs by more than a cosine, do not.
      hearing: how much of a clip is heard, in seconds.
      classes: names; empty: it tells no classes apart.
      threshold: score from which a pair is taken for matched; None: it takes none.
      temperature: that InfoNCE has learnt; None of all else.
      decisions: thresholds and calibration of its pairs, with what they were measured on; None:
        its run was not evaluated so.

    Args:
      embedder: that holds the encoders.
    """

    def __init__(self, embedder: embedders.Embedder):
        self._embedder = embedder
        self.modalities = tuple(embedder.modalities)
        self.embedding_space = embedder.embedding_space
        self.shares_space = embedder.shares_space
        self.hearing = embedder.hearing
        self.classes = tuple(embedder.classes)
        self.threshold = embedder.threshold
        self.temperature = embedder.temperature
        self.decisions = embedder.decisions

    @property
    def embedding_size(self) -> dict[str, int]:
        """Modality to D; one whose size its file does not tell is left out."""
        known = self._embedder.embedding_size
        return {m: known[m] for m in self.modalities if m in known}

    def __repr__(self) -> str:
        sizes = {m: self.embedding_size.get(m) for m in self.modalities}
        told = f"embedding_size={sizes}, embedding_space={self.embedding_space!r}"
        told += f", shares_space={self.shares_space}"
        return f"Model({told}{f', classes={self.classes}' if self.classes else ''})"

    def embed(
        self, inputs: Given, modality: str = "", *, max_bad_fraction: float = 0.0
    ) -> Embeddings:
        """Returns the embeddings of files, of all files in folders, or of arrays.

        Args:
          inputs: paths of audio and image files or of folders; or arrays: clips [T] float32 in
            [-1, 1] at 16 kHz, images [H, W, 3] uint8 RGB, or what else a modality takes.
          modality: of arrays, where their shape does not tell; of files, the only one wanted.
          max_bad_fraction: share of files that cannot be embedded that may be left out.

        Raises:
          UserError: a file or array that cannot be embedded, or nothing that this model embeds.
        """
        given = listed(inputs)
        if any(isinstance(one, np.ndarray) for one in given):
            return self._embed_arrays([np.asarray(one) for one in given], modality)
        if modality:
            self._require(modality)
        paths = [os.fspath(one) for one in given]
        found = input_files.find(paths, self._embedder.items, modality)
        done = file_embedding.embed(
            self._embedder, found, batch_size=_BATCH_SIZE, max_bad_fraction=max_bad_fraction
        )
        held = [m for m in self.modalities if m in done.arrays]
        return Embeddings(
            {m: done.arrays[f"{m}_id"].tolist() for m in held},
            {m: done.arrays[m] for m in held},
            self.embedding_space,
            done.unheard,
            self.shares_space,
        )

    def similarity(self, a: Embeddings | np.ndarray, b: Embeddings | np.ndarray) -> np.ndarray:
        """Returns the cosines of all pairs, [A, B] float32 in [-1, 1].

        Args:
          a: embeddings of one modality, or vectors [A, D] of unit norm.
          b: likewise.

        Raises:
          UserError: embeddings of several modalities, of another space, of two modalities that
            share none, or of other sizes.
        """
        one, other = self._vectors(a), self._vectors(b)
        sides = _modalities(a, b)
        for side in sides:
            spaces.require_shared(self.shares_space, side, sides)
        if one.shape[-1] != other.shape[-1]:
            raise registry.UserError(
                f"embeddings of {one.shape[-1]} and of {other.shape[-1]} values share no space: "
                "compare those of one size."
            )
        return one @ other.T

    def match(self, probe: Embeddings | np.ndarray, candidates: Embeddings | np.ndarray) -> Match:
        """Returns how near every candidate is to every probe, which is nearest, and how likely.

        The probability is that of an audio clip and an image: of two of one modality there is none,
        and vectors are taken for one of each.

        Args:
          probe: as for `similarity`, [P, D]; one vector [D] is one probe.
          candidates: [N, D].

        Raises:
          UserError: as `similarity`; no candidate.
        """
        scores = self.similarity(probe, candidates)
        if not scores.shape[1]:
            raise registry.UserError("there are no candidates: give at least one.")
        best = scores.argmax(axis=1)
        sides = _modalities(probe, candidates)
        decided, why = decisions.of_cosines(self.decisions, sides, self.shares_space)
        if decided is None:
            return Match(scores, best, why=why)
        return Match(scores, best, decided.probability(scores), decided.matched(scores), why)

    def classify(self, **inputs: Given) -> Classes:
        """Returns the classes of rows, each with an item of every modality.

        Args:
          **inputs: modality to as many files or arrays, such as `audio=["a.wav"], image=["a.jpg"]`.

        Raises:
          UserError: it tells no classes apart, or an item is missing or cannot be read.
        """
        logits = dict(self._embedder.classify(self._rows(inputs)))
        probability = logits.pop("probability")
        names = [self.classes[place] for place in probability.argmax(axis=1)]
        return Classes(names, probability, logits, self.classes)

    def localize(self, **inputs: Given) -> np.ndarray:
        """Returns where in each image its sound comes from, [N, S, S] float32 in [0, 1].

        The map lies over the square, grey on both sides, that the image is fitted into.

        Args:
          **inputs: `audio` and `image`, as many files or arrays of each.

        Raises:
          UserError: it says no such thing, or an item is missing or cannot be read.
        """
        return self._embedder.localize(self._rows(inputs))

    def score_pairs(self, **inputs: Given) -> Pairs:
        """Returns how well the audio and the image of each row belong together.

        Args:
          **inputs: `audio` and `image`, as many files or arrays of each.

        Raises:
          UserError: it scores no pairs, or an item is missing or cannot be read.
        """
        found = self._embedder.score_pairs(self._rows(inputs))
        its = self.decisions
        probability = its.probability(found["score"]) if its else None
        return Pairs(found["score"], found.get("matched"), probability)

    def _vectors(self, given: Embeddings | np.ndarray) -> np.ndarray:
        if not isinstance(given, Embeddings):
            return np.atleast_2d(np.asarray(given, np.float32))
        spaces.require_same(
            "what was given", given.embedding_space, "this model", self.embedding_space
        )
        if len(given.vectors) != 1:
            raise registry.UserError(
                f"these embeddings are of {' and '.join(given.vectors) or 'nothing'}: give those "
                'of one modality, such as found.vectors["audio"].'
            )
        return next(iter(given.vectors.values()))

    def _embed_arrays(self, arrays: list[np.ndarray], modality: str) -> Embeddings:
        modality = modality or given_arrays.modality_of(self._embedder, arrays[0])
        self._require(modality)
        spec = self._embedder.items[modality]
        checked = [
            given_arrays.checked(self._embedder, modality, place, one)
            for place, one in enumerate(arrays)
        ]
        chunks = [checked[at : at + _BATCH_SIZE] for at in range(0, len(checked), _BATCH_SIZE)]
        vectors = [self._embedder.embed(modality, spec.stack(modality, chunk)) for chunk in chunks]
        unheard = {
            str(place): (len(one) - self.hearing.max_samples) / tensors.SAMPLE_RATE_HZ
            for place, one in enumerate(checked)
            if spec.clip and len(one) > self.hearing.max_samples
        }
        names = [str(place) for place in range(len(checked))]
        return Embeddings(
            {modality: names},
            {modality: np.concatenate(vectors)},
            self.embedding_space,
            unheard,
            self.shares_space,
        )

    def _require(self, modality: str) -> None:
        if modality not in self.modalities:
            raise registry.UserError(
                f"this model embeds {' and '.join(self.modalities) or 'nothing'} and not "
                f"{modality}: name one of those."
            )

    def _rows(self, inputs: Mapping[str, Given]) -> dict[str, np.ndarray]:
        """Returns rows of all modalities as a batch."""
        specs = self._embedder.items
        if inputs.keys() != specs.keys():
            raise registry.UserError(
                f"{' and '.join(inputs) or 'nothing'} was given: give {' and '.join(specs)}, as "
                "many of each."
            )
        batch: dict[str, np.ndarray] = {}
        counts = {}
        for modality, given in inputs.items():
            found = [self._item(modality, k, one) for k, one in enumerate(listed(given))]
            counts[modality] = len(found)
            batch |= specs[modality].stack(modality, found)
        if len(set(counts.values())) > 1 or not all(counts.values()):
            told = ", ".join(f"{count} of {modality}" for modality, count in counts.items())
            raise registry.UserError(f"rows need one item of each modality: {told} were given.")
        return batch

    def _item(self, modality: str, place: int, given: Any) -> np.ndarray:
        if isinstance(given, np.ndarray):
            return given_arrays.checked(self._embedder, modality, place, given)
        return file_embedding.load(self._embedder, modality, os.fspath(given))


def _modalities(*given: Embeddings | np.ndarray) -> list[str]:
    """Returns the modality of each of those that tell theirs, which vectors do not."""
    return [next(iter(one.vectors)) for one in given if isinstance(one, Embeddings)]
