"""Which embeddings can be compared: those of one space id, whose modalities share that space."""

from collections.abc import Container, Mapping, Sequence
from typing import Any

from tfav import registry


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
