"""Writes an export as a web page that runs the model in the browser."""

import contextlib
import os
import pathlib
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from tfav import folders, registry
from tfav.browser import gallery, runtime, site
from tfav.commands import destinations, load
from tfav.data.synthetic import people
from tfav.inference import artefacts, tflite_folder

# Source of the data that the demo and the toy were trained on, and people they have never met.
_MADE_UP, _SEED, _NUM_PEOPLE = "synthetic", 2026, 24


class Written(NamedTuple):
    """What was written.

    Attributes:
      output: the folder.
      content: what its `site.json` says.
      runtime: in words, how much a visitor loads of it.
      bad: (path, reason) of every file of the gallery left out.
    """

    output: str
    content: dict[str, Any]
    runtime: str
    bad: list[tuple[str, str]]

    def lines(self, quiet: bool = False) -> list[str]:
        """Returns lines that say it; `quiet`: which files are left out, and where the page is."""
        lines = [f"left out {path}: {reason}" for path, reason in self.bad]
        wrote = f"wrote {os.path.join(self.output, 'index.html')}"
        if quiet:
            return [*lines, wrote]
        for modality, its in self.content["galleries"].items():
            shown = sum(name is not None for name in its["media"])
            lines.append(f"gallery {modality}: {len(its['ids'])}, {shown} with a file to show")
        size = sum(model["bytes"] for model in self.content["models"].values()) / 1e6
        lines.append(f"models: {', '.join(self.content['models'])}, {size:.1f} MB")
        return [*lines, self.runtime, wrote]

    def record(self) -> dict[str, Any]:
        """Returns it as what `--json` prints."""
        return {
            "output": self.output,
            "embedding_space": self.content["embedding_space"],
            "directions": self.content["directions"],
            "models": self.content["models"],
            "gallery": {m: len(its["ids"]) for m, its in self.content["galleries"].items()},
            "left_out": [{"path": path, "reason": why} for path, why in self.bad],
        }


def write(
    export: str,
    given: Sequence[str],
    output: str,
    *,
    media: str = "",
    runtime_folder: str = "",
    precision: str = "",
    max_bad_fraction: float = 0.0,
    options: site.Options | None = None,
) -> Written:
    """Writes a site, whole or not at all.

    Args:
      export: Folder that export wrote, or `toy`.
      given: the gallery: files and folders, or one `.npz` of tfav-embed; may be empty where nothing
        is compared, and of a model of made-up people, which gets some it has never met.
      output: Folder to write; that of an earlier site is replaced, unless more lies in it.
      media: Folder that the ids of a `.npz` are files below.
      runtime_folder: where LiteRT.js lies, see `runtime.find`.
      precision: of the files to take, such as `float16`; empty: the smallest that is as exact as
        the run, float16, or else the most exact one.
      max_bad_fraction: share of files of the gallery that may be left out.
      options: of the page.

    Raises:
      UserError: an export that is not there or that a page cannot run, a gallery that is missing or
        of another space, no LiteRT.js, or an output that holds something else.
    """
    destinations.check_replaced("output", output, "site", site.names())
    litert = runtime.find(runtime_folder)
    folder = load.resolve(export)
    embedder = _opened(folder, precision)
    site.check(embedder)
    parity = artefacts.read_parity(folder)
    compared = site.compares(embedder)
    origin = parity.content.get("origin", {}) if parity else {}
    toy = origin.get("data", {}).get("source") == _MADE_UP
    if compared and not given and not toy:
        raise registry.UserError(
            f"--gallery is missing: {export} compares, so give a folder of "
            f"{' and '.join(embedder.modalities)} files or a .npz of tfav-embed to compare with."
        )
    with _people(toy and not given) as made:
        found = gallery.Found({}, [])
        if given or made:
            found = gallery.read(
                [*given, *made],
                embedder,
                compared=compared,
                media=media,
                max_bad_fraction=max_bad_fraction,
            )
        with folders.folder(output) as stage:
            chosen = (options or site.Options())._replace(toy=toy)
            content = site.write(stage, embedder, found.sides, litert, chosen)
            folders.publish(stage, output)
    return Written(output, content, runtime.sizes(litert), found.bad)


def _opened(folder: str, precision: str) -> tflite_folder.TFLiteFolder:
    if not os.path.isdir(folder):
        raise registry.UserError(
            f"--export={folder} is no folder: name one that tfav-export wrote, or toy."
        )
    if not precision and tflite_folder.found(folder, "float16"):
        precision = "float16"
    return tflite_folder.TFLiteFolder(folder, precision)


@contextlib.contextmanager
def _people(wanted: bool) -> Iterator[list[str]]:
    """Yields folders of voices and faces of made-up people, one of each; none where none is wanted.

    Files bear the name of their person.
    """
    if not wanted:
        yield []
        return
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        people.write_corpus(
            root / "all",
            num_identities=_NUM_PEOPLE,
            seed=_SEED,
            utterances=1,
            images=1,
            progress=False,
        )
        for kind in ("voices", "faces"):
            (root / kind).mkdir()
        for index in range(_NUM_PEOPLE):
            someone = people.person(_SEED, index)
            name = someone.face_id
            (voice,) = (root / "all" / "wav" / someone.voice_id).rglob("*.wav")
            (face,) = (root / "all" / "faces" / name).iterdir()
            voice.rename(root / "voices" / f"{name}.wav")
            face.rename(root / "faces" / f"{name}.jpg")
        yield [str(root / kind) for kind in ("voices", "faces")]
