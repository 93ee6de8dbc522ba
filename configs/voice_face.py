"""Voice-face association (Seeking the Shape of Sound, CVPR 2021).

    python bin/train.py --config=configs/voice_face.py:demo --workdir=runs/demo
        --config.data.directory=DATA

Variants:
  demo          tiny encoders on the synthetic corpus; what `make demo` runs.
  voices_faces  tiny encoders on a small set of real recordings and photographs.
"""

from tfav import config


def get_config(variant: str = "demo"):
    """Returns the experiment called `variant`."""
    return config.variant(variant, {"demo": demo, "voices_faces": voices_faces})


def demo():
    """200 synthetic identities, 140 of them to train on: half a minute on two CPU cores."""
    c = config.base()
    c.model.normalized = True
    c.model.scale = config.optional_float()  # sqrt(2) ln(M - 1)
    c.model.alignment = "explicit"
    c.model.alignment_args = {"m": 5.4}  # the released constant, see losses/alignment.py
    # So few identities are soon told apart by heart, which says nothing of people never seen: the
    # pairwise term leads here. The paper weighs both terms 1, over 924 identities.
    c.model.implicit_weight = 0.2
    c.model.explicit_weight = 1.0

    c.embedding_size = 64
    c.audio.encoder = "tiny"
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

    c.eval.audio_seconds = 3.0
    c.export.audio_seconds = 3.0
    return c


def voices_faces():
    """40 real training identities: the demo's encoders with more augmentation.

    Made for data whose voices and faces are paired by sex alone: what can be learnt is who is who
    among the training identities, which validation on other people cannot see. So the last weights
    are kept.
    """
    c = demo()
    c.model.implicit_weight = 1.0
    c.data.augment = ("flip", "rotate", "crop", "brightness", "gain", "noise")
    c.train.batch_size = 40
    c.train.num_steps = 600
    c.train.checkpoint_every = 300
    c.train.validate_every = 0
    return c
