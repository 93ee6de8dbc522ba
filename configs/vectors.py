"""Voice-face association of vectors that other networks have computed: a file of `.npz` each.

    python bin/prepare.py --source=vectors --source_option=audio=voices.npz
        --source_option=image=faces.npz --val_fraction=0.15 --test_fraction=0.15 --output=DATA
    python bin/train.py --config=configs/vectors.py:voice_face --workdir=runs/vectors
        --config.data.directory=DATA --config.further.audio.size=192

Variants: the methods of the field over the same two small encoders; docs/performance.md has how
many steps per second each takes.

  voice_face              the explicit and the implicit loss of Seeking the Shape of Sound.
  supervised_contrastive  Khosla et al. across modalities.
  fop                     gated fusion with orthogonal classes.
  pins                    one negative per row that grows harder.
  dimnet                  classifiers of identity and gender that both modalities share; the data
                          need a column `gender`.
  cmpc                    without labels: instances and prototypes.
  self_lifting            without labels: clusters as labels.
"""

from tfav import config

METHODS = {
    "voice_face": {
        "recipe": "voice_face",
        "model": {
            "alignment": "explicit",
            "alignment_args": {"m": 5.4},
            "implicit_weight": 0.2,
            "explicit_weight": 1.0,
        },
    },
    "supervised_contrastive": {
        "recipe": "voice_face",
        "model": {
            "alignment": "supervised_contrastive",
            "alignment_args": {"temperature": 0.2},
            "implicit_weight": 0.0,
            "explicit_weight": 1.0,
        },
    },
    "fop": {"recipe": "fop", "model": {"orthogonality_weight": 1.0}},
    "pins": {
        "recipe": "pins",
        "model": {
            "margin": 0.6,
            "first_hardness": 0.3,
            "last_hardness": 0.8,
            "rise": 0.1,
            "rise_every": 200,
        },
    },
    "dimnet": {
        "recipe": "dimnet",
        "model": {"covariates": {"gender": 2}, "identity_weight": 1.0, "covariate_weight": 1.0},
    },
    "cmpc": {"recipe": "cmpc", "model": {"num_clusters": 16, "temperature": 0.1}},
    "self_lifting": {
        "recipe": "self_lifting",
        "model": {
            "num_clusters": 32,
            "alignment": "supervised_contrastive",
            "alignment_args": {"temperature": 0.2},
        },
    },
}


def get_config(variant: str = "voice_face"):
    """Returns the experiment called `variant`."""
    return config.variant(variant, {name: lambda n=name: method(n) for name in METHODS})


def method(name):
    """Returns two thousand steps of a row of `METHODS` on vectors of 512 numbers."""
    c = config.base()
    c.recipe = METHODS[name]["recipe"]
    for field, value in METHODS[name]["model"].items():
        c.model[field] = value
    c.embedding_size = 128
    for modality in ("audio", "image"):
        c.further[modality] = config.further_of(
            "array",
            "mlp",
            {"depth": 1, "width": 256, "norm": "batch", "dropout": 0.0},
            size=512,
            sequence=False,
        )
    c.train.batch_size = 64
    c.train.num_steps = 2000
    c.train.optimizer = "adam"
    c.train.learning_rate = 1e-3
    c.train.schedule = "cosine"
    c.train.warmup_steps = 100
    c.train.weight_decay = 1e-4
    c.train.clip_norm = 5.0
    c.train.steps_per_call = 500
    # Operations of a few microseconds: what a second thread costs each is more than it saves.
    c.train.intra_op_threads = 1
    c.train.checkpoint_every = 2000
    c.train.validate_every = 500

    c.eval.protocols = ("lists", "calibration")
    return c
