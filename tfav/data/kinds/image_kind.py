"""Images, or several frames of each row: JPEGs in a record, a square of pixels in a batch."""

import functools
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tfav import items, values
from tfav.data.kinds import kind
from tfav.media import formats, image_files, limits

if TYPE_CHECKING:
    import tensorflow as tf


class ImageKind(kind.Kind):
    """The kind of `image`, and of optical flow and the like; see `kind.Kind`."""

    name = "image"
    suffixes = tuple(formats.SUFFIXES["image"])
    subject = "image"
    fields = {
        "size": values.whole(8, 4096, "pixels of a side; below 8 no encoder has a position left"),
        "num_frames": values.whole(1, 1024, "images per row, all in one batch"),
    }

    def item(self, modality: str, section: Mapping[str, Any]) -> items.ItemSpec:
        """Returns that of images of the section's size, of so many frames."""
        return items.image(section["size"]).of(modality, section["num_frames"])

    def encoder_arguments(self, modality: str, section: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the size of the images."""
        del modality
        return {"image_size": section["size"]}

    def read(self, path: str | os.PathLike, bounds: limits.Limits) -> bytes:
        """Returns a JPEG."""
        return image_files.read_image(path, bounds=bounds)[0]

    def load(
        self, path: str | os.PathLike, spec: items.ItemSpec, bounds: limits.Limits
    ) -> np.ndarray:
        """Returns the image, [S, S, 3] uint8 RGB."""
        return _decoder(spec.side)(self.read(path, bounds)).numpy()

    def training(
        self, modality: str, item: kind.Item, audio_seconds: tuple[float, float]
    ) -> Callable[["tf.Tensor", Mapping[str, "tf.Tensor"]], kind.Tensors]:
        """Returns what gives the frames that are drawn, [S, S, 3] or [F, S, S, 3] uint8."""
        from tfav.data.input import augment
        from tfav.data.input import reader as reading

        del audio_seconds
        chain = augment.resolve_one(item.augment, self.subject, modality)
        num_frames, size = item.spec.num_frames, item.spec.side
        return lambda jpegs, row: {modality: reading.frames(jpegs, row, num_frames, size, chain)}

    def evaluation(
        self, modality: str, item: kind.Item, bounds: tuple[int, int]
    ) -> Callable[["tf.Tensor"], kind.Tensors]:
        """Returns what gives the middle one of each part of the stored frames, likewise."""
        import tensorflow as tf

        from tfav.data.input import pipeline, sampling
        from tfav.data.input import reader as reading

        del bounds
        size, num_frames = item.spec.side, item.spec.num_frames
        one = functools.partial(pipeline.decode_image, image_size=size)

        def make(jpegs: tf.Tensor) -> kind.Tensors:
            chosen = tf.gather(jpegs, sampling.middle_frames(tf.size(jpegs), num_frames))
            return {modality: reading.each(one, chosen, num_frames, size)}

        return make


@functools.cache
def _decoder(size: int) -> Callable[[bytes], "tf.Tensor"]:
    """Returns what makes of a JPEG the square of so many pixels, in one call of TensorFlow."""
    import tensorflow as tf

    from tfav.data.input import pipeline

    def decode(jpeg: "tf.Tensor") -> "tf.Tensor":
        return pipeline.decode_image(jpeg, size)

    return tf.function(decode, input_signature=[tf.TensorSpec([], tf.string)])
