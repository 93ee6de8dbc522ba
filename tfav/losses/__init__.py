"""Losses: pure functions, tensors in, one value per row of this replica out.

`tfav.keras` has each of them as a Keras loss. The other functions of these modules are no losses:
they prepare pairs, or say what a run should watch.
"""

from tfav.losses.addons import lifted_struct, npairs, triplet_semihard
from tfav.losses.alignment import contrastive, explicit, n_pair, supervised_contrastive, triplet
from tfav.losses.curriculum import percentile
from tfav.losses.multimodal import agreement
from tfav.losses.pairs import (
    cluster_contrastive,
    contrast,
    correspondence,
    hinge,
    info_nce,
    max_margin,
)
from tfav.losses.softmax import cross_entropy

__all__ = [
    "agreement",
    "cluster_contrastive",
    "contrast",
    "contrastive",
    "correspondence",
    "cross_entropy",
    "explicit",
    "hinge",
    "info_nce",
    "lifted_struct",
    "max_margin",
    "n_pair",
    "npairs",
    "percentile",
    "supervised_contrastive",
    "triplet",
    "triplet_semihard",
]
