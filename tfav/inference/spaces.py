"""Which embeddings can be compared: those whose space has one id."""

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
