"""The page of tfav-search: what it says, shows and plays, and what it does not replace."""

import base64
import html
import io
import re

import numpy as np
import pytest
import soundfile
from PIL import Image

from tfav import registry
from tfav.commands import search
from tfav.commands.pages import page_of_search
from tfav.evaluation import decisions

EVIL = "<b onclick=x>&'.png"
SPACE = "0123456789abcdef"
# Of a cosine 0.8 the probability is 1 / (1 + e^-3) = 0.953, of 0.5 it is 1/2, of 0.25 0.076.
DECIDED = decisions.Decisions("cosine", 0.5, 10.0, -5.0, {})


@pytest.fixture
def folders(tmp_path):
    """Three faces, one of them with markup for a name, and a voice of 12 seconds."""
    (tmp_path / "faces").mkdir()
    for name, colour in (("ann.png", (250, 0, 0)), (EVIL, (0, 0, 250)), ("cy.png", (0, 250, 0))):
        Image.new("RGB", (400, 200), colour).save(tmp_path / "faces" / name)
    wave = 0.3 * np.sin(2 * np.pi * 200 * np.arange(12 * 16_000) / 16_000)
    soundfile.write(tmp_path / "who.wav", wave, 16_000)
    return str(tmp_path / "faces"), str(tmp_path / "who.wav")


def answers(voice, decided=DECIDED):
    near = [("ann.png", "image", 0.8), (EVIL, "image", 0.5), ("cy.png", "image", 0.25)]
    answer = search.Answer(voice, "audio", near)
    why = "" if decided else "it was not evaluated for one"
    return search.Answers([answer], SPACE, {"image": 3}, "exact", 1.0, decided, why)


def written(tmp_path, found, index, query, **options):
    path = tmp_path / "made" / "answers.html"
    line = page_of_search.write(found, [index], [query], str(path), **options)
    assert line.startswith(f"wrote {path} (") and path.as_uri() in line
    return path.read_text("utf-8")


def cards(text):
    """Returns of each answer its look, and its words in their order."""
    (listed,) = re.findall(r'<ol class="cards answers">(.*?)</ol>', text, re.DOTALL)
    found = re.findall(r'<li class="card ?(\w*)">(.*?)</ul>', listed, re.DOTALL)
    words = [html.unescape(re.sub(r"<[^>]*>", "", inside)).split() for _, inside in found]
    return [(look, " ".join(its)) for (look, _), its in zip(found, words)]


def test_each_answer_stands_in_its_order_with_figures_and_decision(tmp_path, folders):
    text = written(tmp_path, answers(folders[1]), *folders)
    assert cards(text) == [
        ("match", "1. ann.png image match cosine 0.8000 probability 0.953 threshold 0.5000"),
        ("match", f"2. {EVIL} image match cosine 0.5000 probability 0.500 threshold 0.5000"),
        ("unsure", "3. cy.png image not sure cosine 0.2500 probability 0.076 threshold 0.5000"),
    ]
    assert "<title>Search: 1 query</title>" in text and "A cosine of 0.5000 or more" in text
    assert f"Searched 3 image of the embedding space {SPACE} exactly." in text
    assert EVIL not in text and text.count("&lt;b onclick=x&gt;&amp;&#39;.png") == 2


def test_the_query_plays_and_the_answers_are_seen_without_any_network(tmp_path, folders):
    text = written(tmp_path, answers(folders[1]), *folders)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
    assert policy.startswith("default-src 'none'; img-src data:; media-src data:;")
    assert "script-src" not in policy and "<script" not in text
    images = re.findall(r'<img src="data:image/jpeg;base64,([^"]*)"', text)
    looked = [Image.open(io.BytesIO(base64.b64decode(one))) for one in images]
    assert [one.size for one in looked] == [(176, 88)] * 3
    assert [int(np.argmax(one.getpixel((9, 9)))) for one in looked] == [0, 2, 1]
    (clip,) = re.findall(r'<audio [^>]*src="data:audio/\w+;base64,([^"]*)"', text)
    heard, rate = soundfile.read(io.BytesIO(base64.b64decode(clip)))
    assert len(heard) / rate == pytest.approx(10.0, abs=0.2)


def test_without_a_calibration_nothing_is_decided_and_it_says_why(tmp_path, folders):
    text = written(tmp_path, answers(folders[1], None), *folders)
    assert cards(text)[0] == ("", "1. ann.png image cosine 0.8000")
    assert "or more is a match" not in text and "no probability: it was not evaluated" in text


@pytest.mark.parametrize("left_out", ["no_media", "stored", "size"])
def test_a_page_without_media_has_the_names_and_figures(tmp_path, folders, left_out):
    index, query = folders
    options = {"no_media": {"media": False}, "size": {"max_megabytes": 0.02}}.get(left_out, {})
    if left_out == "stored":  # even where files of these names lie
        index, query = f"{tmp_path}/gallery.npz", f"{tmp_path}/queries.npz"
    text = written(tmp_path, answers(folders[1]), index, query, **options)
    assert "data:image" not in text and "data:audio" not in text
    assert "<img" not in text and "<audio" not in text and "media-src" not in text
    assert [look for look, _ in cards(text)] == ["match", "match", "unsure"]
    why = "so that the page stays" if left_out == "size" else "without any image or clip"
    assert f"names and figures alone, {why}" in text.replace("\n", " ")


def test_a_page_too_small_for_its_answers_is_a_sentence(tmp_path, folders):
    with pytest.raises(registry.UserError, match="--max_mb=0.001 .* fewer answers by --top or"):
        written(tmp_path, answers(folders[1]), *folders, max_megabytes=0.001)
    assert not (tmp_path / "made").exists()


def test_an_older_page_is_replaced_and_a_strangers_file_is_not(tmp_path, folders):
    first = written(tmp_path, answers(folders[1]), *folders)
    assert written(tmp_path, answers(folders[1]), *folders) == first
    mine = tmp_path / "mine.html"
    mine.write_text("years of work")
    with pytest.raises(registry.UserError, match="--page=.*mine.html is not a page of tfav, and"):
        page_of_search.check(str(mine))
    with pytest.raises(registry.UserError, match="--page=.*mine.html is not a page of tfav, and"):
        page_of_search.write(answers(folders[1]), *[[one] for one in folders], str(mine))
    with pytest.raises(registry.UserError, match="--page=answers.htm is no .html file"):
        page_of_search.check("answers.htm")
    assert mine.read_text() == "years of work"


def test_a_name_that_is_no_utf8_is_written_with_a_backslash(tmp_path):
    found = answers("voice\udce9.wav")
    text = written(tmp_path, found, "gallery.npz", "queries.npz")
    assert r"voice\udce9.wav" in text
