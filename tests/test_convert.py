import dataclasses
import functools
import json
import pickle
import re
import struct
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from alexnet_keras import PRESETS, AlexNet, Classifier, convert
from alexnet_keras.cli.convert import main
from tests.files import make_torch_files

FILES = Path(__file__).parent / "files"

# Neurons of fc6 and fc7: of the 4096 each, for less than a twentieth of the weights.
UNITS = (48, 40)
CAFFE_SHAPES = {
    "conv1": (96, 3, 11, 11),
    "conv2": (256, 48, 5, 5),
    "conv3": (384, 256, 3, 3),
    "conv4": (384, 192, 3, 3),
    "conv5": (256, 192, 3, 3),
    "fc6": (48, 9216),
    "fc7": (40, 48),
    "fc8": (20, 40),
}
# kernels of 11, 5, 3, 3, 3: features.0, 3, 6, 8, 10; then classifier.1, 4, 6
TORCHVISION_SHAPES = {
    "features.0": (64, 3, 11, 11),
    "features.3": (192, 64, 5, 5),
    "features.6": (384, 192, 3, 3),
    "features.8": (256, 384, 3, 3),
    "features.10": (256, 256, 3, 3),
    "classifier.1": (48, 9216),
    "classifier.4": (40, 48),
    "classifier.6": (20, 40),
}


def random_weights(shapes):
    """By layer a kernel that keeps the size of the activities, and a bias."""
    random = np.random.default_rng(0)
    weights = {}
    for name, shape in shapes.items():
        deviation = np.float32(np.sqrt(2 / np.prod(shape[1:])))
        weights[name] = [
            deviation * random.standard_normal(shape, "float32"),
            random.standard_normal(shape[0], "float32") / 10,
        ]
    weights[next(iter(weights))][0] /= 64  # which sees pixel values
    return weights


@pytest.fixture(autouse=True)
def narrow_presets(monkeypatch):
    for name in ("bvlc_alexnet", "caffenet", "torchvision"):
        monkeypatch.setitem(PRESETS, name, dataclasses.replace(PRESETS[name], units=UNITS))


caffe_weights = functools.cache(lambda: random_weights(CAFFE_SHAPES))


@functools.cache
def torchvision_state():
    weights = random_weights(TORCHVISION_SHAPES)
    weights["features.0"][0] *= 64  # which sees images of variance one
    kinds = ("weight", "bias")
    return {
        f"{n}.{kind}": a for n, pair in weights.items() for kind, a in zip(kinds, pair, strict=True)
    }


@functools.cache
def photograph(size):
    """RGB pixel values, 0-255, that change smoothly, with colors of their own."""
    noise = np.random.RandomState(0).uniform(0, 255, (1, 15, 15, 3)).astype("float32")
    return tf.image.resize(noise, (size, size), "bicubic").numpy().clip(0, 255)


def logits(model, images):
    """What a model says before the softmax."""
    inner = keras.Model(model.input, model.layers[-1].input)
    kernel, bias = model.layers[-1].get_weights()
    return np.asarray(inner(images)) @ kernel + bias


def caffe_logits(weights, images, pool_first):
    """Caffe's network by TensorFlow's operations: BGR images, and kernels in Caffe's layout."""
    x = images[..., ::-1]

    def conv(name, x, stride, padding):
        kernel, bias = weights[name]
        groups = x.shape[-1] // kernel.shape[1]
        x = tf.pad(x, [(0, 0), (padding, padding), (padding, padding), (0, 0)])
        parts = zip(tf.split(x, groups, -1), np.split(kernel, groups), strict=True)
        outs = [tf.nn.conv2d(part, k.transpose(2, 3, 1, 0), stride, "VALID") for part, k in parts]
        return tf.nn.relu(tf.concat(outs, -1) + bias)

    def pool(x):
        return tf.nn.max_pool2d(x, 3, 2, "VALID")

    def norm(x):
        return tf.nn.local_response_normalization(
            x, depth_radius=2, bias=1.0, alpha=1e-4 / 5, beta=0.75
        )

    for name, stride, padding in (("conv1", 4, 0), ("conv2", 1, 2)):
        x = conv(name, x, stride, padding)
        x = norm(pool(x)) if pool_first else pool(norm(x))
    for name in ("conv3", "conv4", "conv5"):
        x = conv(name, x, 1, 1)
    x = tf.reshape(tf.transpose(pool(x), (0, 3, 1, 2)), (len(images), -1))
    for name in ("fc6", "fc7"):
        x = tf.nn.relu(x @ weights[name][0].T + weights[name][1])
    return (x @ weights["fc8"][0].T + weights["fc8"][1]).numpy()


@pytest.mark.parametrize("config", ["bvlc_alexnet", "caffenet"])
def test_caffes_networks(config):
    images = photograph(227) - np.array(convert.MEANS[config], "float32")
    ours = logits(convert.from_caffe(caffe_weights(), config), images)
    theirs = caffe_logits(caffe_weights(), images, pool_first=config == "caffenet")
    assert np.ptp(theirs) > 1
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)
    other = caffe_logits(caffe_weights(), images, pool_first=config != "caffenet")
    assert np.abs(other - theirs).max() > 1e-3  # the order matters


def torch_alexnet():
    """torchvision's alexnet with `UNITS`, layer by layer, of 20 classes."""
    nn = pytest.importorskip("torch.nn")

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.features = nn.Sequential(
                *(
                    nn.Conv2d(3, 64, kernel_size=11, stride=4, padding=2),
                    nn.ReLU(),
                    nn.MaxPool2d(3, 2),
                ),
                *(nn.Conv2d(64, 192, kernel_size=5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
                *(nn.Conv2d(192, 384, kernel_size=3, padding=1), nn.ReLU()),
                *(nn.Conv2d(384, 256, kernel_size=3, padding=1), nn.ReLU()),
                *(nn.Conv2d(256, 256, kernel_size=3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2)),
            )
            self.avgpool = nn.AdaptiveAvgPool2d((6, 6))
            self.classifier = nn.Sequential(
                *(nn.Dropout(), nn.Linear(256 * 6 * 6, UNITS[0]), nn.ReLU()),
                *(nn.Dropout(), nn.Linear(*UNITS), nn.ReLU()),
                nn.Linear(UNITS[1], 20),
            )

        def forward(self, x):
            return self.classifier(self.avgpool(self.features(x)).flatten(1))

    return Net().eval()


def test_torchvisions_network_there_and_back(tmp_path, capsys):
    torch = pytest.importorskip("torch")
    net = torch_alexnet()
    state = {name: torch.tensor(array) for name, array in torchvision_state().items()}
    net.load_state_dict(state)
    torch.save(state, tmp_path / "alexnet.pth")
    main([str(tmp_path / "alexnet.pth"), str(tmp_path / "ours.keras"), "--preset", "torchvision"])
    said = capsys.readouterr().out
    assert "less 123.675, 116.28, 103.53" in said
    assert "2,914,892 parameters" in said  # of the convolutions 2,469,696

    pixels = photograph(224)
    normalized = (pixels / 255 - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])
    with torch.no_grad():
        theirs = net(torch.tensor(normalized.transpose(0, 3, 1, 2), dtype=torch.float32)).numpy()
    model = keras.saving.load_model(tmp_path / "ours.keras")
    ours = logits(model, pixels - np.array(convert.MEANS["torchvision"], "float32"))
    assert np.ptp(theirs) > 1
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)

    main([str(tmp_path / "ours.keras"), str(tmp_path / "back.pth")])
    back = torch.load(tmp_path / "back.pth", weights_only=True)
    torch_alexnet().load_state_dict(back)  # strict: all of its tensors, and no other
    for name, tensor in state.items():
        if name == "features.0.weight":
            np.testing.assert_allclose(back[name], tensor, rtol=1e-6)
        else:
            np.testing.assert_array_equal(back[name], tensor)


@pytest.mark.parametrize(
    ("mean", "says"),
    [
        ((90.0, 80.0, 70.5), "less 90, 80, 70.5\n"),
        (np.full((256, 256, 3), (90.0, 80.0, 70.5)), "no mean image: .*less 90, 80, 70.5\n"),
    ],
    ids=("color", "image"),
)
def test_a_classifier_of_bgr_keeps_its_answers(mean, says, tmp_path, capsys):
    torch = pytest.importorskip("torch")
    model = convert.from_torchvision(torchvision_state())
    names = list(map(str, range(model.output_shape[-1])))
    options = {"image_size": 256, "color_order": "BGR"}
    classifier = Classifier.from_network(model, mean, names, **options)
    classifier.save(tmp_path / "ours.keras")
    main([str(tmp_path / "ours.keras"), str(tmp_path / "back.pth")])
    assert re.search(says, capsys.readouterr().out, re.DOTALL)
    net = torch_alexnet()
    net.load_state_dict(torch.load(tmp_path / "back.pth", weights_only=True))
    pixels = photograph(224)
    less = pixels - np.array([90.0, 80.0, 70.5])
    scaled = less / 255 / np.array([0.229, 0.224, 0.225])
    with torch.no_grad():
        theirs = net(torch.tensor(scaled.transpose(0, 3, 1, 2), dtype=torch.float32)).numpy()
    ours = logits(model, less[..., ::-1].astype("float32"))
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


def test_paths_may_begin_with_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "ours.keras").touch()
    with pytest.raises(ValueError, match="`output` must be a new file. .*, which exists"):
        convert.convert("weights.npy", "~/ours.keras", "caffenet")


def varint(number):
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def field(number, content):
    """A field of bytes, text or a message on the wire."""
    content = content.encode() if isinstance(content, str) else content
    return varint(number << 3 | 2) + varint(len(content)) + content


def blob(array, old):
    if old:
        shape = (1,) * (4 - array.ndim) + array.shape
        head = b"".join(varint(n << 3) + varint(size) for n, size in enumerate(shape, 1))
        # Not packed, as a writer may do: each number with its key.
        small = array.size < 100
        data = (
            b"".join(varint(5 << 3 | 5) + struct.pack("<f", v) for v in array.ravel())
            if small
            else None
        )
        return head + (data if small else field(5, array.astype("<f4").tobytes()))
    return field(5, array.astype("<f4").tobytes()) + field(
        7, field(1, b"".join(map(varint, array.shape)))
    )


def caffemodel(weights, old):
    """A .caffemodel, written by hand.

    LayerParameter is field 100 (name 1, blobs 7), V1LayerParameter field 2 (name 4, blobs 6).
    """
    layer, name, blobs = (2, 4, 6) if old else (100, 1, 7)
    parts = [field(1, "CaffeNet"), field(layer, field(name, "relu1"))]
    for its, pair in weights.items():
        parts.append(
            field(layer, field(name, its) + b"".join(field(blobs, blob(a, old)) for a in pair))
        )
    return b"".join(parts)


def same_weights(ours, expected):
    for a, b in zip(ours.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_files_of_caffe(tmp_path):
    expected = convert.from_caffe(caffe_weights())
    for old in (False, True):
        (tmp_path / "net.caffemodel").write_bytes(caffemodel(caffe_weights(), old))
        same_weights(convert.from_caffe(tmp_path / "net.caffemodel"), expected)
    truncated = (tmp_path / "net.caffemodel").read_bytes()[:-1000]
    (tmp_path / "cut.caffemodel").write_bytes(truncated)
    with pytest.raises(
        ValueError, match=r"`weights` must be a \.caffemodel. Received: .*cut\.caffemodel"
    ):
        convert.from_caffe(tmp_path / "cut.caffemodel")


def test_dumps_in_both_layouts(tmp_path):
    expected = convert.from_caffe(caffe_weights())
    np.save(tmp_path / "caffe.npy", {name: tuple(pair) for name, pair in caffe_weights().items()})
    same_weights(convert.from_caffe(tmp_path / "caffe.npy"), expected)

    def to_tensorflow(name, kernel):
        if kernel.ndim == 4:
            return kernel.transpose(2, 3, 1, 0)
        if name == "fc6":  # rows, columns, maps
            return kernel.reshape(-1, 256, 6, 6).transpose(2, 3, 1, 0).reshape(9216, -1)
        return kernel.T

    dump = {
        n: {"weights": to_tensorflow(n, kernel), "biases": bias}
        for n, (kernel, bias) in caffe_weights().items()
    }
    np.save(tmp_path / "tensorflow.npy", dump)
    same_weights(convert.from_caffe(tmp_path / "tensorflow.npy"), expected)


class Harmful:
    def __reduce__(self):
        return exec, ("open('harm', 'w').write('done')",)


def test_a_strangers_dump_runs_no_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("harmful.npy", {"conv1": Harmful()})
    with pytest.raises(ValueError, match=r"it holds builtins\.exec, which is not an array"):
        convert.from_caffe("harmful.npy")
    with open("harmful.pth", "wb") as file:
        pickle.dump({"features.0.weight": Harmful()}, file)
    with pytest.raises(ValueError, match=r"it names builtins\.exec"):
        convert.from_torchvision("harmful.pth")
    assert not (tmp_path / "harm").exists()


def test_files_that_are_not_pytorchs(tmp_path):
    for name, content in (("empty", b""), ("text", b"hello"), ("zip", b"PK\x03\x04" + bytes(99))):
        path = tmp_path / f"{name}.pth"
        path.write_bytes(content)
        with pytest.raises(
            SystemExit, match=rf"a file of PyTorch .* Received: .*{name}\.pth': it is"
        ):
            main([str(path), str(tmp_path / "out.keras"), "--preset", "torchvision"])


@pytest.mark.parametrize("name", ["narrow_alexnet", "narrow_alexnet_legacy"])
@pytest.mark.parametrize("scale", [1 / 64, 1.0])
def test_pytorchs_own_logits(name, scale):
    """A file that PyTorch wrote gives what PyTorch's own module computes."""
    expected = json.loads((FILES / "narrow_alexnet_logits.json").read_text())
    filters = (*make_torch_files.FILTERS, 8)  # conv6 is missing
    options = {"filters": filters, "units": make_torch_files.UNITS, "input_scale": scale}
    model = AlexNet("torchvision", classes=5, classifier_activation=None, **options)
    convert.load_torchvision(model, FILES / f"{name}.pth")
    images = make_torch_files.images() - np.array(convert.MEANS["torchvision"], "float32")
    np.testing.assert_allclose(np.asarray(model(images)), expected, rtol=1e-4, atol=1e-4)
    assert np.ptp(expected, axis=0).max() > 1  # the images differ


def test_weights_of_other_widths():
    path = FILES / "narrow_alexnet.pth"
    for load in (
        convert.from_torchvision,
        lambda path: convert.load_torchvision(AlexNet("cifar"), path),
    ):
        with pytest.raises(
            ValueError, match=r"this network: features\.0 .* Received: \(4, 3, 11, 11\) and \(4,\)"
        ):
            load(path)
    with pytest.raises(ValueError, match="without conv6"):
        convert.load_torchvision(AlexNet("conv6", units=(8, 8)), path)


def test_parameters_and_tensors_of_16_bits():
    torch = pytest.importorskip("torch")
    state = {name: torch.tensor(array) for name, array in torchvision_state().items()}
    rounded = {name: tensor.bfloat16() for name, tensor in state.items()}
    parameters = {name: torch.nn.Parameter(tensor) for name, tensor in state.items()}
    for given, expected in (
        (parameters, state),
        (rounded, {n: t.float() for n, t in rounded.items()}),
    ):
        kernel = convert.from_torchvision(given).get_layer("fc8").get_weights()[0]
        np.testing.assert_array_equal(kernel, expected["classifier.6.weight"].numpy().T)


def without(weights, name):
    return {key: value for key, value in weights.items() if key != name}


def test_weights_that_are_not_what_they_say(tmp_path):
    caffe = caffe_weights()
    state = torchvision_state()
    (tmp_path / "text.npy").write_text("no array")
    np.save(tmp_path / "array.npy", np.zeros(3))
    (tmp_path / "empty.caffemodel").write_bytes(b"")
    for call, weights, words in (
        (convert.from_caffe, without(caffe, "fc7"), "Received: a dict without fc7"),
        (convert.from_caffe, {**caffe, "conv6": caffe["conv5"]}, "Received: a dict with conv6"),
        (
            convert.from_caffe,
            {**caffe, "fc7": caffe["fc8"]},
            r"fc7 \(40, 48\) and .* Received: \(20, 40\)",
        ),
        (convert.from_caffe, {**caffe, "conv2": 3}, "Received: another conv2 in a dict"),
        (convert.from_caffe, tmp_path / "none.npy", r"Received: weights='.*none\.npy'"),
        (convert.from_caffe, tmp_path / "text.npy", r"must be a \.npy file with a dict"),
        (
            convert.from_caffe,
            tmp_path / "array.npy",
            r"it holds an array of shape \(3,\) and type float64",
        ),
        (convert.from_caffe, tmp_path / "empty.caffemodel", "it has no layer with weights"),
        (
            convert.from_torchvision,
            without(state, "features.3.bias"),
            "a state dict without features.3.bias",
        ),
        (convert.from_torchvision, {**state, "x": 0}, "a state dict with x"),
        (
            convert.from_torchvision,
            {**state, "features.3.weight": state["features.6.weight"]},
            r"features\.3 \(192, 64, 5, 5\) .* Received: \(384, 192, 3, 3\)",
        ),
        (
            convert.from_torchvision,
            {**state, "classifier.6.bias": np.float32(0)},
            r"classifier\.6 .* and \(\) in",
        ),
        (convert.to_torchvision, AlexNet("cifar"), "`model` must be of the preset torchvision"),
        (
            convert.to_torchvision,
            AlexNet("torchvision", classes=3, activation="tanh"),
            "`model` must compute .*: Activation activation=relu. Received: Activation "
            "activation=tanh",
        ),
        (
            convert.to_torchvision,
            AlexNet("torchvision", classes=3, input_scale=0.5),
            "Received: Rescaling scale=0.5",
        ),
    ):
        with pytest.raises(ValueError, match=words):
            call(weights)
    with pytest.raises(ValueError, match="`preset` must be bvlc_alexnet or caffenet"):
        convert.from_caffe(caffe, "paper")


@pytest.mark.parametrize("place", ["state_dict", "model_state_dict", "model", None])
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "model.", "module._orig_mod."])
def test_checkpoints_of_trainings(place, prefix):
    # All but one tensor is there: the message names that one alone where the others were found.
    names = [f"{layer}.{kind}" for layer in TORCHVISION_SHAPES for kind in ("weight", "bias")]
    state = {prefix + name: np.zeros(1, "float32") for name in names if name != "classifier.6.bias"}
    checkpoint = (
        {"epoch": 3, place: state, "optimizer_state_dict": {"state": {}}} if place else state
    )
    with pytest.raises(ValueError, match=r"Received: a state dict without classifier\.6\.bias$"):
        convert.from_torchvision(checkpoint)


def test_checkpoints_that_could_mean_two_things():
    for checkpoint, words in (
        ({"net": {}, "epoch": 3}, "a state dict with net, epoch"),
        ({"model": {}, "state_dict": {}}, "a state dict with model, state_dict"),
    ):
        words = f"or hold one as one of state_dict, model_state_dict, model. Received: {words}$"
        with pytest.raises(ValueError, match=words):
            convert.from_torchvision(checkpoint)


def test_bad_arguments(tmp_path):
    (tmp_path / "there.keras").write_text("kept")
    for arguments, words in (
        (
            ["x.pth", str(tmp_path / "there.keras"), "--preset", "torchvision"],
            "`output` must be a new file",
        ),
        (
            ["x.pth", str(tmp_path / "a.h5"), "--preset", "torchvision"],
            r"`output` must end in \.keras",
        ),
        (
            ["x.pth", str(tmp_path / "a.keras")],
            "`preset` must be one of torchvision, bvlc_alexnet, caffenet",
        ),
        (["x.keras", str(tmp_path / "a.keras")], r"`output` must end in \.pth"),
        (
            ["x.keras", str(tmp_path / "a.pth"), "--preset", "caffenet"],
            "`preset` must be torchvision, or left out, .* Received: preset='caffenet'",
        ),
        (
            ["x.npy", str(tmp_path / "there.keras" / "a.keras"), "--preset", "caffenet"],
            "`output` must be a file in a folder that can be written. "
            "Received: output='.*there.keras'$",
        ),
    ):
        with pytest.raises(SystemExit, match=words):
            main(arguments)
    assert (tmp_path / "there.keras").read_text() == "kept"


@pytest.mark.parametrize(
    ("name", "output", "reason"),
    [
        ("none.pth", "a.keras", "No such file or directory"),
        ("none.keras", "a.pth", "file not found"),
    ],
)
def test_a_missing_file_is_named_before_a_missing_pytorch(
    name, output, reason, tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, "torch", None)  # its import fails
    with pytest.raises(SystemExit, match=f"`weights` must be a file.*'{name}': {reason}$"):
        main([name, str(tmp_path / output), "--preset", "torchvision"])


def test_the_output_may_lie_in_a_new_folder(tmp_path, monkeypatch):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    monkeypatch.setattr(convert, "from_caffe", lambda path, config: model)
    main(["x.npy", str(tmp_path / "new" / "a.keras"), "--preset", "caffenet"])
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.keras"]
    read = keras.saving.load_model(tmp_path / "new" / "a.keras")
    np.testing.assert_array_equal(read.get_weights()[0], model.get_weights()[0])
