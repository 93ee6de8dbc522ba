"""One page of a run that learns from sounds and pictures of one moment: what sounds where.

Pictures with the map of where their sound comes from, and what the clusters mean, on the page of
`classification_page`. NumPy and HTML.
"""

import html
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tfav import registry
from tfav.annotations import boxes as boxes_lib
from tfav.evaluation import localisation
from tfav.reports import classification_page, clips, scene_plots, tables

DEAD_BELOW = 0.1  # of an even share, as the trainer counts dead clusters
MAX_CLUSTERS = 64
_SMALL = 144  # pixels of a picture among those of a cluster
_KINDS = {"image": "picture", "audio": "sound"}
_STYLE = """
.scenes, .examples { list-style: none; margin: 1rem 0; padding: 0; display: grid; gap: .75rem; }
.scenes { grid-template-columns: repeat(auto-fill, minmax(min(15rem, 100%), 1fr)); }
.examples { grid-template-columns: repeat(auto-fill, minmax(9rem, 1fr)); max-width: 60rem; }
.scenes li {
  padding: .75rem; background: var(--card); border: 1px solid var(--rule); border-radius: 10px;
}
.scenes img, .examples img { display: block; width: 100%; border-radius: 6px; }
.scenes p, .examples p { margin: .35rem 0; overflow-wrap: anywhere; line-height: 1.35; }
.examples p { font-size: .8125rem; }
audio { display: block; width: 100%; height: 2.5rem; }
"""


class _Detail(NamedTuple):
    """How much a page holds: seconds of a scene's sound, of an example's, clusters."""

    scene_seconds: float
    example_seconds: float
    num_clusters: int


# The first that fits is taken.
_DETAILS = (_Detail(10, 3, MAX_CLUSTERS), _Detail(10, 0, MAX_CLUSTERS), _Detail(3, 0, 10))


class Scene(NamedTuple):
    """A picture and its sound.

    Attributes:
      id: of the row.
      label: of the row.
      image: [S, S, 3] uint8.
      heat: [H, W], where the sound comes from.
      boxes: in fractions of the picture; none where nobody marked it.
      sound: [T] float32 in [-1, 1], 16 kHz.
    """

    id: str
    label: str
    image: np.ndarray
    heat: np.ndarray
    boxes: Sequence[boxes_lib.Box]
    sound: np.ndarray


class Example(NamedTuple):
    """A row that uses a cluster.

    Attributes:
      id: of the row.
      label: of the row.
      image: [S, S, 3] uint8.
      heat: [H, W] in [0, 1], what each place has of the cluster; None where a sound has it.
      sound: [T] float32 in [-1, 1], 16 kHz; None where a picture has it.
      strongest: the greatest assignment of a position to the cluster.
      share: the mean assignment.
    """

    id: str
    label: str
    image: np.ndarray
    heat: np.ndarray | None
    sound: np.ndarray | None
    strongest: float
    share: float


class Clusters(NamedTuple):
    """The clusters of one modality.

    Attributes:
      usage: [K], the share of all positions that each has; sums to 1.
      examples: of each, the rows that use it most, best first.
    """

    usage: np.ndarray
    examples: Sequence[Sequence[Example]]


def build(
    results: tables.Results,
    scenes: Mapping[str, Sequence[Scene]],
    clusters: Mapping[str, Mapping[str, Clusters]],
    figures: Mapping[str, bytes],
    *,
    title: str,
    about: Mapping[str, str],
    descriptions: Mapping[str, str] | None = None,
    max_megabytes: float = 20.0,
) -> str:
    """Returns the page.

    Args:
      results: of `correspondence.evaluate` and `localisation.evaluate`.
      scenes: tag to what is shown of it.
      clusters: tag to modality (`image`, `audio`) to its clusters.
      figures: see `classification_page.build`.
      title: of the page.
      about: facts to print: name -> text.
      descriptions: see `classification_page.build`.
      max_megabytes: the page is no larger: fewer and shorter sounds, then fewer clusters.

    Raises:
      UserError: even the smallest page is larger.
    """
    for detail in _DETAILS:
        sections = {
            f"Where the sound comes from: {tag}": _scenes(found, detail)
            for tag, found in scenes.items()
        }
        sections |= {
            f"What the clusters mean: {tag}": _clusters(found, detail)
            for tag, found in clusters.items()
        }
        text = classification_page.build(
            results,
            figures,
            title=title,
            about=about,
            descriptions=descriptions,
            sections=sections,
            style=_STYLE,
        )
        megabytes = len(text.encode()) / 1e6
        if megabytes <= max_megabytes:
            return text
    raise registry.UserError(
        f"the smallest page of {title} has {megabytes:.1f} MB and --max_mb={max_megabytes:g}: "
        "allow more, or name fewer of --tags."
    )


def verdict(heat: np.ndarray, boxes: Sequence[boxes_lib.Box]) -> str:
    """Returns in words whether the maximum of a map [H, W] lies inside a box."""
    if heat.max() == heat.min():
        return "The map is the same everywhere: it points nowhere."
    if not boxes:
        return "Nobody marked this picture."
    inside = localisation.points_inside(heat, localisation.consensus(boxes))
    return f"The maximum lies {'inside a box' if inside else 'outside every box'}."


def _scenes(scenes: Sequence[Scene], detail: _Detail) -> str:
    marked = [s for s in scenes if s.boxes]
    words = "The warmer the colour, the more a place sounds; the cross is the maximum."
    if marked:
        words += " Frames are what annotators marked."
        inside = sum("inside" in verdict(s.heat, s.boxes) for s in marked)
        words += f" Of the {len(marked)} marked pictures shown, {inside} have the maximum inside."
    items = "".join(_scene(scene, detail.scene_seconds) for scene in scenes)
    return f'<p>{words}</p><ul class="scenes">{items}</ul>'


def _scene(scene: Scene, seconds: float) -> str:
    label, name = html.escape(scene.label), html.escape(scene.id)
    said = verdict(scene.heat, scene.boxes)
    source = _jpeg(scene_plots.overlay(scene.image, scene.heat, scene.boxes, localisation.SIZE))
    where = ""
    if scene.heat.max() > scene.heat.min():
        size = localisation.SIZE
        y, x = divmod(int(np.argmax(localisation.upsample(scene.heat, size))), size)
        across, down = round(100 * x / size), round(100 * y / size)
        where = f"sounds most at {across} % from the left, {down} % from the top. "
    return (
        f'<li><img src="{source}" alt="{label}: {where}{said}"><p><b>{label}</b> '
        f'<span class="small">{name}</span></p><p>{said}</p>'
        f"{_player(scene.sound, seconds, name)}</li>"
    )


def _player(sound: np.ndarray, seconds: float, name: str) -> str:
    """Returns a player of [T] float32; `name` is escaped."""
    pcm = np.round(32767 * np.clip(sound, -1, 1)).astype("<i2").tobytes()
    source = clips.data_uri(*clips.clip(pcm, seconds, 0.5))
    return (
        f'<audio controls preload="metadata" src="{source}" aria-label="Sound of {name}"></audio>'
    )


def _clusters(clusters: Mapping[str, Clusters], detail: _Detail) -> str:
    parts = [
        "<p>For each cluster, the rows of which a position of the picture, or a moment of the "
        "sound, belongs to it most: its strongest assignment, and its mean over all positions. "
        "On pictures, the warmer the colour the more a place belongs to the cluster; the cross is "
        "the strongest place.</p>"
    ]
    for modality, found in clusters.items():
        count = len(found.usage)
        dead = [str(k) for k in np.flatnonzero(found.usage < DEAD_BELOW / count)]
        words = f"{', '.join(dead)} of {count}" if dead else f"none of {count}"
        parts.append(
            f"<p>Dead clusters of {_KINDS[modality]}s, which have less than a tenth of an even "
            f"share: {words}.</p>"
        )
    total = max(len(found.usage) for found in clusters.values())
    if total > detail.num_clusters:
        parts.append(f"<p>The first {detail.num_clusters} of {total} clusters are shown.</p>")
    for k in range(min(total, detail.num_clusters)):
        parts.append(f"<h3>Cluster {k}</h3>")
        for modality, found in clusters.items():
            if k < len(found.usage):
                parts.append(_strip(k, modality, found, detail))
    return "".join(parts)


def _strip(k: int, modality: str, found: Clusters, detail: _Detail) -> str:
    kind, usage = _KINDS[modality], found.usage[k]
    dead = "; dead" if usage < DEAD_BELOW / len(found.usage) else ""
    items = []
    for e in found.examples[k]:
        source = _jpeg(scene_plots.overlay(e.image, e.heat, (), _SMALL))
        label, name = html.escape(e.label), html.escape(e.id)
        figures = f"strongest {100 * e.strongest:.0f} %, mean {100 * e.share:.1f} %"
        heard = e.sound is not None and detail.example_seconds
        player = _player(e.sound, detail.example_seconds, name) if heard else ""
        items.append(
            f'<li><img src="{source}" alt="{label}, {name}: {figures} in cluster {k}">'
            f'<p><b>{label}</b><br><span class="small">{figures}</span></p>{player}</li>'
        )
    return (
        f"<p>By {kind}: {100 * usage:.1f} % of all positions{dead}.</p>"
        f'<ul class="examples" aria-label="Rows whose {kind} uses cluster {k} most">'
        f"{''.join(items)}</ul>"
    )


def _jpeg(content: bytes) -> str:
    return clips.data_uri("image/jpeg", content)
