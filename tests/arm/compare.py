"""Runs every `.tflite` of an export on an emulated ARM processor and on the oldest runtime.

    python -m tests.arm.compare EXPORT FOLDER

Made-up inputs, the same for all. Prints for each file how far its answers are from those of x86-64
and ai-edge-litert. FOLDER is made by `set_up.sh` on first use. Exit code 1: an answer too far away,
2: no export; 0, with a sentence, where the machine cannot do it.
"""

import fcntl
import importlib.metadata
import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

HERE = pathlib.Path(__file__).parent
TRIALS = 2
DYNAMIC_SAMPLES = 16_000  # of a clip whose length the file leaves open
MIN_COSINE = 0.9999
MIN_COSINE_INT8 = 0.999
OLDEST = (2, 14, 0)
REFUSED = 4  # exit code of answers.py

Arrays = dict[str, np.ndarray]


class Line(NamedTuple):
    """What is printed of a file on a runtime; without numbers where it gave no answer."""

    file: str
    runtime: str
    verdict: str  # `ok`, or why it has no numbers, or what is wrong
    good: bool
    max_abs_diff: float | None = None
    cosine: float | None = None


def main(export: str, folder: str) -> int:
    files = sorted(pathlib.Path(export).glob("*.tflite"))
    if not files:
        print(f"{export} holds no .tflite: run make demo, or name another export with EXPORT=.")
        return 2
    reason = set_up(folder)
    if reason:
        print(f"skipped: {reason}")
        return 0
    lines = list(compare(files, pathlib.Path(folder).resolve()))
    print(f"{'file':<28} {'runtime':<24} {'max abs diff':>12} {'cosine':>10}  verdict")
    for line in lines:
        diff = "" if line.max_abs_diff is None else f"{line.max_abs_diff:.1e}"
        cosine = "" if line.cosine is None else f"{line.cosine:.7f}"
        print(f"{line.file:<28} {line.runtime:<24} {diff:>12} {cosine:>10}  {line.verdict}")
    if not (pathlib.Path(folder) / "oldest").exists():
        print("tflite-runtime 2.14 was left out: pip has none for this Python (it ends at 3.11).")
    return 0 if all(line.good for line in lines) else 1


def set_up(folder: str) -> str:
    """Returns why the emulator cannot be had, or nothing once it stands in `folder`."""
    try:
        litert = importlib.metadata.version("ai-edge-litert")
    except importlib.metadata.PackageNotFoundError:
        return "this environment has no ai-edge-litert (the addons line has none) to compare with."
    command = ["sh", str(HERE / "set_up.sh"), folder, sys.executable, litert]
    os.makedirs(os.path.dirname(os.path.abspath(folder)), exist_ok=True)
    with open(f"{folder}.lock", "w") as lock:  # other tests of the same run want it too
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        return (done.stderr.strip().splitlines() or [f"set_up.sh gave {done.returncode}."])[-1]
    return ""


def compare(files: list[pathlib.Path], folder: pathlib.Path) -> Iterator[Line]:
    """Yields a line for each file and runtime, in that order.

    Args:
      files: `.tflite` files with signatures.
      folder: what `set_up.sh` made.
    """
    arm = [str(folder / "qemu-aarch64"), "-L", str(folder / "arm64")]
    arm.append(str(folder / "arm64/usr/bin/python3"))
    runtimes = {"aarch64 ai-edge-litert": (arm, "wheels", "ai_edge_litert.interpreter")}
    if (folder / "oldest").exists():
        # -S: of this environment's packages, none may stand in for its own.
        old = ([sys.executable, "-S"], "oldest", "tflite_runtime.interpreter")
        runtimes["x86-64 tflite-runtime"] = old
    for path in files:
        needs = min_runtime(path.read_bytes())
        with tempfile.TemporaryDirectory() as scratch:
            inputs = os.path.join(scratch, "inputs.npz")
            np.savez(inputs, **made_up(path))

            def answers(command: list[str], packages: str | None, runtime: str):
                return _run(command, packages, [runtime, str(path), inputs], scratch)  # noqa: B023

            expected = answers([sys.executable], None, "ai_edge_litert.interpreter")
            for name, (command, packages, runtime) in runtimes.items():
                found = answers(command, str(folder / packages), runtime)
                yield judge(path.name, name, found, expected, needs if "x86" in name else None)


def judge(
    file: str,
    runtime: str,
    found: Arrays | str,
    expected: Arrays | str,
    needs: tuple[int, ...] | None = None,
) -> Line:
    """Returns the line of a file on a runtime.

    Args:
      file: its name, which says whether it is int8.
      runtime: what is printed of it.
      found: its answers, or why there are none.
      expected: those of x86-64 and ai-edge-litert.
      needs: the oldest runtime that the file says it runs on, where `runtime` is `OLDEST`.
    """
    if isinstance(expected, str):
        return Line(file, runtime, f"x86-64 gives no answer: {expected}", False)
    if isinstance(found, str):
        newer = needs is not None and needs > OLDEST
        if newer:
            return Line(file, runtime, f"refused, as it should: needs {_dotted(needs)}", True)
        return Line(file, runtime, f"no answer: {found}", False)
    diffs, cosines = [], []
    for name, value in expected.items():
        one, other = found[name].ravel().astype(np.float64), value.ravel().astype(np.float64)
        diffs.append(np.abs(one - other).max())
        with np.errstate(invalid="ignore"):  # all zeros: NaN
            cosines.append(one @ other / (np.linalg.norm(one) * np.linalg.norm(other)))
    far, cosine = float(np.max(diffs)), float(np.min(cosines))  # of NaN, NaN: not so max and min
    least = MIN_COSINE_INT8 if "_int8" in file else MIN_COSINE
    good = cosine >= least  # NaN is not
    verdict = "ok" if good else f"below {least}"
    if good and needs is not None and needs > OLDEST:
        verdict += f", though it says it needs {_dotted(needs)}"
    return Line(file, runtime, verdict, good, far, cosine)


def made_up(path: pathlib.Path) -> Arrays:
    """Returns inputs for every signature of a file, `signature/trial/name` to array."""
    from ai_edge_litert import interpreter

    loaded = interpreter.Interpreter(str(path))
    random = np.random.default_rng(0)
    found = {}
    for signature in loaded.get_signature_list():
        details = loaded.get_signature_runner(signature).get_input_details()
        for trial in range(TRIALS):
            clip = DYNAMIC_SAMPLES
            for name, tensor in details.items():
                shape = [int(n) for n in tensor["shape_signature"]]
                shape = [1 if i == 0 else n for i, n in enumerate(shape)]
                if tensor["dtype"] == np.uint8:
                    found[f"{signature}/{trial}/{name}"] = _picture(shape, random)
                elif tensor["dtype"] == np.float32:
                    clip = shape[1] if shape[1] > 0 else DYNAMIC_SAMPLES
                    found[f"{signature}/{trial}/{name}"] = _sound(clip, random)[np.newaxis]
            if "num_samples" in details:  # all of the clip, then three quarters of it
                sound = clip - trial * clip // 4
                found[f"{signature}/{trial}/num_samples"] = np.array([sound], np.int32)
    return found


def min_runtime(content: bytes) -> tuple[int, ...]:
    """Returns the oldest runtime that a file says it runs on; () where it does not say."""
    from ai_edge_litert import schema_py_generated

    model = schema_py_generated.ModelT.InitFromPackedBuf(content, 0)
    for entry in model.metadata or ():
        if entry.name == b"min_runtime_version":
            text = bytes(model.buffers[entry.buffer].data).decode().strip("\0")
            return tuple(int(part) for part in text.split("."))
    return ()


def _run(command: list[str], packages: str | None, arguments: list[str], scratch: str):
    """Returns the answers of `answers.py` under an interpreter, or why there are none."""
    outputs = os.path.join(scratch, "outputs.npz")
    environment: Mapping[str, str] = {**os.environ, "PYTHONNOUSERSITE": "1"}
    if packages:
        environment = {**environment, "PYTHONPATH": packages}
    command = [*command, str(HERE / "answers.py"), *arguments, outputs]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return reason if done.returncode == REFUSED else f"exit code {done.returncode}, {reason}"
    with np.load(outputs) as file:
        return {name: file[name] for name in file.files}


def _sound(samples: int, random: np.random.Generator) -> np.ndarray:
    """Returns a few harmonics that swell and fade over noise, [samples] float32."""
    time = np.arange(samples) / 16_000
    pitch = random.uniform(90, 250)
    waves = sum(np.sin(2 * np.pi * pitch * k * time) / k for k in range(1, 12))
    swell = 0.5 + 0.5 * np.sin(2 * np.pi * 3 * time)
    return (0.1 * swell * waves + 0.01 * random.normal(size=samples)).astype(np.float32)


def _picture(shape: list[int], random: np.random.Generator) -> np.ndarray:
    """Returns patches of colour, [..., H, W, 3] uint8."""
    height, width = shape[-3:-1]
    coarse = random.integers(0, 256, [*shape[:-3], 8, 8, 3])
    rows, columns = np.arange(height) * 8 // height, np.arange(width) * 8 // width
    return coarse[..., rows[:, None], columns[None, :], :].astype(np.uint8)


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
