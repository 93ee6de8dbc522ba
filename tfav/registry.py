"""How a name in a config becomes code: a table, or a dotted path to code elsewhere.

A dotted path may lead to anything: what it leads to must be what the rows of the table are, a
function or class where `lookup` is told nothing else.
"""

import builtins
import importlib
import inspect
import os
import types
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


class UserError(Exception):
    """A mistake the user can correct: its text names the file or value, and the fix."""


class Wanted(NamedTuple):
    """What the rows of a table are.

    Attributes:
      words: the same in words, after "name".
      holds: whether something is one.
    """

    words: str
    holds: Callable[[Any], bool]


def instance(base: type) -> Wanted:
    """Returns what is an instance of a class."""
    return Wanted(f"an instance of {_path(base)}", lambda found: isinstance(found, base))


def subclass(base: type) -> Wanted:
    """Returns what is a subclass of a class."""
    return Wanted(
        f"a subclass of {_path(base)}",
        lambda found: isinstance(found, type) and issubclass(found, base),
    )


def function(*arguments: str) -> Wanted:
    """Returns what is a function that takes such arguments by position, or a class made so."""
    return Wanted(
        f"a function of ({', '.join(arguments)})", lambda found: _takes(found, *arguments)
    )


def _takes(found: Any, *arguments: str) -> bool:
    try:
        inspect.signature(found).bind(*arguments)
        return FUNCTION.holds(found)
    except (TypeError, ValueError):
        return False


def _is_function(found: Any) -> bool:
    """Says whether something can be called and says of its arguments what they are."""
    if not callable(found) or isinstance(found, types.BuiltinFunctionType):
        return False
    if any(found is built_in for built_in in vars(builtins).values()):
        return False
    try:
        return bool(inspect.signature(found))
    except (TypeError, ValueError):
        return False


FUNCTION = Wanted("a function or class of your own", _is_function)


def lookup(table: Mapping[str, Any], name: str, kind: str, wanted: Wanted = FUNCTION) -> Any:
    """Returns the entry called `name`, or what the dotted path `name` leads to.

    Args:
      table: names to entries, as written in the module that owns them.
      name: a key of `table`, or `package.module.attribute`.
      kind: what the table holds, for the error message.
      wanted: what a dotted path must lead to.

    Raises:
      UserError: no such key and no such attribute, or one of something else; names the choices.
    """
    if name in table:
        return table[name]
    module, _, attribute = name.rpartition(".")
    choices = f"choose one of {', '.join(sorted(table))}, or " if table else ""
    if not module:
        raise UserError(
            f"unknown {kind} {name!r}: {choices}give the dotted path of your own "
            "(package.module.name)."
        )
    try:
        found = getattr(importlib.import_module(module), attribute)
    except Exception as error:  # what a module of the user's raises while it is imported
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"{kind} {name!r} cannot be imported ({reason}): {choices}{_cure(error)}."
        ) from error
    if not wanted.holds(found):
        what = type(found).__name__
        raise UserError(
            f"{kind} {name!r} is a {'class' if what == 'type' else what}: {choices}name "
            f"{wanted.words}."
        )
    return found


def _cure(error: Exception) -> str:
    """Returns what to do where a module is not imported: it may lie here, where none is sought."""
    top = (error.name or "").split(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    if top and (os.path.isfile(f"{top}.py") or os.path.isdir(top)):
        return f"write PYTHONPATH=. before the command, with which Python finds the {top} in here"
    return "correct the path"


def call(
    make: Callable,
    what: str,
    arguments: Mapping[str, Any],
    gives: type = object,
    **fixed: Any,
) -> Any:
    """Returns `make(**fixed, **arguments)`; arguments that it does not take become a sentence.

    Args:
      make: a class or function.
      what: what is made and where its arguments stand, such as `the encoder 'tiny' in --config...`.
      arguments: those that a user gives.
      gives: class of what is made.
      **fixed: those that he does not.

    Raises:
      UserError: an argument that `make` does not take; names those that it does. Or it gives
        something else.
    """
    try:
        inspect.signature(make).bind(**fixed, **arguments)
    except TypeError as error:
        known = [name for name in inspect.signature(make).parameters if name not in fixed]
        raise UserError(
            f"{what} {error}: leave it out, or choose from {', '.join(known) or 'none'}."
        ) from error
    return checked(make(**fixed, **arguments), what, gives)


def checked(made: Any, what: str, gives: type) -> Any:
    """Returns what was made.

    Raises:
      UserError: it is no instance of `gives`.
    """
    if isinstance(made, gives):
        return made
    raise UserError(
        f"{what} gives a {type(made).__name__}: name one that gives an instance of {_path(gives)}."
    )


def _path(base: type) -> str:
    return (
        base.__qualname__
        if base.__module__ == "builtins"
        else (f"{base.__module__}.{base.__qualname__}")
    )
