"""The flag that keeps what a manifest names below one folder."""

from collections.abc import Sequence
from typing import Any

from absl import flags

_CONFINE = flags.DEFINE_string(
    "confine",
    "",
    "Folder that every file a manifest or source names must lie in: a row that leads out of it, by "
    "'..', by an absolute path or by a link, ends the command before any file is opened.",
)


def check(rows: Sequence[Any]) -> None:
    """Raises UserError where a row leads out of the folder that --confine names."""
    if _CONFINE.value:
        from tfav.data.prepare import confinement  # a `.tflite` is embedded without it

        confinement.check(rows, _CONFINE.value)
