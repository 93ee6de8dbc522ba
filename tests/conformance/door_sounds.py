"""Sound files by doors."""

import io
import struct

import numpy as np
import soundfile

from tests.conformance.door_cases import Case

RATE = 16_000


def voice(seconds=0.7, seed=0, channels=1):
    """Returns int16 samples [T, channels] of a chirp in noise."""
    time = np.arange(round(RATE * seconds)) / RATE
    noise = 0.05 * np.random.default_rng(seed).standard_normal([len(time), channels])
    wave = 0.3 * np.sin(2 * np.pi * (200 + 900 * time) * time)[:, np.newaxis]
    return np.round(32_767 * np.clip(wave * np.linspace(1, 0.2, channels) + noise, -1, 1)).astype(
        np.int16
    )


def chunk(name, content, size=None, padded=True):
    size = len(content) if size is None else size
    return name + struct.pack("<I", size) + content + b"\0" * (padded and len(content) % 2)


def wav(samples, *before, size=None, riff_size=None, form=None):
    """Returns a WAV file, other chunks before its samples."""
    channels = samples.shape[1]
    if form is None:
        form = struct.pack("<HHIIHH", 1, channels, RATE, 2 * channels * RATE, 2 * channels, 16)
    body = b"WAVE" + chunk(b"fmt ", form) + b"".join(before)
    body += chunk(b"data", samples.astype("<i2").tobytes(), size)
    return b"RIFF" + struct.pack("<I", len(body) if riff_size is None else riff_size) + body


def written(samples, rate_hz=RATE, **kind):
    file = io.BytesIO()
    soundfile.write(file, samples, rate_hz, **{"format": "WAV", "subtype": "PCM_16", **kind})
    return file.getvalue()


def extensible(channels):
    guid = struct.pack("<H", 1) + bytes.fromhex("000000001000800000aa00389b71")
    form = struct.pack("<HHIIHH", 0xFFFE, channels, RATE, 2 * channels * RATE, 2 * channels, 16)
    return form + struct.pack("<HHI", 22, 16, 0) + guid


ODD = chunk(b"LIST", b"INFOISFT\x05\0\0\0Lavf\0")
CONVERT = "convert it, as by ffmpeg"
SOUNDS = {
    "PCM16": Case(wav(voice())),
    "stereo": Case(wav(voice(channels=2))),
    "three channels": Case(wav(voice(channels=3))),
    "WAVE_FORMAT_EXTENSIBLE": Case(wav(voice(channels=2), form=extensible(2))),
    "other chunks": Case(wav(voice(), chunk(b"JUNK", b"...."), ODD)),
    "odd chunk, no pad byte": Case(
        wav(voice(), chunk(b"LIST", b"INFOISFT\x05\0\0\0abcde", padded=False)),
    ),
    "format of 18 bytes": Case(
        wav(voice(), form=struct.pack("<HHIIHHH", 1, 1, RATE, 2 * RATE, 2, 16, 0))
    ),
    "garbage behind": Case(wav(voice()) + b"\x01\x02garbage" * 50),
    "LIST behind": Case(wav(voice()) + ODD),
    "zeros behind": Case(wav(voice()) + bytes(4_096)),
    "two formats": Case(
        wav(voice(), chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, 8_000, 16_000, 2, 16)))
    ),
    "samples of which the header tells half": Case(
        wav(voice(), size=11_200), "holds 11200 bytes behind the end", "holds 11200 bytes behind"
    ),
    "two chunks of samples": Case(
        wav(voice()) + chunk(b"data", voice(seed=1).tobytes()),
        "has two chunks of samples",
        "has two chunks of samples, of which",
    ),
    "two files in one": Case(
        wav(voice()) + wav(voice(seed=1)),
        "holds another recording behind its end",
        "holds another recording behind its end: send",
    ),
    "channels that nearly cancel": Case(
        wav(np.hstack([voice(), -voice() + voice(seed=1) // 1_000]))
    ),
    **{
        f"{n} channels that nearly cancel": Case(
            wav(np.hstack([voice(), -voice(), *[voice(seed=1) // 1_000] * (n - 2)]))
        )
        for n in (3, 4, 6)
    },
    "half a sample at the end": Case(wav(voice(), size=2 * 11_200 + 1) + b"\x01"),
    "from a pipe": Case(wav(voice(), ODD, size=0xFFFFFFFF, riff_size=0xFFFFFFFF)),
    "size never written": Case(
        wav(voice(), size=0, riff_size=0),
        "lasts 0.000 s",
        "a file holds no samples, send",
        "is empty: send",
    ),
    "0.1 s": Case(wav(voice(0.1))),
    "longer than is heard": Case(wav(voice(2.5))),
    "24 bits": Case(
        written(voice() / 32_768, subtype="PCM_24"),
        server="has 24 bits per sample .* send RIFF .* 16-bit PCM",
        client=f"24 bits per sample.*{CONVERT}",
    ),
    "float": Case(
        written(voice() / 32_768, subtype="FLOAT"),
        server="32 bits per sample in the WAV format 3",
        client=f"its format is 3, PCM is 1.*{CONVERT}",
    ),
    "float, channels that cancel far outside": Case(
        written(np.hstack([voice() / 32_768 + 1e6, voice() / 32_768 - 1e6]), subtype="FLOAT"),
        "has float samples up to 1e.06",
        "32 bits per sample in the WAV format 3",
        f"its format is 3, PCM is 1.*{CONVERT}",
    ),
    "44.1 kHz": Case(
        written(voice(), 44_100), server="has 44100 Hz, send 16000 Hz", client=f"44100.*{CONVERT}"
    ),
    "FLAC": Case(
        written(voice(), format="FLAC"), server="not a whole WAV, send", client=f"no WAV.*{CONVERT}"
    ),
    "silence": Case(
        wav(np.zeros([8_000, 1])), "is silent", "row 0 of waveform is silent.*send sound"
    ),
    "antiphase": Case(
        wav(np.hstack([voice(), -voice()])), ".", "row 0 of waveform is silent.*send sound"
    ),
    "0.05 s": Case(wav(voice(0.05)), "lasts 0.050 s", "lasts 0.05 s, send at least 0.1 s"),
    "no samples": Case(wav(voice()[:0]), ".", "a file holds no samples, send", "is empty: send"),
    "not sound": Case(b"hello" * 20, ".", "not a whole WAV, send RIFF", f"no WAV.*{CONVERT}"),
    "empty": Case(b"", "is empty", "not a whole WAV, send RIFF", f"no WAV.*{CONVERT}"),
}
