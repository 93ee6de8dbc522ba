"""The flags of looking at files before a data set is made of them."""

from absl import flags

from tfav import registry

_CHECK = flags.DEFINE_bool(
    "check",
    False,
    "Make no data set: decode everything and write OUTPUT-check.html, OUTPUT-check.json and "
    "OUTPUT-bad_rows.csv. They say what cannot be used, what two splits share, how labels and "
    "genders are spread, what is clipped, silent, blurred or tiny, and what to do about it.",
)
_ALSO = flags.DEFINE_list(
    "check_also",
    [],
    "With --check: dotted paths of findings of your own, functions of a "
    "tfav.data.prepare.doctor.evidence.Evidence that return a finding.Finding or None.",
)


def wanted() -> bool:
    """Returns whether files are only to be looked at.

    Raises:
      UserError: findings of the user's own without that.
    """
    if _ALSO.value and not _CHECK.value:
        raise registry.UserError(
            f"--check_also={','.join(_ALSO.value)} means nothing without --check: add it, or leave "
            "this out."
        )
    return _CHECK.value


def own() -> list[str]:
    """Returns the dotted paths of the user's own findings."""
    return _ALSO.value
