"""How much of a GPU's memory this process takes."""

import ctypes

import tensorflow as tf

_MIB = 1 << 20


def limit(share: float | None) -> None:
    """Sets the memory this process takes of each GPU; call before TensorFlow computes.

    Args:
      share: of all memory of the card, taken at once; None takes what is needed, as it is needed.

    Raises:
      RuntimeError: the driver does not say how much memory a card has.
    """
    devices = tf.config.list_physical_devices("GPU")
    for number, device in enumerate(devices):
        if share is None:
            tf.config.experimental.set_memory_growth(device, True)
            continue
        limit_mib = int(share * total_bytes(number)) // _MIB
        tf.config.set_logical_device_configuration(
            device, [tf.config.LogicalDeviceConfiguration(memory_limit=limit_mib)]
        )


def total_bytes(number: int) -> int:
    """Returns the memory of the GPU of that number; TensorFlow has no function that tells it."""
    driver = ctypes.CDLL("libcuda.so.1")
    device, total = ctypes.c_int(), ctypes.c_size_t()
    for status in (
        driver.cuInit(0),
        driver.cuDeviceGet(ctypes.byref(device), number),
        driver.cuDeviceTotalMem_v2(ctypes.byref(total), device),
    ):
        if status:
            raise RuntimeError(f"the driver of GPU {number} does not tell its memory ({status})")
    return total.value
