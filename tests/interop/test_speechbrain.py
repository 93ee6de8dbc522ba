"""SpeechBrain's ECAPA-TDNN becomes our encoder: equal embeddings of the same sound."""

import numpy as np
import pytest

from tests.conformance import encoder_rows
from tfav import registry, weights
from tfav.encoders import ecapa
from tfav.interop import initial_weights, speechbrain, torch_file
from tfav.layers import speechbrain_fbank

CHANNELS = 128


@pytest.fixture(scope="module")
def torch():
    """PyTorch, an optional extra."""
    reason = "PyTorch is the twin of this test: pip install 'tfav[torch]'"
    return pytest.importorskip("torch", reason=reason)


@pytest.fixture(scope="module")
def twin(torch):
    from tests.interop import torch_ecapa

    return torch_ecapa.seeded(CHANNELS)


@pytest.fixture(scope="module")
def path(torch, twin, tmp_path_factory):
    found = str(tmp_path_factory.mktemp("speechbrain") / "embedding_model.ckpt")
    torch.save(twin.state_dict(), found)
    return found


def sounds():
    """Noise whose second half is 110 decibels softer: some of it lies below the kept range."""
    clips = encoder_rows.noise(2, 8000)
    clips[:, 4000:] *= 10**-5.5
    return clips


def test_the_front_end_is_speechbrains(torch):
    from tests.interop import torch_ecapa

    expected = torch_ecapa.fbank(torch.from_numpy(sounds())).numpy()
    assert expected.std() > 10
    for form in ("stft", "conv"):
        found, _ = speechbrain_fbank.SpeechBrainFbank(form=form)(sounds())
        np.testing.assert_allclose(found, expected, atol=2e-2)


def test_embeddings_of_the_file_are_the_twins(torch, twin, path):
    from tests.interop import torch_ecapa

    encoder = ecapa.ECAPATDNN(channels=CHANNELS)
    initial_weights.load(encoder, path)
    clips = sounds()
    with torch.no_grad():
        features = torch_ecapa.fbank(torch.from_numpy(clips))
        expected = twin(features).numpy()
    assert expected.shape == (2, 192)
    error = np.abs(encoder(clips) - expected).max()
    assert error < 1e-3 * np.abs(expected).max(), error
    # From the same features: the network alone, with clips that end within the batch.
    frames = np.array(features)
    feature_map, valid = encoder.frames_to_map(frames, None, False)
    error = np.abs(encoder.pool(feature_map, valid, False) - expected).max()
    assert error < 1e-4 * np.abs(expected).max(), error
    valid = (np.arange(frames.shape[1]) < 20).astype(np.float32)[None, :, None, None]
    masked = encoder.pool(
        *encoder.frames_to_map(frames, np.tile(valid, [2, 1, 1, 1]), False), False
    )
    with torch.no_grad():
        expected = twin(torch.from_numpy(frames[:, :20])).numpy()
    assert np.abs(masked - expected).max() < 1e-4 * np.abs(expected).max()


def test_every_weight_is_taken_and_every_name_is_known(twin):
    encoder = ecapa.ECAPATDNN(channels=CHANNELS)
    theirs = {n for n in twin.state_dict() if not n.endswith("num_batches_tracked")}
    ours = {speechbrain.name_of(n[2:]) for n in weights.named_weights(encoder, "x")}
    assert theirs - ours == {"asp.conv.conv.bias"} and not ours - theirs


def test_another_size_of_embedding_has_a_fresh_projection(path):
    encoder = ecapa.ECAPATDNN(16, channels=CHANNELS)
    before = encoder.projection[0].kernel.numpy()
    initial_weights.load(encoder, path)
    np.testing.assert_array_equal(encoder.projection[0].kernel, before)


def test_misfits_are_named_and_change_nothing(path):
    entries = torch_file.read(path)
    encoder = ecapa.ECAPATDNN(channels=CHANNELS)
    before = {n: v.numpy() for n, v in weights.named_weights(encoder, "x").items()}
    del entries["mfa.conv.conv.weight"]
    entries["fc.conv.bias"] = np.full(192, np.nan, np.float32)
    entries["blocks.1.tdnn1.conv.conv.bias"] = np.zeros(3, np.float32)
    entries["blocks.9.bias"] = np.zeros(1, np.float32)
    with pytest.raises(registry.UserError) as error:
        speechbrain.assign(encoder, entries, "e.ckpt")
    text = str(error.value)
    assert "e.ckpt does not fit ecapa_tdnn of 128 channels" in text
    assert "1 missing (mfa.conv.conv.weight)" in text and "1 surplus (blocks.9.bias)" in text
    assert "blocks.1.tdnn1.conv.conv.bias is [3], not [128]" in text
    assert "fc.conv.bias is not finite" in text
    for name, variable in weights.named_weights(encoder, "x").items():
        np.testing.assert_array_equal(variable, before[name])


def test_a_file_of_512_channels_names_its_row(path):
    entries = torch_file.read(path)
    entries["blocks.0.norm.norm.weight"] = np.zeros(512, np.float32)
    with pytest.raises(registry.UserError, match="audio.encoder=ecapa_tdnn_512"):
        speechbrain.assign(ecapa.ECAPATDNN(channels=CHANNELS), entries, "e.ckpt")


def test_another_front_end_is_warned_of(path, caplog):
    encoder = ecapa.ECAPATDNN(channels=CHANNELS, frontend={"num_mels": 80})
    with caplog.at_level("WARNING"):
        initial_weights.load(encoder, path)
    assert "this front-end is a LogMel: give c.audio.frontend the kind" in caplog.text
