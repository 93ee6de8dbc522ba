"""Two CPU devices for every test process, and where the numbers to compare with lie."""

import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests import forked

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)

GOLDEN = pathlib.Path(__file__).parent / "golden"

# Those that take longest begin, so that no worker is left with one at the end.
LONGEST = (
    "test_readme.py",
    "test_notebooks.py",
    "test_resume.py",
    "test_binaries.py",
    "test_integrity.py",
    "test_replica_matrix.py",
    "test_replicas.py",
    "test_two_workers.py",
    "test_chaos.py",
    "test_hostile.py",
    "test_bad_records.py",
    "test_quantize.py",
    "test_out_of_tree.py",
    "test_encoders.py",
    "test_compare.py",
    "test_cases.py",
    "test_classify.py",
    "test_localize.py",
    "test_model.py",
    "test_page.py",
    "test_hearing.py",
    "test_encoder_formats.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Orders files for `--dist loadfile --no-loadscope-reorder`."""
    order = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path.name, len(order)))


@pytest.fixture
def golden():
    """Loads `tests/golden/NAME`: numbers that the authors' released code gave."""
    return lambda name: dict(np.load(GOLDEN / name))


@pytest.fixture(scope="session")
def forks(tmp_path_factory) -> forked.Server:
    """Runs commands in forks of a process that has imported TensorFlow."""
    server = forked.Server(tmp_path_factory.mktemp("forks"))
    yield server
    server.close()


@pytest.fixture(scope="session")
def real_data() -> pathlib.Path:
    """The folder of real recordings and photographs that TFAV_REAL_DATA names; skips without it."""
    folder = os.environ.get("TFAV_REAL_DATA")
    if not folder or not pathlib.Path(folder).is_dir():
        pytest.skip("TFAV_REAL_DATA names no folder of real recordings")
    return pathlib.Path(folder)


@pytest.fixture
def float64():
    """Makes what the test builds compute in float64, where no rectifier switches by rounding."""
    keras.mixed_precision.set_global_policy("float64")
    yield
    keras.mixed_precision.set_global_policy("float32")


@pytest.fixture(scope="session")
def mirrored() -> tf.distribute.Strategy:
    """Two replicas on the two CPU devices.

    What they exchange goes through the first one: the default compiles a function for every eager
    exchange. Runs have the default, and so have tests/training/steps.py and matrix.py.
    """
    exchange = tf.distribute.ReductionToOneDevice()
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"], cross_device_ops=exchange)
