"""The tables of encoders, by the kind of what they take; of a kind elsewhere there is none."""

from tfav.encoders import array, audio, image

ENCODERS = {
    "audio": audio.AUDIO_ENCODERS,
    "image": image.IMAGE_ENCODERS,
    "array": array.ARRAY_ENCODERS,
}
