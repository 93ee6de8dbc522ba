"""The rows that `test_encoders` walks: what it must know of each, and small encoders to test."""

import dataclasses
import functools
import hashlib

import numpy as np
import pytest

from tests.conformance import walk
from tfav import weights
from tfav.encoders import by_kind
from tfav.ops import precision

EMBEDDING_SIZE = 16


@dataclasses.dataclass(frozen=True)
class Expected:
    """What the tests must know of an encoder.

    Attributes:
      arguments: of its constructor, to make it as small as it allows.
      convert: whether it is converted to TFLite here: seconds for a small one.
      runs_in: name of the row that has all of its code, and so takes the slow tests for both.
    """

    arguments: dict = dataclasses.field(default_factory=dict)
    convert: bool = True
    runs_in: str = ""


AUDIO = {
    "tiny": Expected(),
    "mobile_speakernet": Expected(),
    "thin_resnet34": Expected(convert=False),  # tests/export/test_tflite.py does
    "resnet18": Expected(),
    "resnet34_se_sap": Expected(runs_in="resnet34_se_asp"),
    "resnet34_se_asp": Expected(),
    "vggish": Expected(),
    "ecapa_tdnn": Expected({"channels": 128}),
    "ecapa_tdnn_512": Expected({"channels": 128}, runs_in="ecapa_tdnn"),
}
# IR nets at 16 x 16, where the last map is one position: the same weights but for `fc`. The ResNets
# keep 2 x 2: norms in training divide by the spread of what little there is.
IMAGE = {
    "tiny": Expected({"image_size": 32}),
    "tiny_map": Expected({"image_size": 16}),
    "mobile_facenet": Expected({"image_size": 64}),
    "ir50": Expected({"image_size": 16}, runs_in="ir_se50"),
    "ir_se50": Expected({"image_size": 16}),
    "resnet18": Expected({"image_size": 64}, convert=False),  # the trunk of sound's does
    "resnet34": Expected({"image_size": 64}, runs_in="resnet18"),
    "vgg16": Expected({"image_size": 32}),
    "resnet50_keras": Expected({"image_size": 64}, runs_in="mobilenet_v3_small"),
    "efficientnet_b0": Expected({"image_size": 64}, runs_in="mobilenet_v3_small"),
    "mobilenet_v2": Expected({"image_size": 64}, runs_in="mobilenet_v3_small"),
    "mobilenet_v3_large": Expected({"image_size": 64}, runs_in="mobilenet_v3_small"),
    "mobilenet_v3_small": Expected({"image_size": 64}),
}
ARRAY = {  # of sequences: tests/encoders/test_array.py
    "tiny": Expected({"size": 6}),
    "linear": Expected({"size": 6}),
    "mlp": Expected({"size": 6, "width": 12}),
    "attentive_pooling": Expected({"size": 6, "sequence": True}),
}
KNOWN = {"audio": AUDIO, "image": IMAGE, "array": ARRAY}
TABLES = {kind: (table, KNOWN.get(kind, {})) for kind, table in by_kind.ENCODERS.items()}
ROWS = [(kind, name) for kind, (table, known) in TABLES.items() for name in walk.rows(table, known)]


def parametrize(rows):
    return pytest.mark.parametrize("row", rows, ids="-".join)


def expected(row):
    kind, name = row
    return TABLES[kind][1][name]


every = parametrize(ROWS)
sounds = parametrize([row for row in ROWS if row[0] == "audio"])
images = parametrize([row for row in ROWS if row[0] == "image"])
slow = parametrize([row for row in ROWS if not expected(row).runs_in])
converted = parametrize([r for r in ROWS if expected(r).convert and not expected(r).runs_in])


def make(kind, name, seed=1):
    arguments = expected((kind, name)).arguments
    return TABLES[kind][0][name](embedding_size=EMBEDDING_SIZE, seed=seed, **arguments)


def noise(*shape, seed=0):
    """Uniform in [-1, 1], float32."""
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


def batch(encoder, rows, samples=3200, seed=0):
    """Clips of `samples` samples, images, or vectors."""
    if encoder.modality == "audio":
        return noise(rows, samples, seed=seed)
    if encoder.modality == "array":
        return noise(rows, *((5,) if encoder.sequence else ()), encoder.size, seed=seed)
    side = encoder.image_size
    return np.random.default_rng(seed).integers(0, 256, [rows, side, side, 3], np.uint8)


def as_if_trained(encoder):
    """Fresh norms shift nothing, which hides a missing mask or weight: gives all of them a value.

    Biases are positive, so that the few ReLUs of a squeeze-excite gate are not all dead.
    """
    random = np.random.default_rng(5)
    for name, variable in weights.named_weights(encoder, "x").items():
        if name.endswith(("beta", "moving_mean")):
            variable.assign(random.normal(0.0, 0.3, variable.shape))
        elif name.endswith(("gamma", "moving_variance", "bias")):
            variable.assign(random.uniform(0.5, 1.5, variable.shape))


def sha256(layer):
    """Hash of the names, types, shapes and values of all weights."""
    digest = hashlib.sha256()
    for name, variable in sorted(weights.named_weights(layer, "x").items()):
        value = variable.numpy()
        digest.update(name.encode() + str((value.dtype.str, value.shape)).encode())
        digest.update(value.tobytes())
    return digest.hexdigest()


@functools.cache
def fresh(row):
    """A new encoder and the hash of its initial weights; `trained` gives it others."""
    encoder = make(*row)
    return encoder, sha256(encoder)


@functools.cache
def trained(row):
    """The encoder that the tests share: none of them may leave it changed."""
    encoder, _ = fresh(row)
    as_if_trained(encoder)
    return encoder


@functools.cache
def doubled(row):
    """The encoder in float64 that tests share, and its initial values by name."""
    with precision.policy("float64"):
        encoder = make(*row)
    return encoder, {n: v.numpy() for n, v in weights.named_weights(encoder, "x").items()}


@functools.cache
def halved(row):
    """The encoder in bfloat16 that tests share, who give it the weights they need."""
    with precision.policy("mixed_bfloat16"):
        return make(*row)
