"""The tables of encoders, by the kind of what they take; of a kind elsewhere there is none."""

from collections.abc import Callable, Mapping

from tfav.encoders import audio, encoder, image, vector_heads

ENCODERS: Mapping[str, Mapping[str, Callable[..., encoder.Encoder]]] = {
    "audio": audio.AUDIO_ENCODERS,
    "image": image.IMAGE_ENCODERS,
    "array": vector_heads.ARRAY_ENCODERS,
}
