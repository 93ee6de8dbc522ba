"""One self-contained HTML page on which a retrieval can be heard and seen.

No network, no server: pictures, sounds, style and script are inside, and the page's own security
policy forbids anything else. Text of the data reaches the page as text only.
"""

import base64
import hashlib
import html
import json
import pathlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tfav import registry
from tfav.annotations import lists
from tfav.reports import clips, figures, showcase, tables

_GENDERS = {"f": "female", "m": "male"}
_MEGABYTE = 1_000_000
_FOLDER = pathlib.Path(__file__).parent

Items = Mapping[str, Mapping[str, clips.Item]]


class _Level(NamedTuple):
    """How much of an item a page carries; see `media`."""

    size: int
    quality: int
    max_seconds: float
    compression: float


# Best first: the first one that fits is taken, and only then are there fewer probes.
_LEVELS = (_Level(176, 82, 10.0, 0.75), _Level(112, 75, 6.0, 0.85), _Level(80, 65, 3.0, 0.95))


def build(
    tasks: Sequence[showcase.Task],
    results: tables.Results,
    scores: Mapping[str, tuple[np.ndarray, np.ndarray]],
    items: Items,
    *,
    title: str,
    about: Mapping[str, str],
    max_megabytes: float = 20.0,
) -> str:
    """Returns the page.

    Args:
      tasks: what to listen to, at least one.
      results: of `protocols.evaluate`, of one tag or several; may be empty.
      scores: `protocols.verification_scores`: {list file name: (score [T], label [T])}.
      items: modality -> id -> what to play or to show, of every probe and hit of `tasks`.
      title: of the page.
      about: facts to print: name -> text.
      max_megabytes: the page is no larger; smaller pictures, shorter sounds, and then fewer probes
        see to that.

    Raises:
      UserError: not even one probe of each kind fits.
    """
    for number, (level, kept) in enumerate(_shrinking(tasks)):
        text = _page(kept, results, scores, items, level, title, about, reduced=number > 0)
        size = len(text.encode())
        if size <= max_megabytes * _MEGABYTE:
            return text
    shown = sum(len(task.probes) for task in kept)
    raise registry.UserError(
        f"--max_mb={max_megabytes:g}: a page of only {shown} probe{'s' if shown > 1 else ''} with "
        f"small pictures and short sounds takes {size / _MEGABYTE:.2f} MB: allow that much."
    )


def gender_name(gender: str) -> str:
    """Returns what a reader understands by the data's word for a gender."""
    return _GENDERS.get(gender.lower(), gender)


def _shrinking(
    tasks: Sequence[showcase.Task],
) -> Iterator[tuple[_Level, Sequence[showcase.Task]]]:
    for level in _LEVELS:
        yield level, tasks
    while True:
        fewer = [_thinned(task) for task in tasks]
        if all(len(less.probes) == len(task.probes) for less, task in zip(fewer, tasks)):
            return
        yield _LEVELS[-1], fewer
        tasks = fewer


def _thinned(task: showcase.Task) -> showcase.Task:
    """Leaves the better half of the best, the worse half of the worst, every other of the rest."""
    kept: set[int] = set()
    for group in ("all", *showcase.GROUPS):
        rows = [row for row, probe in enumerate(task.probes) if group in probe.groups]
        half = (len(rows) + 1) // 2
        kept |= set({"best": rows[:half], "worst": rows[-half:]}.get(group, rows[::2]))
    return task._replace(probes=[task.probes[row] for row in sorted(kept)])


def _page(tasks, results, scores, items, level, title, about, reduced) -> str:
    style, script = ((_FOLDER / name).read_text("utf-8") for name in ("page.css", "page.js"))
    policy = (
        "default-src 'none'; img-src data:; media-src data:; base-uri 'none'; form-action 'none'; "
        f"style-src {_hash(style)}; script-src {_hash(script)}"
    )
    tags = list(dict.fromkeys(task.tag for task in tasks))
    slots = {
        "policy": policy,
        "title": html.escape(title),
        "lead": _lead(tasks, tags),
        "tiles": "".join(_tile(task, tags) for task in tasks),
        "top": str(max((len(p.hits) for task in tasks for p in task.probes), default=0)),
        "curves": "".join(_curves(tag, tags, tasks, results, scores) for tag in tags),
        "results": figures.table(results),
        "about": _about(tasks, about, level, reduced),
        "data": _data(tasks, tags, items, level),
        "style": style,
        "script": script,
    }
    # One pass: what looks like a slot inside a slot stays as it is.
    template = (_FOLDER / "page.html").read_text("utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda slot: slots[slot[1]], template)


def _hash(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"


def _lead(tasks: Sequence[showcase.Task], tags: Sequence[str]) -> str:
    missing = sum(task.num_unanswerable for task in tasks)
    text = (
        "Every probe is looked up among all items of its gallery, those of the closest embeddings "
        f"first. Query lists: {html.escape(', '.join(tags))}."
    )
    if missing:
        total = sum(task.num_probes for task in tasks)
        text += f" {missing} of {total} probes have no match in their gallery and count 0."
    return text


def _tile(task: showcase.Task, tags: Sequence[str]) -> str:
    return (
        f'<li class="{task.direction}">{html.escape(figures.task_name(task, tags))}'
        f"<b>mAP {100 * task.mean_average_precision:.1f} %</b>"
        f'<span class="small">chance {100 * task.chance:.1f} %, {task.num_probes:,} probes</span>'
        "</li>"
    )


def _data(tasks: Sequence[showcase.Task], tags: Sequence[str], items: Items, level: _Level) -> str:
    """Returns the JSON that the script reads; every picture and sound is in it once."""
    table: list[dict[str, Any]] = []
    places: dict[tuple[str, str], int] = {}

    def place(modality: str, name: str) -> int:
        if (modality, name) not in places:
            places[modality, name] = len(table)
            table.append(_entry(modality, name, items[modality][name], level))
        return places[modality, name]

    shown = []
    for task in tasks:
        ask, answer = lists.MODALITIES[task.direction]
        probes = [
            {
                "item": place(ask, probe.id),
                "groups": probe.groups,
                "ap": round(probe.average_precision, 5),
                "first": probe.first_rank,
                "relevant": probe.num_relevant,
                "gallery": probe.gallery_size,
                "hits": [
                    [place(answer, hit.id), round(hit.score, 4), int(hit.match)]
                    for hit in probe.hits
                ],
            }
            for probe in task.probes
        ]
        name = figures.task_name(task, tags)
        shown.append(
            {"name": name, "ask": ask, "answer": answer, "total": task.num_probes, "probes": probes}
        )
    asked = {table[probe["item"]]["gender"] for task in shown for probe in task["probes"]}
    document = {"items": table, "tasks": shown, "genders": sorted(asked - {""})}
    # Inside <script>, only "<" could end the element or open another.
    return json.dumps(document, separators=(",", ":")).replace("<", "\\u003c")


def _entry(modality: str, name: str, item: clips.Item, level: _Level) -> dict[str, Any]:
    entry = {"id": name, "who": item.label, "gender": gender_name(item.gender)}
    if modality == "image":
        small = clips.thumbnail(item.content, level.size, level.quality)
        return {**entry, "src": clips.data_uri("image/jpeg", small)}
    sound = clips.clip(item.content, level.max_seconds, level.compression)
    peaks = clips.peaks(item.content, level.max_seconds)
    return {**entry, "src": clips.data_uri(*sound), "peaks": peaks}


def _curves(tag, tags, tasks, results, scores) -> str:
    head = f"<h3>{html.escape(tag)}</h3>" if len(tags) > 1 else ""
    return head + figures.curves(tag, tasks, results, scores)


def _about(tasks, about: Mapping[str, str], level: _Level, reduced: bool) -> str:
    shown = sum(len(task.probes) for task in tasks)
    total = sum(task.num_probes for task in tasks)
    carried = (
        f"{shown} of {total} probes; pictures of at most {level.size} pixels, "
        f"the first {level.max_seconds:g} seconds of each sound"
    )
    if reduced:
        carried += " (reduced so that the page stays within its size)"
    facts = {
        **about,
        "On this page": carried,
        "Score": "cosine of the two embeddings.",
        "AP": "average precision of one probe: the mean, over its matches in the gallery, of the "
        "share of matches down to that one. No cut-off; a tie counts against the match. mAP is its "
        "mean over all probes, and its chance level the expected value of a random order.",
        "Best, worst": "by average precision. Those drawn at random are drawn among all probes.",
    }
    rows = (f"<dt>{html.escape(k)}</dt><dd>{html.escape(v)}</dd>" for k, v in facts.items())
    return f"<dl>{''.join(rows)}</dl>"
