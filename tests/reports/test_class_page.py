"""The page of a run that classifies: self-contained, readable without eyes, safe with any name."""

import base64
import dataclasses
import hashlib
import re

import markupsafe
import numpy as np
import pytest

from tests import showcases
from tfav import registry
from tfav.evaluation import classification, paired_runs
from tfav.reports import class_page, figures_page, page

NAMES = ["a", "b", "c"]
EVIL = showcases.HOSTILE


@pytest.fixture(scope="module")
def scored():
    """Label, logits and presence of 60 rows of three classes; six of them have no audio."""
    rng = np.random.default_rng(0)
    label = rng.integers(3, size=60)
    logits = {name: 2 * np.eye(3)[label] + rng.normal(size=(60, 3)) for name in ("fused", "audio")}
    return label, logits, {"audio": np.arange(60) > 5, "image": np.ones(60, bool)}


@pytest.fixture(scope="module")
def results(scored):
    label, logits, present = scored
    return classification.evaluate(
        logits, label, class_names=NAMES, present=present, num_bootstrap=50
    )


def example(label="a", said="b", name="row1", **more):
    media = {"image": showcases.jpeg((9, 90, 200)), "audio": showcases.pcm(200), **more}
    return class_page.Example(name, label, said, 0.62, {"audio": said, "image": label}, **media)


def part(scored, wrong=(), right=(), tag="test"):
    return class_page.Part(tag, *scored, wrong, right)


PICTURES = [
    page.Picture("Confusion matrix", b"<svg>one</svg>", "Rows are the true classes.", "a for b."),
    page.Picture("Balance", b"\x89PNGtwo", "A colour per modality."),
]


def build(results, scored, names=NAMES, parts=None, pictures=PICTURES, **options):
    frame = page.Frame(**{"title": "a run", "about": {"Run": "seed 0"}, **options})
    return class_page.build(results, parts or [part(scored)], names, pictures, frame)


def test_nothing_is_asked_of_the_network_and_the_policy_allows_no_script(results, scored):
    text = build(results, scored, parts=[part(scored, [example()], [example(said="a")])])
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
    assert policy.startswith("default-src 'none';") and "script-src" not in policy
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy
    assert not re.search(r'(src|href)="(?!#|data:)', text)
    assert "<script" not in text and not re.search(r"\son\w+=|\sstyle=", text.split("</style>")[1])


def test_every_picture_is_inside_with_words_for_who_cannot_see_it(results, scored):
    text = build(results, scored)
    sources = re.findall(
        r'<img class="drawn" src="data:([^;]*);base64,([^"]*)" alt="([^"]*)"', text
    )
    assert [kind for kind, *_ in sources] == ["image/svg+xml", "image/png"]
    assert [base64.b64decode(source) for _, source, _ in sources] == [
        b"<svg>one</svg>",
        b"\x89PNGtwo",
    ]
    assert sources[0][2] == "Confusion matrix. Rows are the true classes. a for b."
    assert "<p>Rows are the true classes.</p>" in text and "<p>a for b.</p>" in text
    for target in re.findall(r'href="#([^"]*)"', text):
        assert text.count(f'id="{target}"') == 1
    assert text.count("<h1>") == 1 and '<html lang="en">' in text


def rows_of(text, heading):
    table = re.search(rf'aria-label="{heading}[^"]*" tabindex="0">(.*?)</table>', text, re.S)[1]
    rows = re.findall(r'<tr><th scope="row">(.*?)</th>(.*?)</tr>', table, re.S)
    return [(name, *re.findall(r"<td[^>]*>(.*?)</td>", rest)) for name, rest in rows]


def test_the_table_says_each_figure_with_interval_and_chance(results, scored):
    text = build(results, scored)
    cells = rows_of(text, "Results")
    assert [name for name, *_ in cells] == [
        f"{name}: {direction}"
        for name in (
            "accuracy",
            "calibration error, lower is better",
            "NLL (nats), lower is better",
            "macro F1",
        )
        for direction in ("fused", "audio")
    ]
    first = results[0]
    value, low, high = (f"{100 * getattr(first, key):.1f}" for key in ("value", "low", "high"))
    chance = f"{100 * first.chance:.2f}"
    assert cells[0][1:] == (f"{value} [{low}, {high}]", chance, "60")
    assert re.fullmatch(r"\d+\.\d", cells[2][1]) and cells[2][2] == "-"  # ECE: neither
    assert re.match(r"\d\.\d{3} \[", cells[4][1])
    assert "<dt>NLL</dt>" in text and "most frequent class" in text
    assert "6 of 60 rows have no audio" in text
    assert "There are no figures" in build([], scored)


def test_tags_stand_beside_each_other(results, scored):
    both = [*results, *(dataclasses.replace(r, tag="solo", value=0.25) for r in results)]
    text = build(both, scored, parts=[part(scored), part(scored, tag="solo")])
    heads = re.search(r"<thead>(.*?)</thead>", text, re.S)[1]
    assert heads.index("test [95 %]") < heads.index("solo [95 %]")
    (accuracy, *_) = rows_of(text, "Results")
    assert len(accuracy) == 7 and accuracy[4].startswith("25.0")
    assert "Examples: test" in text and "Classes: solo" in text


def test_examples_are_seen_and_heard_and_say_right_or_wrong_in_words(results, scored):
    wrong, right = [example()], [example(said="a", name="row2"), example(said="a", audio=None)]
    text = build(results, scored, parts=[part(scored, wrong, right)])
    first, second, third = text.split('<li class="card ')[1:]
    assert [card.split('"')[0] for card in (first, second, third)] == ["mismatch", "match", "match"]
    assert '<img src="data:image/jpeg;base64,' in first and 'alt="a, row1"' in first
    assert "wrong: taken for <b>b</b>, 62 % sure" in first and "audio alone: b" in first
    assert 'aria-label="Audio of row1"' in first and "right, 62 % sure" in second
    assert "<audio" not in third
    label, logits, _ = scored
    count = int((classification.predict(logits["fused"], label) != label).sum())
    assert f"<h3>Wrong: 1 of {count}, drawn at random</h3>" in text
    assert "solid green frame" in text and "dashed red frame" in text  # what the colours mean


def test_every_class_has_a_row_with_recall_precision_and_what_it_is_taken_for(results):
    # Of a: two right, one taken for b. Of b: one right. Of c there is none.
    label = np.array([0, 0, 0, 1])
    fused = np.eye(3)[[0, 0, 1, 1]]
    audio = np.eye(3)[[0, 2, 2, 1]]
    present = {"audio": np.array([True, True, False, True])}
    text = build(results, (label, {"fused": fused, "audio": audio}, present))
    assert rows_of(text, "Classes") == [
        ("a", "3", "66.7", "50.0", "100.0", "b (1)"),
        ("b", "1", "100.0", "100.0", "50.0", "-"),
    ]


def test_a_page_too_large_loses_the_audio_first_and_then_the_examples(results, scored):
    long = example(audio=showcases.pcm(200, 5.0))
    whole = build(results, scored, parts=[part(scored, [long] * 4)])
    silent = build(
        results, scored, parts=[part(scored, [long] * 4)], max_megabytes=(len(whole) - 1) / 1e6
    )
    assert whole.count("<audio") == 4 and silent.count("<audio") == 0
    assert silent.count('class="card ') == 4 and "media-src" not in silent
    bare = build(
        results, scored, parts=[part(scored, [long] * 4)], max_megabytes=(len(silent) - 1) / 1e6
    )
    assert 'class="card ' not in bare
    with pytest.raises(registry.UserError, match="--max_mb=0.001 is too little"):
        build(results, scored, max_megabytes=0.001)


def test_a_comparison_says_difference_and_what_it_means(results):
    worse = [
        dataclasses.replace(r, value=r.value - 0.1, replicates=r.replicates - 0.1)
        for r in results
        if r.replicates is not None and r.metric == classification.ACCURACY
    ]
    found, _ = paired_runs.differences(results, worse)
    frame = page.Frame("a run", comparison=page.Comparison(EVIL, found, 2))
    text = figures_page.build(results, [], frame)
    rows = rows_of(text, "Differences to")
    assert [row[0] for row in rows] == ["accuracy: fused, test", "accuracy: audio, test"]
    assert rows[0][3:] == ("+10.0 [10.0, 10.0]", "better")
    assert "2 figures are over other trials" in text and 'href="#comparison"' in text
    assert "<script" not in text.lower()


def test_names_are_text_never_markup(results, scored):
    named = [dataclasses.replace(r, tag=EVIL, direction=EVIL, notes=(EVIL,)) for r in results]
    bad = example(EVIL, EVIL, EVIL)
    text = build(
        named,
        scored,
        [EVIL, "b", "c"],
        [part(scored, [bad], [bad], EVIL)],
        [page.Picture(EVIL, b"x", EVIL, EVIL)],
        title=EVIL,
        about={EVIL: EVIL, "{{ title }}": "{{ x }}"},
    )
    assert "<script" not in text.lower() and not re.search(r"<img(?! (class|src)=)", text)
    assert "{{ title }}" in text and "{{ x }}" in text  # a slot in a name is not filled
    assert str(markupsafe.escape(EVIL)) in text
