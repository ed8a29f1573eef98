import numpy as np
import pytest

from alexnet_keras import TopKError


@pytest.mark.parametrize("k", [1, 2, 5])
def test_is_the_definition(k, random):
    metric, wrong, images = TopKError(k), 0, 0
    for count in (7, 4):
        labels, predictions = random.randint(0, 6, count), random.uniform(size=(count, 6)).astype("float32")
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
