"""Checks the built site: no page asks another server for anything, and each says so.

    python docs/check.py build/docs

Links inside the site, anchors among them, are what `mkdocs build --strict` has checked.
"""

import html.parser
import pathlib
import re
import sys
from collections.abc import Iterator

# Attribute of a tag that a browser fetches by itself; an `a` is followed by a person alone.
_FETCHED = {
    ("audio", "src"),
    ("embed", "src"),
    ("iframe", "src"),
    ("img", "src"),
    ("img", "srcset"),
    ("link", "href"),
    ("object", "data"),
    ("script", "src"),
    ("source", "src"),
    ("source", "srcset"),
    ("video", "src"),
}
_OTHER = re.compile(r"^\s*(?:[a-z][a-z0-9+.-]*:)?//", re.I)
_IN_STYLE = re.compile(r"(?:url\(|@import)\s*['\"]?\s*((?:https?:)?//[^'\")\s]+)", re.I)


class _Page(html.parser.HTMLParser):
    """Collects what a page fetches and whether it has a policy."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.policy = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Notes one tag."""
        of = dict(attrs)
        self.fetched += [of[name] or "" for name in of if (tag, name) in _FETCHED]
        if tag == "meta" and of.get("http-equiv") == "Content-Security-Policy":
            self.policy = of.get("content") or ""


def faults(site: pathlib.Path) -> Iterator[str]:
    """Yields a sentence for each thing that is wrong with a built site."""
    pages = sorted(site.rglob("*.html"))
    if not pages:
        yield f"{site} holds no page: build it first."
    for path in pages:
        page = _Page()
        text = path.read_text(encoding="utf-8")
        page.feed(text)
        name = path.relative_to(site)
        if "default-src 'self'" not in page.policy:
            yield f"{name} has no Content-Security-Policy."
        for url in [*filter(_OTHER.match, page.fetched), *_IN_STYLE.findall(text)]:
            yield f"{name} fetches {url} from another server."
    for path in sorted(site.rglob("*.css")):
        for url in _IN_STYLE.findall(path.read_text(encoding="utf-8")):
            yield f"{path.relative_to(site)} fetches {url} from another server."


def main() -> int:
    """Prints each fault; returns the exit code."""
    site = pathlib.Path(sys.argv[1])
    found = list(faults(site))
    for fault in found:
        print(f"error: {fault}", file=sys.stderr)
    if not found:
        print(f"{site}: {len(list(site.rglob('*.html')))} pages, and none asks another server.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
