"""Deep Multimodal Clustering (Hu et al., CVPR 2019)."""

from collections.abc import Mapping, Sequence

import tensorflow as tf

from tfav import registry, tensors, values
from tfav.encoders import encoder as encoders_base
from tfav.layers import blocks, clustering
from tfav.losses import pairs
from tfav.ops import distributed, precision
from tfav.recipes import grids, paired

# What an option is when nobody says: the released code's, and that of the authors' later one.
DEFAULTS = {
    "spherical": {"num_iterations": 3, "sharpness": 1.0},
    "euclidean": {"num_iterations": 4, "sharpness": 30.0},
}

LOCALIZATIONS = ("agreement", "assignment")


class DMC(paired.Correspondence):
    """Clusters of audio and clusters of images that must agree when they are of one moment.

    `spherical`: loss_i = [margin + S(a_n(i), v_i) - S(a_i, v_i)]_+, `S = sum_k cos(c^a_k, c^v_k)`.
    `euclidean` (the authors' later code): the contrastive loss of `clustering.pair_distance`.

    Two modalities of unlike feature sizes that share projections are first brought to one size by a
    dense layer each. Labels are never read.

    Args:
      encoders: `audio` and `image`.
      num_classes: ignored.
      num_clusters: K; `euclidean` takes one for each modality, such as {"audio": 1, "image": 2}.
      cluster_size: d.
      num_iterations: T; None: 3, or 4 (`euclidean`).
      sharpness: z; None: 1, or 30 (`euclidean`).
      mode: a row of `layers.clustering.MODES`.
      squash: see `layers.clustering.SoftClustering`.
      shared_projections: one clustering layer for both modalities; None: yes, no (`euclidean`).
      projection_size: Size of the dense layers before shared projections; 0: none where sizes are
        equal, otherwise the larger one.
      margin: None: K, or 5 (`euclidean`).
      negatives: `derangement`, the released code's: one mismatch per row; or `all` of the batch.
      pooling: Pooling of the feature map, for `embed`: `max` or `mean`.
      frozen: `("image",)` for the teacher-supervised variant: that encoder teaches the other.
      localization: How `localize` finds a sound: `agreement` or `assignment`, see `heat`.
      seed: Random seed of the weights and the mismatches.

    Raises:
      UserError: a value that makes no sense; names it and the fix.
    """

    arguments = {
        **{
            f"num_clusters{modality}": values.whole(1, 4096, "clusters, K")
            for modality in ("", ".audio", ".image")
        },
        "cluster_size": values.whole(1, 65_536, "numbers per centre, d"),
        "num_iterations": values.whole(1, 100, "rounds, all unrolled", or_none=True),
        "sharpness": values.number(0.0, 1e6, "z", above=True, or_none=True),
        "mode": values.choice(*DEFAULTS),
        "squash": values.FLAG,
        "shared_projections": values.Value(bool, or_none=True),
        "projection_size": values.whole(0, 65_536, "units; 0: none, or the larger size"),
        "margin": values.number(0.0, 1e6, "of the hinge; None: K, or 5", or_none=True),
        "localization": values.choice(*LOCALIZATIONS),
        **paired.ARGUMENTS,
    }

    def __init__(
        self,
        encoders: dict[str, encoders_base.Encoder],
        num_classes: int = 0,
        *,
        num_clusters: int | Mapping[str, int] = 10,
        cluster_size: int = 16,
        num_iterations: int | None = None,
        sharpness: float | None = None,
        mode: str = "spherical",
        squash: bool = False,
        shared_projections: bool | None = None,
        projection_size: int = 0,
        margin: float | None = None,
        negatives: str = "derangement",
        pooling: str = "max",
        frozen: Sequence[str] = (),
        localization: str = "agreement",
        seed: int = 0,
    ):
        del num_classes
        if localization not in LOCALIZATIONS:
            raise registry.UserError(
                f"localization={localization!r}: choose one of {', '.join(LOCALIZATIONS)}."
            )
        defaults = registry.lookup(DEFAULTS, mode, "mode of clustering", registry.instance(dict))
        spherical = mode == "spherical"
        shared = spherical if shared_projections is None else shared_projections
        counts = _counts(num_clusters, one=shared or spherical)
        arguments = {
            "cluster_size": cluster_size,
            "mode": mode,
            "squash": squash,
            **defaults,
        }
        given = {"num_iterations": num_iterations, "sharpness": sharpness}
        arguments |= {field: value for field, value in given.items() if value is not None}
        if margin is None:
            margin = float(counts["audio"]) if spherical else 5.0
        if not margin >= 0:
            raise registry.UserError(f"margin={margin} must not be negative: leave it out for K.")
        heads = {}
        for modality in ("both",) if shared else paired.MODALITIES:
            heads[f"clustering_{modality}"] = clustering.SoftClustering(
                counts.get(modality, counts["audio"]),
                seed=paired.seed_of(f"clustering/{modality}", seed),
                name=f"clustering_{modality}",
                **arguments,
            )
        super().__init__(
            encoders, heads, negatives=negatives, pooling=pooling, frozen=frozen, seed=seed
        )
        self.mode = mode
        self.shared = shared
        self.num_clusters = counts
        self.margin = margin
        self.localization = localization
        self._add_projections(projection_size, seed)
        for modality, shape in self.map_shape.items():  # gives the heads their weights
            self._cluster(modality, tf.zeros([1, 1, shape[3]]), tf.ones([1, 1]))
        usual = (counts["audio"] if spherical else 1, cluster_size)
        self.tables["usual_sound"] = clustering.MovingMean(usual, name="usual_sound")
        usage = [f"{kind}_{m}" for kind in ("usage_entropy", "dead_clusters") for m in encoders]
        self.scalars = ("loss", "similarity_matched", "similarity_mismatched", "matched_wins")
        self.scalars += tuple(usage)

    def _add_projections(self, size: int, seed: int) -> None:
        sizes = {m: shape[3] for m, shape in self.map_shape.items()}
        if not size and (not self.shared or len(set(sizes.values())) == 1):
            return
        for m in paired.MODALITIES:
            self.heads[f"projection_{m}"] = blocks.dense(
                size or max(sizes.values()),
                paired.seed_of(f"projection/{m}", seed),
                use_bias=False,
                dtype=precision.full_dtype(),
                name=f"projection_{m}",
            )

    def _cluster(
        self, modality: str, features: tf.Tensor, valid: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        return self._layer(modality)(self._projected(modality, features), valid)

    def _layer(self, modality: str) -> clustering.SoftClustering:
        return self.heads["clustering_both" if self.shared else f"clustering_{modality}"]

    def _projected(self, modality: str, features: tf.Tensor) -> tf.Tensor:
        """Returns the features as the clustering layer takes them."""
        projection = self.heads.get(f"projection_{modality}")
        features = precision.full(features)
        return features if projection is None else projection(features)

    def compute_losses(self, batch: tensors.Batch, training: bool) -> dict[str, tf.Tensor]:
        """Returns each of `scalars` as [b].

        `usage_entropy_*`: of the share of all positions of the global batch that each cluster has,
        in nats, ln K at most; `dead_clusters_*`: how many have less than a tenth of 1 / K.
        """
        centers, usage = {}, {}
        for modality in self.encoders:
            features, valid = self.positions(modality, batch, training)
            centers[modality], assignments = self._cluster(modality, features, valid)
            usage[modality] = _usage(assignments)
        if training:
            self.tables["usual_sound"].observe(self._sound(centers["audio"]))
        matched, mismatched = self.compare(centers["audio"], centers["image"], training)
        if self.mode == "spherical":
            loss = pairs.hinge(matched, mismatched, self.margin)
        else:
            loss = pairs.contrast(-matched, -mismatched, self.margin)
        ones = tf.ones_like(loss)
        losses = {"loss": loss, **paired.matches(matched, mismatched)}
        for modality, share in usage.items():
            entropy = -tf.reduce_sum(tf.math.xlogy(share, share))
            dead = tf.cast(share < 0.1 / self.num_clusters[modality], loss.dtype)
            losses[f"usage_entropy_{modality}"] = entropy * ones
            losses[f"dead_clusters_{modality}"] = tf.reduce_sum(dead) * ones
        return losses

    def clusters(
        self, batch: tensors.Batch, modality: str
    ) -> tuple[tf.Tensor, tf.Tensor, tuple[tf.Tensor, int]]:
        """Returns centres [B, K, d], assignments [B, P, K] and the grid (H', W') of the positions.

        The grid of audio is (time, frequency); several frames stand below each other.
        """
        centers, assignments = self._cluster(modality, *self.positions(modality, batch))
        width = self.map_shape[modality][2]
        return centers, assignments, (tf.shape(assignments)[1] // width, width)

    def represent(self, modality: str, batch: tensors.Batch, training: bool = False) -> tf.Tensor:
        """Returns the centres [B, K, d] of one modality."""
        return self._cluster(modality, *self.positions(modality, batch, training))[0]

    def pair_scores(self, audio: tf.Tensor, image: tf.Tensor) -> tf.Tensor:
        """Returns `S` of all pairs [B, N], or minus their squared distance (`euclidean`).

        Args:
          audio: centres [B, K, d].
          image: centres [N, K, d].
        """
        if self.mode == "spherical":
            return pairs.pair_similarity(audio, image)
        return -pairs.pair_distance(audio, image)

    def heat(self, batch: tensors.Batch) -> tf.Tensor:
        """Returns how much each position of a row's image sounds, [B, P], in no fixed range.

        `agreement`: `sum_k s_pk <u_pk, c^a_k - m_k>`, how much nearer a position is to the centres
        of this sound than to those of sounds in general, their moving mean m in training, cluster
        by cluster as it is assigned. The loss trains such differences alone: without m, what agrees
        with every sound, the background, may be the hottest. `euclidean`: the distance to the mean
        less that to the nearest centre.

        `assignment`: `s_pk*` of the one cluster whose centres agree best,
        `k* = argmax_k cos(c^a_k, c^v_k)`; (`euclidean`: that comes nearest to a centre of the
        sound).
        """
        audio = self.represent("audio", batch)
        features, valid = self.positions("image", batch)
        image, assignments = self._cluster("image", features, valid)
        if self.localization == "agreement":
            features = self._projected("image", features)
            near = self._layer("image").nearness
            usual = self.tables["usual_sound"].value()
            if self.mode == "euclidean":
                usual = tf.repeat(usual[tf.newaxis], tf.shape(audio)[0], axis=0)
                own = tf.reduce_max(near(features, audio), axis=2)
                return own - tf.squeeze(near(features, usual), 2)
            return tf.reduce_sum(assignments * near(features, audio - usual), axis=2)
        if self.mode == "euclidean":
            best = tf.argmin(pairs.cluster_distance(audio, image), axis=1)
        else:
            best = tf.argmax(pairs.cluster_similarity(audio, image), axis=1)
        return tf.gather(assignments, best, axis=2, batch_dims=1)

    def _sound(self, centers: tf.Tensor) -> tf.Tensor:
        """Returns what the moving mean is over: [B, K, d], [B, 1, d] where no k has a meaning."""
        if self.mode == "euclidean":
            return tf.reduce_mean(centers, axis=1, keepdims=True)
        return centers

    def localize(self, batch: tensors.Batch) -> tf.Tensor:
        """Returns where each row's sound comes from, [B, S, S] in [0, 1] for images of S pixels.

        `heat` at the pixels that its positions look at, see `grids.to_pixels`. Several frames:
        [B, F, S, S].
        """
        image = tf.convert_to_tensor(batch["image"])
        encoder, size = self.encoders["image"], self.encoders["image"].image_size
        _, height, width, _ = self.map_shape["image"]
        maps = grids.to_pixels(self.heat(batch), encoder, height, width)
        if image.shape.rank == 5:
            maps = tf.reshape(maps, tf.stack([-1, tf.shape(image)[1], size, size]))
        return maps

    def confidence(self, batch: tensors.Batch) -> tf.Tensor:
        """Returns how sure each row's map is that something in the image sounds, [B].

        The mean of the hottest quarter of its positions, before a map is scaled to its own range:
        the rule of Mo and Morgado (NeurIPS 2022).
        """
        heat = self.heat(batch)
        quarter = tf.maximum(1, tf.shape(heat)[1] // 4)
        return tf.reduce_mean(tf.math.top_k(heat, quarter).values, axis=1)


def _counts(num_clusters: int | Mapping[str, int], one: bool) -> dict[str, int]:
    """Returns K of each modality; `one`: it must be the same."""
    if not isinstance(num_clusters, Mapping):
        return dict.fromkeys(paired.MODALITIES, num_clusters)
    counts = dict(num_clusters)
    if set(counts) != set(paired.MODALITIES) or (one and len(set(counts.values())) > 1):
        raise registry.UserError(
            f"num_clusters={counts}: give one number; or, for mode='euclidean' without shared "
            "projections, {'audio': K, 'image': K}."
        )
    return counts


def _usage(assignments: tf.Tensor) -> tf.Tensor:
    """Returns the share of the global batch's positions that each cluster has, [K], no gradient."""
    total = distributed.gather(tf.reduce_sum(tf.stop_gradient(assignments), axis=1))
    return tf.reduce_sum(total, axis=0) / tf.reduce_sum(total)
