"""How a name in a config becomes code: a table, or a dotted path to code elsewhere."""

import importlib
import inspect
from collections.abc import Callable, Mapping
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


def call(make: Callable, what: str, arguments: Mapping[str, Any], **fixed: Any) -> Any:
    """Returns `make(**fixed, **arguments)`; arguments that it does not take become a sentence.

    Args:
      make: a class or function.
      what: what is made and where its arguments stand, such as `the encoder 'tiny' in --config...`.
      arguments: those that a user gives.
      **fixed: those that he does not.

    Raises:
      UserError: an argument that `make` does not take; names those that it does.
    """
    try:
        inspect.signature(make).bind(**fixed, **arguments)
    except TypeError as error:
        known = [name for name in inspect.signature(make).parameters if name not in fixed]
        raise UserError(
            f"{what} {error}: leave it out, or choose from {', '.join(known) or 'none'}."
        ) from error
    return make(**fixed, **arguments)
