"""What CONTRIBUTING says one can add is added from a package outside the library, a file each."""

import inspect
import json
import pathlib
import re

import numpy as np
import pytest
import soundfile
from PIL import Image

import tfav
from tests import untrained
from tests.conformance import out_of_tree
from tests.conformance.out_of_tree import mean_color, rejection, thermometer, weather_station
from tfav import config as config_lib
from tfav import registry
from tfav.commands import evaluate, export, train
from tfav.commands.protocols import protocol
from tfav.data import shards
from tfav.data.prepare import sources
from tfav.experiment import inputs, models
from tfav.export import servable
from tfav.export.lite import conversion
from tfav.inference import recipe_embedder
from tfav.recipes import outputs
from tfav.training import weights_file

ROOT = pathlib.Path(__file__).parents[2]
HERE = out_of_tree.__name__
DAYS = 16


def weather(day):
    """Temperature and humidity of a day, [3 to 6, 2]: odd days are hot."""
    random = np.random.default_rng(day)
    return [20.0 * (day % 2), 0.5] + 0.1 * random.standard_normal((3 + day % 4, 2))


@pytest.fixture(scope="module")
def folder(tmp_path_factory, forks):
    """Files of the station, a data set that `tfav-prepare` made of them, and a trained run."""
    folder = tmp_path_factory.mktemp("out_of_tree")
    (folder / "station").mkdir()
    for day in range(DAYS + 1):  # the last one is not asked for
        stem = folder / "station" / str(day)
        time = np.arange(3_200 + 100 * day) / 16_000
        soundfile.write(f"{stem}.wav", 0.3 * np.sin(2 * np.pi * (300 + day) * time), 16_000)
        Image.new("RGB", (24, 20), (200 * (day % 2), 10 * day, 99)).save(f"{stem}.png")
        np.savetxt(f"{stem}.txt", weather(day))
    flags = [f"--source={HERE}.weather_station.SOURCE", f"--root={folder}/station"]
    flags += [f"--source_option=days={DAYS}", f"--output={folder}/data"]
    done = forks.run("prepare", *flags)
    assert done.code == 0, done.stderr
    c = untrained.config(f"{folder}/data", "mmcosine")
    c.loss.contrastive = f"{HERE}.cosine_gap.cosine_gap"
    c.loss.contrastive_args = {"weight": 0.5}
    c.loss.contrastive_weight = 1.0
    c.loss.margin_kind, c.loss.margin = f"{HERE}.blunt_margin.blunt_margin", 0.1
    c.modalities = ("audio", "image", "weather")
    c.image.encoder = f"{HERE}.mean_color.MeanColor"
    c.further.weather = config_lib.further_of(
        f"{HERE}.thermometer.THERMOMETER", "tfav.encoders.array.Tiny", size=2, sequence=True
    )
    c.data.audio_seconds = (0.1, 0.2)
    c.data.sampling = "rows"
    c.train.num_steps = c.train.checkpoint_every = 6
    c.train.validate_every = 3
    c.eval.protocols = ("classification", f"{HERE}.brier.BRIER")
    train.train(c, f"{folder}/run", "one_device")
    return folder


def test_a_source_with_an_option_of_its_own_gives_rows_of_a_modality_of_its_own(folder):
    index = shards.Index.read(folder / "data")
    assert len(index) == DAYS and index.modalities == ("audio", "image", "weather")
    assert index.info["kinds"] == {"weather": thermometer.THERMOMETER.name}
    assert index.info["source"] == f"{HERE}.weather_station.SOURCE"


def test_an_option_that_a_source_does_not_have_is_refused_with_those_it_has():
    own = sources.own_options("x", weather_station.SOURCE, ["days=3"])
    assert own == {"days": 3}
    for given, sentence in (
        ("nights=3", "--source_option=nights=3 means nothing to --source=x, which has days"),
        ("days=0", "--source_option=days=0 is out of range: give a whole number from 1 to 1000"),
        ("days=many", "--source_option=days='many' is of another type"),
        ("days", "--source_option=days: write it as NAME=VALUE"),
    ):
        with pytest.raises(registry.UserError) as refusal:
            sources.own_options("x", weather_station.SOURCE, [given])
        assert str(refusal.value).startswith(sentence)


def test_a_modality_is_read_whole_and_padded_with_its_steps(folder):
    c = models.trained(f"{folder}/run").config
    (batch,) = inputs.evaluation_batches(c, c.data.directory, ["day2", "day3"], "weather", 2)
    assert batch["weather_steps"].numpy().tolist() == [3 + 2, 3 + 3]
    np.testing.assert_allclose(batch["weather"][0, :5], weather(2), atol=1e-6)
    np.testing.assert_allclose(batch["weather"][1], weather(3), atol=1e-6)
    assert not batch["weather"][0, 5:].numpy().any()


class Unfinished(mean_color.MeanColor):
    """An encoder whose constructor leaves out its last line."""

    asked = 0

    def create_weights(self):
        self.asked += 1
        if self.asked > 1:
            super().create_weights()


def test_an_encoder_that_has_made_no_weights_is_asked_for_them_before_the_optimizer_asks():
    c = untrained.config("none", "infonce")
    c.image.encoder = f"{__name__}.Unfinished"
    made = models.encoders(c)["image"]
    assert made.asked == 2 and len(made.trainable_weights) > 0


def test_a_loss_a_margin_an_encoder_and_a_modality_are_trained(folder):
    lines = [json.loads(x) for x in (folder / "run" / "scalars.jsonl").read_text().splitlines()]
    last = [line for line in lines if "contrastive" in line][-1]
    assert 0 < last["contrastive"] < 1.0  # half of 1 minus a cosine
    assert last["margin"] == pytest.approx(0.1) and last["scale"] > 0
    assert last["gradient_norm_image"] > 0 and last["gradient_norm_weather"] > 0
    assert any("val/accuracy_weather" in line for line in lines)


def test_a_protocol_is_evaluated_beside_those_of_the_library(folder):
    text = "\n".join(evaluate.evaluate([f"{folder}/run"], ["test"]))
    document = json.loads((folder / "run" / "metrics.json").read_text())
    found = {(r["protocol"], r["metric"]): r for r in document["results"]}
    # Two classes: at worst all probability is on the other one, (0 - 1)^2 + (1 - 0)^2.
    assert 0 <= found["brier", "brier"]["value"] <= 2
    assert found["brier", "brier"]["num_trials"] == 4 and "Brier score" in text


def on_the_way(monkeypatch, owner, name, crossed):
    """Notes every module of the library that a call of `owner.name` comes through."""
    function = getattr(owner, name)

    def spy(*arguments, **options):
        crossed.update(frame.frame.f_globals["__name__"] for frame in inspect.stack())
        return function(*arguments, **options)

    monkeypatch.setattr(owner, name, spy)


def test_a_precision_is_exported_and_every_artefact_embeds_files_of_the_modality(
    folder, monkeypatch
):
    crossed = {"tfav.bin.export", weights_file.__name__, conversion.__name__}
    on_the_way(monkeypatch, weights_file, "load", crossed)
    on_the_way(monkeypatch, conversion, "convert", crossed)
    export.export(f"{folder}/run", f"{folder}/model", precisions=("float32", f"{HERE}.half.HALF"))
    # Who holds the weights in between is on no stack.
    crossed |= {servable.__name__, outputs.__name__}
    assert len({name for name in crossed if name.startswith("tfav.")}) <= 12, crossed
    monkeypatch.undo()
    paths = [str(folder / "station" / f"{day}.txt") for day in (0, 1, 6)]
    run = models.trained(f"{folder}/run")
    ids = {"weather": ["day0", "day1", "day6"]}
    embed = recipe_embedder.RecipeEmbedder(run.recipe).embed
    expected = inputs.embeddings(run.config, embed, run.config.data.directory, ids)["weather"]
    expected = np.stack([expected[name] for name in ids["weather"]])
    for name, least in (
        ("run", 1 - 1e-6),
        ("model", 1 - 1e-6),
        ("model/weather_HALF.tflite", 0.999),
    ):
        found = tfav.load(str(folder / name)).embed(paths)
        assert found.ids == {"weather": paths}
        assert (np.sum(found.vectors["weather"] * expected, axis=1) >= least).all(), name
    sizes = [(folder / "model" / f"weather_{x}.tflite").stat().st_size for x in ("HALF", "float32")]
    assert sizes[0] < 0.7 * sizes[1]


def test_a_file_that_is_none_of_the_modality_is_refused_in_a_sentence(folder, tmp_path):
    (tmp_path / "words.txt").write_text("fine weather\n")
    with pytest.raises(registry.UserError, match=r"words.txt is no table of numbers"):
        tfav.load(f"{folder}/run").embed([str(tmp_path / "words.txt")])


def test_a_kind_of_query_list_is_evaluated(tmp_path):
    data = untrained.write_data(tmp_path / "data")
    run = untrained.run(data, "voice_face")
    index = shards.Index.read(data)
    test = index.select("test").id.tolist()
    lines = [f"{a} {b}\n" for a, b in zip(test, test[1:])]
    (tmp_path / "data" / "lists" / "reject_v2f_test.txt").write_text("".join(lines))
    context = protocol.Context(run, index, ["test"], f"{data}/lists", 0)
    found, _ = rejection.LISTS.evaluate(context)
    (least,) = [r for r in found if r.metric == rejection.LEAST]
    embed = recipe_embedder.RecipeEmbedder(run.recipe).embed
    vectors = inputs.embeddings(run.config, embed, data, {"audio": test, "image": test})
    cosines = [vectors["audio"][a] @ vectors["image"][b] for a, b in zip(test, test[1:])]
    assert least.value == pytest.approx(min(cosines), abs=1e-6)
    assert least.num_trials == len(lines) and least.list_name == "reject_v2f_test.txt"
    assert {r.protocol for r in found} >= {"matching", "verification", "retrieval", "rejection"}


def test_contributing_names_every_file_here_in_the_row_that_it_is_an_example_of():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = text.split("## Where you add things")[1].split("\n## ")[0]
    named = re.findall(r"`out_of_tree/(\w+)\.py`", table)
    files = {p.stem for p in pathlib.Path(out_of_tree.__file__).parent.glob("*.py")}
    assert sorted(named) == sorted(files - {"__init__"})
