"""REST client of TensorFlow Serving for exports of tfav: one file, standard library, Python 3.8.

    client = Client("http://localhost:8501", "voice_face")
    voice = client.embed_wav("voice.wav")
    faces = [client.embed_jpeg(name) for name in ("ann.jpg", "bob.jpg")]
    print(client.match(voice, faces).best)

or, from a shell,

    python client.py --url=http://localhost:8501 --model=voice_face embed voice.wav
    python client.py --url=http://localhost:8501 --model=voice_face match voice.wav ann.jpg bob.jpg
    python client.py --url=http://localhost:8501 --model=scenes pairs bell.wav one.jpg two.jpg

(`tfav-client` where tfav is installed; the file can also be copied alone.)

A WAV file is sent with its header written anew, so that what a pipe has left open in it, and other
chunks, matter to nobody. Images are sent as they are: the server turns them upright.

Two seconds of audio are 715 kB as JSON numbers (`embed_audio`) and 85 kB as a base64 WAV file
(`embed_wav`): prefer the latter. Every call is idempotent, so one that got no answer or a part of
one, timed out or met a server that was not ready (HTTP 503) is sent again, after a pause that
doubles.
"""

from __future__ import annotations

import argparse
import base64
import http.client
import json
import math
import os
import random
import re
import struct
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

SAMPLE_RATE_HZ = 16000
# Formats of a WAV file: plain PCM, and one whose format proper stands in a GUID.
PCM, EXTENSIBLE = 1, 0xFFFE
OPEN_SIZE = 0x7F000000  # sizes from here on were left open by who could not go back to write them
LEAST_LEFT_SECONDS = 0.1  # of what lies behind the end of which a header tells
PICTURES = (".jpg", ".jpeg", ".png")
# Seconds before the second try, and the longest pause.
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0


class Array(Protocol):
    """A list, or an array that need not be NumPy's, of one axis or of several."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Any]: ...

    def __getitem__(self, place: int, /) -> Any: ...


class Match(NamedTuple):
    """How candidates compare with a probe.

    Attributes:
      scores: [N] cosine of the probe and each candidate.
      best: index of the largest.
      probability: [N] that each candidate is of the probe's identity, where one in two is; None
        where the served model holds no calibration. It holds for a voice with faces and the other
        way round, and not within one modality.
      matched: [N] bool, whether each score reaches the model's threshold: below it the answer is
        "not sure". None where it has none.
      embedding_space: id of the space of the served model; None of an export of before it said so.
    """

    scores: Array
    best: int
    probability: Array | None = None
    matched: Array | None = None
    embedding_space: str | None = None


class Pair(NamedTuple):
    """Whether an audio clip and an image belong together.

    Attributes:
      score: larger for closer; of what unit and range the recipe says.
      matched: whether the score reaches the model's threshold; None where it has none.
      probability: that they belong together, where one pair in two does; None where the model holds
        no calibration.
    """

    score: float
    matched: bool | None
    probability: float | None = None


class ServingError(Exception):
    """A call that failed, in one sentence.

    Attributes:
      status: HTTP status of the server's answer, for gRPC the name of its code; None where the
        call was refused here or nothing answered.
    """

    def __init__(self, sentence: str, status: int | str | None = None):
        super().__init__(sentence)
        self.status = status


class Calls:
    """What the exports of tfav are asked, over whatever carries `predict`.

    Args:
      max_seconds: Longest clip in seconds; a longer one is refused before it is sent.
    """

    def __init__(self, max_seconds: float = 60.0):
        self._max_seconds = max_seconds

    def predict(self, signature: str, inputs: Mapping[str, object]) -> Any:
        """Calls any signature; see the carrier."""
        raise NotImplementedError

    def embed_audio(self, samples: Array) -> Array:
        """Returns the embedding [D] of samples [T]: floats in [-1, 1], 16 kHz, one channel."""
        clip = _clip(samples, self._max_seconds)
        inputs = {"waveform": [clip], "num_samples": [len(clip)]}
        return self.predict("embed_audio", inputs)[0]

    def embed_wav(self, wav: str | os.PathLike[str] | bytes) -> Array:
        """Returns the embedding [D] of a WAV file, by path or as bytes: PCM16, 16 kHz.

        The server averages its channels.
        """
        return self.predict("embed_wav", {"wav": [_wav(wav, self._max_seconds)]})[0]

    def embed_jpeg(self, jpeg: str | os.PathLike[str] | bytes) -> Array:
        """Returns the embedding [D] of a JPEG or PNG file, by path or as bytes."""
        name, content = _read(jpeg)
        if not content:
            raise ServingError(f"{name} is empty: send the bytes of a JPEG file.")
        return self.predict("embed_jpeg", {"jpeg": [content]})[0]

    def match(self, probe: Array, candidates: Array, embedding_space: str = "") -> Match:
        """Returns the `Match` of an embedding [D] among candidates [N, D].

        Of vectors that were kept, `embedding_space` is the id they were kept with (of `tfav-embed`,
        or of an earlier `Match`): those of another space than the served model's are refused.

        The signature takes many probes at once, each with its own N candidates, by `predict`:
        `probe` [B, D], `candidates` [B, N, D]. A server that batches refuses questions of
        different N that reach it together.
        """
        if not len(candidates):
            raise ServingError("match has no candidates: send at least one embedding.")
        for k, candidate in enumerate(candidates):
            _same_size("the probe", probe, f"candidate {k}", candidate)
        answer = self.predict("match", {"probe": [probe], "candidates": [candidates]})
        # Older exports give the first two alone; of a run without a calibration two are missing.
        probability, matched = (answer.get(n, [None])[0] for n in ("probability", "matched"))
        served = None
        if "embedding_space" in answer:
            served = "".join(f"{int(x) & 0xFFFFFFFF:08x}" for x in answer["embedding_space"][0])
        if embedding_space and served != embedding_space:
            raise ServingError(
                f"the vectors are of the embedding space {embedding_space} and the served model of "
                f"{served or 'one that it does not tell'}: embed both with one model."
            )
        return Match(answer["scores"][0], answer["best"][0], probability, matched, served)

    def score_pairs(
        self, wav: str | os.PathLike[str] | bytes, jpeg: str | os.PathLike[str] | bytes
    ) -> Pair:
        """Returns whether a WAV file and a JPEG or PNG file, by path or as bytes, belong together.

        Of a model that scores pairs, such as an export of a `dmc` run.
        """
        name, content = _read(jpeg)
        if not content:
            raise ServingError(f"{name} is empty: send the bytes of a JPEG file.")
        inputs = {"wav": [_wav(wav, self._max_seconds)], "jpeg": [content]}
        answer = self.predict("score_pairs_files", inputs)
        if not isinstance(answer, Mapping):  # a model without a threshold gives the score alone
            return Pair(float(answer[0]), None)
        probability = float(answer["probability"][0]) if "probability" in answer else None
        return Pair(float(answer["score"][0]), bool(answer["matched"][0]), probability)

    def score(self, audio_embedding: Array, image_embedding: Array) -> float:
        """Returns the cosine of two embeddings [D]."""
        _same_size("audio_embedding", audio_embedding, "image_embedding", image_embedding)
        inputs = {"audio_embedding": [audio_embedding], "image_embedding": [image_embedding]}
        return self.predict("score", inputs)[0]


class Client(Calls):
    """A model behind TensorFlow Serving's REST API.

    Args:
      url: such as http://localhost:8501.
      model: the name it is served under.
      version: an integer; None: the one that the server prefers, its newest.
      timeout_seconds: Time limit of one try.
      retries: further tries where none answered; 10 outlast a server's restart of 20 s.
      max_seconds: Longest clip in seconds; a longer one is refused before it is sent.
      max_message_bytes: Largest request; a larger one is refused before it is sent.

    Raises:
      ServingError: `url` is not one.
    """

    def __init__(
        self,
        url: str,
        model: str,
        version: int | None = None,
        timeout_seconds: float = 30.0,
        retries: int = 5,
        max_seconds: float = 60.0,
        max_message_bytes: int = 16_000_000,
    ):
        super().__init__(max_seconds)
        if not url.startswith(("http://", "https://")):
            raise ServingError(f"{url} is no address of a server: give one as http://HOST:8501.")
        self._url = url.rstrip("/")
        self._path = f"{self._url}/v1/models/{urllib.parse.quote(model, safe='')}"
        if version is not None:
            self._path += f"/versions/{int(version)}"
        self._timeout_seconds = timeout_seconds
        self._retries = retries
        self._max_message_bytes = max_message_bytes

    def status(self) -> dict[int, str]:
        """Returns version to its state, such as {1: "AVAILABLE"}."""
        found = self._call("", "model_version_status")
        return {int(each["version"]): each["state"] for each in found}

    def metadata(self) -> dict[str, dict[str, Any]]:
        """Returns signature to {"inputs" and "outputs": {name: {"dtype", "shape" (-1: any)}}}."""
        found = self._call("/metadata", "metadata")["signature_def"]["signature_def"]
        return {
            name: {side: _tensors(signature.get(side, {})) for side in ("inputs", "outputs")}
            for name, signature in sorted(found.items())
            if not name.startswith("__")  # TensorFlow's own initialiser
        }

    def predict(self, signature: str, inputs: Mapping[str, object]) -> Any:
        """Calls any signature in column form, {"inputs": {name: value}}.

        TensorFlow Serving takes every signature in row form too,
        {"instances": [{name: a row's value}, ...]}; this client does not need it.

        Args:
          signature: its name.
          inputs: name to a value of the signature's shape: numbers, bytes (sent as {"b64": ...}),
            lists of them, or arrays that have `tolist`.

        Returns:
          The output's value in lists; of several outputs, name to value.

        Raises:
          ServingError: the server refused it or did not answer, or it is too large.
        """
        try:
            body = json.dumps(
                {"signature_name": signature, "inputs": inputs}, allow_nan=False, default=_plain
            ).encode()
        except ValueError:
            raise ServingError(f"an input of {signature} holds NaN or infinite values.") from None
        if len(body) > self._max_message_bytes:
            raise ServingError(
                f"the request to {signature} has {len(body)} bytes, more than max_message_bytes="
                f"{self._max_message_bytes}: send fewer rows, or audio by embed_wav."
            )
        return self._call(":predict", "outputs", body)

    def _call(self, path: str, key: str, body: bytes | None = None) -> Any:
        """Returns `key` of the JSON that the server answers."""
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self._path + path, body, headers)
        for pause in (*pauses(self._retries), None):
            try:
                with urllib.request.urlopen(request, timeout=self._timeout_seconds) as response:
                    content = response.read()
                break
            except urllib.error.HTTPError as error:
                content = _content(error)
                failure = ServingError(_sentence(error, content), error.code)
                if content is not None and error.code != 503:
                    raise failure from None
            except (OSError, http.client.HTTPException) as error:
                reason = getattr(error, "reason", None) or error
                failure = ServingError(
                    f"{self._url} did not answer in {self._retries + 1} tries (the last time: "
                    f"{str(reason) or type(reason).__name__}): start the server, or give the "
                    "address of its REST port."
                )
            if pause is None:
                raise failure
            time.sleep(pause)
        try:
            return json.loads(content)[key]
        except (ValueError, KeyError, TypeError):
            raise ServingError(
                f"{self._url} answered {content[:80]!r}, without the {key} of TensorFlow Serving: "
                "give the address of its REST port."
            ) from None


def pauses(retries: int) -> list[float]:
    """Returns the seconds to wait before each further try; random, so that clients spread."""
    longest = [min(LONGEST_PAUSE, FIRST_PAUSE * 2**k) for k in range(retries)]
    return [seconds * random.uniform(0.5, 1.0) for seconds in longest]


def asserted(message: str) -> str:
    """Returns the first line of what a server says, of an assertion in its graph the sentence.

    That comes wrapped in the values that were compared. Decoders speak for themselves: of those of
    images the sentence is made here.
    """
    damaged = re.search(r"Invalid (PNG|JPEG)", message)
    if damaged:
        kind = damaged.group(1)
        return f"a {kind} file is damaged and cannot be decoded: send an intact one"
    found = re.search(r"assertion failed: \[(.+?)\s*\](?: \[|\s|$)", message, re.DOTALL)
    return found.group(1) if found else (message.splitlines() or [""])[0]


def _clip(samples: Array, max_seconds: float) -> list[float]:
    try:
        values = list(samples.tolist() if hasattr(samples, "tolist") else samples)
        clip = [float(x) for x in values]
    except (TypeError, ValueError):
        raise ServingError(
            "samples are not one clip, a flat sequence of floats: mix channels to one, and send "
            "several clips one by one."
        ) from None
    if all(isinstance(x, int) for x in values) and any(values):
        raise ServingError("samples are integers: divide those of 16 bits by 32768.")
    if not all(map(math.isfinite, clip)):
        raise ServingError("samples hold NaN or infinite values: decode the clip again.")
    _check_length("the clip", len(clip), max_seconds)
    return clip


def _wav(source: str | os.PathLike[str] | bytes, max_seconds: float) -> bytes:
    """Returns a WAV file of what a file holds, with a plain header."""
    name, content = _read(source)
    convert = "convert it, as by ffmpeg -i IN -ar 16000 -ac 1 -c:a pcm_s16le OUT.wav."
    form, samples, end = _chunks(name, content)
    if form is None or samples is None:
        raise ServingError(f"{name} is no WAV file of PCM samples: {convert}")
    start, size = samples
    kind, channels, rate_hz, bits = form
    if kind != PCM or not channels:
        raise ServingError(
            f"{name} is no WAV file of PCM samples (its format is {kind}, PCM is {PCM}): {convert}"
        )
    if (rate_hz, bits) != (SAMPLE_RATE_HZ, 16):
        raise ServingError(
            f"{name} has {rate_hz} Hz and {bits} bits per sample, and embed_wav takes 16000 Hz "
            f"and 16 bits: {convert}"
        )
    there, block = len(content) - start, 2 * channels
    if size > there > 0 and size < OPEN_SIZE:
        raise ServingError(
            f"{name} is cut short, its header tells of {size} bytes of audio and there are "
            f"{there}: send the whole file."
        )
    size = min(size, there) // block * block  # of one left open, as by a pipe, all there is
    _check_length(name, size // block, max_seconds)
    rest = content[end:]
    if len(rest) >= LEAST_LEFT_SECONDS * SAMPLE_RATE_HZ * block and any(rest):
        raise ServingError(
            f"{name} holds {len(rest)} bytes behind the end that its header tells of: write its "
            "header anew (ffmpeg -ignore_length 1 -i IN OUT.wav)."
        )
    return _header(channels, size) + content[start : start + size]


def _chunks(
    name: str, content: bytes
) -> tuple[tuple[int, int, int, int] | None, tuple[int, int] | None, int]:
    """Returns (format, channels, rate, bits), where samples begin and their bytes, and the end.

    None where there is no such chunk. Some writers forget the byte that pads an odd chunk.
    """
    form = samples = None
    place = 12 if content[:4] == b"RIFF" else len(content)
    while place + 8 <= len(content) and _is_name(content, place):
        kind, length = struct.unpack_from("<4sI", content, place)
        body, after = place + 8, place + 8 + length
        if samples and after > len(content) and length < OPEN_SIZE:
            break
        if samples and kind == b"RIFF":
            raise ServingError(
                f"{name} holds another recording behind its end: send one after the other."
            )
        if samples and kind == b"data":
            raise ServingError(
                f"{name} has two chunks of samples, of which readers take one or the other: send "
                "it with one of them."
            )
        if length % 2 and (_is_name(content, after + 1) or not _is_name(content, after)):
            after += 1
        if kind == b"fmt " and form is None and body + 16 <= len(content):
            kind, channels, rate_hz, _, _, bits = struct.unpack_from("<HHIIHH", content, body)
            if kind == EXTENSIBLE and body + 26 <= len(content):
                kind = struct.unpack_from("<H", content, body + 24)[0]
            form = (kind, channels, rate_hz, bits)
        elif kind == b"data":
            samples = (body, length)
            after = len(content) if length >= OPEN_SIZE else after
        place = after
    return form, samples, place


def _is_name(content: bytes, place: int) -> bool:
    """Says whether four printable characters stand at a place: the name of a chunk."""
    name = content[place : place + 4]
    return len(name) == 4 and all(32 <= byte < 127 for byte in name)


def _header(channels: int, size: int) -> bytes:
    block = 2 * channels
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        *(b"RIFF", 36 + size, b"WAVE", b"fmt ", 16, PCM, channels),
        *(SAMPLE_RATE_HZ, SAMPLE_RATE_HZ * block, block, 16, b"data", size),
    )


def _check_length(name: str, num_samples: int, max_seconds: float) -> None:
    if not num_samples:
        raise ServingError(f"{name} is empty: send at least one sample (16000 are a second).")
    seconds = num_samples / SAMPLE_RATE_HZ
    if seconds > max_seconds:
        raise ServingError(
            f"{name} has {seconds:.1f} s, more than max_seconds={max_seconds:g}: cut it, or give "
            "the client a larger max_seconds."
        )


def _same_size(first: str, a: Array, second: str, b: Array) -> None:
    try:
        sizes = len(a), len(b)
        float(a[0]), float(b[0])
    except (TypeError, ValueError, IndexError):
        raise ServingError(f"{first} and {second} must be embeddings, lists of floats.") from None
    if sizes[0] != sizes[1]:
        raise ServingError(
            f"{first} has {sizes[0]} values and {second} {sizes[1]}: compare embeddings of the "
            "same export."
        )


def _read(source: str | os.PathLike[str] | bytes) -> tuple[str, bytes]:
    """Returns what to call a file's content, and the content."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        return "the file", bytes(source)
    path = os.fspath(source)
    try:
        with open(path, "rb") as file:
            return path, file.read()
    except OSError as error:
        raise ServingError(f"{path} cannot be read: {error.strerror}.") from None


def _plain(value: object) -> object:
    if isinstance(value, (bytes, bytearray)):
        return {"b64": base64.b64encode(value).decode()}
    if hasattr(value, "tolist"):
        return value.tolist()
    raise ServingError(
        f"an input holds a {type(value).__name__}: send numbers, bytes or lists of them."
    )


def _content(error: urllib.error.HTTPError) -> bytes | None:
    """Returns the body of a refusal; None where the server went before it had sent all of it."""
    try:
        return error.read()
    except (OSError, http.client.HTTPException):
        return None


def _sentence(error: urllib.error.HTTPError, content: bytes | None) -> str:
    """Returns what the server says of an error; of a proxy in between, what that says."""
    if content is None:
        return f"HTTP {error.code} {error.reason}, and the rest of the answer did not arrive"
    try:
        return asserted(json.loads(content)["error"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"HTTP {error.code} {error.reason}: {content[:200].decode(errors='replace')}"


def _tensors(tensors: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        name: {
            "dtype": tensor["dtype"],
            "shape": [int(dim["size"]) for dim in tensor["tensor_shape"].get("dim", [])],
        }
        for name, tensor in sorted(tensors.items())
    }


def _embed_file(client: Client, path: str) -> Array:
    kind = os.path.splitext(path)[1].lower()
    if kind == ".wav":
        return client.embed_wav(path)
    if kind in PICTURES:
        return client.embed_jpeg(path)
    raise ServingError(
        f"{path} is none of what the server reads ({', '.join(('.wav', *PICTURES))}): convert it "
        "to 16-bit WAV, JPEG or PNG."
    )


def _told(found: Match, place: int) -> str:
    """Returns what is said of a candidate: cosine, and where they are known the other two."""
    words = [f"{found.scores[place]:.4f}"]
    if found.probability is not None:
        words.append(f"{found.probability[place]:.3f}")
    if found.matched is not None:
        words.append("match" if found.matched[place] else "not sure")
    return " ".join(words)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command; returns 0, or 2 and a sentence on stderr."""
    parser = argparse.ArgumentParser(description="Ask an export of tfav behind TensorFlow Serving.")
    parser.add_argument("--url", required=True, help="such as http://localhost:8501")
    parser.add_argument("--model", required=True)
    parser.add_argument("--version", type=int)
    parser.add_argument("--timeout_seconds", type=float, default=30.0)
    parser.add_argument("--retries", type=int, default=5)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("status", help="versions and their states")
    commands.add_parser("metadata", help="signatures")
    embed = commands.add_parser("embed", help="one line of JSON per .wav, .jpg or .png")
    embed.add_argument("files", nargs="+")
    match = commands.add_parser("match", help="candidates by their cosine to the probe")
    match.add_argument("probe")
    match.add_argument("candidates", nargs="+")
    pairs = commands.add_parser("pairs", help="how well a .wav belongs to each .jpg or .png")
    pairs.add_argument("wav")
    pairs.add_argument("images", nargs="+")
    options = parser.parse_args(argv)
    try:
        client = Client(
            options.url, options.model, options.version, options.timeout_seconds, options.retries
        )
        if options.command == "embed":
            for path in options.files:
                print(json.dumps({"file": path, "embedding": _embed_file(client, path)}))
        elif options.command == "match":
            probe = _embed_file(client, options.probe)
            candidates = [_embed_file(client, path) for path in options.candidates]
            found = client.match(probe, candidates)
            for place in sorted(
                range(len(candidates)), key=lambda k: found.scores[k], reverse=True
            ):
                print(_told(found, place), options.candidates[place])
            if found.probability is None:
                print("no probability: the served model holds no calibration", file=sys.stderr)
        elif options.command == "pairs":
            for path in options.images:
                pair = client.score_pairs(options.wav, path)
                print(json.dumps({"image": path, **pair._asdict()}))
        else:
            print(json.dumps(getattr(client, options.command)(), indent=2))
    except ServingError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def run() -> None:
    """Is the console command."""
    sys.exit(main())


if __name__ == "__main__":
    run()
