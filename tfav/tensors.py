"""The words every module shares."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:  # what reads a `.tflite` shares these words and does without TensorFlow
    import tensorflow as tf

Array = np.ndarray

# One tensor per modality and their labels. `audio` is [B, T] float32 in [-1, 1], `image` is
# [B, H, W, 3] (or [B, F, H, W, 3]) uint8 RGB, `label` is [B] int32. `num_samples` [B] int32 says
# how many samples of each audio row are sound rather than padding; absent means all of them.
Batch = Mapping[str, "tf.Tensor"]

# In batches of a training that tolerates bad records, [B] int32: how many planned rows could not be
# read before this one. The trainer takes it out.
SKIPPED = "skipped"

SAMPLE_RATE_HZ = 16_000
