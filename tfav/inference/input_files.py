"""Which files a user's inputs hold, and which modality of a model each of them is of."""

import os
from collections.abc import Mapping, Sequence

from absl import logging

from tfav import registry
from tfav.data import kinds
from tfav.inference import spaces
from tfav.items import ItemSpec
from tfav.media import array_tables, bad_file, formats

Item = tuple[str, str]  # id, path


def find(
    inputs: Sequence[str], items: Mapping[str, ItemSpec] | None = None, modality: str = ""
) -> dict[str, list[Item]]:
    """Returns the files of each modality below `inputs`, sorted, as (id, path).

    Which files those are is told by the suffixes of audio, of images and of the kinds of the
    model's other modalities; what else a folder holds is counted in the log. A file is of the
    modality that has the name of its kind, or else of the only one of that kind. The id of a file
    inside a folder is its path relative to that folder, that of a file named outright its path as
    given. Of a table of vectors (`media.array_tables`), which may be written FILE@MODALITY, every
    row is an input, and its id is that of the row.

    Args:
      inputs: files and folders.
      items: modality of the model to what one item is; None: audio and images alone.
      modality: the only one wanted; empty: all.

    Raises:
      UserError: an input does not exist, is of no known kind or of one that several modalities
        have, or nothing was found.
    """
    by_suffix = _modalities_by_suffix(items or {}, modality)
    found: dict[str, list[Item]] = {m: [] for names in by_suffix.values() for m in names}
    known = ", ".join(by_suffix)
    left_out = formats.LeftOut()
    for top in inputs:
        if os.path.isdir(top):
            for name in sorted(formats.below(top), key=os.path.split):  # a folder's own files first
                path = os.path.join(top, name)
                its = _modality_of(name, by_suffix)
                if its is not None:
                    found[its].append((name, path))
                else:
                    left_out.add([path])
            continue
        place = array_tables.split(top)
        if not os.path.exists(place.file):
            raise registry.UserError(f"{top} does not exist: correct the path.")
        if os.path.splitext(place.file)[1].lower() in array_tables.READERS:
            for its, rows in _rows_of_table(place, items or {}, modality).items():
                found.setdefault(its, []).extend(rows)
            continue
        its = _modality_of(top, by_suffix)
        if its is None:
            raise registry.UserError(
                f"{top} is neither {' nor '.join(found)}: the inputs may be {known}."
            )
        found[its].append((top, top))
    left_out.warn(", ".join(os.fspath(top) for top in inputs if os.path.isdir(top)))
    if not any(found.values()):
        raise registry.UserError(
            f"no {' or '.join(found)} in {', '.join(inputs)}: the inputs may be {known}."
        )
    for of_modality in found.values():
        _check_names(of_modality)
    return found


def _rows_of_table(
    place: array_tables.Place, items: Mapping[str, ItemSpec], modality: str
) -> dict[str, list[Item]]:
    """Returns the rows of a table, or the one that is named, by the modality that they are of.

    Raises:
      UserError: it cannot be read, the model has no modality of vectors for it, or several, or
        was trained on vectors of another embedding space.
    """
    names = [m for m, spec in items.items() if spec.kind == kinds.ARRAY.name]
    wanted = {place.modality, modality} - {""}
    names = [m for m in names if wanted <= {m}]
    if not names:
        raise registry.UserError(
            f"{place.file} is a table of vectors, which this model does not take: it takes "
            f"{', '.join(items) or 'audio, image'}."
        )
    try:
        if len(names) > 1:  # what tfav-embed has written says which is which
            names = [m for m in names if m in array_tables.modalities(place.file)]
        if not names:
            raise registry.UserError(
                f"{place.file} may be {' or '.join(items)}: write {place.file}@NAME."
            )
        tables = {m: array_tables.read(place.file, m) for m in names}
        for table in tables.values() if place.id else ():
            table.row(place.id)  # refuses an id that it lacks
    except bad_file.BadFile as error:
        raise registry.UserError(f"{place.file} {error.reason}.") from error
    given = {m: table.space for m, table in tables.items()}
    spaces.require_inputs(place.file, given, spaces.trained_on(items))
    return {
        m: [
            (name, array_tables.name_row(place.file, m, name))
            for name in ((place.id,) if place.id else table.place)
        ]
        for m, table in tables.items()
    }


def _check_names(found: Sequence[Item]) -> None:
    """Raises UserError where two files have one id."""
    paths: dict[str, str] = {}
    for name, path in found:
        if name not in paths:
            paths[name] = path
            continue
        before = paths[name]
        if os.path.realpath(before) == os.path.realpath(path):
            raise registry.UserError(f"the inputs name {path} twice: name it once.")
        raise registry.UserError(
            f"two inputs are called {name}, {before} and {path}: embed their folders one by one."
        )


def _modalities_by_suffix(
    items: Mapping[str, ItemSpec], modality: str
) -> dict[str, tuple[str, ...]]:
    """Returns the modalities that a file with each suffix may be of.

    A kind that is not installed here has no files, and the log says so: the model's other
    modalities are embedded without it.

    Raises:
      UserError: the kind of the only modality wanted is not installed.
    """
    of_kind: dict[str, list[str]] = {kinds.AUDIO.name: [], kinds.IMAGE.name: []}
    for name, spec in items.items():
        of_kind.setdefault(spec.kind, []).append(name)
    if modality:
        of_kind = {items[modality].kind: [modality]}
    found: dict[str, tuple[str, ...]] = {}
    for kind, names in of_kind.items():
        either = (kind,) if kind in names or not names else tuple(names)
        try:
            suffixes = kinds.find(kind).suffixes
        except registry.UserError as error:
            if modality:
                raise
            logging.warning("no file of %s can be read: %s", " and ".join(names), error)
            continue
        for suffix in suffixes:
            found.setdefault(suffix, either)
    return found


def _modality_of(path: str, by_suffix: Mapping[str, tuple[str, ...]]) -> str | None:
    """Returns the modality of a file; None of a hidden one, or of none at all.

    Raises:
      UserError: it may be of several.
    """
    names = by_suffix.get(os.path.splitext(path)[1].lower(), ())
    if not names or formats.is_hidden(path):
        return None
    if len(names) > 1:
        raise registry.UserError(
            f"{path} may be {' or '.join(names)}, which its name does not tell: use Python, "
            f"tfav.load(...).embed(paths, modality={names[0]!r}), for one modality after the other."
        )
    return names[0]
