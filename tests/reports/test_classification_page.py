"""The page of a run that classifies: self-contained, readable without eyes, safe with any name."""

import base64
import hashlib
import re

import numpy as np
import pytest

from tests import showcases
from tfav.evaluation import classification
from tfav.reports import classification_page


@pytest.fixture(scope="module")
def results():
    rng = np.random.default_rng(0)
    label = rng.integers(3, size=60)
    logits = {name: 2 * np.eye(3)[label] + rng.normal(size=(60, 3)) for name in ("fused", "audio")}
    present = {"audio": np.arange(60) > 5, "image": np.ones(60, bool)}
    return classification.evaluate(
        logits, label, class_names=["a", "b", "c"], present=present, num_bootstrap=50
    )


def build(results, figures=None, **options):
    figures = {"confusion": b"one", "balance": b"two"} if figures is None else figures
    options = {"title": "a run", "about": {"Run": "seed 0"}, **options}
    return classification_page.build(results, figures, **options)


def test_nothing_is_asked_of_the_network_and_the_policy_allows_no_script(results):
    text = build(results)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
    assert policy.startswith("default-src 'none';") and "script-src" not in policy
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy
    assert not re.search(r'(src|href)="(?!#|data:image/png;base64,)', text)
    assert "<script" not in text and not re.search(r"\son\w+=|\sstyle=", text.split("</style>")[1])


def test_every_picture_is_inside_with_words_for_who_cannot_see_it(results):
    words = "Most often mistaken: a taken for b."
    text = build(results, descriptions={"confusion": words})
    sources = re.findall(r'<img src="data:image/png;base64,([^"]*)" alt="([^"]*)"', text)
    assert [base64.b64decode(source) for source, _ in sources] == [b"one", b"two"]
    assert sources[0][1].startswith("Confusion matrix: rows are the true classes")
    assert sources[0][1].endswith(words) and f"<p>{words}</p>" in text
    assert sources[1][1].startswith("Balance of the modalities: logit share")
    for target in re.findall(r'href="#([^"]*)"', text):
        assert text.count(f'id="{target}"') == 1
    assert text.count("<h1>") == 1 and '<html lang="en">' in text
    several = build(results, {"confusion, val": b"x", "my picture": b"y"})
    assert ">Confusion matrix, val</h2>" in several and ">My picture</h2>" in several


def test_the_table_says_each_figure_with_interval_and_chance(results):
    text = build(results)
    rows = re.findall(r'<tr><th scope="row">(.*?)</th>(.*?)</tr>', text)
    cells = [(name, *re.findall(r"<td>(.*?)</td>", rest)) for name, rest in rows]
    assert [cell[:2] for cell in cells] == [
        (name, direction)
        for name in (
            "accuracy",
            "calibration error, lower is better",
            "NLL (nats), lower is better",
        )
        for direction in ("fused", "audio")
    ]
    first = results[0]
    ends = (f"{100 * first[key]:.1f}" for key in ("low", "high"))
    assert cells[0][2:] == (
        f"{100 * first['value']:.1f} %",
        " to ".join(ends) + " %",
        f"{100 * first['chance']:.1f} %",
        "60",
    )
    assert cells[2][3:5] == ("", "")  # ECE has neither interval nor chance
    assert re.fullmatch(r"\d\.\d{3}", cells[4][2])
    assert text.count('<th scope="col">') == 6
    assert "<dt>NLL (nats)</dt>" in text and "most frequent class" in text
    assert "6 of 60 rows have no audio" in text
    assert "There are no figures" in build([])


def test_names_are_text_never_markup(results):
    evil = showcases.HOSTILE
    named = [{**r, "tag": evil, "direction": evil, "notes": [evil]} for r in results]
    text = build(
        named,
        {evil: b"x"},
        title=evil,
        about={evil: evil, "{title}": "{x}"},
        descriptions={evil: evil},
    )
    assert "<script" not in text.lower() and not re.search(r"<img(?! src=)|<svg", text)
    assert text.count("<img") == 1 and "{title}" in text and "{x}" in text
