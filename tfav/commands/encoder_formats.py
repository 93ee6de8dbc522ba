"""Every encoder in every precision of a `.tflite`, measured as an export is: one table."""

import os
import tempfile
from collections.abc import Sequence
from typing import Any

import ml_collections
import tensorflow as tf

from tfav import config, progress, registry
from tfav.data import shards
from tfav.encoders import by_kind
from tfav.encoders import encoder as encoders_base
from tfav.experiment import inputs, models, samples
from tfav.export import options, publish
from tfav.recipes import recipe as recipes

TABLES = {modality: by_kind.ENCODERS[modality] for modality in ("audio", "image")}
_SETTLING_STEPS = 40  # 0.9 ** 40: what is left of where a batch norm's statistics began is 1.5 %
_BATCH_SIZE = 8
_WHOLE = "float32"
_NO_GATE = -1.0  # the table shows what the gate would refuse
_HEAD = (
    "| {} encoder | million weights | precision | kB | cosine mean | cosine min | ms | to float32 "
    "| partitions | oldest runtime |\n|---|---|---|---|---|---|---|---|---|---|"
)


def table(
    directory: str, names: Sequence[str], precisions: Sequence[str], audio_seconds: float
) -> list[str]:
    """Returns Markdown tables, one of the audio encoders and one of the image encoders.

    Of what the data lacks there is none.

    Weights are fresh and batch norms settled on the training data: sizes and speeds are those of
    any weights, cosines to the float network are not.

    Args:
      directory: what prepare wrote; `train` settles and calibrates, `test` measures.
      names: rows of the encoder tables; none: all of them.
      precisions: rows of `precisions.PRECISIONS`; float32 is what speeds are compared with.
      audio_seconds: clip length of the files.

    Raises:
      UserError: an unknown name, no float32, or data without what the encoders take.
    """
    known = [name for rows in TABLES.values() for name in rows]
    for name in names:
        if name not in known:
            raise registry.UserError(
                f"unknown encoder {name!r}: choose from {', '.join(sorted(set(known)))}."
            )
    if _WHOLE not in precisions:
        raise registry.UserError(
            f"--precisions={','.join(precisions)} lacks {_WHOLE}, which speeds are compared with: "
            "add it."
        )
    index = shards.Index.read(directory)
    wanted = [
        (modality, name)
        for modality, rows in TABLES.items()
        for name in rows
        if (not names or name in names) and index.held(modality).any()
    ]
    if not wanted:
        raise registry.UserError(
            f"{directory} holds nothing that these encoders take: give data with audio or "
            "images, or name others with --encoders."
        )
    lines: dict[str, list[str]] = {}
    bar = progress.bar(wanted, desc="formats", unit="encoder")
    for modality, name in bar:
        bar.set_postfix_str(f"{modality} {name}")
        row = _rows(index, modality, name, precisions, audio_seconds)
        lines.setdefault(modality, [_HEAD.format(modality)]).extend(row)
    return ["\n".join(found) + "\n" for found in lines.values()]


def records(tables: Sequence[str]) -> list[dict[str, str]]:
    """Returns the rows of tables for JSON: name of a column to the text of its cell."""
    found = []
    for text in tables:
        head, _, *rows = (
            [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()
        )
        found += [dict(zip(head, row)) for row in rows]
    return found


def _rows(
    index: shards.Index,
    modality: str,
    name: str,
    precisions: Sequence[str],
    audio_seconds: float,
) -> list[str]:
    encoder = registry.call(
        registry.lookup(TABLES[modality], name, "encoder"),
        f"the encoder {name!r} in --encoders",
        {},
        encoders_base.Encoder,
    )
    recipe = recipes.Recipe({modality: encoder}, heads={})
    c = config.base()
    c.modalities = (modality,)
    c[modality].encoder = name
    c.eval.audio_seconds = audio_seconds
    if encoder.item_spec.fitted:
        c[modality].size = encoder.item_spec.side
    recipe.hearing = models.hearing(c)
    _settle(c, recipe, index, modality)
    with tempfile.TemporaryDirectory() as folder:
        found = publish.publish(
            recipe,
            options.Inputs(
                samples.items(c, recipe, index), calibration=samples.calibration(c, recipe, index)
            ),
            os.path.join(folder, name),
            options.ExportOptions(
                audio_seconds=audio_seconds,
                min_cosine=_NO_GATE,
                min_cosine_int8=_NO_GATE,
                precisions=precisions,
            ),
        )
    million = sum(v.shape.num_elements() for v in encoder.trainable_variables) / 1e6
    return [
        _line(name, million, artefact, f"embed_{modality}")
        for file, artefact in found["artefacts"].items()
        if file.endswith(".tflite")
    ]


def _settle(
    c: ml_collections.ConfigDict, recipe: recipes.Recipe, index: shards.Index, modality: str
) -> None:
    """Gives batch norms the statistics of training data, as training would."""
    if not any("moving" in name for name in recipe.encoder_weights()):
        return
    part = index.select(c.data.train_split)
    ids = part.id[part.held(modality)][: _SETTLING_STEPS * _BATCH_SIZE].tolist()
    batches = inputs.evaluation_batches(c, index.directory, ids, modality, _BATCH_SIZE)
    embed = tf.function(lambda batch: recipe.embed(modality, batch, training=True), autograph=False)
    with inputs.whole(index.directory):
        for batch in batches.repeat().take(_SETTLING_STEPS):
            embed({name: value for name, value in batch.items() if name != "id"})


def _line(name: str, million: float, artefact: dict[str, Any], signature: str) -> str:
    found, speed = artefact["parity"][signature], artefact["speed"]
    cells = (
        name,
        f"{million:.2f}",
        artefact["precision"],
        f"{artefact['bytes'] / 1000:.0f}",
        f"{found['cosine_mean']:.5f}",
        f"{found['cosine_min']:.5f}",
        f"{speed['milliseconds'][signature]:.2f}",
        f"{speed['ratio_to_float32'][signature]:.2f}",
        str(speed["partitions"]),
        str(artefact["min_runtime"]),
    )
    return "| " + " | ".join(cells) + " |"
