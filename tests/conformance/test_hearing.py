"""One file has one embedding: by its run, its exports, a server, tfav-embed and in evaluation."""

import json
import os
import shutil

import numpy as np
import pytest
import soundfile
import tensorflow as tf

from tests import small
from tests.serving import loopback
from tests.serving.loaded import Loaded
from tfav import config_file, hearing, registry
from tfav.clients import client
from tfav.commands import embed, export, train
from tfav.commands.protocols import by_lists, protocol
from tfav.data import shards
from tfav.data.prepare import dataset, manifest
from tfav.experiment import models
from tfav.inference import embedders, recipe_embedder

# Of what is heard at least 0.5 s and at most 1 s.
SECONDS = {"short.wav": 0.3, "between.wav": 0.7, "long.wav": 1.6}
LEAST = 0.99999


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hearing")
    c = small.config(small.write_dataset(str(folder / "data")))
    c.train.num_steps = 5
    c.eval.audio_seconds, c.eval.min_seconds = 1.0, 0.5
    train.train(c, str(folder / "whole"), "one_device")
    random = np.random.default_rng(0)
    (folder / "files").mkdir()
    for name, seconds in SECONDS.items():
        time = np.arange(round(16_000 * seconds)) / 16_000
        wave = 0.3 * np.sin(2 * np.pi * (200 + 900 * time) * time)
        wave += 0.05 * random.standard_normal(len(time))
        soundfile.write(folder / "files" / name, wave, 16_000, subtype="PCM_16")
    shutil.copytree(folder / "whole", folder / "windowed")
    c.eval.window_seconds = 0.4
    config_file.save(c, str(folder / "windowed"))
    return folder


@pytest.fixture(scope="module", params=["whole", "windowed"])
def run(request, folder):
    """The workdir of a run that hears clips whole, or in windows, and its export."""
    workdir = folder / request.param
    durations = (1.0,) if request.param == "whole" else (0.4,)
    export.export(
        str(workdir), str(workdir / "model"), precisions=("float32",), durations=durations
    )
    return workdir


def embedded(source, folder, tmp_path):
    """What tfav-embed writes: name to vector."""
    output = str(tmp_path / "embedded.npz")
    embed.embed(str(source), [str(folder / "files")], output, 0.0, True, False)
    with np.load(output) as file:
        return dict(zip(file["audio_id"].tolist(), file["audio"])), str(file["embedding_space"])


def clip(folder, name):
    return soundfile.read(folder / "files" / name, dtype="float32")[0]


def doors(run, folder, tmp_path):
    """Yields (door, name to vector)."""
    trained = models.trained(str(run))
    model = run / "model"
    for door, source in {
        "tfav-embed WORKDIR": run,
        "tfav-embed SAVEDMODEL": model,
        "tfav-embed TFLITE": model / "audio_float32.tflite",
    }.items():
        yield door, embedded(source, folder, tmp_path)[0]
    signatures = tf.saved_model.load(str(model / "1")).signatures
    loaded = Loaded(str(model), "model")
    server = loopback.Server(loaded)
    rest = client.Client(server.url, "model")
    found = {door: {} for door in ("Python", "C++", "client samples", "client file", "padded")}
    for name in SECONDS:
        waveform = clip(folder, name)[np.newaxis]
        fed = {"waveform": waveform, "num_samples": np.array([waveform.shape[1]], np.int32)}
        padded = {**fed, "waveform": np.pad(waveform, [(0, 0), (0, 5_000)], constant_values=0.9)}
        found["Python"][name] = signatures["embed_audio"](**fed)["embedding"][0].numpy()
        found["padded"][name] = signatures["embed_audio"](**padded)["embedding"][0].numpy()
        found["C++"][name] = loaded.predict("embed_audio", fed)["embedding"][0]
        found["client samples"][name] = np.array(rest.embed_audio(waveform[0]))
        found["client file"][name] = np.array(rest.embed_wav(folder / "files" / name))
    server.close()
    yield from found.items()
    rows = [manifest.Row(name, "test", "x", audio=str(folder / "files" / name)) for name in SECONDS]
    data = str(tmp_path / "set")
    dataset.prepare(rows, dataset.Settings(output=data))
    index = shards.Index.read(data)
    context = protocol.Context(trained, index, ("test",), "", 0)
    space = by_lists.embed(context, {"audio": list(SECONDS)})
    yield "evaluation", dict(zip(SECONDS, space.vectors("the list", "audio", list(SECONDS))))


def expected(run, folder):
    """By the definition, one piece at a time: cut, repeated, in windows, by the encoder alone."""
    recipe = models.trained(str(run)).recipe
    found = {}
    for name in SECONDS:
        wave = clip(folder, name)[:16_000]
        wave = np.tile(wave, 10)[: max(len(wave), 8_000)]
        step = 6_400 if run.name == "windowed" else len(wave)
        parts = [wave[at : at + step] for at in range(0, len(wave), step)]
        vectors = [recipe.embed("audio", {"audio": part[np.newaxis]})[0].numpy() for part in parts]
        total = sum(len(p) * v / np.linalg.norm(v) for p, v in zip(parts, vectors))
        found[name] = total / np.linalg.norm(total)
    return found


def test_every_door_gives_a_file_the_same_embedding(run, folder, tmp_path):
    right = expected(run, folder)
    seen = []
    for door, vectors in doors(run, folder, tmp_path):
        seen.append(door)
        assert vectors.keys() == SECONDS.keys(), door
        for name, vector in vectors.items():
            assert vector @ right[name] > LEAST, (door, name)
    assert len(seen) == 9
    # Or every clip could be heard in any way.
    assert min(right[a] @ right[b] for a in right for b in right) < 0.999


def test_what_is_heard_is_part_of_the_space(folder, tmp_path):
    spaces = {
        name: recipe_embedder.RecipeEmbedder(models.trained(str(folder / name)).recipe)
        for name in ("whole", "windowed")
    }
    assert spaces["whole"].embedding_space != spaces["windowed"].embedding_space
    recipe = models.trained(str(folder / "whole")).recipe
    recipe.hearing = hearing.Hearing()
    plain = recipe_embedder.RecipeEmbedder(recipe).embedding_space
    assert plain not in {embedder.embedding_space for embedder in spaces.values()}


def test_an_artefact_states_what_it_hears_and_its_space_is_that_of_the_run(run, folder, tmp_path):
    trained = models.trained(str(run))
    window = 0.4 if run.name == "windowed" else 0.0
    right = hearing.Hearing(1.0, 0.5, window)
    for source in (run / "model", run / "model" / "audio_float32.tflite"):
        loaded = embedders.load(str(source))
        assert loaded.hearing == trained.recipe.hearing == right
        assert loaded.embedding_space == embedded(run, folder, tmp_path)[1]
    with open(run / "model" / "parity.json") as f:
        assert json.load(f)["hearing"] == right.facts()


def test_clips_that_are_not_heard_to_their_end_are_counted(run, folder, tmp_path):
    output = str(tmp_path / "x.npz")
    lines = embed.embed(str(run), [str(folder / "files")], output, 0.0, False, False).lines()
    (line,) = (line for line in lines if "longer" in line)
    assert line.startswith("1 clips are longer than the 1 s that are heard") and "0.6 s are" in line


def test_a_clip_that_a_phone_cannot_take_is_named_and_may_be_left_out(folder, tmp_path):
    model = tmp_path / "model"
    export.export(str(folder / "whole"), str(model), precisions=("float32",), durations=(0.8,))
    source = [str(model / "audio_float32.tflite"), [str(folder / "files")], str(tmp_path / "x.npz")]
    sentence = "long.wav is heard for 1 s, and audio_float32.tflite takes 0.8 s: export with --dur"
    with pytest.raises(registry.UserError, match=sentence):
        embed.embed(*source, 0.0, False, False)
    assert not os.path.exists(source[2])
    lines = embed.embed(*source, 0.5, False, False).lines()
    assert lines[0].startswith("left out ") and "audio: 2 x 8" in lines


def test_windows_are_refused_where_answers_are_no_embeddings(tmp_path):
    c = small.classes_config("data")
    c.eval.window_seconds = 1.0
    with pytest.raises(registry.UserError, match="window_seconds=1: .* MMCosine .* set it to 0"):
        models.model(c, 3)


@pytest.mark.parametrize(
    "values, sentence",
    [
        ((0.0, 0.0, 0.0), "eval.audio_seconds=0.0: give how many seconds"),
        ((float("nan"), 0.0, 0.0), "eval.audio_seconds=nan"),
        ((1.0, 2.0, 0.0), "eval.min_seconds=2: .* at most audio_seconds=1"),
        ((1.0, -1.0, 0.0), "eval.min_seconds=-1"),
        ((1.0, 0.0, -2.0), "eval.window_seconds=-2.0: give the length"),
        ((1.0, 0.0, float("inf")), "eval.window_seconds=inf"),
    ],
)
def test_a_hearing_that_makes_no_sense_is_refused(values, sentence):
    with pytest.raises(registry.UserError, match=sentence):
        hearing.Hearing(*values)


def test_a_clip_is_cut_repeated_and_windowed():
    heard = hearing.Hearing(
        max_seconds=5 / 16_000, min_seconds=3 / 16_000, window_seconds=2 / 16_000
    )
    assert heard.heard(np.arange(7)).tolist() == [0, 1, 2, 3, 4]
    assert heard.heard(np.arange(2)).tolist() == [0, 1, 0]
    assert heard.heard(np.arange(4)).tolist() == [0, 1, 2, 3]
    assert [w.tolist() for w in heard.windows(np.arange(5))] == [[0, 1], [2, 3], [4]]
    assert [w.tolist() for w in hearing.Hearing().windows(np.arange(5))] == [[0, 1, 2, 3, 4]]
    # (2 * (1, 0) + 1 * (0, 1)) / sqrt(5)
    mean = hearing.mean(np.eye(2, dtype=np.float32), np.array([2, 1]))
    np.testing.assert_allclose(mean, np.array([2, 1]) / np.sqrt(5), rtol=1e-6)
