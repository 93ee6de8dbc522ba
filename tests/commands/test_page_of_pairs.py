"""The page of a run on sounds and pictures of one moment, from its data to what stands there."""

import dataclasses
import re

import markupsafe
import pytest

from tests import showcases, small
from tfav import registry
from tfav.commands import report, train
from tfav.data import shards


def write(directory, boxes=True):
    """The left half of every other picture is marked; one name is hostile."""
    rows = []
    for number, row in enumerate(small.paired_records(48)):
        extra = {"objects": "0 0 0.5 1"} if boxes and number % 2 else {}
        label = showcases.HOSTILE if row.label == "class0" else row.label
        rows.append(dataclasses.replace(row, extra=extra, further={}, label=label))
    shards.write(directory, rows, columns=["objects"] if boxes else [])
    return str(directory)


def config(directory, recipe="dmc"):
    c = small.config(directory)
    c.recipe = recipe
    c.modalities = ("audio", "image")
    c.model = {"num_clusters": 3, "cluster_size": 4} if recipe == "dmc" else {"hidden_size": 4}
    c.loss = {"negatives": "all"}
    c.data.sampling = "rows"
    c.train.optimizer = "adam"
    c.train.num_steps = 5
    c.train.validate_every = 5
    c.eval.protocols = ("correspondence",)
    c.eval.min_seconds = 0.5
    return c


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Text of the pages of both recipes, and the folder of the runs."""
    folder = tmp_path_factory.mktemp("pairs")
    data = write(folder / "data")
    found = {}
    for recipe in ("dmc", "l3"):
        train.train(config(data, recipe), str(folder / recipe), "one_device")
        (line,) = report.make_report(str(folder / recipe), ["test"])
        assert "report.html" in line
        found[recipe] = (folder / recipe / "report.html").read_text()
    return folder, found


def test_the_table_has_correspondence_and_where_boxes_are_localisation(pages):
    _, found = pages
    for recipe, text in found.items():
        rows = re.findall(r'<tr><th scope="row">(.*?): ', text)
        assert rows.count("correspondence AUC") == 2
        assert ("maximum inside a box" in rows) == (recipe == "dmc")


def test_every_scene_has_a_map_a_verdict_in_words_and_its_sound(pages):
    folder, found = pages
    part = shards.Index.read(str(folder / "data")).select("test")
    marked = int((part.extra["objects"] != "").sum())
    (scenes,) = re.findall(r'id="scenes-0"(.*?)</section>', found["dmc"], re.S)
    assert scenes.count('<li class="card') == scenes.count("<audio controls") == len(part) == 12
    assert 0 < marked < len(part)
    verdicts = re.findall(r"<p>(The maximum lies [a-z ]*\.|No box is marked[a-z ]*\.)</p>", scenes)
    assert len(verdicts) == len(part)
    assert verdicts.count("No box is marked in this image.") == len(part) - marked
    inside = verdicts.count("The maximum lies inside a box.")
    said = f"inside a box in {inside} of the {marked} marked images of the split"
    assert said in found["dmc"] and scenes.count('class="map"') == 12
    for name in part.id:
        assert f'aria-label="Audio of {name}"' in scenes


def test_every_cluster_shows_its_six_rows_by_image_and_by_audio(pages):
    text = pages[1]["dmc"]
    assert re.findall(r"<summary>(Cluster \d)", text) == ["Cluster 0", "Cluster 1", "Cluster 2"]
    strips = re.findall(r'<ul class="examples" aria-label="([^"]*)">(.*?)</ul>', text, re.S)
    assert len(strips) == 6 and all(items.count("<li>") == 6 for _, items in strips)
    for words, items in strips:
        strongest = [int(x) for x in re.findall(r">strongest (\d+) %", items)]
        assert strongest == sorted(strongest, reverse=True)
        assert items.count("<audio") == (6 if "audio" in words else 0)
    for kind in ("image", "audio"):
        usage = re.findall(rf"<p>By {kind}: ([\d.]+) % of all positions", text)
        assert sum(map(float, usage)) == pytest.approx(100, abs=0.2)
    assert text.count("<p>Dead ") == 2


def test_training_is_shown_as_curves_and_in_words(pages):
    for recipe, text in pages[1].items():
        assert text.count("data:image/svg+xml") == 2
        assert "Similarity of pairs: matched" in text
        assert ("Usage entropy (nats): audio" in text) == (recipe == "dmc")


def test_a_run_without_clusters_gets_the_table_and_the_curves_only(pages):
    text = pages[1]["l3"]
    assert "<audio" not in text and "What the clusters mean" not in text
    assert "media-src" not in text


def test_the_page_asks_for_nothing_and_names_are_text(pages):
    for text in pages[1].values():
        policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
        assert policy.startswith("default-src 'none';") and "script-src" not in policy
        body = text.split("</style>")[1]
        assert not re.search(r'(src|href)="(?!#|data:)', body)
        tags = re.sub(r'"[^"]*"', '""', body)  # what stands in quotes is escaped
        assert "<script" not in body.lower() and not re.search(r"<[^>]*\s(on\w+|style)=", tags)
        for target in re.findall(r'href="#([^"]*)"', body):
            assert body.count(f'id="{target}"') == 1
    assert str(markupsafe.escape(showcases.HOSTILE)) in pages[1]["dmc"]
    assert "media-src data:" in pages[1]["dmc"]


def test_the_page_without_media_has_figures_dead_clusters_and_curves(pages, tmp_path):
    folder, _ = pages
    path = tmp_path / "p.html"
    list(report.make_report(str(folder / "dmc"), ["test"], str(path), media=False))
    text = path.read_text()
    assert "data:image/jpeg" not in text and "<audio" not in text and "Where the sound" not in text
    assert "correspondence AUC" in text and "Learning curves" in text
    assert text.count("clusters, which have less than a tenth of an even share") == 2
    index = shards.Index.read(str(folder / "data"))
    assert not [name for name in index.id.tolist() if name in text]


def test_data_without_boxes_has_maps_and_no_verdict(pages, tmp_path):
    folder, _ = pages
    data = write(tmp_path / "plain", boxes=False)
    output = tmp_path / "page.html"
    list(report.make_report(str(folder / "dmc"), ["val"], str(output), directory=data))
    text = output.read_text()
    assert "maximum inside a box" not in text and "annotators marked" not in text
    assert text.count("<p>No box is marked in this image.</p>") == 12


def test_a_page_that_cannot_be_so_small_is_a_sentence(pages, tmp_path):
    workdir, output = str(pages[0] / "dmc"), str(tmp_path / "page.html")
    with pytest.raises(registry.UserError, match=r"--max_mb=0.001 is too little for"):
        list(report.make_report(workdir, ["test"], output, max_megabytes=0.001))


def test_without_tags_every_split_is_shown_that_nobody_learnt_from(pages, tmp_path):
    folder, _ = pages
    rows = [
        dataclasses.replace(row, further={}, split="solo" if row.split == "test" else row.split)
        for row in small.paired_records(48)
    ]
    # The test rows come twice: half of them are called solo.
    more = [dataclasses.replace(r, id=f"t{r.id}", split="test") for r in rows if r.split == "solo"]
    shards.write(str(tmp_path / "data"), [*rows, *more])
    output = tmp_path / "page.html"
    list(report.make_report(str(folder / "dmc"), None, str(output), directory=tmp_path / "data"))
    text = output.read_text()
    for split in ("solo", "test"):
        assert f"Where the sound comes from: {split}" in text
    assert "Where the sound comes from: train" not in text
    heads = re.search(r"<thead>(.*?)</thead>", text, re.S)[1]
    assert "solo [95 %]" in heads and "test [95 %]" in heads  # beside each other


def test_a_run_is_compared_with_another_on_the_same_pairs(pages, tmp_path):
    folder, _ = pages
    output = tmp_path / "page.html"
    runs = str(folder / "dmc"), str(folder / "l3")
    list(report.make_report(runs[0], ["test"], str(output), baseline=runs[1]))
    text = output.read_text()
    assert "Compared with l3" in text
    table = text[text.index("Differences to l3") :].split("</table>")[0]
    assert table.count("correspondence AUC") == 2 and "maximum inside" not in table
