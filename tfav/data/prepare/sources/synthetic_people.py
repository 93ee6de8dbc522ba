"""The invented people of `data.synthetic.people`, written as real files and read like VoxCeleb1."""

import os
from collections.abc import Callable, Sequence

from tfav import folders, registry
from tfav.data.prepare import manifest
from tfav.data.prepare.sources import voxceleb1
from tfav.data.synthetic import people

_SPLITS = ("train", "val", "test")


def rows(options: manifest.Options) -> list[manifest.Row]:
    """Writes the corpus of `options.identities` people into `options.corpus` and lists its rows.

    Raises:
      UserError: `corpus` holds something (and `overwrite` is off, or it is not such a corpus), or
        see `people.write_corpus` and `voxceleb1.rows`.
    """
    root = options.corpus or ""
    csvs = [os.path.join(root, "lists", f"{split}.csv") for split in _SPLITS]

    def write(folder: str) -> None:
        people.write_corpus(folder, num_identities=options.identities, seed=options.seed)

    replace(options, "synthetic", csvs, write)
    return voxceleb1.rows(
        manifest.Options(
            columns=options.columns,
            split_csv=csvs,
            audio_root=os.path.join(root, "wav"),
            image_root=os.path.join(root, "faces"),
        )
    )


def replace(
    options: manifest.Options, source: str, marks: Sequence[str], write: Callable[[str], object]
) -> None:
    """Has a corpus written to `options.corpus`, in place of an older one when that is asked for.

    Args:
      options: of the source.
      source: its name.
      marks: files by which an older corpus is known for what it is.
      write: writes the corpus into the folder it is given, which is not there yet.

    Raises:
      UserError: no place is named, or it holds something (and `overwrite` is off, or it is not such
        a corpus), or it cannot be written.
    """
    root = options.corpus
    if not root:
        raise registry.UserError(f"--source={source} needs --corpus=FOLDER to write its files to.")
    if os.path.isfile(root) or (os.path.isdir(root) and os.listdir(root)):
        if not options.overwrite:
            raise registry.UserError(
                f"the synthetic corpus goes to {root}, which exists: pass --overwrite to write it "
                "anew, or name another folder with --corpus."
            )
        if not all(map(os.path.exists, marks)):
            raise registry.UserError(
                f"{root} is no synthetic corpus, so --overwrite does not delete it: name another "
                "folder with --corpus."
            )
    with folders.folder(root) as folder:  # the old corpus stays until the new one is whole
        made = os.path.join(folder, "corpus")
        write(made)
        folders.publish(made, root)
