"""Videos: which frames are taken, which stretch of sound, and what is wrong with bad ones."""

import io
import subprocess
import sys

import imageio_ffmpeg
import numpy as np
import pytest
import soundfile
from PIL import Image

from tests import clips
from tfav import registry
from tfav.media import bad_file, container, soundtrack, video


def _pixels(jpeg):
    return np.asarray(Image.open(io.BytesIO(jpeg)))


def _numbers(frames):
    return [clips.number(_pixels(jpeg)) for jpeg in frames.jpeg["image"]]


def _ffmpeg(*arguments):
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *map(str, arguments)]
    subprocess.run(command, check=True)


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    """Three seconds: 30 numbered frames, and a chirp on the left."""
    return clips.write(tmp_path_factory.mktemp("video") / "short.mov", sound=clips.chirp(3))


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    """Forty seconds: 200 numbered frames, and a chirp on the left."""
    path = tmp_path_factory.mktemp("video") / "long.mov"
    return clips.write(path, 200, 5, sound=clips.chirp(40))


# Frames -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [15]),  # shows from 1.5 s on, the middle of three seconds
        ({"num_frames": 5}, [3, 9, 15, 21, 27]),  # 0.3, 0.9, 1.5, 2.1, 2.7 s
        ({"num_frames": 2}, [7, 22]),  # 0.75 and 2.25 s
        ({"num_frames": 30}, list(range(30))),
        ({"num_frames": 100}, list(range(30))),  # no frame twice
        ({"frames_per_second": 2}, [2, 7, 12, 17, 22, 27]),  # 0.25, 0.75, ... 2.75 s
        ({"frames_per_second": 0.1}, [15]),  # at least one
        ({"frames_per_second": 500}, list(range(30))),
        # of [1, 2) s at 1.25 and 1.75 s; of [2.6, 3) s at 2.7 and 2.9 s
        ({"num_frames": 2, "start_seconds": 1, "length_seconds": 1}, [12, 17]),
        ({"num_frames": 2, "start_seconds": 2.6}, [27, 29]),
        ({"num_frames": 2, "start_seconds": 2.6, "length_seconds": 9}, [27, 29]),
    ],
)
def test_the_middles_of_equal_parts_are_taken(short, options, expected):
    frames = video.read_frames(short, **options)
    assert _numbers(frames) == expected
    np.testing.assert_allclose(frames.seconds, np.array(expected) / 10)
    assert (frames.height, frames.width) == (clips.HEIGHT, clips.WIDTH)


@pytest.mark.parametrize(
    ("name", "codec", "rate"),
    [
        ("x.avi", "mpeg4", 10),
        ("x.mkv", "mpeg4", 10),
        ("x.mp4", "mpeg4", 10),
        ("x.mpg", "mpeg1video", 25),
        ("x.ts", "mpeg2video", 25),
    ],
)
def test_containers_agree(tmp_path, name, codec, rate):
    path = clips.write(tmp_path / name, 30, rate, codecs=(codec, ""))
    assert _numbers(video.read_frames(path, 5)) == [3, 9, 15, 21, 27]


def test_time_decides_not_the_count(tmp_path):
    # Frames 0 to 9 fill the first second, 10 to 12 show at 1.0, 2.0 and 3.0 s. The last one lasts
    # the usual gap, 0.1 s: parts of 1.55 s, whose middles are 0.775 and 2.325 s.
    path = clips.write(tmp_path / "x.mkv", 13, times=[*range(10), 10, 20, 30])
    assert _numbers(video.read_frames(path, 2)) == [7, 11]


def test_a_far_part_is_jumped_to_and_gives_what_decoding_on_gives(long, monkeypatch):
    seen = []
    read = container.Stream._read

    def counted(self, *arguments):
        for item in read(self, *arguments):
            seen.append(self.kind)
            yield item

    monkeypatch.setattr(container.Stream, "_read", counted)
    part = {"start_seconds": 25.0, "length_seconds": 2.0}
    near = video.read_frames(long, 10, **part), soundtrack.read_audio(long, **part)
    # 2 s of 5 frames a second, at most 12 frames from the last key frame, for times and for frames
    assert seen.count("video") < 60 and seen.count("audio") < 60  # 200 frames, 625 blocks of sound
    monkeypatch.setattr(container, "SEEK_SECONDS", 1000)
    far = video.read_frames(long, 10, **part), soundtrack.read_audio(long, **part)
    assert _numbers(near[0]) == list(range(125, 135))
    assert near[0] == far[0]
    np.testing.assert_array_equal(near[1], far[1])


def test_frames_far_apart_are_jumped_to(long, monkeypatch):
    # Parts of 40 / 3 s: the middles are 6.67, 20 and 33.33 s.
    assert _numbers(video.read_frames(long, 3)) == [33, 100, 166]
    monkeypatch.setattr(container, "SEEK_SECONDS", 1)
    assert _numbers(video.read_frames(long, 3)) == [33, 100, 166]


def test_no_more_than_four_decoded_frames_are_held(short, monkeypatch):
    held = {"now": 0, "most": 0}

    class Counted:
        def __init__(self, frame):
            self.frame = frame
            held["now"] += 1
            held["most"] = max(held.values())

        def __del__(self):
            held["now"] -= 1

        def __getattr__(self, name):
            return getattr(self.frame, name)

    frames = container.Stream.frames
    counted = lambda *arguments: ((time, Counted(frame)) for time, frame in frames(*arguments))  # noqa: E731
    monkeypatch.setattr(container.Stream, "frames", counted)
    assert len(video.read_frames(short, 30, derive=["diff"]).seconds) == 30
    assert 1 <= held["most"] <= 4  # three, and the one just coming


def test_large_frames_shrink(short):
    frames = video.read_frames(short, max_side=32)
    assert (frames.height, frames.width) == _pixels(frames.jpeg["image"][0]).shape[:2] == (24, 32)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_turned_phone_gives_upright_frames(tmp_path, degrees):
    pixels = np.zeros((48, 64, 3), np.uint8)
    pixels[:16, :32] = [250, 30, 30]
    path = clips.write(tmp_path / "x.mp4", pixels=[pixels] * 3)
    _ffmpeg("-display_rotation", degrees, "-i", path, "-c", "copy", tmp_path / "turned.mp4")
    _ffmpeg("-i", tmp_path / "turned.mp4", "-frames:v", 1, tmp_path / "right.png")
    found = _pixels(video.read_frames(tmp_path / "turned.mp4").jpeg["image"][0]).astype(int)
    expected = np.asarray(Image.open(tmp_path / "right.png").convert("RGB")).astype(int)
    assert found.shape == expected.shape == ((64, 48, 3) if degrees % 180 else (48, 64, 3))
    assert np.abs(found - expected).mean() < 4


def test_derived_frames_go_with_the_taken_ones(short):
    frames = video.read_frames(short, 30, derive=["flow", "diff"])
    assert [len(frames.jpeg[name]) for name in ("image", "flow", "diff")] == [30, 30, 30]
    bars = [clips.numbered(k).astype(int) for k in (7, 8, 28, 29)]
    for taken, this, after in ((7, *bars[:2]), (28, *bars[2:]), (29, *bars[2:])):  # 29 is the last
        found = _pixels(frames.jpeg["diff"][taken]).astype(int)
        assert np.abs(found - (128 + (after - this) / 2)).mean() < 8


def test_a_video_of_one_frame_has_no_derived_one(tmp_path):
    path = clips.write(tmp_path / "x.mov", 1)
    frames = video.read_frames(path, 4, derive=["flow"])
    assert list(frames.jpeg) == ["image"] and len(frames.jpeg["image"]) == 1


def test_the_same_video_gives_the_same_bytes(short):
    first, second = (video.read_frames(short, 6, derive=["flow", "diff"]) for _ in range(2))
    assert first == second


# Bad ones ---------------------------------------------------------------------------------------


def test_without_sound_or_picture_there_is_none(tmp_path):
    assert soundtrack.read_audio(clips.write(tmp_path / "mute.mov")) is None
    silent = clips.write(tmp_path / "silent.mov", sound=np.zeros(16_000, np.int16))
    assert soundtrack.read_audio(silent) is None
    dark = clips.write(tmp_path / "dark.mov", 0, sound=clips.chirp(1))
    assert video.read_frames(dark) is None and len(soundtrack.read_audio(dark)) == 16_000


def test_the_picture_on_a_record_sleeve_is_no_video(tmp_path):
    clips.write(tmp_path / "x.mov", 0, sound=clips.chirp(1))
    Image.new("RGB", (64, 64), (200, 10, 10)).save(tmp_path / "x.jpg")
    inputs = ("-i", tmp_path / "x.mov", "-i", tmp_path / "x.jpg", "-map", 0, "-map", 1)
    cover = ("-c:v", "copy", "-c:a", "aac", "-disposition:v:0", "attached_pic")
    _ffmpeg(*inputs, *cover, tmp_path / "x.m4a")
    assert video.read_frames(tmp_path / "x.m4a") is None
    assert video.describe(tmp_path / "x.m4a").image == ""


def _tiny(path):
    clips.write(path, pixels=[np.zeros((8, 64, 3), np.uint8)] * 3, sound=clips.chirp(1))


def _raw(path):
    clips.write(path.with_suffix(".mp4"))
    _ffmpeg("-i", path.with_suffix(".mp4"), "-c:v", "libx264", "-f", "h264", path)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: None, "does not exist"),
        (lambda path: path.mkdir(), "is not a file"),
        (lambda path: path.write_bytes(b""), "is empty"),
        (lambda path: path.write_bytes(b"no video at all " * 99), "not readable as a video"),
        (lambda path: path.write_text("#EXTM3U\nhttp://127.0.0.1:9/x.ts\n"), "not readable as a"),
        (_tiny, "64x8 pixels.*at least 16"),
        (_raw, "has no time stamps"),
    ],
)
def test_a_video_that_cannot_be_used_is_refused_with_the_reason(tmp_path, make, reason):
    make(tmp_path / "x.mov")
    with pytest.raises(bad_file.BadFile, match=reason):
        soundtrack.read_audio(tmp_path / "x.mov")
        video.read_frames(tmp_path / "x.mov")


def test_a_cut_mp4_is_refused_and_a_cut_mkv_is_a_shorter_video(tmp_path):
    for name in ("x.mp4", "x.mkv"):
        clips.write(tmp_path / name)
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(bad_file.BadFile, match="not readable as a video"):
        video.read_frames(tmp_path / "x.mp4")  # its table of contents stood at the end
    assert max(_numbers(video.read_frames(tmp_path / "x.mkv", 30))) in range(5, 29)


def test_a_part_behind_the_end_is_refused(short):
    for start in (3.5, 100):
        with pytest.raises(bad_file.BadFile, match=f"no picture from {start:g} s on"):
            video.read_frames(short, start_seconds=start, length_seconds=1)
        with pytest.raises(bad_file.BadFile, match=f"no sound from {start:g} s on"):
            soundtrack.read_audio(short, start_seconds=start, length_seconds=1)


def test_titles_in_other_alphabets_do_no_harm(tmp_path):
    clips.write(tmp_path / "x.mov", title="cafe at noon")
    content = (tmp_path / "x.mov").read_bytes()
    assert b"cafe at" in content
    (tmp_path / "x.mov").write_bytes(content.replace(b"cafe at", b"caf\xe9 at"))  # Latin-1
    assert _numbers(video.read_frames(tmp_path / "x.mov")) == [15]


def test_a_video_is_described(short):
    found = video.describe(short)
    assert found.seconds == pytest.approx(3, abs=0.01)
    assert found.audio == "16000 Hz, 2 channels, pcm_s16le" and found.image == "64x48, mpeg4"


def test_what_is_not_installed_is_named(short, monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(registry.UserError, match=r"--derive=flow needs OpenCV.*tfav\[video\]"):
        video.read_frames(short, derive=["flow"])
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(registry.UserError, match=r"videos.* need PyAV.*tfav\[video\]"):
        video.read_frames(short)


# Real recordings --------------------------------------------------------------------------------


def test_real_clips_give_the_frames_and_the_sound_that_another_decoder_gave(real_data):
    folder = real_data / "grid-clips"
    paths = sorted(folder.glob("video/*.mpg"))
    assert len(paths) == 11
    for path in paths:
        frames = video.read_frames(path, 5)  # of 75: 7, 22, 37, 52 and 67
        np.testing.assert_allclose(frames.seconds, [0.28, 0.88, 1.48, 2.08, 2.68])
        for jpeg, name in zip(frames.jpeg["image"], ("007", "022", "037", "052", "067")):
            given = np.asarray(Image.open(folder / "frames" / path.stem / f"{name}.jpg"))
            difference = np.abs(_pixels(jpeg).astype(int) - given.astype(int))
            assert difference.mean() < 1.5 and difference.max() < 32, (path, name)  # two JPEGs
        given, _ = soundfile.read(folder / "audio" / f"{path.stem}.flac", dtype="float32")
        sound = np.clip(soundtrack.read_audio(path), -1, 1)
        assert len(sound) == len(given) == 47_647
        assert np.corrcoef(sound, given)[0, 1] > 0.99999, path
