"""The certificate of an export: how far each artefact is from the checkpoint, over real inputs."""

import csv
import hashlib
import io
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

import tfav
from tfav import tensors
from tfav.export.lite import console, conversion, precisions
from tfav.export.parity import agreement, row_answers, speed, verification
from tfav.export.parity import reference as reference_lib
from tfav.export.serving import saved_model, served_pairs
from tfav.inference import embedders, saved_model_embedder, tflite_embedder
from tfav.recipes import outputs
from tfav.recipes import recipe as base

_BATCH_SIZE = 8


class _File(NamedTuple):
    """How TensorFlow itself writes and reads the files that a signature takes."""

    encode: Callable[[np.ndarray], tf.Tensor]
    decode: Callable[[tf.Tensor], tf.Tensor]


_FILES = {
    "wav": _File(
        lambda clip: tf.audio.encode_wav(clip[:, np.newaxis], tensors.SAMPLE_RATE_HZ),
        lambda wav: tf.audio.decode_wav(wav).audio[:, 0],
    ),
    "jpeg": _File(
        lambda pixels: tf.io.encode_jpeg(pixels, quality=95),
        lambda jpeg: tf.io.decode_jpeg(jpeg, channels=3),
    ),
}
# No quantiser of ours renews what the converter wrote of the float file, and its kernels are newer.
_RUNTIME_NOTE = "written for the float file; the oldest runtime that ran such files is 2.14"


def certificate(
    recipe: base.Recipe,
    inputs: reference_lib.Items,
    directory: str,
    artefacts: dict[str, str],
    rows: reference_lib.Rows = (),
    trials: verification.Trials | None = None,
) -> dict[str, Any]:
    """Measures artefacts against the checkpoint's embeddings, and its logits or maps if it has any.

    Args:
      recipe: holds the checkpoint's weights.
      inputs: what to compare on; a `.tflite` takes the first samples that fit its fixed length.
      directory: where the artefacts are.
      artefacts: name (a version folder or `.tflite` file) to precision.
      rows: what to compare the classes or maps of.
      trials: pairs to verify by each, both modalities in one precision.

    Returns:
      What `parity.json` says: software versions, the id of the embedding space, and for each
      artefact its files with bytes and SHA-256, precision, signatures, ops and, by signature, its
      parity; of a `.tflite` also op versions, the least runtime and its speed. The parity of
      `classify` is of `logits`; `classify:<modality>_logits` stand beside it. That of `localize` is
      of `map`, that of `score_pairs` of `score`. `trials` holds by precision what it does to
      verification.
    """
    reference = reference_lib.Reference(recipe, inputs, rows)
    loaded = {name: embedders.load(os.path.join(directory, name)) for name in artefacts}
    found = {
        name: _artefact(reference, directory, name, precision, loaded[name])
        for name, precision in artefacts.items()
    }
    _add_ratios(found)
    return {
        "format": 3,
        "tfav": tfav.__version__,
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "embedding_space": outputs.embedding_space(recipe),
        "hearing": recipe.hearing.facts(),
        **({"vector_spaces": dict(recipe.vector_spaces)} if recipe.vector_spaces else {}),
        "trials": trials and verification.evaluate(trials, reference, loaded, artefacts),
        "artefacts": found,
    }


def drift_csv(found: dict[str, Any]) -> str:
    """Returns a line for every item of a certificate that an artefact turned, worst first."""
    lines = [
        (cosine, name, signature, item)
        for name, artefact in found["artefacts"].items()
        for signature, parity in artefact["parity"].items()
        for item, cosine in parity["drifting"].items()
    ]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["artefact", "signature", "id", "cosine"])
    writer.writerows([*where, f"{cosine:.6f}"] for cosine, *where in sorted(lines))
    return text.getvalue()


def _add_ratios(found: dict[str, Any]) -> None:
    """Sets each file's time by that of the float32 file of the same name, of this very run."""
    for name, artefact in found.items():
        whole = found.get(name.replace(artefact["precision"], "float32"))
        if "speed" in artefact and whole:
            artefact["speed"]["ratio_to_float32"] = {
                signature: round(ms / whole["speed"]["milliseconds"][signature], 3)
                for signature, ms in artefact["speed"]["milliseconds"].items()
            }


def _artefact(
    reference: reference_lib.Reference,
    directory: str,
    name: str,
    precision: str,
    embedder: embedders.Embedder,
) -> dict[str, Any]:
    path = os.path.join(directory, name)
    if isinstance(embedder, saved_model_embedder.SavedModelEmbedder):
        files = sorted(os.path.join(d, f) for d, _, names in os.walk(path) for f in names)
        described, parity = saved_model.describe(path), _served(reference, embedder, precision)
    else:
        with open(path, "rb") as f:
            content = f.read()
        files = [path]
        described = {**conversion.describe(content), "speed": speed.measure(content)}
        if precisions.find(precision).quantised:
            described["min_runtime_note"] = _RUNTIME_NOTE
        assert isinstance(embedder, tflite_embedder.TFLiteEmbedder), "one file and no folder"
        parity = _on_phone(reference, embedder, precision)
    return {
        "precision": precision,
        "bytes": sum(os.path.getsize(f) for f in files),
        "files": {os.path.relpath(f, directory): _fingerprint(f) for f in files},
        **described,
        "parity": parity,
    }


def _served(
    reference: reference_lib.Reference,
    embedder: saved_model_embedder.SavedModelEmbedder,
    precision: str,
) -> dict[str, Any]:
    """Compares in batches, clips padded to the longest of each: what a server does."""
    parity = {}
    for modality, spec in embedder.items.items():
        chunks = _chunks(reference.items(modality))
        found = [embedder.embed(modality, reference.stack(modality, chunk)) for chunk in chunks]
        parity[f"embed_{modality}"] = agreement.compare(
            reference.ids(modality), reference.expected(modality), np.concatenate(found)
        )
        if spec.file:
            signature, file = f"embed_{spec.file}", _FILES[spec.file]
            content = [file.encode(item) for item in reference.items(modality)]
            with console.quiet():  # libjpeg tells of images that end grey, though nothing is wrong
                found = [
                    embedder.run(signature, **{spec.file: one[tf.newaxis]})["embedding"]
                    for one in content
                ]
            decoded = [file.decode(one).numpy() for one in content]
            parity[signature] = agreement.compare(
                reference.ids(modality), reference.embed(modality, decoded), np.concatenate(found)
            )
    batches = [reference.stack_rows(chunk) for chunk in _chunks(reference.joint())]
    if "classify" in reference.signatures:
        classified = [embedder.classify(batch) for batch in batches]
        parity |= _classified(reference, classified, None, precision)
    for name in reference.signatures:
        if name in row_answers.COMPARED:
            parity[name] = row_answers.compared(name, reference, embedder, batches, precision)
    if served_pairs.PAIRS in reference.signatures:
        parity |= row_answers.files(reference, embedder, _FILES, precision)
    return parity


def _on_phone(
    reference: reference_lib.Reference, embedder: tflite_embedder.TFLiteEmbedder, precision: str
) -> dict[str, Any]:
    """Compares item by item, clips cut or padded to the length of each signature."""
    if not embedder.modalities:
        ((signature, steps),) = embedder.lengths.items()
        rows = [reference.stack_rows([row]) for row in reference.joint(steps)]
        if signature == "classify":
            classified = [embedder.classify(row) for row in rows]
            return _classified(reference, classified, steps, precision)
        compared = row_answers.compared(signature, reference, embedder, rows, precision, steps)
        return {signature: compared}
    (modality,) = embedder.modalities
    parity = {}
    for signature, steps in embedder.lengths.items():
        batches = [reference.stack(modality, [x]) for x in reference.items(modality, steps)]
        found = [embedder.embed(modality, batch, signature) for batch in batches]
        parity[signature] = agreement.compare(
            reference.ids(modality), reference.expected(modality, steps), np.concatenate(found)
        )
    return parity


def _classified(
    reference: reference_lib.Reference,
    found: Sequence[Mapping[str, Any]],
    max_steps: int | None,
    precision: str,
) -> dict[str, Any]:
    ids, answered = reference.names, reference_lib.stacked(found)
    expected = reference.answered("classify", max_steps)
    return {
        "classify" if name == "logits" else f"classify:{name}": agreement.compare_logits(
            ids, expected[name], answered[name], precision
        )
        for name in expected
        if name != "probability"
    }


def _chunks(items: Sequence[Any]) -> list[Sequence[Any]]:
    return [items[i : i + _BATCH_SIZE] for i in range(0, len(items), _BATCH_SIZE)]


def _fingerprint(path: str) -> dict[str, Any]:
    with open(path, "rb") as f:
        content = f.read()
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
