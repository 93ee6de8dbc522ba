"""A manifest from two folders, one of voices and one of faces, in which folders are people."""

import csv
import io
import os
import re
import urllib.parse
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tfav import registry
from tfav.media import formats

# The fewest people: two to validate on, two to test on, and four to tell apart.
FEWEST = 8
_HELD_OUT = 0.15  # share of the people of each of val and test
_COLUMNS = ("id", "split", "label", "audio", "image")


class Found(NamedTuple):
    """What two folders hold.

    Attributes:
      files: person to modality to paths below that modality's folder.
      split: person to `train`, `val` or `test`.
      alone: modality to the people that it alone has, who are left out.
    """

    files: Mapping[str, Mapping[str, Sequence[str]]]
    split: Mapping[str, str]
    alone: Mapping[str, Sequence[str]]

    def count(self, split: str) -> int:
        """Returns how many people a split has."""
        return sum(its == split for its in self.split.values())


def find(roots: Mapping[str, str], seed: int = 0) -> Found:
    """Returns the people that both folders have, with their files and a split of each.

    Args:
      roots: `audio` and `image` to their folders.
      seed: Random seed of the splits.

    Raises:
      UserError: each way in which two folders can be wrong; names it, and what to do.
    """
    for modality, root in roots.items():
        if not os.path.isdir(root):
            state = "is a file" if os.path.exists(root) else "does not exist"
            raise registry.UserError(
                f"--{modality}={root} {state}: name a folder that holds one folder per person."
            )
    audio, image = (os.path.realpath(root) for root in roots.values())
    if audio == image:
        raise registry.UserError(
            f"--audio and --image are one folder, {roots['audio']}: name one of voices and one of "
            "faces."
        )
    people = {modality: _people(modality, root) for modality, root in roots.items()}
    both = sorted(people["audio"].keys() & people["image"].keys())
    if not both:
        shown = {m: ", ".join(sorted(found)[:3]) for m, found in people.items()}
        raise registry.UserError(
            f"no person has a folder in both --audio ({shown['audio']}, ...) and --image "
            f"({shown['image']}, ...): give the folders of one person the same name in both."
        )
    if len(both) < FEWEST:
        raise registry.UserError(
            f"{len(both)} people have voices and faces ({', '.join(both[:3])}, ...) and at least "
            f"{FEWEST} are needed, of whom four train, two validate and two test: add more people."
        )
    held = max(2, round(_HELD_OUT * len(both)))
    order = np.random.default_rng(seed).permutation(len(both))
    splits = ["test"] * held + ["val"] * held + ["train"] * (len(both) - 2 * held)
    split = {both[place]: name for place, name in zip(order, splits)}
    files = {person: {m: found[person] for m, found in people.items()} for person in both}
    alone = {m: sorted(found.keys() - set(both)) for m, found in people.items()}
    return Found(files, split, alone)


def manifest(found: Found, roots: Mapping[str, str]) -> str:
    """Returns the CSV text of a manifest: one row per file, with absolute paths."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for person, of_person in found.files.items():
        for modality, paths in of_person.items():
            for path in paths:
                whole = os.path.abspath(os.path.join(roots[modality], path))
                cells = {"audio": "", "image": "", modality: whole}
                name = f"{modality}/{_word(path)}"
                row = [name, found.split[person], _label(person), cells["audio"], cells["image"]]
                writer.writerow(row)
    return text.getvalue()


def _people(modality: str, root: str) -> dict[str, list[str]]:
    """Returns person to the paths, below `root`, of the files of a modality in their folder.

    What else lies there is counted in the log.
    """
    found: dict[str, list[str]] = {}
    left_out = formats.LeftOut()
    others = loose = 0
    for name in sorted(formats.below(root), key=os.path.split):  # a folder's own files first
        its = formats.modality(name)
        if its == modality and os.path.dirname(name):
            found.setdefault(name.split("/")[0], []).append(name)
            continue
        left_out.add([os.path.join(root, name)])
        loose += its == modality
        others += its is not None and its != modality
    if found:
        left_out.warn(f"--{modality}={root}")
        return found
    if loose:
        raise registry.UserError(
            f"--{modality}={root} holds {loose} {modality} files and no folder per person: put the "
            "files of each person into a folder with that person's name."
        )
    if others:
        other = {"audio": "image", "image": "audio"}[modality]
        raise registry.UserError(
            f"--{modality}={root} holds {others} files and none of {modality}: is it the folder of "
            f"--{other}? Name the folder of {modality} files."
        )
    raise registry.UserError(
        f"--{modality}={root} holds no {modality} file: name a folder that holds one folder per "
        "person."
    )


def _label(person: str) -> str:
    """Returns a person's name as it is written: with its inner blanks, no odd white space."""
    return re.sub(r"[^\S ]|^ | $|%", lambda found: urllib.parse.quote(found[0]), person)


def _word(text: str) -> str:
    """Returns a name without white space, unequal names unequal."""
    return re.sub(r"[\s%]", lambda found: urllib.parse.quote(found[0]), text)
