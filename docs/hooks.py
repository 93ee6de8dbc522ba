"""What the site needs beside MkDocs: links out of docs/, formulae as MathML, a policy, the nav.

Documents lie where readers of the repository look for them, so pages of docs/ link to files beside
docs/. Each such file becomes a page of the site: a document as it is, a notebook as its cells,
anything else as a listing. A link to a file that is not there stays, and `--strict` refuses it.
"""

import json
import pathlib
import posixpath
import re
from collections.abc import Callable, Iterator
from typing import Any

from latex2mathml import converter
from mkdocs.structure.files import File

ROOT = pathlib.Path(__file__).resolve().parent.parent
DOCS = "docs"
BESIDE = "repository"  # folder of the site for what lies outside docs/
_CODE = re.compile(r"(^(?P<fence> *(?:```+|~~~+)).*?^(?P=fence) *$|`[^`\n]+`)", re.M | re.S)
_LINK = re.compile(r"(\]\()([^)\s]+)(\))|((?:src|href)=\")([^\"]+)(\")")
_LANGUAGES = {"kt": "kotlin", "kts": "kotlin", "cc": "cpp", "h": "cpp", "yml": "yaml"}
_FORMULA = re.compile(
    r'<(span|div) class="arithmatex">\s*\\[(\[](.*?)\\[)\]]\s*</(?:span|div)>', re.S
)
# Browsers hold a page to it: nothing is asked of, or sent to, another server.
POLICY = (
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'self'; base-uri 'none'; "
    "form-action 'none'; img-src 'self' data:; script-src 'self' 'unsafe-inline'; "
    "style-src 'self' 'unsafe-inline'\">"
)


def on_config(config: Any) -> Any:
    """Leaves out listed pages that are not there, and adds those that nobody has listed."""
    listed: set[str] = set()
    config["nav"] = list(_there(config["nav"], listed))
    more = sorted(path.name for path in (ROOT / DOCS).glob("*.md") if path.name not in listed)
    if more:
        config["nav"].append({"More": more})
    return config


def on_files(files: Any, config: Any) -> Any:
    """Adds a page for every file outside docs/ that a page leads to, and that those lead to."""
    todo = [f"{DOCS}/{file.src_uri}" for file in files if file.src_uri.endswith(".md")]
    todo += [_path(uri) for uri in _listed(config["nav"]) if uri.startswith(f"{BESIDE}/")]
    seen = set(todo)
    for path in todo:
        if not path.startswith(f"{DOCS}/"):
            files.append(_generated(path, config))
    while todo:
        path = todo.pop()
        for target in _targets(path, (ROOT / path).read_text(encoding="utf-8")):
            if target in seen or target.startswith(f"{DOCS}/") or not (ROOT / target).is_file():
                continue
            seen.add(target)
            if target.endswith(".md"):
                todo.append(target)
            files.append(_generated(target, config))
    return files


def _generated(target: str, config: Any) -> File:
    """Returns the page of a file outside docs/."""
    content = _page((ROOT / target).read_text(encoding="utf-8"), target)
    return File.generated(config, _uri(target), content=content)


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Leads each link to the page that the site has of that file."""
    path = _path(page.file.src_uri)
    if not path.endswith(".md"):
        return markdown
    folder = posixpath.dirname(page.file.src_uri)

    def lead(target: str, anchor: str) -> str:
        return posixpath.relpath(_uri(target), folder or ".") + anchor

    return _outside_code(markdown, lambda text: _LINK.sub(lambda m: _led(m, path, lead), text))


def on_page_content(html: str, **_: Any) -> str:
    """Writes formulae as MathML, which browsers draw without a script or a font of ours."""

    def draw(match: re.Match[str]) -> str:
        kind, formula = match.groups()
        formula = formula.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
        return converter.convert(formula.strip(), display="inline" if kind == "span" else "block")

    return _FORMULA.sub(draw, html)


def on_post_page(output: str, **_: Any) -> str:
    """Says in each page that it asks no other server for anything."""
    return output.replace("<head>", f"<head>{POLICY}", 1)


def on_post_template(output_content: str, **_: Any) -> str:
    """Does the same to the page of what is not found, which no document is behind."""
    return on_post_page(output_content)


def _there(nav: list[Any], listed: set[str]) -> Iterator[Any]:
    """Yields the entries whose pages exist; `listed` gets their names."""
    for entry in nav:
        ((title, target),) = entry.items()
        if isinstance(target, list):
            yield {title: list(_there(target, listed))}
        elif (ROOT / _path(target)).exists():
            listed.add(target)
            yield entry


def _listed(nav: list[Any]) -> Iterator[str]:
    """Yields the pages of a navigation."""
    for entry in nav:
        for target in entry.values() if isinstance(entry, dict) else [entry]:
            yield from _listed(target) if isinstance(target, list) else [target]


def _targets(path: str, text: str) -> list[str]:
    """Returns the files of the repository that a document leads to."""
    if not path.endswith(".md"):
        return []
    found: list[str] = []
    _outside_code(
        text,
        lambda part: _LINK.sub(
            lambda m: _led(m, path, lambda target, _: found.append(target) or ""), part
        ),
    )
    return found


def _led(match: re.Match[str], path: str, lead: Callable[[str, str], str]) -> str:
    """Returns a link with its target replaced, where that is a file of the repository."""
    before, link, after = (match.group(k) or match.group(k + 3) for k in (1, 2, 3))
    name, mark, anchor = link.partition("#")
    if not name or re.match(r"[a-z]+:", name):
        return match.group()
    target = posixpath.normpath(posixpath.join(posixpath.dirname(path), name))
    if (ROOT / target / "README.md").is_file():
        target = f"{target}/README.md"
    return before + lead(target, mark + anchor) + after if (ROOT / target).exists() else match[0]


def _outside_code(text: str, change: Callable[[str], str]) -> str:
    parts = _CODE.split(text)
    # Of three parts the second is code, and the third the fence that it began with.
    return "".join(
        change(part) if place % 3 == 0 else part if place % 3 == 1 else ""
        for place, part in enumerate(parts)
    )


def _uri(target: str) -> str:
    """Returns where the site has a file of the repository."""
    if target.startswith(f"{DOCS}/"):
        return target.removeprefix(f"{DOCS}/")
    return f"{BESIDE}/{target}" if target.endswith(".md") else f"{BESIDE}/{target}.md"


def _path(uri: str) -> str:
    """Returns the file of the repository that a page of the site is of."""
    if not uri.startswith(f"{BESIDE}/"):
        return f"{DOCS}/{uri}"
    path = uri.removeprefix(f"{BESIDE}/")
    return path if (ROOT / path).exists() else path.removesuffix(".md")


def _page(text: str, target: str) -> str:
    """Returns a file outside docs/ as a document."""
    if target.endswith(".md"):
        return text
    if target.endswith(".ipynb"):
        return "\n\n".join(_cell(cell) for cell in json.loads(text)["cells"])
    suffix = target.rpartition(".")[2]
    return f"# {target}\n\n````{_LANGUAGES.get(suffix, suffix)}\n{text}\n````\n"


def _cell(cell: dict[str, Any]) -> str:
    source = "".join(cell["source"])
    return f"```python\n{source}\n```" if cell["cell_type"] == "code" else source
