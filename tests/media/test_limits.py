"""The page on reliability says of every limit what the table says."""

import dataclasses
import pathlib

from tfav.media import limits

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "reliability.md"


def test_the_page_has_the_row_of_every_limit():
    text = PAGE.read_text(encoding="utf-8").split("\n## Limits\n")[1].split("\n## ")[0]
    rows = [line for line in text.splitlines() if line.startswith("| `--")]
    assert rows == [
        f"| `--{limit.name}` | {limit.default:,} | {limit.metadata['help']} |"
        for limit in dataclasses.fields(limits.Limits)
    ]
