import collections
import csv
import hashlib

import numpy as np
import pytest
import soundfile
from PIL import Image

from tfav import registry
from tfav.data.prepare import manifest, sources
from tfav.data.synthetic import classes

SMALL = {
    "num_birds": {"train": 2, "val": 1, "test": 1},
    "num_files": {"train": 2, "val": 1, "test": 1},
}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    root = tmp_path_factory.mktemp("classes") / "corpus"
    classes.write_corpus(root, seed=3, **SMALL)
    return root


def digests(root):
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def test_the_same_seed_writes_the_same_bytes_and_another_seed_other_files(corpus, tmp_path):
    classes.write_corpus(tmp_path / "again", seed=3, **SMALL)
    assert digests(tmp_path / "again") == digests(corpus)
    classes.write_corpus(tmp_path / "other", seed=4, **SMALL)
    one, other = digests(corpus), digests(tmp_path / "other")
    assert one.keys() == other.keys()
    assert {name for name in one if one[name] == other[name]} == {"manifest.csv"}


def test_a_file_does_not_depend_on_how_many_others_there_are(corpus, tmp_path):
    fewer = {"num_birds": {"val": 2, "train": 1}, "num_files": {"val": 1, "train": 1}}
    classes.write_corpus(tmp_path / "fewer", seed=3, **fewer)
    one, other = digests(corpus), digests(tmp_path / "fewer")
    shared = [name for name in one if name in other and name != "manifest.csv"]
    assert len(shared) == 12 * 2 * 2  # a train bird and a val bird of each species, two files each
    assert all(one[name] == other[name] for name in shared)


def test_the_manifest_has_a_row_for_each_pair_and_no_bird_is_in_two_splits(corpus):
    with open(corpus / "manifest.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == ("id", "split", "label", "audio", "image", "bird")
    assert collections.Counter(row["split"] for row in rows) == {"train": 48, "val": 12, "test": 12}
    assert len({row["id"] for row in rows}) == 72
    for split in ("train", "val", "test"):
        labels = [row["label"] for row in rows if row["split"] == split]
        assert list(dict.fromkeys(labels)) == [f"species_{k:02d}" for k in range(12)]
    home = collections.defaultdict(set)
    for row in rows:
        home[row["bird"]].add((row["split"], row["label"]))
    assert len(home) == 48 and all(len(places) == 1 for places in home.values())


def test_every_file_decodes_at_its_rate_and_size(corpus):
    assert len(digests(corpus)) == 72 * 2 + 1
    for path in (corpus / "songs").iterdir():
        info = soundfile.info(path)
        assert (info.samplerate, info.channels, info.frames) == (16_000, 1, 12_000)
        assert (info.format, info.subtype) == ("WAV", "PCM_16")
        wave, _ = soundfile.read(path)
        # Loudness is drawn from -26..-18 dB of full scale: 0.0501 to 0.1259.
        assert 0.050 < np.sqrt(np.mean(wave**2)) < 0.126
    for path in (corpus / "photographs").iterdir():
        picture = Image.open(path)
        picture.load()
        assert (picture.size, picture.mode, picture.format) == ((96, 96), "RGB", "JPEG")


def test_a_negative_seed_is_named_and_nothing_is_written(tmp_path):
    with pytest.raises(registry.UserError, match="seed=-1"):
        classes.write_corpus(tmp_path / "corpus", seed=-1)
    assert not list(tmp_path.iterdir())


def test_the_source_replaces_a_corpus_only_when_asked_and_nothing_else_ever(corpus, tmp_path):
    rows = sources.SOURCES["synthetic_classes"].rows
    with pytest.raises(registry.UserError, match="pass --overwrite"):
        rows(manifest.Options(corpus=str(corpus)))
    (tmp_path / "manifest.csv").touch()
    with pytest.raises(registry.UserError, match="is no synthetic corpus"):
        rows(manifest.Options(corpus=str(tmp_path), overwrite=True))
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.csv"]


NUM_BIRDS = 12


@pytest.fixture(scope="module")
def flock():
    """One song [N, T] and one grey picture [N, S, S] of each of 12 test birds a species."""
    birds = classes.birds(7, "test", NUM_BIRDS)
    rngs = [np.random.default_rng(number) for number in range(len(birds))]
    songs = [classes.sing(bird, rng) for bird, rng in zip(birds, rngs)]
    pictures = [classes.photograph(bird, rng) for bird, rng in zip(birds, rngs)]
    grey = [np.asarray(picture.convert("L"), np.float64) for picture in pictures]
    return np.array([b.species for b in birds]), np.array(songs, np.float64), np.array(grey)


def test_who_knows_every_pitch_still_takes_a_fifth_of_the_birds_for_a_neighbour(flock):
    species, songs, _ = flock
    spectrum = np.abs(np.fft.rfft(songs * np.hanning(songs.shape[1]), 1 << 16))
    hz = np.fft.rfftfreq(1 << 16, 1 / 16_000)
    # The fundamental, at least twice as strong as its overtone: its centre of gravity.
    band = np.where((hz > 550) & (hz < 3600), spectrum**2, 0)
    peak = hz[band.argmax(axis=1)]
    near = np.where(np.abs(np.log2(hz[1:] / peak[:, None])) < 0.25, band[:, 1:], 0)
    semitones = 12 * np.log2((near * hz[1:]).sum(axis=1) / near.sum(axis=1) / 700.0)
    right = np.clip(np.round(semitones / 2.0), 0, 11) == species
    # A bird lies within 1 semitone of its species with P(|N(0, 0.8)| < 1) = 0.789, on one side only
    # for the two at the ends: 0.806 in all. 144 birds: deviation 0.033.
    assert 0.68 < right.mean() < 0.90
    assert np.all(np.abs(semitones / 2.0 - species) < 2)  # and the neighbour is a near one


def test_bars_tell_every_species_to_who_looks_at_nothing_else(flock):
    species, _, pictures = flock
    window = np.outer(np.hanning(96), np.hanning(96))
    spectrum = np.abs(np.fft.fft2((pictures - pictures.mean(axis=(1, 2), keepdims=True)) * window))
    fy, fx = np.meshgrid(np.fft.fftfreq(96, 1 / 96), np.fft.fftfreq(96, 1 / 96), indexing="ij")
    radius = np.hypot(fx, fy)
    spectrum[:, (radius < 5) | (radius > 12)] = 0
    best = spectrum.reshape(len(spectrum), -1).argmax(axis=1)
    direction = np.round(np.arctan2(fy, fx).ravel()[best] / (np.pi / 6)) % 6
    # Spacings of 0.105 and 0.16 widths are 9.5 and 6.25 bars a width: 7.7 is their geometric mean.
    spacing = radius.ravel()[best] < 7.7
    assert np.mean(6 * spacing + direction == species) > 0.93
