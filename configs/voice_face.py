"""Voice-face association (Seeking the Shape of Sound, CVPR 2021).

    python bin/train.py --config=configs/voice_face.py:demo --workdir=runs/demo
        --config.data.directory=DATA

Variants:
  demo          tiny encoders on the synthetic corpus; what `make demo` runs.
  mobile        the demo with MobileFaceNet and a small SpeakerNet: a few minutes.
  voices_faces  tiny encoders on a small set of real recordings and photographs.
  reweighted    the demo with identity re-weighting: two phases of one run.
  pretrained    the demo's losses over what others have trained: ECAPA-TDNN, EfficientNetB0.
  vox1          the paper's run on VoxCeleb1 and VGGFace; vox1_normalized: with unit class weights.
  ablation_*    the demo with other losses and the released front-end; what `tfav-compare` runs.
"""

import functools

from tfav import config

# The demo's data, steps and rate and the released front-end: from row to row only what is listed
# here differs. The paper's weights are 1 and 1. Each baseline has the best of three constants by
# 1:2, AUC and mAP on the synthetic corpora of the seeds 100 and 101, which no table is made of; the
# papers' own losses were not tuned.
ABLATION = {
    "implicit": {"implicit_weight": 1.0, "explicit_weight": 0.0},
    "explicit": {"implicit_weight": 0.0},
    "both": {"implicit_weight": 1.0},
    "n_pair": {
        "implicit_weight": 0.0,
        "alignment": "n_pair",
        "alignment_args": {"norm_weight": 0.02},  # of 0.0005, 0.005, 0.02
    },
    "triplet": {
        "implicit_weight": 0.0,
        "alignment": "triplet",
        "alignment_args": {"margin": 0.5},  # of 0.2, 0.5, 1
    },
    "supervised_contrastive": {
        "implicit_weight": 0.0,
        "alignment": "supervised_contrastive",
        "alignment_args": {"temperature": 0.2},  # of 0.05, 0.1, 0.2
    },
}


def get_config(variant: str = "demo"):
    """Returns the experiment called `variant`."""
    ablations = {f"ablation_{row}": functools.partial(ablation, row) for row in ABLATION}
    variants = {
        "demo": demo,
        "voices_faces": voices_faces,
        "mobile": mobile,
        "reweighted": reweighted,
        "pretrained": pretrained,
        "vox1": vox1,
        "vox1_normalized": vox1_normalized,
        "ablation_reweighted": lambda: _released_frontend(reweighted()),
        **ablations,
    }
    return config.variant(variant, variants)


def demo():
    """200 synthetic identities, 140 of them to train on: half a minute on two CPU cores."""
    c = config.base()
    c.model.normalized = True
    c.model.scale = config.optional_float()  # sqrt(2) ln(M - 1)
    _without_margin(c)
    c.model.alignment = "explicit"
    c.model.alignment_args = {"m": 5.4}  # the released constant, see losses/alignment.py
    # So few identities are soon told apart by heart, which says nothing of people never seen: the
    # pairwise term leads here. The paper weighs both terms 1, over 924 identities.
    c.model.implicit_weight = 0.2
    c.model.explicit_weight = 1.0

    c.embedding_size = 64
    c.audio.encoder = "tiny"
    c.audio.frontend.silence_db = 60.0  # changes no figure: docs/results.md
    c.image.encoder = "tiny"
    c.image.size = 48

    c.data.audio_seconds = (2.0, 2.0)
    c.data.augment = ("flip", "crop")

    c.train.batch_size = 64
    c.train.num_steps = 200
    c.train.optimizer = "adam"
    c.train.learning_rate = 2e-3
    c.train.schedule = "cosine"
    c.train.warmup_steps = 20
    c.train.weight_decay = 1e-4
    c.train.clip_norm = 5.0
    c.train.steps_per_call = 20
    c.train.checkpoint_every = 100
    c.train.validate_every = 50

    c.eval.protocols = ("lists", "calibration")
    c.eval.audio_seconds = 3.0
    c.export.audio_seconds = 3.0
    return c


def mobile():
    """The demo with encoders of published phone-sized nets: 1.3 million parameters together."""
    c = demo()
    c.audio.encoder = "mobile_speakernet"
    c.image.encoder = "mobile_facenet"
    c.image.size = 64
    return c


def voices_faces():
    """40 real training identities: the demo's encoders with more augmentation.

    Made for data whose voices and faces are paired by sex alone: what can be learnt is who is who
    among the training identities, which validation on other people cannot see. So the last weights
    are kept.
    """
    c = demo()
    c.model.implicit_weight = 1.0
    # A norm of each band takes the gain of a recording away, and with it the mean spectrum of the
    # voice, by which these people are known. The level norm takes the gain alone.
    c.audio.frontend.instance_norm = False
    c.audio.frontend.level_norm = True
    c.data.augment = ("flip", "rotate", "crop", "brightness", "gain", "noise")
    c.train.batch_size = 40
    c.train.num_steps = 600
    c.train.checkpoint_every = 300
    c.train.validate_every = 0
    return c


def reweighted():
    """The demo in the paper's two phases, in one command: grow identity weights, then use them.

    The first phase follows the released schedule (from step 500 every 100 of 2400 steps, over 924
    identities) at the same share of its length. Both start from fresh encoders.
    """
    c = demo()
    c.model.implicit_weight = 1.0
    c.model.reweighting = "frozen"
    c.model.reweighting_args = {"initial_hardness": config.optional_float()}  # 2 ln M
    c.model.grow_from = 40
    c.model.grow_every = 8
    c.model.legacy_weighting = False
    c.first_phase.model = {"reweighting": "grow"}
    c.first_phase.train = {"validate_every": 0}
    return c


def pretrained():
    """The demo's losses over encoders whose weights others have trained.

        python bin/train.py --config=configs/voice_face.py:pretrained --workdir=runs/pretrained
            --config.data.directory=data/mine --config.init.audio=embedding_model.ckpt
            --config.init.image=efficientnetb0_notop.h5

    The files are SpeechBrain's (spkrec-ecapa-voxceleb) and keras.applications'. Neither comes with
    this project, and it was not run with them.
    """
    c = demo()
    c.audio.encoder = "ecapa_tdnn"
    c.audio.frontend = {"kind": "speechbrain_fbank"}
    c.image.encoder = "efficientnet_b0"
    c.image.size = 224
    c.train.learning_rate = 1e-4
    return c


def vox1():
    """The paper's run: 924 identities, two phases of 2,400 and 10,000 steps, in one command.

        python bin/train.py --config=configs/voice_face.py:vox1 --workdir=runs/vox1
            --config.data.directory=data/vox1 --config.init.audio=baseline_lite_ap.model
            --config.init.image=backbone_ir50_ms1m_epoch120.pth

    What the authors' README says it reaches on the 189 test identities, in percent. It was not run
    here: neither the data nor the pre-trained files come with this project.

                      1:2 U  1:2 G  verification U  verification G  mAP
      voice to face    87.2   77.7            87.2            77.5  5.5
      face to voice    86.5   75.3            87.0            76.1  5.8

    Where it differs from their code: identity weights act on every sample (theirs:
    `model.legacy_weighting=True`). Rows of a batch share the length of their crops and not its
    start. Weight decay spares biases and batch norms. Validation counts both directions where both
    lists are there (theirs: voice to face), and also the last step.
    """
    c = config.base()
    c.model.normalized = False
    c.model.scale = config.optional_float()
    _without_margin(c)
    c.model.alignment = "explicit"
    c.model.alignment_args = {"m": 5.4}
    c.model.implicit_weight = 1.0
    c.model.explicit_weight = 1.0
    c.model.reweighting = "frozen"
    c.model.reweighting_args = {"initial_hardness": 14.0}
    c.model.grow_from = 500
    c.model.grow_every = 100
    c.model.legacy_weighting = False

    c.embedding_size = 128
    c.audio.encoder = "thin_resnet34"
    c.audio.frontend.amplitude = 32768.0
    c.image.encoder = "ir50"
    c.image.size = 112

    c.data.audio_seconds = (2.5, 5.0)
    c.data.augment = ("flip", "rotate", "crop")

    c.train.batch_size = 64
    c.train.num_steps = 10_000
    c.train.optimizer = "sgd"
    c.train.learning_rate = 0.01
    c.train.momentum = 0.9
    c.train.weight_decay = 1e-4
    c.train.schedule = "step"
    c.train.decay_steps = (2000, 3000)
    c.train.decay_factor = 0.1
    c.train.validate_every = 2000

    c.eval.protocols = ("lists", "calibration")
    c.eval.audio_seconds = 10.0
    c.eval.min_seconds = 10.0

    c.first_phase.model = {"reweighting": "grow"}
    c.first_phase.train = {"num_steps": 2400, "decay_steps": (1000, 2000), "validate_every": 0}
    return c


def vox1_normalized():
    """`vox1` with unit class weights and embeddings in the implicit loss, scaled as AdaCos does."""
    c = vox1()
    c.model.normalized = True
    return c


def ablation(row):
    """The demo with the losses of a row of `ABLATION` and the released front-end."""
    c = _released_frontend(demo())
    for field, value in ABLATION[row].items():
        c.model[field] = value
    return c


def _without_margin(c):
    c.model.sampled = 1.0  # share of the identities that a step compares with; 1: all
    c.model.sharded = False  # True: each replica has some of the identities
    c.model.sub_centers = 1
    c.model.margin_kind = "none"  # any row of MARGINS, on the normalised logits, in training alone
    c.model.margin = 0.0
    c.model.margin_warmup_steps = 0


def _released_frontend(c):
    """Returns `c` with the front-end and crops that its tables in docs/results.md are of."""
    c.audio.frontend = config.base().audio.frontend
    c.data.num_lengths = 0
    return c
