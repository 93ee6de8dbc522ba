"""The losses of `tfav.losses` as Keras takes them, for `model.compile` and `model.fit`.

    model = keras.Model([voice, face], keras.layers.Concatenate()([voice_tower, face_tower]))
    model.compile("adam", tfav.keras.ExplicitAlignment(m=5.4))
    model.fit([voices, faces], identities, batch_size=64)

What `y_true` and `y_pred` are, B rows each:

| loss | `y_true` | `y_pred` |
|---|---|---|
| `...Alignment` | identity, [B] int | audio and image embeddings, concatenated: [B, 2 D] |
| `CrossEntropy` | class, [B] int | logits [B, C] |
| `Agreement` | any [B], not read | logits of two modalities, concatenated: [B, 2 C] |
| `Cluster...` | any [B], not read | audio and image centres, concatenated: [B, K, 2 d] |
| `Pair...` | any [B], not read | score of the matched pair, then of M mismatched ones: [B, 1 + M] |
| `InfoNCE` | any [B], not read | audio and image embeddings, concatenated: [B, 2 D] |

`keras.layers.Concatenate()` joins what has to be concatenated. All rows of a batch are held against
each other, so an epoch's last, smaller batch has fewer negatives. Keras 3 hands labels over as
float32, which holds identities below 2^24 exactly. On several replicas a mean is refused, because
Keras takes that of each replica's rows; `reduction="sum"` is right there, in Keras 3 with
`jit_compile=False`.
"""

from tfav.keras.alignments import (
    ContrastiveAlignment,
    ExplicitAlignment,
    LiftedStructAlignment,
    NPairAlignment,
    NpairsAlignment,
    PercentileAlignment,
    SupervisedContrastiveAlignment,
    TripletAlignment,
    TripletSemihardAlignment,
)
from tfav.keras.label_losses import Agreement, CrossEntropy
from tfav.keras.pair_losses import (
    ClusterContrastive,
    ClusterMaxMargin,
    InfoNCE,
    PairContrast,
    PairCorrespondence,
    PairHinge,
)

__all__ = [
    "Agreement",
    "ClusterContrastive",
    "ClusterMaxMargin",
    "ContrastiveAlignment",
    "CrossEntropy",
    "ExplicitAlignment",
    "InfoNCE",
    "LiftedStructAlignment",
    "NPairAlignment",
    "NpairsAlignment",
    "PairContrast",
    "PairCorrespondence",
    "PairHinge",
    "PercentileAlignment",
    "SupervisedContrastiveAlignment",
    "TripletAlignment",
    "TripletSemihardAlignment",
]
