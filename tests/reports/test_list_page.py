"""The page holds all it needs, says what was measured, and keeps to its size."""

import base64
import dataclasses
import hashlib
import io
import json
import re

import markupsafe
import numpy as np
import pytest
import soundfile
from PIL import Image

from tests import showcases
from tfav import registry
from tfav.evaluation import list_tasks
from tfav.evaluation import result as results_lib
from tfav.reports import curves, inline, list_page, page, showcase

METRICS = {m.key: m for task in list_tasks.TASKS.values() for m in task.metrics}


def result(metric, value, direction="v2f", n=None, low=0.1, stratum="unrestricted", tag="test"):
    return results_lib.Result(
        protocol="any",
        metric=METRICS[metric],
        direction=direction,
        tag=tag,
        value=value,
        chance=0.05,
        low=low,
        high=low and 0.995,
        num_trials=1234,
        num_identities=9,
        stratum=stratum,
        n=n,
        list_name="verify_v2f_test.txt",
    )


RESULTS = [
    result("accuracy", 0.9, n=2),
    result("accuracy", 0.5, n=10),
    result("auc", 0.75),
    result("map", 0.25, "f2v", low=None),
]
SCORES = {"verify_v2f_test.txt": (np.array([0.9, 0.8, 0.3, 0.1]), np.array([1, 0, 1, 0]))}


def build(tasks, items, results=RESULTS, scores=SCORES, **options):
    frame = page.Frame(**{"title": "a run", "about": {"Run": "a run"}, **options})
    return list_page.build(tasks, results, scores, items, frame)


def data(text: str) -> dict:
    return json.loads(
        re.search(r'<script type="application/json" id="data">(.*?)</script>', text)[1]
    )


@pytest.fixture(scope="module")
def shown():
    tasks, items, _ = showcases.small()
    return tasks, items, build(tasks, items)


def test_nothing_is_asked_of_the_network(shown):
    text = shown[2]
    assert not re.search(r'(src|href|action|srcset)="(?!#|data:)', text)
    assert not re.search(r"url\(|@import|fetch\(|XMLHttpRequest|importScripts|WebSocket", text)
    addresses = set(re.findall(r"https?://[^\s\"']+", text))
    assert addresses == {"http://www.w3.org/2000/svg"}  # the name of a namespace
    for item in data(text)["items"]:
        assert item["src"].startswith(("data:image/jpeg;base64,", "data:audio/"))


def test_the_policy_lets_this_style_and_this_script_run_and_nothing_else(shown):
    text = shown[2]
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
    assert policy.startswith("default-src 'none';") and "unsafe" not in policy
    (style,), (script,) = (
        re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL) for tag in ("style", "script")
    )
    for name, content in (("style", style), ("script", script)):
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in policy
    assert not re.search(
        r"\son\w+=|\sstyle=", re.sub(r"<(script|style).*?</\1>", "", text, flags=re.S)
    )


def test_names_are_text_never_markup():
    tasks, items, _ = showcases.small()
    evil = showcases.HOSTILE
    tasks = [task._replace(tag=evil) for task in tasks]
    results = [dataclasses.replace(r, tag=evil) for r in RESULTS]
    text = build(tasks, items, results, title=evil, about={evil: evil})
    assert text.lower().count("<script") == text.lower().count("</script") == 2
    assert not re.search(r"<img(?! class=\"drawn\" src=\"data:image/svg)|<svg[^>]*onload", text)
    assert str(markupsafe.escape(evil)) in text
    assert evil in {item["who"] for item in data(text)["items"]}  # as it is, after JSON


def test_a_slot_in_a_name_is_not_filled():
    tasks, items, _ = showcases.small()
    assert "a {{data}} run" in build(tasks, items, title="a {{data}} run")


def test_each_picture_and_sound_is_there_once_however_often_it_is_shown(shown):
    tasks, items, text = shown
    table = data(text)["items"]
    assert len(table) == len(items["audio"]) + len(items["image"]) == 12
    assert text.count("data:image/jpeg") == 4 and text.count("data:audio/") == 8
    (v2f, f2v) = data(text)["tasks"]
    # Both tasks point at the same faces: as answers, and as probes.
    answers = {hit[0] for probe in v2f["probes"] for hit in probe["hits"]}
    assert answers == {probe["item"] for probe in f2v["probes"]}
    first = v2f["probes"][0]
    expected = tasks[0].probes[0]
    assert table[first["item"]]["id"] == expected.id
    assert [(table[i]["id"], bool(m)) for i, _, m in first["hits"]] == [
        (hit.id, hit.match) for hit in expected.hits
    ]
    np.testing.assert_allclose(
        [score for _, score, _ in first["hits"]], [hit.score for hit in expected.hits], atol=1e-4
    )


def test_genders_are_those_of_the_probes_and_none_without_the_column(shown):
    assert data(shown[2])["genders"] == ["female", "male"]
    tasks, items, _ = showcases.small(gender=False)
    assert data(build(tasks, items))["genders"] == []


def test_results_stand_with_interval_chance_and_trials(shown):
    text = shown[2]
    row = re.search(r'<tr><th scope="row">1:10 matching</th>(.*?)</tr>', text, re.S)[1]
    assert re.findall(r"<td>(.*?)</td>", row) == ["50.0 [10.0, 99.5]", "5.00", "1,234", "", "", ""]
    row = re.search(r'<tr><th scope="row">retrieval mAP</th>(.*?)</tr>', text, re.S)[1]
    assert re.findall(r"<td>(.*?)</td>", row) == ["", "", "", "25.00", "5.00", "1,234"]


def test_curves_are_there_for_what_was_measured(shown):
    text = shown[2]
    for title in ("Verification (ROC)", "Retrieval (CMC)", "1:N matching, 95 % over identities"):
        assert f"<figcaption>{title}</figcaption>" in text
    without = build(*shown[:2], results=[], scores={})
    assert without.count("<figcaption>") == 1 and "Retrieval (CMC)" in without
    assert "No query lists here" in without


def test_a_page_keeps_to_its_size_with_less_of_everything_and_then_fewer_probes():
    tasks, items, _ = showcases.small(num_probes=6)
    faces = {
        name: item._replace(content=showcases.jpeg((9, 9, 9), 400))
        for name, item in items["image"].items()
    }
    voices = {
        name: item._replace(content=showcases.pcm(200, 8.0))
        for name, item in items["audio"].items()
    }
    items = {"audio": voices, "image": faces}
    whole = build(tasks, items)
    assert "at most 176 pixels, the first 10 seconds" in whole and "(reduced" not in whole
    size = len(whole.encode()) / 1e6
    smaller = build(tasks, items, max_megabytes=0.8 * size)
    assert len(smaller.encode()) < 0.8e6 * size and "(reduced" in smaller
    assert [len(t["probes"]) for t in data(smaller)["tasks"]] == [
        len(task.probes) for task in tasks
    ]
    empty = len(build([t._replace(probes=[]) for t in tasks], items).encode()) / 1e6
    fewer = build(tasks, items, max_megabytes=empty + 0.05)
    assert 2 <= sum(len(t["probes"]) for t in data(fewer)["tasks"]) < 10
    with pytest.raises(
        registry.UserError, match=r"--max_mb=0.01 is too little for .*only \d+ probe"
    ):
        build(tasks, items, max_megabytes=0.01)


def test_fewer_probes_leave_the_extremes():
    tasks, _, _ = showcases.small()
    probe = tasks[0].probes[0]
    groups = [("best",)] * 4 + [("random",)] * 4 + [("worst",)] * 4
    many = [probe._replace(id=str(i), groups=g) for i, g in enumerate(groups)]
    thinned = list_page._thinned(tasks[0]._replace(probes=many))
    assert [p.id for p in thinned.probes] == ["0", "1", "4", "6", "10", "11"]


def test_a_thumbnail_is_small_and_says_nothing_of_where_it_was_taken():
    exif = Image.Exif()
    exif[0x010E] = "at home"
    large = showcases.jpeg((200, 30, 40), 300, exif=exif)
    assert b"at home" in large
    small = inline.thumbnail(large, 100, 80)
    picture = Image.open(io.BytesIO(small))
    assert picture.size == (100, 100) and b"at home" not in small and not picture.getexif()
    np.testing.assert_allclose(np.asarray(picture)[50, 50], [200, 30, 40], atol=6)
    unchanged = Image.open(io.BytesIO(inline.thumbnail(showcases.jpeg((1, 2, 3), 40), 100, 80)))
    assert unchanged.size == (40, 40)


@pytest.mark.parametrize("with_mp3", [True, False])
def test_a_clip_is_the_start_of_the_recording(monkeypatch, with_mp3):
    if not with_mp3:
        monkeypatch.setattr(soundfile, "available_formats", lambda: {"WAV": "WAV"})
    pcm = showcases.pcm(440, 2.0)
    mime, content = inline.clip(pcm, 1.0, 0.8)
    assert mime == ("audio/mpeg" if with_mp3 else "audio/wav")
    sound, rate = soundfile.read(io.BytesIO(content))
    assert rate == 16_000 and abs(len(sound) / rate - 1.0) < 0.15  # a codec pads
    strongest = np.abs(np.fft.rfft(sound)).argmax() * rate / len(sound)
    assert abs(strongest - 440) < 5
    if with_mp3:
        assert len(content) < 32_000 / 4


def test_peaks_follow_the_loudness():
    loud, soft = np.full(7200, 20_000, "<i2"), np.full(7200, 5_000, "<i2")
    peaks = inline.peaks(np.concatenate([loud, soft]).tobytes(), 10.0)
    assert peaks == [99] * 24 + [25] * 24  # 99 * 5 / 20 = 24.75
    assert inline.peaks(b"", 10.0) == [0] * 48
    assert inline.peaks(np.zeros(100, "<i2").tobytes(), 10.0) == [0] * 48


def test_a_gallery_of_one_item_has_a_curve():
    chart = curves.recall([("v2f", "unrestricted", np.ones(1), np.ones(1))])
    assert chart.table() == [("1", ["100.0", "100.0"])]


def test_every_curve_is_inside_with_words_and_its_numbers(shown):
    found = re.findall(
        r'<img class="drawn" src="data:image/svg\+xml;base64,([^"]*)" alt="([^"]*)"', shown[2]
    )
    assert len(found) == 3 and all(b"<svg" in base64.b64decode(svg) for svg, _ in found)
    assert all(words.endswith("The table below has the numbers.") for _, words in found)
    assert shown[2].count("<summary>As a table</summary>") == 3


def test_the_headline_has_interval_and_chance_together_and_says_what_is_not_above_it():
    tasks, items, _ = showcases.small()
    low = dataclasses.replace(tasks[0].result, value=0.3, chance=0.25, low=0.2, high=0.4)
    fine = dataclasses.replace(low, low=0.26)
    none = dataclasses.replace(low, low=None, high=None)
    tiles = []
    for result_of in (low, fine, none):
        text = build([tasks[0]._replace(result=result_of)], items)
        tiles.append(re.search(r'<ul class="tiles">(.*?)</ul>', text, re.S)[1])
    assert "95 % [20.00, 40.00]" in tiles[0] and "chance 25.00&nbsp;%" in tiles[0]
    assert '<strong class="verdict">not above chance</strong>' in tiles[0]
    assert "verdict" not in tiles[1] and "no interval" in tiles[2]


def test_the_task_is_named_with_stratum_and_with_tag_where_there_are_several():
    task = showcases.small()[0][1]._replace(stratum="same_gender")
    assert list_page.task_name(task, ["test"]) == "Face → voice, same-gender"
    assert list_page.task_name(task, ["test", "seen"]) == "Face → voice, same-gender, test"
    assert isinstance(task, showcase.Task)
