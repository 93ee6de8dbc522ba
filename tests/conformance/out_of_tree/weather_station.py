"""A source, with an option of its own: one function, and its row."""

import os

from tfav import values
from tfav.data.prepare import manifest, sources

HERE = __name__.rpartition(".")[0]


def rows(options):
    """The first days of a folder that holds a clip, an image and a table of each."""
    found = []
    for day in range(options.own.get("days", 1)):
        stem = os.path.join(options.root, str(day))
        found.append(
            manifest.Row(
                f"day{day}",
                ("train", "train", "val", "test")[day // 2 % 4],
                "hot" if day % 2 else "cold",
                audio=f"{stem}.wav",
                image=f"{stem}.png",
                further={"weather": (f"{stem}.txt",)},
                kinds={"weather": f"{HERE}.thermometer.THERMOMETER"},
            )
        )
    return found


SOURCE = sources.Source(
    rows,
    "a weather station",
    reads=("root",),
    labels=sources.CLASSES,
    own={"days": values.whole(1, 1000, "days to list")},
)
