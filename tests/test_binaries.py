"""The whole job, as a user runs it: prepare, train, kill, resume, evaluate, export, embed.

And every mistake we know of: it ends in one sentence, with code 2, and leaves nothing behind.
"""

import importlib.metadata
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile
from PIL import Image

from tests import forked
from tfav.training import environment

ROOT = pathlib.Path(__file__).parent.parent
BINARIES = sorted(p.stem for p in (ROOT / "bin").glob("*.py") if "def run() ->" in p.read_text())
DEMO = f"--config={ROOT}/configs/voice_face.py:demo"
STEPS = 60


class Job:
    """Where the job's files lie, and the parent of the processes that run it."""

    def __init__(self, folder: pathlib.Path, server: forked.Server):
        self.folder = folder
        self.server = server
        self.data, self.run, self.exports = (folder / n for n in ("data", "run", "exports"))
        self.media = folder / "media"
        self.train_flags = (
            DEMO,
            f"--config.data.directory={self.data}",
            "--config.train.batch_size=24",
            f"--config.train.num_steps={STEPS}",
            "--config.train.checkpoint_every=20",
            "--config.train.validate_every=30",
            "--config.eval.num_bootstrap=100",
        )

    def done(self, binary: str, *flags: object) -> str:
        """Runs a command that must succeed; returns what it printed."""
        code, stdout, stderr = self.server.run(binary, *flags)
        assert code == 0, stderr[-3000:]
        assert "\x1b" not in stdout + stderr, "colours and cursors are for terminals"
        return stdout

    def tree(self) -> dict[str, tuple[int, int]]:
        """Returns size and time of change of every file."""
        found = [p for p in self.folder.rglob("*") if p.is_file()]
        return {str(p): (p.stat().st_size, p.stat().st_mtime_ns) for p in found}


@pytest.fixture(scope="module")
def job(tmp_path_factory, forks) -> Job:
    """A prepared data set of 40 invented people, 8 of them for the test."""
    made = Job(tmp_path_factory.mktemp("job"), forks)
    flags = ("--source=synthetic", "--identities=40", "--galleries_per_probe=1")
    text = made.done("prepare", *flags, f"--output={made.data}")
    assert re.search(r"train +280 +28 +140 .* 140\n", text) and f"written: {made.data}/" in text
    return made


@pytest.fixture(scope="module")
def trained(job) -> Job:
    """The run of `job`, killed after its first checkpoint and resumed."""
    command = [ROOT / "bin" / "train.py", f"--workdir={job.run}", *job.train_flags]
    process = job.server.start(command)
    state = job.run / "checkpoints" / "checkpoint"
    deadline = time.time() + 240
    while not state.exists():
        assert process.poll() is None, process.done().stderr[-3000:]
        assert time.time() < deadline, "no checkpoint ever came"
        time.sleep(0.02)
    process.kill()
    assert process.wait(timeout=60) == -signal.SIGKILL
    job.done("train", f"--workdir={job.run}", *job.train_flags)
    return job


@pytest.fixture(scope="module")
def published(trained) -> Job:
    """The export of `trained`, and five files to embed."""
    text = trained.done("export", f"--workdir={trained.run}", f"--output={trained.exports}")
    assert text.count("cosine >= ") == 8 and "wrote" in text
    trained.media.mkdir()
    corpus = trained.folder / "data-corpus"
    sounds, faces = (sorted(corpus.rglob(f"*.{suffix}")) for suffix in ("wav", "jpg"))
    shutil.copy(sounds[0], trained.media / "long.wav")
    wave, rate = soundfile.read(sounds[-1], dtype="int16")
    soundfile.write(trained.media / "short.wav", wave[: int(1.3 * rate)], rate)
    soundfile.write(trained.media / "two_windows.wav", np.tile(wave, 2)[: 5 * rate], rate)
    shutil.copy(faces[0], trained.media / "face.jpg")
    Image.open(faces[-1]).resize((90, 60)).save(trained.media / "wide.png")
    return trained


# The job ----------------------------------------------------------------------------------------


def test_a_killed_run_resumes_where_it_was_saved_and_finishes(trained):
    starts = environment.starts(str(trained.run))
    assert starts[0]["step"] == 0 and starts[1]["step"] in (20, 40, STEPS)
    lines = [json.loads(x) for x in (trained.run / "scalars.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [20, 30, 40, 60]
    assert lines[-1]["loss"] < lines[0]["loss"]
    assert sorted(os.listdir(trained.run))[:5] == [
        "checkpoints",
        "config.json",
        "environment.json",
        "scalars.jsonl",
        "tensorboard",
    ]


def test_people_never_seen_are_matched_better_than_by_chance(trained):
    text = trained.done("eval", f"--workdir={trained.run}")
    metrics = json.loads((trained.run / "metrics.json").read_text())
    about, results = metrics["about"], metrics["results"]
    assert about["data"] == str(trained.data) and about["weights"]["step"] in (30, 60)
    asked = {(r["protocol"], r["direction"], r["stratum"]) for r in results}
    both = [("v2f", "f2v"), ("unrestricted", "same_gender")]
    for protocol in ("matching", "verification"):
        assert {(protocol, d, s) for d in both[0] for s in both[1]} <= asked
    assert {("retrieval", d, "unrestricted") for d in both[0]} <= asked
    assert "calibration" in {protocol for protocol, _, _ in asked}
    for result in (r for r in results if r["protocol"] != "calibration"):
        assert result["low"] <= result["value"] <= result["high"]
        assert result["num_identities"] == 8 and len(result["sha256"]) == 64
    for direction in both[0]:
        (auc,) = (
            r["value"]
            for r in results
            if (r["metric"], r["direction"], r["stratum"]) == ("auc", direction, "unrestricted")
        )
        assert auc > 0.65, f"{direction}: chance is 0.5"
        assert f"{100 * auc:.1f}" in text
    assert (trained.run / "plots" / "test" / "roc.png").stat().st_size > 10_000


def test_a_file_has_one_vector_whichever_form_of_the_model_embeds_it(published):
    models = {"run": published.run, "saved_model": published.exports}
    models |= {p.name: p for p in sorted(published.exports.glob("*.tflite"))}
    assert len(models) == 6
    vectors = {}
    for name, model in models.items():
        output = published.folder / "vectors" / f"{name}.npz"
        flags = (f"--model={model}", f"--inputs={published.media}", f"--output={output}")
        assert f"wrote {output}" in published.done("embed", *flags)
        with np.load(output) as file:
            vectors[name] = {key: file[key] for key in file.files}
    run = vectors["run"]
    assert run["audio_id"].tolist() == ["long.wav", "short.wav", "two_windows.wav"]
    assert run["image_id"].tolist() == ["face.jpg", "wide.png"]
    for name, found in vectors.items():
        modalities = [m for m in ("audio", "image") if m in found]
        assert modalities == (name.split("_")[:1] if "tflite" in name else ["audio", "image"])
        for modality in modalities:
            assert found[f"{modality}_id"].tolist() == run[f"{modality}_id"].tolist()
            np.testing.assert_allclose(np.linalg.norm(found[modality], axis=1), 1, atol=1e-3)
            # A clip longer than a .tflite's 3 seconds is the mean of its windows there.
            rows = slice(2 if "tflite" in name else None)
            if "float16" in name:
                cosines = np.sum(found[modality][rows] * run[modality][rows], axis=1)
                assert cosines.min() > 0.99999, name
            else:
                np.testing.assert_allclose(
                    found[modality][rows], run[modality][rows], atol=1e-5, err_msg=name
                )
    assert np.abs(run["audio"][0] - run["audio"][1]).max() > 1e-2


def test_for_machines_every_answer_is_one_json_object_and_nothing_else(published):
    run, media, npz = published.run, published.media, published.folder / "json.npz"
    asked = {
        "train": ([f"--workdir={run}", *published.train_flags], lambda told: told["step"] == STEPS),
        "report": (
            [f"--workdir={run}", f"--output={npz}.html", "--probes=3"],
            lambda told: pathlib.Path(told["page"]).stat().st_size,
        ),
        "eval": ([f"--workdir={run}"], lambda told: told[str(run)][0]["protocol"]),
        "embed": (
            [f"--model={run}", f"--inputs={media}", f"--output={npz}"],
            lambda t: t["shapes"],
        ),
        "search": (
            [f"--index={npz}", f"--query={npz}", "--top=1", f"--page={npz}.search.html"],
            lambda t: t["queries"][4] and pathlib.Path(t["page"]).stat().st_size,
        ),
        "prepare": (
            ["--source=synthetic", "--identities=12", "--check", f"--output={npz}.data"],
            lambda told: told["splits"]["test"],
        ),
    }
    for binary, (flags, look) in asked.items():
        code, stdout, stderr = published.server.run(binary, *flags, "--json", "--quiet")
        assert code == 0, stderr[-3000:]
        assert look(json.loads(stdout)), binary
        assert not re.search(r"^I\d{4}|it/s|\x1b", stderr, re.MULTILINE), stderr


# --help -----------------------------------------------------------------------------------------


def _scripts() -> dict[str, str]:
    """Returns what to run for `--help`: every file of bin/ and every installed console script."""
    folder = pathlib.Path(sys.executable).parent
    points = importlib.metadata.distribution("tfav").entry_points
    names = {p.name: p.value.split(":")[0].split(".")[-1] for p in points if ".bin." in p.value}
    assert {f"tfav-{b}" for b in ("prepare", "train", "eval", "export", "embed")} <= set(names)
    scripts = {str(folder / name): binary for name, binary in names.items()}
    return scripts | {str(ROOT / "bin" / f"{binary}.py"): binary for binary in BINARIES}


@pytest.mark.parametrize(
    "script,binary", _scripts().items(), ids=[pathlib.Path(s).name for s in _scripts()]
)
def test_help_lists_the_flags_at_once_and_without_tensorflow(script, binary, tmp_path):
    (tmp_path / "tensorflow.py").write_text("raise SystemExit('tensorflow was imported')")
    done = subprocess.run(
        [sys.executable, script, "--help"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and done.stderr == ""
    source = (ROOT / "bin" / f"{binary}.py").read_text()
    shared = re.findall(r"adopt_module_key_flags\((\w+)\)", source)
    sources = [source, *((ROOT / "bin" / f"{name}.py").read_text() for name in shared)]
    flags = [f for text in sources for f in re.findall(r'DEFINE_\w+\(\s*"(\w+)"', text)]
    assert len(flags) >= 2 and {"json", "quiet"} <= set(flags)
    for flag in flags:
        assert re.search(rf"^  --(\[no\])?{flag}: ", done.stdout, re.MULTILINE), flag
    assert source.split('"""')[1].splitlines()[0] in done.stdout


def test_tfav_alone_lists_every_command_at_once_and_without_tensorflow(tmp_path):
    for name in ("tensorflow", "numpy", "absl"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('it was imported')")
    command = [str(pathlib.Path(sys.executable).parent / "tfav")]
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == ""
    told = dict(re.findall(r"^  tfav-(\w+) +(.+)$", done.stdout, re.MULTILINE))
    assert set(told) == {*BINARIES, "client"}
    for binary in BINARIES:
        about = (ROOT / "bin" / f"{binary}.py").read_text().split('"""')[1].splitlines()[0]
        assert told[binary] == about
    done = subprocess.run([*command, "train"], env=env, capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.startswith("error: train is no word for tfav")
    done = subprocess.run([*command, "--version"], env=env, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"{importlib.metadata.version('tfav')}\n")


def test_the_command_of_the_client_imports_nothing_of_ours(tmp_path):
    for name in ("tensorflow", "numpy"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('it was imported')")
    done = subprocess.run(
        [pathlib.Path(sys.executable).parent / "tfav-client", "--help"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and "{status,metadata,embed,match,pairs}" in done.stdout


def test_every_exit_code_stands_in_the_table_of_the_docs():
    text = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    table = text.split("## Exit codes")[1].split("\n## ")[0]
    told = {int(code) for code in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)}
    cli = (ROOT / "bin" / "cli.py").read_text()
    ended = {int(code) for code in re.findall(r"(?:sys\.exit\(|, )(\d+)\)$", cli, re.MULTILINE)}
    signals = {128 + signal.SIGINT, 128 + signal.SIGTERM}  # of a training, by `fitting.fit`
    assert told == ended | signals | {1, 2}, "1: an error of ours"


# Mistakes ---------------------------------------------------------------------------------------


def _refused(job: Job, sentence: str, binary: str, *flags: object) -> None:
    """Runs a command that must end in a sentence like `sentence` and change no file."""
    before = job.tree()
    code, stdout, stderr = job.server.run(binary, *flags)
    assert code == 2, stderr[-3000:]
    errors = [line for line in stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and stderr.splitlines()[-1] == errors[0], stderr[-3000:]
    assert re.search(sentence, errors[0]), errors[0]
    assert "Traceback" not in stderr and stdout == ""
    assert job.tree() == before


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["train"], "'train' is not a flag: write --name=value"),
        (["--workdri=x"], "Unknown command line flag 'workdri'. Did you mean: workdir"),
        (["--config.train.learning_rat=1"], "no such field: 'learning_rat' .*learning_rate"),
        (["--config.model.depth=1"], "no such field: 'depth'"),
        (
            ["--config.train.batch_size=many"],
            "--config.train.batch_size=many: give a whole number;",
        ),
        (["--config.train.batch_size=-0.5"], "--config.train.batch_size=-0.5: give a whole num"),
        (["--config.train.learning_rate=x"], "--config.train.learning_rate=x: give a number;"),
        (["--config.train.batch_size=64"], "28 identities .* takes 64 distinct ones: set"),
        (["--config.data.directory="], "data.directory is empty: name the folder that prepare"),
        (["--config.data.directory=/no/where"], "/no/where is not a prepared data set"),
        (["--config.data.train_split=dev"], "no split 'dev': it has train, val, test"),
        (["--config.audio.encoder=big"], "unknown audio encoder 'big': choose one of .*tiny"),
        (["--config.train.optimizer=adamax"], "unknown optimizer 'adamax': choose one of adam"),
        (["--config.train.init_from=/no/where"], "/no/where does not exist: train first"),
        (
            ["--config.recipe=os.path"],
            "recipe 'os.path' is a module: choose one of .* name a subclass",
        ),
        (["--config.recipe=..x"], "recipe '..x' cannot be imported"),
        (["--workdir="], "--workdir= names nothing: give --workdir=VALUE"),
        (["--strategy=tpu"], "unknown --strategy 'tpu': choose one of auto"),
        (["--strategy=multi_worker"], "finds no TF_CONFIG in the environment"),
        (["--gpu_memory=half"], "--gpu_memory=half: give grow, or a share above 0 and up to 1"),
        (["--gpu_memory=1.5"], "--gpu_memory=1.5: give grow, or a share above 0 and up to 1"),
        (["--workdir=/dev/null/run"], "/dev/null/run.*: Not a directory"),
    ],
)
def test_a_wrong_flag_of_train_is_named(job, flags, sentence):
    _refused(job, sentence, "train", f"--workdir={job.folder}/none", *job.train_flags, *flags)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, r"--config cannot be loaded \(\[Errno 2\] No such file or directory: .*mine.py"),
        ("def get_config(:", r"--config cannot be loaded \(.*mine.py, line 1"),
        ("import nothing_here", "--config cannot be loaded .No module named 'nothing_here'"),
        ("C = 1", "has no attribute 'get_config'"),
        ("def get_config(v):\n    raise ValueError('no such v')", "ValueError: no such v"),
    ],
)
def test_a_config_file_that_does_not_load_is_a_sentence(job, tmp_path, text, sentence):
    if text is not None:
        (tmp_path / "mine.py").write_text(text)
    _refused(job, sentence, "train", f"--config={tmp_path}/mine.py:v", f"--workdir={tmp_path}/run")


def test_a_variant_that_is_not_there_names_those_that_are(job):
    flags = (f"{DEMO}n", f"--workdir={job.folder}/none")
    _refused(
        job, "no variant 'demon': write --config=FILE:VARIANT with one of demo", "train", *flags
    )


@pytest.mark.parametrize("binary", BINARIES)
def test_a_required_flag_that_is_missing_is_named(job, binary):
    _refused(job, "--[a-z]+ is missing: give --[a-z]+=", binary)


def test_a_run_under_another_config_is_refused(trained, tmp_path):
    flags = (f"--workdir={trained.run}", *trained.train_flags)
    other = "--config.embedding_size=16"
    _refused(trained, "embedding_size=64 and this one has 16: give", "train", *flags, other)
    shutil.copytree(trained.run, tmp_path / "run")
    for name in ("config.json", "environment.json"):  # a checkpoint of whatever
        (tmp_path / "run" / name).unlink()
    flags = (f"--workdir={tmp_path}/run", *trained.train_flags, other)
    _refused(trained, "run holds ckpt-60 and weights.npz .* and no config.json", "train", *flags)


@pytest.mark.parametrize(
    ("binary", "flags", "sentence"),
    [
        ("eval", ["--workdir={0}/none"], "none/config.json does not exist: give the --workdir"),
        ("eval", ["--workdir={0}/data"], "data/config.json does not exist"),
        ("eval", ["--workdir={0}/run", "--tags=dev"], "no query list of tag 'dev'; tags there"),
        ("eval", ["--workdir={0}/run", "--lists={0}/none"], "none is no folder"),
        ("eval", ["--workdir={0}/run", "--data={0}/none"], "none is not a prepared data set"),
        ("eval", ["--workdir="], "--workdir= names nothing: give at least one, or leave"),
        ("eval", ["--workdir={0}/run", "--tags="], "--tags= names nothing: give at least one"),
        ("prepare", ["--output={0}/x", "--max_hours=nan"], "--max_hours=nan: give a finite number"),
        ("eval", ["--workdir={0}/run", "--seed=-1"], "--seed=-1: -1 is not a non-negative"),
        ("export", ["--workdir={0}/none", "--output={0}/x"], "none/config.json does not exist"),
        ("export", ["--workdir={0}/run", "--output={0}/exports", "--version=v1"], "=v1 is not a"),
        ("export", ["--workdir={0}/run", "--output={0}/exports", "--version=1"], "1 exists: leave"),
        (
            "export",
            [
                "--workdir={0}/run",
                "--output={0}/exports",
                "--min_cosine=1.1",
                "--precisions=float32",
            ],
            "parity failed and nothing was published: embed_audio .* below 1.1",
        ),
        ("embed", ["--model={0}/none", "--output={0}/x.npz"], "none does not exist: name a"),
        ("search", ["--index={0}/no.npz", "--query={0}/q.npz"], "no.npz does not exist: name a"),
        ("search", ["--index={0}/data", "--query={0}/q.npz"], "be embedded and --model is missing"),
        ("search", ["--index=a", "--query=b", "--top=0"], "--top=0: 0 is not a positive integer"),
        (
            "search",
            ["--index=a", "--query=b", "--no_media"],
            "is of a page and there is none",
        ),
        (
            "search",
            ["--index=a", "--query=b", "--page=x.txt"],
            "x.txt is no .html file, as a",
        ),
        ("embed", ["--model={0}/data", "--output={0}/x.npz"], "neither saved_model.pb nor a"),
        ("embed", ["--model={0}/run", "--output={0}/x.npy"], "x.npy is no .npz file, as an out"),
        ("embed", ["--model={0}/run", "--output={0}/old.npz"], "old.npz exists: name another"),
        (
            "embed",
            ["--model={0}/run", "--output={0}/x.npz", "--max_bad_fraction=2"],
            "--max_bad_fraction=2: 2.0 is not a number in the range",
        ),
        (
            "prepare",
            ["--source=synthetic", "--output={0}/x", "--corpus={0}/data-corpus"],
            "goes to .*/data-corpus, which exists: pass --overwrite",
        ),
        (
            "prepare",
            ["--source=synthetic", "--output={0}/data", "--corpus={0}/new-corpus"],
            "--output=.*/data exists: name another folder, or pass --overwrite",
        ),
        (
            "prepare",
            [
                "--source=voxceleb1",
                "--audio_root={0}/data-corpus/wav",
                "--image_root={0}/data-corpus/faces",
                "--split_csv={0}/data-corpus/lists/train.csv",
                "--output={0}/data",
            ],
            "--output=.*/data exists: name another folder, or pass --overwrite",
        ),
        ("prepare", ["--source=synthetic", "--output={0}/x", "--identities=7"], "an even number"),
        (
            "prepare",
            ["--manifest={0}/none.csv", "--output={0}/x"],
            "none.csv does not exist: correct",
        ),
        ("prepare", ["--source=films", "--output={0}/x"], "unknown source 'films': choose"),
        *[
            (binary, [*flags, "--output={0}/" + place], f"{place} is .* .it holds .*: name another")
            for binary, flags in {
                "eval": ["--workdir={0}/run"],
                "export": ["--workdir={0}/run"],
                "compare": [DEMO, "--variants=demo", "--data={0}/data"],
            }.items()
            for place in ("run", "data", "exports")
            if (binary, place) != ("export", "exports")
        ],
        (
            "embed",
            ["--model={0}/run", "--output={0}/run/weights.npz", "--overwrite"],
            "is not an o",
        ),
        ("embed", ["--model={0}/run", "--output="], "--output= names nothing: give --output=VALUE"),
        (
            "report",
            ["--workdir={0}/run", "--output={0}/data/index.csv"],
            "index.csv is no .html fi",
        ),
        (
            "report",
            ["--workdir={0}/run", "--video={0}/data/index.csv"],
            "index.csv is no .mp4 file",
        ),
        ("eval", ["--workdir={0}/run,{0}/run/"], "run and .*run/ are one run .their weights are"),
        (
            "eval",
            ["--workdir={0}/a,b"],
            "a,b: commas separate paths, and there is one with a comma",
        ),
        (
            "compare",
            [DEMO, "--variants=demo", "--data={0}/data", "--output={0}/x", "--seeds=0,0"],
            "--seeds=0,0 names 0 twice: name each once",
        ),
        ("prepare", ["--source=os.path", "--output={0}/x"], "source 'os.path' is a module: choose"),
        ("prepare", ["--source=os.getcwd", "--output={0}/x"], "'os.getcwd' is a builtin_function_"),
        ("prepare", ["--source=synthetic", "--output={0}/x", "--identities=0"], "--identities=0: "),
        (
            "prepare",
            ["--source=synthetic", "--output={0}/x", "--lists=none", "--galleries_per_probe=2"],
            "--galleries_per_probe=2 means nothing where no query lists are drawn",
        ),
        (
            "prepare",
            ["--source=synthetic", "--output={0}/x", "--beam_options=--parallelism=8"],
            "--beam_options=--parallelism=8 means nothing without --runner",
        ),
    ],
)
def test_a_wrong_flag_of_the_others_is_named(published, binary, flags, sentence):
    (published.folder / "old.npz").touch()
    (published.folder / "a,b").mkdir(exist_ok=True)
    flags = [flag.format(published.folder) for flag in flags]
    if binary == "embed":
        flags.append(f"--inputs={published.media}")
    _refused(published, sentence, binary, *flags)
    assert not (published.folder / "new-corpus").exists()


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("cut.wav", "cut.wav is not readable as audio .*: correct or remove it"),
        ("dot.png", "dot.png has 1x1 pixels"),
        ("words.jpg", "words.jpg is not readable as an image .unknown format"),
        ("words.txt", "words.txt is neither audio nor image: the inputs may be .wav"),
        ("empty", "no audio or image in .*empty: the inputs may be .wav"),
        ("gone.wav", "gone.wav does not exist: correct the path"),
    ],
)
def test_inputs_that_cannot_be_embedded_are_named(published, tmp_path, name, sentence):
    (tmp_path / "cut.wav").write_bytes((published.media / "long.wav").read_bytes()[:40])
    Image.new("RGB", (1, 1)).save(tmp_path / "dot.png")
    for text in ("words.txt", "words.jpg"):
        (tmp_path / text).write_text("words")
    (tmp_path / "empty").mkdir()
    flags = (f"--model={published.run}", f"--output={published.folder}/x.npz")
    _refused(published, sentence, "embed", *flags, f"--inputs={tmp_path / name}")


def test_a_damaged_record_names_the_shards_and_prepare(trained, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(trained.data, data)
    for shard in data.glob("*.tfrecord"):
        content = bytearray(shard.read_bytes())
        content[1000::1500] = bytes(byte ^ 0xFF for byte in content[1000::1500])
        shard.write_bytes(content)
    sentence = f"a record of {data} cannot be read .shard .*, row [0-9]+, id .*: its checksum "
    sentence += f"does not fit.*tfav-prepare --output={data}"
    _refused(trained, sentence, "eval", f"--workdir={trained.run}", f"--data={data}")
    flags = (f"--workdir={trained.run}", f"--data={data}", f"--output={trained.folder}/x")
    _refused(trained, sentence, "export", *flags)
    flags = (*trained.train_flags, f"--config.data.directory={data}")
    _refused(trained, sentence, "train", f"--workdir={tmp_path}/run", *flags)
    assert not list((tmp_path / "run").glob("checkpoints/*"))


def test_a_reader_of_the_table_may_leave_early(trained):
    for flags in (f"--workdir={trained.run}", "--help"):
        command = f"{sys.executable} {ROOT}/bin/eval.py {flags} | true; exit $PIPESTATUS"
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
        assert done.returncode == 0 and "rror" not in done.stderr


# A full disk ------------------------------------------------------------------------------------


class SmallDisk:
    """A file system of 3 MB that only the processes of `server` see; needs no privileges."""

    def __init__(self, folder: pathlib.Path):
        self.path = folder / "disk"
        self.path.mkdir()
        mount = f"mount -t tmpfs -o size=3m tmpfs {self.path} && exec "
        prefix = [
            "unshare",
            "--user",
            "--map-root-user",
            "--mount",
            "sh",
            "-c",
            mount + '"$@"',
            "sh",
        ]
        try:
            done = subprocess.run([*prefix, "true"], capture_output=True)
        except FileNotFoundError:
            pytest.skip("no unshare here")
        if done.returncode:
            pytest.skip("no user namespaces here")
        self.server = forked.Server(folder, prefix)
        assert self.server.run("train", "--help").code == 0
        self._seen = pathlib.Path(f"/proc/{self.server.pid}/root{self.path}")

    def files(self) -> list[str]:
        """Returns what is on it."""
        return sorted(str(p.relative_to(self._seen)) for p in self._seen.rglob("*") if p.is_file())

    def fill(self) -> None:
        """Leaves no room."""
        with open(self._seen / "filler", "wb", buffering=0) as f:
            try:
                while True:
                    f.write(bytes(4096))
            except OSError:
                pass


@pytest.fixture(scope="module")
def disk(tmp_path_factory) -> SmallDisk:
    made = SmallDisk(tmp_path_factory.mktemp("full"))
    yield made
    made.server.close()


def test_a_full_disk_is_one_sentence_and_leaves_nothing_half_written(published, disk):
    def full(sentence, binary, *flags):
        code, _, stderr = disk.server.run(binary, *flags)
        assert code == 2 and "Traceback" not in stderr, stderr[-3000:]
        assert re.search(sentence, stderr.splitlines()[-1]), stderr[-3000:]

    place = disk.path
    synthetic = ("--source=synthetic", "--identities=12", f"--output={place}/data")
    full("^error: .*synthetic corpus could not be written.*No space left", "prepare", *synthetic)
    assert disk.files() == []
    corpus = f"--corpus={published.folder}/another"
    full(f"^error: the disk is full: {place}/data was not written", "prepare", *synthetic, corpus)
    assert disk.files() == []
    run = (f"--workdir={published.run}", f"--output={place}/exports")
    full(f"^error: the disk is full: nothing was published to {place}/exports", "export", *run)
    assert disk.files() == []
    train = (f"--workdir={place}/run", *published.train_flags)
    train += ("--config.train.num_steps=4", "--config.train.warmup_steps=0")
    full(f"^error: the disk is full while writing {place}/run/checkpoints", "train", *train)
    left = [name for name in disk.files() if "tensorboard" not in name]
    whole = ["config.json", "environment.json", "scalars.jsonl", "weights.npz"]
    assert left == [f"run/{name}" for name in whole]
    disk.fill()
    before = disk.files()
    embed = (f"--model={published.run}", f"--inputs={published.media}", f"--output={place}/x.npz")
    full(f"^error: the disk is full while writing {place}/x.npz", "embed", *embed)
    assert disk.files() == before


def test_a_full_disk_at_the_last_weights_keeps_the_run(trained, tmp_path):
    """Without namespaces: the file that becomes weights.npz lies on the kernel's full device."""
    (tmp_path / "run").mkdir()
    os.symlink("/dev/full", tmp_path / "run" / "weights.npz.tmp")
    flags = (
        f"--workdir={tmp_path}/run",
        *trained.train_flags,
        "--config.train.num_steps=2",
        "--config.train.warmup_steps=0",
        "--config.train.validate_every=0",
    )
    sentence = f"the disk is full while writing {tmp_path}/run/weights.npz: free some space"
    _refused(trained, sentence, "train", *flags)
    assert "weights.npz" not in " ".join(os.listdir(tmp_path / "run"))
    trained.done("train", *flags)
    assert (tmp_path / "run" / "weights.npz").exists()


# What others write to the console ----------------------------------------------------------------


def test_nobody_else_writes_before_or_between_our_lines(tmp_path):
    """In a process from scratch: a fork has had TensorFlow's notes before."""
    (tmp_path / "in").mkdir()
    soundfile.write(tmp_path / "in" / "a.wav", np.sin(np.arange(16_000) / 9), 16_000)
    Image.effect_noise((60, 60), 90).convert("RGB").save(tmp_path / "in" / "a.jpg")
    flags = ["--model=toy", f"--inputs={tmp_path}/in", f"--output={tmp_path}/x.npz"]
    command = [sys.executable, ROOT / "bin" / "embed.py", *flags]
    environ = {k: v for k, v in os.environ.items() if not k.startswith("TF_")}
    done = subprocess.run(command, capture_output=True, text=True, env=environ)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    wrote = f"wrote {tmp_path}/x.npz"
    assert done.stdout.splitlines() == ["audio: 1 x 64", "image: 1 x 64", wrote]


def test_the_list_of_commands_ends_where_nobody_reads_on():
    command = [sys.executable, "-u", "-c", "from tfav import bin; bin.commands()"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as process:
        process.stdout.close()  # as of head, which has seen enough
        assert process.stderr.read() == b""
    assert process.returncode == 0
