import keras
import numpy as np
import pytest
import tensorflow as tf

from tfav import compat
from tfav.layers import audio

SMALL = {"num_mels": 6, "frame_length_samples": 40, "frame_step_samples": 16, "fft_length": 64}


def noise(*shape, seed=0):
    return np.random.RandomState(seed).uniform(-1, 1, shape).astype(np.float32)


def twin(clip, num_mels, frame_length_samples, frame_step_samples, fft_length, instance_norm):
    """The naive loop over frames, bins and bands, float64, one clip that is sound to its end."""
    half, n = frame_length_samples // 2, len(clip)
    corners = 700 * (
        10 ** (np.linspace(0, 2595 * np.log10(1 + 8000 / 700), num_mels + 2) / 2595) - 1
    )
    rows = []
    for k in range(n // frame_step_samples + 1):
        frame = []
        for j in range(frame_length_samples):
            p = k * frame_step_samples - half + j
            while not 0 <= p < n:  # mirror until it falls inside
                p = -p if p < 0 else 2 * (n - 1) - p
            weight = 0.54 - 0.46 * np.cos(2 * np.pi * j / frame_length_samples)
            frame.append(weight * np.float64(clip[p]))
        power = np.abs(np.fft.rfft(frame, fft_length)) ** 2
        row = []
        for low, peak, high in zip(corners, corners[1:], corners[2:]):
            hz = np.arange(fft_length // 2 + 1) * 16000 / fft_length
            triangle = np.minimum((hz - low) / (peak - low), (high - hz) / (high - peak))
            row.append(np.log(np.sum(np.maximum(triangle, 0) * power) + 1e-6))
        rows.append(row)
    rows = np.array(rows)
    if instance_norm:
        rows = (rows - rows.mean(0)) / np.sqrt(rows.var(0) + 1e-5)
    return rows


@pytest.mark.parametrize("form", audio.FORMS)
@pytest.mark.parametrize("instance_norm", [True, False])
@pytest.mark.parametrize("length", [2, 15, 16, 61, 200])
def test_log_mel_equals_its_naive_twin(form, instance_norm, length):
    clip = noise(length, seed=length)
    expected = twin(clip, instance_norm=instance_norm, **SMALL)
    actual, num_frames = audio.LogMel(form=form, instance_norm=instance_norm, **SMALL)(clip[None])
    assert num_frames is None
    # A short clip's bands hardly vary and instance norm divides by that: hence the wider margin.
    np.testing.assert_allclose(actual[0], expected, rtol=0, atol=2e-3 if instance_norm else 1e-4)


def test_the_two_forms_agree_at_full_size():
    waveform = noise(2, 8000)
    stft, _ = audio.LogMel(form="stft")(waveform)
    conv, _ = audio.LogMel(form="conv")(waveform)
    assert stft.shape == (2, 51, 40)  # 8000 // 160 + 1
    np.testing.assert_allclose(stft, conv, rtol=0, atol=1e-3)


@pytest.mark.parametrize("form", audio.FORMS)
@pytest.mark.parametrize("length", [1, 7, 399, 1600, 1601, 1759])
def test_what_follows_the_sound_is_never_read(form, length):
    layer = audio.LogMel(form=form)
    clip = noise(1, length, seed=length)
    alone, _ = layer(clip)
    longer = np.concatenate([clip, np.full((1, 777), np.nan, np.float32)], axis=1)
    padded, num_frames = layer(longer, tf.constant([length]))
    frames = length // 160 + 1
    assert num_frames.numpy().tolist() == [frames]
    np.testing.assert_allclose(padded[:, :frames], alone, rtol=0, atol=1e-4)
    assert not padded.numpy()[:, frames:].any()


def test_lengths_outside_the_clip_are_clipped_to_it():
    waveform = noise(3, 500)
    log_mel, num_frames = audio.LogMel()(waveform, tf.constant([-3, 0, 9999], tf.int64))
    assert num_frames.numpy().tolist() == [1, 1, 4]  # 1 // 160 + 1, 500 // 160 + 1
    assert np.isfinite(log_mel).all()


@pytest.mark.parametrize("value", [0.0, 1.0, 1e-20])
def test_silence_and_direct_current_stay_finite(value):
    log_mel, _ = audio.LogMel()(np.full((1, 3200), value, np.float32))
    assert np.isfinite(log_mel).all()


def test_amplitude_multiplies_the_waveform_first():
    waveform = noise(1, 1600) / 32768
    quiet, _ = audio.LogMel(amplitude=32768.0, instance_norm=False)(waveform)
    loud, _ = audio.LogMel(instance_norm=False)(waveform * 32768)
    np.testing.assert_allclose(quiet, loud, rtol=0, atol=1e-6)


def test_power_one_is_the_magnitude():
    options = {"num_mels": 1, "frame_length_samples": 2, "frame_step_samples": 2, "fft_length": 4}
    options |= {"window": "rectangular", "log_offset": 0.0, "instance_norm": False}
    waveform = np.array([[1.0, 3.0, 0.0, 0.0]], np.float32)
    # Bins at 0, 4000 and 8000 Hz; the outer two are the triangle's corners, so only |X_1| counts.
    # Frame 1 is (3, 0), |X_1| = 3: log(9 h) against log(3 h), h the triangle's height at 4000 Hz.
    square, _ = audio.LogMel(**options, power=2.0)(waveform)
    root, _ = audio.LogMel(**options, power=1.0)(waveform)
    np.testing.assert_allclose(square[0, 1] - root[0, 1], [np.log(3.0)], rtol=1e-5)


def test_no_gradient_passes_the_front_end():
    waveform = tf.Variable(noise(1, 800))
    with tf.GradientTape() as tape:
        log_mel, _ = audio.LogMel()(waveform)
        loss = tf.reduce_sum(log_mel**2)
    assert tape.gradient(loss, waveform) is None


def test_the_front_end_stays_in_float32_under_bfloat16():
    waveform = noise(1, 1600)
    expected, _ = audio.LogMel()(waveform)
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        actual, _ = audio.LogMel()(waveform)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert actual.dtype == tf.float32
    np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize(
    "wrong",
    [{"form": "fft"}, {"window": "kaiser"}, {"frame_length_samples": 600}, {"upper_hz": 9000.0}]
    + [{"frame_length_samples": 399}],
)
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(ValueError):
        audio.LogMel(**wrong)


@pytest.mark.parametrize("form", audio.FORMS)
@pytest.mark.parametrize("shape", [(1, 4000), (1, None), (None, None)])
@pytest.mark.parametrize("with_lengths", [False, True])
def test_it_converts_to_tflite_builtins(form, shape, with_lengths):
    layer = audio.LogMel(form=form)
    specs = [tf.TensorSpec(shape, tf.float32)]
    specs += [tf.TensorSpec(shape[:1], tf.int32)] if with_lengths else []
    function = tf.function(lambda *x: layer(*x)[0], input_signature=specs)
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [function.get_concrete_function()], layer
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    interpreter = compat.lite_interpreter(content=converter.convert())
    inputs = [noise(1, 4000)] + ([np.array([3100], np.int32)] if with_lengths else [])
    details = interpreter.get_input_details()
    details.sort(key=lambda detail: detail["dtype"] is not np.float32)
    for detail, value in zip(details, inputs):  # resize first: the default length is 1
        interpreter.resize_tensor_input(detail["index"], value.shape)
    interpreter.allocate_tensors()
    for detail, value in zip(details, inputs):
        interpreter.set_tensor(detail["index"], value)
    interpreter.invoke()
    actual = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    np.testing.assert_allclose(actual, function(*inputs), rtol=0, atol=1e-3)
