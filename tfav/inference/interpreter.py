"""The interpreter of `.tflite` files: LiteRT's, or TensorFlow 2.15's own where that is missing."""

import contextlib
import os
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from typing import Any

_NOTE = b"INFO: "
_has_noted = threading.Event()


def make(path: str | None = None, content: bytes | None = None) -> Any:
    """Returns a single-threaded interpreter; with LiteRT, TensorFlow is not imported.

    Args:
      path: a `.tflite` file, or
      content: the bytes of one.
    """
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        import tensorflow as tf

        Interpreter = tf.lite.Interpreter  # noqa: N806 (a class)
    return Interpreter(model_path=path, model_content=content, num_threads=1)


def name(interpreter: Any) -> str:
    """Returns which interpreter that is, and its version."""
    if type(interpreter).__module__.startswith("ai_edge_litert"):
        import importlib.metadata

        return f"ai-edge-litert {importlib.metadata.version('ai-edge-litert')}"
    import tensorflow as tf

    return f"tf.lite of TensorFlow {tf.__version__}"


def run(runner: Any, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Runs a signature; what the runtime notes of itself, once in a process, goes nowhere.

    Args:
      runner: of `get_signature_runner`.
      inputs: name to array.
    """
    if _has_noted.is_set():
        return runner(**inputs)
    with _without_notes():
        answer = runner(**inputs)
    _has_noted.set()
    return answer


@contextlib.contextmanager
def _without_notes() -> Iterator[None]:
    """Lets all pass that the block writes to the console but for notes.

    They come from C++, which no flag of the runtime keeps from it.
    """
    sys.stderr.flush()
    try:
        console = os.dup(2)
    except OSError:  # there is none
        yield
        return
    with tempfile.TemporaryFile() as kept:
        os.dup2(kept.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(console, 2)
            os.close(console)
            kept.seek(0)
            for line in kept:
                if not line.startswith(_NOTE):
                    os.write(2, line)
