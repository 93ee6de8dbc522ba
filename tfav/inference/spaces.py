"""Which embeddings can be compared, those of one space whose modalities share it; which go in."""

from collections.abc import Container, Mapping, Sequence
from typing import Any

from tfav import items, registry
from tfav.media import array_tables


def require_same(one: str, its: str, other: str, others: str) -> None:
    """Refuses to compare embeddings of two spaces; called wherever vectors of two origins meet.

    Args:
      one: what the first embeddings are, for messages, such as a path.
      its: id of their space.
      other: what the second embeddings are, or the model that embeds them.
      others: id of that space.

    Raises:
      UserError: the ids differ.
    """
    if its != others:
        raise registry.UserError(
            f"{one} is of the embedding space {its} and {other} of {others}: embed both with one "
            "model."
        )


def require_inputs(origin: str, its: Mapping[str, str], trained_on: Mapping[str, str]) -> None:
    """Refuses vectors of another space than a model was trained on; called wherever it takes some.

    Vectors that name no space pass, and so do all where those of the training named none.

    Args:
      origin: what holds the vectors, for messages: a file or a data set.
      its: modality to the id of the space of the vectors there.
      trained_on: modality to the id of the space of the vectors that the model was trained on.

    Raises:
      UserError: the ids of a modality differ.
    """
    for modality, space in its.items():
        wanted = trained_on.get(modality, "")
        if space and wanted and space != wanted:
            raise registry.UserError(
                f"{origin} holds {modality} vectors of the embedding space {space} and this model "
                f"was trained on those of {wanted}: compute the vectors with the model that made "
                f"those of the training, or name a model that was trained on those of {space}."
            )


def require_row(path: str, spec: items.ItemSpec) -> None:
    """Refuses a row of a table, `FILE@MODALITY#ID`, as `require_inputs` does; other files pass."""
    place = array_tables.split(path)
    if spec.vector_space and place.id:
        space = array_tables.read(place.file, place.modality).space
        require_inputs(place.file, {spec.tensor: space}, {spec.tensor: spec.vector_space})


def trained_on(specs: Mapping[str, items.ItemSpec]) -> dict[str, str]:
    """Returns modality to the space of the vectors that a model was trained on, where known."""
    return {m: spec.vector_space for m, spec in specs.items() if spec.vector_space}


def told(facts: Mapping[str, Any]) -> bool | None:
    """Returns whether the modalities of an artefact share a space, by its facts.

    None where they do not tell: of what answers to pairs, made before they said so.
    """
    if "shares_space" in facts:
        return bool(facts["shares_space"])
    if facts["classes"]:
        return False
    return None if facts["localizes"] or facts.get("scores_pairs") else True


def shares(told_by_facts: bool | None, served: Container[str]) -> bool:
    """Says whether cosines between the modalities of an artefact mean anything.

    Args:
      told_by_facts: see `told`.
      served: signatures of the same export; where facts do not tell, `score` among them does.
    """
    return "score" in served if told_by_facts is None else told_by_facts


def require_shared(shares_space: bool, modality: str, others: Sequence[str], fix: str = "") -> None:
    """Refuses to compare modalities that share no space, such as those of a classifier.

    Args:
      shares_space: whether those of their model do, see `embedders.Embedder`.
      modality: of an item.
      others: of those that it is compared with.
      fix: what to do; empty: compare it with its own.

    Raises:
      UserError: one of them is another modality, and they share none.
    """
    apart = [name for name in others if name != modality]
    if apart and not shares_space:
        raise registry.UserError(
            f"the embeddings of {modality} and of {' and '.join(apart)} share no space in this "
            f"model, so that their cosines mean nothing: {fix or f'compare {modality} alone'}, or "
            "name a model that matches them."
        )
