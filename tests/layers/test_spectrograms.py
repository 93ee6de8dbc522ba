import keras
import numpy as np
import pytest
import scipy.signal
import tensorflow as tf

from tfav import registry
from tfav.inference import interpreter as interpreters
from tfav.layers import frontend, frontend_table, spectrograms

SMALL = {"num_mels": 6, "frame_length_samples": 40, "frame_step_samples": 16, "fft_length": 64}


SETTINGS = {"log_mel": {}, **frontend_table.PRESETS}
SETTINGS |= {
    "log_mel_levelled": {"silence_db": 60.0, "level_norm": True, "instance_norm": False},
    "speechbrain_fbank": {"kind": "speechbrain_fbank"},
    "spectrogram_levelled": {"kind": "spectrogram", "silence_db": 60.0, "level_norm": True},
}


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


@pytest.mark.parametrize("form", frontend.FORMS)
@pytest.mark.parametrize("instance_norm", [True, False])
@pytest.mark.parametrize("length", [2, 15, 16, 61, 200])
def test_log_mel_equals_its_naive_twin(form, instance_norm, length):
    clip = noise(length, seed=length)
    expected = twin(clip, instance_norm=instance_norm, **SMALL)
    actual, num_frames = spectrograms.LogMel(form=form, instance_norm=instance_norm, **SMALL)(
        clip[None]
    )
    assert num_frames.numpy().tolist() == [len(expected)]
    # A short clip's bands hardly vary and instance norm divides by that: hence the wider margin.
    np.testing.assert_allclose(actual[0], expected, rtol=0, atol=2e-3 if instance_norm else 1e-4)


def test_the_two_forms_agree_at_full_size():
    waveform = noise(2, 8000)
    stft, _ = spectrograms.LogMel(form="stft")(waveform)
    conv, _ = spectrograms.LogMel(form="conv")(waveform)
    assert stft.shape == (2, 51, 40)  # 8000 // 160 + 1
    np.testing.assert_allclose(stft, conv, rtol=0, atol=1e-3)


@pytest.mark.parametrize("arguments", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize("form", frontend.FORMS)
@pytest.mark.parametrize("length", [1, 2, 399, 511, 670, 671, 1600, 1759])
def test_what_follows_the_sound_is_never_read(arguments, form, length):
    layer = frontend_table.make({**arguments, "form": form})
    clip = noise(1, length, seed=length)
    alone, _ = layer(clip)
    frames = alone.shape[1]
    for rest in (np.full((1, 777), np.nan), np.full((1, 1), 1e30)):
        longer = np.concatenate([clip, rest.astype(np.float32)], axis=1)
        padded, num_frames = layer(longer, tf.constant([length]))
        assert num_frames.numpy().tolist() == [frames]
        # One frame of a few samples hardly varies, and a deviation divides by that.
        np.testing.assert_allclose(padded[:, :frames], alone, rtol=1e-3, atol=1e-4)
        assert not padded.numpy()[:, frames:].any()


@pytest.mark.parametrize("arguments", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize("length", [1, 160, 511, 512, 670, 671, 1280, 2079, 2080, 48_000])
def test_it_counts_the_frames_it_makes(arguments, length):
    layer = frontend_table.make(arguments)
    image, _ = layer(np.zeros([1, length], np.float32))
    assert image.shape[1:] == (int(layer.count_frames(tf.constant(length))), layer.num_bands)


@pytest.mark.parametrize("kind", frontend_table.FRONTENDS)
@pytest.mark.parametrize("form", frontend.FORMS)
def test_silence_leaves_the_image_of_the_sound(kind, form):
    layer = frontend_table.make({"kind": kind, "form": form, "silence_db": 60.0})
    clip, gap = noise(1, 3200), np.zeros([1, 1600], np.float32)
    alone, num_frames = layer(clip)
    parts = [gap, clip[:, :800], gap, clip[:, 800:], gap]
    found, counted = layer(np.concatenate(parts, axis=1))
    assert counted.numpy().tolist() == num_frames.numpy().tolist() == [alone.shape[1]]
    np.testing.assert_allclose(found[:, : alone.shape[1]], alone, rtol=1e-4, atol=1e-5)
    assert not found.numpy()[:, alone.shape[1] :].any()


def test_lengths_outside_the_clip_are_clipped_to_it():
    waveform = noise(3, 500)
    log_mel, num_frames = spectrograms.LogMel()(waveform, tf.constant([-3, 0, 9999], tf.int64))
    assert num_frames.numpy().tolist() == [1, 1, 4]  # 1 // 160 + 1, 500 // 160 + 1
    assert np.isfinite(log_mel).all()


@pytest.mark.parametrize("arguments", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize("value", [0.0, 1.0, 1e-20])
def test_silence_and_direct_current_stay_finite(arguments, value):
    image, _ = frontend_table.make(arguments)(np.full((1, 3200), value, np.float32))
    assert np.isfinite(image).all()


@pytest.mark.parametrize("kind", frontend_table.FRONTENDS)
@pytest.mark.parametrize("gain", [2.0**-10, 2.0**6])
def test_the_gain_of_a_recording_does_not_count_where_the_level_is_the_norm(kind, gain):
    options = {"log_mel": {"instance_norm": False}}.get(kind, {})
    layer = frontend_table.make({"kind": kind, "level_norm": True, **options})
    clips, lengths = noise(2, 3200), tf.constant([3200, 1000])
    expected, _ = layer(clips, lengths)
    found, _ = layer(gain * clips, lengths)
    np.testing.assert_array_equal(found, expected)  # a power of two moves exponents alone
    by_hand = clips[1, :1000] / (np.sum(clips[1, :1000] ** 2) / np.sum(np.abs(clips[1, :1000])))
    plain, _ = frontend_table.make({"kind": kind, **options})(by_hand[None])
    frames = plain.shape[1]
    np.testing.assert_allclose(found[1:, :frames], plain, rtol=1e-4, atol=1e-4)


def test_amplitude_multiplies_the_waveform_first():
    waveform = noise(1, 1600) / 32768
    quiet, _ = spectrograms.LogMel(amplitude=32768.0, instance_norm=False)(waveform)
    loud, _ = spectrograms.LogMel(instance_norm=False)(waveform * 32768)
    np.testing.assert_allclose(quiet, loud, rtol=0, atol=1e-6)


@pytest.mark.parametrize("length", [3, 61, 200])
def test_pre_emphasis_comes_before_the_frames(length):
    clip = noise(length, seed=length)
    # Mirrored at its first sample, sample 1 stands before sample 0.
    emphasized = clip - 0.97 * np.concatenate([clip[1:2], clip[:-1]])
    layer = spectrograms.LogMel(preemphasis=0.97, **SMALL)
    expected = twin(emphasized, instance_norm=True, **SMALL)
    np.testing.assert_allclose(layer(clip[None])[0][0], expected, rtol=0, atol=2e-3)


def test_power_one_is_the_magnitude():
    options = {"num_mels": 1, "frame_length_samples": 2, "frame_step_samples": 2, "fft_length": 4}
    options |= {"window": "rectangular", "log_offset": 0.0, "instance_norm": False}
    waveform = np.array([[1.0, 3.0, 0.0, 0.0]], np.float32)
    # Bins at 0, 4000 and 8000 Hz; the outer two are the triangle's corners, so only |X_1| counts.
    # Frame 1 is (3, 0), |X_1| = 3: log(9 h) against log(3 h), h the triangle's height at 4000 Hz.
    square, _ = spectrograms.LogMel(**options, power=2.0)(waveform)
    root, _ = spectrograms.LogMel(**options, power=1.0)(waveform)
    np.testing.assert_allclose(square[0, 1] - root[0, 1], [np.log(3.0)], rtol=1e-5)


def test_no_gradient_passes_the_front_end():
    waveform = tf.Variable(noise(1, 800))
    with tf.GradientTape() as tape:
        log_mel, _ = spectrograms.LogMel()(waveform)
        loss = tf.reduce_sum(log_mel**2)
    assert tape.gradient(loss, waveform) is None


@pytest.mark.parametrize("kind", frontend_table.FRONTENDS)
def test_the_front_end_stays_in_float32_under_bfloat16(kind):
    waveform = noise(1, 1600)
    expected, _ = frontend_table.FRONTENDS[kind]()(waveform)
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        actual, _ = frontend_table.FRONTENDS[kind]()(waveform)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert actual.dtype == tf.float32
    np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize(
    "wrong",
    [{"form": "fft"}, {"window": "kaiser"}, {"frame_length_samples": 600}, {"upper_hz": 9000.0}]
    + [{"frame_length_samples": 399}, {"slopes": "slaney"}, {"silence_db": -60.0}]
    + [{"kind": "spectrogram", "frame_length_samples": 399}],
)
def test_impossible_settings_are_refused(wrong):
    kind = frontend_table.FRONTENDS[wrong.get("kind", "log_mel")]
    with pytest.raises(ValueError):
        kind(**{name: value for name, value in wrong.items() if name != "kind"})
    with pytest.raises(registry.UserError, match="front-end .* cannot be made"):
        frontend_table.make(wrong)


def test_a_front_end_is_made_by_its_kind_and_arguments():
    assert type(frontend_table.make({"num_mels": 24})) is spectrograms.LogMel
    assert frontend_table.make({"kind": "log_mel", "num_mels": 24}).num_bands == 24
    assert (
        type(frontend_table.make({"kind": "tfav.layers.spectrograms.LogSpectrogram"}))
        is spectrograms.LogSpectrogram
    )
    with pytest.raises(registry.UserError, match="'mfcc': choose one of log_mel, spectrogram"):
        frontend_table.make({"kind": "mfcc"})
    with pytest.raises(registry.UserError, match="'spectrogram' .*'num_mels': leave it out"):
        frontend_table.make({"kind": "spectrogram", "num_mels": 40})


def vggish_twin(clip, frame, hop, fft_length):
    """VGGish's log-mel: whole frames, magnitude, slopes linear in mel, in float64."""
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(frame) / frame)
    hz = np.arange(fft_length // 2 + 1) * 16000 / fft_length
    mel = 1127 * np.log(1 + hz / 700)
    corners = np.linspace(1127 * np.log(1 + 125 / 700), 1127 * np.log(1 + 7500 / 700), 66)
    rows = []
    for start in range(0, len(clip) - frame + 1, hop):
        magnitude = np.abs(
            np.fft.rfft(clip[start : start + frame].astype(float) * hann, fft_length)
        )
        row = []
        for low, peak, high in zip(corners, corners[1:], corners[2:]):
            triangle = np.minimum((mel - low) / (peak - low), (high - mel) / (high - peak))
            triangle = np.maximum(triangle, 0)
            triangle[0] = 0
            row.append(np.log(np.sum(triangle * magnitude) + 0.01))
        rows.append(row)
    return np.array(rows)


@pytest.mark.parametrize(
    "preset, sizes, frames",
    # 1 + (80000 - 400) // 160, 1 + (80000 - 1280) // 800
    [("dmc_25_10", (400, 160, 512), 498), ("dmc_80_50", (1280, 800, 2048), 99)],
)
@pytest.mark.parametrize("form", frontend.FORMS)
def test_the_presets_of_dmc_equal_vggishs_front_end(preset, sizes, frames, form):
    clip = noise(80_000)
    found, _ = frontend_table.make({**frontend_table.PRESETS[preset], "form": form})(clip[None])
    assert found.shape == (1, frames, 64)
    np.testing.assert_allclose(found[0], vggish_twin(clip, *sizes), rtol=0, atol=1e-4)


def test_496_frames_of_dmc_are_its_first_79_600_samples():
    layer = frontend_table.make(frontend_table.PRESETS["dmc_25_10"])
    assert layer.count_frames(tf.constant([79_599, 79_600])).numpy().tolist() == [495, 496]


def spectrogram_twin(clip):
    """MMCosine's input for CREMA-D, by SciPy in float64."""
    _, _, power = scipy.signal.spectrogram(clip.astype(float), 16000, nperseg=512, noverlap=353)
    x = np.log(power.T + 1e-7)
    return (x - x.mean()) / (x.std() + 1e-9)


@pytest.mark.parametrize("form", frontend.FORMS)
@pytest.mark.parametrize("gain, offset", [(1.0, 0.0), (1e-3, 0.0), (0.1, 0.05)])
def test_the_log_spectrogram_is_scipys(form, gain, offset):
    clip = gain * noise(48_000) * np.sin(np.arange(48_000) / 5000).astype(np.float32) + offset
    found, _ = spectrograms.LogSpectrogram(form=form)(clip[None].astype(np.float32))
    assert found.shape == (1, 299, 257)  # (48000 - 512) // 159 + 1, 512 // 2 + 1
    np.testing.assert_allclose(found[0], spectrogram_twin(clip), rtol=0, atol=1e-4)


def test_a_clip_is_standardised_by_its_own_sound():
    clips = noise(2, 3000)
    found, _ = spectrograms.LogSpectrogram()(clips, tf.constant([3000, 1000]))
    # (1000 - 512) // 159 + 1 = 4 frames
    np.testing.assert_allclose(found[1, :4], spectrogram_twin(clips[1, :1000]), rtol=0, atol=1e-4)
    np.testing.assert_allclose(found[0], spectrogram_twin(clips[0]), rtol=0, atol=1e-4)


def test_the_log_spectrogram_of_silence_is_zero():
    found, _ = spectrograms.LogSpectrogram()(np.zeros([1, 48_000], np.float32))
    assert not found.numpy().any()


LEVELLED = {"silence_db": 60.0, "level_norm": True}


@pytest.mark.parametrize("kind", frontend_table.FRONTENDS)
@pytest.mark.parametrize("form", frontend.FORMS)
@pytest.mark.parametrize(
    "shape, levelled", [((1, 4000), {}), ((1, None), {}), ((None, None), {}), ((1, None), LEVELLED)]
)
@pytest.mark.parametrize("with_lengths", [False, True])
def test_it_converts_to_tflite_builtins(kind, form, shape, levelled, with_lengths):
    options = {"log_mel": {"preemphasis": 0.97}}.get(kind, {})
    layer = frontend_table.make({"kind": kind, "form": form, **levelled, **options})
    specs = [tf.TensorSpec(shape, tf.float32)]
    specs += [tf.TensorSpec(shape[:1], tf.int32)] if with_lengths else []
    function = tf.function(lambda *x: layer(*x)[0], input_signature=specs)
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [function.get_concrete_function()], layer
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    interpreter = interpreters.make(content=converter.convert())
    clip = noise(1, 4000)
    clip[:, 1000:1300] = 0
    inputs = [clip] + ([np.array([3100], np.int32)] if with_lengths else [])
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
