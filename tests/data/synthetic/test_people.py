import csv
import hashlib
import pathlib

import numpy as np
import pytest
import soundfile
from PIL import Image

from tfav import registry
from tfav.data.synthetic import face as synthetic_face
from tfav.data.synthetic import people as synthetic
from tfav.data.synthetic import voice as synthetic_voice

SMALL = {"num_identities": 12, "utterances": 3, "images": 2, "seconds": 1.0, "image_size": 64}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> pathlib.Path:
    root = tmp_path_factory.mktemp("synthetic") / "corpus"
    synthetic.write_corpus(root, seed=3, **SMALL)
    return root


def digests(root: pathlib.Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def rows(root: pathlib.Path, split: str) -> list[dict[str, str]]:
    with open(root / "lists" / f"{split}.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_the_same_seed_writes_the_same_bytes(corpus, tmp_path):
    synthetic.write_corpus(tmp_path / "again", seed=3, **SMALL)
    assert digests(tmp_path / "again") == digests(corpus)


def test_another_seed_writes_other_files_of_the_same_names(corpus, tmp_path):
    synthetic.write_corpus(tmp_path / "other", seed=4, **SMALL)
    one, other = digests(corpus), digests(tmp_path / "other")
    assert one.keys() == other.keys()
    media = [name for name in one if not name.startswith("lists")]
    assert all(one[name] != other[name] for name in media)


def test_a_file_does_not_depend_on_how_many_others_there_are(corpus, tmp_path):
    more = SMALL | {"num_identities": 14, "utterances": 1, "images": 1}
    synthetic.write_corpus(tmp_path / "more", seed=3, **more)
    one, other = digests(corpus), digests(tmp_path / "more")
    shared = [name for name in one if name in other and not name.startswith("lists")]
    assert len(shared) == 12 * 2
    assert all(one[name] == other[name] for name in shared)


def test_the_layout_is_that_of_voxceleb_and_vggface(corpus):
    assert sorted(p.name for p in corpus.iterdir()) == ["faces", "lists", "wav"]
    everyone = [row for split in ("train", "val", "test") for row in rows(corpus, split)]
    for row in everyone:
        waves = sorted((corpus / "wav" / row["VoxCeleb1_ID"]).glob("*/*.wav"))
        names = [str(p.relative_to(corpus / "wav" / row["VoxCeleb1_ID"])) for p in waves]
        assert names == ["video01/00001.wav", "video01/00002.wav", "video02/00003.wav"]
        faces = sorted((corpus / "faces" / row["VGGFace1_ID"]).iterdir())
        assert [p.name for p in faces] == ["0001.jpg", "0002.jpg"]
    assert len(digests(corpus)) == 12 * (3 + 2) + 3


def test_the_lists_have_the_official_header_and_words(corpus):
    for split, word in {"train": "dev", "val": "val", "test": "test"}.items():
        first = (corpus / "lists" / f"{split}.csv").read_text().splitlines()[0]
        assert first == "VoxCeleb1_ID,VGGFace1_ID,Gender,Nationality,Set"
        assert {row["Set"] for row in rows(corpus, split)} == {word}


@pytest.mark.parametrize("num_identities", [12, 60, 200])
def test_splits_are_disjoint_and_balanced(num_identities):
    splits = synthetic.split_people(num_identities, seed=0)
    people = [p for members in splits.values() for p in members]
    assert sum(map(len, splits.values())) == num_identities
    assert len({p.voice_id for p in people}) == len({p.face_id for p in people}) == num_identities
    for members in splits.values():
        women = sum(p.gender == "f" for p in members)
        assert women == len(members) - women >= 2


def test_two_hundred_people_split_as_70_10_20_percent():
    splits = synthetic.split_people(200, seed=0)
    assert {k: len(v) for k, v in splits.items()} == {"train": 140, "val": 20, "test": 40}


def test_no_two_people_of_a_large_corpus_share_a_name():
    people = [synthetic.person(0, index) for index in range(4000)]
    assert len({p.face_id for p in people}) == 4000


def test_every_file_decodes_at_its_rate_and_size(corpus):
    for path in (corpus / "wav").rglob("*.wav"):
        info = soundfile.info(path)
        assert (info.samplerate, info.channels, info.frames) == (16_000, 1, 16_000)
        assert (info.format, info.subtype) == ("WAV", "PCM_16")
        wave, _ = soundfile.read(path)
        # Loudness is drawn from -26..-18 dB of full scale: 0.050 to 0.126, less what clips.
        assert 0.045 < np.sqrt(np.mean(wave**2)) < 0.13
    for path in (corpus / "faces").rglob("*.jpg"):
        picture = Image.open(path)
        picture.load()
        assert (picture.size, picture.mode, picture.format) == ((64, 64), "RGB", "JPEG")
        assert np.asarray(picture).std() > 15


def test_the_summary_counts_what_was_written(tmp_path):
    summary = synthetic.write_corpus(tmp_path / "corpus", seed=0, **SMALL)
    assert summary == {
        "root": str(tmp_path / "corpus"),
        "identities": {"train": 4, "val": 4, "test": 4},
        "audio": 36,
        "image": 24,
    }


@pytest.mark.parametrize(
    "wrong",
    [
        {"num_identities": 10},
        {"num_identities": 13},
        {"utterances": 0},
        {"images": 0},
        {"seconds": 0.1},
        {"seconds": float("nan")},
        {"image_size": 8},
        {"seed": -1},
    ],
)
def test_a_number_out_of_range_is_named_and_nothing_is_written(tmp_path, wrong):
    name = next(iter(wrong)).replace("num_identities", "--identities")  # the flag of prepare
    with pytest.raises(registry.UserError, match=f"{name}="):
        synthetic.write_corpus(tmp_path / "corpus", **({"seed": 0} | SMALL | wrong))
    assert not list(tmp_path.iterdir())


def test_a_folder_that_holds_something_is_refused_and_kept(tmp_path):
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(registry.UserError, match="not an empty folder"):
        synthetic.write_corpus(tmp_path, seed=0, **SMALL)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_an_empty_folder_is_taken(tmp_path):
    (tmp_path / "corpus").mkdir()
    synthetic.write_corpus(tmp_path / "corpus", seed=0, **SMALL)
    assert [p.name for p in tmp_path.iterdir()] == ["corpus"]


def test_a_full_disk_ends_in_a_sentence_and_leaves_nothing(tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(registry.UserError, match="No space left"):
        synthetic.write_corpus(tmp_path / "corpus", seed=0, **SMALL)
    assert not list(tmp_path.iterdir())


def test_the_pitch_that_is_spoken_is_that_of_the_latent():
    for size in (-1.0, 0.0, 1.0):
        manner = synthetic_voice.manner(False, np.array([size, -1, 0, 0, 0]))
        wave = synthetic_voice.speak(manner, np.random.default_rng(0), 3.0).astype(np.float64)
        spectrum = np.abs(np.fft.rfft(wave, 1 << 17)) ** 2
        correlation = np.fft.irfft(spectrum)
        # 16000 / 200 to 16000 / 70: periods of 70 to 200 Hz.
        period = 80 + np.argmax(correlation[80:229])
        assert 16_000 / period == pytest.approx(manner.pitch_hz, rel=0.12)


NUM_PEOPLE, NUM_TRAIN, NUM_FILES = 170, 140, 3


@pytest.fixture(scope="module")
def people():
    """What a linear reader takes from three utterances and three images a person, averaged."""
    everyone = [synthetic.person(7, index) for index in range(NUM_PEOPLE)]
    voices, faces = [], []
    for p in everyone:
        female, rng = p.gender == "f", np.random.default_rng(p.index)
        manner = synthetic_voice.manner(female, p.latent)
        looks = synthetic_face.looks(female, p.latent)
        for _ in range(NUM_FILES):
            voices.append(voice_features(synthetic_voice.speak(manner, rng, 2.0) / 32768))
            face = synthetic_face.portrait(looks, rng, 48).resize((24, 24), Image.Resampling.BOX)
            faces.append(np.asarray(face, np.float64).ravel())
    latents = np.array([p.latent for p in everyone])
    return np.array(voices), np.array(faces), latents, np.array([p.gender for p in everyone])


def voice_features(wave):
    """Mean, deviation, correlations and slow modulation of 20 log bands, each a number a band."""
    frames = np.lib.stride_tricks.sliding_window_view(wave, 400)[::160] * np.hamming(400)
    power = np.abs(np.fft.rfft(frames, 512)) ** 2
    edges = np.unique(np.round(1 + 255 * np.linspace(0.02, 1, 21) ** 1.7).astype(int))
    bands = np.log(np.add.reduceat(power, edges[:-1], axis=1) + 1e-6)
    x = (bands - bands.mean(0)) / bands.std(0)
    correlation = (x.T @ x / len(x))[np.triu_indices(x.shape[1], 1)]
    modulation = [np.mean(x[lag:] * x[:-lag], axis=0) for lag in (2, 4, 8, 14, 20)]
    return np.concatenate([bands.mean(0), bands.std(0), correlation, *modulation])


def read(features, latents, penalty):
    """Ridge regression fitted on the first NUM_TRAIN people, read on one file of each other."""
    num_train = NUM_TRAIN * NUM_FILES
    x = (features - features[:num_train].mean(0)) / (features[:num_train].std(0) + 1e-9)
    train, test = x[:num_train], x[num_train::NUM_FILES]
    target = np.repeat(latents[:NUM_TRAIN], NUM_FILES, axis=0)
    kernel = train @ train.T + penalty * np.eye(num_train)
    return test @ train.T @ np.linalg.solve(kernel, target - target.mean(0)) + target.mean(0)


@pytest.mark.parametrize("modality", ["voice", "face"])
def test_every_latent_can_be_read_from_one_file_of_people_never_seen(people, modality):
    voices, faces, latents, _ = people
    prediction = read(voices if modality == "voice" else faces, latents, penalty=100.0)
    truth = latents[NUM_TRAIN:]
    error = np.sum((prediction - truth) ** 2, 0) / np.sum((truth - truth.mean(0)) ** 2, 0)
    assert np.all(1 - error > 0.5)  # R squared


def test_one_voice_tells_the_right_face_from_another_of_the_same_gender(people):
    voices, faces, latents, gender = people
    voice, face = (read(x, latents, penalty=100.0) for x in (voices, faces))
    distance = np.linalg.norm(voice[:, None] - face[None], axis=2)
    same = gender[NUM_TRAIN:][:, None] == gender[NUM_TRAIN:][None]
    np.fill_diagonal(same, False)
    right = (np.diag(distance)[:, None] < distance)[same]  # 30 voices, 14 wrong faces each
    assert right.mean() > 0.9  # chance is 0.5
