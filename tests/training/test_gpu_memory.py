"""How much of a GPU's memory a process takes; no GPU is needed to see what TensorFlow is told."""

import pytest
import tensorflow as tf

from tfav.training import gpu_memory


@pytest.fixture
def told(monkeypatch) -> list:
    """What TensorFlow is told of two cards of 80 and 40 GiB."""
    found: list = []
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [f"{kind}:0", f"{kind}:1"])
    monkeypatch.setattr(gpu_memory, "total_bytes", lambda number: (80 << 30, 40 << 30)[number])
    monkeypatch.setattr(
        tf.config.experimental, "set_memory_growth", lambda *given: found.append(given)
    )
    monkeypatch.setattr(
        tf.config,
        "set_logical_device_configuration",
        lambda device, parts: found.append((device, [part.memory_limit for part in parts])),
    )
    return found


def test_memory_grows_unless_a_share_is_named(told):
    gpu_memory.limit(None)
    assert told == [("GPU:0", True), ("GPU:1", True)]


def test_a_share_is_of_each_card_in_mebibytes(told):
    gpu_memory.limit(0.25)
    assert told == [("GPU:0", [20 * 1024]), ("GPU:1", [10 * 1024])]
