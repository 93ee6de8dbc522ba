"""The rectifier with a learned slope: Keras's, and its gradients."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfav import compat
from tfav.layers import prelu


def normal(*shape, seed=0):
    return np.random.RandomState(seed).randn(*shape).astype(np.float32)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_prelu_in_training_is_kerass_with_its_gradients(dtype):
    keras.mixed_precision.set_global_policy(dtype)
    try:
        own, theirs = prelu.PReLU(), keras.layers.PReLU(shared_axes=[1, 2])
        x = tf.constant(normal(4, 3, 5, 2), dtype)
        for layer in (own, theirs):
            layer.build((None, 3, 5, 2))
            layer.alpha.assign([[[0.25, -1.5]]])
    finally:
        keras.mixed_precision.set_global_policy("float32")
    upstream = tf.constant(normal(4, 3, 5, 2, seed=1), dtype)
    results = []
    for call in (lambda: own(x, training=True), lambda: theirs(x), lambda: own(x)):
        layer = theirs if len(results) == 1 else own
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = call()
            loss = tf.reduce_sum(upstream * y)
        results.append((y, *tape.gradient(loss, [x, compat.raw(layer.alpha)])))
    for found, expected, outside in zip(*results):
        np.testing.assert_allclose(found, expected, atol=1e-6 if dtype == "float32" else 1e-13)
        np.testing.assert_allclose(outside, expected, atol=1e-6 if dtype == "float32" else 1e-13)


@pytest.mark.parametrize("eight_bits", [False, True])
def test_prelu_is_one_op_of_a_tflite_file(eight_bits):
    prelus = prelu.PReLU()
    prelus.build((1, 4, 4, 2))
    convolution = keras.layers.Conv2D(2, 3)
    convolution.build((1, 6, 6, 2))

    @tf.function(input_signature=[tf.TensorSpec((1, 6, 6, 2))])
    def network(x):
        return prelus(convolution(x))

    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [network.get_concrete_function()], tf.Module()
    )
    if eight_bits:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([normal(1, 6, 6, 2, seed=i)] for i in range(4))
    interpreter = tf.lite.Interpreter(model_content=converter.convert())
    interpreter.allocate_tensors()
    found = {op["op_name"] for op in interpreter._get_ops_details()} - {"DELEGATE"}
    around = {"QUANTIZE", "DEQUANTIZE"} if eight_bits else set()
    assert found == {"CONV_2D", "PRELU"} | around
