"""Writes the network of the page "AlexNet in the browser".

    python docs/playground/make_network.py tiny_imagenet

It needs `pip install '.[export]'`. The page reads two files: the network with the outputs of its
layers, `alexnet_keras/weights/playground.onnx.gz`, and its description, `network.json`. The test of
the page reads the third, `expected.json`: the classifier's own probabilities for the images of
`sample_pictures.py`.

Weights are rounded to float16, which halves the compressed file. The command fails if this changes
a probability of these images by more than 0.001.
"""

import argparse
import base64
import gzip
import hashlib
import json
import tempfile
from pathlib import Path

import keras
import numpy as np
import sample_pictures

from alexnet_keras import Classifier
from alexnet_keras.analysis import layer_kernels
from alexnet_keras.analysis.kernels import towers_of
from alexnet_keras.explain import receptive_field
from alexnet_keras.export import check_formats, export
from alexnet_keras.files import replacing, write_text
from alexnet_keras.models.inspection import activation_after

FOLDER = Path(__file__).parent
NETWORK = FOLDER.parents[1] / "alexnet_keras" / "weights" / "playground.onnx.gz"
TOLERANCE = 1e-3  # of a probability
# Layers that leave the maps of the layer before as they are, but for their unit or a margin.
_NOT_SHOWN = (
    keras.layers.InputLayer,
    keras.layers.Rescaling,
    keras.layers.ZeroPadding2D,
    keras.layers.Activation,
    keras.layers.Dropout,
)


def main(arguments: list[str] | None = None) -> None:
    """Runs the command; `arguments` are `sys.argv[1:]` by default."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("classifier", help="a classifier.keras, or a name such as tiny_imagenet")
    parser.add_argument("--name", help="name that the page shows (default: the argument)")
    options = parser.parse_args(arguments)
    check_formats(["onnx"])
    if Path(options.classifier).exists() or options.classifier.endswith(".keras"):
        classifier = Classifier.load(options.classifier)
    else:
        classifier = Classifier.pretrained(options.classifier)
    make_network(classifier, options.name or Path(options.classifier).stem)


def make_network(
    classifier: Classifier, name: str, folder: Path = FOLDER, network: Path = NETWORK
) -> None:
    """Writes the network, `network.json` and `expected.json`.

    Args:
        classifier: a classifier with an AlexNet. Its weights are rounded to float16.
        name: name that the page shows.
        folder: folder of the two JSON files.
        network: path of the network.

    Raises:
        ValueError: if the file's probabilities differ from the classifier's by more than 0.001,
            or float16 can't store a weight.
    """
    weights = _rounded_weights(classifier.network)
    with tempfile.TemporaryDirectory() as temporary:
        paths = sample_pictures.write_check_images(Path(temporary) / "images")
        prepared = classifier.prepare(paths)
        expected = np.asarray(classifier.model.predict_on_batch(prepared))
        classifier.network.set_weights(weights)
        model = layers_model(classifier)
        exported = Path(temporary) / "network.onnx"
        export(model, exported, "onnx")
        _check_probabilities(exported, prepared, expected)
        content = gzip.compress(exported.read_bytes(), compresslevel=9, mtime=0)
    with replacing(network) as partial:
        partial.write_bytes(content)
    description = {"name": name, "sha256": hashlib.sha256(content).hexdigest()}
    description |= describe(classifier, model)
    write_text(folder / "network.json", json.dumps(description, indent=1) + "\n")
    probabilities = {
        path.name: row.tolist() for path, row in zip(paths, expected.round(6), strict=True)
    }
    write_text(folder / "expected.json", json.dumps(probabilities, indent=1) + "\n")
    print(f"{name}: {len(content) / 1e6:.2f} MB, {len(model.outputs)} outputs")


def layers_model(classifier: Classifier) -> keras.Model:
    """Returns the model from prepared images to the crop, the shown layers and probabilities."""
    inner = classifier.network
    outputs = {}
    for layer in inner.layers:
        if len(layer.output.shape) == 4 and not isinstance(layer, _NOT_SHOWN):
            outputs[layer.name] = _activated(inner, layer)
    size = classifier.image_size
    images = keras.Input((size, size, 3), name="images")
    crop = classifier.preparation(images)
    outputs["probabilities"] = inner.output
    outputs = keras.Model(inner.inputs[0], outputs)(crop)
    last = classifier.model.layers[-1]
    if last is not inner:  # the softmax of a network that gives logits
        outputs["probabilities"] = last(outputs["probabilities"])
    return keras.Model(images, {"crop": crop, **outputs})


def describe(classifier: Classifier, model: keras.Model) -> dict:
    """Returns what the page has to know about a network, as JSON writes it."""
    preparation = classifier.preparation
    kernels = layer_kernels(classifier.network)
    largest = float(np.abs(kernels).max()) or 1.0
    tiles = np.round(127.5 + 127.5 * kernels / largest).astype("uint8")
    if preparation.color_order == "BGR":
        tiles = tiles[..., ::-1]
    towers, count, side, _, _ = kernels.shape
    return {
        "classes": list(classifier.class_names),
        "image_size": preparation.image_size,
        "crop_size": preparation.crop_size,
        "mean_subtraction": preparation.mean_subtraction,
        "color_order": preparation.color_order,
        "towers": towers_of(classifier.network),
        "layers": [
            {"name": name, "side": output.shape[1], "maps": output.shape[-1]}
            for name, output in model.output.items()
            if name not in ("crop", "probabilities")
        ],
        "conv1": {
            **_geometry(classifier.network),
            "kernels": towers * count,
            "side": side,
            "largest_weight": largest,
            # Gray 127.5 is 0, and 0 and 255 are the largest weight of all kernels.
            "tiles": base64.b64encode(tiles.tobytes()).decode(),
        },
    }


def _activated(network, layer):
    """Returns a layer's output, for a convolution after its activation.

    In the networks of the 2012 source a pool stands between the two.
    """
    _, activation = activation_after(network, layer)
    return layer.output if activation is None else activation(layer.output)


def _geometry(network):
    """Returns the stride of conv1, and the zeros before the first row and column of its input."""
    field = receptive_field(network, "conv1")
    return {"stride": field.stride[0], "padding": -field.start[0]}


def _rounded_weights(network):
    """Returns the weights of a network, rounded to float16, in float32."""
    with np.errstate(over="ignore"):
        weights = [np.asarray(weight, "float16") for weight in network.get_weights()]
    if not all(np.isfinite(weight).all() for weight in weights):
        raise ValueError("`classifier` must have weights below 65,504. Received: larger ones")
    return [weight.astype("float32") for weight in weights]


def _check_probabilities(path, images, expected):
    """Compares an ONNX file, run by ONNX Runtime, with the classifier before rounding."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    feeds = {session.get_inputs()[0].name: images.astype("float32")}
    (probabilities,) = session.run(["probabilities"], feeds)
    difference = float(np.abs(probabilities - expected).max())
    if not difference <= TOLERANCE:
        raise ValueError(
            "`classifier` must keep its probabilities with weights in float16, to "
            f"{TOLERANCE}. Received: a difference of {difference:.2g}"
        )


if __name__ == "__main__":
    main()
