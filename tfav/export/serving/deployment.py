"""What TensorFlow Serving wants beside a SavedModel: warm-up, configuration, few old versions."""

import os
import shlex
from collections.abc import Sequence

import tensorflow as tf

from tfav import folders, registry
from tfav.export import servable as servable_lib
from tfav.export.serving import saved_model, warmup
from tfav.inference import artefacts

# Warmed up, and the only sizes that the server's batching makes.
BATCH_SIZES = (1, 2, 4, 8)
MODELS_FILE = "models.config"
BATCHING_FILE = "batching_parameters.txt"


def finish(servable: servable_lib.Servable, path: str, name: str) -> None:
    """Gives a SavedModel its warm-up file, then proves it as a server will load and warm it.

    Args:
      servable: what it was saved from.
      path: its folder.
      name: Name of the model on the server.

    Raises:
      UserError, ValueError: see `saved_model.verify`.
      OSError: the folder cannot be written.
    """
    requests = [
        (
            signature,
            warmup.inputs(function.structured_input_signature[1], rows, servable.items),
        )
        for signature, function in sorted(servable.signatures().items())
        for rows in BATCH_SIZES
    ]
    with saved_model.writing(path):
        warmup.write(path, requests, name)
    saved_model.verify(servable, path)


def config_files(name: str, batch_sizes: Sequence[int] = BATCH_SIZES) -> dict[str, str]:
    """Returns the server's configuration files, name to content.

    Args:
      name: Name of the model; its folder is expected at `/models/NAME`, as in the Docker command.
      batch_sizes: ascending, those that are warmed up.
    """
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    models = f"""\
model_config_list {{
  config {{
    name: "{quoted}"
    base_path: "/models/{quoted}"
    model_platform: "tensorflow"
    model_version_policy {{ latest {{ num_versions: 1 }} }}
  }}
}}
"""
    sizes = "\n".join(f"allowed_batch_sizes: {size}" for size in batch_sizes)
    batching = f"""\
# Requests that come together are computed together. Larger ones than max_batch_size are refused.
# What one of them is refused for, all are.
max_batch_size {{ value: {batch_sizes[-1]} }}
# Those in the warm-up file; what comes between is filled up with copies of a row.
{sizes}
# How long a request waits for others. Measure these three under your own load.
batch_timeout_micros {{ value: 2000 }}
num_batch_threads {{ value: 2 }}
max_enqueued_batches {{ value: 100 }}
# false: of clips of unequal lengths that come together, embed_audio refuses all: send embed_wav, or
# pad the clips to one length yourself, which num_samples makes harmless. Likewise match refuses
# lists of unequal lengths: fill them up with copies of a candidate, and leave out their scores.
# true: the server pads them, with the first sample of a request, which num_samples makes harmless.
# It pads smaller images and shorter lists of candidates likewise, which nothing makes harmless:
# embeddings change, and the best of match may be one that nobody sent. So set it only where every
# image is sent as embed_jpeg or in the size of the encoder, and all lists have one length.
pad_variable_length_inputs: false
"""
    return {MODELS_FILE: models, BATCHING_FILE: batching}


def commands(directory: str, name: str | None = None) -> str:
    """Returns the commands that serve an export, as lines for a terminal.

    Args:
      directory: the export's folder.
      name: Name of the model; None: the folder's.
    """
    directory = os.path.abspath(directory)
    name = name or os.path.basename(directory)
    here = f"/models/{name}"
    image = f"tensorflow/serving:{tf.__version__}"
    docker = shlex.join(
        ["docker", "run", "--rm", "-p", "8500:8500", "-p", "8501:8501"]
        + ["-v", f"{directory}:{here}:ro", image, f"--model_config_file={here}/{MODELS_FILE}"]
    )
    binary = shlex.join(
        ["tensorflow_model_server", "--port=8500", "--rest_api_port=8501"]
        + [f"--model_name={name}", f"--model_base_path={directory}"]
    )

    def batching(folder: str) -> str:
        file = os.path.join(folder, BATCHING_FILE)
        return shlex.join(["--enable_batching", f"--batching_parameters_file={file}"])

    return f"""\
serve it (gRPC on 8500, REST on 8501; TensorFlow Serving {tf.__version__} or newer) with
  {docker}
or
  {binary}
for many clients at once add
  {batching(here)}
or
  {batching(directory)}"""


def prune(directory: str, keep: int) -> list[int]:
    """Removes the version folders of an export but the newest ones; returns which.

    Args:
      directory: the export's folder, which a server may be watching.
      keep: how many to keep; 0: all.

    Raises:
      UserError: a negative number, or a folder that cannot be removed.
    """
    if keep < 0:
        raise registry.UserError(
            f"--keep_versions={keep}: give how many versions to keep, at least 1, or 0 for all."
        )
    gone = artefacts.versions(directory)[:-keep] if keep else []
    for version in gone:
        old = os.path.join(directory, str(version))
        try:
            # Out of the server's sight at once: it must not find half of a version.
            with folders.beside(directory, hidden=True) as aside:
                os.rename(old, os.path.join(aside, "old"))
        except OSError as error:
            raise registry.UserError(
                f"{old} cannot be removed ({error}): remove it yourself, or leave "
                "--keep_versions out."
            ) from error
    return gone
