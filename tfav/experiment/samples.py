"""What of a data set an export is measured on, and what its 8-bit files are calibrated on."""

import os
from collections.abc import Sequence

import ml_collections
import numpy as np
from absl import logging

from tfav import files, registry
from tfav.annotations import list_folder, lists
from tfav.data import shards
from tfav.experiment import inputs as reading
from tfav.export.lite import calibration as calibration_lib
from tfav.export.parity import reference, verification
from tfav.recipes import outputs
from tfav.recipes import recipe as base

# Distinct clips and images that trials may name: each is embedded by every artefact.
_MAX_TRIAL_ITEMS = 300
# Of each modality; four times as many clips are read to find as many of each loudness.
_NUM_CALIBRATION = 128


def _spread(ids: np.ndarray, limit: int = 32) -> list[str]:
    """Returns up to `limit` of the ids, evenly spread."""
    return ids[np.linspace(0, len(ids) - 1, min(limit, len(ids))).round().astype(int)].tolist()


def _split(index: shards.Index) -> str:
    """Returns the test (or else last) split: what parity is measured on."""
    return "test" if "test" in index.info["splits"] else list(index.info["splits"])[-1]


def _read(
    c: ml_collections.ConfigDict, index: shards.Index, modality: str, ids: Sequence[str]
) -> list[tuple[str, np.ndarray]]:
    batches = reading.evaluation_batches(c, index.directory, ids, modality, 1)
    with reading.whole(index.directory):
        return [(b["id"][0].decode(), b[modality][0]) for b in batches.as_numpy_iterator()]


def items(
    c: ml_collections.ConfigDict, recipe: base.Recipe, index: shards.Index
) -> reference.Items:
    """Returns a few items of each modality; of one that the data lacks, none."""
    part = index.select(_split(index))
    found = {m: _spread(part.id[part.held(m)]) for m in recipe.encoders}
    return {m: _read(c, index, m, ids) for m, ids in found.items() if ids}


def rows(
    c: ml_collections.ConfigDict, index: shards.Index, split: str = "", limit: int = 32
) -> reference.Rows:
    """Returns a few rows that hold every modality.

    Raises:
      UserError: none does.
    """
    part = index.select(split or _split(index))
    ids = _spread(part.id[np.all([part.held(m) for m in c.modalities], axis=0)], limit)
    if not ids:
        raise registry.UserError(
            f"no row of {index.directory} to compare the export on holds "
            f"{' and '.join(c.modalities)}: give a data set that holds some, --data=DIR."
        )
    batches = reading.joint_batches(c, index.directory, ids, 1)
    with reading.whole(index.directory):
        return [
            (b["id"][0].decode(), {m: b[m][0] for m in c.modalities})
            for b in batches.as_numpy_iterator()
        ]


def trials(c: ml_collections.ConfigDict, index: shards.Index) -> verification.Trials | None:
    """Returns pairs of the data's own verification list; None where it has none."""
    folder, tag = os.path.join(index.directory, "lists"), _split(index)
    if not {"audio", "image"} <= set(c.modalities):
        return None
    if "://" in folder:
        logging.warning(
            "%s is no folder of this machine, from which lists are read: the export is not "
            "compared on verification trials",
            folder,
        )
    if not os.path.isdir(folder):
        return None
    found = [
        (name, path)
        for name, path in list_folder.find(folder)
        if (name.protocol, name.stratum, name.tag) == ("verification", "unrestricted", tag)
    ]
    if not found:
        return None
    name, path = found[0]
    held = {m: set(index.id[index.held(m)]) for m in ("audio", "image")}
    label = dict(zip(index.id, index.label))
    pairs = []
    for line in lists.read_verification(path):
        by = dict(zip(lists.MODALITIES[name.direction], line))
        clip, image = by["audio"], by["image"]
        if clip in held["audio"] and image in held["image"]:
            pairs.append((clip, image, bool(label[clip] == label[image])))
    pairs = verification.limited(pairs, _MAX_TRIAL_ITEMS)
    if len({right for *_, right in pairs}) < 2:
        return None
    items = {
        modality: dict(_read(c, index, modality, list(dict.fromkeys(ids))))
        for modality, ids in zip(("audio", "image"), list(zip(*pairs))[:2])
    }
    return verification.Trials(path.name, files.sha256(path), pairs, items)


def calibration(
    c: ml_collections.ConfigDict, recipe: base.Recipe, index: shards.Index
) -> calibration_lib.Rows:
    """Returns items of the train split, evenly over identities and, of clips, loudness.

    Of a recipe that answers to rows, also rows of all modalities together.
    """
    if c.data.train_split not in index.info["splits"]:
        return []
    part = index.select(c.data.train_split)
    found: list[dict[str, np.ndarray]] = []
    for modality in c.modalities:
        held = part.take(np.flatnonzero(part.held(modality)))
        clips = recipe.encoders[modality].item_spec.clip
        most = _NUM_CALIBRATION * (4 if clips else 1)
        some = held.take(np.array(calibration_lib.balanced(held.label, None, most), int))
        items = [item for _, item in _read(c, index, modality, some.id.tolist())]
        if clips:
            levels = [calibration_lib.loudness(item) for item in items]
            items = [
                items[i] for i in calibration_lib.balanced(some.label, levels, _NUM_CALIBRATION)
            ]
        found += [{modality: item} for item in items]
    if outputs.joint(recipe):
        found += [row for _, row in rows(c, index, c.data.train_split, _NUM_CALIBRATION)]
    return found
