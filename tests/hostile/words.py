"""Wrong words: manifests, config values, flags."""

import codecs
import functools
import itertools
import json
import pathlib
import re
import shutil
import unicodedata
import xml.etree.ElementTree

import numpy as np

from tests import small
from tests.hostile import REFUSAL, RIGHT, SENTENCE, SILENT, Attempt, place
from tests.hostile.media import _image, _sound
from tfav.data import shards

# Manifests ---------------------------------------------------------------------------------------


def _lines(change):
    """Makes a manifest of the lines of the good one."""
    return lambda text, draw: "\n".join(change(text.splitlines(), draw)).encode()


def _cells(change):
    def all_lines(lines, draw):
        return [",".join(change(k, line.split(","), draw)) for k, line in enumerate(lines)]

    return _lines(all_lines)


def _put(column, value):
    """Puts a value into a random row."""

    def change(lines, draw):
        row = draw.randrange(1, len(lines))
        cells = lines[row].split(",")
        cells[column] = value
        return [*lines[:row], ",".join(cells), *lines[row + 1 :]]

    return _lines(change)


MANIFESTS = {
    "byte order mark": lambda text, draw: codecs.BOM_UTF8 + text.encode(),
    "UTF-16": lambda text, draw: text.encode("utf-16"),
    "Latin-1": lambda text, draw: text.replace("p0", "zo\u00e9").encode("latin-1"),
    "CRLF": lambda text, draw: text.replace("\n", "\r\n").encode(),
    "CR": lambda text, draw: text.replace("\n", "\r").encode(),
    "semicolons": lambda text, draw: text.replace(",", ";").encode(),
    "tabs": lambda text, draw: text.replace(",", "\t").encode(),
    "quoted": _cells(lambda k, cells, draw: [f'"{c}"' for c in cells]),
    "blanks behind commas": _cells(lambda k, cells, draw: [f" {c}" for c in cells]),
    "trailing commas": _lines(lambda lines, draw: [f"{x},,," for x in lines]),
    "a row with a comma more": _put(4, ",,"),
    "upper-case header": _lines(lambda lines, draw: [lines[0].upper(), *lines[1:]]),
    "no header": _lines(lambda lines, draw: lines[1:]),
    "no rows": _lines(lambda lines, draw: lines[:1]),
    "a column gone": _cells(lambda k, cells, draw: cells[:2] + cells[3:]),
    "a column twice": _cells(lambda k, cells, draw: [*cells, cells[2]]),
    "columns in another order": _cells(lambda k, cells, draw: cells[::-1]),
    "swapped names": _lines(
        lambda lines, draw: [lines[0].replace("audio,image", "image,audio"), *lines[1:]]
    ),
    "a row twice": _lines(lambda lines, draw: [*lines, lines[draw.randrange(1, len(lines))]]),
    "a row short": _lines(lambda lines, draw: [*lines[:-1], lines[-1].rsplit(",", 2)[0]]),
    "an id with a slash": _put(0, "../x"),
    "no id": _put(0, ""),
    "an unknown split": _put(1, "training"),
    "Train": _put(1, "Train"),
    "no split": _put(1, ""),
    "no label": _put(2, ""),
    "a label with a space": _put(2, "p0 "),
    "a label in NFD": _put(2, unicodedata.normalize("NFD", "zo\u00e9")),
    "a NUL": _put(2, "p\0"),
    "a huge cell": _put(2, "p" * 200_000),
    "an open quote": _put(2, '"p0'),
    "a file that is not there": _put(3, "nowhere.wav"),
    "a folder": _put(3, "."),
    "a URL": _put(3, "https://example.org/a.wav"),
    "a home": _put(3, "~/a.wav"),
    "no file at all": _lines(lambda lines, draw: [*lines, "x,train,p0,,"]),
    "blank lines": _lines(lambda lines, draw: [y for x in lines for y in (x, "")]),
    "empty": lambda text, draw: b"",
    "a spreadsheet": lambda text, draw: b"PK\3\4" + draw.randbytes(200),
    "zeros": lambda text, draw: bytes(200),
    "a page": lambda text, draw: b"<!DOCTYPE html><html>404</html>",
    "a comment": _lines(lambda lines, draw: ["# mine", *lines]),
    "cut in a row": lambda text, draw: text.encode()[: -draw.randrange(2, 12)],
}
# What changes the meaning and is no mistake of ours to find.
_MEANT = {
    "an id with a slash",
    "a label with a space",
    "a label in NFD",
    "a huge cell",
    "no id",
    "Latin-1",
}


def manifest_attempts(its: place.Place, count: int, seed: int) -> list:
    """Returns an attempt each, to be called: manifests in turn, in an order of the seed."""
    folder = _people(its)
    lines = ["id,split,label,audio,image"]
    for k in range(4):
        lines.append(f"a{k},{'train' if k < 3 else 'test'},p{k},{k}.wav,{k}.png")
    text = "\n".join(lines) + "\n"
    names = list(MANIFESTS)
    place.draw_of(seed, "manifests").shuffle(names)
    chosen = names[:count]
    return [
        *(functools.partial(_manifest, its, folder, n, text, seed) for n in chosen),
        *(functools.partial(_checked, its, folder, n, text, seed) for n in chosen[: count // 2]),
    ]


def _people(its: place.Place) -> pathlib.Path:
    """Writes four clips and four images; returns their folder."""
    folder = its.folder / "people"
    folder.mkdir(exist_ok=True)
    for k in range(4):
        (folder / f"{k}.wav").write_bytes(_sound(".wav"))
        (folder / f"{k}.png").write_bytes(_image(".png"))
    return folder


def _manifest(its, folder, name, text, seed) -> Attempt:
    stem = f"manifest {list(MANIFESTS).index(name)}"
    told, output = folder / f"{stem}.csv", its.folder / f"{stem} set"
    told.write_bytes(MANIFESTS[name](text, place.draw_of(seed, name)))
    flags = (f"--manifest={told}", f"--output={output}", "--lists=none", "--max_bad_fraction=0.5")
    done = its.command("prepare", *flags)
    outcome, said = place.ended(done)
    if outcome is None:
        index = shards.Index.read(str(output))
        rows = set(zip(index.id.tolist(), index.split.tolist(), index.label.tolist()))
        right = {tuple(line.split(",")[:3]) for line in text.splitlines()[1:]}
        bad = (output / "bad_rows.csv").read_text().count("\n") > 1
        whole = bool(index.num_samples.all() and index.height.all())
        if rows == right and whole:
            outcome, said = RIGHT, ""
        elif bad or place.warnings(done) or name in _MEANT:
            outcome, said = REFUSAL, ""
        else:
            outcome, said = SILENT, f"{sorted(rows)} for {sorted(right)}"
    elif outcome == SENTENCE and output.exists():
        outcome, said = SILENT, "a refusal that leaves a data set"
    return Attempt("manifest", "prepare", name, outcome, said)


def _checked(its, folder, name, text, seed) -> Attempt:
    stem = f"checked {list(MANIFESTS).index(name)}"
    told, output = folder / f"{stem}.csv", its.folder / f"{stem} set"
    told.write_bytes(MANIFESTS[name](text, place.draw_of(seed, name)))
    flags = (f"--manifest={told}", f"--output={output}", "--max_bad_fraction=0.5", "--check")
    done = its.command("prepare", *flags, "--json")
    outcome, said = place.ended(done)
    if outcome is None:
        report = json.loads(done.stdout)
        rows = sum(counts["rows"] for counts in report["splits"].values())
        if rows == text.count("\n") - 1 and not report["bad_rows"]:
            outcome, said = RIGHT, ""
        elif report["bad_rows"] or place.warnings(done) or name in _MEANT:
            outcome, said = REFUSAL, ""
        else:
            outcome, said = SILENT, f"{rows} rows"
    elif outcome == SENTENCE and output.exists():
        outcome, said = SILENT, "a check that leaves a data set"
    return Attempt("manifest", "prepare --check", name, outcome, said)


# Values of the config ----------------------------------------------------------------------------

_VALUES = ("nan", "inf", "-1", "-0.5", "1e30", "x", "''", "None", "[]", "(-1.0, 2.0)", "{}", "True")
# What a run of two steps cannot tell, and what names what is on this machine.
_LEFT = re.compile(r"train\.(num_steps|policy|strategy)|data\.directory|init_from|^seed$")


def value_attempts(its: place.Place, count: int, seed: int) -> list:
    """Returns an attempt each, to be called: a field of the config drawn, and a value."""
    draw = place.draw_of(seed, "values")
    base = small.config(str(its.data))
    names = [name for name in _flat(base.to_dict()) if not _LEFT.search(name)]
    pairs = list(itertools.product(names, _VALUES))
    draw.shuffle(pairs)
    return [functools.partial(_value, its, n, *pair) for n, pair in enumerate(pairs[:count])]


def _flat(fields: dict, prefix: str = "") -> list[str]:
    found = []
    for name, value in fields.items():
        full = f"{prefix}{name}"
        found += _flat(value, f"{full}.") if isinstance(value, dict) else [full]
    return sorted(found)


def _value(its, number, name, value) -> Attempt:
    work = its.folder / f"value {number}"
    given = f"--config.{name}={value}"
    done = its.command("train", its.config, f"--workdir={work}", given)
    outcome, said = place.ended(done)
    if outcome is None:  # then it is in the config, and what was trained is finite
        weights = place.arrays(work / "weights.npz") or {}
        finite = all(np.isfinite(w).all() for w in weights.values() if w.dtype.kind == "f")
        kept = json.loads((work / "config.json").read_text())
        kept = kept.get("config", kept)
        for part in name.split("."):
            kept = kept.get(part) if isinstance(kept, dict) else None
        bad = value == "nan" or not finite or not weights
        outcome, said = (SILENT, f"{kept}; finite {finite}") if bad else (RIGHT, "")
    elif outcome == SENTENCE and (work / "weights.npz").exists():
        outcome, said = SILENT, "a refusal that leaves weights"
    shutil.rmtree(work, ignore_errors=True)
    return Attempt("value of the config", "train", given, outcome, said)


# Flags -------------------------------------------------------------------------------------------

_OF_TYPE = {
    "int": ("nan", "-1", "1.5", "x", "", "99999999999999999999"),
    "float": ("nan", "-1", "x", ""),
    "bool": ("x", "2"),
    "string": ("nowhere/x", "", "/dev/null", "a\nb"),
}
# They would read or write elsewhere, or are not for users.
# Taken, they would train for an hour.
_TOO_LONG = {("start", "steps"), ("start", "seed"), ("start", "output")}
_WITHOUT_OUTPUT = ("compare", "search")
_NO_FLAGS = {"runner", "beam_options", "released", "video", "config", "strategy", "help"}


def flag_attempts(its: place.Place, count: int, seed: int) -> list:
    """Returns an attempt each, to be called: a flag of a command drawn, and a value."""
    commands = {
        "prepare": [f"--manifest={its.folder}/people/manifest.csv", "--lists=none"],
        "eval": [f"--workdir={its.run}"],
        "report": [f"--workdir={its.run}"],
        "export": [f"--workdir={its.run}", "--precisions=float32"],
        "embed": [f"--model={its.export}/audio_float32.tflite", f"--inputs={its.media}/voice.wav"],
        "compare": [*its.compare_flags(its.folder / "compared")],
        "prepare --check": [f"--manifest={its.folder}/people/manifest.csv", "--check"],
        "search": [f"--index={its.gallery}/gallery.npz", f"--query={its.media}/voice.wav"],
        "start": [f"--audio={its.folder}/people", f"--image={its.media}"],
    }
    commands["search"].append(f"--model={its.run}")
    told = _people(its) / "manifest.csv"
    rows = [f"a{k},train,p{k},{k}.wav,{k}.png" for k in range(4)]
    told.write_text("\n".join(["id,split,label,audio,image", *rows]) + "\n")
    known = [
        (binary, *flag)
        for binary in commands
        for flag in _flags(its, binary.split()[0])
        if (binary, flag[0]) not in _TOO_LONG
    ]
    triples = [
        (binary, name, kind, value)
        for binary, name, kind in known
        for value in _OF_TYPE.get(kind, _OF_TYPE["string"])
    ]
    place.draw_of(seed, "flags").shuffle(triples)
    return [
        functools.partial(_flag, its, binary, commands[binary], name, kind, value, number)
        for number, (binary, name, kind, value) in enumerate(triples[:count])
    ]


def _flags(its, binary) -> list[tuple[str, str]]:
    """Returns names and types of a command's own flags."""
    text = its.command(binary, "--helpxml").stdout
    root = xml.etree.ElementTree.fromstring(text)
    found = []
    for flag in root.iter("flag"):
        name, file = flag.findtext("name"), flag.findtext("file")
        own = "limit_flags" in file or flag.findtext("key") == "yes"
        if own and name not in _NO_FLAGS and "." not in name:
            found.append((name, flag.findtext("type").split(" ")[-1]))
    return sorted(found)


def _flag(its, binary, flags, name, kind, value, number) -> Attempt:
    output = its.folder / f"flag {number}"
    suffix = {"embed": ".npz", "report": ".html"}.get(binary, "")
    if name == "output" and value and not value.startswith("/"):
        value = f"{output}/{value}"  # or it would be written into this repository
    given = f"--{name}={value}"
    rest = [f for f in flags if not f.startswith(f"--{name}=")]
    if binary not in _WITHOUT_OUTPUT and name != "output":
        rest.append(f"--output={output}{suffix}")
    done = its.command(binary.split()[0], *rest, given)
    outcome, said = place.ended(done)
    number_flag = kind in ("int", "float", "bool")
    if outcome is None:
        wrong = number_flag and value in ("nan", "x", "1.5", "")
        outcome, said = (SILENT, "taken") if wrong else (RIGHT, "")
    elif (
        outcome == SENTENCE
        and binary not in _WITHOUT_OUTPUT
        and pathlib.Path(f"{output}{suffix}").exists()
    ):
        outcome, said = SILENT, "a refusal that leaves an output"
    return Attempt("flag", binary, given, outcome, said)


MAKERS = {"manifests": manifest_attempts, "values": value_attempts, "flags": flag_attempts}
