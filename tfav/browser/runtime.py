"""LiteRT.js, which runs `.tflite` files in a browser: found where npm has put it, and copied."""

import glob
import gzip
import json
import os
import tarfile
from collections.abc import Callable, Sequence
from typing import NamedTuple

from tfav import registry

CORE, TOOLS = "@litertjs/core", "@litertjs/wasm-utils"
VERSION = "2.5.3"  # that was tried; 2.5 and later ones of its kind are taken
PACK = f"npm pack {CORE}@{VERSION} {TOOLS}@{VERSION} --pack-destination=.litert"
# Where it is looked for when nobody says where.
PLACES = (".litert", "node_modules")
_OLDEST = (2, 5)
# What a browser loads, one of three: of several threads, plain, and without relaxed SIMD.
_BUILDS = ("litert_wasm_threaded_internal", "litert_wasm_internal", "litert_wasm_compat_internal")
_GZIP_LEVEL = 6  # as servers have it
_MISSING = "LiteRT.js, which runs the model in the page, is not"
_FIX = f"run `mkdir -p .litert && {PACK}` here, or name its folder with --runtime"
_NOTICE = """LiteRT.js {version}, Copyright Google LLC, Apache License 2.0.
https://github.com/google-ai-edge/LiteRT, npm {core} and {tools}.
Changed here: index.js imports ./wasm-utils.js in place of {tools}, and knows tensors of booleans.
"""
# 2.5 opens no file with an output of booleans, as `matched` of `score_pairs` is, read or not.
_LAST_TYPE = "    elementType: ElementType.UINT8\n  }"
_BOOL = """,
  {
    dtype: "bool",
    typedArrayConstructor: Uint8Array,
    elementType: ElementType.BOOL
  }"""


class Runtime(NamedTuple):
    """What of LiteRT.js a page needs.

    Attributes:
      version: of the npm package.
      files: name in the page's folder `runtime` to the bytes.
    """

    version: str
    files: dict[str, bytes]


def find(place: str = "") -> Runtime:
    """Returns LiteRT.js.

    Args:
      place: a folder with the two packages, as `npm install` lays them or as the `.tgz` files of
        `npm pack`; empty: the first of `PLACES` that exists here.

    Raises:
      UserError: it is not there, not whole, or of another version.
    """
    places = [place] if place else [p for p in PLACES if os.path.isdir(p)]
    if not places:
        raise registry.UserError(f"{_MISSING} in {' or '.join(PLACES)}: {_FIX}.")
    for folder in places:
        packages = [_package(folder, name) for name in (CORE, TOOLS)]
        if None not in packages:
            core, tools = (read for read in packages if read is not None)
            return _runtime(folder, core, tools)
    raise registry.UserError(f"{_MISSING} in {' or '.join(places)}: {_FIX}.")


def loaded_bytes(runtime: Runtime) -> int:
    """Returns how much a visitor loads: the largest of the builds."""
    return sum(len(runtime.files[name]) for name in _each(_BUILDS[:1]))


def sizes(runtime: Runtime) -> str:
    """Returns in words how much a visitor loads."""
    whole = sum(map(len, runtime.files.values())) / 1e6
    one = [runtime.files[name] for name in _each(_BUILDS[:1])]
    packed = sum(len(gzip.compress(code, _GZIP_LEVEL)) for code in one) / 1e6
    return (
        f"LiteRT.js {runtime.version}: {whole:.0f} MB in three builds, of which a visitor loads "
        f"one, {loaded_bytes(runtime) / 1e6:.1f} MB, or {packed:.1f} MB where the server "
        "compresses with gzip"
    )


_Read = Callable[[str], bytes]


def _package(folder: str, name: str) -> _Read | None:
    """Returns what reads the files of an npm package by their names; None: it is not there."""
    short = name.rsplit("/", 1)[1]
    for path in (os.path.join(folder, name), os.path.join(folder, short)):
        if os.path.isfile(os.path.join(path, "package.json")):
            return lambda file: _read_file(os.path.join(path, file))
    packed = sorted(glob.glob(os.path.join(glob.escape(folder), f"litertjs-{short}-*.tgz")))
    return (lambda file: _read_member(packed[-1], file)) if packed else None


def _read_file(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _read_member(path: str, file: str) -> bytes:
    with tarfile.open(path) as archive:
        member = archive.extractfile(f"package/{file}")
        assert member is not None, "a file and no folder"
        return member.read()


def _runtime(folder: str, core: _Read, tools: _Read) -> Runtime:
    try:
        version = str(json.loads(core("package.json"))["version"])
        numbers = tuple(int(part) for part in version.split(".")[:2])
        index = core("dist/index.js").decode()
        found = {"wasm-utils.js": tools("dist/index.js")}
        for name in _each(_BUILDS):
            found[name] = core(f"wasm/{name}")
    except (OSError, KeyError, ValueError, tarfile.TarError, EOFError) as error:
        raise registry.UserError(
            f"{folder} does not hold all of LiteRT.js ({type(error).__name__}: {error}): remove it "
            f"and {_FIX}."
        ) from error
    if numbers < _OLDEST or numbers[0] != _OLDEST[0]:
        raise registry.UserError(
            f"{folder} holds LiteRT.js {version}, and the page was made for 2.5 and later ones of "
            f"2: {_FIX}."
        )
    # A browser knows no packages by name, and an import map would loosen the page's policy.
    index = index.replace(f'"{TOOLS}"', '"./wasm-utils.js"').replace(_LAST_TYPE, _LAST_TYPE + _BOOL)
    found["index.js"] = _without_map(index).encode()
    found["wasm-utils.js"] = _without_map(found["wasm-utils.js"].decode()).encode()
    found["NOTICE.txt"] = _NOTICE.format(version=version, core=CORE, tools=TOOLS).encode()
    return Runtime(version, found)


def _each(builds: Sequence[str]) -> list[str]:
    return [f"{build}{end}" for build in builds for end in (".js", ".wasm")]


def _without_map(code: str) -> str:
    """Returns code without the line that names a map of its source, which is not copied."""
    return "".join(line for line in code.splitlines(True) if "sourceMappingURL=" not in line)
