"""The page in a real headless Chromium: all three systems, no request beyond its origin."""

import base64
import functools
import http.server
import io
import itertools
import json
import os
import pathlib
import shutil
import threading

import numpy as np
import pytest
import soundfile
import soxr
from PIL import Image
from scipy import signal

import tfav
from tests.browser.conftest import CLIP_SAMPLES, python_of
from tfav.browser import server
from tfav.commands import web
from tfav.media import audio_files

READY = "document.documentElement.dataset.ready === ''"
# What LiteRT.js says of a machine without a GPU, and its own notes, which it writes as warnings.
KNOWN = ("No available adapters", "WebGPU", "INFO: ", "NPU accelerator", "No GPU adapter")


def open_page(window, address, folder, width=1280, height=900, fresh=True):
    """Opens a site and returns its address; one that is open stays where nothing is to be fresh."""
    if not fresh and window.run(f"location.href === {json.dumps(address(folder))} && {READY}"):
        return address(folder)
    window.open("about:blank")  # ends what the page before still asks for
    window.events.clear()
    window.resize(width, height)
    window.open(address(folder))
    window.wait(READY)
    return address(folder)


def check_quiet(window, url):
    """Nothing but the runtime's own notes was written, and nothing but the origin was asked."""
    assert [c for c in window.complaints() if not any(known in c for known in KNOWN)] == []
    sent = [request.removeprefix("blob:") for request in window.requests()]
    assert sent and all(request.startswith(url) for request in sent)


def script(body: str, **files: bytes) -> str:
    """Returns an expression: `body` with the page's `app`, and `file(NAME)` of each of `files`."""
    given = {name: base64.b64encode(content).decode() for name, content in files.items()}
    return f"""(async () => {{
        const given = {json.dumps(given)};
        const file = (name) => new File(
            [Uint8Array.from(atob(given[name]), (c) => c.charCodeAt(0))], name);
        const app = await (await import('/main.js')).ready;
        const audio = await import('/audio_files.js'), images = await import('/image_files.js');
        {body}
    }})()"""


EMBED = {
    "audio": """const { clip } = await audio.decode(file('x'), 3);
        return Array.from(await app.model.embed('audio', clip))""",
    "image": "return Array.from(await app.model.embed('image', await images.decode(file('x'))))",
}


def text(window, selector: str) -> str:
    return window.run(f"document.querySelector({json.dumps(selector)}).textContent")


# The same embeddings as tfav-embed ---------------------------------------------------------------


@pytest.fixture(scope="module")
def voice(toy_site):
    samples, rate = soundfile.read(f"{toy_site}/gallery/audio/00003.flac")
    assert rate == 16_000
    return samples


@pytest.fixture(scope="module")
def face(toy_site):
    return Image.open(f"{toy_site}/gallery/image/00005.jpg").convert("RGB")


SOUNDS = {  # rate, channels, how it is written
    "plain.wav": (16_000, 1, {"subtype": "PCM_16"}),
    "stereo.wav": (44_100, 2, {"subtype": "PCM_24"}),
    "telephone.wav": (8_000, 1, {"subtype": "ULAW"}),
    "old.wav": (11_025, 1, {"subtype": "PCM_U8"}),
    "numbers.wav": (48_000, 1, {"subtype": "FLOAT"}),
    "fading.wav": (16_000, 1, {"subtype": "FLOAT"}),
    "whole.flac": (48_000, 2, {}),
    "lossy.mp3": (44_100, 1, {}),
    "half.mp3": (22_050, 1, {}),
    "vorbis.ogg": (48_000, 1, {}),
    "opus.ogg": (48_000, 1, {"subtype": "OPUS"}),
    "long.flac": (32_000, 1, {}),
}


@pytest.mark.parametrize("name", SOUNDS)
def test_a_recording_has_the_embedding_of_tfav_embed(
    window, address, toy_site, voice, tmp_path, name
):
    rate, channels, how = SOUNDS[name]
    wave = soxr.resample(voice, 16_000, rate, quality="VHQ")
    wave = np.tile(wave, 2) if name == "long.flac" else wave
    if name == "fading.wav":  # its end lies a few steps of 16 bits above nothing
        wave = wave * np.where(np.arange(len(wave)) < 24_000, 1.0, 0.004)
    wave = np.stack([wave, 0.5 * wave][:channels], axis=1)
    soundfile.write(tmp_path / name, wave, rate, **how)
    (expected,) = tfav.load("toy").embed([tmp_path / name]).vectors["audio"]
    url = open_page(window, address, toy_site, fresh=False)
    found = window.run(script(EMBED["audio"], x=(tmp_path / name).read_bytes()))
    assert np.dot(found, expected) > 0.99999
    check_quiet(window, url)


def turned(face: Image.Image) -> tuple[Image.Image, dict]:
    exif = Image.Exif()
    exif[0x0112] = 6
    return face.resize((150, 112)), {"exif": exif, "quality": 90}


def transparent(face: Image.Image) -> tuple[Image.Image, dict]:
    layer = face.convert("RGBA")
    alpha = np.tile(np.arange(face.width) * 255 // face.width, (face.height, 1))
    layer.putalpha(Image.fromarray(alpha.astype(np.uint8)))
    return layer, {}


IMAGES = {
    "plain.jpg": lambda face: (face, {"quality": 95}),
    "progressive.jpg": lambda face: (face, {"progressive": True, "quality": 60}),
    "sharp.jpg": lambda face: (face, {"subsampling": 0, "quality": 80}),
    "large.jpg": lambda face: (face.resize((1400, 900)), {"quality": 90}),
    "turned.jpg": turned,
    "strip.jpg": lambda face: (face.resize((300, 60)), {"quality": 95}),
    "grey.jpg": lambda face: (face.convert("L"), {"quality": 90}),
    "clear.png": transparent,
    "plain.webp": lambda face: (face, {"lossless": True}),
    "few.gif": lambda face: (face.quantize(32), {}),
}


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_has_the_embedding_of_tfav_embed(window, address, toy_site, face, tmp_path, name):
    made, how = IMAGES[name](face)
    made.save(tmp_path / name, **how)
    (expected,) = tfav.load("toy").embed([tmp_path / name]).vectors["image"]
    url = open_page(window, address, toy_site, fresh=False)
    found = window.run(script(EMBED["image"], x=(tmp_path / name).read_bytes()))
    assert np.dot(found, expected) > 0.9999
    check_quiet(window, url)


def test_the_spectrogram_is_that_of_the_front_end(window, address, toy_site):
    known = json.loads(
        pathlib.Path(tfav.__file__).with_name("toy").joinpath("golden.json").read_text()
    )
    open_page(window, address, toy_site)
    found = window.run(
        script(
            f"""const clip = Float32Array.from({known["audio"]["waveform_pcm16"]}, x => x / 32768);
            const its = await import('/spectrogram.js');
            return its.spectrogram(clip, app.site.frontend)"""
        )
    )
    np.testing.assert_allclose(found, known["audio"]["log_mel"], atol=1e-4)


# Voice to face, face to voice --------------------------------------------------------------------


def hits(window) -> list[str]:
    shown = "document.querySelectorAll('[role=tabpanel]:not([hidden]) .hit b')"
    return window.run(f"[...{shown}].map(e => e.textContent)")


def test_a_voice_of_the_gallery_finds_the_faces_that_python_finds(window, address, toy_site):
    url = open_page(window, address, toy_site)
    assert text(window, "h1") == "Which voice belongs to which face?"
    assert not window.run("document.getElementById('toy').hidden")
    window.click("document.querySelector('[id=panel-audio-image] .chip')")
    window.wait("document.querySelectorAll('.hit').length === 10")
    toy, media = tfav.load("toy"), pathlib.Path(toy_site, "gallery")
    voice = toy.embed(media / "audio" / "00000.flac").vectors["audio"]
    about = json.loads(pathlib.Path(toy_site, "site.json").read_text("utf-8"))
    side = about["galleries"]["image"]
    stored = np.fromfile(pathlib.Path(toy_site, side["vectors"]), "<f4").reshape(-1, side["size"])
    order = np.argsort(-(stored @ voice[0]), kind="stable")[:10]
    assert hits(window) == [side["labels"][place] for place in order]
    window.wait(
        "[...document.querySelectorAll('.hit img')].every(i => i.complete && i.naturalWidth)"
    )
    check_quiet(window, url)


def changed(toy_site, tmp_path, **fields) -> str:
    """Returns a copy of the toy's site with other facts."""
    shutil.copytree(toy_site, tmp_path / "site", ignore=shutil.ignore_patterns("runtime"))
    (tmp_path / "site" / "runtime").symlink_to(f"{toy_site}/runtime")
    path = tmp_path / "site" / "site.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | fields), "utf-8")
    return str(tmp_path / "site")


def asked(window, address, folder) -> tuple[list[str], list[float]]:
    """Returns the text of the hits of the gallery's first voice, and their cosines."""
    open_page(window, address, folder)
    body = "return app.galleries.image.nearest(app.galleries.audio.vector(0)).map(h => h.cosine)"
    cosine = window.run(script(body))
    window.click("document.querySelector('[id=panel-audio-image] .chip')")
    window.wait("document.querySelectorAll('.hit').length === 10")
    return window.run("[...document.querySelectorAll('.hit')].map(e => e.textContent)"), cosine


def test_a_calibrated_export_answers_probabilities_and_not_sure(
    window, address, toy_site, tmp_path
):
    decisions = {"score": "cosine", "threshold": 0.6, "slope": 10.0, "intercept": -5.0}
    told, cosine = asked(window, address, changed(toy_site, tmp_path, decisions=decisions))
    assert cosine[0] > 0.6 > cosine[-1]  # or this test tries one side alone
    for text_of, value in zip(told, cosine):
        probability = 100 / (1 + np.exp(5 - 10 * value))
        shown = f"{probability:.1f}" if probability < 9.95 else f"{probability:.0f}"
        assert f"{shown}\u00a0%" in text_of
        assert ("not sure" in text_of) == (value < 0.6)
    assert "with a probability of" in text(window, ".verdict")
    assert "calibrated probability" in text(window, ".answers .small")


def test_below_the_threshold_the_whole_answer_is_not_sure(window, address, toy_site, tmp_path):
    decisions = {"score": "cosine", "threshold": 0.999, "slope": None, "intercept": None}
    told, cosine = asked(window, address, changed(toy_site, tmp_path, decisions=decisions))
    assert text(window, ".verdict").startswith("Not sure: no face of the gallery is close enough.")
    assert all(
        "not sure" in text_of and f"{value:.2f}" in text_of for text_of, value in zip(told, cosine)
    )


@pytest.mark.parametrize("decisions", [None, {"score": "score", "threshold": 9, "slope": 1.0}])
def test_without_a_calibration_of_cosines_the_page_shows_them_and_says_so(
    window, address, toy_site, tmp_path, decisions
):
    told, cosine = asked(window, address, changed(toy_site, tmp_path, decisions=decisions))
    for text_of, value in zip(told, cosine):
        assert f"{value:.2f}" in text_of and "not sure" not in text_of
    assert "it is no probability" in text(window, ".answers .small")


def test_the_toy_ships_with_its_calibration(toy_site):
    about = json.loads(pathlib.Path(toy_site, "site.json").read_text("utf-8"))
    its = tfav.load("toy").decisions
    expected = {"score": "cosine", "threshold": its.threshold, "slope": its.slope}
    assert about["decisions"] == {**expected, "intercept": its.intercept}


def test_the_microphone_is_recorded_seen_and_heard(window, address, toy_site, spoken):
    url = open_page(window, address, toy_site)
    window.click("document.querySelector('[id=panel-audio-image] .main')")
    window.wait(
        "document.querySelector('[id=panel-audio-image] .main').textContent.includes('Stop')"
    )
    window.wait(
        "!document.querySelector('meter').hidden && document.querySelector('meter').value > -40"
    )
    window.wait("document.querySelectorAll('.hit').length === 10")
    assert text(window, "[id=panel-audio-image] .status").startswith("Recorded 3.0 s")
    assert window.run("document.querySelector('figure canvas').width") > 100
    window.wait("document.querySelector('.stage audio').duration > 2.9")
    # What was recorded is what was played, from somewhere inside the file on.
    item = window.run(script("return Array.from(app.panels[0].input.item)"))
    recorded = np.array(item, np.float32)
    played = np.tile(audio_files.read_audio(spoken), 2)
    assert len(recorded) == 48_000
    heard = recorded[8_000:40_000]
    energy = np.convolve(played**2, np.ones(len(heard)), "valid")
    alike = signal.correlate(played, heard, "valid") / np.sqrt(energy * np.sum(heard**2))
    assert alike.max() > 0.98
    # And the page's embedding of it is that of tfav-embed.
    embed = "return Array.from(await app.model.embed('audio', app.panels[0].input.item))"
    (expected,) = tfav.load("toy").embed([recorded]).vectors["audio"]
    assert np.dot(window.run(script(embed)), expected) > 0.99999
    check_quiet(window, url)


def test_the_camera_finds_voices_that_play(window, address, toy_site):
    url = open_page(window, address, toy_site)
    window.run("document.getElementById('tab-image-audio').click()")
    panel = "document.getElementById('panel-image-audio')"
    window.click(f"{panel}.querySelector('.main')")
    window.wait(f"{panel}.querySelector('video').videoWidth > 0")
    window.click(f"{panel}.querySelector('.main')")
    window.wait(f"{panel}.querySelectorAll('.hit').length === 10")
    assert window.run(f"{panel}.querySelector('video').hidden")
    play = f"{panel}.querySelector('.hit .play')"
    assert window.run(f"{play}.ariaLabel").startswith("Play the voice ")
    window.click(play)
    window.wait(f"{play}.ariaPressed === 'true'")
    window.click(play)
    window.wait(f"{play}.ariaPressed === 'false'")
    check_quiet(window, url)


def drop(name: str, panel: str) -> str:
    return f"""const data = new DataTransfer();
        data.items.add(new File([await file('x').arrayBuffer()], {json.dumps(name)}));
        document.querySelector('#{panel} .input').dispatchEvent(
            new DragEvent('drop', {{dataTransfer: data, bubbles: true, cancelable: true}}));"""


BAD = {
    "silence.wav": ("audio-image", "is silent"),
    "short.wav": ("audio-image", "lasts less than 0.1 s"),
    "text.mp3": ("audio-image", "cannot play that file"),
    "text.png": ("image-audio", "cannot read that image"),
    "tiny.png": ("image-audio", "has 8 × 8 pixels"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_told_in_words_and_nothing_else_changes(window, address, toy_site, name):
    content = io.BytesIO()
    if name.endswith(".wav"):
        samples = np.zeros(16_000) if name == "silence.wav" else 0.1 * np.ones(100)
        soundfile.write(content, samples, 16_000, format="WAV")
    elif name == "tiny.png":
        Image.new("RGB", (8, 8)).save(content, "PNG")
    else:
        content.write(b"no such thing" * 50)
    panel, words = BAD[name]
    open_page(window, address, toy_site)
    window.run(script(drop(name, f"panel-{panel}"), x=content.getvalue()))
    window.wait(f"document.querySelector('#panel-{panel} .status.bad') !== null")
    assert words in text(window, f"#panel-{panel} .status")
    assert hits(window) == []


# Classes ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A recording and an image, as files."""
    folder = tmp_path_factory.mktemp("pair")
    random = np.random.default_rng(0)
    wave = 0.3 * np.sin(2 * np.pi * 700 * np.arange(6_000) / 16_000)
    soundfile.write(folder / "x.wav", wave, 16_000, subtype="PCM_16")
    pixels = random.integers(60, 120, [40, 60, 3])
    pixels[5:25, 35:55] = (250, 20, 20)
    Image.fromarray(pixels.astype(np.uint8)).save(folder / "x.jpg", quality=95)
    return folder


def give_both(window, pair):
    for name, modality in (("x.wav", "audio"), ("x.jpg", "image")):
        body = f"""await app.panels[0].inputs.{modality}.take(file('x'), {json.dumps(name)})"""
        window.run(script(body, x=(pair / name).read_bytes()))


def test_classes_and_shares_are_those_of_python(window, address, class_site, pair):
    url = open_page(window, address, class_site)
    assert text(window, "h1") == "What is heard and seen here?"
    assert text(window, ".verdict") == "Give a recording and an image to see the answer."
    give_both(window, pair)
    window.wait("document.querySelectorAll('.classes li').length === 3")
    expected = python_of(class_site).classify(audio=[pair / "x.wav"], image=[pair / "x.jpg"])
    order = np.argsort(-expected.probability[0])
    names = window.run("[...document.querySelectorAll('.classes b')].map(e => e.textContent)")
    assert names == [expected.classes[place] for place in order]
    assert expected.names[0] in text(window, ".verdict")
    first, second = order[:2]
    logits = {m: expected.logits[f"{m}_logits"][0] for m in ("audio", "image")}
    lead = {m: z[first] - z[second] for m, z in logits.items()}
    share = 100 * lead["audio"] / sum(lead.values())
    told = window.run("document.querySelector('.parts .score').textContent")
    number = float(told.removeprefix("share ").removesuffix("\u00a0%").replace("−", "-"))
    assert number == pytest.approx(share, abs=0.6)  # shown in whole percents
    check_quiet(window, url)


@pytest.mark.parametrize("width", [390, 1280])
def test_no_word_on_a_modality_covers_another(window, address, class_site, pair, width):
    open_page(window, address, class_site, width=width)
    give_both(window, pair)
    window.wait("document.querySelectorAll('.parts li').length === 2")
    boxes = window.run(
        """(() => {
            const box = ({ left, right, top, bottom }) => [left, right, top, bottom];
            const parts = (row) => [...row.children].map((e) => box(e.getBoundingClientRect()));
            return [...document.querySelectorAll('.parts li')].map(parts);
        })()"""
    )
    for row in boxes:
        assert len(row) == 4  # the modality, its class, its share and the bar
        for one, other in itertools.combinations(row, 2):
            beside = one[1] <= other[0] or other[1] <= one[0]
            assert beside or one[3] <= other[2] or other[3] <= one[2], boxes


@pytest.mark.parametrize("count, told", [(10, ""), (12, "The 10 likeliest of 12 classes.")])
def test_classes_that_are_not_shown_are_counted(window, address, class_site, count, told):
    open_page(window, address, class_site, fresh=False)
    body = f"""const {{ answerOf }} = await import('/classify.js');
        const classes = Array.from({{length: {count}}}, (_, k) => `class ${{k}}`);
        const answer = async () => ({{logits: classes.map((_, k) => k),
            probability: classes.map(() => 1 / classes.length)}});
        const place = document.createElement('div');
        await answerOf({{site: {{classes, items: {{}}, words: {{}}}}, answer}})({{}}, place);
        return [place.querySelectorAll('.classes li').length,
            place.querySelector('.classes + p')?.textContent ?? ''];"""
    assert window.run(script(body)) == [10, told]


def test_a_long_gallery_stays_beside_the_answer_and_says_how_much_of_it_is_shown(
    window, address, class_site, pair, litert, tmp_path
):
    for number in range(61):
        for name in ("x.wav", "x.jpg"):
            (tmp_path / f"{number}{name}").symlink_to(pair / name)
    export = os.path.join(os.path.dirname(class_site), "export")
    web.write(export, [str(tmp_path)], str(tmp_path / "site"), runtime_folder=litert)
    open_page(window, address, str(tmp_path / "site"))
    assert window.run("document.querySelectorAll('.chip').length") == 120
    assert text(window, ".pick summary") == "or take one from the gallery (the first 60 of 61)"
    edges = (
        "[...document.querySelectorAll('.input.card')].map(e => e.getBoundingClientRect().right)"
    )
    left = window.run("document.querySelector('.answers').getBoundingClientRect().left")
    assert max(window.run(edges)) < left


def test_a_recording_that_is_longer_than_the_file_takes_is_refused_as_in_python(
    window, address, class_site, pair
):
    content = io.BytesIO()
    soundfile.write(content, np.tile([0.1, -0.1], 8_000), 16_000, format="WAV")
    open_page(window, address, class_site)
    assert text(window, ".input .main") == "Record 0.5 s"
    give_both(window, pair)
    window.run(script("await app.panels[0].inputs.audio.take(file('x'))", x=content.getvalue()))
    window.wait("document.querySelector('.verdict').textContent.includes('takes 0.5 s')")


# Where it comes from ------------------------------------------------------------------------------


def test_the_map_and_the_score_are_those_of_python(window, address, scene_site, pair):
    url = open_page(window, address, scene_site)
    assert text(window, "h1") == "Where does the sound come from?"
    give_both(window, pair)
    window.wait("document.querySelector('.heat canvas') !== null")
    python = python_of(scene_site)
    (expected,) = python.localize(audio=[pair / "x.wav"], image=[pair / "x.jpg"])
    found = window.run(
        script(
            """const row = {
                audio: (await audio.decode(file('sound'), 10)).clip,
                image: await images.decode(file('picture')),
            };
            const ask = (name, output) => app.model.answer(name, name, row, [output]);
            const { map } = await ask('localize', 'map');
            const { score } = await ask('score_pairs', 'score');
            return [Array.from(map), score[0]]""",
            sound=(pair / "x.wav").read_bytes(),
            picture=(pair / "x.jpg").read_bytes(),
        )
    )
    # The same inputs to the last bit; WebAssembly's fused products round otherwise.
    np.testing.assert_allclose(np.reshape(found[0], expected.shape), expected, atol=2e-3)
    score = python.score_pairs(audio=[pair / "x.wav"], image=[pair / "x.jpg"])
    assert found[1] == pytest.approx(score.scores[0], abs=1e-3)
    assert f"score {score.scores[0]:.3f}" in text(window, ".verdict")
    assert ("belong together: score" in text(window, ".verdict")) and "0.500" in text(
        window, ".verdict"
    )
    # Of an image 60 wide and 40 high, the map covers 32 x 21 pixels of its square, and no grey.
    assert window.run("document.querySelector('.heat canvas').height") == 320
    check_quiet(window, url)


# The page itself ----------------------------------------------------------------------------------


def test_the_keyboard_alone_moves_between_the_questions(window, address, toy_site):
    open_page(window, address, toy_site)
    window.run("document.getElementById('tab-audio-image').focus()")
    window.press("ArrowRight", 39)
    assert window.run("document.activeElement.id") == "tab-image-audio"
    assert window.run("document.getElementById('panel-audio-image').hidden")
    window.press("Tab", 9)
    assert window.run("document.activeElement.textContent") == "Use the camera"
    outline = window.run("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"


def test_a_screen_reader_finds_names_for_everything(window, address, toy_site):
    open_page(window, address, toy_site)
    window.click("document.querySelector('.chip')")
    window.wait("document.querySelectorAll('.hit').length === 10")
    named = {"button", "image", "tab", "tabpanel", "heading", "link", "region", "meter"}
    nodes = window.call("Accessibility.getFullAXTree")["nodes"]
    for node in nodes:
        if node.get("role", {}).get("value") in named and not node["ignored"]:
            assert node.get("name", {}).get("value"), node
    roles = {node.get("role", {}).get("value") for node in nodes}
    assert {"banner", "main", "contentinfo", "tablist", "tab", "status"} <= roles
    assert window.run("document.querySelector('.verdict').getAttribute('role')") == "status"
    levels = window.run("[...document.querySelectorAll('h1,h2,h3')].map(e => Number(e.tagName[1]))")
    assert levels[0] == 1 and all(b - a <= 1 for a, b in zip(levels, levels[1:]))


@pytest.mark.parametrize("kind", ["toy_site", "class_site", "scene_site"])
def test_nothing_overflows_at_the_width_of_a_phone(window, address, request, pair, kind):
    open_page(window, address, request.getfixturevalue(kind), width=360, height=740)
    if kind == "toy_site":
        window.run("document.querySelector('.chip').click()")
        window.wait("document.querySelectorAll('.hit').length === 10")
    else:
        give_both(window, pair)
    assert window.run("document.documentElement.scrollWidth <= innerWidth")
    least = window.run(
        "Math.min(...[...document.querySelectorAll('button, .button')]"
        ".map(e => e.getBoundingClientRect().height).filter(h => h))"
    )
    assert least >= 44  # what a finger needs
    window.resize(1280, 900)


def test_the_policy_stops_what_would_leave_the_origin(window, address, toy_site):
    url = open_page(window, address, toy_site)
    other = url.replace("localhost", "127.0.0.1")
    tried = window.run(
        f"""(async () => {{
            const fetched = await fetch('{other}site.json').then(() => 'sent', () => 'stopped');
            const script = await new Promise((done) => {{
                const made = document.createElement('script');
                made.onload = () => done('ran');
                made.onerror = () => done('stopped');
                made.src = '{other}main.js';
                document.head.append(made);
            }});
            let evaluated = 'stopped';
            try {{ evaluated = eval('"ran"'); }} catch {{}}
            return [fetched, script, evaluated];
        }})()"""
    )
    assert tried == ["stopped"] * 3
    sent = [request for request in window.requests() if request.startswith(other)]
    blocked = [e for e in window.events if e.get("method") == "Network.loadingFailed"]
    assert len(sent) <= len([e for e in blocked if e["params"].get("blockedReason") == "csp"])


def test_a_browser_without_simd_is_told_in_words(window, address, toy_site):
    source = "WebAssembly.validate = () => false"
    made = window.call("Page.addScriptToEvaluateOnNewDocument", source=source)
    try:
        window.open(address(toy_site))
        window.wait("document.querySelector('#waiting.bad') !== null")
    finally:
        window.call("Page.removeScriptToEvaluateOnNewDocument", identifier=made["identifier"])
    assert text(window, "#waiting").startswith("This browser has no WebAssembly SIMD")


LACKING = {
    "no API": (
        "Object.defineProperty(navigator, 'mediaDevices', {value: undefined})",
        "gives pages",
    ),
    "no secure origin": (
        "Object.defineProperty(window, 'isSecureContext', {value: false})",
        "https",
    ),
}


@pytest.mark.parametrize("kind", LACKING)
def test_without_a_microphone_the_page_says_so_and_takes_files(
    window, address, toy_site, voice, kind
):
    source, words = LACKING[kind]
    made = window.call("Page.addScriptToEvaluateOnNewDocument", source=source)
    try:
        url = open_page(window, address, toy_site)
    finally:
        window.call("Page.removeScriptToEvaluateOnNewDocument", identifier=made["identifier"])
    assert words in text(window, "#panel-audio-image .status")
    assert words in text(window, "#panel-image-audio .status")
    assert window.run("document.querySelector('#panel-audio-image .main').disabled")
    content = io.BytesIO()
    soundfile.write(content, voice, 16_000, format="WAV")
    window.run(script(drop("x.wav", "panel-audio-image"), x=content.getvalue()))
    window.wait("document.querySelectorAll('.hit').length === 10")
    check_quiet(window, url)


@pytest.mark.parametrize("kind", ["audio-image", "image-audio"])
def test_a_device_that_was_not_allowed_is_told_with_what_to_do(window, address, toy_site, kind):
    url = open_page(window, address, toy_site)
    window.run(
        "navigator.mediaDevices.getUserMedia = "
        "() => Promise.reject(new DOMException('', 'NotAllowedError'))"
    )
    window.run(f"document.getElementById('tab-{kind}').click()")
    window.click(f"document.querySelector('#panel-{kind} .main')")
    window.wait(f"document.querySelector('#panel-{kind} .status.bad') !== null")
    assert "was not allowed. Allow it for this page" in text(window, f"#panel-{kind} .status")
    started = ("Record 3 s", "Use the camera")
    window.wait(
        f"{json.dumps(started)}.includes(document.querySelector('#panel-{kind} .main').textContent)"
    )
    check_quiet(window, url)


class Plain(http.server.SimpleHTTPRequestHandler):
    """Any server of files, that sends no header of ours."""

    def log_message(self, *args):
        pass


def test_any_server_of_files_will_do_below_any_path_on_one_thread(window, toy_site):
    above, name = os.path.split(toy_site)
    handler = functools.partial(Plain, directory=above)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as plain:
        threading.Thread(target=plain.serve_forever, daemon=True).start()
        window.open("about:blank")
        window.events.clear()
        origin = f"http://localhost:{plain.server_address[1]}/"
        window.open(f"{origin}{name}/")
        window.wait(READY)
        assert not window.run("crossOriginIsolated")
        assert "on one thread" in text(window, "#facts")
        window.click("document.querySelector('.chip')")
        window.wait("document.querySelectorAll('.hit').length === 10")
        check_quiet(window, origin)
        window.open("about:blank")
        plain.shutdown()


def test_the_server_isolates_the_page_so_that_it_runs_on_several_threads(window, address, toy_site):
    open_page(window, address, toy_site)
    assert window.run("crossOriginIsolated")
    assert window.run(script("return app.model.runtime.threads"))
    assert server.HEADERS["Cross-Origin-Opener-Policy"] == "same-origin"
    assert CLIP_SAMPLES and os.path.isdir(toy_site)
