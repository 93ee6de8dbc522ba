"""MAV-Celeb: voices and faces of people who speak two languages (versions 1 to 3).

`--root` holds `voices/<id>/<language>/<video>/<file>` and `faces/<id>/<language>/<video>/<file>`,
as FAME hands them out; a version is told by its languages (1: English and Urdu, 2: English and
Hindi, 3: English and German). A model trains on one language, which it has `heard`, and is
evaluated on people whom it has not seen, in both.

No official list was at hand: whose ids are tests is read from `--split_csv`, a text file of ids
(one per line) that test, or drawn by `--test_fraction`.
"""

import os

from tfav import registry
from tfav.data.prepare import manifest
from tfav.data.prepare.sources import parts
from tfav.media import formats

NAME = "mav_celeb"
FOLDERS = {"audio": "voices", "image": "faces"}
_COLUMNS = ("language", "heard")


def rows(options: manifest.Options) -> list[manifest.Row]:
    """Returns a row per file; its id is its path below the root.

    The split is `train` or `val` of files in the language `heard`, `test` of those of the people
    who test, and `unheard` of theirs in the other language; what people who train say in the other
    language is left out. `language`, and `heard` (`yes` or `no`), are further columns.

    Raises:
      UserError: a folder, a list or an option does not fit.
    """
    root = parts.folder(options.root, NAME, "root", tuple(FOLDERS.values()))
    files = [(m, name) for m, folder in FOLDERS.items() for name in _files(root, folder, m)]
    languages = sorted({name.split("/")[2] for _, name in files})
    heard = options.own.get("heard", "")
    if heard not in languages:
        raise registry.UserError(
            f"--source_option=heard={heard}: name the language that the model trains on, one of "
            f"{', '.join(languages) or 'none'}."
        )
    people = sorted({name.split("/")[1] for _, name in files})
    testing = _testing(people, options)
    val = parts.carve({x: "" for x in people if x not in testing}, options)
    carried = parts.columns(options, _COLUMNS, NAME)
    found = []
    for modality, name in files:
        _, person, language, *_ = name.split("/")
        known = language == heard
        if not known and person not in testing:
            continue
        split = "val" if person in val else "train"
        if person in testing:
            split = "test" if known else "unheard"
        path = {modality: os.path.join(root, name)}
        its = {"language": language, "heard": "yes" if known else "no"}
        row = manifest.Row(
            id=name,
            split=split,
            label=person,
            extra={column: its[column] for column in carried},
            audio=path.get("audio"),
            image=path.get("image"),
        )
        manifest.check_words(row, name)
        found.append(row)
    return parts.ordered(found, people)


def _files(root: str, folder: str, modality: str) -> list[str]:
    """Returns the paths of a modality's files below the root, sorted."""
    found = []
    for name in sorted(formats.below(os.path.join(root, folder))):
        if formats.modality(name) == modality and len(name.split("/")) >= 3:
            found.append(f"{folder}/{name}")
    if not found:
        raise registry.UserError(
            f"--root={root} holds no {folder}/<id>/<language>/<file> of {modality}: give the "
            "folder that MAV-Celeb was unpacked to."
        )
    return found


def _testing(people: list[str], options: manifest.Options) -> set[str]:
    """Returns the people who test."""
    if not options.split_csv:
        found = parts.carve(dict.fromkeys(people, ""), options, "test_fraction")
        if not found:
            raise registry.UserError(
                f"--source={NAME} needs --split_csv=FILE, the ids that test, or --test_fraction."
            )
        return found
    named = {line.split()[0] for path in options.split_csv for _, line in parts.read_lines(path)}
    unknown = sorted(named - set(people))
    if unknown:
        raise registry.UserError(
            f"{options.split_csv[0]} names {unknown[0]!r}, who has no folder: correct the list."
        )
    return named
