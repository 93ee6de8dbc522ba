"""The index of a data set on disk: which records there are and where each of them lies.

Reached as `shards.Index`. Its files are read and checked in `index_files`.
"""

import dataclasses
import os
from collections.abc import Mapping

import numpy as np

from tfav import registry
from tfav.data import index_files


@dataclasses.dataclass(frozen=True)
class Index:
    """What `index.csv` and `dataset.json` say, column by column.

    Attributes:
      directory: of the data set.
      id: [N] str; likewise `split`, `label`, `shard` (file name relative to `directory`).
      offset: [N] int64, byte offset of the payload in its shard; `length` [N] int64, its bytes.
      num_samples: [N] int64, 0 without audio.
      height: [N] int64, 0 without an image; likewise `width`.
      frames: modality (`image` and each further one) to [N] int64, 0 where a row has none; of
        what is no image 1.
      extra: name of a further column to [N] str.
      info: the content of `dataset.json`, with the `index_sha256` of `index.csv`.
    """

    directory: str
    id: np.ndarray
    split: np.ndarray
    label: np.ndarray
    shard: np.ndarray
    offset: np.ndarray
    length: np.ndarray
    num_samples: np.ndarray
    height: np.ndarray
    width: np.ndarray
    frames: Mapping[str, np.ndarray]
    extra: Mapping[str, np.ndarray]
    info: Mapping

    def __len__(self) -> int:
        return len(self.id)

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities that any row holds: `audio`, `image`, then further ones."""
        return tuple(name for name in self._counts if self.held(name).any())

    @property
    def sha256(self) -> str:
        """Which data these are: their hash, see `index_files.identity`."""
        return index_files.identity(self.info)

    def held(self, modality: str) -> np.ndarray:
        """Returns [N] bool: which rows hold `modality`. One that the data does not know: none."""
        return self._counts.get(modality, np.zeros(len(self), np.int64)) > 0

    def kind(self, modality: str) -> str:
        """Returns the kind of a modality, as `data.kinds.find` takes it."""
        return {"audio": "audio", **self.info.get("kinds", {})}.get(modality, "image")

    @property
    def vector_spaces(self) -> dict[str, str]:
        """Modality to the id of the embedding space of its vectors, where they name one."""
        return dict(self.info.get("vector_spaces", {}))

    @property
    def _counts(self) -> dict[str, np.ndarray]:
        """Modality to [N] int64: what a row holds of it, samples or frames."""
        return {"audio": self.num_samples, **self.frames}

    @property
    def shard_bytes(self) -> dict[str, int]:
        """Size of each shard file in bytes."""
        return {shard["file"]: shard["bytes"] for shard in self.info["shards"]}

    @classmethod
    def read(cls, directory: str | os.PathLike, cut: bool = False) -> "Index":
        """Reads the index of a prepared data set (any path that `tf.io.gfile` knows).

        Args:
          directory: of the data set.
          cut: leave shards that are missing or cut short to who reads their records.

        Raises:
          UserError: the folder is not a prepared data set, is of another format, one of its files
            is missing, cut short or damaged, or `index.csv` is not the one that was written.
        """
        directory = os.fspath(directory)
        info = index_files.read_info(directory)
        if not cut:
            index_files.check_shards(directory, info["shards"])
        table = index_files.read_table(directory, info)
        fixed = {name: table.pop(name) for name in index_files.COLUMNS}
        columns = index_files.frame_columns(info["modalities"])
        frames = {name: table.pop(column) for name, column in columns.items()}
        index = cls(directory=directory, frames=frames, extra=table, info=info, **fixed)
        wrong = index._contradiction()
        if wrong:
            path = os.path.join(directory, "index.csv")
            raise registry.UserError(
                f"{path} and dataset.json differ ({wrong}): {index_files.fix_of(directory)}."
            )
        return index

    def select(self, split: str) -> "Index":
        """Returns the rows of one split, in order. Raises UserError when there is no such split."""
        self._split_info(split)
        return self.take(np.flatnonzero(self.split == split))

    def check_shards(self) -> None:
        """Raises UserError where a shard that holds rows of this index is missing or cut short."""
        mine = set(self.shard.tolist())
        held = [shard for shard in self.info["shards"] if shard["file"] in mine]
        index_files.check_shards(self.directory, held)

    def lost(self) -> np.ndarray:
        """Returns [N] bool: which records lie in a shard that is missing, or behind its end."""
        names, place = np.unique(self.shard, return_inverse=True)
        paths = [os.path.join(self.directory, name) for name in names.tolist()]
        size = np.array([index_files.size(path) or 0 for path in paths], np.int64)
        return self.offset + self.length + index_files.FOOTER_BYTES > size[place]

    def take(self, rows: np.ndarray) -> "Index":
        """Returns the rows at positions `rows` [n] int."""
        columns = {name: getattr(self, name)[rows] for name in index_files.COLUMNS}
        extra = {name: values[rows] for name, values in self.extra.items()}
        frames = {name: values[rows] for name, values in self.frames.items()}
        return dataclasses.replace(self, frames=frames, extra=extra, **columns)

    def labels(self, split: str) -> list[str]:
        """Returns a split's labels in order of first appearance: a label's rank is its class."""
        return list(self._split_info(split)["labels"])

    def _split_info(self, split: str) -> Mapping:
        splits = self.info["splits"]
        if split not in splits:
            raise registry.UserError(
                f"{self.directory} has no split {split!r}: it has {', '.join(splits) or 'none'}."
            )
        return splits[split]

    def _contradiction(self) -> str:
        """Returns in what the two files differ; empty where they agree."""
        splits = self.info["splits"]
        unknown = set(self.split) - set(splits)
        if unknown:
            return f"the split {min(map(str, unknown))!r} is in the rows alone"
        for split, its in splits.items():
            mine = self.split == split
            if mine.sum() != its.get("rows"):
                return f"split {split!r} has {mine.sum()} rows instead of {its.get('rows')}"
            first = list(dict.fromkeys(self.label[mine].tolist()))
            if first != its["labels"]:
                odd = set(first) ^ set(its["labels"]) or set(first)
                return f"label {min(odd)!r} of split {split!r}"
        size = self.shard_bytes
        names, place = np.unique(self.shard, return_inverse=True)
        end = np.array([size.get(name, -1) for name in names.tolist()], np.int64)[place]
        outside = self.offset < index_files.HEADER_BYTES
        outside |= self.offset + self.length + index_files.FOOTER_BYTES > end
        if outside.any():
            row = np.flatnonzero(outside)[0]
            return f"{self.id[row]} lies outside its shard {self.shard[row]!s}"
        return ""
