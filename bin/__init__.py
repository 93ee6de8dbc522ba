"""The binaries, installed as tfav-prepare, tfav-train and so on; `tfav` alone lists them."""

import ast
import importlib.metadata
import importlib.util
import os
import sys


def commands() -> None:
    """Is the console command `tfav`: prints every command with the first line of its docstring.

    `--version` prints the version alone.
    """
    words = [word for word in sys.argv[1:] if word not in ("-h", "--help")]
    if words == ["--version"]:
        print(importlib.metadata.version("tfav"))
        return
    if words:
        print(
            f"error: {words[0]} is no word for tfav, which lists its commands and, with --version, "
            "its version: write tfav-NAME, such as tfav-train.",
            file=sys.stderr,
        )
        sys.exit(2)
    scripts = importlib.metadata.entry_points(group="console_scripts")
    modules = {s.name: s.module for s in scripts if s.name.startswith("tfav-")}
    width = max(map(len, modules))
    try:
        print("The commands of tfav; each lists its flags with --help.\n")
        for name, module in sorted(modules.items()):
            print(f"  {name.ljust(width)}  {_about(module)}")
        sys.stdout.flush()
    except BrokenPipeError:  # who reads it, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _about(module: str) -> str:
    """Returns the first line of a module's docstring, without importing the module."""
    spec = importlib.util.find_spec(module)
    assert spec is not None and spec.origin, "an installed module"
    with open(spec.origin, encoding="utf-8") as file:
        text = ast.get_docstring(ast.parse(file.read())) or ""
    return text.splitlines()[0]
