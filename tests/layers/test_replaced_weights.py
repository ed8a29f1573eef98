import keras
import numpy as np

from alexnet_keras import AlexNet, Classifier, FullyConnected, GroupedConv2D, LocallyConnected2D
from alexnet_keras.layers.replaced_weights import weights_replaced


@keras.saving.register_keras_serializable("tests")
class Counted(keras.initializers.RandomNormal):
    """Counts how often initial values are computed."""

    count = 0

    def __call__(self, *args, **kwargs):
        Counted.count += 1
        return super().__call__(*args, **kwargs)


def test_layers_start_from_zeros_and_keep_their_initializers():
    layers = (
        FullyConnected(3, kernel_initializer="he_normal"),
        GroupedConv2D(4, 3, groups=2, kernel_initializer="he_normal"),
        LocallyConnected2D(4, 3, kernel_initializer="he_normal"),
    )
    for layer in layers:
        shape = (2, 4) if isinstance(layer, FullyConnected) else (2, 5, 5, 4)
        twin = type(layer).from_config(layer.get_config())
        with weights_replaced():
            layer(keras.ops.ones(shape))
        assert not np.any(layer.get_weights()[0])
        assert layer.get_config() == twin.get_config()
        with weights_replaced(False):
            twin(keras.ops.ones(shape))
        assert np.all(twin.get_weights()[0])


def test_a_loaded_classifier_computes_no_initial_values(tmp_path):
    network = keras.Sequential([keras.Input((8, 8, 3))])
    network.add(GroupedConv2D(4, 3, kernel_initializer=Counted(), name="conv1"))
    network.add(keras.layers.Flatten())
    network.add(FullyConnected(2, kernel_initializer=Counted(), activation="softmax", name="fc8"))
    assert Counted.count == 2
    Classifier.from_network(network, (1, 2, 3), ["a", "b"], image_size=8).save(tmp_path / "x.keras")
    Counted.count = 0
    loaded = Classifier.load(tmp_path / "x.keras").network
    assert Counted.count == 0
    assert isinstance(loaded.get_layer("fc8").kernel_initializer, Counted)
    for one, other in zip(loaded.get_weights(), network.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert loaded.get_layer("conv1").get_config() == network.get_layer("conv1").get_config()


def test_a_network_without_weights_of_a_file_has_its_own():
    kernel = AlexNet("cifar", classes=2, filters=(4,) * 6, units=(4, 4)).get_weights()[0]
    assert np.all(kernel)
