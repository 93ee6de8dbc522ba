"""The architectures against the authors' PyTorch code: seeded weights, real speech and faces.

The numbers hold real people, so they live outside the repository: TFAV_REAL_DATA leads to them.
The same through a PyTorch file: `tests/export/test_pytorch.py`.
"""

import numpy as np
import pytest

from tests import released as released_weights
from tfav.encoders import audio, image
from tfav.interop import pytorch
from tfav.layers import frontend, spectrograms


@pytest.fixture(scope="module")
def released(real_data):
    path = real_data.parent / "golden" / "torch_encoders.npz"
    if not path.is_file():
        pytest.skip("no torch_encoders.npz beside the real data")
    return dict(np.load(path))


def relative(actual, expected) -> float:
    return float(np.abs(np.asarray(actual) - expected).max() / np.abs(expected).max())


@pytest.mark.parametrize("form", frontend.FORMS)
def test_log_mel_equals_the_released_front_end(released, form):
    waveform = released["waveform_int16"].astype(np.float32) / 32768
    layer = spectrograms.LogMel(amplitude=32768.0, instance_norm=False, form=form)
    log_mel, _ = layer(waveform)
    np.testing.assert_allclose(
        np.transpose(log_mel, (0, 2, 1)), released["log_mel"], rtol=0, atol=1e-3
    )


def test_thin_resnet34_is_the_released_voice_network(released):
    encoder = audio.ThinResNet34(frontend={"amplitude": 32768.0})
    pytorch.assign(encoder, released_weights.seeded("audio"), "the seeded weights")
    waveform = released["waveform_int16"].astype(np.float32) / 32768
    features = encoder.features(encoder.feature_map(waveform))
    assert relative(features, released["voice_backbone"]) < 1e-3
    assert relative(encoder(waveform), released["voice_embedding"]) < 1e-3


def test_ir50_is_the_released_face_network(released):
    encoder = image.IR50()
    pytorch.assign(encoder, released_weights.seeded("image"), "the seeded weights")
    features = encoder.features(encoder.feature_map(released["image_rgb"]))
    assert relative(features, released["face_backbone"]) < 1e-3
    assert relative(encoder(released["image_rgb"]), released["face_embedding"]) < 1e-3
