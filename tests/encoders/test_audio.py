"""What is special to the audio encoders; tests/conformance holds what every row promises."""

import numpy as np

from tfav.encoders import audio


def test_the_front_end_takes_its_arguments():
    encoder = audio.Tiny(frontend={"num_mels": 24, "form": "conv"})
    assert encoder.frontend.num_bands == 24
    assert encoder(np.zeros([1, 1600], np.float32)).shape == (1, 128)
    spectral = audio.Tiny(frontend={"kind": "spectrogram"})
    assert spectral.frontend.num_bands == 257


def test_thin_resnet34_has_the_shape_of_the_paper():
    encoder = audio.ThinResNet34()
    # 16000 samples are 101 frames, of which two strides leave 26; 40 mel bands leave 5.
    assert encoder.feature_map(np.zeros([1, 16_000], np.float32)).shape == (1, 26, 5, 128)
    layers = (encoder.layer1, encoder.layer2, encoder.layer3, encoder.layer4)
    assert [len(layer) for layer in layers] == [3, 4, 6, 3]
    assert encoder.fc.kernel.shape == (128, 512)
