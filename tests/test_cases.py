"""Inputs that once failed, through the real commands: each has its right value, or a sentence.

The table is `FILES`; folders, manifests and odd paths have a test each.
"""

import csv
import json
import os
import pathlib
import re
import shutil
import unicodedata
from typing import NamedTuple

import numpy as np
import pytest
import soundfile
import tensorflow as tf
from PIL import Image

from tests import clips, forked, untrained
from tests.cases import waves
from tests.serving import loopback
from tests.serving.loaded import Loaded, Refused
from tfav.clients import client
from tfav.data import shards
from tfav.data.input import reader
from tfav.media import formats

CASES = pathlib.Path(__file__).parent / "cases"
LEAST = 0.9999
USED = ""
CODECS = {".wav": "pcm_s16le", ".m4a": "aac"}
SOUNDFILE = {".opus": {"format": "OGG", "subtype": "OPUS"}}
SAVED = {".jfif": "JPEG"}
KINDS = "neither JPEG nor PNG|convert it to .*JPEG or PNG"


class File(NamedTuple):
    """What becomes of a file.

    Attributes:
      reason: of prepare and tfav-embed, which leave it out; empty: used.
      seconds: the least and the most that is heard of it; None: it is no sound.
      client: the sentence that tfav-client ends with; None: it is not asked.
      server: likewise of the signature of files.
    """

    reason: str = USED
    seconds: tuple[float, float] | None = None
    client: str | None = None
    server: str | None = None


WAVE = (waves.SECONDS, waves.SECONDS)
CANCEL = "has channels that cancel each other out"
FILES = {
    "tf_refuses_0.jpg": File("is cut short or damaged"),
    "eoi_early_20.jpg": File("is cut short or damaged"),
    "29_no_eoi.jpg": File(),
    "28_vbr_noxing.mp3": File(seconds=(3.0, 3.1)),
    "30_concat.mp3": File(seconds=(6.0, 6.2)),
    "02_exif3.jpg": File(client=USED, server=USED),
    "02_exif6.jpg": File(client=USED, server=USED),
    "03_exif6.png": File(client=USED, server=USED),
    "09_rgba_cutout.png": File(client=USED, server=USED),
    "18_anim.webp": File(client=KINDS, server=KINDS),
    "17_gif_named.jpg": File(client=KINDS, server=KINDS),
    "10_ffmpeg_pipe.wav": File(seconds=WAVE, client=USED, server=USED),
    "01_stream_ffff.wav": File(seconds=WAVE, client=USED, server=USED),
    "04_odd_chunk_nopad.wav": File(seconds=WAVE, client=USED, server=USED),
    "46_rate1.wav": File(
        "has a sample rate of 1 Hz, below --min_rate_hz",
        client="has 1 Hz",
        server="has 1 Hz, send 16000 Hz",
    ),
    "23_gsm.wav": File(seconds=(3.0, 3.1)),
    "25_antiphase.wav": File(CANCEL, client="silent", server="silent"),
    "65_truncated.flac": File(seconds=(0.128, 0.128)),
}


class Cases:
    """A run and its export; every file prepared and embedded once."""

    def __init__(self, folder: pathlib.Path, server: forked.Server):
        self.folder = folder
        self.server = server
        self.data = untrained.write_data(folder / "data")
        self.run = untrained.write(folder / "run", self.data, "voice_face")
        self.export = folder / "export"
        flags = (f"--output={self.export}", "--precisions=float32")
        self.done("export", f"--workdir={self.run}", *flags)
        self.media = folder / "media"
        self.media.mkdir()
        waves.write(self.media)
        for path in CASES.iterdir():
            if formats.modality(path.name):
                shutil.copy(path, self.media)

    def done(self, binary: str, *flags: object) -> forked.Done:
        """Runs a command that must succeed."""
        done = self.server.run(binary, *flags)
        assert done.code == 0, done.stderr[-3000:]
        return done

    def embed(self, folder: pathlib.Path, *flags: str, model: object = None) -> forked.Done:
        """Runs tfav-embed to its end; what it wrote is `folder.npz`."""
        output = f"--output={folder}.npz"
        model = f"--model={model or self.export}"
        return self.server.run("embed", model, f"--inputs={folder}", output, "--overwrite", *flags)


def vectors(path: object) -> dict[str, np.ndarray]:
    """Returns id to embedding, of what tfav-embed wrote."""
    with np.load(path) as found:
        kinds = [m for m in ("audio", "image") if m in found]
        return {n: v for m in kinds for n, v in zip(found[f"{m}_id"], found[m])}


def left_out(text: str) -> dict[str, str]:
    """Returns name to reason, of the lines of tfav-embed."""
    found = re.findall(r"^left out (.+?): (.+)$", text, re.MULTILINE)
    return {os.path.basename(path): reason for path, reason in found}


def one_sentence(done: forked.Done) -> str:
    """Returns what a refusal says."""
    assert done.code == 2 and "Traceback" not in done.stderr, done.stderr[-3000:]
    (line,) = [x for x in done.stderr.splitlines() if x.startswith("error: ")]
    return line


@pytest.fixture(scope="module")
def cases(tmp_path_factory, forks):
    return Cases(tmp_path_factory.mktemp("cases"), forks)


@pytest.fixture(scope="module")
def embedded(cases):
    """Vectors and reasons of `tfav-embed`."""
    done = cases.embed(cases.media, "--max_bad_fraction=0.9")
    assert done.code == 0, done.stderr[-3000:]
    return vectors(f"{cases.media}.npz"), left_out(done.stdout)


def manifest(path, rows, columns=("audio", "image")):
    """Writes rows of (id, split, label, path) as a manifest."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file)
        lines.writerow(["id", "split", "label", *columns])
        for name, split, label, media in rows:
            cells = [media if formats.modality(media) == kind else "" for kind in columns]
            lines.writerow([name, split, label, *cells])
    return f"--manifest={path}"


@pytest.fixture(scope="module")
def prepared(cases):
    """The index of what `tfav-prepare` made of the files, and id to reason of the bad rows."""
    names = [*FILES, "voice.wav"]
    rows = [(name, "train", "x", str(cases.media / name)) for name in names]
    told = manifest(cases.folder / "files.csv", rows)
    output = cases.folder / "files"
    cases.done("prepare", told, f"--output={output}", "--max_bad_fraction=0.9", "--lists=none")
    cases.done("prepare", told, f"--output={output}", "--max_bad_fraction=0.9", "--check")
    with open(output / "bad_rows.csv", encoding="utf-8", newline="") as file:
        bad = {row["id"]: row["reason"] for row in csv.DictReader(file)}
    checked = pathlib.Path(f"{output}-bad_rows.csv").read_text(encoding="utf-8")
    assert checked == (output / "bad_rows.csv").read_text(encoding="utf-8")
    return shards.Index.read(str(output)), bad


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_prepared_and_embedded_or_named_with_the_reason(name, prepared, embedded):
    case = FILES[name]
    index, bad = prepared
    for used, reasons in ((index.id.tolist(), bad), (embedded[0], embedded[1])):
        if case.reason:
            assert name not in used and re.match(case.reason, reasons[name])
        else:
            assert name in used and name not in reasons
    if case.seconds:
        seconds = index.num_samples[index.id.tolist().index(name)] / waves.RATE_HZ
        assert case.seconds[0] <= seconds <= case.seconds[1]


@pytest.fixture(scope="module")
def served(cases):
    """The export behind the C++ Session, and its address."""
    loaded = Loaded(str(cases.export), "cases")
    server = loopback.Server(loaded)
    yield loaded, server.url
    server.close()


def by_client(url, path, capsys):
    """Returns the embedding that tfav-client prints, or its sentence."""
    flags = [f"--url={url}", "--model=cases", "--retries=0", "embed", str(path)]
    code = client.main(flags)
    said = capsys.readouterr()
    if code == 0:
        return np.array(json.loads(said.out)["embedding"]), ""
    assert code == 2 and said.err.startswith("error: ") and said.err.count("\n") == 1
    return None, said.err


def by_server(loaded, path):
    """Returns the embedding of the signature of files, or its sentence."""
    name = "wav" if path.suffix == ".wav" else "jpeg"
    content = np.array([path.read_bytes()], object)
    try:
        return loaded.predict(f"embed_{name}", {name: content})["embedding"][0], ""
    except Refused as refused:
        assert refused.code == "INVALID_ARGUMENT"
        return None, client.asserted(str(refused))


@pytest.mark.parametrize("door", ["client", "server"])
@pytest.mark.parametrize("name", [name for name, case in FILES.items() if case.client is not None])
def test_the_server_answers_as_embed_does_or_in_a_sentence(
    name, door, cases, embedded, served, capsys
):
    expected = getattr(FILES[name], door)
    path = cases.media / name
    loaded, url = served
    vector, said = by_client(url, path, capsys) if door == "client" else by_server(loaded, path)
    if expected:
        assert vector is None and re.search(expected, said) and said.strip().count("\n") == 0, said
        return
    like = "voice.wav" if path.suffix == ".wav" else name  # all of these hold that voice
    assert vector is not None and vector @ embedded[0][like] > LEAST, said


# Videos -----------------------------------------------------------------------------------------


VIDEOS = {  # row and column of the quarter that is red, and of the one that is blue
    "02_hflip.mp4": ((0, 1), (1, 0)),
    "02_vflip.mp4": ((1, 0), (0, 1)),
    "09_sar_4_1.mp4": ((0, 0), (1, 1)),
    "07_two_tracks.mkv": ((0, 0), (1, 1)),
}


@pytest.fixture(scope="module")
def videos(cases):
    rows = [(name, "train", "x", str(cases.media / name)) for name in VIDEOS]
    told = manifest(cases.folder / "videos.csv", rows, columns=("video",))
    output = cases.folder / "videos"
    cases.done("prepare", told, f"--output={output}", "--lists=none")
    index = shards.Index.read(str(output))
    rows = reader.Reader(index)
    modalities = ("audio", "image")
    found = {n: rows.read(tf.constant(k), modalities) for k, n in enumerate(index.id.tolist())}
    return index, found


@pytest.mark.parametrize("name", VIDEOS)
def test_a_video_is_prepared_as_it_is_shown(name, videos):
    """The mark is 160x120: red above on the left, blue below on the right, grey else."""
    index, rows = videos
    row = index.id.tolist().index(name)
    assert (index.height[row], index.width[row]) == (120, 160)
    pixels = tf.io.decode_jpeg(rows[name]["image"][0]).numpy().astype(int)
    for channel, (row, column) in zip((0, 2), VIDEOS[name]):
        middle = pixels[30 + 60 * row, 40 + 80 * column]
        assert middle[channel] > 180 and middle.sum() - middle[channel] < 120, (channel, middle)
    sound = reader.decode_audio(rows[name]["audio"][0]).numpy()
    assert len(sound) > 2.9 * waves.RATE_HZ
    assert np.abs(sound).max() > 0.05  # the default track, not the silent first one


# A data set of one's own ------------------------------------------------------------------------


def people(folder, label=str, gender=None):
    """Writes two recordings and two images of four people each; returns rows of a manifest."""
    folder.mkdir()
    rows = []
    for person in range(4):
        for take in range(2):
            voice, face = (folder / f"{person}_{take}{suffix}" for suffix in (".wav", ".jpg"))
            samples = waves.voice(seed=10 * person + take)
            data = waves.chunk(b"data", samples.astype("<i2").tobytes())
            voice.write_bytes(waves.riff(waves.form(), data))
            Image.new("RGB", (40, 40), (60 * person, 30 * take, 90)).save(face)
            rows += [(p.name, "train", label(f"p{person}"), str(p)) for p in (voice, face)]
    return rows


def config_file(path, data):
    """Writes a config for --config: the smallest voice-face run, of two steps."""
    path.write_text(
        "from tests import small\n\n\ndef get_config():\n"
        f"    config = small.config({str(data)!r})\n"
        "    config.train.num_steps = 2\n"
        "    config.train.steps_per_call = config.train.checkpoint_every = 1\n"
        "    return config\n"
    )
    return f"--config={path}"


@pytest.fixture(scope="module")
def mine(cases):
    """A data set of four people, one of whose images TensorFlow refuses, and its config."""
    folder = cases.folder / "mine"
    rows = people(folder)
    rows.append(("refused.jpg", "train", "p0", str(cases.media / "tf_refuses_0.jpg")))
    told = manifest(folder / "mine.csv", rows)
    cases.done("prepare", told, f"--output={folder}/set", "--max_bad_fraction=0.1")
    return folder, config_file(folder / "config.py", folder / "set")


def test_an_image_that_tensorflow_refuses_is_a_bad_row_and_the_rest_trains(cases, mine):
    folder, config = mine
    bad = (folder / "set" / "bad_rows.csv").read_text()
    assert bad.count("\n") == 2 and "refused.jpg,image," in bad
    cases.done("train", config, f"--workdir={folder}/run")
    assert (folder / "run" / "weights.npz").exists()


def test_a_run_in_a_folder_with_brackets_goes_on_and_is_exported_into_another(cases, mine):
    folder, config = mine
    run, export = folder / "runs" / "a [1]", folder / "exports" / "a [1]"
    cases.done("train", config, f"--workdir={run}")
    before = {p: p.stat().st_mtime_ns for p in (run / "checkpoints").iterdir()}
    again = cases.done("train", config, f"--workdir={run}")
    assert "is damaged" not in again.stdout + again.stderr
    assert {p: p.stat().st_mtime_ns for p in (run / "checkpoints").iterdir()} == before
    data = f"--data={cases.data}"
    cases.done("export", f"--workdir={run}", f"--output={export}", data, "--precisions=float32")
    done = cases.embed(cases.media, "--max_bad_fraction=0.9", model=export)
    assert done.code == 0, done.stderr[-3000:]


def test_genders_in_two_cases_are_one_and_a_warning_says_so(cases, tmp_path):
    rows = people(tmp_path / "files")
    with open(tmp_path / "mine.csv", "w", encoding="utf-8") as file:
        file.write("id,split,label,audio,image,gender\n")
        for k, (name, split, label, path) in enumerate(rows):
            cells = f"{path}," if name.endswith(".wav") else f",{path}"
            file.write(f"{name},{split},{label},{cells},{'fFmM'[2 * (label > 'p1') + k % 2]}\n")
    told = f"--manifest={tmp_path}/mine.csv"
    done = cases.done("prepare", told, f"--output={tmp_path}/set")
    genders = shards.Index.read(str(tmp_path / "set")).extra["gender"]
    assert len(set(genders.tolist())) == 2
    assert done.stderr.count("gender") >= 2  # f and F, m and M


def test_a_name_in_two_unicode_forms_is_one_label_and_a_warning_says_so(cases, tmp_path):
    rows = people(tmp_path / "files")
    name = "zo\u00e9"
    forms = {".wav": unicodedata.normalize("NFD", name), ".jpg": name}
    rows = [(i, s, forms[i[-4:]] if x == "p0" else x, path) for i, s, x, path in rows]
    told = manifest(tmp_path / "mine.csv", rows)
    done = cases.done("prepare", told, f"--output={tmp_path}/set")
    assert shards.Index.read(str(tmp_path / "set")).labels("train") == [name, "p1", "p2", "p3"]
    assert "1 labels come in several Unicode forms" in done.stderr


# Folders ----------------------------------------------------------------------------------------


def test_every_file_of_a_folder_is_embedded_or_counted(cases, tmp_path):
    folder = tmp_path / "mixed"
    folder.mkdir()
    samples = waves.voice()
    for suffix in (".wav", ".aiff", ".opus"):
        rate = {".opus": 48_000}.get(suffix, waves.RATE_HZ)
        soundfile.write(folder / f"a{suffix}", samples, rate, **SOUNDFILE.get(suffix, {}))
    clips.write(folder / "b.m4a", 0, sound=clips.chirp(1), codecs=("", "aac"))
    for suffix in (".webp", ".bmp", ".jfif"):
        Image.new("RGB", (40, 40), "red").save(folder / f"c{suffix}", SAVED.get(suffix))
    (folder / "notes.txt").write_text("what this is")
    done = cases.embed(folder)
    assert done.code == 0, done.stderr[-3000:]
    names = set(vectors(f"{folder}.npz"))
    assert names == {"a.wav", "a.aiff", "a.opus", "b.m4a", "c.webp", "c.bmp", "c.jfif"}
    assert "1 file left out (1 .txt; first" in done.stderr


def test_a_linked_folder_is_entered(cases, tmp_path):
    folder, target = tmp_path / "links", tmp_path / "target"
    folder.mkdir()
    target.mkdir()
    shutil.copy(cases.media / "voice.wav", folder / "one.wav")
    shutil.copy(cases.media / "voice.wav", target / "two.wav")
    (folder / "person2").symlink_to(target)
    assert cases.embed(folder).code == 0
    assert set(vectors(f"{folder}.npz")) == {"one.wav", "person2/two.wav"}


def test_what_a_mac_hides_beside_a_file_is_skipped_and_counted(cases, tmp_path):
    folder = tmp_path / "mac"
    folder.mkdir()
    shutil.copy(cases.media / "voice.wav", folder / "one.wav")
    (folder / "._one.wav").write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X")
    done = cases.embed(folder)
    assert done.code == 0 and set(vectors(f"{folder}.npz")) == {"one.wav"}
    assert "1 file left out (1 hidden; first" in done.stderr


def test_voxceleb2_takes_the_format_that_it_is_distributed_in(cases, tmp_path):
    wav, img = tmp_path / "wav", tmp_path / "img"
    items = {
        "id1/vA/00001": ".wav",
        "id1/vB/00002": ".m4a",
        "id2/vC/00003": ".m4a",
        "id3/vD/00004": ".wav",
        "id3/vD/00005": ".wav",
    }
    for item, suffix in items.items():
        frames = img / (item.replace("/", "#") + ".txt#000.mp4")
        frames.mkdir(parents=True)
        for k in range(1, 9):
            Image.new("RGB", (40, 40), (20 * k, 0, 0)).save(frames / f"{k:07d}.jpg")
        (wav / item).parent.mkdir(parents=True, exist_ok=True)
        clips.write(wav / f"{item}{suffix}", 0, sound=clips.chirp(1), codecs=("", CODECS[suffix]))
    trials = tmp_path / "pairs.csv"
    trials.write_text("1,id3/vD/00004.wav,id3/vD/00005.wav\n")
    flags = (f"--audio_root={wav}", f"--image_root={img}", f"--split_csv={trials}", "--lists=none")
    cases.done("prepare", "--source=voxceleb2", *flags, f"--output={tmp_path}/set")
    index = shards.Index.read(str(tmp_path / "set"))
    train = index.select("train")
    assert train.id.tolist() == [f"{item}.wav" for item in list(items)[:3]]
    assert train.labels("train") == ["id1", "id2"] and (train.num_samples > 15_000).all()


def test_a_name_that_is_no_text_is_a_file_with_a_reason(cases, tmp_path):
    folder = tmp_path / "latin1"
    folder.mkdir()
    shutil.copy(cases.media / "voice.wav", folder / "one.wav")
    shutil.copy(cases.media / "voice.wav", os.fsencode(folder) + b"/zo\xe9.wav")
    assert "zo\\udce9.wav" in one_sentence(cases.embed(folder))
    done = cases.embed(folder, "--max_bad_fraction=0.5")
    assert done.code == 0 and set(vectors(f"{folder}.npz")) == {"one.wav"}
    assert re.search(r"left out .*zo\\udce9.wav: .*name", done.stdout)


@pytest.mark.parametrize("check", [False, True])
def test_a_row_whose_name_is_no_text_is_a_bad_row(check, cases, tmp_path):
    wav, faces = tmp_path / "wav", tmp_path / "faces"
    for person in ("id1", "id2"):
        (wav / person / "v").mkdir(parents=True)
        (faces / person).mkdir(parents=True)
        shutil.copy(cases.media / "voice.wav", wav / person / "v" / "1.wav")
        Image.new("RGB", (40, 40), "red").save(faces / person / "1.jpg")
    shutil.copy(cases.media / "voice.wav", os.fsencode(wav / "id1" / "v") + b"/zo\xe9.wav")
    split = tmp_path / "split.csv"
    people = [f"{person},{person},f,x,dev" for person in ("id1", "id2")]
    split.write_text("\n".join(["VoxCeleb1_ID,VGGFace1_ID,Gender,Nationality,Set", *people]))
    flags = [f"--audio_root={wav}", f"--image_root={faces}", f"--split_csv={split}"]
    flags += ["--max_bad_fraction=0.4", f"--output={tmp_path}/set", *["--check"] * check]
    done = cases.done("prepare", "--source=voxceleb1", *flags)
    assert "rows that cannot be used: 1\n" in done.stdout
    bad = tmp_path / ("set-bad_rows.csv" if check else "set/bad_rows.csv")
    (row,) = bad.read_text(encoding="utf-8").splitlines()[1:]
    assert row.startswith("id1/v/zo\\udce9.wav,audio,") and "name" in row


def test_an_export_loads_from_a_folder_with_brackets(cases, tmp_path):
    shutil.copytree(cases.export, tmp_path / "m [1]" / "vf")
    done = cases.embed(cases.media, "--max_bad_fraction=0.9", model=tmp_path / "m [1]" / "vf")
    assert done.code == 0, done.stderr[-3000:]
