"""One schema for every experiment.

`configs/*.py` start from `base()` and change fields; flags override fields; `commands/` is where a
config stops: nothing below it has seen one. What each field may be is in `fields`; a config's way
to a file and back is in `config_file`.
"""

from collections.abc import Callable, Mapping
from typing import Any

import ml_collections
from ml_collections import config_dict

from tfav import fields, registry


def base() -> ml_collections.ConfigDict:
    """Returns the schema: every shared field with its default."""
    c = ml_collections.ConfigDict()
    c.recipe = "voice_face"  # a row of recipes.RECIPES or a dotted path
    c.seed = 0
    # Or mixed_bfloat16: encoders compute in bfloat16, losses in float32. Or float64, several times
    # slower: to tell rounding from a mistake.
    c.dtype = "float32"
    c.deterministic = False  # bit-for-bit repeatable; up to 10 % slower on a CPU
    c.embedding_size = 128
    c.model = ml_collections.ConfigDict()  # arguments of the recipe: its heads
    c.loss = ml_collections.ConfigDict()  # arguments of the recipe: its losses
    c.modalities = ("audio", "image")  # what the recipe has encoders of

    # What differs in a run before this one, whose tables (identity weights) or teacher this one
    # takes over; empty: no such run. It lives in WORKDIR/first_phase and starts from the same fresh
    # encoders. One of another `recipe` has a `model` and a `loss` of its own.
    c.first_phase = ml_collections.ConfigDict()

    c.audio = ml_collections.ConfigDict()
    c.audio.encoder = "thin_resnet34"  # a row of AUDIO_ENCODERS or a dotted path
    c.audio.arguments = ml_collections.ConfigDict()  # further ones of the encoder
    # Arguments of layers.LogMel; of another front-end, or as a preset: replace the whole.
    c.audio.frontend = ml_collections.ConfigDict()
    c.audio.frontend.num_mels = 40
    c.audio.frontend.frame_length_samples = 400
    c.audio.frontend.frame_step_samples = 160
    c.audio.frontend.fft_length = 512
    c.audio.frontend.lower_hz = 0.0
    c.audio.frontend.upper_hz = 8000.0
    c.audio.frontend.slopes = "hz"  # or mel: the scale on which a band's slopes are linear
    c.audio.frontend.window = "hamming"
    c.audio.frontend.power = 2.0
    c.audio.frontend.log_offset = 1e-6
    c.audio.frontend.amplitude = 1.0  # 32768: the int16 range the released voice encoder expects
    c.audio.frontend.preemphasis = 0.0  # c of x_t - c x_(t-1); 0: none
    c.audio.frontend.centered = True  # frames have their middle at multiples of the step
    c.audio.frontend.instance_norm = True  # of each band over the clip: levels do not count
    # What lies so far below the clip's level is silence and cut out, as padding is; 0: nothing is.
    c.audio.frontend.silence_db = 0.0
    c.audio.frontend.level_norm = False  # divide each clip by its level: its gain does not count
    c.audio.frontend.form = "stft"  # or conv: for accelerators that must take the whole graph

    c.image = ml_collections.ConfigDict()
    c.image.encoder = "ir50"  # a row of IMAGE_ENCODERS or a dotted path
    c.image.size = 112
    c.image.arguments = ml_collections.ConfigDict()  # further ones of the encoder
    c.image.num_frames = 1  # several: of a row's pictures, spread evenly; embeddings are averaged

    # Further modalities: name to what `further` makes of images, such as optical flow, and
    # `further_of` of any other kind. Each is also named in `modalities`.
    c.further = ml_collections.ConfigDict()

    c.init = ml_collections.ConfigDict()  # files with weights of others, for a fresh start
    c.init.audio = ""  # .model or .pth.tar, for thin_resnet34; SpeechBrain's .ckpt, for ecapa_tdnn
    c.init.image = ""  # .pth or .pth.tar, for ir50; of Keras .h5, for vgg16 and keras.applications'

    c.data = ml_collections.ConfigDict()
    c.data.directory = ""  # what prepare wrote
    c.data.train_split = "train"
    c.data.sampling = "identities"  # a batch of distinct identities; or rows: every row in turn
    c.data.audio_seconds = (2.5, 5.0)  # a training crop's length is uniform in this range
    c.data.num_lengths = 8  # lengths in that range, of equal distance; 0: any
    # Records that may be bad: training replaces each by the next row of its plan; 0: it stops.
    c.data.max_bad_records = 0
    c.data.augment = ()  # rows of augment.IMAGE_AUGMENTATIONS and AUDIO_AUGMENTATIONS, in order

    c.train = ml_collections.ConfigDict()
    c.train.batch_size = 64  # global: over all replicas
    c.train.num_steps = 10_000
    c.train.optimizer = "sgd"  # a row of optimizers.OPTIMIZERS
    c.train.learning_rate = 0.01
    c.train.schedule = "step"  # constant, step or cosine
    c.train.warmup_steps = 0
    c.train.decay_steps = (2000, 3000)  # schedule=step: where the rate falls
    c.train.decay_factor = 0.1
    c.train.momentum = 0.9  # sgd, moving_average and lookahead
    c.train.weight_decay = 1e-4  # coupled L2 on weights of rank >= 2
    c.train.clip_norm = 0.0  # of the global gradient; 0: no clipping
    # Compile each replica's forward and backward pass by XLA: for one GPU and fixed shapes.
    c.train.jit_compile = False
    # Threads that share one operation on the CPU, of all phases; 0: as TensorFlow has it. One is
    # best where operations are small.
    c.train.intra_op_threads = 0
    c.train.steps_per_call = 50  # steps between two looks of the host
    c.train.checkpoint_every = 500
    c.train.keep_checkpoints = 3
    c.train.validate_every = 500  # weights are picked by validation; 0: the last ones
    c.train.init_from = ""  # a workdir or weights.npz: encoders only
    c.train.tables_from = ""  # a workdir or weights.npz: tables, teacher; set by first_phase

    c.eval = ml_collections.ConfigDict()
    c.eval.protocols = ("lists",)  # rows of protocols.table.PROTOCOLS; the first one validates too
    c.eval.groups = ""  # classification: the column whose values are resampled for intervals
    c.eval.batch_size = 32
    # What is heard of a clip, by evaluation, tfav-embed, servers and phones alike: hearing.Hearing.
    c.eval.audio_seconds = 10.0  # the first seconds of a clip are heard
    c.eval.min_seconds = 0.0  # shorter clips repeat up to it
    c.eval.window_seconds = 0.0  # in windows, whose embeddings are averaged; 0: whole
    c.eval.num_bootstrap = 1000
    # localisation: a map says where it is at least half way up; or top_half, of its pixels.
    c.eval.binarise = "threshold"

    c.export = ml_collections.ConfigDict()
    c.export.audio_seconds = 3.0  # fixed clip length of the .tflite; shorter ones pass num_samples
    c.export.min_cosine = 0.999  # parity below this publishes nothing
    return c


def further(
    encoder: str, size: int, num_frames: int = 1, augment: tuple[str, ...] = ()
) -> ml_collections.ConfigDict:
    """Returns an entry of `c.further`: a modality made of images.

    Args:
      encoder: a row of IMAGE_ENCODERS or a dotted path.
      size: height and width in pixels.
      num_frames: of a row's pictures, spread evenly.
      augment: rows of augment.IMAGE_AUGMENTATIONS, in order.
    """
    return ml_collections.ConfigDict(
        {
            "encoder": encoder,
            "size": size,
            "arguments": {},
            "num_frames": num_frames,
            "augment": augment,
        }
    )


def further_of(
    kind: str,
    encoder: str,
    arguments: Mapping[str, Any] | None = None,
    augment: tuple[str, ...] = (),
    **fields_of_kind: Any,
) -> ml_collections.ConfigDict:
    """Returns an entry of `c.further`: a modality of any kind.

    Args:
      kind: a row of `data.kinds.KINDS` such as `array`, or a dotted path.
      encoder: a row of the table of that kind in `encoders.by_kind`, or a dotted path.
      arguments: further ones of the encoder.
      augment: augmentations of what that kind is made of, in order.
      **fields_of_kind: what the kind's `fields` name; of `array` `size` and `sequence`.
    """
    return ml_collections.ConfigDict(
        {
            "kind": kind,
            "encoder": encoder,
            "arguments": dict(arguments or {}),
            "augment": augment,
            **fields_of_kind,
        }
    )


def variant(
    name: str, table: Mapping[str, Callable[[], ml_collections.ConfigDict]]
) -> ml_collections.ConfigDict:
    """Returns the experiment `name` of a config file's table.

    Raises:
      UserError: no such variant; names the choices.
    """
    if name not in table:
        raise registry.UserError(
            f"the config has no variant {name!r}: write --config=FILE:VARIANT with one of "
            f"{', '.join(table)}."
        )
    return table[name]()


def validate(c: ml_collections.ConfigDict) -> None:
    """Refuses values that cannot work, each with its fix.

    Raises:
      UserError: names the field, the value and what to set.
    """
    if not c.data.directory:
        raise registry.UserError(
            "--config.data.directory is empty: name the folder that prepare wrote, "
            "--config.data.directory=DIR."
        )
    fields.check(c.to_dict())


def first_phase(c: ml_collections.ConfigDict) -> ml_collections.ConfigDict:
    """Returns the first phase's whole config: `c` with the fields that `c.first_phase` names.

    Raises:
      UserError: one of them cannot take the place of the field.
    """
    phase = ml_collections.ConfigDict(c.to_dict())
    phase.first_phase = ml_collections.ConfigDict()
    if c.first_phase.get("recipe", c.recipe) != c.recipe:
        phase.model, phase.loss = ml_collections.ConfigDict(), ml_collections.ConfigDict()
    try:
        phase.update(c.first_phase)
    except (TypeError, ValueError) as error:
        raise registry.UserError(
            f"--config.first_phase does not fit the config ({error}): name fields of the config, "
            "with values of their types."
        ) from error
    return phase.lock()


def optional_float() -> Any:
    """Returns a field that is a number or None, whose default is worked out at build time."""
    return config_dict.placeholder(float)
