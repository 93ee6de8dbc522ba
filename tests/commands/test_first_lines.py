"""What a training says before its first step, and that clocks do not change it."""

import logging
import re

import ml_collections
import pytest

from tests import small
from tfav import registry
from tfav.commands import first_lines, train
from tfav.data import shards
from tfav.experiment import class_memory


def test_the_first_lines_say_devices_data_parameters_memory_and_time(tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="absl")
    c = small.config(small.write_dataset(str(tmp_path / "data")))
    c.train.num_steps = 3
    c.train.steps_per_call = 1
    train.train(c, str(tmp_path / "run"), "one_device")
    told = {m.split(": ")[0]: m for m in caplog.messages if ": " in m}
    assert re.fullmatch(r"devices: \d CPU.* here; 1 replica in all", told["devices"])
    # Sixteen identities of two sounds and two images; half train, a quarter each the others.
    for split in ("train 32 rows of 8 labels", "val 16 rows of 4 labels", "test 16 rows of 4"):
        assert split in told["data"]
    # A record of each of 32 rows, in the one shard of the split.
    assert re.fullmatch(
        r"input: 4 rows per step, of 32 rows in 1 shard \(0\.\d+ MB\)", told["input"]
    )
    # 8 x 8 numbers of 4 bytes, and the momentum as much; 8 classes of two modalities and 4 rows.
    assert told["classifier"] == (
        "classifier: 8 classes x 8: 0.00154 MB on each replica (weights 0.000256 MB, optimizer "
        "0.000256 MB, gradients 0.000256 MB, logits 0.000768 MB)"
    )
    assert " M trained, of " in told["parameters"]
    assert " MB, optimizer " in told["memory"]
    assert "for 1 more steps of" in told["expected time"]
    order = [m.split(": ")[0] for m in caplog.messages]
    assert order.index("devices") < order.index("start") < order.index("expected time")


def test_a_million_identities_are_counted_before_they_are_made_and_too_many_refused(monkeypatch):
    c = small.config("unused")
    c.embedding_size, c.train.batch_size = 128, 256
    c.model.sampled = 0.1
    its = class_memory.need(c, 1_000_000, 2)
    # 512 MB of weights and of momentum; a step takes 100,000 classes and the 256 of its batch, and
    # of 128 rows per replica three arrays of each modality's logits.
    assert its.num_taken == 100_256 and its.weights == its.optimizer == 512_000_000
    assert its.gradients == 100_256 * 128 * 4 and its.logits == 3 * 4 * 2 * 128 * 100_256
    assert its.line().startswith(
        "classifier: 1,000,000 classes x 128, of which a step takes 100,256: 1.38 GB on "
    )
    monkeypatch.setattr(class_memory, "machine_memory", lambda: 2_000_000_000)
    class_memory.check(its, 1)
    with pytest.raises(
        registry.UserError, match=r"take 2.77 GB on 2 replicas here .* has 2 GB: lo"
    ):
        class_memory.check(its, 2)
    monkeypatch.undo()
    absurd = class_memory.need(c, 10**12, 1)
    with pytest.raises(registry.UserError, match=r"1,000,000,000,000 classes .* fewer classes"):
        class_memory.check(absurd, 1)


def test_classes_that_the_replicas_share_are_counted_on_each():
    c = small.config("unused")
    c.embedding_size, c.train.batch_size = 128, 256
    c.model.sharded = True
    its = class_memory.need(c, 1_000_001, 4)
    # A quarter of the classes, rounded up, and of these the logits of all 256 rows.
    assert its.num_held == 250_001
    assert its.weights == its.optimizer == its.gradients == 250_001 * 128 * 4
    assert its.logits == 3 * 4 * 2 * 256 * 250_001
    assert "1,000,001 classes x 128, of which a replica holds 250,001: " in its.line()
    assert class_memory.need(c, 1_000_001, 1).num_held == 1_000_001


def test_the_one_matrix_of_a_common_head_counts_once_however_many_modalities_there_are():
    c = small.classes_config("unused")
    c.model.head, c.loss.scale = "common", None
    assert class_memory.need(c, 10, 1).size == 8
    c.model.head = "vanilla"
    assert class_memory.need(c, 10, 1).size == 3 * 8


def test_the_classes_of_several_modalities_count_each_head_and_centre():
    c = small.classes_config("unused")
    c.model.sub_centers = 2
    c.loss.blending = "equal"
    # A head of three times 8 numbers, three of 8; two centres of each.
    assert class_memory.need(c, 10, 1).size == 2 * (24 + 3 * 8)
    assert class_memory.need(_without_classes(), 10, 1) is None


def _without_classes():
    c = small.config("unused")
    c.recipe, c.model = "dmc", ml_collections.ConfigDict({"num_clusters": 4})
    return c


def test_each_worker_says_how_much_it_reads(tmp_path):
    index = shards.Index.read(small.write_dataset(str(tmp_path / "data")))
    line = first_lines._input(small.config("unused"), index, 2)
    assert line.startswith(
        "input: each of 2 workers reads 2 of the 4 rows of a step, by byte range from all 3 shards"
    )
    assert "(64 rows, " in line and "about 32 rows and " in line
