"""The page "AlexNet in the browser": its files, and what it does in a browser."""

import base64
import gzip
import hashlib
import http.server
import importlib
import json
import re
import struct
import urllib.error
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from alexnet_keras import AlexNet, Classifier
from alexnet_keras.data.image_files import prepared_square, read_image
from tests.test_docs import ROOT, SITE, WIDTHS, needs_browser, report_of_browser, site_server

FOLDER = ROOT / "docs" / "playground"
NETWORK = ROOT / "alexnet_keras" / "weights" / "playground.onnx.gz"
VISIT = Path(__file__).with_name("playground_visit.js")
DESCRIPTION = json.loads((FOLDER / "network.json").read_text())
NO_IMAGES = {
    "notes.txt": b"not a picture",
    "empty.png": b"",
    # The header alone: 10,000 x 9,000 pixels.
    "huge.png": b"\x89PNG\r\n\x1a\n"
    + struct.pack(">I4sIIBBBBBI", 13, b"IHDR", 10000, 9000, 8, 2, 0, 0, 0, 0),
}
ERRORS = {  # what the page says, in part
    "notes.txt": "not a picture that the browser can read",
    "empty.png": "empty",
    "huge.png": "too large: 10000 x 9000 pixels",
    "broken.png": "damaged",
    "animated.gif": "animated",
    "animated.png": "animated",
    "animated.webp": "animated",
    "transparent.gif": "transparent parts",
    "transparent.webp": "transparent parts",
    "dropped text": "no file",
    "no network": "network.onnx.gz of this page cannot be fetched",
    "dropped without network": "network.onnx.gz of this page cannot be fetched",
    "no WebAssembly": "no WebAssembly",
}

MAX_CANVAS = 2**24  # pixels, of iOS

needs_page = pytest.mark.skipif(
    not (SITE / "playground" / "index.html").is_file(), reason="`make docs` has not built the page"
)


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Serves the site, two broken copies of the page, pictures and the visit; takes its report."""

    def do_GET(self):
        name = self.path.partition("?")[0]
        if name == "/visit":
            self._send(b'<!doctype html><body><script type="module" src="/visit.js"></script>')
        elif name == "/visit.js":
            self._send(VISIT.read_bytes(), "text/javascript")
        elif name == "/visit.json":
            self._send(json.dumps({"files": self.server.files, "widths": WIDTHS}).encode())
        elif name.startswith("/pictures/"):
            self._send((self.server.pictures / Path(name).name).read_bytes())
        elif name == "/no_network/network.onnx.gz":
            self.send_error(404)
        elif name == "/no_webassembly/index.html":
            page = (SITE / "playground" / "index.html").read_text()
            script = "<head><script>delete window.WebAssembly</script>"
            self._send(page.replace("<head>", script).encode())
        else:
            self.path = re.sub("^/no_[a-z]+/", "/playground/", self.path, flags=re.IGNORECASE)
            super().do_GET()

    def do_POST(self):
        self.server.report = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._send(b"")
        self.server.reported.set()

    def _send(self, content, kind="text/html"):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


def visit(files, pictures, profile, seconds=300):
    """Uses the page in a browser; returns what it showed."""
    server = site_server(_Handler)
    server.files = files
    server.pictures = pictures
    camera = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    return report_of_browser(server, "visit", profile, seconds, camera)


@pytest.fixture
def pages_modules(monkeypatch):
    """Returns a function that imports a module from the page's folder."""
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module


@needs_page
@needs_browser
def test_the_page_shows_what_the_classifier_computes(tmp_path, pages_modules):
    draw = pages_modules("sample_pictures")
    check = draw.write_check_images(tmp_path / "check")
    rare = draw.write_rare_images(tmp_path / "rare")
    refused = draw.write_refused_images(tmp_path / "refused")
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for path in (*check, *rare, *refused):
        (pictures / path.name).write_bytes(path.read_bytes())
    for name, content in NO_IMAGES.items():
        (pictures / name).write_bytes(content)
    (pictures / "broken.png").write_bytes((pictures / "portrait.png").read_bytes()[:300])
    files = {
        "check": [path.name for path in check],
        "rare": [path.name for path in rare],
        "wrong": [*NO_IMAGES, "broken.png", *(path.name for path in refused)],
    }
    report = visit(files, pictures, tmp_path / "profile")
    assert not report["faults"]
    assert max(report["overflow"].values()) <= 0
    _check_classes(report["classes"])
    _check_squares(report["squares"], {path.name: path for path in (*check, *rare)})
    assert report["largestCanvas"] <= MAX_CANVAS
    _check_kernels(report)
    _check_occlusion(report)
    _check_camera(report["camera"])
    latest = {"status": "The picture has 17 x 23 pixels.", "error": ""}  # smaller.png
    assert report["late"] == {"sample": latest, "failure": latest}
    assert report["early"] == {"prevented": True, **latest}
    for name, part in ERRORS.items():
        assert part in report["errors"][name]


def _check_classes(shown):
    expected = json.loads((FOLDER / "expected.json").read_text())
    assert len(expected) == 10 and shown.keys() == expected.keys()
    for name, classes in shown.items():
        probabilities = np.array(expected[name])
        largest = np.sort(probabilities)[::-1][: len(classes)]
        np.testing.assert_allclose([p for _, p in classes], largest, atol=1e-3, err_msg=name)
        for label, probability in classes:
            named = np.array(DESCRIPTION["classes"]) == label
            assert np.abs(probabilities[named] - probability).min() < 1e-3, name


def _check_squares(squares, paths):
    size = DESCRIPTION["image_size"]
    assert squares.keys() == paths.keys()
    for name, path in paths.items():
        shown = np.frombuffer(base64.b64decode(squares[name]), "uint8").reshape(size, size, 3)
        expected = prepared_square(read_image(path), size)
        # Decoders of JPEG may round differently.
        tolerance = 3 if path.suffix == ".jpg" else 0
        difference = np.abs(shown.astype(int) - expected)
        assert difference.max() <= tolerance, name


def _check_kernels(report):
    """Compares the drawn kernels with the description, and the frame with their convolution."""
    conv1 = DESCRIPTION["conv1"]
    side = conv1["side"]
    tiles = np.frombuffer(base64.b64decode(conv1["tiles"]), "uint8").reshape(-1, side, side, 3)
    drawn = np.array([kernel for kernel, _ in report["kernels"]]).reshape(-1, side, side, 4)
    np.testing.assert_array_equal(drawn[..., :3], tiles)
    brightest = [max(shown[0::4]) for _, shown in report["kernels"]]
    assert len(brightest) == conv1["kernels"] and max(brightest) == 255
    chosen = report["chosen"]
    assert chosen["pressed"] == "true" and brightest[chosen["index"]] == 255
    crop = DESCRIPTION["crop_size"]
    image = np.array(chosen["input"]).reshape(crop, crop, 4)[..., :3] - 127.5
    image = np.pad(image, [(conv1["padding"], side), (conv1["padding"], side), (0, 0)])
    windows = np.lib.stride_tricks.sliding_window_view(image, (side, side, 3))[..., 0, :, :, :]
    answers = (windows * (tiles[chosen["index"]] - 127.5)).sum((-3, -2, -1))
    row, column = map(int, re.search(r"row (-?\d+), column (-?\d+)", chosen["status"]).groups())
    answer = answers[row - 1 + conv1["padding"], column - 1 + conv1["padding"]]
    (rows,) = [layer["side"] for layer in DESCRIPTION["layers"] if layer["name"] == "conv1"]
    steps = slice(0, rows * conv1["stride"], conv1["stride"])
    # The drawn picture and kernels have 8 bits.
    assert answer > answers[steps, steps].max() * 0.95


def _check_camera(shown):
    assert re.match(r"The picture has \d+ x \d+ pixels", shown["status"])
    assert shown["closed"] and not shown["error"]
    assert shown["wanted"] == {"video": {"facingMode": "environment"}}
    assert shown["focus"] == ["camera-take", "camera-start"]


def _check_occlusion(report):
    assert report["restarted"] == {"hidden": True, "progress": 0}
    assert report["pictureFilter"] == "grayscale(1)"
    assert re.match(r"Stopped after \d+ of 784 places", report["stopped"]["status"])
    assert 0 < report["stopped"]["progress"] < 1
    assert report["whole"]["status"].startswith("All 784 places")
    largest = float(re.search(r"up to (\d+\.\d) points", report["whole"]["status"])[1]) / 100
    name, before = report["covered"]["before"]
    after = dict(report["covered"]["classes"])
    # With the cover where the map is strongest, the class loses as much. The cover has 8 bits.
    if name in after:
        assert before - after[name] == pytest.approx(largest, abs=0.05)
    else:
        assert before - largest < min(after.values()) + 0.05


def test_the_classifier_refuses_the_same_animations(tmp_path, pages_modules):
    refused = pages_modules("sample_pictures").write_refused_images(tmp_path / "refused")
    animations = [path for path in refused if path.stem == "animated"]
    assert len(animations) == 3
    for path in animations:
        with pytest.raises(ValueError, match="^animated$"):
            read_image(path)


def test_the_files_of_the_network_belong_together():
    content = NETWORK.read_bytes()
    assert hashlib.sha256(content).hexdigest() == DESCRIPTION["sha256"]
    expected = json.loads((FOLDER / "expected.json").read_text())
    for probabilities in expected.values():
        assert len(probabilities) == len(DESCRIPTION["classes"])
        assert sum(probabilities) == pytest.approx(1, abs=1e-3)


@needs_page
def test_the_page_loads_at_most_8_mb():
    files = [path for path in (SITE / "playground").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 8e6


def test_colors_of_text_have_enough_contrast():
    style = (FOLDER / "style.css").read_text()
    light, dark = style.split("prefers-color-scheme: dark")
    for part in (light, dark):
        colors = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", part))
        pairs = [(text, back) for text in ("text", "quiet", "accent") for back in ("back", "panel")]
        for text, back in (*pairs, ("error", "error-back")):
            assert contrast(colors[text], colors[back]) >= 4.5, (text, back)


def contrast(first, second):
    """Returns the contrast of two colors by WCAG 2, from 1 to 21."""
    lightness = []
    for color in (first, second):
        parts = np.array([int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        lightness.append(float(linear @ (0.2126, 0.7152, 0.0722)) + 0.05)
    return max(lightness) / min(lightness)


def test_the_runtime_needs_the_network_once_and_has_its_hash(tmp_path, pages_modules, monkeypatch):
    runtime = pages_modules("runtime")

    def no_network(*_, **__):
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(runtime.urllib.request, "urlopen", no_network)
    with pytest.raises(OSError, match=r"cannot be downloaded: .*no network.*Connect "):
        runtime.runtime_files(tmp_path)
    assert not list(tmp_path.iterdir())
    (tmp_path / runtime.URL.rpartition("/")[2]).write_bytes(b"another file")
    with pytest.raises(ValueError, match=r"must have the SHA-512 .*Delete it"):
        runtime.runtime_files(tmp_path)


def tiny_classifier():
    """Returns an untrained classifier, where a pool stands between conv1 and its ReLU."""
    keras.utils.set_random_seed(0)
    network = AlexNet(
        "small",
        input_shape=(40, 40, 3),
        classes=3,
        classifier_activation=None,
        filters=(4, 4, 4, 4, 4, 4),
        units=(8, 8),
        stages=(("pool", "activation"), ("pool", "activation"), *[("activation",)] * 4),
    )
    mean = np.random.RandomState(0).uniform(0, 255, (48, 48, 3))
    return Classifier.from_network(network, mean, ("a", "b", "c"), color_order="BGR")


def test_the_network_has_the_outputs_that_the_classifier_computes(pages_modules):
    make_network = pages_modules("make_network")
    classifier = tiny_classifier()
    image = np.random.RandomState(1).randint(0, 256, (48, 48, 3)).astype("uint8")
    model = make_network.layers_model(classifier)
    outputs = {name: ops.convert_to_numpy(output)[0] for name, output in model(image[None]).items()}
    (expected,) = classifier.predict(image, top=3)
    shown = dict(zip("abc", outputs["probabilities"], strict=True))
    for name, probability in zip(expected.names, expected.probabilities, strict=True):
        assert shown[name] == pytest.approx(probability, abs=1e-5)
    crop = (image - classifier.preparation.mean_image)[4:44, 4:44, ::-1]
    np.testing.assert_allclose(outputs["crop"], crop, rtol=1e-5, atol=1e-3)
    description = make_network.describe(classifier, model)
    assert [layer["name"] for layer in description["layers"]] == list(outputs)[1:-1]
    _check_conv1(classifier.network, description["conv1"], crop, outputs["conv1"])


def _check_conv1(network, described, crop, maps):
    """Compares the maps of conv1 with its definition at a position, and the tiles with kernels."""
    kernel, bias = network.get_layer("conv1").get_weights()
    row = 5
    column = 3
    top, left = (step * described["stride"] - described["padding"] for step in (row, column))
    window = crop[top : top + 7, left : left + 7] / 64
    answers = np.maximum((window[..., None] * kernel).sum((0, 1, 2)) + bias, 0)
    np.testing.assert_allclose(maps[row, column], answers, rtol=1e-3, atol=1e-5)
    assert answers.max() > 1e-3
    tiles = np.frombuffer(base64.b64decode(described["tiles"]), "uint8").reshape(4, 7, 7, 3)
    largest = described["largest_weight"]
    drawn = (tiles / 127.5 - 1)[..., ::-1] * largest  # the picture is RGB, the network BGR
    np.testing.assert_allclose(drawn, np.moveaxis(kernel, -1, 0), atol=largest / 127)


def test_one_command_writes_the_files_of_the_network(pages_modules, tmp_path):
    for module in ("onnx", "tf2onnx", "onnxruntime"):
        pytest.importorskip(module)
    make_network = pages_modules("make_network")
    classifier = tiny_classifier()
    network = tmp_path / "network.onnx.gz"
    make_network.make_network(classifier, "tiny", tmp_path, network)
    content = network.read_bytes()
    description = json.loads((tmp_path / "network.json").read_text())
    assert description["sha256"] == hashlib.sha256(content).hexdigest()
    assert (description["name"], description["classes"]) == ("tiny", ["a", "b", "c"])
    onnxruntime = importlib.import_module("onnxruntime")
    session = onnxruntime.InferenceSession(gzip.decompress(content))
    outputs = [output.name for output in session.get_outputs()]
    expected = ["crop", *(layer["name"] for layer in description["layers"]), "probabilities"]
    assert sorted(outputs) == sorted(expected)
    assert len(json.loads((tmp_path / "expected.json").read_text())) == 10
    weights = classifier.network.get_weights()
    classifier.network.set_weights([weight * 1e9 for weight in weights])
    with pytest.raises(ValueError, match="weights below 65,504"):
        make_network.make_network(classifier, "tiny", tmp_path / "other", network)
