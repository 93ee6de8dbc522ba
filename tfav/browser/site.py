"""Writes an export as a static folder, which any web server serves as it is."""

import json
import os
import shutil
from collections.abc import Mapping
from typing import Any, NamedTuple

from tfav import files, registry, tensors
from tfav.browser import gallery, runtime, server
from tfav.inference import artefacts, tflite_folder
from tfav.items import ItemSpec

FORMAT = 1
_PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "page")
CARD = "model_card.md"
# What the page calls one item of a modality and several, by the recipe; of others `_WORDS`.
_WORDS_OF = {
    "voice_face": {
        "audio": {"one": "voice", "many": "voices"},
        "image": {"one": "face", "many": "faces"},
    },
}
_CLIP, _IMAGE = {"one": "recording", "many": "recordings"}, {"one": "image", "many": "images"}
_TITLES = {
    "voice_face": "Which voice belongs to which face?",
    "classifier": "What is heard and seen here?",
    "localize": "Where does the sound come from?",
    "score_pairs": "Do these belong together?",
}
_TITLE = "What fits together?"


class Options(NamedTuple):
    """What a user may choose.

    Attributes:
      title: of the page; empty: by the recipe.
      toy: whether the page says that this is a toy.
      side_pixels: Longest side of the gallery's images in pixels.
    """

    title: str = ""
    toy: bool = False
    side_pixels: int = 256


def names() -> set[str]:
    """Returns the names of all that may lie in the folder of a site."""
    return {*os.listdir(_PAGE), "runtime", "models", "gallery", CARD, server.SITE_FILE}


def compares(embedder: tflite_folder.TFLiteFolder) -> bool:
    """Says whether the page compares: an export with several modalities, which share a space."""
    return len(embedder.modalities) > 1 and embedder.shares_space


def check(embedder: tflite_folder.TFLiteFolder) -> None:
    """Refuses an export that a page cannot run.

    Raises:
      UserError: files of any clip length, or rows with a modality that a page cannot take in.
    """
    for name in embedder.files:
        if embedder.items.get(name) is not None and not gallery.capturable(embedder.items[name]):
            continue
        clips = any(spec.clip for spec in _of_file(name, embedder).values())
        if clips and None in embedder.lengths(name).values():
            raise registry.UserError(
                f"{embedder.files[name]} takes clips of any length, which LiteRT.js cannot: export "
                "without --dynamic_time, or with --durations=1,3."
            )
        for modality, spec in _of_file(name, embedder).items():
            if not gallery.capturable(spec):
                raise registry.UserError(
                    f"{embedder.files[name]} takes {modality}, which is neither a recording nor an "
                    "image, so that a page cannot ask for it: name the export of a run of audio "
                    "and images."
                )


def _of_file(name: str, embedder: tflite_folder.TFLiteFolder) -> dict[str, ItemSpec]:
    """Returns what a file takes: an encoder its modality, others all of them."""
    its = embedder.items
    return {name: its[name]} if name in its else dict(its)


def write(
    folder: str,
    embedder: tflite_folder.TFLiteFolder,
    sides: Mapping[str, gallery.Side],
    litert: runtime.Runtime,
    options: Options,
) -> dict[str, Any]:
    """Writes a site into an empty folder; returns what its `site.json` says.

    Args:
      folder: that exists.
      embedder: of the export's `.tflite` files.
      sides: the gallery; may be empty where nothing is compared.
      litert: LiteRT.js.
      options: what the user chose.
    """
    parity = artefacts.read_parity(embedder.path)
    told: Mapping[str, Any] = {} if parity is None else parity.content
    recipe = told.get("origin", {}).get("recipe", "")
    shared = compares(embedder)
    for name in sorted(os.listdir(_PAGE)):
        shutil.copyfile(os.path.join(_PAGE, name), os.path.join(folder, name))
    os.mkdir(os.path.join(folder, "runtime"))
    for name, code in litert.files.items():
        with open(os.path.join(folder, "runtime", name), "wb") as file:
            file.write(code)
    os.mkdir(os.path.join(folder, "models"))
    models: dict[str, Any] = {}
    for name, path in _needed(embedder, shared).items():
        shutil.copyfile(path, os.path.join(folder, "models", os.path.basename(path)))
        models[name] = {
            "file": f"models/{os.path.basename(path)}",
            "bytes": os.path.getsize(path),
            "lengths": embedder.lengths(name),
        }
    card = os.path.join(embedder.path, CARD)
    if os.path.exists(card):
        shutil.copyfile(card, os.path.join(folder, CARD))
    galleries = gallery.write(
        folder, sides, embedder.items, embedder.hearing, side_pixels=options.side_pixels
    )
    usable = {m: spec for m, spec in embedder.items.items() if gallery.capturable(spec)}
    content = {
        "format": FORMAT,
        "title": options.title or _title(recipe, embedder, shared),
        "toy": options.toy,
        "recipe": recipe or "not told",
        "license": told.get("license", "not stated"),
        "precision": " and ".join(sorted({_precision(*file) for file in embedder.files.items()})),
        "embedding_space": embedder.embedding_space,
        "hearing": embedder.hearing.facts(),
        "seconds": _seconds(embedder, models),
        "items": {m: _item(spec) for m, spec in usable.items()},
        "words": {m: _words(recipe, m, spec) for m, spec in usable.items()},
        "models": models,
        "runtime_bytes": runtime.loaded_bytes(litert),
        "directions": [
            (a, b) for a in usable for b in galleries if a != b and shared and a in models
        ],
        "classes": list(embedder.classes),
        "threshold": embedder.threshold,
        "decisions": _decisions(embedder),
        "frontend": _frontend(embedder.path),
        "galleries": galleries,
        "card": os.path.exists(card),
    }
    files.write_json(os.path.join(folder, server.SITE_FILE), content)
    return content


def _needed(embedder: tflite_folder.TFLiteFolder, shared: bool) -> dict[str, str]:
    """Returns the files that the page runs: encoders where their embeddings are compared."""
    return {
        name: path
        for name, path in embedder.files.items()
        if name not in embedder.items or (shared and gallery.capturable(embedder.items[name]))
    }


def _title(recipe: str, embedder: tflite_folder.TFLiteFolder, shared: bool) -> str:
    if shared:
        return _TITLES.get(recipe, _TITLE)
    return next((_TITLES[name] for name in _TITLES if name in embedder.files), _TITLE)


def _seconds(embedder: tflite_folder.TFLiteFolder, models: Mapping[str, Any]) -> float:
    """Returns how long a recording may be of which nothing is left out or refused."""
    most = embedder.hearing.max_seconds
    if embedder.hearing.window_samples:
        return most
    for name, its in models.items():
        if any(spec.clip for spec in _of_file(name, embedder).values()):
            most = min(most, max(its["lengths"].values()) / tensors.SAMPLE_RATE_HZ)
    return most


def _item(spec: ItemSpec) -> dict[str, Any]:
    return {
        "clip": spec.clip,
        "tensor": spec.tensor,
        "length": spec.length,
        "side": spec.side,
        "frames": spec.num_frames,
    }


def _words(recipe: str, modality: str, spec: ItemSpec) -> dict[str, str]:
    known = _WORDS_OF.get(recipe, {})
    if modality in known:
        return known[modality]
    if modality == spec.kind:
        return _CLIP if spec.clip else _IMAGE
    return {"one": f"{modality} image", "many": f"{modality} images"}


def _precision(name: str, path: str) -> str:
    """Returns the precision in the name of a file, which begins with what it holds."""
    return os.path.basename(path).removesuffix(tflite_folder.SUFFIX).removeprefix(f"{name}_")


def _decisions(embedder: tflite_folder.TFLiteFolder) -> dict[str, Any] | None:
    """Returns the shipped threshold and the calibration of an export; None where it holds none.

    `score` says of what they are: `cosine`, or the `score` of `score_pairs`.
    """
    its = embedder.decisions
    names = ("score", "threshold", "slope", "intercept")
    return None if its is None else {name: getattr(its, name) for name in names}


def _frontend(folder: str) -> dict[str, Any] | None:
    """Returns the constants of the front-end that `golden.json` tells; None where it does not."""
    path = os.path.join(folder, "golden.json")
    if not os.path.exists(path):
        return None
    with open(path, encoding="utf-8") as file:
        golden = json.load(file)
    return next((one["frontend"] for one in golden.values() if _has_frontend(one)), None)


def _has_frontend(one: Any) -> bool:
    return isinstance(one, Mapping) and "frontend" in one
