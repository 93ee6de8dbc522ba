"""What embeds, one form for a SavedModel and a `.tflite`, and how an export is opened."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from tfav import hearing as hearing_lib
from tfav import items, registry, tensors
from tfav.evaluation import decisions as decisions_lib
from tfav.inference import artefacts

# What `tfav.load` opens; the fix of what is none of it.
_KINDS = "name a run, an export's folder, a SavedModel, a .tflite, or toy"

if TYPE_CHECKING:  # who reads a `.tflite` needs no TensorFlow
    from tfav.inference.frozen_embedder import FrozenEmbedder
    from tfav.inference.saved_model_embedder import SavedModelEmbedder
    from tfav.inference.tflite_embedder import TFLiteEmbedder
    from tfav.inference.tflite_folder import TFLiteFolder


class Embedder(Protocol):
    """Embeds batches of the modalities it holds."""

    modalities: tuple[str, ...]  # none: it answers to rows only
    embedding_size: Mapping[str, int]  # modality to D, of those that are told, perhaps of more
    hearing: hearing_lib.Hearing  # how much of a clip its embeddings are of
    shares_space: bool  # whether cosines between its modalities mean anything
    classes: tuple[str, ...]  # in the order of the logits; empty: it tells none apart
    threshold: float | None  # score from which a pair is taken for matched
    temperature: float | None  # that InfoNCE has learnt
    decisions: decisions_lib.Decisions | None  # thresholds and calibration of its pairs

    @property
    def items(self) -> Mapping[str, items.ItemSpec]:
        """Modality to what one item is."""

    @property
    def embedding_space(self) -> str:
        """The id of the space; embeddings can be compared where it is the same."""

    def embed(self, modality: str, batch: tensors.Batch) -> np.ndarray:
        """Returns embeddings [B, D] float32 of unit norm; of clips, of as much as `hearing` says.

        Args:
          modality: one of `modalities`.
          batch: `audio` [B, T] float32, perhaps with `num_samples` [B] int32, or images
            [B, H, W, 3] or [B, F, H, W, 3] uint8. A single image stands for all frames.

        Raises:
          UserError: a modality that was not exported here.
        """

    def refuses(self, modality: str, item: np.ndarray) -> str:
        """Returns why an item cannot be embedded, as "PATH ..." goes on; empty: it can."""

    def classify(self, batch: tensors.Batch) -> dict[str, np.ndarray]:
        """Returns `logits`, `probability` and `<modality>_logits` [B, C] of rows of all modalities.

        Raises:
          UserError: it tells no classes apart.
        """

    def localize(self, batch: tensors.Batch) -> np.ndarray:
        """Returns where the sounds of rows of all modalities come from, [B, S, S] in [0, 1].

        Raises:
          UserError: it says no such thing.
        """

    def score_pairs(self, batch: tensors.Batch) -> dict[str, np.ndarray]:
        """Returns `score` [B] float32 of rows of audio and image, and `matched` [B] bool.

        `matched` is left out where there is no threshold.

        Raises:
          UserError: it scores no pairs.
        """


def load(path: str) -> "SavedModelEmbedder | TFLiteEmbedder | TFLiteFolder | FrozenEmbedder":
    """Loads what export wrote, once it is known to be what export wrote.

    Args:
      path: a SavedModel folder, the folder of its versions (the newest is taken), a `.tflite`, a
        folder of such without a SavedModel, or the `.json` that describes a model of strangers.

    Raises:
      UserError: nothing of that kind there, or it is damaged.
    """
    if os.path.isdir(path):
        if _is_of_tflite(path):
            from tfav.inference import tflite_folder

            return tflite_folder.TFLiteFolder(path)
        from tfav.inference import saved_model_embedder

        return saved_model_embedder.SavedModelEmbedder(_version_folder(path))
    if not os.path.isfile(path):
        raise registry.UserError(f"{path} does not exist: {_KINDS}.")
    if path.endswith(".json"):
        from tfav.inference import frozen_embedder

        return frozen_embedder.FrozenEmbedder(path)
    if not path.endswith(".tflite"):
        raise registry.UserError(f"{path} is neither a folder nor a .tflite file: {_KINDS}.")
    from tfav.inference import tflite_embedder

    return tflite_embedder.TFLiteEmbedder(path)


def require(embedder: Any, modality: str) -> None:
    """Refuses a modality that an embedder with a `path` does not hold.

    Raises:
      UserError: that.
    """
    if modality not in embedder.modalities:
        raise registry.UserError(
            f"{embedder.path} embeds {' and '.join(embedder.modalities) or 'nothing'} and not "
            f"{modality}: name the export that does."
        )


def fitted(value: np.ndarray, size: int) -> np.ndarray:
    """Returns an image or frames [..., H, W, 3] uint8 in a square of `size` pixels."""
    if value.shape[-3:-1] == (size, size):
        return value
    from tfav.data.input import crops

    flat = [np.asarray(crops.fit(one, size)) for one in value.reshape([-1, *value.shape[-3:]])]
    return np.stack(flat).reshape([*value.shape[:-3], size, size, 3])


def _is_of_tflite(path: str) -> bool:
    """Says whether a folder holds `.tflite` files and no SavedModel."""
    if os.path.exists(os.path.join(path, "saved_model.pb")) or artefacts.versions(path):
        return False
    return any(name.endswith(".tflite") for name in os.listdir(path))


def _version_folder(path: str) -> str:
    if os.path.exists(os.path.join(path, "saved_model.pb")):
        return path
    versions = artefacts.versions(path)
    if not versions:
        raise registry.UserError(
            f"{path} holds neither saved_model.pb nor a version folder such as 1: {_KINDS}."
        )
    return os.path.join(path, str(versions[-1]))
