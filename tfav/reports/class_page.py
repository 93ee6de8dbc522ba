"""The page of a run that tells classes apart: examples, classes, confusion, calibration."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tfav.evaluation import classification
from tfav.evaluation.result import Result
from tfav.reports import inline, page, rendering

_IMAGE_SIZE, _IMAGE_QUALITY = 176, 80
_MAX_SECONDS, _COMPRESSION = 5.0, 0.85


class Example(NamedTuple):
    """A row of a split with what a run says of it.

    Attributes:
      id: Id of the row.
      label: its class.
      said: what the fused prediction takes it for.
      probability: Probability of that class, in [0, 1].
      alone: modality to what it takes the row for by itself, of those that the row has.
      image: a JPEG file; None where the row has none.
      audio: PCM16 little-endian, mono, 16 kHz; None where the row has none.
    """

    id: str
    label: str
    said: str
    probability: float
    alone: Mapping[str, str]
    image: bytes | None
    audio: bytes | None


class Part(NamedTuple):
    """One split.

    Attributes:
      tag: its name.
      label: [N] int.
      logits: `fused` and each modality to [N, C].
      present: modality to [N] bool.
      wrong: some of the rows that are taken for another class.
      right: some of the others.
    """

    tag: str
    label: np.ndarray
    logits: Mapping[str, np.ndarray]
    present: Mapping[str, np.ndarray]
    wrong: Sequence[Example]
    right: Sequence[Example]


class _Shown(NamedTuple):
    id: str
    label: str
    said: str
    right: bool
    probability: str
    alone: Mapping[str, str]
    image: str
    audio: str


class _Group(NamedTuple):
    heading: str
    examples: Sequence[_Shown]


class _Class(NamedTuple):
    name: str
    rows: int
    right: Sequence[str]
    precision: str
    mistaken: str


def build(
    results: Sequence[Result],
    parts: Sequence[Part],
    class_names: Sequence[str],
    pictures: Sequence[page.Picture],
    frame: page.Frame,
) -> str:
    """Returns the page.

    Args:
      results: Results of `classification.evaluate`, of all parts.
      parts: the splits.
      class_names: C names.
      pictures: drawings, in the order to show.
      frame: what stands round them. To keep to its size, there is no audio, then no example; nor
        is there one without media.

    Raises:
      UserError: the page without examples is larger.
    """
    tiles = [
        page.Tile(f"{r.direction}, {r.tag}" if len(parts) > 1 else r.direction, r, "accuracy")
        for r in results
        if r.metric == classification.ACCURACY
    ]
    candidates = (
        rendering.render(
            "classes.html",
            frame,
            results,
            audio=audio,
            tiles=tiles,
            shown=[_part(part, parts, class_names, examples, audio) for part in parts],
            pictures=pictures,
            about={**frame.about, **page.facts(results)},
        )
        for examples, audio in ((True, True), (True, False), (False, False))
        if frame.media or not examples
    )
    return rendering.fitting(candidates, frame.max_megabytes, "the page without any example")


def _part(
    part: Part, parts: Sequence[Part], class_names: Sequence[str], examples: bool, audio: bool
) -> dict[str, object]:
    label, logits = part.label, part.logits
    said = classification.predict(logits[classification.FUSED], label)
    num_wrong = int((said != label).sum())
    groups = [
        _Group(_heading(name, shown, total), [_shown(e, audio) for e in shown])
        for name, shown, total in (
            ("Wrong", part.wrong, num_wrong),
            ("Right", part.right, len(label) - num_wrong),
        )
    ]
    return {
        "suffix": f": {part.tag}" if len(parts) > 1 else "",
        "groups": groups if examples else [],
        "directions": list(logits),
        "classes": list(_classes(part, class_names)),
    }


def _heading(name: str, shown: Sequence[Example], total: int) -> str:
    if len(shown) == total:
        return f"{name} ({total:,})"
    return f"{name}: {len(shown)} of {total:,}, drawn at random"


def _shown(e: Example, audio: bool) -> _Shown:
    image = sound = ""
    if e.image is not None:
        small = inline.thumbnail(e.image, _IMAGE_SIZE, _IMAGE_QUALITY)
        image = inline.data_uri("image/jpeg", small)
    if audio and e.audio is not None:
        sound = inline.data_uri(*inline.clip(e.audio, _MAX_SECONDS, _COMPRESSION))
    sure = f"{100 * e.probability:.0f}"
    return _Shown(e.id, e.label, e.said, e.said == e.label, sure, e.alone, image, sound)


def _classes(part: Part, class_names: Sequence[str]) -> Iterator[_Class]:
    """Yields a row per class that the part has."""
    matrices = {}
    for direction, values in part.logits.items():
        there = part.present.get(direction, np.ones(len(part.label), bool))
        matrices[direction] = classification.confusion_matrix(values[there], part.label[there])
    fused = matrices[classification.FUSED]
    for k, name in enumerate(class_names):
        if not fused[k].any():
            continue
        others = fused[k].copy()
        others[k] = 0
        worst = int(np.argmax(others))
        mistaken = f"{class_names[worst]} ({others[worst]:,})" if others[worst] else "-"
        yield _Class(
            name,
            int(fused[k].sum()),
            [_percent(matrix[k, k], matrix[k].sum()) for matrix in matrices.values()],
            _percent(fused[k, k], fused[:, k].sum()),
            mistaken,
        )


def _percent(count: int, total: int) -> str:
    return f"{100 * count / total:.1f}" if total else "-"
