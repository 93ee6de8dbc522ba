"""The page in a real headless Chromium: it opens, plays, filters and obeys the keyboard."""

import base64
import os
import pathlib

import pytest

from tests import chromium, showcases
from tfav.reports import list_page

BINARY = chromium.find()
pytestmark = pytest.mark.skipif(
    BINARY is None, reason="no Chromium on PATH (Debian: apt-get install chromium)"
)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    tasks, items, _ = showcases.small()
    text = list_page.build(tasks, [], {}, items, title=f"A run {showcases.HOSTILE}", about={})
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def browser():
    browser = chromium.Browser(BINARY)
    yield browser
    browser.close()


@pytest.fixture
def opened(browser, path):
    """The page, freshly loaded; afterwards nothing may be on the console or on the network."""
    browser.events.clear()
    browser.resize(1280, 900)
    browser.open(path.as_uri())
    yield browser
    assert browser.complaints() == []
    assert browser.requests() == [path.as_uri()]


def identities(browser) -> list[str]:
    return browser.run("[...document.querySelectorAll('.probe h4')].map(e => e.textContent)")


def choose(browser, select: str, value: str) -> None:
    browser.run(
        f"document.getElementById('{select}').value = '{value}';"
        f"document.getElementById('{select}').dispatchEvent(new Event('change', {{bubbles: true}}))"
    )


def focused(browser) -> str:
    return browser.run("document.activeElement.ariaLabel || document.activeElement.outerHTML")


def test_it_shows_every_probe_with_its_ranking(opened):
    assert len(identities(opened)) == 8
    assert opened.run("document.querySelector('#status').textContent") == (
        "Voice → face: 8 probes shown of 8."
    )
    hits = opened.run(
        "[...document.querySelector('.probe').querySelectorAll('.hit')].map(e => e.innerText)"
    )
    assert [hit.split()[1] for hit in hits] == ["match", "mismatch", "mismatch", "mismatch"]
    assert hits[0].split()[2] == "0.999"  # cosine of 2 degrees
    # Colour, sign and word differ.
    looks = opened.run("""['.hit.match', '.hit.mismatch'].map(kind => {
        const part = name => document.querySelector(`${kind} ${name}`);
        const frame = getComputedStyle(part('img'));
        return [frame.borderTopColor, frame.borderTopStyle, part('path').getAttribute('d'),
                part('b').textContent];
    })""")
    assert all(a != b for a, b in zip(*looks))


def test_every_picture_is_decoded_and_described(opened):
    opened.wait("[...document.images].every(image => image.complete)")
    assert opened.run("[...document.images].every(i => i.naturalWidth === 64 && i.alt)")
    assert "face of ada, rank 1, match" in opened.run("[...document.images].map(i => i.alt)")


def test_a_voice_plays_when_clicked_and_stops_when_clicked_again(opened):
    opened.click("document.querySelector('.ask .play')")
    opened.wait("player.readyState >= 2 && player.currentTime > 0.05")
    assert opened.run("document.querySelectorAll('[aria-pressed=true]').length") == 1
    assert 0.4 < opened.run("player.duration") < 0.8
    opened.click("document.querySelector('[aria-pressed=true]')")
    assert opened.run("player.paused && !document.querySelector('[aria-pressed=true]')")


def test_only_one_voice_plays_at_a_time_and_its_end_releases_the_button(opened):
    opened.run("document.querySelectorAll('input[name=task]')[1].click()")
    opened.click("document.querySelectorAll('.play')[0]")
    opened.click("document.querySelectorAll('.play')[3]")
    pressed = "[...document.querySelectorAll('.play')].map(e => e.ariaPressed).indexOf('true')"
    assert opened.run(pressed) == 3
    opened.wait(f"{pressed} === -1")


def test_the_other_direction_has_pictures_that_ask_and_voices_that_answer(opened):
    opened.run("document.querySelectorAll('input[name=task]')[1].click()")
    assert opened.run("document.querySelectorAll('.ask img').length") == 4
    assert opened.run("document.querySelectorAll('.hit .play').length") == 4 * 8
    assert opened.run("document.querySelectorAll('.hit img').length") == 0


def test_the_gender_filter_leaves_that_gender(opened):
    choose(opened, "gender", "female")
    assert set(identities(opened)) == {"ada", "cy"} and len(identities(opened)) == 4
    assert "4 probes shown of 8" in opened.run("document.querySelector('#status').textContent")
    choose(opened, "gender", "")
    assert len(identities(opened)) == 8


def test_sorting_is_by_average_precision_or_by_name(opened):
    choose(opened, "sort", "name")
    names = identities(opened)
    assert names[-6:] == ["ada", "ada", "bo", "bo", "cy", "cy"]
    choose(opened, "sort", "low")
    texts = opened.run(
        "[...document.querySelectorAll('.facts b')].map(e => parseFloat(e.innerText))"
    )
    assert texts == sorted(texts) and len(texts) == 8


def test_the_best_come_first_best_first_then_the_worst_worst_first_then_a_sample_by_name(
    browser, tmp_path
):
    tasks, items, _ = showcases.small()
    groups = [("best",), ("best",), ("random",), ("worst", "random"), ("random",), ("worst",)]
    probes = [
        probe._replace(groups=names, average_precision=0.9 - 0.1 * i)
        for i, (probe, names) in enumerate(zip(tasks[0].probes, groups))
    ]
    other = tmp_path / "groups.html"
    text = list_page.build([tasks[0]._replace(probes=probes)], [], {}, items, title="t", about={})
    other.write_text(text, encoding="utf-8")
    browser.open(other.as_uri())
    heads = "[...document.querySelectorAll('#probes h3')].map(e => e.textContent)"
    assert browser.run(heads) == [
        "Best probes (2)",
        "Worst probes (2)",
        "Probes drawn at random (3)",
    ]
    script = "[...document.querySelectorAll('.facts b')].map(e => parseFloat(e.innerText))"
    assert browser.run(script)[:4] == [90, 80, 40, 60]
    names = identities(browser)[4:]
    assert names == sorted(names)
    assert "6 probes shown" in browser.run("document.querySelector('#status').textContent")
    choose(browser, "group", "worst")
    assert browser.run(heads) == ["Worst probes (2)"]


def test_the_keyboard_alone_reaches_and_works_everything(opened):
    opened.press("Tab", 9)
    assert "Skip to the probes" in focused(opened)
    opened.press("Enter", 13, "\r")
    opened.press("Tab", 9)
    assert focused(opened).startswith("Play probe, voice of")
    outline = opened.run("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"  # visible focus
    opened.press(" ", 32, " ")
    opened.wait("player.currentTime > 0.02")
    opened.press("Escape", 27)
    assert opened.run("player.paused")
    opened.press("Enter", 13, "\r")
    opened.wait("!player.paused")
    opened.run("document.querySelector('input[name=task]').focus()")
    opened.press("ArrowRight", 39)
    assert opened.run("document.querySelector('#status').textContent").startswith("Face → voice")
    assert opened.run("player.paused")  # what was playing is gone from the page
    opened.press("Tab", 9)
    assert "female" in focused(opened)
    opened.press("ArrowDown", 40)
    opened.wait("document.querySelector('#gender').value === 'female'")
    assert set(identities(opened)) == {"ada", "cy"}


def test_a_screen_reader_finds_names_for_everything(opened):
    nodes = opened.call("Accessibility.getFullAXTree")["nodes"]
    named = {"button", "image", "radio", "combobox", "heading", "article", "link", "region"}
    for node in nodes:
        role = node.get("role", {}).get("value")
        if role in named and not node["ignored"]:
            assert node.get("name", {}).get("value"), (role, node)
    roles = [node.get("role", {}).get("value") for node in nodes]
    assert {"banner", "main", "navigation", "status", "group"} <= set(roles)
    assert opened.run("document.documentElement.lang") == "en"
    levels = opened.run(
        "[...document.querySelectorAll('h1,h2,h3,h4')].map(e => Number(e.tagName[1]))"
    )
    assert levels[0] == 1 and all(b - a <= 1 for a, b in zip(levels, levels[1:]))


def test_a_hostile_name_is_only_text(opened):
    assert showcases.HOSTILE in identities(opened)
    assert opened.run("document.title") == f"A run {showcases.HOSTILE}"
    assert opened.run("[...document.images].every(image => image.src.startsWith('data:'))")
    assert opened.run("document.scripts.length") == 2


def test_nothing_overflows_at_the_width_of_a_phone(opened):
    opened.resize(360, 740)
    assert opened.run("document.documentElement.scrollWidth <= innerWidth")
    side = opened.run("document.querySelector('.hit img').getBoundingClientRect().width")
    assert side > 44
    if os.environ.get("TFAV_SCREENSHOT"):  # a file to look at
        picture = opened.call("Page.captureScreenshot")["data"]
        pathlib.Path(os.environ["TFAV_SCREENSHOT"]).write_bytes(base64.b64decode(picture))


def test_what_the_data_lacks_has_no_control(browser, tmp_path):
    tasks, items, _ = showcases.small(gender=False)
    other = tmp_path / "other.html"
    other.write_text(list_page.build(tasks, [], {}, items, title="t", about={}), encoding="utf-8")
    browser.open(other.as_uri())
    assert browser.run("document.querySelector('#gender-field').hidden")
    assert browser.run("document.querySelector('#group').parentElement.hidden")
    assert len(identities(browser)) == 8


def test_the_policy_stops_a_script_that_gets_in(browser, tmp_path, path):
    text = path.read_text(encoding="utf-8")
    text = text.replace("<main>", "<main><img src=x onerror='window.stolen = 1'>", 1)
    (tmp_path / "bad.html").write_text(text, encoding="utf-8")
    browser.open((tmp_path / "bad.html").as_uri())
    assert browser.run("window.stolen") is None
