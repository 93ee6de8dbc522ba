"""The page on which a retrieval can be heard and seen."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tfav.annotations import lists
from tfav.evaluation.result import Result
from tfav.reports import curves, inline, names, page, rendering, showcase, tables

_GENDERS = {"f": "female", "m": "male"}

Items = Mapping[str, Mapping[str, inline.Item]]


def build(
    tasks: Sequence[showcase.Task],
    results: Sequence[Result],
    scores: curves.Scores,
    items: Items,
    frame: page.Frame,
) -> str:
    """Returns the page.

    Args:
      tasks: what to listen to, at least one.
      results: Results of `query_lists.evaluate`, of one tag or several; may be empty.
      scores: Scores of `query_lists.verification_scores`: {list file name: (score [T], label [T])}.
      items: modality -> id -> what to play or to show, of every probe and hit of `tasks`.
      frame: what stands round them. To keep to its size, images are smaller, then clips shorter,
        then probes fewer; without media there are no probes, and `items` is not looked at.

    Raises:
      UserError: not even one probe of each kind fits.
    """
    drawn = {
        tag: [c for c in _charts(tag, tasks, results, scores) if c]
        for tag in dict.fromkeys(task.tag for task in tasks)
    }
    if not frame.media:
        bare = _page(tasks, results, drawn, items, None, frame, reduced=False)
        return rendering.fitting([bare], frame.max_megabytes, "the page without any probe")
    least = list(_shrinking(tasks))[-1][1]
    shown = sum(len(task.probes) for task in least)
    content = f"a page of only {shown} probe{'s' if shown > 1 else ''} with small images and clips"
    candidates = (
        _page(kept, results, drawn, items, level, frame, reduced=number > 0)
        for number, (level, kept) in enumerate(_shrinking(tasks))
    )
    return rendering.fitting(candidates, frame.max_megabytes, content)


def gender_name(gender: str) -> str:
    """Returns what a reader understands by the data's word for a gender."""
    return _GENDERS.get(gender.lower(), gender)


def task_name(task: showcase.Task, tags: Sequence[str]) -> str:
    """Returns what a reader calls a task; its tag is said only where there are several."""
    name = names.LONG[task.direction]
    if task.stratum != lists.STRATA[0]:
        name += f", {names.stratum(task.stratum)}"
    return f"{name}, {task.tag}" if len(tags) > 1 else name


def _charts(
    tag: str,
    tasks: Sequence[showcase.Task],
    results: Sequence[Result],
    scores: curves.Scores,
) -> list[curves.Chart | None]:
    of_tag = [result for result in results if result.tag == tag]
    recall = [
        (task.direction, task.stratum, task.recall, task.chance_recall)
        for task in tasks
        if task.tag == tag
    ]
    return [curves.roc(of_tag, scores), curves.recall(recall), curves.matching(of_tag)]


def _shrinking(
    tasks: Sequence[showcase.Task],
) -> Iterator[tuple[inline.Level, Sequence[showcase.Task]]]:
    for level in inline.LEVELS:  # the first one that fits is taken, and only then fewer probes
        yield level, tasks
    while True:
        fewer = [_thinned(task) for task in tasks]
        if all(len(less.probes) == len(task.probes) for less, task in zip(fewer, tasks)):
            return
        yield inline.LEVELS[-1], fewer
        tasks = fewer


def _thinned(task: showcase.Task) -> showcase.Task:
    """Leaves the better half of the best, the worse half of the worst, every other of the rest."""
    kept: set[int] = set()
    for group in ("all", *showcase.GROUPS):
        rows = [row for row, probe in enumerate(task.probes) if group in probe.groups]
        half = (len(rows) + 1) // 2
        kept |= set({"best": rows[:half], "worst": rows[-half:]}.get(group, rows[::2]))
    return task._replace(probes=[task.probes[row] for row in sorted(kept)])


def _page(
    tasks: Sequence[showcase.Task],
    results: Sequence[Result],
    drawn: Mapping[str, Sequence[curves.Chart]],
    items: Items,
    level: inline.Level | None,
    frame: page.Frame,
    reduced: bool,
) -> str:
    """Returns the page; without a level it has no probes."""
    tags = list(dict.fromkeys(task.tag for task in tasks))
    return rendering.render(
        "lists.html",
        frame,
        results,
        audio=level is not None,
        script=level is not None,
        probes=level is not None,
        lead=_lead(tasks, tags),
        tiles=[
            page.Tile(task_name(task, tags), task.result, "mAP", task.direction) for task in tasks
        ],
        top=max((len(p.hits) for task in tasks for p in task.probes), default=0),
        curves=drawn,
        note=tables.interval_note(results),
        about=_about(tasks, results, frame.about, level, reduced),
        data=level and _data(tasks, tags, items, level),
    )


def _lead(tasks: Sequence[showcase.Task], tags: Sequence[str]) -> str:
    missing = sum(task.num_unanswerable for task in tasks)
    text = (
        "Every probe is looked up among all items of its gallery, those of the closest embeddings "
        f"first. Query lists: {', '.join(tags)}."
    )
    if missing:
        total = sum(task.num_probes for task in tasks)
        text += f" {missing} of {total} probes have no match in their gallery and count 0."
    return text


def _data(
    tasks: Sequence[showcase.Task], tags: Sequence[str], items: Items, level: inline.Level
) -> dict[str, Any]:
    """Returns what the script reads; every image and clip is in it once."""
    table: list[dict[str, Any]] = []
    places: dict[tuple[str, str], int] = {}

    def place(modality: str, name: str) -> int:
        if (modality, name) not in places:
            places[modality, name] = len(table)
            table.append(_entry(modality, name, items[modality][name], level))
        return places[modality, name]

    shown: list[dict[str, Any]] = []
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
        name = task_name(task, tags)
        shown.append(
            {"name": name, "ask": ask, "answer": answer, "total": task.num_probes, "probes": probes}
        )
    asked = {table[probe["item"]]["gender"] for task in shown for probe in task["probes"]}
    return {"items": table, "tasks": shown, "genders": sorted(asked - {""})}


def _entry(modality: str, name: str, item: inline.Item, level: inline.Level) -> dict[str, Any]:
    entry = {"id": name, "who": item.label, "gender": gender_name(item.gender)}
    if modality == "image":
        return {**entry, "src": inline.image_at(item.content, level)}
    peaks = inline.peaks(item.content, level.max_seconds)
    return {**entry, "src": inline.audio_at(item.content, level), "peaks": peaks}


def _about(
    tasks: Sequence[showcase.Task],
    results: Sequence[Result],
    about: Mapping[str, str],
    level: inline.Level | None,
    reduced: bool,
) -> dict[str, str]:
    if level is None:
        return {
            **about,
            "On this page": "figures alone, without any image, clip or id of the data",
            **page.facts([*results, *(task.result for task in tasks)]),
        }
    shown = sum(len(task.probes) for task in tasks)
    total = sum(task.num_probes for task in tasks)
    carried = (
        f"{shown} of {total} probes; images of at most {level.size} pixels, "
        f"the first {level.max_seconds:g} seconds of each clip"
    )
    if reduced:
        carried += " (reduced so that the page stays within its size)"
    return {
        **about,
        "On this page": carried,
        "Score": "The cosine of the two embeddings.",
        "AP": "Average precision of one probe, whose mean over all probes is mAP.",
        "Best, worst": "By average precision. Those drawn at random are drawn among all probes.",
        **page.facts([*results, *(task.result for task in tasks)]),
    }
