"""The binaries, installed as tfav-prepare, tfav-train and so on; `tfav` alone lists them."""

import ast
import importlib.metadata
import importlib.util
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
    print("The commands of tfav; each lists its flags with --help.\n")
    for name, module in sorted(modules.items()):
        print(f"  {name.ljust(width)}  {_about(module)}")


def _about(module: str) -> str:
    """Returns the first line of a module's docstring, without importing the module."""
    spec = importlib.util.find_spec(module)
    assert spec is not None and spec.origin, "an installed module"
    with open(spec.origin, encoding="utf-8") as file:
        text = ast.get_docstring(ast.parse(file.read())) or ""
    return text.splitlines()[0]
