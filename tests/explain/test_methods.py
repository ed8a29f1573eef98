import numpy as np
import pytest

from alexnet_keras import explain
from alexnet_keras.cli.explain import METHODS
from alexnet_keras.explain import explain_each
from tests.explain.networks import SIZE
from tests.explain.test_saliency_maps import small_classifier


@pytest.mark.parametrize("method", METHODS)
def test_explains_as_the_function_of_its_name(method, random):
    classifier = small_classifier(random)
    images = random.randint(0, 256, (3, SIZE, SIZE, 3)).astype("uint8")
    options = {"size": 3} if method == "occlusion" else {}
    expected = getattr(explain, method)(classifier, images, "dog", batch_size=2, **options)
    explanations = explain_each(classifier, images, "dog", method=method, batch_size=2, **options)
    for explanation, wanted in zip(explanations, expected, strict=True):
        assert (explanation.source, explanation.class_name) == (wanted.source, "dog")
        assert (explanation.method, explanation.layer) == (method, wanted.layer)
        assert explanation.map.any()
        np.testing.assert_array_equal(explanation.map, wanted.map)


def test_an_unknown_method_is_an_error_before_any_work(random):
    known = ", ".join(METHODS)
    with pytest.raises(ValueError, match=f"`method` must be one of {known}. .* method='lime'"):
        explain_each(small_classifier(random), "none.png", method="lime")
    with pytest.raises(ValueError, match="`class_name` must be a class"):
        explain_each(small_classifier(random), np.zeros((SIZE, SIZE, 3)), "cow")
