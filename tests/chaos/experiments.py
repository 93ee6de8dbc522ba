"""The experiments that are killed: small ones of several recipes, of one phase and of two."""

import os
import pathlib

from tests import small
from tfav.data import shards

PAIRED = ("mmcosine", "blended", "dmc", "infonce")  # their data has rows of both modalities


def write_data(folder: pathlib.Path) -> None:
    """Writes the data of all experiments."""
    small.write_dataset(str(folder / "people"))
    rows = small.paired_records(24)
    shards.write(folder / "paired", rows, columns=["speaker"], modalities=["flow"])


def config(recipe: str, folder: str | os.PathLike):
    """Returns an experiment: three checkpoints and three validations in twelve steps."""
    data = os.path.join(folder, "paired" if recipe in PAIRED else "people")
    c = (small.classes_config if recipe in ("mmcosine", "blended") else small.config)(data)
    if recipe == "blended":
        c.loss = {"scale": 5.0, "blending": "estimated"}
        c.first_phase.loss = {"blending": "equal"}
    elif recipe == "reweighted":
        c.model.reweighting = "frozen"
        c.model.grow_from, c.model.grow_every = 4, 2
        c.first_phase.model = {"reweighting": "grow"}
    elif recipe in ("dmc", "infonce"):
        c.recipe = recipe
        c.data.sampling = "rows"
        c.eval.protocols = ("correspondence",)
        c.model = {"num_clusters": 3, "cluster_size": 4} if recipe == "dmc" else {}
        c.loss = {"negatives": "all"} if recipe == "dmc" else {"temperature": 0.2}
    c.deterministic = True
    c.train.num_steps = 12
    c.train.steps_per_call = 2
    c.train.checkpoint_every = c.train.validate_every = 4
    c.train.keep_checkpoints = 2
    c.eval.num_bootstrap = 10
    return c


def get_config(text: str):
    """Is what `--config=tests/chaos/experiments.py:RECIPE,FOLDER` calls."""
    recipe, _, folder = text.partition(",")
    return config(recipe, folder)
