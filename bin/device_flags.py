"""The flag of how much of a GPU's memory a command may take."""

from absl import flags

from tfav import registry

_GPU_MEMORY = flags.DEFINE_string(
    "gpu_memory",
    "grow",
    "grow: take memory of a GPU as it is needed; or the largest share of it to take, at once, such "
    "as 0.5.",
)


def gpu_memory() -> float | None:
    """Returns the share of each GPU's memory that is taken at once; None: as it is needed.

    Raises:
      UserError: neither `grow` nor a share.
    """
    text = _GPU_MEMORY.value
    if text == "grow":
        return None
    try:
        share = float(text)
    except ValueError:
        share = 0.0
    if not 0.0 < share <= 1.0:
        raise registry.UserError(
            f"--gpu_memory={text}: give grow, or a share above 0 and up to 1, such as 0.5."
        )
    return share
