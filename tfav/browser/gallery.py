"""What a page compares with: vectors, names, and files to look at and listen to."""

import io
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import soundfile

from tfav import hearing as hearing_lib
from tfav import registry, tensors
from tfav.inference import embeddings_file, file_embedding, input_files, tflite_folder
from tfav.items import ItemSpec
from tfav.media import audio_files, bad_file, image_files
from tfav.reports import inline

_BATCH_SIZE = 32
_QUALITY = 92


class Side(NamedTuple):
    """The items of one modality.

    Attributes:
      ids: N names.
      vectors: [N, D] float32 of unit norm; [N, 0] where nothing is compared.
      paths: of the files; None of one that is not there.
    """

    ids: list[str]
    vectors: np.ndarray
    paths: list[str | None]


class Found(NamedTuple):
    """A gallery.

    Attributes:
      sides: modality to its items.
      bad: (path, reason) of every file left out.
    """

    sides: dict[str, Side]
    bad: list[tuple[str, str]]


def read(
    given: Sequence[str],
    embedder: tflite_folder.TFLiteFolder,
    *,
    compared: bool,
    media: str = "",
    max_bad_fraction: float = 0.0,
) -> Found:
    """Returns the gallery that a user names.

    Args:
      given: files and folders, or one `.npz` of tfav-embed.
      embedder: embeds files.
      compared: whether vectors are needed; without, the items are examples to choose from.
      media: folder that the ids of a `.npz` are files below; empty: they are paths from here.
      max_bad_fraction: share of files that cannot be embedded that may be left out.

    Raises:
      UserError: no such file, vectors of another space, or too many files that cannot be embedded.
    """
    stored = [path for path in given if path.endswith(".npz") and not os.path.isdir(path)]
    if stored and len(given) > 1:
        raise registry.UserError(
            f"--gallery={','.join(given)}: name one .npz alone, or files and folders without one."
        )
    if stored:
        space, name = embedder.embedding_space, embedder.path
        vectors = embeddings_file.read(stored[0], space, f"--export={name}")
        sides = {m: _stored(ids, vectors.vectors[m], media) for m, ids in vectors.ids.items()}
        return Found(sides, [])
    found = input_files.find(given, embedder.items)
    shown = {m: of for m, of in found.items() if of and capturable(embedder.items.get(m))}
    if not shown:
        raise registry.UserError(
            f"--gallery={','.join(given)} holds no file of {' or '.join(embedder.items)}: name a "
            "folder that does."
        )
    if not compared:
        return Found({m: _examples(of) for m, of in shown.items()}, [])
    done = file_embedding.embed(
        embedder, shown, batch_size=_BATCH_SIZE, max_bad_fraction=max_bad_fraction
    )
    sides = {}
    for modality, items in shown.items():
        if modality in done.arrays:
            paths = dict(items)
            ids = done.arrays[f"{modality}_id"].tolist()
            sides[modality] = Side(ids, done.arrays[modality], [paths[name] for name in ids])
    return Found(sides, done.bad)


def capturable(spec: ItemSpec | None) -> bool:
    """Says whether a page can take an item in: a recording or an image, and no array of numbers."""
    return spec is not None and (spec.clip or spec.fitted)


def _stored(ids: list[str], vectors: np.ndarray, media: str) -> Side:
    paths = [os.path.join(media, name) for name in ids]
    return Side(ids, vectors, [path if os.path.isfile(path) else None for path in paths])


def _examples(items: Sequence[input_files.Item]) -> Side:
    names, paths = zip(*items)
    return Side(list(names), np.zeros([len(names), 0], np.float32), list(paths))


def labels(ids: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Returns a short name of each id of each modality, by which a visitor knows who it is.

    It is the folder that items of other modalities lie below too, such as a person's: `ann lee` of
    `ann_lee/session1/0.wav` beside `ann_lee/0.jpg`. Without one it is all folders that tell items
    apart, and where all lie in one folder, the name of the file.
    """
    folders = {
        m: [tuple(filter(None, os.path.dirname(name).split(os.sep))) for name in names]
        for m, names in ids.items()
    }
    named = {}
    for modality, its in folders.items():
        others = {name for m, of in folders.items() if m != modality for one in of for name in one}
        level = _shared_level(its, others)
        lead = len(os.path.commonprefix(its))
        named[modality] = [
            " / ".join(folder[lead:] if level is None else folder[level : level + 1])
            or os.path.splitext(os.path.basename(name))[0]
            for folder, name in zip(its, ids[modality])
        ]
    return {m: [name.replace("_", " ") for name in names] for m, names in named.items()}


def _shared_level(folders: Sequence[tuple[str, ...]], others: set[str]) -> int | None:
    """Returns the level of folders with most names among `others`; None where none has two."""
    depth = max(map(len, folders), default=0)
    shared = [len({f[level] for f in folders if len(f) > level} & others) for level in range(depth)]
    return shared.index(max(shared)) if max(shared, default=0) > 1 else None


def write(
    folder: str,
    sides: Mapping[str, Side],
    items: Mapping[str, ItemSpec],
    hearing: hearing_lib.Hearing,
    *,
    side_pixels: int,
) -> dict[str, Any]:
    """Writes vectors and media below `folder/gallery`; returns what `site.json` says of them.

    A recording is written as much as is heard, as FLAC of 16 kHz, which plays everywhere and loses
    nothing; an image as JPEG without what else the file held, such as where it was taken.

    Args:
      folder: of the site.
      sides: of `read`.
      items: modality to what one item is.
      hearing: how much of a clip is heard.
      side_pixels: Longest side of an image in pixels.
    """
    about: dict[str, Any] = {}
    shown = {m: side for m, side in sides.items() if capturable(items.get(m))}
    names = labels({m: side.ids for m, side in shown.items()})
    for modality, side in shown.items():
        os.makedirs(os.path.join(folder, "gallery", modality))
        vectors = f"gallery/{modality}.f32"
        side.vectors.astype("<f4").tofile(os.path.join(folder, vectors))
        media: list[str | None] = []
        for place, path in enumerate(side.paths):
            end = "flac" if items[modality].clip else "jpg"
            name = f"gallery/{modality}/{place:05d}.{end}"
            content = None
            if path is not None:
                content = _media(path, items[modality], hearing, side_pixels)
            if content is not None:
                with open(os.path.join(folder, name), "wb") as file:
                    file.write(content)
            media.append(None if content is None else name)
        about[modality] = {
            "ids": side.ids,
            "labels": names[modality],
            "size": side.vectors.shape[1],
            "vectors": vectors,
            "media": media,
        }
    return about


def _media(
    path: str, spec: ItemSpec, hearing: hearing_lib.Hearing, side_pixels: int
) -> bytes | None:
    """Returns a file to play or show; None of one that has become unreadable."""
    try:
        if spec.clip:
            clip = audio_files.read_audio(path)[: hearing.max_samples]
            made = io.BytesIO()
            soundfile.write(made, clip, tensors.SAMPLE_RATE_HZ, format="FLAC", subtype="PCM_16")
            return made.getvalue()
        jpeg, _, _ = image_files.read_image(path)
        return inline.thumbnail(jpeg, side_pixels, _QUALITY)
    except bad_file.BadFile:
        return None
