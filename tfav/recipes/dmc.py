"""Deep Multimodal Clustering (Hu et al., CVPR 2019)."""

from collections.abc import Mapping, Sequence

import tensorflow as tf

from tfav import registry, tensors, values
from tfav.encoders import encoder as encoders_base
from tfav.layers import blocks, clustering, moving_mean
from tfav.losses import pairs
from tfav.ops import precision
from tfav.recipes import cluster_counts, cluster_heat, grids, paired

# What an option is when nobody says: the released code's, and that of the authors' later one.
DEFAULTS = {
    "spherical": {"num_iterations": 3, "sharpness": 1.0},
    "euclidean": {"num_iterations": 4, "sharpness": 30.0},
    "capsule": {"num_iterations": 3, "sharpness": 1.0},
}

LOCALIZATIONS = ("agreement", "assignment")


class DMC(paired.Correspondence):
    """Clusters of audio and clusters of images that must agree when they are of one moment.

    `spherical`: loss_i = [margin + S(a_n(i), v_i) - S(a_i, v_i)]_+, `S = sum_k cos(c^a_k, c^v_k)`.
    `euclidean` (the authors' later code): the contrastive loss of `pairs.pair_distance`.
    `capsule`: the first loss of `S = sum_k <c^a_k, c^v_k>`: a capsule counts for as much as its
    length says that it is there.

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
        by_cluster = mode != "euclidean"  # cluster k of both modalities is one thing
        shared = by_cluster if shared_projections is None else shared_projections
        counts = cluster_counts.of_modalities(num_clusters, one=shared or by_cluster)
        arguments = {"cluster_size": cluster_size, "mode": mode, "squash": squash, **defaults}
        given = {"num_iterations": num_iterations, "sharpness": sharpness}
        arguments |= {field: value for field, value in given.items() if value is not None}
        if margin is None:
            margin = float(counts["audio"]) if by_cluster else 5.0
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
            nothing = tf.zeros([1, 1, shape[3]], precision.full_dtype())
            self._cluster(modality, nothing, tf.ones([1, 1]))
        usual = (counts["audio"] if by_cluster else 1, cluster_size)
        self.tables["usual_sound"] = moving_mean.MovingMean(usual, name="usual_sound")
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
        """Returns each of `scalars` as [b]; of those of usage see `cluster_counts.used`."""
        centers, usage = {}, {}
        for modality in self.encoders:
            features, valid = self.positions(modality, batch, training)
            centers[modality], assignments = self._cluster(modality, features, valid)
            usage[modality] = cluster_counts.usage(assignments)
        if training:
            self.tables["usual_sound"].observe(self._sound(centers["audio"]))
        matched, mismatched = self.compare(centers["audio"], centers["image"], training)
        if self.mode == "euclidean":
            loss = pairs.contrast(-matched, -mismatched, self.margin)
        else:
            loss = pairs.hinge(matched, mismatched, self.margin)
        losses = {"loss": loss, **paired.matches(matched, mismatched)}
        for modality, share in usage.items():
            found = cluster_counts.used(share, self.num_clusters[modality])
            losses |= {f"{n}_{modality}": x * tf.ones_like(loss) for n, x in found.items()}
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
        """Returns `S` of all pairs [B, N]; `euclidean`: minus their squared distance.

        Args:
          audio: centres [B, K, d].
          image: centres [N, K, d].
        """
        if self.mode == "euclidean":
            return -pairs.pair_distance(audio, image)
        if self.mode == "capsule":
            return pairs.capsule_agreement(audio, image)
        return pairs.pair_similarity(audio, image)

    def heat(self, batch: tensors.Batch) -> tf.Tensor:
        """Returns how much each position of a row's image sounds, [B, P], see `cluster_heat`."""
        audio = self.represent("audio", batch)
        features, valid = self.positions("image", batch)
        image, assignments = self._cluster("image", features, valid)
        if self.localization == "assignment":
            return cluster_heat.assignment(self.mode, assignments, audio, image)
        return cluster_heat.agreement(
            self._layer("image"),
            self._projected("image", features),
            assignments,
            audio,
            self.tables["usual_sound"].value(),
        )

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
        """Returns how sure each row's map is that something sounds, [B], see `cluster_heat`."""
        return cluster_heat.confidence(self.heat(batch))
