"""Whether all that rows name lies in one folder: for manifests that somebody else wrote."""

import os
from collections.abc import Iterator, Sequence

from tfav import registry
from tfav.data.prepare import manifest


def check(rows: Sequence[manifest.Row], root: str) -> None:
    """Refuses rows that lead out of a folder, whatever way: `..`, an absolute path, or a link.

    Of a folder of images its files are looked at too, as links among them may lead out.

    Args:
      rows: whose files are to be read.
      root: the folder, itself perhaps a link.

    Raises:
      UserError: names the row, its file and where that leads.
    """
    if not os.path.isdir(root):
        raise registry.UserError(
            f"--confine={root} is no folder: name the one that holds the files."
        )
    place = os.path.realpath(root)
    for row in rows:
        for path in row.paths:
            for one in (path, *_inside(path)):
                found = os.path.realpath(one)
                if os.path.commonpath([place, found]) != place:
                    raise registry.UserError(
                        f"the row {row.id!r} names {one}, which leads to {found} and out of "
                        f"--confine={root}: correct the manifest, or move the file below that "
                        "folder."
                    )


def _inside(path: str) -> Iterator[str]:
    if os.path.isdir(path):
        for folder, folders, names in os.walk(path):
            yield from (os.path.join(folder, name) for name in (*folders, *names))
