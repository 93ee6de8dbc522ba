"""Balanced classification with several modalities (MMCosine, ICASSP 2023).

    python bin/train.py --config=configs/mmcosine.py:demo --workdir=runs/demo
        --config.data.directory=DATA

Variants:
  demo            tiny encoders on the synthetic corpus: one modality easy, the other one needed.
  av_digits       tiny encoders on spoken and written digits.
  crema_d         the paper's run on emotions, with sound and one picture.
  ssw60           the paper's run on birds.
  voxceleb2       the paper's run on speakers, with voices and faces.
  ucf101          the supplement's run on actions: RGB, optical flow and RGB difference.
  ucf101_two      the same with RGB and optical flow.

Each also as `_vanilla`; the first three with every ending of `ROWS`, which changes head and losses
and nothing else: `_vanilla`, `_contrastive`, `_vanilla_contrastive`, `_gblend`, `_cosine_gblend`,
`_ogm_ge`, `_cosine_ogm_ge`, `_mmpareto`, `_agm`, `_pmr`, `_reconboost`, `_lfm`, `_mla` (methods of
others; the first three and `_lfm` also with `_cosine` before), `_fitted`, `_vanilla_fitted` (a
weight per modality for the sum of the logits, fitted on the split `val`), `_additive_cosine`,
`_additive_angular`. So the supplement's tables, on any data set, are

  1   --sweep=loss.scale:2,5,10,30 of crema_d, beside crema_d_vanilla
  2   ucf101_two_vanilla, ucf101_two, ucf101_vanilla, ucf101
  3   crema_d_vanilla, crema_d, crema_d_vanilla_contrastive, crema_d_contrastive
"""

import functools

from tfav import config

VANILLA = {"model.head": "vanilla", "loss.scale": None}
CONTRASTIVE = {"loss.contrastive_weight": 1.0}
# The weights are found by a run before, of all losses alike, from its first and last validation:
# the data needs a split `val`.
GBLEND = {"loss.blending": "estimated", "first_phase.loss": {"blending": "equal"}}
OGM_GE = {"loss.modulation": "ogm_ge"}
# The constants are the methods' own, or ours where we know none: untuned.
MMPARETO = {"loss.balance": "mmpareto"}
AGM = {"loss.balance": "agm"}
PMR = {"loss.balance": "pmr"}
RECONBOOST = {"loss.balance": "reconboost"}
LFM = {"loss.balance": "lfm"}
MLA = {
    "loss.balance": "mla",
    "model.head": "common",
    "model.late_fusion": "certainty",
    "loss.scale": None,
}
# The weights of the last validation: of `val`, whose people the training must not know.
FITTED = {"model.late_fusion": "fitted"}
# Margins of the sizes that their papers use for faces, at scales ten times ours: untuned.
ADDITIVE_COSINE = {"loss.margin_kind": "additive_cosine", "loss.margin": 0.35}
ADDITIVE_ANGULAR = {"loss.margin_kind": "additive_angular", "loss.margin": 0.5}
ROWS = {
    "vanilla": VANILLA,
    "contrastive": CONTRASTIVE,
    "vanilla_contrastive": VANILLA | CONTRASTIVE,
    "gblend": VANILLA | GBLEND,
    "cosine_gblend": GBLEND,
    "ogm_ge": VANILLA | OGM_GE,
    "cosine_ogm_ge": OGM_GE,
    "mmpareto": VANILLA | MMPARETO,
    "cosine_mmpareto": MMPARETO,
    "agm": VANILLA | AGM,
    "cosine_agm": AGM,
    "pmr": VANILLA | PMR,
    "cosine_pmr": PMR,
    "reconboost": VANILLA | RECONBOOST,
    "lfm": VANILLA | LFM,
    "cosine_lfm": LFM,
    "mla": MLA,
    "fitted": FITTED,
    "vanilla_fitted": VANILLA | FITTED,
    "additive_cosine": ADDITIVE_COSINE,
    "additive_angular": ADDITIVE_ANGULAR,
}


def get_config(variant: str = "demo"):
    """Returns the experiment called `variant`."""
    bases = (demo, av_digits, crema_d, ssw60, voxceleb2, ucf101, ucf101_two)
    variants = {base.__name__: base for base in bases}
    for base in bases:
        for name in ROWS if base in (demo, av_digits, crema_d) else ("vanilla",):
            variants[f"{base.__name__}_{name}"] = functools.partial(row, base, name)
    return config.variant(variant, variants)


def row(base, name):
    """The experiment `base` with the head and losses of a row of `ROWS`."""
    c = base()
    for field, value in ROWS[name].items():
        part, _, key = field.partition(".")
        c[part][key] = value
    if c.first_phase:
        c.first_phase.train = {"validate_every": c.train.num_steps // 20}
    if c.model.late_fusion == "fitted":
        c.train.validate_every = c.train.num_steps  # once: the last weights are kept
    return c


def _base():
    """What all experiments share: the cosine head alone, on every row of the data in turn."""
    c = config.base()
    c.recipe = "mmcosine"
    c.model.head = "cosine"
    c.model.fusion = "concat"
    c.model.sampled = 1.0  # share of the classes that a step compares with; 1: all
    c.model.sharded = False  # True: each replica has some of the classes
    c.model.sub_centers = 1
    c.model.late_fusion = "sum"  # certainty, fitted (by validations), taken (tables_from)
    c.loss.scale = config.optional_float()  # the bound at `posterior`
    c.loss.posterior = 0.99
    c.loss.bound = "paper"
    c.loss.margin_kind = "none"  # any row of MARGINS, in training alone
    c.loss.margin = 0.0
    c.loss.margin_warmup_steps = 0
    c.loss.contrastive = "contrastive"  # any row of ALIGNMENT
    c.loss.contrastive_weight = 0.0
    c.loss.contrastive_args = {"temperature": 0.1, "symmetric": False}
    c.loss.agreement_weight = 0.0
    c.loss.blending = "off"
    c.loss.balance = "off"  # any row of BALANCES; its arguments: balance_args
    c.loss.balance_args = {}
    c.loss.modulation = "off"
    c.loss.modulation_args = {"alpha": 0.1, "start_step": 0, "end_step": 10_000_000}
    c.data.sampling = "rows"
    c.eval.protocols = ("classification", "calibration")
    return c


def _modulate_half(c):
    # As released: in the first half of the epochs.
    c.loss.modulation_args.end_step = c.train.num_steps // 2


def demo():
    """Synthetic birds: their song is learnt in a few steps and errs, their plumage takes many.

    The scale is the bound, 2.96 for 12 classes. The rate is the cosine head's best, on the corpora
    of the seeds 100 to 102, which no table is made of; the vanilla head's, 3e-2, is within its
    spread. Fused accuracy there (mean of three, in percent):

                1e-3  3e-3  1e-2  3e-2  1e-1
      vanilla   70.9  74.4  75.6  76.7  72.0
      cosine    88.5  94.1  96.5  94.8  81.7
    """
    c = _base()

    c.embedding_size = 64
    c.audio.encoder = "tiny"
    c.image.encoder = "tiny"
    c.image.size = 48

    c.data.audio_seconds = (0.75, 0.75)
    c.data.augment = ("crop",)

    c.train.batch_size = 64
    c.train.num_steps = 300
    c.train.optimizer = "adam"
    c.train.learning_rate = 1e-2
    c.train.schedule = "cosine"
    c.train.warmup_steps = 20
    c.train.weight_decay = 1e-4
    c.train.clip_norm = 5.0
    c.train.steps_per_call = 20
    c.train.checkpoint_every = 100
    c.train.validate_every = 0
    _modulate_half(c)

    c.eval.groups = "bird"
    c.eval.audio_seconds = 0.75
    c.eval.min_seconds = 0.75
    c.export.audio_seconds = 0.75
    return c


def av_digits():
    """Spoken digits (8 kHz: nothing lies above 4 kHz) with written ones, of unseen people.

    The rate is the best of 1e-3, 3e-3, 1e-2 and 3e-2 for the vanilla head, where one of the four
    training speakers is left out and judged: theo, then nicolas. The cosine head's is 3e-3.
    """
    c = demo()
    c.audio.frontend.upper_hz = 4000.0
    c.image.size = 32

    c.data.audio_seconds = (1.0, 1.0)  # most words are shorter and repeat, from any place on
    c.data.augment = ("crop", "noise")

    c.train.num_steps = 500
    c.train.learning_rate = 1e-2
    _modulate_half(c)

    c.eval.groups = ""  # two speakers are too few to resample
    c.eval.audio_seconds = 1.0
    c.eval.min_seconds = 1.0
    c.export.audio_seconds = 1.0
    return c


def crema_d():
    """The paper's run on CREMA-D: 6 emotions, 6698 clips to train on, 744 to test.

        python bin/train.py --config=configs/mmcosine.py:crema_d --workdir=runs/crema_d
            --config.data.directory=data/crema_d

    Published accuracy in percent (supplement, tables 1 and 3); one test clip is 0.134 points. It
    was not run here: the data does not come with this project.

      vanilla  s = 2  s = 5  s = 10  s = 30   with contrastive term: vanilla  s = 2
        60.08  63.44  61.69   59.82   62.09                            61.56  64.02

    Their best scale is below their own bound, 2.2159. Where it differs from their code: the fused
    prediction is the sum of the cosines (theirs, on this data set alone: the raw classifier), the
    crop of a clip longer than 3 s starts anywhere (theirs: at 0), weight decay spares biases and
    batch norms, and the weights are the last ones (theirs: the best on the test split).
    """
    c = _base()
    c.loss.scale = 2.0

    c.embedding_size = 512
    c.audio.encoder = "resnet18"
    c.audio.frontend = {"kind": "spectrogram"}
    c.image.encoder = "resnet18"
    c.image.size = 224

    c.data.audio_seconds = (3.0, 3.0)  # shorter clips repeat
    c.data.augment = ("resized_crop", "flip")

    c.train.batch_size = 32
    c.train.num_steps = 41_800  # 200 epochs of 209
    c.train.optimizer = "sgd"
    c.train.learning_rate = 1e-3
    c.train.momentum = 0.9
    c.train.weight_decay = 1e-4
    c.train.schedule = "step"
    c.train.decay_steps = (20_900,)  # 100 epochs
    c.train.decay_factor = 0.1
    c.train.checkpoint_every = 2090
    c.train.validate_every = 0
    _modulate_half(c)

    c.eval.audio_seconds = 3.0
    c.eval.min_seconds = 3.0
    c.export.audio_seconds = 3.0
    return c


def ssw60():
    """The paper's run on SSW60: ten-second videos of 60 species of birds.

        python bin/train.py --config=configs/mmcosine.py:ssw60 --workdir=runs/ssw60
            --config.data.directory=data/ssw60

    Published accuracy in percent (supplement, table 1); not run here: the data does not come with
    this project.

      vanilla  s = 10  s = 20  s = 30  s = 40
        73.32   73.58   75.95   74.87   73.85

    Neither the paper's supplement nor its code says how this set was trained; the code speaks of
    encoders trained on one modality before (`--config.train.init_from`). All but the scale is that
    of `crema_d`; four frames a video (prepare with `--num_frames`, 4 or more) and the number of
    steps are ours.
    """
    c = crema_d()
    c.loss.scale = 20.0
    c.image.num_frames = 4
    c.data.audio_seconds = (10.0, 10.0)
    c.train.num_steps = 20_000
    c.train.decay_steps = (10_000,)
    c.train.checkpoint_every = 1000
    _modulate_half(c)
    c.eval.audio_seconds = 10.0
    c.eval.min_seconds = 10.0
    c.export.audio_seconds = 10.0
    return c


def voxceleb2():
    """The paper's run on VoxCeleb2: 5842 speakers, judged by trials on unseen ones.

        python bin/train.py --config=configs/mmcosine.py:voxceleb2 --workdir=runs/voxceleb2
            --config.data.directory=data/voxceleb2

    Published equal error rate in percent, smaller is better (supplement, table 1); not run here:
    the data does not come with this project.

      vanilla  s = 10  s = 20  s = 30  s = 40
         6.13    4.13    4.91    5.50    5.91

    Trials are scored by the cosine of the two fused logits. Their list of training utterances is
    not public: an epoch is counted as the 1,092,009 of the development part. Two faces an
    utterance in training, averaged; the test has one frame, which counts as both. The size of the
    faces is ours, and mixed precision is bfloat16 (theirs: float16). The code's other fusions are
    one-sided, so that the cosine head cannot stand on them; `concat` here.
    """
    c = _base()
    c.dtype = "mixed_bfloat16"
    c.loss.scale = 10.0

    c.embedding_size = 512
    c.audio.encoder = "resnet34_se_sap"
    c.audio.frontend.preemphasis = 0.97
    c.image.encoder = "resnet34"
    c.image.size = 224
    c.image.num_frames = 2

    c.data.audio_seconds = (2.015, 2.015)  # 200 frames and a window: 32240 samples
    c.data.augment = ("resized_crop", "flip")

    c.train.batch_size = 256
    c.train.num_steps = 853_000  # 200 epochs of 4265
    c.train.optimizer = "sgd"
    c.train.learning_rate = 1e-3
    c.train.momentum = 0.9
    c.train.weight_decay = 1e-4
    c.train.schedule = "step"
    c.train.decay_steps = (298_550, 597_100)  # every 70 epochs
    c.train.decay_factor = 0.1
    c.train.checkpoint_every = 4265
    c.train.validate_every = 0
    _modulate_half(c)

    c.eval.protocols = ("trials",)
    c.eval.audio_seconds = 4.015  # 400 frames
    c.eval.min_seconds = 4.015
    c.export.audio_seconds = 4.015
    return c


def ucf101():
    """The supplement's run on UCF-101: RGB, optical flow and RGB difference, 101 actions.

        python bin/prepare.py --source=ucf101 --derive=flow,diff --num_frames=3 ...
        python bin/train.py --config=configs/mmcosine.py:ucf101 --workdir=runs/ucf101
            --config.data.directory=data/ucf101

    Published accuracy in percent (supplement, table 2); not run here: the data does not come with
    this project.

                        vanilla  cosine
      RGB + flow          81.15   82.02
      RGB + flow + diff   82.29   83.22

    The supplement gives the three modalities and no more. Optimiser as for `crema_d`; encoders,
    frames, steps and the scale (the bound, 3.0 for three modalities) are ours.
    """
    c = crema_d()
    c.loss.scale = None
    c.modalities = ("image", "flow", "diff")
    c.image.num_frames = 3
    c.data.augment = ("resized_crop", "flip")
    c.further.flow = config.further("resnet18", 224, 3, ("resized_crop", "flip_flow"))
    c.further.diff = config.further("resnet18", 224, 3, ("resized_crop", "flip"))
    c.train.num_steps = 29_800  # 100 epochs of 298
    c.train.decay_steps = (14_900,)
    c.train.checkpoint_every = 2980
    _modulate_half(c)
    return c


def ucf101_two():
    """`ucf101` with RGB and optical flow."""
    c = ucf101()
    c.modalities = ("image", "flow")
    del c.further.diff
    return c
