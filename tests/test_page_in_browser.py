"""The pages in a real headless Chromium: they open, play, filter and obey the keyboard."""

import base64
import itertools
import os
import pathlib

import numpy as np
import pytest

from tests import chromium, showcases
from tfav.data.prepare.doctor import finding
from tfav.evaluation import classification, correspondence
from tfav.reports import (
    class_page,
    doctor_page,
    list_page,
    page,
    scene_examples,
    scene_page,
    search_page,
)

BINARY = chromium.find()
pytestmark = pytest.mark.skipif(
    BINARY is None, reason="no Chromium on PATH (Debian: apt-get install chromium)"
)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    tasks, items, _ = showcases.small()
    text = list_page.build(tasks, [], {}, items, page.Frame(f"A run {showcases.HOSTILE}"))
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
    photos = "[...document.querySelectorAll('#probes img')]"
    assert opened.run(f"{photos}.every(i => i.naturalWidth === 64 && i.alt)")
    assert opened.run("[...document.images].every(i => i.naturalWidth > 0 && i.alt)")
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
    frame = page.Frame("t")
    text = list_page.build([tasks[0]._replace(probes=probes)], [], {}, items, frame)
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


def check_names(browser):
    """Everything a screen reader stops at has a name, and headings go down one at a time."""
    nodes = browser.call("Accessibility.getFullAXTree")["nodes"]
    named = {"button", "image", "radio", "combobox", "heading", "article", "link", "region"}
    named |= {"checkbox", "table", "Audio", "DisclosureTriangle"} - {"table"}
    for node in nodes:
        role = node.get("role", {}).get("value")
        if role in named and not node["ignored"]:
            assert node.get("name", {}).get("value"), (role, node)
    assert browser.run("document.documentElement.lang") == "en"
    levels = browser.run(
        "[...document.querySelectorAll('h1,h2,h3,h4')].map(e => Number(e.tagName[1]))"
    )
    assert levels[0] == 1 and all(b - a <= 1 for a, b in zip(levels, levels[1:]))
    return {node.get("role", {}).get("value") for node in nodes}


def test_a_screen_reader_finds_names_for_everything(opened):
    assert {"banner", "main", "navigation", "status", "group"} <= check_names(opened)


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
    other.write_text(list_page.build(tasks, [], {}, items, page.Frame("t")), encoding="utf-8")
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


# The pages without a script -----------------------------------------------------------------------

LONG = "an_uncommonly_long_label_of_one_word_" * 4
GREY = np.full([32, 32, 3], 128, np.uint8)
CORNER = np.array([[1.0, 0.0], [0.0, 0.0]])


def hum(seconds=0.5):
    return np.frombuffer(showcases.pcm(200, seconds), "<i2").astype(np.float32) / 32768


def classes_text(name):
    rng = np.random.default_rng(0)
    label = rng.integers(3, size=60)
    logits = {d: 2 * np.eye(3)[label] + rng.normal(size=(60, 3)) for d in ("fused", "audio")}
    names = [name, "b", "c"]
    results = classification.evaluate(logits, label, class_names=names, num_bootstrap=20, tag=name)
    media = showcases.jpeg((9, 90, 200)), showcases.pcm(200)
    example = class_page.Example(name, name, "b", 0.6, {"audio": name}, *media)
    right = example._replace(said=name)
    part = class_page.Part(name, label, logits, {}, [example] * 2, [right])
    picture = page.Picture(f"Confusion, {name}", b"<svg xmlns='http://www.w3.org/2000/svg'/>")
    frame = page.Frame(f"Classes: {name}", {name: name})
    return class_page.build(results, [part], names, [picture], frame)


def scenes_text(name):
    results = correspondence.evaluate(np.eye(8), [name, "b"] * 4, tag=name, num_bootstrap=9, seed=0)
    found = [
        scene_examples.Scene(name, name, GREY, heat, [(0.0, 0.0, 0.5, 0.5)], hum())
        for heat in (CORNER, CORNER[::-1])
    ]
    example = scene_examples.Example(name, name, GREY, CORNER, None, 0.9, 0.5)
    heard = example._replace(heat=None, audio=hum())
    clusters = {
        "image": scene_examples.Clusters(np.array([0.5, 0.5]), [[example], [example]]),
        "audio": scene_examples.Clusters(np.array([0.9, 0.1]), [[heard], [heard]]),
    }
    frame = page.Frame(f"Audio and image: {name}", {name: name})
    shown = {name: scene_examples.Scenes(found, 1, 2)}
    return scene_page.build(results, shown, {name: clusters}, [], frame)


def lists_text(name):
    tasks, items, _ = showcases.small(names=(name, "bo", "cy", "di"))
    return list_page.build(tasks, [], {}, items, page.Frame(f"Voices and faces: {name}"))


def check_text(name):
    """The page of a data set's check: findings of each level, with a histogram and with bars."""
    bars = finding.Chart("label", {name: [3, 1]}, names=[name, "b"])
    edges = finding.Chart(
        "length (s)", {name: [2, 0], "b": [1, 1]}, edges=[0.5, 1.0, 2.0], mark=1.0
    )
    charts = itertools.cycle((bars, edges, None))
    found = {
        f"{level}.{k}": finding.Finding(
            level, f"{level} {name}", name, name, 3, [(name, name)], next(charts)
        )
        for level in finding.LEVELS
        for k in range(3)
    }
    counts = {"rows": 9, "identities": 3, "audio": 5, "hours": 0.01, "image": 4}
    frame = page.Frame(f"Check of {name}", {name: name})
    return doctor_page.build({"splits": {name: counts}}, found, frame, "identities")


def search_text(name):
    """The page of a search, with a picture and a clip on either side, of each look."""
    media = {
        ("image", name): search_page.Media("image", showcases.jpeg((9, 90, 200))),
        ("audio", name): search_page.Media("audio", showcases.pcm(200)),
    }
    looks = (
        ("0.9", "0.953", "match", True),
        ("0.1", "0.076", "not sure", False),
        ("0", "", "", False),
    )
    queries = [
        search_page.Query(name, asked, [search_page.Found(name, other, *look) for look in looks])
        for asked, other in (("audio", "image"), ("image", "audio"))
    ]
    frame = page.Frame(f"Search: {name}", {name: name})
    return search_page.build(queries, media, media, "0.5000", frame)


PAGES = {
    "classes": classes_text,
    "scenes": scenes_text,
    "lists": lists_text,
    "check": check_text,
    "search": search_text,
}


def open_page(browser, folder, text):
    path = folder / "page.html"
    path.write_text(text, encoding="utf-8")
    browser.events.clear()
    browser.open(path.as_uri())
    return path


def check_quiet(browser, path):
    assert browser.complaints() == []
    assert browser.requests() == [path.as_uri()]


@pytest.mark.parametrize("kind", PAGES)
@pytest.mark.parametrize("width", [360, 1280])
def test_very_long_labels_wrap(browser, tmp_path, kind, width):
    browser.resize(width, 740)
    path = open_page(browser, tmp_path, PAGES[kind](LONG))
    browser.run("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert browser.run("document.documentElement.scrollWidth <= innerWidth")
    # A cell of numbers may be scrolled to; a name is broken instead of pushing them away.
    wide = "[...document.querySelectorAll('th')].map(e => e.getBoundingClientRect().width)"
    assert max(browser.run(wide), default=0) < 440
    browser.resize(1280, 900)
    check_quiet(browser, path)


@pytest.mark.parametrize("kind", ["classes", "scenes", "check", "search"])
def test_pages_without_a_script_have_names_and_quiet_and_text_only(browser, tmp_path, kind):
    path = open_page(browser, tmp_path, PAGES[kind](showcases.HOSTILE))
    assert {"banner", "main", "navigation", "region"} <= check_names(browser)
    assert browser.run("document.scripts.length") == 0
    assert browser.run("[...document.images].every(image => image.src.startsWith('data:'))")
    browser.wait("[...document.images].every(image => image.complete)")
    assert browser.run("[...document.querySelectorAll('.card img')].every(i => i.naturalWidth)")
    check_quiet(browser, path)


def test_the_maps_are_taken_away_and_brought_back_by_the_keyboard_alone(browser, tmp_path):
    path = open_page(browser, tmp_path, scenes_text("bell"))
    shown = "getComputedStyle(document.querySelector('.map')).display !== 'none'"
    assert browser.run(shown)
    browser.run("document.querySelector('.toggle').focus()")
    assert browser.run("document.querySelector('.toggle').labels[0].textContent") == "Show the maps"
    browser.press(" ", 32, " ")
    assert not browser.run(shown)
    same = "(r => [r.width, r.height])(document.querySelector('.layers').getBoundingClientRect())"
    width, height = browser.run(same)
    browser.press(" ", 32, " ")
    assert browser.run(shown) and browser.run(same) == [width, height]
    check_quiet(browser, path)


def test_a_clip_of_a_page_without_script_plays(browser, tmp_path):
    path = open_page(browser, tmp_path, classes_text("wren"))
    browser.run("document.querySelector('audio').scrollIntoView({behavior: 'instant'})")
    browser.run("document.querySelector('audio').focus()")
    browser.press(" ", 32, " ")
    browser.wait("document.querySelector('audio').currentTime > 0.05")
    check_quiet(browser, path)


def test_a_match_and_not_sure_differ_in_colour_line_sign_and_word(browser, tmp_path):
    path = open_page(browser, tmp_path, search_text("wren"))
    looks = browser.run("""['.card.match', '.card.unsure'].map(kind => {
        const card = document.querySelector(kind), frame = getComputedStyle(card);
        return [frame.borderTopColor, frame.borderTopStyle, card.querySelectorAll('.mark').length,
                card.querySelector('.facts').textContent.trim().split('\\n')[0]];
    })""")
    assert all(a != b for a, b in zip(*looks))
    assert [look[1:] for look in looks] == [["solid", 1, "match"], ["dashed", 0, "not sure"]]
    check_quiet(browser, path)


def test_right_and_wrong_differ_in_colour_line_sign_and_word(browser, tmp_path):
    open_page(browser, tmp_path, classes_text("wren"))
    looks = browser.run("""['.card.match', '.card.mismatch'].map(kind => {
        const card = document.querySelector(kind), frame = getComputedStyle(card);
        return [frame.borderTopColor, frame.borderTopStyle,
                card.querySelector('.mark path').getAttribute('d'),
                card.querySelectorAll('p')[1].textContent.split(' ')[0]];
    })""")
    assert all(a != b for a, b in zip(*looks))
