"""Fills templates: one self-contained HTML file whose own policy forbids the network.

Templates in `templates/` are filled by Jinja2 with autoescaping: text of the data reaches a page as
text only. Style and script are files there, and the policy names their hashes.
"""

import base64
import functools
import hashlib
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any

import jinja2
import markupsafe

from tfav import registry
from tfav.evaluation.result import Result
from tfav.reports import names, page

_FOLDER = pathlib.Path(__file__).parent / "templates"
_MEGABYTE = 1_000_000


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    environment.filters["differs"] = page.differs
    environment.filters["chart_source"] = page.chart_source
    environment.filters["sentence"] = names.sentence
    return environment


def render(
    template: str,
    frame: page.Frame,
    results: Sequence[Result],
    *,
    audio: bool = False,
    script: bool = False,
    **slots: Any,
) -> str:
    """Returns a page.

    Args:
      template: file name in `templates/`.
      frame: what stands round the content.
      results: figures, for the tables and the facts about them.
      audio: whether the page plays audio.
      script: whether the page runs `page.js`; others allow no script at all.
      **slots: what else the template takes, such as `tiles`.
    """
    style = (_FOLDER / "page.css").read_text("utf-8")
    code = (_FOLDER / "page.js").read_text("utf-8") if script else ""
    policy = ["default-src 'none'", "img-src data:", *["media-src data:"][: int(audio)]]
    policy += ["base-uri 'none'", "form-action 'none'", f"style-src {_hash(style)}"]
    policy += [f"script-src {_hash(code)}"] if script else []
    return (
        _environment()
        .get_template(template)
        .render(
            # Hashes are of this file's making: their quotes stay as they are.
            policy=markupsafe.Markup("; ".join(policy)),
            style=markupsafe.Markup(style),
            script=markupsafe.Markup(code),
            frame=frame,
            grids=page.grids(results),
            **slots,
        )
    )


def _hash(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"


def fitting(
    candidates: Iterable[str],
    max_megabytes: float,
    content: str,
    fewer: str = "name fewer of --tags",
) -> str:
    """Returns the first of some pages that is no larger than allowed.

    Args:
      candidates: at least one, each smaller than the one before.
      max_megabytes: the limit.
      content: what the last one still shows, for the sentence.
      fewer: what else makes the page smaller, for the sentence.

    Raises:
      UserError: none is.
    """
    for text in candidates:
        size = len(text.encode())
        if size <= max_megabytes * _MEGABYTE:
            return text
    raise registry.UserError(
        f"--max_mb={max_megabytes:g} is too little for {content}, which takes "
        f"{size / _MEGABYTE:.2f} MB: allow that much, or {fewer}."
    )
