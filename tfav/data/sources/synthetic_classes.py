"""The invented birds of `data.synthetic_classes`, written as real files and read as a manifest."""

import os

from tfav.data import manifest, synthetic_classes
from tfav.data.sources import synthetic


def rows(options: manifest.Options) -> list[manifest.Row]:
    """Writes the corpus of `options.seed` into `options.corpus` and lists its rows.

    Raises:
      UserError: see `synthetic.replace`, `synthetic_classes.write_corpus` and `manifest.read`.
    """
    root = options.corpus or ""
    path = os.path.join(root, synthetic_classes.MANIFEST)
    marks = [path, os.path.join(root, "songs"), os.path.join(root, "photographs")]
    synthetic.replace(
        options,
        "synthetic_classes",
        marks,
        lambda folder: synthetic_classes.write_corpus(folder, seed=options.seed),
    )
    return manifest.read(path, options.columns)
