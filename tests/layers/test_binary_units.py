import keras
import numpy as np

from alexnet_keras import BinaryUnits
from tests.gradients import gradients


def test_rounds_logistic_units():
    x = np.array([[-3.0, -0.01, 0.01, 2.0]], "float32")
    assert keras.ops.convert_to_numpy(BinaryUnits()(x)).tolist() == [[0, 0, 1, 1]]


def test_has_the_gradient_of_the_unrounded_units():
    x = np.array([[-3.0, 0.0, 0.5]], "float32")
    smooth = 1 / (1 + np.exp(-x))
    np.testing.assert_allclose(gradients(BinaryUnits(), x)[0], smooth * (1 - smooth), rtol=1e-5)


def test_is_saved_with_its_model(tmp_path):
    model = keras.Sequential([keras.Input((3,)), BinaryUnits(name="code")])
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.get_layer("code").get_config()["name"] == "code"
    assert again.compute_output_shape((5, 3)) == (5, 3)
