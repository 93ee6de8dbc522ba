"""Examines a data set before it is prepared: the page, the JSON and the list of bad rows."""

import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tfav import folders, registry
from tfav.commands import destinations
from tfav.data.prepare import manifest, sources, tally
from tfav.data.prepare.doctor import examination, questions
from tfav.data.prepare.doctor.evidence import ALIKE
from tfav.data.prepare.doctor.finding import GOOD, STOPS, Finding
from tfav.data.prepare.settings import Settings
from tfav.reports import doctor_page, page

# Names of what is written, to the kinds of `destinations.FILES`.
_FILES = {"check.json": "check", "bad_rows.csv": "bad rows", "check.html": "page"}
_PAGE = "check.html"


class Checked(NamedTuple):
    """What was found.

    Attributes:
      report: for JSON.
      text: for people.
      refusal: the sentence where something stops a training; empty where nothing does.
    """

    report: dict[str, Any]
    text: str
    refusal: str


def check(rows: Sequence[manifest.Row], settings: Settings, own: Sequence[str] = ()) -> Checked:
    """Decodes all rows, and writes what was found without making a data set.

    Writes `OUTPUT-check.html`, `OUTPUT-check.json` and `OUTPUT-bad_rows.csv` beside the place of
    the data set, in place of those of an earlier check.

    Args:
      rows: of the source.
      settings: how they would become a data set.
      own: dotted paths of findings beside those of the table.

    Raises:
      UserError: what `prepare` would refuse before it decodes; a place that cannot be written.
    """
    output = os.path.normpath(settings.output)
    for name, kind in _FILES.items():
        destinations.check_file("output", f"{output}-{name}", kind)
    asked = questions.named(own)
    evidence, count = examination.examine(rows, settings)
    findings = questions.ask(evidence, asked)
    report = {
        **evidence.report,
        "acceptable": all(finding.level != STOPS for finding in findings.values()),
        "findings": [finding.to_json(name) for name, finding in findings.items()],
    }
    title = os.path.basename(output)
    people = sources.IDENTITIES if settings.labels == sources.ANY else settings.labels
    frame = page.Frame(f"Check of {title}", _about(rows, settings))
    with folders.folder(settings.output) as folder:
        paths = {name: os.path.join(folder, name) for name in _FILES}
        content = doctor_page.build(evidence.report, findings, frame, people)
        pathlib.Path(paths["check.html"]).write_text(content, encoding="utf-8")
        told = json.dumps(report, indent=1, default=_plain) + "\n"
        pathlib.Path(paths["check.json"]).write_text(told, encoding="utf-8")
        count.write_bad_rows(paths["bad_rows.csv"])
        for name, path in paths.items():
            os.replace(path, f"{output}-{name}")
    return Checked(json.loads(told), _text(report, findings, settings), _refusal(findings))


def _text(report: dict[str, Any], findings: Mapping[str, Finding], settings: Settings) -> str:
    lines = [*tally.counts(report, settings.labels), "", doctor_page.verdict(findings)]
    for finding in findings.values():
        if finding.level != GOOD:
            lines.append(f"{finding.level:<9} {finding.title}: {finding.found} {finding.advice}")
    output = os.path.normpath(settings.output)
    written = ", ".join(f"{output}-{name}" for name in _FILES)
    address = pathlib.Path(f"{output}-{_PAGE}").resolve().as_uri()
    return "\n".join([*lines, f"written: {written}", f"open {address}"])


def _refusal(findings: Mapping[str, Finding]) -> str:
    stops = [finding for finding in findings.values() if finding.level == STOPS]
    if not stops:
        return ""
    first = stops[0]
    return f"{first.title}: {first.found.rstrip('.')}: {first.advice[:1].lower()}{first.advice[1:]}"


def _about(rows: Sequence[manifest.Row], settings: Settings) -> dict[str, str]:
    return {
        "Source": f"{settings.source}, {len(rows)} rows",
        "Measured on": "what prepare would store, 16 kHz mono and images of at most "
        f"{settings.max_image_side} pixels; of a row with several frames the middle one",
        "Nearly the same": "outlines of 16 x 16 cells (energy by time and mel band, or grey) that "
        f"correlate by at least {ALIKE['audio']:g} in audio and {ALIKE['image']:g} in images; what "
        "is cropped, mirrored or a part of the other is not found",
    }


def _plain(value: Any) -> Any:
    """Returns a NumPy number as Python's."""
    if hasattr(value, "item"):
        return value.item()
    raise registry.UserError(f"a finding holds {value!r}, which is no JSON: let it hold numbers.")
