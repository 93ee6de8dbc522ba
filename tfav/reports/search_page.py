"""The page of a search: each query with what is nearest to it, to be seen and heard."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tfav.reports import inline, names, page, rendering


class Media(NamedTuple):
    """What is seen or heard of a file.

    Attributes:
      kind: `image` or `audio`.
      content: a JPEG file; or PCM16 little-endian, mono, 16 kHz.
    """

    kind: str
    content: bytes


class Found(NamedTuple):
    """An answer.

    Attributes:
      name: its id.
      modality: of it.
      cosine: of it with the query, as it is printed.
      probability: that the two belong together, likewise; empty where it is not known.
      decision: in a word; empty where nothing is decided.
      matched: whether the threshold is reached.
    """

    name: str
    modality: str
    cosine: str
    probability: str
    decision: str
    matched: bool


class Query(NamedTuple):
    """What was searched for, and what was found.

    Attributes:
      name: its id.
      modality: of it.
      answers: nearest first.
    """

    name: str
    modality: str
    answers: Sequence[Found]


class _Shown(NamedTuple):
    name: str
    modality: str
    image: str = ""
    audio: str = ""


# Of a query or an answer, (modality, id), which file of the query or of the gallery it is.
Files = dict[tuple[str, str], Media]


def build(
    queries: Sequence[Query],
    asked: Files,
    gallery: Files,
    threshold: str,
    frame: page.Frame,
) -> str:
    """Returns the page.

    Args:
      queries: at least one.
      asked: what is seen and heard of the queries, by (modality, id), as far as it is known.
      gallery: likewise of the answers.
      threshold: Cosine from which a pair is taken for a match, as it is printed; empty: none.
      frame: what stands round them. To keep to its size, images are smaller and clips shorter,
        then there are none; without media `asked` and `gallery` are not looked at.

    Raises:
      UserError: the page without images and clips is larger.
    """
    known = frame.media and bool(asked or gallery)
    candidates = (
        _page(queries, asked, gallery, threshold, level, frame)
        for level in (*(inline.LEVELS if known else ()), None)
    )
    return rendering.fitting(
        candidates,
        frame.max_megabytes,
        "the page without images and clips",
        "ask for fewer answers by --top or --query",
    )


def _page(
    queries: Sequence[Query],
    asked: Files,
    gallery: Files,
    threshold: str,
    level: inline.Level | None,
    frame: page.Frame,
) -> str:
    """Returns the page; without a level it has no images and no clips."""
    made: dict[bytes, str] = {}  # what answers several queries is made once

    def shown(name: str, modality: str, files: Files) -> _Shown:
        one = _Shown(names.encodable(name), modality)
        media = files.get((modality, name))
        if level is None or media is None:
            return one
        if media.content not in made:
            at = inline.image_at if media.kind == "image" else inline.audio_at
            made[media.content] = at(media.content, level)
        return one._replace(**{media.kind: made[media.content]})

    def rows() -> Iterator[tuple[_Shown, list[tuple[_Shown, Found]]]]:
        for query in queries:
            answers = [(shown(a.name, a.modality, gallery), a) for a in query.answers]
            yield shown(query.name, query.modality, asked), answers

    return rendering.render(
        "search.html",
        frame,
        [],
        audio=level is not None,
        tiles=[],
        queries=rows(),
        threshold=threshold,
        about={**frame.about, "On this page": _carried(bool(asked or gallery), level, frame)},
    )


def _carried(known: bool, level: inline.Level | None, frame: page.Frame) -> str:
    if not frame.media or not known:
        return "names and figures alone, without any image or clip"
    if level is None:
        return "names and figures alone, so that the page stays within its size"
    text = (
        f"images of at most {level.size} pixels, the first {level.max_seconds:g} seconds of clips"
    )
    reduced = level != inline.LEVELS[0]
    return text + (" (reduced so that the page stays within its size)" if reduced else "")
