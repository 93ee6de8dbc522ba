"""What AutoGraph made of Python functions in one fork, for the forks that come after it.

A fork that trains spends a quarter of its time there, and on the same functions as the one before
it. AutoGraph keeps what it made by the code of a function, which a fork has in common with its
parent: so a fork writes down which functions it converted, and the parent converts them too. That
is Python alone; no thread is started, and nothing of TensorFlow runs in the parent.
"""

import contextlib
import gc
import json
import pathlib
import sys
import types
from collections.abc import Iterator

from tensorflow.python.autograph.core import converter
from tensorflow.python.autograph.impl import api

_FILE = "conversions"


def tell(folder: str) -> None:
    """Has this process write into a folder which functions it converts."""
    transpiler = api._TRANSPILER
    transform = transpiler.transform_function

    def told(function, context):
        if not transpiler._cache.has(function, transpiler.get_caching_key(context)):
            code, options = function.__code__, context.options
            line = {
                "place": [code.co_filename, code.co_firstlineno, code.co_name],
                "module": function.__globals__["__name__"],
                "recursive": options.recursive,
                "user_requested": options.user_requested,
                "internal_convert_user_code": options.internal_convert_user_code,
                "optional_features": [feature.name for feature in options.optional_features],
            }
            with open(pathlib.Path(folder, _FILE), "a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        return transform(function, context)

    transpiler.transform_function = told


def take(folder: str) -> None:
    """Converts what a process has written into a folder, as far as its functions are here."""
    path = pathlib.Path(folder, _FILE)
    if not path.exists():
        return
    text = path.read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
    found: dict[tuple, list[types.CodeType]] = {}
    for code in _codes({line["place"][0] for line in lines}):
        found.setdefault((code.co_filename, code.co_firstlineno, code.co_name), []).append(code)
    for line in lines:
        place, module = tuple(line.pop("place")), sys.modules.get(line.pop("module"))
        features = [converter.Feature[name] for name in line.pop("optional_features")]
        options = converter.ConversionOptions(**line, optional_features=tuple(features))
        for code in found.get(place, []) if module else []:
            cells = tuple(types.CellType() for _ in code.co_freevars)
            function = types.FunctionType(code, vars(module), code.co_name, None, cells)
            # What fails here is kept nonetheless, or fails in the fork, which says so.
            with contextlib.suppress(Exception):
                api._TRANSPILER.transform(function, converter.ProgramContext(options=options))


def _codes(files: set[str]) -> Iterator[types.CodeType]:
    """Yields the code of all functions of files, those within functions too."""
    seen: set[int] = set()
    todo = [
        each.__code__
        for each in gc.get_objects()
        if isinstance(each, types.FunctionType) and each.__code__.co_filename in files
    ]
    while todo:
        code = todo.pop()
        if id(code) not in seen:
            seen.add(id(code))
            yield code
            todo += [inner for inner in code.co_consts if isinstance(inner, types.CodeType)]
