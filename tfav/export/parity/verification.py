"""What an artefact does to verification: AUC and EER before and after, on one list of pairs."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from tfav.evaluation import metrics
from tfav.export.parity import reference as reference_lib
from tfav.inference import embedders


class Trials(NamedTuple):
    """Pairs of a clip and an image.

    Attributes:
      name: Name of the list they come from.
      sha256: of that list.
      pairs: (id of a clip, id of an image, whether of one identity).
      items: modality to id to waveform [T] or image(s).
    """

    name: str
    sha256: str
    pairs: list[tuple[str, str, bool]]
    items: Mapping[str, Mapping[str, np.ndarray]]


def evaluate(
    trials: Trials,
    reference: reference_lib.Reference,
    loaded: Mapping[str, embedders.Embedder],
    artefacts: Mapping[str, str],
) -> dict[str, Any]:
    """Verifies the pairs by the SavedModel, and by the files of each precision.

    Args:
      trials: what to verify.
      reference: embeds as the checkpoint does, of each clip as much as the artefact takes.
      loaded: name to the embedder of each artefact.
      artefacts: name (a version folder or `.tflite` file) to precision.

    Returns:
      `list`, `sha256`, `num_items` by modality, and `artefacts`: name to what `compare` returns. Of
      files, audio and image are embedded by the two of one precision.
    """
    sides: dict[str, dict[str, tuple[str, Any]]] = {}
    for name, precision in artefacts.items():
        embedder = loaded[name]
        key = precision if name.endswith(".tflite") else "served"
        held = sides.setdefault(key, {})
        held |= {modality: (name, embedder) for modality in embedder.modalities}
    expected: dict[tuple[str, int | None], np.ndarray] = {}
    found: dict[str, dict[str, Any]] = {}
    for by in sides.values():
        if not {"audio", "image"} <= by.keys():
            continue
        before: dict[str, dict[str, np.ndarray]] = {}
        after: dict[str, dict[str, np.ndarray]] = {}
        for modality, items in trials.items.items():
            name, embedder = by[modality]
            cut = list(embedder.lengths.values())[-1] if name.endswith(".tflite") else None
            heard = [reference.cut(modality, item, cut) for item in items.values()]
            if (modality, cut) not in expected:
                expected[modality, cut] = reference.embed(modality, heard)
            answered = [embedder.embed(modality, reference.stack(modality, [x])) for x in heard]
            before[modality] = dict(zip(items, expected[modality, cut]))
            after[modality] = dict(zip(items, np.concatenate(answered)))
        compared = compare(trials.pairs, before, after)
        found |= {name: compared for name, _ in by.values()}
    num_items = {modality: len(items) for modality, items in trials.items.items()}
    return {
        "list": trials.name,
        "sha256": trials.sha256,
        "num_items": num_items,
        "artefacts": found,
    }


def compare(
    pairs: list[tuple[str, str, bool]],
    before: Mapping[str, Mapping[str, np.ndarray]],
    after: Mapping[str, Mapping[str, np.ndarray]],
) -> dict[str, Any]:
    """Returns `auc_before`, `auc_after`, `eer_before`, `eer_after` and `num_trials`.

    Args:
      pairs: Pairs of `Trials`.
      before: modality to id to embedding [D] of unit norm, of the checkpoint.
      after: likewise, of the artefact.
    """
    label = np.array([right for *_, right in pairs])
    found: dict[str, Any] = {"num_trials": len(pairs)}
    for when, vectors in (("before", before), ("after", after)):
        audio = np.stack([vectors["audio"][clip] for clip, *_ in pairs])
        image = np.stack([vectors["image"][name] for _, name, _ in pairs])
        score = (audio.astype(np.float64) * image).sum(axis=1)
        whole = bool(np.isfinite(score).all())  # else parity is refused, by a better sentence
        found[f"auc_{when}"] = metrics.roc_auc(score, label) if whole else None
        found[f"eer_{when}"] = metrics.equal_error_rate(score, label) if whole else None
    return found


def limited(lines: list[tuple[str, str, bool]], max_items: int) -> list[tuple[str, str, bool]]:
    """Returns the pairs, in order, that name no more than so many distinct items altogether.

    A pair is left out where it would bring in one item too many, so that what is left names few
    items often; right and wrong pairs take turns in bringing some in.

    Args:
      lines: all pairs.
      max_items: Most items of both modalities together.
    """
    right, wrong = ([line for line in lines if line[2] == kind] for kind in (True, False))
    known: set[tuple[str, str]] = set()
    for both in zip(right, wrong):
        new = {(m, i) for clip, image, _ in both for m, i in (("audio", clip), ("image", image))}
        new -= known
        if len(known) + len(new) > max_items:
            break
        known |= new
    return [x for x in lines if ("audio", x[0]) in known and ("image", x[1]) in known]
