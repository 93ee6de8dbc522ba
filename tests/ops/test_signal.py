import numpy as np
import pytest
import scipy.signal
import tensorflow as tf

from tfav.ops import signal


def test_the_hamming_window_is_periodic():
    # 0.54 - 0.46 cos(0, 90, 180, 270 degrees): a symmetric window would end where it began.
    np.testing.assert_allclose(signal.window("hamming", 4), [0.08, 0.54, 1.0, 0.54], atol=1e-12)


def test_the_hann_window_is_periodic():
    np.testing.assert_allclose(signal.window("hann", 4), [0.0, 0.5, 1.0, 0.5], atol=1e-12)


@pytest.mark.parametrize("length", [7, 16, 400, 512, 1280])
@pytest.mark.parametrize("name", signal.WINDOWS)
def test_every_window_is_scipys_periodic_one(name, length):
    theirs = {"rectangular": "boxcar", "tukey": ("tukey", 0.25)}.get(name, name)
    expected = scipy.signal.get_window(theirs, length)
    np.testing.assert_allclose(signal.window(name, length), expected, rtol=0, atol=2e-15)


def test_an_unknown_window_is_named():
    with pytest.raises(ValueError, match="blackman"):
        signal.window("blackman", 4)


def test_mel_triangles_equal_the_naive_loop_over_bands_and_bins():
    def mel(hz):
        return 2595 * np.log10(1 + hz / 700)

    corners = [700 * (10 ** (m / 2595) - 1) for m in np.linspace(mel(50.0), mel(3000.0), 7)]
    expected = np.zeros((65, 5))
    for k in range(65):
        hz = k * 8000 / 128
        for band in range(5):
            low, peak, high = corners[band : band + 3]
            if low < hz <= peak:
                expected[k, band] = (hz - low) / (peak - low)
            elif peak < hz < high:
                expected[k, band] = (high - hz) / (high - peak)
    actual = signal.mel_matrix(5, 128, 8000.0, 50.0, 3000.0)
    np.testing.assert_allclose(actual, expected, atol=1e-12)


def test_slopes_linear_in_mel_equal_tensorflows_matrix_and_leave_out_0_hz():
    # tf.signal zeroes the bin at 0 Hz by hand; its natural logarithm (1127 ln) cancels.
    expected = tf.signal.linear_to_mel_weight_matrix(64, 257, 16000, 125.0, 7500.0)
    actual = signal.mel_matrix(64, 512, 16000, 125.0, 7500.0, slopes="mel")
    np.testing.assert_allclose(actual, expected, atol=1e-4)
    assert not signal.mel_matrix(64, 512, 16000, 0.0, 7500.0, slopes="mel")[0].any()


def test_rising_slopes_fall_as_they_rise():
    """SpeechBrain's: a triangle of the width of its left half on either side of its peak."""
    corners = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 8000 / 700), 7) / 2595) - 1)
    hz = np.arange(201)[:, None] * 40.0
    expected = np.maximum(0, 1 - np.abs(hz - corners[1:-1]) / (corners[1:-1] - corners[:-2]))
    actual = signal.mel_matrix(5, 400, 16_000, 0.0, 8000.0, slopes="rising")
    np.testing.assert_allclose(actual, expected, atol=1e-12)


def test_unknown_slopes_are_named():
    with pytest.raises(ValueError, match="slaney"):
        signal.mel_matrix(4, 128, 8000.0, 0.0, 4000.0, slopes="slaney")


@pytest.mark.parametrize("lower, upper", [(-1.0, 100.0), (200.0, 100.0), (0.0, 4001.0)])
def test_mel_bands_off_the_spectrum_are_refused(lower, upper):
    with pytest.raises(ValueError, match="do not fit"):
        signal.mel_matrix(4, 128, 8000.0, lower, upper)


def test_the_dft_matrix_is_the_windowed_fourier_transform():
    frame = np.random.RandomState(0).randn(6)
    window = signal.window("hamming", 6)
    expected = np.fft.rfft(frame * window, 8)
    real, imaginary = np.split(frame @ signal.dft_matrix(window, 8), 2)
    np.testing.assert_allclose(real + 1j * imaginary, expected, atol=1e-12)


def test_a_detrended_dft_is_that_of_the_frame_less_its_mean():
    frame = np.random.RandomState(0).randn(6) + 10.0
    window = signal.window("hann", 6)
    expected = np.fft.rfft((frame - frame.mean()) * window, 8)
    real, imaginary = np.split(frame @ signal.dft_matrix(window, 8, detrend=True), 2)
    np.testing.assert_allclose(real + 1j * imaginary, expected, atol=1e-12)


def test_reflection_goes_on_for_ever():
    # Three samples a b c: ... c b | a b c | b a b c ...
    position = tf.range(-4, 8)
    expected = [0, 1, 2, 1, 0, 1, 2, 1, 0, 1, 2, 1]
    np.testing.assert_array_equal(signal.reflect(position, 3), expected)
    np.testing.assert_array_equal(signal.reflect(position, 1), np.zeros(12))
    np.testing.assert_array_equal(signal.reflect(position, 2), [0, 1] * 6)


@pytest.mark.parametrize("length", [1, 511, 512, 513, 1025])
def test_a_countdown_is_one_range_whatever_rows_it_is_made_of(length):
    expected = np.array([[7], [600]]) - np.arange(length)
    np.testing.assert_array_equal(signal.countdown(tf.constant([7, 600]), length), expected)


@pytest.mark.parametrize("length", [1, 2, 3, 7, 20, 700])
def test_padding_equals_numpy_reflection_with_and_without_lengths(length):
    clip = np.random.RandomState(length).randn(1, length).astype(np.float32)
    expected = np.pad(clip, ((0, 0), (5, 5)), mode="reflect" if length > 1 else "edge")
    np.testing.assert_array_equal(signal.reflect_pad(tf.constant(clip), 5), expected)
    longer = np.concatenate([clip, np.full((1, 4), np.nan, np.float32)], axis=1)
    padded = signal.reflect_pad(tf.constant(longer), 5, tf.constant([length])).numpy()
    np.testing.assert_array_equal(padded[:, : length + 10], expected)
    assert np.isfinite(padded).all()


def test_zeros_follow_each_clip_up_to_the_shortest_result():
    clips = tf.constant([[1.0, 2.0, np.nan], [3.0, 4.0, 5.0]])
    padded = signal.zero_pad(clips, 5, tf.constant([2, 3]))
    np.testing.assert_array_equal(padded, [[1, 2, 0, 0, 0], [3, 4, 5, 0, 0]])
    np.testing.assert_array_equal(signal.zero_pad(clips[1:], 2), [[3, 4, 5]])


def test_pre_emphasis_mirrors_each_clip_at_its_first_sample():
    # 1 - .5 * 2, 2 - .5 * 1, 4 - .5 * 2; a clip of one sample stands before itself: 3 - .5 * 3.
    clips = tf.constant([[1.0, 2.0, 4.0], [3.0, np.nan, np.nan]])
    found = signal.pre_emphasize(clips, 0.5, tf.constant([3, 1])).numpy()
    np.testing.assert_array_equal(found[0], [0.0, 1.5, 3.0])
    assert found[1, 0] == 1.5
    np.testing.assert_array_equal(signal.pre_emphasize(clips[:1], 0.5), [[0.0, 1.5, 3.0]])
    np.testing.assert_array_equal(signal.pre_emphasize(clips[1:, :1], 0.5), [[1.5]])


@pytest.mark.parametrize("detrend", [False, True])
def test_both_forms_give_the_power_of_every_frame(detrend):
    waveform = np.random.RandomState(1).randn(2, 50)
    window = signal.window("hann", 12)
    expected = np.zeros((2, 5, 9))
    for b in range(2):
        for k in range(5):  # (50 - 12) // 8 + 1 = 5 frames
            frame = waveform[b, 8 * k : 8 * k + 12]
            frame = frame - frame.mean() if detrend else frame
            expected[b, k] = np.abs(np.fft.rfft(frame * window, 16)) ** 2
    x = tf.constant(waveform, tf.float32)
    found = signal.power_stft(x, window, 8, 16, detrend)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    dft = signal.dft_matrix(window, 16, detrend)
    np.testing.assert_allclose(signal.power_conv(x, dft, 8), expected, rtol=1e-4, atol=1e-5)


def test_the_head_of_a_clip_is_a_plain_slice_of_a_tflite():
    @tf.function(input_signature=[tf.TensorSpec((1, 8))])
    def shortened(x):
        return signal.head(x, tf.shape(x)[1] - 3)

    np.testing.assert_array_equal(shortened(tf.range(8.0)[tf.newaxis]), [[0, 1, 2, 3, 4]])
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [shortened.get_concrete_function()], tf.Module()
    )
    interpreter = tf.lite.Interpreter(model_content=converter.convert())
    interpreter.allocate_tensors()
    found = {op["op_name"] for op in interpreter._get_ops_details()}
    assert found - {"DELEGATE"} == {"SLICE"}
