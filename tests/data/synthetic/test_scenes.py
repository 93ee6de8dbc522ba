import collections
import csv
import hashlib

import numpy as np
import pytest
import soundfile
from PIL import Image
from scipy import ndimage

from tfav import registry
from tfav.annotations import boxes as boxes_lib
from tfav.data.prepare import manifest, sources
from tfav.data.synthetic import scenes
from tfav.data.synthetic import toys as toys_lib

SMALL = {"train": 5, "val": 2, "test": 3, "solo": 4}
NUM_KINDS = len(scenes.KINDS)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    root = tmp_path_factory.mktemp("scenes") / "corpus"
    scenes.write_corpus(root, seed=3, num_scenes=SMALL)
    return root


def digests(root):
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def test_the_same_seed_writes_the_same_bytes_and_another_seed_other_files(corpus, tmp_path):
    scenes.write_corpus(tmp_path / "again", seed=3, num_scenes=SMALL)
    assert digests(tmp_path / "again") == digests(corpus)
    scenes.write_corpus(tmp_path / "other", seed=4, num_scenes=SMALL)
    one, other = digests(corpus), digests(tmp_path / "other")
    assert one.keys() == other.keys()
    assert not [name for name in one if one[name] == other[name]]


def test_a_file_does_not_depend_on_how_many_others_there_are(corpus, tmp_path):
    scenes.write_corpus(tmp_path / "fewer", seed=3, num_scenes={"solo": 2, "train": 6})
    one, other = digests(corpus), digests(tmp_path / "fewer")
    shared = [name for name in one if name in other and name != "manifest.csv"]
    assert len(shared) == 2 * (2 + 5)
    assert all(one[name] == other[name] for name in shared)


def test_the_manifest_says_which_toys_play_and_where_they_are(corpus):
    with open(corpus / "manifest.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == ("id", "split", "label", "audio", "image", "objects", "kinds")
    assert collections.Counter(row["split"] for row in rows) == SMALL
    for row in rows:
        split, number = row["id"].split("_")
        scene, _, _ = scenes.scene(3, split, int(number))
        names = [scenes.KINDS[kind].name for kind in scene.kinds]
        assert len(set(names)) == len(names) in (2, 3)
        playing = 1 if split == "solo" else len(names)
        assert row["label"] == "+".join(sorted(names[:playing]))
        assert row["kinds"] == "+".join(sorted(names))
        boxes = boxes_lib.read(row["objects"], row["id"])
        assert boxes == [tuple(edge / 64 for edge in box) for box in scene.boxes[:playing]]


def test_every_other_scene_of_mixed_has_a_sound_that_nothing_in_it_makes(tmp_path):
    rows = scenes.write_corpus(tmp_path, seed=3, num_scenes={"mixed": 8})
    absent = [boxes_lib.absent(row["objects"]) for row in rows]
    assert absent == [None, "silence", None, "noise", None, "off-screen", None, "silence"]
    for number, row in enumerate(rows):
        scene, _, _ = scenes.scene(3, "mixed", number)
        wave, _ = soundfile.read(tmp_path / row["audio"])
        level = 20 * np.log10(np.sqrt(np.mean(wave**2)))
        if absent[number] is None:
            assert row["label"] == scenes.KINDS[scene.kinds[0]].name
            assert len(boxes_lib.read(row["objects"], "x")) == 1
        else:
            assert row["label"] == absent[number] == scene.absent and scene.num_playing == 0
            assert boxes_lib.read(row["objects"], "x") == []
        # Quiet rooms lie at -66 to -60 dB, all else at -26 to -18.
        assert (level < -59) if absent[number] == "silence" else (-27 < level < -17)


def test_what_plays_off_screen_is_no_toy_of_the_picture(monkeypatch):
    played = []
    monkeypatch.setattr(toys_lib, "play", lambda kinds, rng: played.append(list(kinds)))
    for number in range(5, 600, 6):
        scene, _, _ = scenes.scene(3, "mixed", number)
        (kind,) = played[-1]
        assert scene.absent == "off-screen" and kind not in scene.kinds
    assert len({kind for (kind,) in played}) == NUM_KINDS


def test_every_file_decodes_at_its_rate_and_size(corpus):
    assert len(digests(corpus)) == 14 * 2 + 1
    for path in (corpus / "sounds").iterdir():
        info = soundfile.info(path)
        assert (info.samplerate, info.channels, info.frames) == (16_000, 1, 28_800)
        assert (info.format, info.subtype) == ("WAV", "PCM_16")
        wave, _ = soundfile.read(path)
        # Loudness is drawn from -26..-18 dB of full scale: 0.0501 to 0.1259; peaks may be clipped.
        assert 0.047 < np.sqrt(np.mean(wave**2)) < 0.126
    for path in (corpus / "pictures").iterdir():
        picture = Image.open(path)
        picture.load()
        assert (picture.size, picture.mode, picture.format) == ((64, 64), "RGB", "JPEG")


def test_a_negative_seed_is_named_and_nothing_is_written(tmp_path):
    with pytest.raises(registry.UserError, match="seed=-1"):
        scenes.write_corpus(tmp_path / "corpus", seed=-1)
    assert not list(tmp_path.iterdir())


def test_the_source_draws_as_many_scenes_as_asked_and_refuses_one(tmp_path):
    rows = sources.SOURCES["synthetic_scenes"].rows
    with pytest.raises(registry.UserError, match="--identities=1"):
        rows(manifest.Options(corpus=str(tmp_path / "one"), identities=1))
    assert not list(tmp_path.iterdir())
    found = rows(manifest.Options(corpus=str(tmp_path / "few"), identities=4))
    # 4 of 200 is a fiftieth: 1200 / 50 = 24, 150 / 50 = 3, 200 / 50 = 4.
    assert collections.Counter(row.split for row in found) == {
        "train": 24,
        "val": 3,
        "test": 4,
        "solo": 4,
        "mixed": 4,
    }
    assert all(row.extra["objects"] for row in found)


def test_the_source_replaces_a_corpus_only_when_asked_and_nothing_else_ever(corpus, tmp_path):
    rows = sources.SOURCES["synthetic_scenes"].rows
    with pytest.raises(registry.UserError, match="pass --overwrite"):
        rows(manifest.Options(corpus=str(corpus)))
    (tmp_path / "manifest.csv").touch()
    with pytest.raises(registry.UserError, match="is no synthetic corpus"):
        rows(manifest.Options(corpus=str(tmp_path), overwrite=True))
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.csv"]


@pytest.fixture(scope="module")
def pictures():
    """160 scenes and their pictures [64, 64, 3] before JPEG."""
    found = [scenes.scene(7, "solo", number) for number in range(160)]
    return [(scene, np.asarray(picture, np.float64)) for scene, _, picture in found]


def toys(pictures):
    """Yields kind, luma and hue of the pixels of each toy."""
    for scene, rgb in pictures:
        luma = rgb @ [0.299, 0.587, 0.114]
        blue, red = (rgb[..., 2] - luma) / 1.772, (rgb[..., 0] - luma) / 1.402
        for kind, (left, top, right, bottom) in zip(scene.kinds, scene.boxes):
            down, across = 2 * (np.mgrid[: bottom - top, : right - left] + 0.5) / (right - left) - 1
            inside = scenes.KINDS[kind].inside(across, down)
            part = [x[top:bottom, left:right][inside].mean() for x in (luma, blue, red)]
            yield kind, part[0], np.arctan2(part[2], part[1])


def test_a_box_holds_its_toy_and_nothing_outside_the_boxes_is_as_colourful(pictures):
    for scene, rgb in pictures:
        luma = rgb @ [0.299, 0.587, 0.114]
        blue, red = (rgb[..., 2] - luma) / 1.772, (rgb[..., 0] - luma) / 1.402
        smooth = [ndimage.uniform_filter(x, 3) for x in (blue, red)]
        # Cloth has a chroma of 15 at most, toys of 35 at least; noise adds about 2 to a mean of 9.
        colourful = np.hypot(*smooth) > 25
        outside = np.ones([64, 64], bool)
        for left, top, right, bottom in scene.boxes:
            assert 1 <= left < right <= 63 and 1 <= top < bottom <= 63
            assert colourful[top:bottom, left:right].mean() > 0.2
            assert outside[top:bottom, left:right].all()  # no toy stands before another
            outside[top - 1 : bottom + 1, left - 1 : right + 1] = False
        assert not colourful[outside].any()


def test_brightness_tells_no_kind_and_colour_tells_every_one(pictures):
    kinds, luma, hue = map(np.array, zip(*toys(pictures)))
    assert set(kinds) == set(range(NUM_KINDS))
    for kind in range(NUM_KINDS):
        # Uniform in 100..150, deviation 14.4: the mean of 35 or more lies within 2.4 of 125.
        assert np.count_nonzero(kinds == kind) >= 35
        assert abs(luma[kinds == kind].mean() - 125) < 4 * 2.4
    assert np.mean(np.round(hue / (2 * np.pi / NUM_KINDS)) % NUM_KINDS == kinds) > 0.99


def test_neither_place_nor_number_of_a_toy_tells_its_kind(pictures):
    centres = collections.defaultdict(list)
    for scene, _ in pictures:
        for kind, (left, top, right, bottom) in zip(scene.kinds, scene.boxes):
            centres[kind].append([(left + right) / 2, (top + bottom) / 2])
    for places in centres.values():
        # About uniform in 11..53, deviation about 12: of 35 or more the mean is within 2 of 32.
        assert np.abs(np.mean(places, axis=0) - 32).max() < 4 * 2


def bands(wave):
    """Mean power in 16 bands from 80 to 8000 Hz, in decibels below the loudest."""
    spectrum = np.abs(np.fft.rfft(wave.astype(np.float64))) ** 2
    edges = np.geomspace(80, 8000, 17) * len(wave) / 16_000
    power = [spectrum[int(a) : int(b)].mean() for a, b in zip(edges[:-1], edges[1:])]
    return 10 * np.log10(np.array(power) / max(power))


def test_timbre_tells_every_kind():
    rng = np.random.default_rng(5)
    clips = np.array(
        [[bands(toys_lib.play([k], rng)) for _ in range(12)] for k in range(NUM_KINDS)]
    )
    known, new = clips[:, :6].mean(axis=1), clips[:, 6:]
    distance = np.linalg.norm(new[:, :, None] - known, axis=3)
    assert np.mean(distance.argmin(axis=2) == np.arange(NUM_KINDS)[:, None]) > 0.95


def test_several_toys_sound_in_turns_each_as_often_as_the_others():
    wave = toys_lib.play([2, 4], np.random.default_rng(1)).astype(np.float64)
    # A whistle (2270 .. 2540 Hz) and a siren (610 .. 1380 Hz and, weaker, three times that) have
    # three of six turns each.
    spectrum = np.abs(np.fft.rfft(wave.reshape(6, 4800) * np.hanning(4800))) ** 2
    hz = np.fft.rfftfreq(4800, 1 / 16_000)
    whistle = spectrum[:, (hz > 2250) & (hz < 2560)].sum(axis=1)
    siren = spectrum[:, (hz > 600) & (hz < 1400)].sum(axis=1)
    assert np.count_nonzero(whistle > siren) == 3
