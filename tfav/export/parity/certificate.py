"""The certificate of an export: how far each artefact is from the checkpoint, over real inputs."""

import csv
import hashlib
import io
import os
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfav import registry, tensors
from tfav.export.lite import tflite
from tfav.export.parity import agreement, speed, verification
from tfav.export.parity import reference as reference_lib
from tfav.export.serving import saved_model
from tfav.inference import embedders
from tfav.recipes import outputs
from tfav.recipes import recipe as base

_BATCH_SIZE = 8
_RATE_HZ = tensors.SAMPLE_RATE_HZ

_QUANTISED = ("int8", "int8_static")
# No quantiser of ours renews what the converter wrote of the float file, and its kernels are newer.
_RUNTIME_NOTE = "written for the float file; the oldest runtime that ran such files is 2.14"


def certificate(
    recipe: base.Recipe,
    inputs: reference_lib.Inputs,
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
      of `map`. `trials` holds by precision what it does to verification.
    """
    reference = reference_lib.Reference(recipe, inputs, rows)
    found = {
        name: _artefact(reference, directory, name, precision)
        for name, precision in artefacts.items()
    }
    _add_ratios(found)
    return {
        "format": 3,
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "embedding_space": outputs.embedding_space(recipe),
        "trials": verification.judge(trials, reference, directory, artefacts) if trials else None,
        "artefacts": found,
    }


def check(found: dict[str, Any], min_cosine: float, min_cosine_int8: float = 0.98) -> None:
    """Refuses a certificate with an answer too far from the checkpoint's, or of another class.

    A map must also be as near in each of its values.

    Args:
      found: the certificate.
      min_cosine: of every answer of a float artefact.
      min_cosine_int8: of every answer of an 8-bit one.

    Raises:
      UserError: names the artefact, the worst item, its cosine and the switch.
    """
    for name, artefact in found["artefacts"].items():
        quantised = artefact["precision"] in _QUANTISED
        least = min_cosine_int8 if quantised else min_cosine
        switch = "--min_cosine_int8" if quantised else "--min_cosine"
        for signature, parity in artefact["parity"].items():
            if not parity["cosine_min"] >= least:  # NaN is no parity either
                raise registry.UserError(
                    f"parity failed and nothing was published: {signature} of {name} has cosine "
                    f"{parity['cosine_min']:.6f} to the checkpoint on {parity['worst_item']} (mean "
                    f"{parity['cosine_mean']:.6f}), below {least}: find out why, or set "
                    f"{switch} to what you accept."
                )
            if parity.get("argmax_flips"):
                raise registry.UserError(
                    f"parity failed and nothing was published: {signature} of {name} takes "
                    f"{parity['argmax_flips'][0]} for another class than the checkpoint, whose "
                    "logits of the two are no tie: find out what it computes otherwise."
                )
            allowed = parity.get("max_error_allowed")  # maps alone have one
            if allowed is not None and not parity["max_abs_error"] <= allowed:
                raise registry.UserError(
                    f"parity failed and nothing was published: {signature} of {name} is "
                    f"{parity['max_abs_error']:.1e} away from the checkpoint's map of "
                    f"{parity['max_error_item']}, above {allowed}: find out what it computes "
                    "otherwise."
                )


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
    reference: reference_lib.Reference, directory: str, name: str, precision: str
) -> dict[str, Any]:
    path = os.path.join(directory, name)
    embedder = embedders.load(path)
    if os.path.isdir(path):
        files = sorted(os.path.join(d, f) for d, _, names in os.walk(path) for f in names)
        described, parity = saved_model.describe(path), _served(reference, embedder, precision)
    else:
        with open(path, "rb") as f:
            content = f.read()
        files = [path]
        described = {**tflite.describe(content), "speed": speed.measure(content)}
        if precision in _QUANTISED:
            described["min_runtime_note"] = _RUNTIME_NOTE
        parity = _on_phone(reference, embedder, precision)
    return {
        "precision": precision,
        "bytes": sum(os.path.getsize(f) for f in files),
        "files": {os.path.relpath(f, directory): _fingerprint(f) for f in files},
        **described,
        "parity": parity,
    }


def _served(
    reference: reference_lib.Reference, embedder: embedders.SavedModel, precision: str
) -> dict[str, Any]:
    """Compares in batches, clips padded to the longest of each: what a server does."""
    parity = {}
    for modality in embedder.modalities:
        chunks = _chunks(reference.items(modality))
        found = [embedder.embed(modality, reference_lib.stack(modality, chunk)) for chunk in chunks]
        parity[f"embed_{modality}"] = agreement.compare(
            reference.ids(modality), reference.expected(modality), np.concatenate(found)
        )
    if "audio" in embedder.modalities:
        wavs = [tf.audio.encode_wav(x[:, np.newaxis], _RATE_HZ) for x in reference.items("audio")]
        found = [embedder.run("embed_wav", wav=wav[tf.newaxis])["embedding"] for wav in wavs]
        decoded = [tf.audio.decode_wav(wav).audio.numpy()[:, 0] for wav in wavs]
        parity["embed_wav"] = agreement.compare(
            reference.ids("audio"), reference.embed("audio", decoded), np.concatenate(found)
        )
    if embedder.num_frames.get("image") == 1:
        jpegs = [tf.io.encode_jpeg(item, quality=95) for item in reference.items("image")]
        found = [embedder.run("embed_jpeg", jpeg=jpeg[tf.newaxis])["embedding"] for jpeg in jpegs]
        decoded = [tf.io.decode_jpeg(jpeg, channels=3).numpy() for jpeg in jpegs]
        parity["embed_jpeg"] = agreement.compare(
            reference.ids("image"), reference.embed("image", decoded), np.concatenate(found)
        )
    chunks = [reference_lib.stack_rows(chunk) for chunk in _chunks(reference.joint())]
    if "classify" in reference.signatures:
        found = [embedder.classify(chunk) for chunk in chunks]
        parity |= _classified(reference, found, None, precision)
    if "localize" in reference.signatures:
        maps = np.concatenate([embedder.localize(chunk) for chunk in chunks])
        expected = reference.answered("localize")["map"]
        parity["localize"] = agreement.compare_maps(reference.names, expected, maps)
    return parity


def _on_phone(
    reference: reference_lib.Reference, embedder: embedders.TFLite, precision: str
) -> dict[str, Any]:
    """Compares item by item, clips cut or padded to the length of each signature."""
    if not embedder.modalities:
        samples = embedder.lengths["classify"]
        rows = [reference_lib.stack_rows([row]) for row in reference.joint(samples)]
        found = [embedder.classify(row) for row in rows]
        return _classified(reference, found, samples, precision)
    (modality,) = embedder.modalities
    parity = {}
    for signature, samples in embedder.lengths.items():
        batches = [reference_lib.stack(modality, [x]) for x in reference.items(modality, samples)]
        found = [embedder.embed(modality, batch, signature) for batch in batches]
        parity[signature] = agreement.compare(
            reference.ids(modality), reference.expected(modality, samples), np.concatenate(found)
        )
    return parity


def _classified(
    reference: reference_lib.Reference,
    found: Sequence[Mapping[str, Any]],
    max_samples: int | None,
    precision: str,
) -> dict[str, Any]:
    ids, answered = reference.names, reference_lib.stacked(found)
    expected = reference.answered("classify", max_samples)
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
