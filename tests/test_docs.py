"""The documentation site: its pages, its API and its promise to ask no other server.

`make docs` checks links and anchors; the built site is opened in a browser where it stands.
"""

import ast
import functools
import http.server
import importlib.util
import pathlib
import re
import threading
import urllib.parse

import pytest

from tests import chromium

ROOT = pathlib.Path(__file__).parent.parent
DOCS, SITE = ROOT / "docs", ROOT / "build" / "docs"
NAV = re.findall(r": (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.M)


def check():
    """The module `docs/check.py`, which is no part of a package."""
    spec = importlib.util.spec_from_file_location("check_site", DOCS / "check.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_navigation_lists_each_page_once_and_none_that_is_not_there():
    there = {str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md")}
    assert len(NAV) == len(set(NAV))
    beside = {page for page in NAV if page.startswith("repository/")}
    for page in beside:
        path = ROOT / page.removeprefix("repository/")
        assert path.exists() or path.with_suffix("").exists(), page
    assert set(NAV) - there == beside
    assert {page for page in there if "/" in page} <= set(NAV)


@pytest.mark.parametrize("package", ["layers", "losses", "keras"])
def test_the_api_page_shows_each_public_name_of_a_package(package):
    tree = ast.parse((ROOT / "tfav" / package / "__init__.py").read_text(encoding="utf-8"))
    public = {
        f"{node.module}.{alias.name}"
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    page = (DOCS / "api" / f"{package}.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^::: (\S+)", page, re.M)) == public


POLICY = '<meta http-equiv="Content-Security-Policy" content="default-src \'self\'">'


@pytest.mark.parametrize(
    "page, fault",
    [
        (POLICY + '<a href="https://x.org/">x</a><img src="a.png">', ""),
        ('<img src="a.png">', "page.html has no Content-Security-Policy."),
        (POLICY + '<img src="//x.org/a.png">', "page.html fetches //x.org/a.png from another"),
        (POLICY + '<script src="https://x.org/a.js">', "page.html fetches https://x.org/a.js from"),
        (POLICY + "<style>@import 'https://x.org/a.css'</style>", "fetches https://x.org/a.css"),
    ],
)
def test_a_page_that_asks_another_server_is_a_fault(tmp_path, page, fault):
    (tmp_path / "page.html").write_text(page)
    found = list(check().faults(tmp_path))
    assert len(found) == bool(fault) and fault in "".join(found)


def test_a_style_sheet_and_an_empty_site_are_looked_at_too(tmp_path):
    assert list(check().faults(tmp_path)) == [f"{tmp_path} holds no page: build it first."]
    (tmp_path / "page.html").write_text(POLICY)
    (tmp_path / "page.css").write_text("@font-face { src: url(http://x.org/a.woff2) }")
    (fault,) = check().faults(tmp_path)
    assert fault == "page.css fetches http://x.org/a.woff2 from another server."


@pytest.fixture(scope="module")
def site():
    """The address of the built site, on a server of this process."""
    if not SITE.is_dir():
        pytest.skip("no site in build/docs: run make docs")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(SITE))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_a_browser_finds_shows_and_searches_without_another_server(site, monkeypatch):
    binary = chromium.find()
    if binary is None:
        pytest.skip("no Chromium")
    monkeypatch.setattr(http.server.SimpleHTTPRequestHandler, "log_message", lambda *_: None)
    browser = chromium.Browser(binary)
    try:
        browser.open(f"{site}papers/voice-face/")
        assert browser.run("document.querySelectorAll('math').length") > 5
        assert (
            browser.run(
                "document.querySelector('math[display=block]').getBoundingClientRect().height"
            )
            > 10
        )
        browser.open(f"{site}?q=letterbox")
        browser.wait("document.querySelectorAll('.md-search-result__item').length > 0")
        browser.resize(390, 800)
        browser.open(f"{site}results/")
        assert browser.run("document.documentElement.scrollWidth") <= 390  # tables scroll alone
        asked = {urllib.parse.urlsplit(url) for url in browser.requests()}
        assert {f"{url.scheme}://{url.netloc}/" for url in asked if url.netloc} == {site}
        assert browser.complaints() == []
    finally:
        browser.close()
