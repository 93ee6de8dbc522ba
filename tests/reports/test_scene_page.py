"""Scenes with their maps, and what clusters mean: what each picture and each word says."""

import io
import re

import numpy as np
import pytest
from PIL import Image

from tests import showcases
from tfav import registry
from tfav.reports import scene_page, scene_plots

LEFT = (0.0, 0.0, 0.5, 1.0)
GREY = np.full([32, 32, 3], 128, np.uint8)
CORNER = np.array([[1.0, 0.0], [0.0, 0.0]])  # sounds in the upper left quarter


def pixels(jpeg):
    return np.asarray(Image.open(io.BytesIO(jpeg))).astype(int)


def example(k, sound=None):
    heat = CORNER if sound is None else None
    return scene_page.Example(f"row{k}", "bell", GREY, heat, sound, 0.9 - 0.1 * k, 0.25)


def clusters(usage, sound=None):
    rows = [[example(0, sound), example(1, sound)] for _ in usage]
    return scene_page.Clusters(np.array(usage), rows)


def build(scenes=(), found=None, **options):
    options = {"title": "a run", "about": {}, **options}
    return scene_page.build([], {"test": scenes}, {"test": found} if found else {}, {}, **options)


@pytest.mark.parametrize(
    "heat, boxes, says",
    [
        (CORNER, [LEFT], "The maximum lies inside a box."),
        (CORNER[:, ::-1], [LEFT], "The maximum lies outside every box."),
        (CORNER, [], "Nobody marked this picture."),
        (np.ones([2, 2]), [LEFT], "The map is the same everywhere: it points nowhere."),
    ],
)
def test_the_verdict_is_said_in_words(heat, boxes, says):
    assert scene_page.verdict(heat, boxes) == says
    scene = scene_page.Scene("a", "bell", GREY, heat, boxes, np.zeros(1600, np.float32))
    text = build([scene])
    assert f"<p>{says}</p>" in text
    (alt,) = re.findall(r'alt="([^"]*)"', text)
    where = "sounds most at" in alt
    assert alt.startswith("bell: ") and alt.endswith(says) and where == (heat.max() > heat.min())


def test_a_picture_is_covered_where_it_is_warm_and_as_it_was_where_it_is_cold():
    drawn = pixels(scene_plots.overlay(GREY, CORNER, (), 64))
    assert drawn.shape == (64, 64, 3)
    assert np.abs(drawn[40:, 40:] - 128).max() < 12  # cold
    warm = drawn[24, 4]  # beside the cross, which is in the corner
    assert warm[0] > 160 and warm[0] - warm[2] > 40
    plain = pixels(scene_plots.overlay(GREY, None, (), 64))
    np.testing.assert_allclose(plain, 128, atol=2)


def test_boxes_are_framed_where_they_are():
    drawn = pixels(scene_plots.overlay(GREY, None, [LEFT], 64))
    assert drawn[20:40, 31].min() > 180 and np.abs(drawn[20:40, 44:] - 128).max() < 25


def test_dead_clusters_are_named_by_modality():
    # An even share of four is 0.25, a tenth of it 0.025.
    found = {
        "image": clusters([0.02, 0.4, 0.57, 0.01]),
        "audio": clusters([0.5, 0.5], np.zeros(1600, np.float32)),
    }
    text = build(found=found)
    assert re.search(r"Dead clusters of pictures, [^.]*: 0, 3 of 4\.", text)
    assert re.search(r"Dead clusters of sounds, [^.]*: none of 2\.", text)
    assert "By picture: 2.0 % of all positions; dead." in text
    assert text.count("<p>By picture") == 4 and text.count("<p>By sound") == 2
    assert "strongest 90 %, mean 25.0 %" in text


def test_a_page_too_large_loses_the_sounds_of_clusters_first():
    noise = np.random.default_rng(0).uniform(-1, 1, 48_000).astype(np.float32)
    found = {"audio": clusters([0.5, 0.5], noise)}
    scene = scene_page.Scene("a", "bell", GREY, CORNER, [], noise)
    whole = build([scene], found)
    assert whole.count("<audio") == 1 + 4
    smaller = build([scene], found, max_megabytes=(len(whole) - 1) / 1e6)
    assert smaller.count("<audio") == 1 and len(smaller) < len(whole)
    with pytest.raises(registry.UserError, match="--max_mb=0.001"):
        build([scene], found, max_megabytes=0.001)


def test_names_are_text_never_markup():
    evil = showcases.HOSTILE
    scene = scene_page.Scene(evil, evil, GREY, CORNER, [LEFT], np.zeros(1600, np.float32))
    bad = example(0)._replace(id=evil, label=evil)
    found = {"image": scene_page.Clusters(np.ones(1), [[bad]])}
    text = scene_page.build([], {evil: [scene]}, {evil: found}, {}, title=evil, about={evil: evil})
    assert "<script" not in text.lower() and not re.search(r"<img(?! src=\"data:)", text)
    assert text.count("<img") == 2


def test_curves_are_described_from_first_to_last_step():
    scalars = [
        {"step": 10, "similarity_matched": 1.0, "matched_wins": 0.5},
        {"step": 20, "similarity_matched": 3.0, "matched_wins": 0.75, "val/metric": 0.9},
    ]
    assert scene_plots.describe(scalars) == (
        "Similarity of pairs: matched 1 at step 10, 3 at step 20. Matched pairs ahead (%): in "
        "training 50 at step 10, 75 at step 20; AUC of the split val 90 at step 20, 90 at step 20."
    )
    assert scene_plots.plot(scalars).startswith(b"\x89PNG")
    assert scene_plots.plot([{"step": 1, "loss": 2.0}]) is None
