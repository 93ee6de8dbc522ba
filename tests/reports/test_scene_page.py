"""Scenes with their maps, and what clusters mean: what each picture and each word says."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from tests import showcases
from tfav import registry
from tfav.reports import drawing, page, scene_examples, scene_page, scene_plots

LEFT = (0.0, 0.0, 0.5, 1.0)
GREY = np.full([32, 32, 3], 128, np.uint8)
CORNER = np.array([[1.0, 0.0], [0.0, 0.0]])  # sounds in the upper left quarter


def pixels(jpeg):
    return np.asarray(Image.open(io.BytesIO(jpeg))).astype(int)


def example(k, audio=None):
    heat = CORNER if audio is None else None
    return scene_examples.Example(f"row{k}", "bell", GREY, heat, audio, 0.9 - 0.1 * k, 0.25)


def clusters(usage, audio=None):
    rows = [[example(0, audio), example(1, audio)] for _ in usage]
    return scene_examples.Clusters(np.array(usage), rows)


def build(shown=(), found=None, num_hits=0, num_marked=0, **options):
    frame = page.Frame(**{"title": "a run", "about": {}, **options})
    of_test = scene_examples.Scenes(shown, num_hits, num_marked)
    return scene_page.build([], {"test": of_test}, {"test": found} if found else {}, [], frame)


def scene(heat=CORNER, boxes=(), name="a", label="bell"):
    return scene_examples.Scene(name, label, GREY, heat, boxes, np.zeros(1600, np.float32))


@pytest.mark.parametrize(
    "heat, boxes, says",
    [
        (CORNER, [LEFT], "The maximum lies inside a box."),
        (CORNER[:, ::-1], [LEFT], "The maximum lies outside every box."),
        (CORNER, [], "No box is marked in this image."),
        (np.ones([2, 2]), [LEFT], "The map is the same everywhere: it points nowhere."),
    ],
)
def test_the_verdict_is_said_in_words(heat, boxes, says):
    assert scene_page.verdict(scene(heat, boxes)) == says
    text = build([scene(heat, boxes)])
    assert f"<p>{says}</p>" in text
    plain, alt = re.findall(r'alt="([^"]*)"', text)
    assert plain == "bell"
    where = "sounds most at" in alt
    assert alt.startswith("bell: ") and alt.endswith(says) and where == (heat.max() > heat.min())


def test_an_image_is_covered_where_it_is_warm_and_as_it_was_where_it_is_cold():
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
    assert re.search(r"Dead image clusters, [^.]*: 0, 3 of 4\.", text)
    assert re.search(r"Dead audio clusters, [^.]*: none of 2\.", text)
    assert "By image: 2.0 % of all positions; dead." in text
    assert text.count("<p>By image") == 4 and text.count("<p>By audio") == 2
    assert "<summary>Cluster 1: 40.0 % of image positions, 50.0 % of audio positions" in text
    assert "strongest 90 %, mean 25.0 %" in text


def test_a_page_too_large_loses_the_sounds_of_clusters_first():
    noise = np.random.default_rng(0).uniform(-1, 1, 48_000).astype(np.float32)
    found = {"audio": clusters([0.5, 0.5], noise)}
    shown = [scene()._replace(audio=noise)]
    whole = build(shown, found)
    assert whole.count("<audio") == 1 + 4
    smaller = build(shown, found, max_megabytes=(len(whole) - 1) / 1e6)
    assert smaller.count("<audio") == 1 and len(smaller) < len(whole)
    with pytest.raises(registry.UserError, match="--max_mb=0.001"):
        build(shown, found, max_megabytes=0.001)


def test_hits_and_misses_stand_apart_with_how_many_there_are_of_all():
    shown = [scene(boxes=[LEFT]), scene(CORNER[:, ::-1], [LEFT], "b"), scene(name="c")]
    text = build(shown, num_hits=150, num_marked=151)
    heads = re.findall(r"<h3>(.*?)</h3>", text)
    assert heads == ["Hits (1 of 150, drawn at random)", "Misses (1)", "Not marked (1)"]
    styles = re.findall(r'<li class="card ?(\w*)">', text)
    assert styles == ["match", "mismatch", ""]
    assert "inside a box in 150 of the 151 marked images of the split" in text
    assert "solid green frame" in text  # what the colours mean, and those of the map
    assert '<span class="ramp"' in text and "the warmer the colour" in text.lower()
    assert "solid green frame" not in build([scene()])


def test_the_map_is_a_layer_that_a_checkbox_takes_away():
    text = build([scene()])
    assert '<input type="checkbox" id="scenes-0-maps" class="toggle" checked>' in text
    assert '<label for="scenes-0-maps">Show the maps</label>' in text
    sources = re.findall(r'src="data:image/jpeg;base64,([^"]*)"', text)
    plain, covered = (pixels(base64.b64decode(source)) for source in sources)
    assert np.abs(plain - 128).max() < 6 and np.abs(covered - 128).max() > 60


def test_names_are_text_never_markup():
    evil = showcases.HOSTILE
    bad = example(0)._replace(id=evil, label=evil)
    found = {"image": scene_examples.Clusters(np.ones(1), [[bad]])}
    shown = scene_examples.Scenes([scene(boxes=[LEFT], name=evil, label=evil)], 1, 1)
    frame = page.Frame(evil, {evil: evil})
    text = scene_page.build([], {evil: shown}, {evil: found}, [], frame)
    assert "<script" not in text.lower()
    assert not re.search(r"<img(?! (class=\"map\" )?src=\"data:)", text)
    assert text.count("<img") == 3


def test_curves_are_described_from_first_to_last_step():
    scalars = [
        {"step": 10, "similarity_matched": 1.0, "matched_wins": 0.5},
        {"step": 20, "similarity_matched": 3.0, "matched_wins": 0.75, "val/metric": 0.9},
    ]
    assert scene_plots.describe(scalars) == (
        "Similarity of pairs: matched 1 at step 10, 3 at step 20. Matched pairs ahead (%): in "
        "training 50 at step 10, 75 at step 20; AUC of the split val 90 at step 20, 90 at step 20."
    )
    assert drawing.png(scene_plots.draw(scalars)).startswith(b"\x89PNG")
    assert scene_plots.draw([{"step": 1, "loss": 2.0}]) is None
