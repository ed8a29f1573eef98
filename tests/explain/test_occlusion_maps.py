import keras
import numpy as np
import pytest

from alexnet_keras.data import photographs
from alexnet_keras.explain import occlusion
from tests.explain.networks import CROP, NAMES, SIZE, classifier_of, crops_of


@pytest.fixture
def images(random):
    return random.randint(0, 256, (2, SIZE, SIZE, 3)).astype("uint8")


@pytest.fixture
def corner(random):
    """A classifier whose answer depends on the 4x4 pixels at the top right only."""
    classifier = classifier_of(
        [keras.layers.Flatten(), keras.layers.Dense(3, activation="softmax")]
    )
    matrix = np.zeros((CROP, CROP, 3, 3), "float32")
    matrix[:4, 4:] = random.normal(0, 0.005, (4, 4, 3, 3))
    classifier.network.set_weights([matrix.reshape(-1, 3), np.zeros(3, "float32")])
    return classifier


def probability(classifier, crop, label):
    matrix = classifier.network.get_weights()[0].astype("float64")
    powers = np.exp(crop.ravel() @ matrix)
    return powers[label] / powers.sum()


def test_falls_only_where_the_answer_comes_from(corner, images):
    explained = occlusion(corner, images, "dog", size=4, stride=4)
    for explanation, crop in zip(explained, crops_of(images), strict=True):
        # Without the corner all scores are 0, so the probability is a third.
        fall = probability(corner, crop, 1) - 1 / 3
        wanted = np.zeros((CROP, CROP))
        wanted[:4, 4:] = fall
        np.testing.assert_allclose(explanation.map, wanted, atol=1e-6)
        np.testing.assert_allclose(explanation.probability, fall + 1 / 3, atol=1e-6)
        assert abs(fall) > 0.01


def test_squares_overlap_and_end_at_the_border(corner, images):
    # Squares of 3 pixels begin at 0, 2, 4, and at 5 to reach the border.
    (explanation,) = occlusion(corner, images[0], size=3, stride=2, batch_size=5)
    crop = crops_of(images)[0]
    label = NAMES.index(explanation.class_name)
    total = np.zeros((CROP, CROP))
    count = np.zeros((CROP, CROP))
    for top in (0, 2, 4, 5):
        for left in (0, 2, 4, 5):
            hidden = crop.copy()
            hidden[top : top + 3, left : left + 3] = 0
            fall = probability(corner, crop, label) - probability(corner, hidden, label)
            total[top : top + 3, left : left + 3] += fall
            count[top : top + 3, left : left + 3] += 1
    np.testing.assert_allclose(explanation.map, total / count, atol=1e-6)


def test_many_positions_have_a_progress_bar(corner, images, monkeypatch, capsys):
    monkeypatch.setattr(photographs, "_PROGRESS_SECONDS", 0)
    occlusion(corner, images, size=2, stride=2)
    assert "Explaining: 100%" in capsys.readouterr().err.splitlines()[-1]
    assert occlusion(corner, images[0], size=CROP)[0].map.std() == 0  # one square hides all


def test_bad_arguments(corner, images):
    for options, words in (
        ({"size": 9}, "`size` must be a whole number from 1 to 8, the side of the crop in pixels"),
        ({"size": 4, "stride": 5}, "`stride` must be .* 1 to 4, so that each pixel is hidden"),
        ({"stride": 0}, "Received: stride=0"),
        ({"size": 2.5}, "Received: size=2.5"),
    ):
        with pytest.raises(ValueError, match=words):
            occlusion(corner, images, **options)
