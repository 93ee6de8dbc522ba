"""How a name in a config becomes code: a table, or a dotted path to code elsewhere."""

import importlib
from collections.abc import Mapping
from typing import Any


class UserError(Exception):
    """A mistake the user can mend: its text names the file or value, and the fix."""


def lookup(table: Mapping[str, Any], name: str, kind: str) -> Any:
    """Returns the entry called `name`, or what the dotted path `name` leads to.

    Args:
      table: names to entries, as written in the module that owns them.
      name: a key of `table`, or `package.module.attribute`.
      kind: what the table holds, for the error message.

    Raises:
      UserError: no such key and no such attribute; names the choices.
    """
    if name in table:
        return table[name]
    module, _, attribute = name.rpartition(".")
    choices = ", ".join(sorted(table))
    if not module:
        raise UserError(
            f"unknown {kind} {name!r}: choose one of {choices}, "
            "or give the dotted path of your own (package.module.name)."
        )
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise UserError(
            f"{kind} {name!r} cannot be imported ({error}): choose one of {choices}, or mend "
            f"the path."
        ) from error
