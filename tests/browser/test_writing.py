"""What tfav-web writes and refuses, and how it is served: without a browser and without npm."""

import json
import os
import pathlib
import re
import shutil
import tarfile
import threading
import urllib.error
import urllib.request

import numpy as np
import pytest
import soundfile
from PIL import Image

import tfav
from tfav import files, registry
from tfav.browser import gallery, runtime, server, site
from tfav.commands import web

PAGE = pathlib.Path(server.__file__).with_name("page")
SPACE = "a640eabc4d00b6a4"


def package(folder: pathlib.Path, version: str = "2.5.3") -> pathlib.Path:
    """Writes what npm would, with a few bytes in place of each build."""
    core, tools = folder / "@litertjs" / "core", folder / "@litertjs" / "wasm-utils"
    for place in (core / "dist", core / "wasm", tools / "dist"):
        place.mkdir(parents=True)
    (core / "package.json").write_text(json.dumps({"version": version}))
    (tools / "package.json").write_text(json.dumps({"version": version}))
    row = "    elementType: ElementType.UINT8\n  }"
    index = f'import {{a}} from "@litertjs/wasm-utils";\n[{row}]\n//# sourceMappingURL=x'
    (core / "dist" / "index.js").write_text(index)
    (tools / "dist" / "index.js").write_text("export const a = 1;\n")
    for build in ("threaded_internal", "internal", "compat_internal"):
        for end in (".js", ".wasm"):
            (core / "wasm" / f"litert_wasm_{build}{end}").write_text(build)
    return folder


@pytest.fixture(scope="module")
def npm(tmp_path_factory) -> str:
    return str(package(tmp_path_factory.mktemp("npm")))


@pytest.fixture(scope="module")
def people(tmp_path_factory) -> pathlib.Path:
    """Two people with a voice and a face each."""
    folder = tmp_path_factory.mktemp("people")
    random = np.random.default_rng(0)
    for name in ("ann_lee", "bob_may"):
        for kind in ("voices", "faces"):
            (folder / kind / name).mkdir(parents=True)
        wave = 0.2 * random.uniform(-1, 1, 80_000)
        soundfile.write(folder / "voices" / name / "0.wav", wave, 16_000, subtype="PCM_16")
        pixels = random.integers(0, 256, [400, 300, 3], np.uint8)
        exif = Image.Exif()
        exif[0x010E] = "where it was taken"
        Image.fromarray(pixels).save(folder / "faces" / name / "0.jpg", exif=exif)
    return folder


@pytest.fixture(scope="module")
def written(npm, people, tmp_path_factory) -> pathlib.Path:
    output = tmp_path_factory.mktemp("sites") / "toy"
    given = [str(people / "voices"), str(people / "faces")]
    found = web.write("toy", given, str(output), runtime_folder=npm)
    assert found.lines()[-1] == f"wrote {output}/index.html"
    assert found.record()["gallery"] == {"audio": 2, "image": 2}
    return output


def test_a_site_holds_page_runtime_models_gallery_and_card(written):
    assert {p.name for p in PAGE.iterdir()} <= {p.name for p in written.iterdir()}
    about = json.loads((written / "site.json").read_text("utf-8"))
    assert about["toy"] and about["embedding_space"] == SPACE
    assert about["directions"] == [["audio", "image"], ["image", "audio"]]
    assert about["models"]["audio"]["lengths"] == {"embed_audio": 48_000}
    assert about["seconds"] == 3.0 and about["frontend"]["num_bands"] == 40
    toy = pathlib.Path(tfav.__file__).with_name("toy")
    for name in ("audio", "image"):
        file = f"{name}_float16.tflite"
        assert (written / "models" / file).read_bytes() == (toy / file).read_bytes()
    assert (written / "model_card.md").read_bytes() == (toy / "model_card.md").read_bytes()


def test_the_gallery_has_the_vectors_of_tfav_embed_and_no_metadata(written, people):
    about = json.loads((written / "site.json").read_text("utf-8"))["galleries"]
    model = tfav.load("toy")
    for modality, folder in (("audio", "voices"), ("image", "faces")):
        side = about[modality]
        expected = model.embed(people / folder)
        assert side["ids"] == expected.ids[modality] and side["labels"] == ["ann lee", "bob may"]
        vectors = np.fromfile(written / side["vectors"], "<f4").reshape(2, side["size"])
        np.testing.assert_array_equal(vectors, expected.vectors[modality])
    clip, rate = soundfile.read(written / about["audio"]["media"][0])
    assert rate == 16_000 and len(clip) == 48_000  # as much as is heard, of 5 s
    image = Image.open(written / about["image"]["media"][0])
    assert image.size == (192, 256) and not image.getexif()


def test_the_runtime_is_found_as_npm_lays_it_and_packs_it(npm, tmp_path, monkeypatch):
    found = runtime.find(npm)
    assert found.version == "2.5.3" and len(found.files) == 9
    index = found.files["index.js"].decode()
    assert 'from "./wasm-utils.js"' in index and "sourceMappingURL" not in index
    assert "elementType: ElementType.BOOL" in index
    packed = tmp_path / ".litert"
    packed.mkdir()
    for short in ("core", "wasm-utils"):
        with tarfile.open(packed / f"litertjs-{short}-2.5.3.tgz", "w:gz") as archive:
            archive.add(pathlib.Path(npm) / "@litertjs" / short, "package")
    monkeypatch.chdir(tmp_path)
    assert runtime.find() == found
    assert "three builds, of which a visitor loads" in runtime.sizes(found)


def test_a_missing_or_other_runtime_is_a_sentence_with_the_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        registry.UserError, match=f"is not in .litert or node_modules: .*{runtime.PACK}"
    ):
        runtime.find()
    with pytest.raises(registry.UserError, match="is not in nowhere: run `mkdir"):
        runtime.find("nowhere")
    with pytest.raises(
        registry.UserError, match="holds LiteRT.js 3.0.1, and the page was made for"
    ):
        runtime.find(str(package(tmp_path / "new", "3.0.1")))
    half = package(tmp_path / "half")
    (half / "@litertjs" / "core" / "wasm" / "litert_wasm_internal.wasm").unlink()
    with pytest.raises(registry.UserError, match="does not hold all of LiteRT.js .FileNotFound"):
        runtime.find(str(half))


def npz(path, space=SPACE) -> str:
    vectors = np.eye(2, 64, dtype=np.float32)
    ids = np.array(["ann_lee/0.jpg", "gone.jpg"])
    arrays = {"embedding_space": np.array(space), "image_id": ids, "image": vectors}
    files.write_npz(path, arrays)
    return str(path)


def test_stored_vectors_are_shown_with_the_files_that_are_there(npm, people, tmp_path):
    output = tmp_path / "site"
    web.write(
        "toy",
        [npz(tmp_path / "faces.npz")],
        str(output),
        media=str(people / "faces"),
        runtime_folder=npm,
    )
    about = json.loads((output / "site.json").read_text("utf-8"))
    assert about["directions"] == [["audio", "image"]]
    assert about["galleries"]["image"]["media"] == ["gallery/image/00000.jpg", None]


def _bad_face(tmp_path):
    (tmp_path / "bad.jpg").write_text("no image")
    return [str(tmp_path / "bad.jpg")]


REFUSED = {
    "vectors of another space": (
        lambda tmp_path: [npz(tmp_path / "x.npz", "0" * 16)],
        "is of the embedding space 0000000000000000 and --export=",
    ),
    "two kinds": (lambda tmp_path: [npz(tmp_path / "x.npz"), "y"], "name one .npz alone"),
    "a bad file": (_bad_face, "bad.jpg is not readable as an image"),
    "nothing there": (lambda tmp_path: [str(tmp_path / "none")], "none does not exist"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_refused_gallery_leaves_what_was_there(npm, written, tmp_path, kind):
    given, sentence = REFUSED[kind]
    before = {p: p.stat().st_mtime_ns for p in written.rglob("*")}
    with pytest.raises(registry.UserError, match=sentence):
        web.write("toy", given(tmp_path), str(written), runtime_folder=npm)
    assert {p: p.stat().st_mtime_ns for p in written.rglob("*")} == before
    assert [p.name for p in written.parent.iterdir()] == [written.name]


def test_an_export_that_compares_needs_a_gallery(npm, tmp_path):
    toy = pathlib.Path(tfav.__file__).with_name("toy")
    shutil.copytree(toy, tmp_path / "demo", ignore=shutil.ignore_patterns("parity.json"))
    with pytest.raises(registry.UserError, match="--gallery is missing: .*/demo compares"):
        web.write(f"{tmp_path}/demo", [], str(tmp_path / "site"), runtime_folder=npm)
    with pytest.raises(registry.UserError, match="--export=.*/none is no folder"):
        web.write(f"{tmp_path}/none", [], str(tmp_path / "site"), runtime_folder=npm)
    assert not (tmp_path / "site").exists()


def test_a_classifier_of_what_a_page_cannot_take_in_is_refused(npm, tmp_path):
    from tests.export import conftest
    from tfav.encoders import array, audio
    from tfav.export import servable
    from tfav.export.lite import tflite

    encoders = {"audio": audio.Tiny(8), "pulse": array.Tiny(8, 3)}
    made = servable.Servable(conftest.Classifying(encoders), classes=conftest.CLASSES)
    tflite.write(made, str(tmp_path), audio_samples=8_000, precisions=("float32",))
    with pytest.raises(registry.UserError, match="takes pulse, which is neither a recording nor"):
        web.write(str(tmp_path), [], str(tmp_path / "site"), runtime_folder=npm)


def test_nothing_else_is_written_over(npm, tmp_path):
    (tmp_path / "dataset.json").write_text("{}")
    with pytest.raises(registry.UserError, match="is a prepared data set"):
        web.write("toy", [], str(tmp_path), runtime_folder=npm)
    (tmp_path / "dataset.json").rename(tmp_path / "thesis.txt")
    with pytest.raises(registry.UserError, match="holds thesis.txt, which is no part of a site"):
        web.write("toy", [], str(tmp_path), runtime_folder=npm)
    assert os.listdir(tmp_path) == ["thesis.txt"]


def test_all_that_is_written_may_be_replaced(written, npm, people):
    assert set(os.listdir(written)) == site.names()
    web.write("toy", [str(people)], str(written), runtime_folder=npm)


@pytest.mark.parametrize(
    ("ids", "labels"),
    [
        (["ann_lee/0.wav", "bob/1.wav"], ["ann lee", "bob"]),
        (["voices/ann_lee.wav", "voices/bob.wav"], ["ann lee", "bob"]),
        (["ann.wav", "bob.wav"], ["ann", "bob"]),
        (["one/ann.wav"], ["ann"]),
        (["all/ann/s1/0.wav", "all/bob/s1/0.wav", "all/x.wav"], ["ann / s1", "bob / s1", "x"]),
    ],
)
def test_a_label_is_the_name_of_the_folder_or_else_of_the_file(ids, labels):
    assert gallery.labels({"audio": ids}) == {"audio": labels}


@pytest.mark.parametrize(
    "audio", ["{}/s1/0.wav", "my/voices/{}/0.wav", "{}/0.wav", "test/{}/0.wav"]
)
@pytest.mark.parametrize("image", ["{}/0.jpg", "my/faces/{}/0.jpg", "test/{}/0.jpg"])
def test_a_label_is_the_folder_that_voices_and_faces_have_in_common(audio, image):
    people = ["ann_lee", "bob", "eve"]
    ids = {"audio": [audio.format(name) for name in people], "image": [image.format("bob")]}
    ids["image"] += [image.format("eve")]
    assert gallery.labels(ids) == {"audio": ["ann lee", "bob", "eve"], "image": ["bob", "eve"]}


# Served -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def port(written):
    with server.serve(str(written), 0) as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield made.server_address[1]
        made.shutdown()


def ask(port, path, **headers):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.headers
    except urllib.error.HTTPError as error:
        return error.code, error.headers


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/main.js", "text/javascript; charset=utf-8"),
        ("/runtime/litert_wasm_internal.wasm", "application/wasm"),
        ("/models/audio_float16.tflite", "application/octet-stream"),
        ("/gallery/audio/00000.flac", "audio/flac"),
        ("/site.json", "application/json"),
    ],
)
def test_every_file_has_its_type_and_isolates_the_page(port, path, kind):
    status, headers = ask(port, path)
    assert status == 200 and headers["Content-Type"] == kind
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Embedder-Policy"] == "require-corp"
    assert headers["X-Content-Type-Options"] == "nosniff"
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'self'; script-src 'self' 'wasm-unsafe-eval';")
    assert "frame-ancestors 'none'" in policy


def test_no_listing_nothing_above_and_no_other_name_for_the_machine(port):
    assert ask(port, "/gallery/")[0] == 404
    assert ask(port, "/../../etc/passwd")[0] == 404
    assert ask(port, "/", Host=f"evil.example:{port}")[0] == 403
    assert ask(port, "/", Host=f"localhost:{port}")[0] == 200


def test_what_is_no_site_and_a_port_that_is_taken_are_sentences(port, written, tmp_path):
    with pytest.raises(registry.UserError, match="is no site of tfav-web"):
        server.serve(str(tmp_path), 0)
    taken = rf"--serve={port}: Address already in use"
    with pytest.raises(registry.UserError, match=taken):
        server.serve(str(written), port)
    with pytest.raises(registry.UserError, match=taken):
        server.require_free(port)
    server.require_free(0)


def test_a_port_that_is_taken_is_said_before_anything_is_written(port, npm, tmp_path, forks):
    made = tmp_path / "site"
    done = forks.run(
        "web", "--export=toy", f"--output={made}", f"--runtime={npm}", f"--serve={port}"
    )
    assert done.code == 2 and f"error: --serve={port}: Address already in use" in done.stderr
    assert not made.exists()


def test_quiet_leaves_what_was_left_out_and_where_the_page_is():
    content = {"galleries": {}, "models": {"audio": {"bytes": 2_000_000}}}
    its = web.Written("site", content, "visitors load 3 MB", [("a.wav", "is silent")])
    ends = ["left out a.wav: is silent", f"wrote {os.path.join('site', 'index.html')}"]
    assert its.lines() == [ends[0], "models: audio, 2.0 MB", "visitors load 3 MB", ends[1]]
    assert its.lines(quiet=True) == ends


# The page's own files -----------------------------------------------------------------------------


def test_the_policy_of_the_page_names_no_other_origin_and_no_inline_code():
    text = (PAGE / "index.html").read_text("utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)[1]
    words = {word for part in policy.split("; ") for word in part.split()[1:]}
    assert words == {"'self'", "'wasm-unsafe-eval'", "'none'", "blob:"}
    assert not re.search(r"<script(?![^>]*src=)|<style| on\w+=| style=", text)
    for path in PAGE.iterdir():
        if path.suffix in (".js", ".css", ".html"):
            assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", path.read_text("utf-8")), (
                path
            )


def test_every_module_that_the_page_imports_is_there_and_short():
    for path in PAGE.glob("*.js"):
        text = path.read_text("utf-8")
        for name in re.findall(r'from "\./([\w.]+)"', text):
            assert (PAGE / name).exists(), (path.name, name)
        assert len(text.splitlines()) <= 250, path.name
    assert os.path.getsize(PAGE / "page.css") < 20_000
