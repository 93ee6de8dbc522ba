"""The interpreter of `.tflite` files: LiteRT's, or TensorFlow 2.15's own where that is missing."""

from typing import Any


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
