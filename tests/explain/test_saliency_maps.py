import keras
import numpy as np
import pytest

from alexnet_keras import Classifier
from alexnet_keras.explain import saliency
from alexnet_keras.ops import dispatch
from tests.explain.networks import (
    CROP,
    NAMES,
    SIZE,
    classifier_of,
    convolution,
    crops_of,
    max_pool,
    set_weights,
)
from tests.gradients import differences
from tests.test_classifier import tiny_network


def small_classifier(random, activation="softmax", **options):
    classifier = classifier_of(
        [
            keras.layers.Conv2D(4, 3, activation="relu"),
            keras.layers.MaxPooling2D(2),
            keras.layers.Flatten(),
            keras.layers.Dense(3, activation=activation),
        ],
        **options,
    )
    set_weights(classifier, random)
    return classifier


def scores(classifier, crop):
    """Scores of the classes by the definition of the network, float64."""
    kernel, bias, matrix, more = (w.astype("float64") for w in classifier.network.get_weights())
    x = max_pool(np.maximum(convolution(crop, kernel, bias), 0), 2)
    return x.ravel() @ matrix + more


@pytest.fixture
def images(random):
    return random.randint(0, 256, (2, SIZE, SIZE, 3)).astype("uint8")


@pytest.mark.parametrize("activation", ["softmax", None])
def test_is_the_gradient_of_the_score(activation, images, random):
    classifier = small_classifier(random, activation)
    explained = saliency(classifier, images, "dog")
    for explanation, crop in zip(explained, crops_of(images), strict=True):
        wanted = differences(lambda x: scores(classifier, x)[1], crop, step=1e-3)
        assert explanation.map.dtype == np.float32
        np.testing.assert_allclose(explanation.map, np.abs(wanted).max(-1), atol=1e-5)


def test_describes_the_image_and_its_class(images, random):
    classifier = small_classifier(random)
    explained = saliency(classifier, images)
    predictions = classifier.predict(images)
    edge = (SIZE - CROP) // 2
    for number, (explanation, prediction) in enumerate(zip(explained, predictions, strict=True)):
        assert explanation.source == f"image {number}"
        assert explanation.method == "saliency"
        assert explanation.class_name == prediction.names[0]
        np.testing.assert_allclose(explanation.probability, prediction.probabilities[0], atol=1e-6)
        middle = slice(edge, edge + CROP)
        np.testing.assert_array_equal(explanation.image, images[number, middle, middle])


def test_maps_are_of_rgb_pixels_for_a_network_of_bgr(images, random):
    rgb = small_classifier(random)
    bgr = small_classifier(random, color_order="BGR")
    weights = rgb.network.get_weights()
    bgr.network.set_weights([weights[0][:, :, ::-1], *weights[1:]])
    for one, other in zip(saliency(rgb, images), saliency(bgr, images), strict=True):
        assert one.class_name == other.class_name
        np.testing.assert_allclose(one.map, other.map, atol=1e-6)


def test_softmax_may_be_a_layer_of_its_own(images, random):
    inside = small_classifier(random)
    for last in (keras.layers.Softmax(), keras.layers.Activation("softmax")):
        beside = classifier_of([*small_classifier(random, None).network.layers[1:], last])
        beside.network.set_weights(inside.network.get_weights())
        for one, other in zip(saliency(inside, images), saliency(beside, images), strict=True):
            np.testing.assert_allclose(one.map, other.map, atol=1e-6)


def test_batches_do_not_matter(images, random):
    classifier = small_classifier(random)
    images = np.concatenate([images, images[:1] // 2])
    for one, other in zip(
        saliency(classifier, images), saliency(classifier, images, batch_size=2), strict=True
    ):
        np.testing.assert_allclose(one.map, other.map, atol=1e-6)


def test_an_unreadable_image_is_left_out(images, random, tmp_path, capsys):
    classifier = small_classifier(random)
    (tmp_path / "broken.png").write_text("no image")
    (explanation,) = saliency(classifier, [tmp_path / "broken.png", images[0]])
    assert explanation.source == "image 1"
    assert "broken.png is left out: not a JPEG" in capsys.readouterr().err
    with pytest.raises(ValueError, match="`images` must hold an image that can be read"):
        saliency(classifier, tmp_path / "broken.png")


def test_bad_arguments(images, random, tmp_path):
    classifier = small_classifier(random)
    for arguments, options, words in (
        (
            (classifier, images, "cow"),
            {},
            "`class_name` must be a class of the classifier, such as cat, dog, fox. "
            "Received: class_name='cow'",
        ),
        (
            (classifier.network, images),
            {},
            "`classifier` must be a Classifier, .* Received: Functional. Make one by",
        ),
        ((classifier, []), {}, "`images` must hold at least one image"),
        ((classifier, tmp_path), {}, "a folder without images"),
        ((classifier, images), {"batch_size": 0}, "`batch_size` must be a positive whole number. "),
    ):
        with pytest.raises(ValueError, match=words):
            saliency(*arguments, **options)


def test_a_class_of_many_or_of_one_name_twice(images, random):
    layers = [keras.layers.Flatten(), keras.layers.Dense(30, activation="softmax")]
    names = [*(f"class {number}" for number in range(28)), *NAMES[:1], *NAMES[:1]]
    classifier = classifier_of(layers, names)
    with pytest.raises(
        ValueError, match=r"such as class 7, .* \(30 in all\). Received: class_name='clas 7'"
    ):
        saliency(classifier, images, "clas 7")
    with pytest.raises(ValueError, match="Received: class_name='cat', the name of 2 classes"):
        saliency(classifier, images, "cat")


@pytest.mark.one_backend
def test_nothing_is_compiled_for_each_number_of_images(random, monkeypatch):
    # TensorFlow's XLA would compile the normalization for each batch size, and warn about it.
    names = []
    choose = dispatch.choose_local_response_normalization
    monkeypatch.setattr(
        "alexnet_keras.layers.local_response_normalization.choose_local_response_normalization",
        lambda *arguments: names.append(choose(*arguments).name) or choose(*arguments),
    )
    network = tiny_network()
    classifier = Classifier.from_network(network, (120, 110, 100), list("abcd"), image_size=32)
    images = random.randint(0, 256, (2, 32, 32, 3)).astype("uint8")
    saliency(classifier, images)
    assert names[-2:] == ["reference", "reference"]  # both normalizations, for the gradient
