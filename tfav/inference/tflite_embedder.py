"""Embeddings and classes from an exported `.tflite`, without TensorFlow where LiteRT is there."""

import os

import numpy as np

from tfav import hearing as hearing_lib
from tfav import registry, tensors
from tfav.inference import artefacts, embedders, interpreter, spaces, tflite_metadata
from tfav.media import bad_file


class TFLiteEmbedder:
    """The signatures of a `.tflite`, run row by row, see `embedders.Embedder`.

    A file of sounds takes clips of one length, of several (a signature each; a clip goes to the
    shortest that holds it) or of any. A clip of which more is heard than the longest takes is
    refused, unless it is heard in windows that fit: its embedding would be another than everywhere
    else.

    Attributes:
      lengths: signature to the most steps of the padded axis of its items; None: any number of
        them, or no such axis.

    Args:
      path: the file.

    Raises:
      UserError: damaged, or not of our making.
    """

    def __init__(self, path: str):
        self.path = path
        _check_name(path)
        folder, file = os.path.split(os.path.abspath(path))
        parity = artefacts.read_parity(folder)
        if parity:
            parity.check(file)
        try:
            with open(path, "rb") as f:
                facts = artefacts.parse_facts(tflite_metadata.read_facts(f.read()))
            self._interpreter = interpreter.make(path=path)
            names = sorted(self._interpreter.get_signature_list())
            self._runners = {n: self._interpreter.get_signature_runner(n) for n in names}
            held = {artefacts.modality_of(name, facts.items): name for name in names}
            self.modalities = tuple(m for m in held if m is not None)
            details = {n: runner.get_input_details() for n, runner in self._runners.items()}
        except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
            raise registry.UserError(
                f"{path} is not a whole .tflite of ours ({bad_file.first_line(error)}): export "
                "again."
            ) from error
        self.items = {m: facts.items[m] for m in self.modalities or facts.items}
        self.hearing = facts.hearing
        self.embedding_space = facts.embedding_space
        self.embedding_size = facts.embedding_size
        self.shares_space = spaces.shares(facts.told_space, parity.signatures() if parity else ())
        self.classes = facts.classes
        self.threshold = facts.threshold
        self.temperature = facts.temperature
        self.decisions = facts.decisions
        self._shapes = {
            name: {key: t["shape_signature"].tolist() for key, t in found.items()}
            for name, found in details.items()
        }
        lengths = {name: self._length(name) for name in names}
        self.lengths = dict(sorted(lengths.items(), key=lambda item: item[1] or 0))

    def _length(self, signature: str) -> int | None:
        """Returns the most steps that a signature's padded items have; None: any."""
        shapes = self._shapes[signature]
        found = [shapes[s.tensor][1] for s in self.items.values() if s.length]
        return found[0] if found and found[0] > 0 else None

    def embed(self, modality: str, batch: tensors.Batch, signature: str = "") -> np.ndarray:
        """See `Embedder.embed`.

        Args:
          modality: the one of the file.
          batch: as there.
          signature: the one to take; empty: the shortest that holds an item.

        Raises:
          UserError: also a clip longer than that takes, or no such signature.
        """
        embedders.require(self, modality)
        if signature and signature not in self._runners:
            raise registry.UserError(
                f"{self.path} has no signature {signature}: choose from {', '.join(self.lengths)}."
            )
        spec = self.items[modality]
        found = [self._embed(modality, x, signature) for x in spec.unstack(modality, batch)]
        return np.stack(found)

    def refuses(self, modality: str, item: np.ndarray) -> str:
        """Returns why a clip or sequence cannot be embedded, as "PATH ..." goes on; empty: it can.

        Args:
          modality: the one of the file.
          item: of any length above zero.
        """
        parts = self._parts(modality, item)
        longest = list(self.lengths.values())[-1]
        if longest is None or all(len(part) <= longest for part in parts):
            return ""
        return self._too_long(modality, max(map(len, parts)), longest)

    def classify(self, batch: tensors.Batch) -> dict[str, np.ndarray]:
        """Returns the outputs [B, C] of the signature `classify` on rows of all modalities.

        Raises:
          UserError: a clip longer than the file takes, or it tells no classes apart.
        """
        return self._answer(
            "classify", batch, "tells no classes apart: name the classifier of an mmcosine run"
        )

    def localize(self, batch: tensors.Batch) -> np.ndarray:
        """Returns where the sounds of rows of all modalities come from, [B, H', W'] in [0, 1].

        Raises:
          UserError: a clip longer than the file takes, or it says no such thing.
        """
        reason = "does not say where a sound comes from: name localize_..., or the SavedModel, of a"
        return self._answer("localize", batch, f"{reason} dmc run")["map"]

    def score_pairs(self, batch: tensors.Batch) -> dict[str, np.ndarray]:
        """See `embedders.Embedder.score_pairs`; a clip longer than the file takes is refused."""
        reason = "scores no pairs: name score_pairs_... of a dmc, l3 or infonce run"
        return self._answer("score_pairs", batch, reason)

    def _answer(self, name: str, batch: tensors.Batch, without: str) -> dict[str, np.ndarray]:
        """Returns the outputs of a signature that takes rows of all modalities."""
        if name not in self._runners:
            raise registry.UserError(f"{self.path} {without}.")
        columns = {m: spec.unstack(m, batch) for m, spec in self.items.items()}
        found = []
        for row in range(len(next(iter(columns.values())))):
            inputs: dict[str, np.ndarray] = {}
            for modality, values in columns.items():
                inputs |= self._feed(name, modality, self._heard(modality, values[row]))
            found.append(interpreter.run(self._runners[name], inputs))
        return {key: np.concatenate([one[key] for one in found]) for key in found[0]}

    def _embed(self, modality: str, item: np.ndarray, signature: str) -> np.ndarray:
        parts = self._parts(modality, item)
        found = []
        for part in parts:
            chosen = signature or self._shortest(modality, part)
            answer = interpreter.run(self._runners[chosen], self._feed(chosen, modality, part))
            found.append(answer["embedding"][0])
        if len(found) == 1:
            return found[0]
        return hearing_lib.mean(np.stack(found), np.array([len(part) for part in parts]))

    def _parts(self, modality: str, item: np.ndarray) -> list[np.ndarray]:
        """Returns what is embedded of an item: of a clip its windows."""
        item = self._heard(modality, item)
        return self.hearing.windows(item) if self.items[modality].clip else [item]

    def _heard(self, modality: str, item: np.ndarray) -> np.ndarray:
        """Returns what of an item is heard, or the item where it is no clip."""
        if not self.items[modality].clip:
            return item
        if not len(item):
            raise registry.UserError(
                f"a clip for {self.path} has no samples: give at least one (16000 are a second)."
            )
        return self.hearing.heard(item)

    def _feed(self, signature: str, modality: str, item: np.ndarray) -> dict[str, np.ndarray]:
        """Returns an item as the inputs of a signature: fitted, or padded with zeros.

        Raises:
          UserError: it is longer than that.
        """
        spec = self.items[modality]
        shape = self._shapes[signature][spec.tensor]
        if spec.fitted:
            item = embedders.fitted(item, shape[-2])
            if item.ndim == 3 and len(shape) == 5:
                item = np.broadcast_to(item, shape[1:])
            return {spec.tensor: np.ascontiguousarray(item[np.newaxis])}
        if not spec.length:
            return {spec.tensor: np.ascontiguousarray(item[np.newaxis], spec.dtype)}
        length = self.lengths[signature]
        if length is not None and len(item) > length:
            reason = self._too_long(modality, len(item), length)
            raise registry.UserError(f"a {modality} for {signature} of {self.path} {reason}.")
        padded = np.zeros([1, length or max(len(item), 1), *item.shape[1:]], spec.dtype)
        padded[0, : len(item)] = item
        return {spec.tensor: padded, spec.length: np.array([len(item)], np.int32)}

    def _too_long(self, modality: str, steps: int, length: int) -> str:
        """Returns what is wrong with an item of so many steps for an input of `length`."""
        file = os.path.basename(self.path)
        longer = [n for n, most in self.lengths.items() if (most or 0) >= steps]
        if not self.items[modality].clip:
            return f"has {steps} steps, and {file} takes {length}: cut it"
        heard, most = (n / tensors.SAMPLE_RATE_HZ for n in (steps, length))
        if longer:
            fix = f"use its signature {longer[0]}"
        elif not self.modalities:
            fix = f"export with --config.export.audio_seconds={heard:g}"
        else:
            fix = (
                f"export with --durations={heard:g} or --dynamic_time, or a run that hears clips "
                f"in windows, --config.eval.window_seconds={most:g}"
            )
        return f"is heard for {heard:g} s, and {file} takes {most:g} s: {fix}"

    def _shortest(self, modality: str, item: np.ndarray) -> str:
        """Returns the signature with the shortest input that holds an item, else the longest."""
        names = list(self.lengths)
        if not self.items[modality].length:
            return names[0]
        holds = (n for n in names if self.lengths[n] is None or self.lengths[n] >= len(item))
        return next(holds, names[-1])


def _check_name(path: str) -> None:
    """Raises UserError for a path that the interpreter cannot be given."""
    try:
        bad_file.check_name(path)
    except bad_file.BadFile as error:
        shown = os.fsencode(path).decode(errors="backslashreplace")
        raise registry.UserError(
            f"{shown} is a path that is not UTF-8, which the interpreter cannot open: rename it."
        ) from error
