"""The items of a run in its embedding space, for TensorBoard's projector."""

import numpy as np

from tfav import registry
from tfav.commands.pages import stored
from tfav.commands.protocols import protocol
from tfav.data import kinds
from tfav.experiment import inputs, models
from tfav.inference import recipe_embedder
from tfav.recipes import outputs
from tfav.reports import inline, projector

_MOST_ROWS = 500  # of the tags, each with all modalities it has; thumbnails are one picture


def check(run: models.Trained, workdir: str) -> None:
    """Refuses a run whose items have no place beside each other.

    Args:
      run: the run.
      workdir: Folder of it, for the message.

    Raises:
      UserError: it has one modality, or several without a space in common; says which.
    """
    c = run.config
    if len(c.modalities) < 2:
        why = f"it has {c.modalities[0]} alone"
    elif not outputs.shares_space(run.recipe):
        compares = "tells classes apart" if outputs.classifies(run.recipe) else "scores pairs"
        why = f"the recipe {c.recipe} {compares}, and its modalities share no space"
    else:
        return
    raise registry.UserError(
        f"--tensorboard shows several modalities in one space, and {workdir} has none: {why}: "
        "leave it out."
    )


def write(context: protocol.Context, folder: str) -> int:
    """Writes the embeddings of the tags' rows, drawn at random where they are many.

    Args:
      context: of the run; its tags are splits.
      folder: that exists, for the files.

    Returns:
      how many items were written.

    Raises:
      UserError: a tag that is no split.
    """
    index, c = context.index, context.config
    rows = np.concatenate([np.flatnonzero(index.split == tag) for tag in context.tags])
    draw = np.random.default_rng(context.seed)
    rows = np.sort(draw.permutation(rows)[:_MOST_ROWS])
    held = {m: rows[index.held(m)[rows]] for m in c.modalities}
    held = {m: of_modality for m, of_modality in held.items() if len(of_modality)}
    if not held:
        splits = ", ".join(index.info["splits"])
        raise registry.UserError(
            f"--tensorboard shows rows of {' and '.join(context.tags)}, and {index.directory} has "
            f"none: name another of --tags (splits: {splits})."
        )
    ids = {m: index.id[of_modality].tolist() for m, of_modality in held.items()}
    embed = recipe_embedder.RecipeEmbedder(context.run.recipe).embed
    vectors = inputs.embeddings(c, embed, index.directory, ids)
    gender = index.extra.get("gender", np.full(len(index), ""))
    sections = models.sections(c)
    items: dict[str, dict[str, inline.Item]] = {}
    for modality, of_modality in held.items():
        shown = sections[modality].kind in (kinds.AUDIO, kinds.IMAGE)
        items[modality] = {
            str(index.id[row]): inline.Item(
                (stored.content(index, row, modality) if shown else None) or b"",
                str(index.label[row]),
                str(gender[row]),
            )
            for row in of_modality
        }
    matrices = {m: np.stack([vectors[m][name] for name in ids[m]]) for m in ids}
    heard = [m for m in held if sections[m].kind is kinds.AUDIO]
    return projector.write_items(folder, matrices, items, heard)
