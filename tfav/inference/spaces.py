"""Which embeddings can be compared: those whose space has one id, and no two of a classifier."""

from collections.abc import Sequence

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


def require_own(classifier: str, modality: str, others: Sequence[str]) -> None:
    """Refuses to compare the modalities of a classifier: each has a space of its own.

    Args:
      classifier: its name in the error.
      modality: of an item.
      others: of those that it is compared with.

    Raises:
      UserError: one of them is another modality.
    """
    apart = [name for name in others if name != modality]
    if apart:
        raise registry.UserError(
            f"{classifier} tells classes apart, and its embeddings of {modality} and of "
            f"{' and '.join(apart)} share no space: search {modality} files among others with "
            f"--target={modality}, or name a model that matches them."
        )
