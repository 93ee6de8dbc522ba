"""No small file that promises much takes much: neither a record, nor an embedding's input."""

import json
import os
import subprocess
import sys

import pytest

from tests.media import hostile

# Decodes every file under a limit on the process; prints what came of each and the peak in MB.
_DECODE = """
import json, resource, sys
from tfav.data.prepare import manifest, records
from tfav import items
from tfav.data import kinds
from tfav.media import bad_file, formats, limits

def status(name):
    lines = open("/proc/self/status").read().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1]) * 1024

records.make(manifest.Row("x", "train", "y", image="none.jpg"), records.Options())
most = status("VmSize") + 500_000_000
resource.setrlimit(resource.RLIMIT_AS, (most, most))
found = {}
for path in sys.argv[1:]:
    kind = formats.modality(path)
    row = manifest.Row("x", "train", "y", **{kind: path})
    made = records.make(row, records.Options(fps=2))
    found[path] = getattr(made, "reason", "")
    if kind != "video":
        try:
            spec = items.clip() if kind == "audio" else items.image(112)
            kinds.find(kind).load(path, spec, limits.DEFAULT)
            assert not found[path], path
        except bad_file.BadFile as error:
            assert error.reason == found[path]
print(json.dumps([found, status("VmHWM") / 1e6]))
"""
# Runs the binary and prints the peak in MB.
_PREPARE = """
import atexit
from tfav.bin import prepare

def peak():
    lines = open("/proc/self/status").read().splitlines()
    print(int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024 / 1e6)

atexit.register(peak)
prepare.run()
"""
EXPECTED = {  # the reason, or nothing where the file is used as it is
    "two_to_33.flac": "",
    "no_length.flac": "",
    "rate_1.wav": "has a sample rate of 1 Hz, below --min_rate_hz=4000",
    "rate_3999.wav": "has a sample rate of 3999 Hz, below",
    "rate_2_billion.wav": "has a sample rate of 2000000000 Hz, above --max_rate_hz=384000",
    "channels_1024.wav": "lasts 0.004 s, less than 0.1 s",
    "channels_65535.wav": "is not readable as audio",
    "three_hours.flac": "lasts longer than --max_seconds=1200",
    "twenty_minutes.flac": "",
    "zeros_of_4_gb.wav": "lasts longer than --max_seconds=1200",
    "zeros_of_4_gb.mp3": "would take 4295 MB to decode, more than --max_decoded_mb=160",
    "zeros_of_4_gb.jpg": "would take 4295 MB to decode",
    "side_12000.jpg": "is cut short or damaged",
    "side_12000_progressive.jpg": "would take 450 MB to decode",
    "side_65535.jpg": "has more pixels than --max_pixels=178956970",
    "side_12000.png": "would take 578 MB to decode",
    "side_6000_alpha.png": "would take 433 MB to decode",
    "side_6000_grey16.png": "would take 432 MB to decode",
    "side_3500_alpha.png": "",
    "side_13000_grey.png": "would take 846 MB to decode",
    "side_13000.bmp": "would take 676 MB to decode",
    "side_13000.ppm": "would take 676 MB to decode",
    "side_16383.webp": "has 16383x16383 pixels, more than --max_pixels=178956970",
    "side_13000.webp": "would take 2704 MB to decode",
    "side_10000.tif": "would take 1600 MB to decode",
    "side_6000.avi": "would take 576 MB to decode",
    "a_year.mkv": "lasts longer than --max_hours=24",
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Every hostile file, written once."""
    return hostile.write(tmp_path_factory.mktemp("hostile"))


def _environment():
    return {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}


def test_every_file_is_a_sentence_or_used_under_a_limit_on_the_process(files):
    command = [sys.executable, "-c", _DECODE, *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, env=_environment())
    assert done.returncode == 0, done.stderr
    found, peak_mb = json.loads(done.stdout.splitlines()[-1])
    assert list(EXPECTED) == [path.name for path in files]
    for path in files:
        reason = found[str(path)]
        assert reason.startswith(EXPECTED[path.name]) and bool(reason) == bool(EXPECTED[path.name])
    assert peak_mb < 1000


def test_prepare_takes_less_than_a_gigabyte_for_all_of_them_at_once(files, tmp_path):
    suffixes = {
        ".avi": "video",
        ".mkv": "video",
        ".flac": "audio",
        ".wav": "audio",
        ".mp3": "audio",
    }
    lines = ["id,split,label,audio,image,video"]
    for path in files * 2:
        column = suffixes.get(path.suffix, "image")
        cells = {"audio": "", "image": "", "video": "", column: str(path)}
        lines.append(f"{len(lines)},train,x,{','.join(cells.values())}")
    (tmp_path / "mine.csv").write_text("\n".join(lines) + "\n")
    flags = [f"--manifest={tmp_path}/mine.csv", f"--output={tmp_path}/set", "--max_bad_fraction=1"]
    done = subprocess.run(
        [sys.executable, "-c", _PREPARE, *flags], capture_output=True, text=True, env=_environment()
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.splitlines()[-1]) < 1000
    bad = (tmp_path / "set" / "bad_rows.csv").read_text().splitlines()
    assert len(bad) - 1 == 2 * sum(map(bool, EXPECTED.values()))
