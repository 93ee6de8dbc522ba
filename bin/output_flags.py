"""The flags of how much a command prints, and in which form."""

import json
from typing import Any

from absl import flags, logging

from tfav import progress

_QUIET = flags.DEFINE_boolean(
    "quiet", False, "Print results, warnings and errors alone: no progress bar and no notes."
)
_JSON = flags.DEFINE_boolean("json", False, "Print what was done as JSON on stdout, for machines.")


def show(record: Any, text: str) -> None:
    """Prints a result: `record` as JSON where that is wanted, or else `text`."""
    print(json.dumps(record, indent=2, default=str) if _JSON.value else text)


def as_json() -> bool:
    """Returns whether JSON is wanted."""
    return _JSON.value


def apply() -> None:
    """Makes this process as quiet as `--quiet` says."""
    if _QUIET.value:
        progress.be_quiet()
        logging.set_verbosity(logging.WARNING)


def is_quiet() -> bool:
    """Returns whether notes are left out."""
    return _QUIET.value
