"""Released PyTorch files become our encoders, or one sentence; nothing in them ever runs."""

import os
import pickle
import sys
import types

import numpy as np
import pytest
from absl import logging as absl_logging

from tests import released, small
from tfav import config, files, registry, weights
from tfav.commands import evaluate, train
from tfav.encoders import audio
from tfav.interop import pytorch, torch_file

IDENTITIES = 924


@pytest.fixture(scope="session")
def torch():
    """PyTorch, an optional extra."""
    reason = "PyTorch writes the files of this test: pip install 'tfav[torch]'"
    return pytest.importorskip("torch", reason=reason)


@pytest.fixture(scope="module")
def voice() -> dict[str, np.ndarray]:
    """Every entry of the released voice encoder's state dict."""
    extra = {name: np.zeros([3], np.float32) for name in released.harmless("audio")}
    return {**released.seeded("audio"), **extra}


@pytest.fixture(scope="module")
def encoder() -> audio.ThinResNet34:
    return audio.ThinResNet34(frontend={"amplitude": 32768.0})


@pytest.fixture(scope="module")
def checkpoint(torch, voice, tmp_path_factory) -> str:
    """A training checkpoint as the authors save it: both encoders, tables, the optimizer."""
    entries = {f"V.{name}": value for name, value in voice.items()}
    entries |= {f"F.{name}": value for name, value in released.seeded("image").items()}
    entries["F.cls.weight"] = np.eye(IDENTITIES, 128, dtype=np.float32)
    entries["center.loss_mean"] = np.full([IDENTITIES], 3.0, np.float32)
    entries["center.weight"] = np.arange(IDENTITIES, dtype=np.float32)
    entries["normalize.weight"] = np.ones([3], np.float32)
    state = {name: torch.from_numpy(value) for name, value in entries.items()}
    state |= {
        f"F.{name}": torch.tensor(7, dtype=torch.int64) for name in released.harmless("image")
    }
    layer = torch.nn.Linear(2, 2)
    optimizer = torch.optim.SGD(layer.parameters(), 0.01, momentum=0.9, weight_decay=1e-4)
    layer(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    path = str(tmp_path_factory.mktemp("released") / "best.pth.tar")
    whole = {"start_it": 10_000, "stage": 0, "state_dict": state}
    torch.save(whole | {"optimizer": {"match": optimizer.state_dict()}}, path)
    return path


def values(encoder) -> dict[str, np.ndarray]:
    found = weights.named_weights(encoder, "voice").items()
    return {name: v.numpy() for name, v in found if not name.endswith("/calls")}


def backbone(entries: dict, prefix: str = "model.") -> dict:
    found = {name: v for name, v in entries.items() if name.startswith("model.")}
    return {prefix + name[len("model.") :]: value for name, value in found.items()}


@pytest.mark.parametrize("modality", ["audio", "image"])
def test_embeddings_of_a_training_checkpoint_equal_the_authors(checkpoint, real_data, modality):
    path = real_data.parent / "golden" / "torch_encoders.npz"
    if not path.is_file():
        pytest.skip("no torch_encoders.npz beside the real data")
    golden = dict(np.load(path))
    inputs = {"audio": golden["waveform_int16"] / np.float32(32768), "image": golden["image_rgb"]}
    embedding = pytorch.load_released(checkpoint, modality)(inputs[modality]).numpy()
    expected = golden[f"{released.NAMES[modality]}_embedding"]
    assert np.abs(embedding - expected).max() < 1e-3 * np.abs(expected).max()


def test_a_whole_checkpoint_becomes_both_encoders(checkpoint):
    voice, face = (pytorch.load_released(checkpoint, m, whole=True) for m in ("audio", "image"))
    assert voice.frontend.amplitude == 32768.0
    theirs = released.seeded("audio")["model.conv1.weight"]  # [16, 1, frequency 7, time 7]
    ours = np.asarray(voice.conv1.kernel)  # [time 7, frequency 7, 1, 16]
    assert ours[5, 2, 0, 9] == theirs[9, 0, 2, 5]
    theirs = released.seeded("image")
    ours = np.asarray(face.conv1.kernel)  # [height 3, width 3, RGB, 64]
    assert ours[1, 2, 0, 9] == theirs["model.input_layer.0.weight"][9, 2, 1, 2]  # they feed BGR
    # Row 2, column 5, channel 11 of the map: theirs (11 * 7 + 2) * 7 + 5 = 79 * 7 + 5, ours
    # (2 * 7 + 5) * 512 + 11 = 19 * 512 + 11.
    ours = np.asarray(face.fc.kernel)
    assert ours[19 * 512 + 11, 4] == theirs["model.output_layer.3.weight"][4, 79 * 7 + 5]


FORMS = {
    "an encoder alone": lambda e: e,
    "an encoder in DataParallel": lambda e: {f"module.{n}": v for n, v in e.items()},
    "a checkpoint": lambda e: {"state_dict": {f"V.{n}": v for n, v in e.items()}},
    "a checkpoint in DataParallel": lambda e: {
        "state_dict": {f"module.V.{n}": v for n, v in e.items()}
    },
    "a backbone": lambda e: backbone(e, ""),
    "a backbone behind model.": backbone,
    "clovaai's backbone": lambda e: {**backbone(e, "__S__."), "__L__.w": np.ones([1], "float32")},
}


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before PyTorch 1.6"])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_file_gives_the_same_weights(torch, voice, encoder, tmp_path, form, zipped):
    pytorch.assign(encoder, voice, "arrays")
    expected = values(encoder)
    for variable in weights.named_weights(encoder, "voice").values():
        variable.assign(variable * 0)

    def tensors(tree):
        if isinstance(tree, dict):
            return {name: tensors(value) for name, value in tree.items()}
        return torch.from_numpy(tree)

    path = tmp_path / "baseline_lite_ap.model"
    torch.save(tensors(FORMS[form](voice)), path, _use_new_zipfile_serialization=zipped)
    pytorch.assign(encoder, torch_file.read(path), str(path))
    for name, value in values(encoder).items():
        fresh = "backbone" in form and "/tail/" in name
        np.testing.assert_array_equal(value, 0 * value if fresh else expected[name])


def test_half_precision_is_read_as_float32(torch, tmp_path):
    path = tmp_path / "half.pth"
    torch.save({"a": torch.tensor([1.5], dtype=torch.bfloat16), "step": torch.tensor(3)}, path)
    (name, value), *more = torch_file.read(path).items()
    assert (name, value.dtype, value.tolist(), more) == ("a", np.float32, [1.5], [])


def test_a_backbone_says_that_the_tail_is_fresh_and_is_refused_for_judging(voice, encoder, caplog):
    absl_logging.set_verbosity(absl_logging.INFO)
    with caplog.at_level("INFO"):
        pytorch.assign(encoder, backbone(voice), "b.model")
    assert "b.model: the backbone alone; the tail keeps fresh weights" in caplog.text
    with pytest.raises(registry.UserError, match="b.model is a backbone without the tail"):
        pytorch.assign(encoder, backbone(voice), "b.model", whole=True)


def test_another_amplitude_is_warned_of(voice, caplog):
    with caplog.at_level("WARNING"):
        pytorch.assign(audio.ThinResNet34(), voice, "v.model")
    assert "set --config.audio.frontend.amplitude=32768" in caplog.text


def test_misfits_are_listed_by_name_and_change_nothing(voice, encoder):
    before = values(encoder)
    entries = {f"V.{name}": value + 1 for name, value in voice.items()}
    for i in range(4):  # four missing: three are named
        del entries[f"V.model.layer3.{i}.bn1.bias"]
    entries["V.model.layer5.weight"] = np.ones([1], np.float32)
    entries["G.weight"] = np.ones([1], np.float32)
    entries["V.model.fc.weight"] = np.ones([128, 512], np.float32)
    entries["V.fc.0.bias"] = np.full([512], np.nan, np.float32)
    with pytest.raises(registry.UserError) as error:
        pytorch.assign(encoder, entries, "x.pth.tar")
    text = str(error.value)
    assert text.startswith("x.pth.tar does not fit thin_resnet34")
    assert "4 missing (V.model.layer3.0.bn1.bias, " in text and "bn1.bias, ...)" in text
    assert "2 surplus (G.weight, V.model.layer5.weight)" in text
    assert "V.model.fc.weight is [128, 512], not [512, 128]" in text
    assert "V.fc.0.bias is not finite" in text
    after = values(encoder)
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_a_tail_with_a_gap_is_no_backbone(voice, encoder):
    entries = {name: value for name, value in voice.items() if name != "fc.2.weight"}
    with pytest.raises(registry.UserError, match=r"1 missing \(fc.2.weight\)"):
        pytorch.assign(encoder, entries, "x.pth")


@pytest.mark.parametrize(
    "names", [["input_layer.0.weight"], ["F.model.input_layer.0.weight"], ["center.weight"]]
)
def test_a_file_without_that_encoder_says_what_it_holds(encoder, names):
    entries = {name: np.ones([64, 3, 3, 3], np.float32) for name in names}
    with pytest.raises(registry.UserError, match=f"holds no audio encoder.* but {names[0]}: name"):
        pytorch.assign(encoder, entries, "x.pth")


def test_another_encoder_is_refused(voice):
    with pytest.raises(registry.UserError, match="--config.audio.encoder=thin_resnet34"):
        pytorch.assign(audio.Tiny(8), voice, "x.pth")


class Hostile:
    """Unpickled by a loader that runs code, makes a folder."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (self.marker,)


@pytest.mark.parametrize("how", ["zip", "before PyTorch 1.6", "bare pickle"])
def test_a_hostile_file_runs_nothing_and_is_one_sentence(torch, tmp_path, how):
    path, marker = tmp_path / "evil.pth", str(tmp_path / "marker")
    content = {"state_dict": {"V.model.conv1.weight": Hostile(marker)}}
    if how == "bare pickle":
        path.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=how == "zip")
    with pytest.raises(registry.UserError, match="evil.pth is not a PyTorch file") as error:
        pytorch.load_released(path, "audio")
    assert not os.path.exists(marker)
    assert "\n" not in str(error.value) and "weights_only" not in str(error.value)
    if how != "bare pickle":
        assert "it holds Python objects, posix.mkdir first" in str(error.value)


def test_a_damaged_or_foreign_file_is_one_sentence(torch, tmp_path):
    path = tmp_path / "x.pth"
    torch.save({"a": torch.ones(1000)}, path)
    whole = path.read_bytes()
    for content in (b"", b"hello", b"PK\x03\x04", whole[:-40], whole[:1000], b"\x80\x02}q\x00."):
        path.write_bytes(content)
        with pytest.raises(registry.UserError, match="x.pth is not a PyTorch file of weights"):
            torch_file.read(path)
    with pytest.raises(registry.UserError, match="is not a PyTorch file"):
        torch_file.read(tmp_path)
    with pytest.raises(registry.UserError, match="nowhere.pth does not exist"):
        torch_file.read(tmp_path / "nowhere.pth")
    for content in ([torch.ones(1)], {"epoch": 3}, {"a": torch.zeros(1).expand(10**12)}):
        torch.save(content, path)
        with pytest.raises(registry.UserError, match="x.pth holds no dict of weights"):
            torch_file.read(path)


def test_without_pytorch_and_with_an_unsafe_one_the_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(registry.UserError, match=r"pip install 'tfav\[torch\]'"):
        torch_file.read(tmp_path / "x.pth")
    monkeypatch.setitem(sys.modules, "torch", types.SimpleNamespace(__version__="2.5.1+cpu"))
    with pytest.raises(registry.UserError, match="2.5.1.* can be made to run code"):
        torch_file.read(tmp_path / "x.pth")


def test_a_fresh_start_loads_what_init_names_and_a_resumed_one_does_not(
    checkpoint, voice, encoder, tmp_path, monkeypatch
):
    c = small.config(small.write_dataset(str(tmp_path / "data")))
    c.embedding_size = 128
    c.audio.encoder = "thin_resnet34"
    c.audio.frontend.amplitude = 32768.0
    c.init.audio = checkpoint
    kept = []

    def fit(loop, batches, checkpoints, *_, **__):
        kept.append(loop.recipe.encoders["audio"])
        checkpoints.save(0)

    monkeypatch.setattr(train.fitting, "fit", fit)
    train.train(c, str(tmp_path / "run"), "one_device")
    pytorch.assign(encoder, voice, "arrays")
    expected = values(encoder)
    c.init.audio = "gone.pth"  # as a file that was moved since
    train.train(c, str(tmp_path / "run"), "one_device")
    for audio_encoder in kept:
        for name, value in values(audio_encoder).items():
            np.testing.assert_array_equal(value, expected[name])
    assert len(kept) == 2

    c.audio.encoder, c.init.audio, c.init.image = "tiny", "", checkpoint
    with pytest.raises(registry.UserError, match="set --config.image.encoder=ir50"):
        train.train(c, str(tmp_path / "other"), "one_device")
    assert not os.path.exists(tmp_path / "other")


def test_init_and_init_from_exclude_each_other():
    c = small.config("somewhere")
    c.train.init_from, c.init.image = "runs/a", "b.pth"
    with pytest.raises(registry.UserError, match="runs/a and --config.init .*b.pth.*one of them"):
        config.validate(c)


def test_a_released_checkpoint_is_judged_without_a_run(torch, checkpoint, voice, tmp_path):
    data, output = small.write_dataset(str(tmp_path / "data")), tmp_path / "judged" / "here"
    table, *written = evaluate.evaluate_released(checkpoint, str(output), ["test"], directory=data)
    assert "1:2" in table and str(output / "metrics.json") in written[-1]
    assert files.sha256(checkpoint) in (output / "metrics.json").read_text()

    alone = tmp_path / "voice.model"
    torch.save({name: torch.from_numpy(v) for name, v in backbone(voice).items()}, alone)
    with pytest.raises(registry.UserError, match="backbone without the tail"):
        list(evaluate.evaluate_released(str(alone), str(output), ["test"], directory=data))
    with pytest.raises(registry.UserError, match="--data is missing"):
        list(evaluate.evaluate_released(checkpoint, str(output), ["test"]))
