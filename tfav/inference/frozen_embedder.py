"""Embeddings by a SavedModel or a `.tflite` of strangers, which a description says how to feed.

A description is a JSON file, `NAME.json`, that stands wherever a model is named:

    {"frozen": "mobilenet.tflite", "modality": "image", "size": 224, "range": [-1, 1]}

`frozen` is the model, from the folder of the description; `modality` is `image` or `audio`. An
image is fitted into a square of `size` pixels, whose bytes 0 to 255 become `range`. Audio is a
waveform in [-1, 1] at 16 kHz, of which the first 10 seconds are heard; of a model that takes
`samples` of them, a longer clip is cut and a shorter one repeats itself. `signature` is by default
the only one, and `output` the only output.
"""

import hashlib
import json
import os
import types
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, NoReturn

import numpy as np

from tfav import files, items, registry, states, tensors
from tfav import hearing as hearing_lib
from tfav.evaluation import decisions as decisions_lib
from tfav.inference import embedders, interpreter
from tfav.media import bad_file

_FORM = {
    "frozen": str,
    "modality": str,
    "size?": int,
    "range?": [(int, float)],
    "samples?": int,
    "signature?": str,
    "output?": str,
}
_FIX = 'write it as {"frozen": "model.tflite", "modality": "image", "size": 224, "range": [-1, 1]}'
_ALONE = "a model of strangers embeds alone, name a run or an export of one"
_MOST_SIZE = 4096


class FrozenEmbedder:
    """One modality, item by item, see `embedders.Embedder`. Its vectors have unit norm.

    Args:
      path: of the description.

    Raises:
      UserError: it is no description, or the model in it is missing, damaged or of another form.
    """

    embedding_size: Mapping[str, int] = types.MappingProxyType({})  # told by what it answers
    shares_space = False
    classes: tuple[str, ...] = ()
    threshold: float | None = None
    temperature: float | None = None
    decisions: decisions_lib.Decisions | None = None

    def __init__(self, path: str):
        self.path = path
        found = states.read(path, _FORM, _FIX)
        model = os.path.join(os.path.dirname(path), found["frozen"])
        modality = found["modality"]
        if modality not in _TAKEN:
            self._refuse(f"modality is {modality!r}, and it is one of {', '.join(_TAKEN)}")
        try:
            spec, self.hearing, self._prepared = _TAKEN[modality](found)
        except ValueError as error:
            self._refuse(str(error))
        self.modalities: tuple[str, ...] = (modality,)
        self.items = {modality: spec.of(modality)}
        if not os.path.exists(model):
            self._refuse(f"{model} does not exist")
        open_model = _of_tflite if os.path.isfile(model) else _of_saved_model
        try:
            self._run = open_model(model, found.get("signature", ""), found.get("output", ""))
            said = json.dumps({**found, "frozen": _sha256(model)}, sort_keys=True)
        except registry.UserError:
            raise
        except Exception as error:  # the bytes of the model choose what is raised
            self._refuse(f"{model} cannot be opened ({bad_file.first_line(error)})", error)
        self.embedding_space = hashlib.sha256(said.encode()).hexdigest()[:16]

    def embed(self, modality: str, batch: tensors.Batch) -> np.ndarray:
        """See `embedders.Embedder.embed`.

        Raises:
          UserError: another modality, or a model that does not take the items or gives no vector.
        """
        embedders.require(self, modality)
        spec = self.items[modality]
        return np.stack([self._embedding(x) for x in spec.unstack(modality, batch)])

    def refuses(self, modality: str, item: np.ndarray) -> str:
        """Returns nothing: items of any size go through."""
        del modality, item
        return ""

    def classify(self, batch: tensors.Batch) -> dict[str, np.ndarray]:
        """Refuses to: a model of strangers embeds alone."""
        del batch
        raise registry.UserError(f"{self.path} tells no classes apart: {_ALONE}.")

    def localize(self, batch: tensors.Batch) -> np.ndarray:
        """Refuses to: a model of strangers embeds alone."""
        del batch
        raise registry.UserError(f"{self.path} does not say where a sound comes from: {_ALONE}.")

    def score_pairs(self, batch: tensors.Batch) -> dict[str, np.ndarray]:
        """Refuses to: a model of strangers embeds alone."""
        del batch
        raise registry.UserError(f"{self.path} scores no pairs: {_ALONE}.")

    def _embedding(self, item: np.ndarray) -> np.ndarray:
        """Returns [D] of unit norm."""
        value = self._prepared(item)
        try:
            found = np.asarray(self._run(value[np.newaxis]), np.float32).ravel()
        except Exception as error:
            self._refuse(
                f"the model does not take [1, {', '.join(map(str, value.shape))}] float32 "
                f"({bad_file.first_line(error)})",
                error,
            )
        norm = np.linalg.norm(found)
        if not norm > 0:
            self._refuse("the model gives zeros or NaN, which have no direction")
        return found / norm

    def _refuse(self, why: str, cause: Exception | None = None) -> NoReturn:
        raise registry.UserError(f"{self.path}: {why}: {_FIX}.") from cause


class _Taken(NamedTuple):
    """What one item is, how much of a clip is heard, and what the model is given of an item."""

    spec: items.ItemSpec
    hearing: hearing_lib.Hearing
    prepared: Callable[[np.ndarray], np.ndarray]


def _images(found: Mapping[str, Any]) -> _Taken:
    """Returns that of images; raises ValueError where the description does not say enough."""
    size, given = found.get("size", 0), found.get("range", ())
    if not 1 <= size <= _MOST_SIZE or len(given) != 2 or given[0] == given[1]:
        raise ValueError(f"of images it needs size, 1 to {_MOST_SIZE}, and range, two numbers")
    low, high = map(np.float32, given)

    def prepared(image: np.ndarray) -> np.ndarray:
        pixels = embedders.fitted(image, size).astype(np.float32)
        return low + pixels / np.float32(255) * (high - low)

    return _Taken(items.image(size), hearing_lib.Hearing(), prepared)


def _clips(found: Mapping[str, Any]) -> _Taken:
    """Returns that of waveforms; raises ValueError where a clip would be empty."""
    hearing = hearing_lib.Hearing()
    if "samples" in found:
        if found["samples"] < 1:
            raise ValueError(f"samples is {found['samples']}, and clips have 1 or more")
        seconds = found["samples"] / tensors.SAMPLE_RATE_HZ
        hearing = hearing_lib.Hearing(seconds, seconds)
    return _Taken(items.clip(), hearing, lambda clip: hearing.heard(clip).astype(np.float32))


_TAKEN: dict[str, Callable[[Mapping[str, Any]], _Taken]] = {"image": _images, "audio": _clips}


def _of_tflite(path: str, signature: str, output: str) -> Callable[[np.ndarray], Any]:
    """Returns what runs a signature of a `.tflite`, or its tensors where it has none."""
    opened = interpreter.make(path=path)
    signatures = sorted(opened.get_signature_list())
    if not signatures:
        return _of_tensors(opened)
    runner = opened.get_signature_runner(_chosen("signature", signatures, signature, path))
    taken = _chosen("input", sorted(runner.get_input_details()), "", path)
    given = _chosen("output", sorted(runner.get_output_details()), output, path)
    return lambda value: interpreter.run(runner, {taken: value})[given]


def _of_tensors(opened: Any) -> Callable[[np.ndarray], Any]:
    taken, given = opened.get_input_details()[0]["index"], opened.get_output_details()[0]["index"]

    def run(value: np.ndarray) -> np.ndarray:
        opened.resize_tensor_input(taken, value.shape)
        opened.allocate_tensors()
        opened.set_tensor(taken, value)
        opened.invoke()
        return opened.get_tensor(given)

    return run


def _of_saved_model(path: str, signature: str, output: str) -> Callable[[np.ndarray], Any]:
    """Returns what runs a signature of a SavedModel."""
    import tensorflow as tf

    loaded = tf.saved_model.load(path)
    name = _chosen("signature", sorted(loaded.signatures), signature, path)
    function = loaded.signatures[name]
    taken = _chosen("input", sorted(function.structured_input_signature[1]), "", path)
    given = _chosen("output", sorted(function.structured_outputs), output, path)

    def run(value: np.ndarray) -> np.ndarray:
        # By the model, which keeps the variables that its function reads.
        return loaded.signatures[name](**{taken: tf.constant(value)})[given].numpy()

    return run


def _chosen(what: str, names: list[str], wanted: str, path: str) -> str:
    if wanted in names or (not wanted and len(names) == 1):
        return wanted or names[0]
    raise registry.UserError(
        f"{path} has the {what}s {', '.join(names) or 'none'}"
        + (f" and not {wanted}" if wanted else "")
        + f": name one of them as {what!r} in the description."
        if what != "input"
        else f"{path} takes {', '.join(names) or 'nothing'}: give a model of one input."
    )


def _sha256(path: str) -> str:
    """Returns the hash of a file, or of all files in a folder."""
    if os.path.isfile(path):
        return files.sha256(path)
    found = hashlib.sha256()
    for folder, below, names in os.walk(path):
        below.sort()
        for name in sorted(names):
            file = os.path.join(folder, name)
            found.update(f"{os.path.relpath(file, path)} {files.sha256(file)}\n".encode())
    return found.hexdigest()
