"""Which file of weights of others goes into which encoder: what `init` of a config reads.

`.h5` and `.weights.h5` are Keras's, for encoders with `load_keras_weights`. Any other file is
PyTorch's: SpeechBrain's for an `ECAPATDNN`, else one of the authors of Wen et al., CVPR 2021.
"""

from tfav import registry
from tfav.encoders import ecapa
from tfav.encoders import encoder as base
from tfav.interop import pytorch, speechbrain, torch_file

_OF_KERAS = "vgg16, resnet50_keras, efficientnet_b0, mobilenet_v2, mobilenet_v3_large and _small"


def load(encoder: base.Encoder, path: str) -> None:
    """Gives an encoder the weights of others, all of them or (on an error) none.

    Args:
      encoder: with fresh weights.
      path: the file.

    Raises:
      UserError: a file that cannot be read, or that is for another encoder.
    """
    if path.endswith(".h5"):
        if not hasattr(encoder, "load_keras_weights"):
            raise registry.UserError(
                f"{path} holds weights of Keras, which a {type(encoder).__name__} does not take: "
                f"name one of {_OF_KERAS} in --config.image.encoder, or leave --config.init empty."
            )
        encoder.load_keras_weights(path)
    elif isinstance(encoder, ecapa.ECAPATDNN):
        speechbrain.assign(encoder, torch_file.read(path), path)
    else:
        pytorch.assign(encoder, torch_file.read(path), path)
