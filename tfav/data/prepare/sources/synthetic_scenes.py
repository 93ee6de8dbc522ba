"""The invented scenes of `data.synthetic.scenes`, written as real files and read as a manifest."""

import os

from tfav import registry
from tfav.data.prepare import manifest
from tfav.data.prepare.sources import csv_manifest, synthetic_people
from tfav.data.synthetic import scenes


def rows(options: manifest.Options) -> list[manifest.Row]:
    """Writes the corpus of `options.seed` into `options.corpus` and lists its rows.

    `options.identities` is how many scenes there are in `test`; the other splits keep their shares.

    Raises:
      UserError: see `synthetic_people.replace`, `scenes.write_corpus` and `csv_manifest.read`.
    """
    if options.identities < 2:
        raise registry.UserError(
            f"--identities={options.identities}: give 2 or more scenes to test on."
        )
    share = options.identities / scenes.SCENES["test"]
    num_scenes = {split: max(2, round(share * count)) for split, count in scenes.SCENES.items()}
    root = options.corpus or ""
    path = os.path.join(root, scenes.MANIFEST)
    marks = [path, os.path.join(root, "sounds"), os.path.join(root, "pictures")]
    synthetic_people.replace(
        options,
        "synthetic_scenes",
        marks,
        lambda folder: scenes.write_corpus(folder, seed=options.seed, num_scenes=num_scenes),
    )
    return csv_manifest.read(path, options.columns)
