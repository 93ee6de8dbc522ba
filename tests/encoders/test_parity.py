"""The architectures against the authors' PyTorch code: seeded weights, real speech and faces.

The numbers hold real people, so they live outside the repository: TFAV_REAL_DATA leads to them.
"""

import json
import pathlib
import re

import numpy as np
import pytest

from tfav import weights
from tfav.encoders import audio, image
from tfav.layers import audio as front_end

KEYS = pathlib.Path(__file__).parents[1] / "golden" / "torch_state_dict_keys.json"

# PyTorch name -> our name, first match of each pattern, in this order.
VOICE = (
    (r"^model\.attention$", "sap/context/kernel"),
    (r"^model\.sap_linear\.", "sap/linear/"),
    (r"^fc\.0\.", "tail/bn/"),
    (r"^fc\.2\.", "tail/dense/"),
    (r"^model\.", ""),
    (r"se\.fc\.0\.", "se/squeeze/"),
    (r"se\.fc\.2\.", "se/excite/"),
)
FACE = (
    (r"^fc\.0\.", "tail/bn/"),
    (r"^fc\.2\.", "tail/dense/"),
    (r"^model\.input_layer\.0\.", "conv1/"),
    (r"^model\.input_layer\.1\.", "bn1/"),
    (r"^model\.input_layer\.2\.weight", "prelu/alpha"),
    (r"^model\.output_layer\.0\.", "bn2/"),
    (r"^model\.output_layer\.3\.", "fc/"),
    (r"^model\.output_layer\.4\.", "bn3/"),
    (r"^model\.", ""),
    (r"res_layer\.0\.", "bn1/"),
    (r"res_layer\.1\.", "conv1/"),
    (r"res_layer\.2\.weight", "prelu/alpha"),
    (r"res_layer\.3\.", "conv2/"),
    (r"res_layer\.4\.", "bn2/"),
    (r"shortcut_layer\.", "shortcut/"),
)


def our_name(name: str, patterns, ours) -> str:
    for pattern, replacement in patterns:
        name = re.sub(pattern, replacement, name)
    name = name.replace(".", "/")
    name = name.replace("running_mean", "moving_mean").replace("running_var", "moving_variance")
    stem = name.rsplit("/", 1)[0]
    if name.endswith("/weight"):
        return f"{stem}/kernel" if f"{stem}/kernel" in ours else f"{stem}/gamma"
    if name.endswith("/bias") and name not in ours:
        return f"{stem}/beta"
    return name


def seeded(shapes: dict[str, list[int]]) -> dict[str, np.ndarray]:
    """The rule of golden/README.md; the buffers named here only count as entries."""
    buffers = [name.replace("running_var", "num_batches_tracked") for name in shapes]
    names = set(shapes) | {name for name in buffers if name.endswith("num_batches_tracked")}
    if "model.attention" in shapes:
        names |= {"model.torchfb.fb", "model.torchfb.win"}
    values = {}
    for i, name in enumerate(sorted(names)):
        if name not in shapes:
            continue
        shape, random = shapes[name], np.random.RandomState(i)
        if name.endswith("running_var"):
            value = 1 + 0.5 * random.rand(*shape)
        elif name.endswith("running_mean"):
            value = 0.1 * random.randn(*shape)
        elif len(shape) >= 2:
            value = random.randn(*shape) / np.sqrt(np.prod(shape[1:]))
        elif name.endswith("weight"):
            value = 1 + 0.1 * random.randn(*shape)
        else:
            value = 0.1 * random.randn(*shape)
        values[name] = value.astype(np.float32)
    return values


def convert(kind: str, name: str, value: np.ndarray) -> np.ndarray:
    if name == "model.input_layer.0.weight":
        value = value[:, ::-1]  # they feed BGR
    if name == "model.output_layer.3.weight":  # they flatten channels first
        return value.reshape(512, 512, 7, 7).transpose(2, 3, 1, 0).reshape(-1, 512)
    if value.ndim == 4:  # [out, in, height, width]; their voice maps are frequency x time
        return value.transpose(3, 2, 1, 0) if kind == "voice" else value.transpose(2, 3, 1, 0)
    return value if name == "model.attention" else value.T


def load_seeded(encoder, kind: str, patterns) -> None:
    ours = {
        name.split("/", 1)[1]: variable
        for name, variable in weights.named_weights(encoder, "encoder").items()
        if not name.endswith("/calls")
    }
    for name, value in seeded(json.loads(KEYS.read_text())[kind]).items():
        variable = ours.pop(our_name(name, patterns, ours))
        variable.assign(convert(kind, name, value).reshape(variable.shape))
    assert not ours, f"no counterpart in the released network: {sorted(ours)}"


@pytest.fixture(scope="module")
def released(real_data):
    path = real_data.parent / "golden" / "torch_encoders.npz"
    if not path.is_file():
        pytest.skip("no torch_encoders.npz beside the real data")
    return dict(np.load(path))


def relative(actual, expected) -> float:
    return float(np.abs(np.asarray(actual) - expected).max() / np.abs(expected).max())


@pytest.mark.parametrize("form", front_end.FORMS)
def test_log_mel_equals_the_released_front_end(released, form):
    waveform = released["waveform_int16"].astype(np.float32) / 32768
    layer = front_end.LogMel(amplitude=32768.0, instance_norm=False, form=form)
    log_mel, _ = layer(waveform)
    np.testing.assert_allclose(
        np.transpose(log_mel, (0, 2, 1)), released["log_mel"], rtol=0, atol=1e-3
    )


def test_thin_resnet34_is_the_released_voice_network(released):
    encoder = audio.ThinResNet34(frontend={"amplitude": 32768.0})
    load_seeded(encoder, "voice", VOICE)
    waveform = released["waveform_int16"].astype(np.float32) / 32768
    features = encoder.features(encoder.feature_map(waveform))
    assert relative(features, released["voice_backbone"]) < 1e-3
    assert relative(encoder(waveform), released["voice_embedding"]) < 1e-3


def test_ir50_is_the_released_face_network(released):
    encoder = image.IR50()
    load_seeded(encoder, "face", FACE)
    features = encoder.features(encoder.feature_map(released["image_rgb"]))
    assert relative(features, released["face_backbone"]) < 1e-3
    assert relative(encoder(released["image_rgb"]), released["face_embedding"]) < 1e-3
