import itertools

import keras
import numpy as np
import pytest

from alexnet_keras import TopKError
from alexnet_keras.evaluation.errors import top_k_miss


@pytest.mark.parametrize("k", [1, 2, 5])
def test_is_the_definition(k, random):
    metric = TopKError(k)
    wrong = 0
    images = 0
    for count in (7, 4):
        labels = random.randint(0, 6, count)
        predictions = random.uniform(size=(count, 6)).astype("float32")
        metric.update_state(labels, predictions)
        for label, row in zip(labels, predictions, strict=True):
            wrong += label not in np.argsort(-row)[:k]
        images += count
    assert float(metric.result()) == pytest.approx(100 * wrong / images, rel=1e-6)
    assert metric.name == f"top{k}_error"


def test_fewer_classes_than_k():
    metric = TopKError(5)
    metric.update_state([0, 1], [[0.9, 0.1], [0.9, 0.1]])
    assert float(metric.result()) == 0.0


def test_what_is_no_number_is_wrong():
    error = TopKError(k=1)
    error.update_state([1, 0, 1], [[0.1, 0.9], [np.nan, 0.2], [np.nan, np.nan]])
    assert float(error.result()) == pytest.approx(200 / 3)


def test_equal_predictions_are_in_random_order():
    error = TopKError(k=1)
    error.update_state(np.arange(10), np.full((10, 10), 0.1, "float32"))
    assert float(error.result()) == pytest.approx(90.0)


@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_ties_are_the_mean_over_all_orders(k):
    rows = np.array([[3, 1, 3, 2], [1, 1, 1, 1], [0, 2, 2, 2], [4, 3, 2, 1]], "float32")
    for label in range(4):
        expected = []
        for row in rows:
            # A sort that keeps the order of equal entries, over every order of the classes.
            orders = (
                sorted(order, key=lambda c: -row[c]) for order in itertools.permutations(range(4))
            )
            expected.append(np.mean([label not in order[:k] for order in orders]))
        found = keras.ops.convert_to_numpy(top_k_miss(rows, np.full(4, label), k))
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_misses_of_several_networks():
    predictions = np.array(
        [[[0.1, 0.6, 0.3], [0.5, 0.2, 0.3]], [[np.nan, 0.6, 0.3], [0.5, 0.2, 0.2]]]
    )
    misses = keras.ops.convert_to_numpy(top_k_miss(predictions, [0, 2], 2))
    np.testing.assert_allclose(misses, [[1, 0], [1, 0.5]])
