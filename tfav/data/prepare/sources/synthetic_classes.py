"""The invented birds of `data.synthetic.classes`, written as real files and read as a manifest."""

import os

from tfav.data.prepare import manifest
from tfav.data.prepare.sources import csv_manifest, synthetic_people
from tfav.data.synthetic import classes


def rows(options: manifest.Options) -> list[manifest.Row]:
    """Writes the corpus of `options.seed` into `options.corpus` and lists its rows.

    Raises:
      UserError: see `synthetic_people.replace`, `classes.write_corpus` and `csv_manifest.read`.
    """
    root = options.corpus or ""
    path = os.path.join(root, classes.MANIFEST)
    marks = [path, os.path.join(root, "songs"), os.path.join(root, "photographs")]
    synthetic_people.replace(
        options,
        "synthetic_classes",
        marks,
        lambda folder: classes.write_corpus(folder, seed=options.seed),
    )
    return csv_manifest.read(path, options.columns)
