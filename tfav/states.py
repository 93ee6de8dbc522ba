"""State files: JSON that has one reader, which checks its form and its seal.

The seal is a field `sha256` of everything else in the file. `read` refuses a file whose seal does
not fit; one without a seal, as older versions wrote them, is read as it is. Who changes such a file
by hand on purpose removes its line `sha256`.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any

from tfav import files, registry

SEAL = "sha256"

# What a value must be: a type (or several), `[FORM]` for a list of such values, `{name: FORM}` for
# an object with these fields and no other; `name?` may be absent, `*` stands for any other field.
Form = Any

_NAMES = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    dict: "an object",
    list: "a list",
    type(None): "null",
}


def write(path: str | os.PathLike, value: Mapping[str, Any]) -> None:
    """Writes an object with its seal, whole or not at all."""
    files.write_json(path, sealed(value))


def sealed(value: Mapping[str, Any]) -> dict[str, Any]:
    """Returns an object with its seal."""
    return {**value, SEAL: _seal(value)}


def read(path: str | os.PathLike, form: Form, fix: str) -> dict[str, Any]:
    """Returns the object in a file of `write`, without its seal.

    Args:
      path: the file.
      form: what its value must be, see `Form`.
      fix: what the user can do when the file cannot be used, as the end of a sentence.

    Raises:
      UserError: the file is missing, damaged or changed; names it, what is wrong and `fix`.
    """
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        wrong = "does not exist" if isinstance(error, FileNotFoundError) else error.strerror
        raise registry.UserError(f"{path} {wrong}: {fix}.") from error
    return parse(content, path, form, fix)


def parse(content: bytes, path: str | os.PathLike, form: Form, fix: str) -> dict[str, Any]:
    """Returns the object in the content of the file `path`; see `read`."""
    if not content:
        raise registry.UserError(f"{path} is empty: {fix}.")
    try:
        value = json.loads(content.decode())
    except (ValueError, RecursionError) as error:
        raise registry.UserError(f"{path} is not readable JSON ({error}): {fix}.") from error
    seal = value.pop(SEAL, None) if isinstance(value, dict) else None
    wrong = _mismatch(value, form, "it")
    if wrong:
        raise registry.UserError(f"{path} is damaged ({wrong}): {fix}.")
    if seal is not None and seal != _seal(value):
        raise registry.UserError(
            f"{path} is not what was written, its {SEAL} does not fit: {fix}, or remove its line "
            f"{SEAL!r} if you changed the file on purpose."
        )
    return value


def _seal(value: Mapping[str, Any]) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _mismatch(value: Any, form: Form, name: str) -> str:
    """Returns in what `value`, called `name`, is not of a form; empty where it is."""
    if isinstance(form, (dict, list)):
        if not isinstance(value, type(form)):
            return f"{name} is {_shown(value)} instead of {_NAMES[type(form)]}"
        if isinstance(form, list):
            parts = [(item, form[0], f"{name}[{i}]") for i, item in enumerate(value)]
        elif isinstance(value, dict):
            below = "" if name == "it" else f"{name}."
            fields = {field.rstrip("?"): its for field, its in form.items() if field != "*"}
            missing = [f for f in form if f != "*" and not f.endswith("?") and f not in value]
            if missing:
                return f"{name} has no field {missing[0]!r}"
            unknown = [field for field in value if field not in fields and "*" not in form]
            if unknown:
                return f"{name} has a field {unknown[0]!r} that nothing reads"
            parts = [
                (item, fields.get(field, form.get("*")), f"{below}{field}")
                for field, item in value.items()
            ]
        return next(filter(None, (_mismatch(*part) for part in parts)), "")
    types = form if isinstance(form, tuple) else (form,)
    wrong_flag = isinstance(value, bool) and not {bool, object} & set(types)
    if wrong_flag or not isinstance(value, types):
        return f"{name} is {_shown(value)} instead of {' or '.join(_NAMES[t] for t in types)}"
    return ""


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) < 40 else f"{text[:40]}..."
