"""A network that ends in logits gives what the same network with a softmax does."""

import keras
import numpy as np
import pytest

from alexnet_keras import Classifier
from alexnet_keras.data import Dataset
from alexnet_keras.evaluation.ensemble import ensemble_model
from alexnet_keras.evaluation.evaluate import evaluate
from alexnet_keras.evaluation.probabilities import (
    as_probabilities,
    ends_in_logits,
    most_probable_labels,
)
from alexnet_keras.evaluation.views import dense_model, views_model
from experiments.predictions import classify
from experiments.predictions import main as predictions
from tests.experiments.conftest import save_as_trained, tiny_model


@pytest.fixture
def twins():
    """Two networks of the same weights: the second gives the logits of the first."""
    model = tiny_model()
    logits = tiny_model(classifier_activation=None)
    kernel, _ = model.get_layer("fc8").get_weights()
    model.get_layer("fc8").set_weights([30 * kernel, np.array([0.0, 1, 2, -3])])  # far from uniform
    logits.set_weights(model.get_weights())
    return model, logits


def small(activation):
    layers = [keras.layers.Flatten(), keras.layers.Dense(3, activation=activation, name="last")]
    return keras.Sequential([keras.Input((2, 2, 3)), *layers], name="small")


def test_the_rule():
    model = small("linear")
    assert ends_in_logits(model)
    logits = np.log([[0.2, 0.5, 0.3]]) + 7
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(as_probabilities(model, logits)), [[0.2, 0.5, 0.3]], 1e-5
    )
    given = np.array([[0.2, 0.5, 0.3]])
    for softmax in (
        small("softmax"),
        keras.Sequential([small("softmax"), keras.layers.Activation("linear", dtype="float32")]),
        keras.Model(model.inputs, keras.layers.Softmax()(model.outputs[0])),
        keras.Model(model.inputs, keras.ops.softmax(model.outputs[0])),
        keras.Sequential([model, keras.layers.Activation("softmax")]),
        keras.Sequential([keras.Input((2, 2, 3)), small("softmax")]),
    ):
        assert not ends_in_logits(softmax)
        assert as_probabilities(softmax, given) is given
    for other, words in (
        (small("sigmoid"), "Received: x.keras, whose last layer 'last' has sigmoid"),
        (
            keras.Sequential([keras.Input((3,)), keras.layers.Flatten(name="flat")]),
            "last layer 'flat' has Flatten",
        ),
    ):
        with pytest.raises(
            ValueError, match=f"`model` must end in a softmax, or in logits.*{words}"
        ):
            ends_in_logits(other, "x.keras")


def test_views_of_whole_images(twins, random):
    images = random.randint(0, 256, (2, 32, 32, 3)).astype("float32")
    mean = np.full((32, 32, 3), 120, "float32")
    pairs = [
        [views_model(model, 32, mean[2:30, 2:30], views) for model in twins]
        for views in ("center", "ten_crop")
    ]
    pairs.append([dense_model(model, 32, mean) for model in twins])
    for pair in pairs:
        ours, theirs = (keras.ops.convert_to_numpy(whole(images)) for whole in reversed(pair))
        assert np.ptp(theirs) > 0.3
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


def test_errors_and_ensembles_of_a_data_set(twins, tiny_npz):
    dataset = Dataset(tiny_npz, 32, 28)
    expected, ours = (evaluate(model, dataset, "center", verbose=0) for model in twins)
    assert ours == pytest.approx(expected, rel=1e-4)
    expected, ours = (classify(model, dataset)[0] for model in twins)
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-6)
    images = next(dataset.validation_images(4).as_numpy_iterator())[0]
    both = keras.ops.convert_to_numpy(ensemble_model(twins, dataset.info, "center")(images))
    np.testing.assert_allclose(both[:, 1], both[:, 0], rtol=1e-4, atol=1e-6)


def test_a_classifier_would_subtract_the_mean_twice(tiny_npz):
    dataset = Dataset(tiny_npz, 32, 32)
    network = tiny_model(input_shape=(32, 32, 3))
    classifier = Classifier.from_network(network, dataset.info.mean_image, list("abcd"))
    for measure in (evaluate, lambda model, dataset: ensemble_model([model], dataset.info)):
        measure(network, dataset)
        with pytest.raises(ValueError, match="takes crops less the mean. .* Give its `network`"):
            measure(classifier.model, dataset)


def test_another_end_is_refused_before_any_work(tmp_path, tiny_npz):
    path = save_as_trained(tiny_model(classifier_activation="sigmoid"), tmp_path / "run")
    with pytest.raises(
        SystemExit, match="must end in a softmax.*best.keras, whose last layer 'fc8' has sigmoid"
    ):
        predictions(["--weights", path, "--dataset", tiny_npz, "--image-size", "32"])
    assert [file.name for file in (tmp_path / "run").iterdir()] == ["best.keras"]


@pytest.mark.parametrize("top", [1, 5, 40])
def test_most_probable_labels_are_a_stable_sort(random, top):
    probabilities = random.dirichlet(np.ones(40), 30).astype("float32")
    probabilities[:10] = np.round(probabilities[:10], 2)  # many are equal, and some are zero
    probabilities[10] = 1 / 40
    probabilities[11] = 0
    probabilities[12] = np.eye(40)[17]
    expected = np.argsort(-probabilities, axis=-1, kind="stable")[:, :top]
    np.testing.assert_array_equal(most_probable_labels(probabilities, top), expected)
