"""The page of a search, on which queries and answers can be seen and heard."""

import os
import pathlib
from collections.abc import Iterable, Sequence

from tfav import files, registry, tensors
from tfav.commands import destinations, search
from tfav.data import kinds
from tfav.inference import embeddings_file
from tfav.media import bad_file, formats, limits
from tfav.reports import inline, names, page, search_page

# More of a clip no page carries, and it need not wait in memory.
_CLIP_BYTES = 2 * round(inline.LEVELS[0].max_seconds * tensors.SAMPLE_RATE_HZ)


def check(output: str) -> None:
    """Refuses a place of the page that another file has, before anything is embedded.

    Raises:
      UserError: its name does not end in `.html`, or it leads to a file that is no page of ours.
    """
    destinations.check_file("page", output, "page")


def write(
    found: search.Answers,
    index: Sequence[str],
    query: Sequence[str],
    output: str,
    *,
    max_megabytes: float = 20.0,
    media: bool = True,
) -> str:
    """Writes the page; returns a line that says so.

    Args:
      found: what `search.search` answered.
      index: the gallery as `search.search` took it: files and folders are shown and played, the
        vectors of a `.npz` are named.
      query: likewise the queries.
      output: the page, `.html`. An older one is replaced, and no other file.
      max_megabytes: the page is no larger.
      media: whether the page may show and play files.

    Raises:
      UserError: the place is taken, the page is too large, or a file can no longer be read.
    """
    check(output)
    asked = ((answer.modality, answer.query) for answer in found.answers)
    nearest = ((near[1], near[0]) for answer in found.answers for near in answer.found)
    queries = [_query(found, answer) for answer in found.answers]
    decided = any(one.decision for its in queries for one in its.answers)
    threshold = found.decided.threshold if found.decided and decided else None
    several = "queries" if len(queries) > 1 else "query"
    told = "; ".join(search.about(found).splitlines())
    text = search_page.build(
        queries,
        _media(asked, query) if media else {},
        _media(nearest, index) if media else {},
        "" if threshold is None else f"{threshold:.4f}",
        page.Frame(
            f"Search: {len(queries):,} {several}",
            {"Search": f"{names.sentence(told)}."},
            max_megabytes=max_megabytes,
            media=media,
        ),
    )
    os.makedirs(os.path.dirname(os.path.abspath(output)), exist_ok=True)
    files.write_text(output, text)
    size = len(text.encode()) / 1e6
    return f"wrote {output} ({size:.1f} MB): open {pathlib.Path(output).resolve().as_uri()}"


def _query(found: search.Answers, answer: search.Answer) -> search_page.Query:
    answers = []
    for near in answer.found:
        told = found.told(answer.modality, near)
        probability, decision = search.cells(told)
        name, modality, cosine = near
        answers.append(
            search_page.Found(
                name, modality, f"{cosine:.4f}", probability, decision, told[1] is True
            )
        )
    return search_page.Query(answer.query, answer.modality, answers)


def _media(items: Iterable[tuple[str, str]], paths: Sequence[str]) -> search_page.Files:
    """Returns what is seen or heard of items (modality, id) of files and folders.

    Nothing of what is neither audio nor image, and of stored vectors, whose files may be gone.
    """
    if any(map(embeddings_file.is_one, paths)):
        return {}
    found: search_page.Files = {}
    for modality, name in dict.fromkeys(items):
        path = _path(name, paths)
        kind = formats.modality(path) if path else None
        if kind in (kinds.AUDIO.name, kinds.IMAGE.name):
            found[modality, name] = search_page.Media(kind, _read(kind, path))
    return found


def _path(name: str, paths: Sequence[str]) -> str:
    """Returns the file that has an id: see `input_files.find`; empty: none, as of a table's row."""
    for top in paths:
        inside = os.path.join(top, name)
        if os.path.isdir(top) and os.path.isfile(inside):
            return inside
        if top == name:
            return top
    return ""


def _read(kind: str, path: str) -> bytes:
    try:
        content = kinds.find(kind).read(path, limits.DEFAULT)
    except bad_file.BadFile as error:
        raise registry.UserError(f"{path} {error.reason}: correct it or name another.") from error
    return content[:_CLIP_BYTES] if kind == kinds.AUDIO.name else content
