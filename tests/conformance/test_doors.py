"""Formats by doors: what prepare, tfav-embed, the client and the server make of one file.

In every cell the embedding is that of tfav-embed (cosine 0.9999), or there is a refusal in a
sentence.
"""

import re

import numpy as np
import pytest
import soundfile

from tests import small
from tests.conformance.door_cases import LEAST, SAME
from tests.conformance.door_images import BROKEN, IMAGES, turned
from tests.conformance.door_sounds import RATE, SOUNDS, voice
from tests.export import conftest
from tests.export.conftest import recipe  # noqa: F401
from tests.serving import loopback
from tests.serving.loaded import Loaded, Refused
from tfav import hearing, registry
from tfav.clients import client
from tfav.data.input import pipeline
from tfav.data.prepare import dataset, manifest
from tfav.export import servable
from tfav.export.serving import saved_model
from tfav.inference import file_embedding, recipe_embedder
from tfav.media import mono


@pytest.fixture(scope="module")
def heard(recipe):  # noqa: F811
    """The recipe, which hears 2 s of a clip and repeats what is shorter than 0.5 s."""
    before = recipe.hearing
    recipe.hearing = hearing.Hearing(2.0, 0.5)
    yield recipe
    recipe.hearing = before


@pytest.fixture(scope="module")
def loaded(heard, tmp_path_factory):
    directory = str(tmp_path_factory.mktemp("doors") / "demo")
    saved_model.write(servable.Servable(heard), directory)
    return Loaded(directory, "demo")


@pytest.fixture(scope="module")
def rest(loaded):
    server = loopback.Server(loaded)
    yield client.Client(server.url, "demo", retries=0)
    server.close()


def by_embed(recipe, modality, path):  # noqa: F811
    embedder = recipe_embedder.RecipeEmbedder(recipe)
    done = file_embedding.embed(
        embedder, {modality: [("x", str(path))]}, batch_size=1, max_bad_fraction=0.0
    )
    return done.arrays[modality][0]


def by_prepare(recipe, modality, path, output):  # noqa: F811
    rows = [manifest.Row("x", "test", "x", **{modality: str(path)})]
    dataset.prepare(rows, dataset.Settings(output=str(output)))
    (batch,) = pipeline.evaluation_batches(
        output,
        "test",
        modality,
        batch_size=1,
        max_seconds=recipe.hearing.max_seconds,
        min_seconds=recipe.hearing.min_seconds,
        item=small.item(modality, conftest.SIZE),
    )
    return recipe_embedder.RecipeEmbedder(recipe).embed(modality, batch)[0]


def walk(case, modality, signature, suffix, heard, loaded, rest, tmp_path):
    path = tmp_path / f"file{suffix}"
    path.write_bytes(case.content)
    right = None
    for door in ("embed", "prepare"):
        try:
            if door == "embed":
                right = by_embed(heard, modality, path)
            else:
                found = by_prepare(heard, modality, path, tmp_path / "set")
                assert right is not None and found @ right > LEAST, door
        except registry.UserError as error:
            assert case.files and re.search(case.files, str(error)), (door, error)
    assert (right is None) == (case.files not in (SAME, ".?")) or case.files == ".?"
    if right is None and case.like:
        path.write_bytes(case.like)
        right = by_embed(heard, modality, path)
        path.write_bytes(case.content)
    name = signature.removeprefix("embed_")
    try:
        found = loaded.predict(signature, {name: np.array([case.content], object)})["embedding"][0]
        assert case.server == SAME and found @ right > LEAST, "server"
    except Refused as refused:
        said = client.asserted(str(refused))
        assert refused.code == "INVALID_ARGUMENT"
        start = "" if case.server == BROKEN else f"{signature}: .*"
        assert case.server and re.search(f"^{start}{case.server}", said), said
    before = case.server if case.client is None else case.client
    try:
        found = np.array(getattr(rest, signature)(path))
        assert before == SAME and found @ right > LEAST, "client"
    except client.ServingError as error:
        assert before and re.search(before, str(error)) and "\n" not in str(error), error


@pytest.mark.parametrize("name", SOUNDS)
def test_a_sound_file_has_one_embedding_or_a_sentence_at_every_door(
    name, heard, loaded, rest, tmp_path
):
    walk(SOUNDS[name], "audio", "embed_wav", ".wav", heard, loaded, rest, tmp_path)


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_file_has_one_embedding_or_a_sentence_at_every_door(
    name, heard, loaded, rest, tmp_path
):
    case = IMAGES[name]
    suffix = ".png" if case.content[1:4] == b"PNG" else ".jpg"
    walk(case, "image", "embed_jpeg", suffix, heard, loaded, rest, tmp_path)


def test_the_turns_of_an_image_are_told_apart(heard, tmp_path):
    """Or an orientation that is ignored would pass."""
    vectors = []
    for orientation in range(1, 9):
        path = tmp_path / f"{orientation}.jpg"
        path.write_bytes(turned("JPEG", orientation))
        vectors.append(by_embed(heard, "image", path))
    cosines = np.array(vectors) @ np.array(vectors).T
    assert cosines[~np.eye(8, dtype=bool)].max() < 0.999


@pytest.mark.parametrize("peak, sentence", [(1e18, "samples up to 1e.18"), (4.1, "up to 4.1 ")])
def test_samples_far_outside_are_refused_wherever_they_come_from(
    peak, sentence, heard, loaded, rest, tmp_path
):
    clip = voice()[:, 0].astype(np.float32) / 32_768
    clip[100] = peak
    soundfile.write(tmp_path / "x.wav", clip, RATE, subtype="FLOAT")
    with pytest.raises(registry.UserError, match="samples up to"):
        by_embed(heard, "audio", tmp_path / "x.wav")
    with pytest.raises(client.ServingError, match=f"embed_audio: row 0 of .*{sentence}"):
        rest.embed_audio(clip)
    with pytest.raises(client.ServingError, match="NaN"):
        rest.embed_audio(np.full(8_000, np.nan))


def test_the_limits_of_the_server_are_those_of_the_reader(loaded, rest):
    clip = np.full([1, RATE], 0.5 * mono.MIN_PEAK, np.float32)
    with pytest.raises(client.ServingError, match=f"the least that is embedded {mono.MIN_PEAK}"):
        rest.embed_audio(clip[0])
    assert len(rest.embed_audio(clip[0] * 4)) == conftest.EMBEDDING_SIZE
