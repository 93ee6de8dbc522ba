"""The tables of encoders, by the kind of what they take; of a kind elsewhere there is none."""

from collections.abc import Callable, Mapping

from tfav.encoders import array, audio, encoder, image

ENCODERS: Mapping[str, Mapping[str, Callable[..., encoder.Encoder]]] = {
    "audio": audio.AUDIO_ENCODERS,
    "image": image.IMAGE_ENCODERS,
    "array": array.ARRAY_ENCODERS,
}
