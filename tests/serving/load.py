"""Loads an export on loopback: latencies, throughput, a restart that loses nothing, flat memory.

    python -m tests.serving.load --export=exports/voice_face --clients=4 --seconds=60 --bad=0.01

Clients of `tfav.clients` ask the stand-in of TensorFlow Serving, in a process of its own, one
question after the other. A share of the requests is bad, drawn from a seed, and must be refused in
a sentence that says why, while all others get the answer of the direct call. After two thirds of
the time that process is killed, with questions in flight, and started again. Prints a table; exit
code 1 where a promise does not hold, 2 without an export. The stand-in is Python and does not
batch: its throughput is a lower bound, not that of TensorFlow Serving.
"""

import argparse
import dataclasses
import json
import pathlib
import random
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from tests.serving import bad_requests, sounds
from tfav import registry
from tfav.clients import client as client_lib
from tfav.inference import artefacts

ROOT = pathlib.Path(__file__).parents[2]

# Two runs of one graph, in float32.
TOLERANCE = 1e-5
# A leak of each request's body would be hundreds of MB in a minute.
GROWTH, GROWTH_BYTES = 0.1, 16e6
# What clients may need for an answer after warm-up, and each for one of the server that was started
# again.
PATIENCE_SECONDS = 60.0


@dataclasses.dataclass
class Question:
    """One request: through a client, and what the direct call answers."""

    ask: Callable[[Any], Any]
    direct: Callable[[], Any]
    expected: np.ndarray


@dataclasses.dataclass
class Call:
    """One answered request; seconds on the monotonic clock."""

    start: float
    end: float
    error: float


@dataclasses.dataclass
class Result:
    """What a run saw."""

    clients: int
    asked: int
    calls: list[Call]
    refused: int
    failures: list[str]
    warm: float
    killed: float
    back: float
    rss_before: int
    rss_after: int
    direct_per_second: float

    @property
    def steady(self) -> list[Call]:
        """Returns the calls between warm-up and restart."""
        return [c for c in self.calls if c.start >= self.warm and c.end <= self.killed]

    @property
    def outlasting(self) -> list[Call]:
        """Returns the calls that were under way when the server was killed."""
        return [c for c in self.calls if c.start <= self.killed < c.end]

    @property
    def per_second(self) -> float:
        """Returns the throughput between warm-up and restart."""
        return len(self.steady) / (self.killed - self.warm)


class Served:
    """The stand-in in a process of its own, which ends with this one; `start` keeps its port."""

    def __init__(self, export: str, name: str):
        self._command = [sys.executable, "-m", "tests.serving.loopback"]
        self._command += [f"--base={export}", f"--name={name}", "--with_parent"]
        self._process, self.port = None, 0
        self.start()

    def start(self) -> None:
        """Starts it and waits until it answers."""
        self._process = subprocess.Popen(
            [*self._command, f"--rest_port={self.port}"],
            cwd=ROOT,
            stdin=subprocess.PIPE,  # closed by the system, however this process ends
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.port = json.loads(self._process.stdout.readline() or "{}").get("rest_port")
        if not self.port:
            raise registry.UserError("the stand-in server did not start: run it by itself.")

    def kill(self) -> None:
        """Ends it at once, whatever it is doing."""
        with self._process:
            self._process.kill()

    def rss(self) -> int:
        """Returns the bytes of memory that it holds."""
        status = pathlib.Path(f"/proc/{self._process.pid}/status").read_text()
        (line,) = [line for line in status.splitlines() if line.startswith("VmRSS")]
        return 1024 * int(line.split()[1])


def questions(module) -> list[Question]:
    """Returns what to ask a loaded SavedModel: sounds of three lengths, pictures, matches."""
    found: list[Question] = []

    def add(ask, signature, output, **tensors):
        function = module.signatures[signature]
        values = {name: tf.constant(x) for name, x in tensors.items()}

        def direct(owner=module):  # the module owns the weights
            return function(**values)[output][0]

        found.append(Question(ask, direct, direct().numpy()))

    for seconds in (1, 2, 3):
        clip = sounds.clip(16_000 * seconds, seed=seconds)
        if "embed_wav" in module.signatures:
            wav = sounds.wav(clip)
            add(lambda c, wav=wav: c.embed_wav(wav), "embed_wav", "embedding", wav=[wav])
        elif "embed_audio" in module.signatures:
            inputs = {"waveform": clip[np.newaxis], "num_samples": np.array([len(clip)], np.int32)}
            add(lambda c, x=clip: c.embed_audio(x), "embed_audio", "embedding", **inputs)
    random = np.random.default_rng(0)
    if "embed_jpeg" in module.signatures:
        for _ in range(2):
            pixels = random.integers(0, 256, [96, 80, 3], np.uint8)
            jpeg = tf.io.encode_jpeg(pixels).numpy()
            add(lambda c, jpeg=jpeg: c.embed_jpeg(jpeg), "embed_jpeg", "embedding", jpeg=[jpeg])
    if "match" in module.signatures:
        size = len(found[0].expected)
        probe, *candidates = random.normal(size=[6, size]).astype(np.float32)
        inputs = {"probe": [probe], "candidates": [candidates]}
        add(lambda c: c.match(probe, candidates).scores, "match", "scores", **inputs)
    if not found:
        raise registry.UserError("the model embeds neither sound nor JPEG: name another --export.")
    return found


def refusal(request: bad_requests.BadRequest, client: client_lib.Client) -> str:
    """Sends a bad request; returns what is wrong with how it was refused, or ``."""
    try:
        answer = client.predict(request.signature, request.inputs)
    except client_lib.ServingError as error:
        if error.status == 400 and re.search(request.sentence, str(error)):
            return ""
        return f"a bad request to {request.signature} was refused by {error.status}: {error}"
    return f"a bad request to {request.signature} was answered: {str(answer)[:80]}"


def run(export: str, clients: int, seconds: float, bad: float = 0.0, seed: int = 0) -> Result:
    """Asks the export in folder `export` for about `seconds`, with a restart in between.

    Args:
      export: the folder.
      clients: how many ask at once.
      seconds: how long.
      bad: share of the requests that are bad.
      seed: of what is drawn.
    """
    numbers = artefacts.versions(export)
    if not numbers:
        raise registry.UserError(f"{export} holds no SavedModel: make demo publishes one.")
    module = tf.saved_model.load(f"{export}/{numbers[-1]}")
    asked_of = questions(module)
    signatures, size = set(module.signatures), len(asked_of[0].expected)
    direct = [_direct(asked_of, clients, seconds / 12)]
    served = Served(export, "load")
    stop = threading.Event()
    calls: list[list[Call]] = [[] for _ in range(clients)]
    asked, refused, failures = [0] * clients, [0] * clients, []

    def work(k: int) -> None:
        client = client_lib.Client(f"http://127.0.0.1:{served.port}", "load", retries=15)
        draw = random.Random(f"{seed}/{k}")
        while not stop.is_set():
            question = asked_of[(asked[k] + k) % len(asked_of)]
            asked[k] += 1
            if draw.random() < bad:
                wrong = refusal(bad_requests.drawn(draw, signatures, size), client)
                failures.extend([wrong] if wrong else [])
                refused[k] += not wrong
                continue
            start = time.monotonic()
            try:
                answer = question.ask(client)
            except client_lib.ServingError as error:
                failures.append(str(error))
                continue
            error = float(np.abs(np.array(answer) - question.expected).max())
            calls[k].append(Call(start, time.monotonic(), error))

    def steady() -> bool:
        return any(call.start >= warm for each in calls for call in list(each))

    def again() -> bool:
        return all(any(call.start > back for call in each) for each in list(calls))

    threads = [threading.Thread(target=work, args=[k]) for k in range(clients)]
    try:
        for question in asked_of:  # the first call of each signature is a hundred times slower
            question.ask(client_lib.Client(f"http://127.0.0.1:{served.port}", "load"))
        for thread in threads:
            thread.start()
        time.sleep(seconds / 6)
        warm, before = time.monotonic(), served.rss()
        time.sleep(seconds / 2)
        while not steady() and time.monotonic() < warm + PATIENCE_SECONDS:  # a busy machine
            time.sleep(0.1)
        after, killed = served.rss(), time.monotonic()
        served.kill()
        served.start()
        back = time.monotonic()
        time.sleep(max(seconds / 3 - (back - killed), 0.0))
        while not again() and time.monotonic() < back + PATIENCE_SECONDS:
            time.sleep(0.1)
    finally:
        stop.set()
        for thread in threads:
            if thread.ident:  # it was started
                thread.join()
        served.kill()
    direct.append(_direct(asked_of, clients, seconds / 12))  # others may have used the machine
    every = [call for each in calls for call in each]
    return Result(
        clients=clients,
        asked=sum(asked),
        calls=every,
        refused=sum(refused),
        failures=failures,
        warm=warm,
        killed=killed,
        back=back,
        rss_before=before,
        rss_after=after,
        direct_per_second=np.mean(direct),
    )


def _direct(asked_of: list[Question], clients: int, seconds: float) -> float:
    """Returns how many questions a second as many threads answer without a server."""
    deadline = time.monotonic() + seconds
    counts = [0] * clients

    def work(k: int) -> None:
        while time.monotonic() < deadline:
            asked_of[(counts[k] + k) % len(asked_of)].direct().numpy()
            counts[k] += 1

    threads = [threading.Thread(target=work, args=[k]) for k in range(clients)]
    start = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.monotonic() - start)


def broken(result: Result) -> list[str]:
    """Returns a sentence for each promise that does not hold."""
    found = []
    if result.failures:
        found.append(f"{len(result.failures)} calls failed, the first: {result.failures[0]}")
    lost = result.asked - len(result.calls) - result.refused - len(result.failures)
    if lost:
        found.append(f"{lost} of {result.asked} requests have no answer")
    wrong = [c.error for c in result.calls if not c.error <= TOLERANCE]
    if wrong:
        found.append(f"{len(wrong)} answers are up to {max(wrong):g} away from the direct call's")
    if not result.steady:
        found.append("no call was answered between warm-up and restart: give more seconds")
    if not result.outlasting:
        found.append("no call was under way when the server was killed: give more clients")
    if not any(c.start > result.back for c in result.calls):
        found.append("no call was answered by the server that was started again")
    grown = result.rss_after - result.rss_before
    if grown > GROWTH * result.rss_before + GROWTH_BYTES:
        found.append(f"the server's memory grew by {grown / 1e6:.0f} MB under steady load")
    return found


def table(result: Result) -> str:
    """Returns what was measured, a row each, as Markdown."""
    rows = [("requests, answers", f"{result.asked}, {len(result.calls)}")]
    wrong = sum(not call.error <= TOLERANCE for call in result.calls)  # NaN too
    rows += [
        ("bad requests, all refused in a sentence", str(result.refused)),
        ("wrong answers", str(wrong)),
        ("errors", str(len(result.failures))),
    ]
    if result.steady:
        latencies = 1e3 * np.array([c.end - c.start for c in result.steady])
        rows += [(f"latency p{p}, ms", f"{np.percentile(latencies, p):.1f}") for p in (50, 95, 99)]
    ratio = result.per_second / result.direct_per_second
    rows += [
        (f"answers a second, {result.clients} clients", f"{result.per_second:.1f}"),
        (f"direct calls a second, {result.clients} threads", f"{result.direct_per_second:.1f}"),
        ("ratio", f"{ratio:.2f}"),
        ("restart, s without a server", f"{result.back - result.killed:.1f}"),
        ("requests under way when it was killed", str(len(result.outlasting))),
        ("server's memory before, after, MB", _mb(result.rss_before, result.rss_after)),
    ]
    if result.calls:
        largest = max(c.error for c in result.calls)
        rows += [("largest difference from the direct call", f"{largest:.1e}")]
    return "\n".join(["| what | value |", "|---|---|", *(f"| {a} | {b} |" for a, b in rows)])


def _mb(*sizes: int) -> str:
    return ", ".join(f"{size / 1e6:.0f}" for size in sizes)


def main(argv: list[str] | None = None) -> int:
    """Runs, prints the table, and says which promise does not hold."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--export", default="exports/voice_face")
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--bad", type=float, default=0.01, help="share of bad requests")
    parser.add_argument("--seed", type=int, default=0, help="of which are bad")
    options = parser.parse_args(argv)
    try:
        result = run(options.export, options.clients, options.seconds, options.bad, options.seed)
    except registry.UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except client_lib.ServingError as error:
        print(f"broken: a first call failed: {error}", file=sys.stderr)
        return 1
    print(table(result))
    sentences = broken(result)
    for sentence in sentences:
        print(f"broken: {sentence}", file=sys.stderr)
    return 1 if sentences else 0


if __name__ == "__main__":
    sys.exit(main())
