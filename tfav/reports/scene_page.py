"""The page of a run that learns from audio and images of one moment: what sounds where.

Images with the map of where their sound comes from, and what the clusters mean.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tfav.evaluation import correspondence, localisation
from tfav.evaluation.result import Result
from tfav.reports import inline, page, rendering, scene_plots
from tfav.reports.scene_examples import Clusters, Scene, Scenes

MAX_CLUSTERS = 64
_SMALL = 144  # pixels of an image among those of a cluster
_STYLES = {True: "match", False: "mismatch", None: ""}


class _Detail(NamedTuple):
    """How much a page holds: seconds of a scene's audio, of an example's, clusters."""

    scene_seconds: float
    example_seconds: float
    num_clusters: int


# The first that fits is taken.
_DETAILS = (_Detail(10, 3, MAX_CLUSTERS), _Detail(10, 0, MAX_CLUSTERS), _Detail(3, 0, 10))


def build(
    results: Sequence[Result],
    scenes: Mapping[str, Scenes],
    clusters: Mapping[str, Mapping[str, Clusters]],
    pictures: Sequence[page.Picture],
    frame: page.Frame,
) -> str:
    """Returns the page.

    Args:
      results: Results of `correspondence.evaluate` and `localisation.evaluate`.
      scenes: tag to what is shown of it.
      clusters: tag to modality (`image`, `audio`) to its clusters.
      pictures: drawings, in the order to show.
      frame: what stands round them. To keep to its size, clips are fewer and shorter, then clusters
        fewer. Without media there is no scene, and of clusters how many are dead.

    Raises:
      UserError: even the smallest page is larger.
    """
    first = {r.metric: r.direction for r in reversed(results)}
    tiles = [
        page.Tile(f"{r.tag}: {r.name}, {r.direction}", r)
        for r in results
        if r.metric in (correspondence.AUC, localisation.POINTING)
        and r.direction == first[r.metric]
    ]
    details = _DETAILS if frame.media else (_Detail(0, 0, 0),)
    scenes = scenes if frame.media else {}
    candidates = (
        rendering.render(
            "pairs.html",
            frame,
            results,
            audio=frame.media and bool(scenes or clusters),
            tiles=tiles,
            scenes=[_scenes(tag, found, detail) for tag, found in scenes.items()],
            clusters=[_clusters(tag, found, detail) for tag, found in clusters.items()],
            pictures=pictures,
            about={**frame.about, **page.facts(results)},
        )
        for detail in details
    )
    return rendering.fitting(candidates, frame.max_megabytes, "the page with the shortest clips")


def verdict(scene: Scene) -> str:
    """Returns in words where the maximum of a scene's map lies."""
    if scene.heat.max() == scene.heat.min():
        return "The map is the same everywhere: it points nowhere."
    if scene.hit is None:
        return "No box is marked in this image."
    return f"The maximum lies {'inside a box' if scene.hit else 'outside every box'}."


def _scenes(tag: str, scenes: Scenes, detail: _Detail) -> dict[str, Any]:
    words = "The warmer the colour, the more a place sounds."
    if scenes.num_marked:
        words += (
            " Frames are what annotators marked. The maximum lies inside a box in "
            f"{scenes.num_hits} of the {scenes.num_marked} marked images of the split."
        )
    groups = []
    totals: dict[bool | None, int] = {
        True: scenes.num_hits,
        False: scenes.num_marked - scenes.num_hits,
    }
    for hit, name in {True: "Hits", False: "Misses", None: "Not marked"}.items():
        of_kind = [scene for scene in scenes.shown if scene.hit is hit]
        if of_kind:
            total = totals.get(hit)
            of_all = f" of {total}, drawn at random" if total and total > len(of_kind) else ""
            heading = f"{name} ({len(of_kind)}{of_all})"
            shown = [_scene(scene, detail.scene_seconds) for scene in of_kind]
            groups.append({"heading": heading, "scenes": shown})
    return {"tag": tag, "words": words, "marked": scenes.num_marked, "groups": groups}


def _scene(scene: Scene, seconds: float) -> dict[str, str]:
    size, said = localisation.SIZE, verdict(scene)
    where = ""
    if scene.heat.max() > scene.heat.min():
        y, x = divmod(int(np.argmax(localisation.upsample(scene.heat, size))), size)
        across, down = round(100 * x / size), round(100 * y / size)
        where = f"sounds most at {across} % from the left, {down} % from the top. "
    return {
        "id": scene.id,
        "label": scene.label,
        "style": _STYLES[scene.hit],
        "plain": _jpeg(scene_plots.overlay(scene.image, None, scene.boxes, size)),
        "map": _jpeg(scene_plots.overlay(scene.image, scene.heat, scene.boxes, size)),
        "alt": f"{scene.label}: {where}{said}",
        "verdict": said,
        "audio": _clip(scene.audio, seconds),
    }


def _clip(audio: np.ndarray, seconds: float) -> str:
    """Returns the first seconds of [T] float32 as a data URI."""
    pcm = np.round(32767 * np.clip(audio, -1, 1)).astype("<i2").tobytes()
    return inline.data_uri(*inline.clip(pcm, seconds, 0.5))


def _clusters(tag: str, clusters: Mapping[str, Clusters], detail: _Detail) -> dict[str, Any]:
    words = []
    for modality, found in clusters.items():
        count, dead = len(found.usage), [str(k) for k in np.flatnonzero(found.dead)]
        which = f"{', '.join(dead)} of {count}" if dead else f"none of {count}"
        words.append(
            f"Dead {modality} clusters, which have less than a tenth of an even share: {which}."
        )
    total = max(len(found.usage) for found in clusters.values())
    if total > detail.num_clusters > 0:
        words.append(f"The first {detail.num_clusters} of {total} clusters are shown.")
    shown = []
    for k in range(min(total, detail.num_clusters)):
        strips = {m: f for m, f in clusters.items() if k < len(f.usage)}
        usage = (f"{100 * f.usage[k]:.1f} % of {m} positions" for m, f in strips.items())
        shown.append(
            {
                "number": k,
                "usage": ", ".join(usage),
                "strips": [_strip(k, m, f, detail.example_seconds) for m, f in strips.items()],
            }
        )
    return {"tag": tag, "words": words, "clusters": shown}


def _strip(k: int, modality: str, found: Clusters, seconds: float) -> dict[str, Any]:
    examples = [
        {
            "id": e.id,
            "label": e.label,
            "figures": f"strongest {100 * e.strongest:.0f} %, mean {100 * e.share:.1f} %",
            "image": _jpeg(scene_plots.overlay(e.image, e.heat, (), _SMALL)),
            "audio": _clip(e.audio, seconds) if e.audio is not None and seconds else "",
        }
        for e in found.examples[k]
    ]
    usage = f"{100 * found.usage[k]:.1f}"
    return {"kind": modality, "usage": usage, "dead": found.dead[k], "examples": examples}


def _jpeg(content: bytes) -> str:
    return inline.data_uri("image/jpeg", content)
