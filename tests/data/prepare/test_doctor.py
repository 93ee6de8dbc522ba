"""The doctor: what is measured of a row, which rows are alike, and a case for each finding."""

import csv
import io
import itertools
import json
import pathlib
import re

import numpy as np
import pytest
import soundfile
from PIL import Image

from tests.conformance.out_of_tree import unplaced
from tfav import registry
from tfav.commands import check_data
from tfav.data import shards
from tfav.data.prepare import dataset, manifest, records, sources
from tfav.data.prepare.doctor import alike, examination, finding, looks, questions
from tfav.data.prepare.doctor.evidence import ALIKE
from tfav.data.prepare.settings import Settings
from tfav.media import audio_files, image_files

RATE = 16_000


def heard(samples):
    """What is measured of [T] int16."""
    row = np.zeros(1, looks.ROW)
    looks.measure(shards.Record("a", "train", "x", audio=np.asarray(samples, np.int16)), row[0])
    return row[0]


def noise(seed=0, seconds=2.0, level=0.1):
    """Syllables of noise whose pitch and loudness move: no two seeds sound alike."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * RATE)) / RATE
    pitch = np.interp(time, np.linspace(0, seconds, 9), rng.uniform(120, 3000, 9))
    loud = np.interp(time, np.linspace(0, seconds, 13), rng.uniform(0.1, 1.0, 13))
    tone = np.sin(2 * np.pi * np.cumsum(pitch) / RATE) * loud
    return level * (tone + 0.1 * rng.standard_normal(len(time)))


def pattern(seed=0, size=96):
    """An image of soft patches and fine grain: no two seeds look alike."""
    rng = np.random.default_rng(seed)
    soft = Image.fromarray(rng.integers(0, 256, (6, 6, 3), np.uint8)).resize((size, size))
    grain = rng.integers(-25, 26, (size, size, 3))
    return Image.fromarray(np.clip(np.asarray(soft) + grain, 0, 255).astype(np.uint8))


# Measures -----------------------------------------------------------------------------------------


def test_level_clipping_and_silence_of_a_clip_are_those_one_counts_by_hand():
    samples = np.full(RATE, 16_384)  # half of full scale: 20 log10(0.5) = -6.02 dB
    samples[3_200:12_800] = 0  # 0.6 s, 30 of 50 blocks: 10 log10(0.4) = -3.98 dB
    row = heard(samples)
    assert row["level_db"] == pytest.approx(-6.0206 - 3.9794, abs=1e-3)
    assert [row["quiet"], row["zeros_seconds"], row["clipped"]] == pytest.approx([0.6, 0.6, 0.0])
    samples[:16] = 32_767  # 16 of 16 000 samples
    samples[16:32] = 31_000  # 0.946 of full scale: loud and not clipped
    assert heard(samples)["clipped"] == pytest.approx(0.001)


def test_sharpness_is_the_variance_of_the_laplacian():
    grey = np.zeros((3, 4))
    grey[1, 1] = 1  # the two inner cells have -4 and 1: mean -1.5, variance 2.5 squared
    assert looks.sharpness(grey) == 6.25


def test_a_row_of_several_frames_is_judged_by_the_middle_one():
    frames = []
    for value in (0, 255, 0):
        file = io.BytesIO()
        Image.new("RGB", (32, 48), (value,) * 3).save(file, "JPEG")
        frames.append(file.getvalue())
    row = np.zeros(1, looks.ROW)
    looks.measure(shards.Record("a", "train", "x", image=frames, height=48, width=32), row[0])
    assert row[0]["image_outline"].min() == 255
    assert (row[0]["height"], row[0]["width"]) == (48, 32) and not row[0]["audio"]


@pytest.mark.parametrize("seconds", [0.02, 0.2, 3.0, 90.0])
def test_a_clip_of_any_length_has_an_outline_that_its_level_does_not_move(seconds):
    clip = 32_000 * noise(seconds=seconds)
    loud, soft = heard(clip)["audio_outline"], heard(clip / 8)["audio_outline"]
    assert loud.shape == (16, 16) and loud.max() == 255
    assert np.abs(loud.astype(int) - soft).mean() < 6  # rounding to whole samples


# Near-duplicates ----------------------------------------------------------------------------------


def outlines(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 16, 16), np.uint8)


def test_an_outline_finds_its_noisy_copy_in_another_group_and_nothing_else():
    one = outlines(40)
    shifted = np.random.default_rng(1).integers(-2, 3, one.shape) + one
    both = np.concatenate([one, np.clip(shifted, 0, 255).astype(np.uint8)])
    group = np.repeat([0, 1], 40)
    found = alike.find(both, group, 0.98)
    assert found.partner.tolist() == [*range(40, 80), *range(40)]
    assert found.similarity.min() > 0.98 and found.num_skipped == 0
    assert (alike.find(both, np.zeros(80, int), 0.98).partner == -1).all()


def test_what_shows_nothing_is_alike_to_nothing():
    grey = np.full((4, 16, 16), 90, np.uint8)
    assert (alike.find(grey, np.array([0, 1, 0, 1]), 0.5).partner == -1).all()
    assert alike.find(grey[:0], np.zeros(0, int), 0.5).partner.shape == (0,)


def test_far_fewer_pairs_are_compared_than_there_are(monkeypatch):
    sizes = []
    compare = alike._compare
    monkeypatch.setattr(
        alike,
        "_compare",
        lambda o, g, places, *more: sizes.append(len(places)) or compare(o, g, places, *more),
    )
    count = 3000
    alike.find(outlines(count), np.arange(count) % 2, 0.98)
    assert sum(size * size for size in sizes) < count * count / 50


def test_a_crowded_bucket_is_compared_in_parts_and_that_is_counted(monkeypatch):
    monkeypatch.setattr(alike, "MOST_IN_BUCKET", 4)
    same = np.repeat(outlines(1), 6, axis=0)
    found = alike.find(same, np.arange(6) % 2, 0.98)
    assert (found.partner >= 0).all() and found.num_skipped == 6


# Findings -----------------------------------------------------------------------------------------


class Files:
    """Makes rows: eight people in three splits, a clip and an image each, all of them in order."""

    def __init__(self, folder):
        self.folder = folder
        self.rows = []
        for k, split in enumerate(("train",) * 4 + ("val",) * 2 + ("test",) * 2):
            self.add(f"v{k}", split, f"p{k % 8}", clip=noise(k))
            self.add(f"w{k}", split, f"p{k % 8}", clip=noise(k + 100))
            self.add(f"f{k}", split, f"p{k % 8}", image=pattern(k))

    def add(self, name, split, label, clip=None, image=None, suffix=None, **extra):
        """Adds a row of a clip [T] or an image."""
        gender = {"gender": "fm"[int(label[1:]) % 2]} if label[1:].isdigit() else {}
        files = {}
        if clip is not None:
            files["audio"] = self.folder / f"{name}{suffix or '.wav'}"
            rate = extra.pop("rate", RATE)
            soundfile.write(files["audio"], clip, rate)
        if image is not None:
            files["image"] = self.folder / f"{name}{suffix or '.png'}"
            image.save(files["image"])
        paths = {modality: str(path) for modality, path in files.items()}
        self.rows.append(manifest.Row(name, split, label, **paths, extra={**gender, **extra}))

    def change(self, place, **changes):
        """Changes fields of a row."""
        row = self.rows[place]
        self.rows[place] = manifest.Row(**{**vars(row), **changes})


def spoil_file(files):
    (files.folder / "v0.wav").write_bytes(b"no audio")


def forget_training(files):
    for place in range(12):
        files.change(place, split="val")


def share_person(files):
    files.change(-1, label="p0", extra={"gender": "f"})


def share_speaker(files):
    for place, row in enumerate(files.rows):
        files.change(place, extra={**row.extra, "speaker": "s1" if place in (0, 23) else row.id})


def share_file(files):
    files.change(-2, audio=files.rows[0].audio, start_seconds=1.0)


def copy_under_another_name(files):
    samples, _ = soundfile.read(files.folder / "v0.wav", dtype="int16")
    files.add("copy", "test", "p7", clip=samples, suffix=".flac")


def encode_anew(files):
    small = pattern(0).resize((64, 64))
    files.add("near", "test", "p7", image=small, suffix=".jpg")
    files.add("heard", "test", "p7", clip=np.pad(0.5 * noise(1), 4_000), suffix=".mp3")


def label_twice(files):
    files.add("twice", "train", "p1", image=pattern(0))


def lose_images(files):
    for place in (5, 2):
        del files.rows[place]


def train_unevenly(files):
    for k in range(36):
        files.add(f"more{k}", "train", "p0", clip=noise(200 + k, 0.3))


def two_genders(files):
    files.change(0, extra={"gender": "m"})


def short_clip(files):
    files.add("short", "train", "p0", clip=noise(300, 0.3))


def low_rate(files):
    files.add("low", "train", "p0", clip=noise(301)[::2], rate=8_000)


def clip_level(files):
    files.add("clipped", "train", "p0", clip=np.clip(noise(302, level=3.0), -1, 1))


def hush(files):
    files.add("hush", "train", "p0", clip=noise(303, level=0.002))


def pad_with_zeros(files):
    files.add("padded", "train", "p0", clip=np.pad(noise(304), (0, 5_000)))


def shrink(files):
    files.add("tiny", "train", "p0", image=pattern(305, 40))


def blur(files):
    image = pattern(306, 12).resize((96, 96), Image.Resampling.BICUBIC)
    files.add("blur", "train", "p0", image=image)


def empty(files):
    files.add("empty", "train", "p0", image=Image.new("RGB", (64, 64), (9, 90, 9)))


def folder_with_notes(files):
    (files.folder / "album").mkdir()
    pattern(307).save(files.folder / "album" / "1.png")
    (files.folder / "album" / "notes.txt").write_text("mine")
    row = manifest.Row("album", "train", "p0", image=str(files.folder / "album"))
    files.rows.append(row)


def strange_class(files):
    files.change(-1, label="p9")


# Finding to what makes it, its level, how many it counts, what it names, and what labels are.
CASES = {
    "unusable": (spoil_file, "stops", 1, "v0", sources.IDENTITIES),
    "splits": (forget_training, "stops", 0, None, sources.IDENTITIES),
    "identities": (share_person, "misleads", 1, "p0", sources.IDENTITIES),
    "groups": (share_speaker, "misleads", 1, "s1", sources.IDENTITIES),
    "files": (share_file, "misleads", 1, "v0.wav", sources.IDENTITIES),
    "copies": (copy_under_another_name, "misleads", 1, "v0 (train, p0)", sources.IDENTITIES),
    "near_copies": (encode_anew, "misleads", 2, "f0 (train, p0)", sources.IDENTITIES),
    "two_labels": (label_twice, "misleads", 1, "f0 (train, p0)", sources.IDENTITIES),
    "missing_modalities": (lose_images, "misleads", 2, "train/p0", sources.IDENTITIES),
    "unseen_classes": (strange_class, "misleads", 5, "p9", sources.CLASSES),
    "balance": (train_unevenly, "misleads", 0, "p0", sources.IDENTITIES),
    "gender": (two_genders, "misleads", 1, "p0", sources.IDENTITIES),
    "lengths": (short_clip, "note", 1, "short", sources.IDENTITIES),
    "rates": (low_rate, "misleads", 1, "low", sources.IDENTITIES),
    "clipped": (clip_level, "misleads", 1, "clipped", sources.IDENTITIES),
    "silent": (hush, "misleads", 1, "hush", sources.IDENTITIES),
    "digital_silence": (pad_with_zeros, "misleads", 1, "padded", sources.IDENTITIES),
    "sizes": (shrink, "misleads", 1, "tiny", sources.IDENTITIES),
    "blur": (blur, "misleads", 1, "blur", sources.IDENTITIES),
    "empty": (empty, "misleads", 1, "empty", sources.IDENTITIES),
    "left_out": (folder_with_notes, "note", 0, None, sources.IDENTITIES),
}


def found(rows, folder, labels=sources.IDENTITIES, **options):
    settings = Settings(output=str(folder / "out" / "set"), labels=labels, **options)
    evidence, _ = examination.examine(rows, settings)
    return questions.ask(evidence, questions.FINDINGS)


def test_every_finding_has_a_case():
    assert {*CASES, "list_items"} == set(questions.FINDINGS)


def test_every_finding_and_level_stands_in_the_docs():
    text = (pathlib.Path(__file__).parents[3] / "docs" / "doctor.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE) == list(questions.FINDINGS)
    for meaning in finding.LEVELS.values():
        assert meaning in text or meaning == "in order"
    assert f"at least {ALIKE['audio']} (audio" in text and f"or {ALIKE['image']} (images)" in text
    assert f"more\nthan {alike.MOST_IN_BUCKET:,} share a hash" in text


def test_of_files_that_are_in_order_every_finding_says_so(tmp_path):
    every = found(Files(tmp_path).rows, tmp_path)
    assert {name: f.found for name, f in every.items() if f.level != finding.GOOD} == {}
    assert set(questions.FINDINGS) - set(every) == {
        "list_items",
        "unseen_classes",
        "groups",
        "left_out",
    }


@pytest.mark.parametrize("name", CASES)
def test_what_is_wrong_is_found_named_and_told_what_to_do(name, tmp_path):
    spoil, level, count, first, labels = CASES[name]
    files = Files(tmp_path)
    spoil(files)
    its = found(files.rows, tmp_path, labels)[name]
    assert (its.level, its.count) == (level, count), its
    assert its.advice.endswith(".") and its.advice[0].isupper()
    names = [row for row, _ in its.rows]
    assert first is None or first in names, names


def test_unusable_files_are_all_counted_by_reason(tmp_path):
    files = Files(tmp_path)
    for name in ("v0.wav", "v1.wav"):
        (files.folder / name).write_bytes(b"no audio")
    (files.folder / "v2.wav").unlink()
    soundfile.write(files.folder / "v3.wav", np.zeros(16_000), 16_000)
    soundfile.write(files.folder / "v4.wav", np.full(160, 0.5), 16_000)
    its = found(files.rows, tmp_path)["unusable"]
    reasons = [int(n) for n in re.findall(r"(\d+) (?:x: it|for other reasons)", its.found)]
    assert sum(reasons) == its.count == 5 and reasons[0] == 2 and "1 for other reasons" in its.found


def test_labels_that_may_be_classes_lead_to_a_note_where_all_are_in_two_splits(tmp_path):
    files = Files(tmp_path)
    for place in range(24):
        files.change(place, label="p0")
    assert found(files.rows, tmp_path, sources.ANY)["identities"].level == finding.NOTE
    assert "identities" not in found(files.rows, tmp_path, sources.CLASSES)


def test_items_of_lists_that_stand_for_no_row_stop(tmp_path):
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "match_v2f_2_test.txt").write_text("v6 f6 f7\nv7 f7 gone\n")
    its = found(Files(tmp_path).rows, tmp_path, lists=str(tmp_path / "lists"))["list_items"]
    assert (its.level, its.count, its.rows) == ("stops", 1, [("gone", "in no row")])


# The check ----------------------------------------------------------------------------------------


def test_each_file_is_decoded_once(tmp_path, monkeypatch):
    files, read = Files(tmp_path), []
    for module, name in ((audio_files, "read_audio"), (image_files, "read_image")):
        function = getattr(module, name)
        monkeypatch.setattr(
            module,
            name,
            lambda path, *args, function=function, **more: (
                read.append(str(path)) or function(path, *args, **more)
            ),
        )
    found(files.rows, tmp_path)
    assert sorted(read) == sorted(path for row in files.rows for path in row.paths)


def test_what_a_check_has_decoded_and_kept_is_not_decoded_again(tmp_path, monkeypatch):
    rows = Files(tmp_path).rows
    settings = Settings(output=str(tmp_path / "out" / "set"), decoded=str(tmp_path / "decoded"))
    first = check_data.check(rows, settings).report
    monkeypatch.setattr(records, "make", lambda *_: pytest.fail("decoded again"))
    assert check_data.check(rows, settings).report == first
    assert dataset.prepare(rows, settings)["splits"] == first["splits"]
    assert not (tmp_path / "decoded").exists()


def test_page_json_and_bad_rows_are_written_and_say_one_thing(tmp_path):
    files = Files(tmp_path)
    spoil_file(files)
    share_person(files)
    settings = Settings(output=str(tmp_path / "out" / "set"), max_bad_fraction=0.1)
    checked = check_data.check(files.rows, settings)
    assert checked.refusal == "" and checked.report["acceptable"] is True
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "set-bad_rows.csv",
        "set-check.html",
        "set-check.json",
    ]
    told = json.loads((tmp_path / "out" / "set-check.json").read_text())
    assert told == checked.report
    levels = [one["level"] for one in told["findings"]]
    assert levels == sorted(levels, key=list(finding.LEVELS).index)
    assert told["splits"]["train"]["rows"] == 11 and told["bad_rows"] == 1
    with open(tmp_path / "out" / "set-bad_rows.csv", encoding="utf-8") as file:
        assert [row["id"] for row in csv.DictReader(file)] == ["v0"]
    text = (tmp_path / "out" / "set-check.html").read_text("utf-8")
    for one in told["findings"]:
        assert one["title"] in text
        assert one["level"] == "good" or one["title"] in checked.text
    assert "<script" not in text and "data:image/jpeg" not in text
    refused = check_data.check(files.rows, Settings(output=str(tmp_path / "out" / "set")))
    assert refused.report["acceptable"] is False
    assert refused.refusal.startswith("Files that cannot be used: 1 of 24 rows cannot be used")


def test_a_page_that_is_not_ours_is_not_replaced(tmp_path):
    (tmp_path / "set-check.html").write_text("my notes")
    with pytest.raises(registry.UserError, match="set-check.html is not a page"):
        check_data.check(Files(tmp_path).rows, Settings(output=str(tmp_path / "set")))
    assert (tmp_path / "set-check.html").read_text() == "my notes"


def test_a_finding_of_ones_own_is_a_function_by_its_path(tmp_path):
    path = f"{unplaced.__name__}.unplaced"
    settings = Settings(output=str(tmp_path / "out" / "set"))
    checked = check_data.check(Files(tmp_path).rows, settings, [path])
    (its,) = (one for one in checked.report["findings"] if one["name"] == path)
    assert (its["count"], its["found"]) == (16, "16 of 16 clips: no room is known.")
    assert "Fill the column room" in (tmp_path / "out" / "set-check.html").read_text("utf-8")
    for wrong, words in (
        ("nowhere.at_all", "cannot be imported"),
        (f"{unplaced.__name__}.finding", "name a function of"),
    ):
        with pytest.raises(registry.UserError, match=words):
            questions.named([wrong])
    with pytest.raises(registry.UserError, match="let it return None, or a Finding"):
        questions.ask(None, {"mine": lambda evidence: "all is well"})


def test_rows_are_looked_at_in_the_thread_that_made_them_and_in_any_order(tmp_path):
    files, seen = Files(tmp_path), []
    look = lambda number, row, result: seen.append((number, row.id, result.id))  # noqa: E731
    made = list(records.make_all(files.rows, records.Options(), look))
    assert sorted(seen) == [(k, row.id, row.id) for k, row in enumerate(files.rows)]
    assert [row.id for row, _ in made] == [row.id for row in files.rows]
    assert not list(itertools.filterfalse(lambda pair: pair[1].id == pair[0].id, made))
