"""One row to one record: what wins over what, what is missing, and what is wrong."""

import dataclasses
import io
import pathlib

import numpy as np
import pytest
import soundfile
from PIL import Image

from tests import clips
from tfav.data.prepare import manifest, records
from tfav.media import mono


def _number(jpeg):
    return clips.number(np.asarray(Image.open(io.BytesIO(jpeg))))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A whole video, one without sound, one without picture; a sound; three pictures."""
    path = tmp_path_factory.mktemp("files")
    clips.write(path / "x.mov", sound=clips.chirp(3))
    clips.write(path / "mute.mov")
    clips.write(path / "dark.mov", 0, sound=clips.chirp(3))
    soundfile.write(path / "x.wav", np.full(3200, 0.5), 16_000)
    (path / "pictures").mkdir()
    for k in (9, 10, 11):
        Image.fromarray(clips.numbered(100 + k)).save(path / "pictures" / f"{k}.png")
    return path


def _row(folder, further=None, part=(0, 0), **paths):
    return manifest.Row(
        id="row",
        split="train",
        label="x",
        extra={"fold": "1"},
        further={name: tuple(str(folder / p) for p in x) for name, x in (further or {}).items()},
        start_seconds=part[0],
        length_seconds=part[1],
        **{name: str(folder / path) for name, path in paths.items()},
    )


def test_a_video_gives_sound_and_frames(folder):
    row = _row(folder, video="x.mov")
    record = records.make(row, records.Options(num_frames=3, derive=("diff", "flow")))
    assert (record.id, record.split, record.label, record.extra) == ("row", "train", "x", row.extra)
    assert len(record.audio) == 48_000 and record.audio.dtype == np.int16
    assert [_number(jpeg) for jpeg in record.image] == [5, 15, 25]  # middles of seconds
    assert (record.height, record.width) == (48, 64)
    assert {name: len(frames) for name, frames in record.further.items()} == {"diff": 3, "flow": 3}
    assert records.lacking(row, record, records.Options(derive=("diff",))) == []


def test_a_part_of_a_video(folder):
    record = records.make(_row(folder, part=(1, 0.5), video="x.mov"), records.Options(fps=4))
    assert [_number(jpeg) for jpeg in record.image] == [11, 13]  # at 1.125 and 1.375 s
    np.testing.assert_array_equal(record.audio, np.rint(clips.chirp(3)[16_000:24_000] / 2))


def test_what_a_row_gives_wins_over_its_video(folder):
    row = _row(
        folder,
        {"flow": ["pictures/9.png"]},
        video="x.mov",
        audio="x.wav",
        image="pictures/10.png",
    )
    record = records.make(row, records.Options(num_frames=4, derive=("flow", "diff")))
    assert len(record.audio) == 3200
    assert [_number(jpeg) for jpeg in record.image] == [110]
    assert _number(record.further["flow"][0]) == 109 and len(record.further["diff"]) == 4


def test_a_folder_or_a_list_of_pictures_is_frames_in_order(folder):
    record = records.make(
        _row(folder, {"depth": ["pictures"]}, image="pictures"), records.Options()
    )
    for frames in (record.image, record.further["depth"]):
        assert [_number(jpeg) for jpeg in frames] == [109, 110, 111]
    paths = tuple(str(folder / "pictures" / f"{k}.png") for k in (11, 9))
    row = manifest.Row("row", "train", "x", image=paths)
    assert [_number(jpeg) for jpeg in records.make(row, records.Options()).image] == [111, 109]


@pytest.mark.parametrize(
    ("name", "held", "lacking"),
    [
        ("mute.mov", ["image", "diff"], ["audio"]),
        ("dark.mov", ["audio"], ["image", "diff"]),
    ],
)
def test_what_a_video_lacks_is_said(folder, name, held, lacking):
    options = records.Options(derive=("diff",))
    row = _row(folder, video=name)
    record = records.make(row, options)
    assert [*(["audio"] if record.audio is not None else []), *record.frames] == held
    assert records.lacking(row, record, options) == lacking


def test_rows_without_a_video_lack_nothing(folder):
    row = _row(folder, audio="x.wav")
    record = records.make(row, records.Options())
    assert record.image is None and records.lacking(row, record, records.Options()) == []


@pytest.mark.parametrize(
    ("files", "column", "file", "reason"),
    [
        ({"audio": "no.wav", "video": "x.mov"}, "audio", "no.wav", "does not exist"),
        ({"image": "no.jpg", "video": "x.mov"}, "image", "no.jpg", "does not exist"),
        ({"image": "empty"}, "image", "empty", "is a folder without images"),
        ({"further": {"flow": ["pictures", "x.wav"]}}, "flow", "x.wav", "not readable as an image"),
        ({"image": "broken"}, "image", "broken/2.png", "not readable as an image"),
        ({"video": "x.wav", "part": (9, 1)}, "video", "x.wav", "has no sound from 9 s on"),
        ({"video": "nothing.mov"}, "video", "nothing.mov", "has neither sound nor a picture"),
    ],
)
def test_the_file_that_is_wrong_is_named(folder, files, column, file, reason):
    (folder / "empty").mkdir(exist_ok=True)
    (folder / "broken").mkdir(exist_ok=True)
    Image.new("RGB", (20, 20)).save(folder / "broken" / "1.png")
    (folder / "broken" / "2.png").write_bytes(b"no picture")
    clips.write(folder / "nothing.mov", 0, sound=np.zeros(16_000, np.int16))
    bad = records.make(_row(folder, **files), records.Options(derive=("diff",)))
    assert isinstance(bad, records.BadRow)
    assert bad[:3] == ("row", column, str(pathlib.Path(folder / file))) and reason in bad.reason


def test_the_sound_of_a_video_is_judged_like_any_other(folder):
    clips.write(folder / "blip.mov", sound=clips.chirp(0.05))
    bad = records.make(_row(folder, video="blip.mov"), records.Options())
    assert bad.reason == f"lasts 0.050 s, less than {mono.MIN_SECONDS} s"


def test_a_part_of_a_sound_is_padded_where_it_is_asked_for(folder):
    row = _row(folder, part=(0.1, 0.5), audio="x.wav")  # 0.2 s long
    np.testing.assert_array_equal(records.make(row, records.Options()).audio, [16_384] * 1600)
    padded = records.make(dataclasses.replace(row, padded=True), records.Options())
    np.testing.assert_array_equal(padded.audio, [16_384] * 1600 + [0] * 6400)
