import keras
import numpy as np
import pytest
from keras import ops

from alexnet_keras.explain import top_patches
from tests.explain.networks import CROP, MEAN, SIZE, classifier_of, set_weights

EDGE = (SIZE - CROP) // 2


@pytest.fixture
def classifier(random):
    # A unit of the pool sees 4x4 pixels in steps of 2, of which the first row is padding.
    classifier = classifier_of(
        [
            keras.layers.ZeroPadding2D(((1, 0), (1, 0))),
            keras.layers.Conv2D(6, 3, name="conv", activation="relu"),
            keras.layers.MaxPooling2D(2, name="pool"),
            keras.layers.Flatten(),
            keras.layers.Dense(3, activation="softmax", name="fc"),
        ]
    )
    set_weights(classifier, random)
    return classifier


@pytest.fixture
def images(random):
    return random.randint(0, 256, (12, SIZE, SIZE, 3)).astype("uint8")


def outputs(classifier, images, layer):
    network = classifier.network
    model = keras.Model(network.inputs[0], network.get_layer(layer).output)
    return ops.convert_to_numpy(model(classifier.preparation(images), training=False))


@pytest.mark.parametrize("batch_size", [5, 32])
def test_finds_the_largest_values(classifier, images, batch_size):
    values = outputs(classifier, images, "pool")
    crops = images[:, EDGE : EDGE + CROP, EDGE : EDGE + CROP]
    found = top_patches(classifier, images, "pool", [4, 1], batch_size=batch_size)
    assert [unit.unit for unit in found] == [4, 1]
    for unit in found:
        largest = values[..., unit.unit].reshape(12, -1).max(1)
        best = np.argsort(-largest)[:9]
        np.testing.assert_allclose(unit.values, largest[best], rtol=1e-5)
        assert list(unit.sources) == [f"image {number}" for number in best]
        assert unit.patches.shape == (9, 4, 4, 3) and unit.patches.dtype == np.uint8
        for number, box, patch in zip(best, unit.boxes, unit.patches, strict=True):
            row, column = np.unravel_index(values[number, ..., unit.unit].argmax(), (3, 3))
            assert list(box) == [2 * row - 1, 2 * column - 1, 2 * row + 3, 2 * column + 3]
            framed = np.empty((CROP + 1, CROP + 1, 3))
            framed[:] = MEAN  # in the padding
            framed[1:, 1:] = crops[number]
            np.testing.assert_array_equal(
                patch, framed[2 * row : 2 * row + 4, 2 * column : 2 * column + 4]
            )


def test_all_units_and_fewer_images(classifier, images):
    found = top_patches(classifier, images[:2], "conv")
    assert [unit.unit for unit in found] == list(range(6))
    assert all(unit.patches.shape == (2, 3, 3, 3) for unit in found)
    (unit,) = top_patches(classifier, images, "fc", 2, count=3)
    assert unit.patches.shape == (3, CROP, CROP, 3)  # these units see the whole crop
    values = outputs(classifier, images, "fc")[:, 2]
    np.testing.assert_allclose(unit.values, np.sort(values)[::-1][:3], rtol=1e-5)


def test_a_unit_that_is_requested_twice_has_one_patch_of_an_image(classifier, images):
    first, second = top_patches(classifier, images[:3], "conv", [2, 2])
    assert sorted(first.sources) == ["image 0", "image 1", "image 2"]
    assert second.sources == first.sources


def test_an_unreadable_image_is_left_out(classifier, images, tmp_path, capsys):
    (tmp_path / "broken.png").write_text("no image")
    (unit,) = top_patches(classifier, [tmp_path / "broken.png", images[0]], "conv", 0)
    assert unit.sources == ("image 1",)
    assert "broken.png is left out" in capsys.readouterr().err
    with pytest.raises(ValueError, match="`images` must hold an image that can be read"):
        top_patches(classifier, tmp_path / "broken.png", "conv", 0)


def test_bad_arguments(classifier, images):
    for arguments, options, words in (
        (("conv9",), {}, "`layer` must be a layer of the network, .* Received: layer='conv9'"),
        (("conv", 6), {}, "`units` must be a whole number from 0 to 5, the units of conv. Rec"),
        (("conv", [0, "1"]), {}, "Received: units='1'"),
        (("conv", []), {}, "`units` must hold at least one unit. Received: none"),
        (("conv",), {"count": 0}, "`count` must be a positive whole number. Received: count=0"),
    ):
        with pytest.raises(ValueError, match=words):
            top_patches(classifier, images, *arguments, **options)
