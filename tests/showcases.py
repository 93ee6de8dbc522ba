"""A retrieval small enough to check by eye, with pictures and sounds, for pages and films."""

import io

import numpy as np
from PIL import Image

from tfav.annotations import lists
from tfav.evaluation import space as spaces
from tfav.reports import inline, showcase

HOSTILE = "<img src=x onerror=alert(1)></script><script>alert(2)</script>&\"'.wav"


def jpeg(colour: tuple[int, int, int], size: int = 64, **more) -> bytes:
    """A picture of one colour."""
    file = io.BytesIO()
    Image.new("RGB", (size, size), colour).save(file, "JPEG", **more)
    return file.getvalue()


def pcm(pitch_hz: float, seconds: float = 0.5) -> bytes:
    """A hum."""
    time = np.arange(int(16_000 * seconds)) / 16_000
    return np.round(9_000 * np.sin(2 * np.pi * pitch_hz * time)).astype("<i2").tobytes()


def small(
    num_probes: int = 30, gender: bool = True, names: tuple[str, ...] = ("ada", "bo", "cy", HOSTILE)
) -> tuple[list[showcase.Task], dict[str, dict[str, inline.Item]], spaces.Space]:
    """Returns the tasks of both directions, what they show, and the embeddings.

    Identity i has the embedding of angle 20 i degrees, its two voices at +-2 and its face at 0: so
    each probe finds its own first, and then the neighbours.
    """

    def at(degrees: float) -> np.ndarray:
        return np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])

    items: dict[str, dict[str, inline.Item]] = {"audio": {}, "image": {}}
    vectors: dict[str, dict[str, np.ndarray]] = {"audio": {}, "image": {}}
    for i, name in enumerate(names):
        sex = ("f", "m")[i % 2] if gender else ""
        for j, turn in enumerate((-2, 2)):
            items["audio"][f"{name}/{j}"] = inline.Item(pcm(150 + 40 * i), name, sex)
            vectors["audio"][f"{name}/{j}"] = at(20 * i + turn)
        items["image"][name] = inline.Item(jpeg((60 * i, 200 - 40 * i, 90)), name, sex)
        vectors["image"][name] = at(20 * i)
    labels = {name: item.label for side in items.values() for name, item in side.items()}
    space = spaces.Space(vectors, labels)
    tasks = []
    for direction, (probe, answer) in lists.MODALITIES.items():
        name = lists.ListName("retrieval", "unrestricted", direction, None, "test")
        gallery = lists.Gallery(list(items[probe]), list(items[answer]))
        tasks.append(showcase.task(name, [gallery], space, origin="a list", num_probes=num_probes))
    return tasks, items, space
