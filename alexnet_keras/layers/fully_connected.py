"""Fully connected layer with a faster gradient on a CPU."""

import keras

from alexnet_keras.layers.replaced_weights import ReplacedWeights
from alexnet_keras.ops.dispatch import Choice, choose_dense


@keras.saving.register_keras_serializable(package="alexnet_keras")
class FullyConnected(ReplacedWeights, keras.layers.Dense):
    """A `keras.layers.Dense` with the same arguments, weights and output, and a faster gradient.

    `y = x W + b`. The definition is `alexnet_keras.ops.reference.dense`.
    `alexnet_keras.print_implementations` prints the implementation.

    Example:

    >>> fc6 = FullyConnected(4096, activation="relu")
    >>> fc6(keras.ops.ones((1, 9216))).shape
    TensorShape([1, 4096])

    Reference: section 3.5 of Krizhevsky et al. (2012), the fully connected layers.
    """

    def call(self, inputs, training=None):
        bias = self.bias if self.use_bias else None
        choice = self.choose_implementation(inputs.shape, training)
        outputs = choice.function(inputs, self.kernel, bias)
        return outputs if self.activation is None else self.activation(outputs)

    def quantize(self, mode=None, type_check: bool = True, config=None) -> None:
        """Quantizes the weights as `keras.layers.Dense` does, e.g. to `"int8"`.

        Keras refuses subclasses of `Dense`, whose call may be another function. This call computes
        the same function.
        """
        super().quantize(
            mode, type_check=type_check and type(self) is not FullyConnected, config=config
        )

    def choose_implementation(self, input_shape: tuple, training: bool | None) -> Choice:
        """Returns the implementation for an input of this shape."""
        if self.quantization_mode:
            return Choice(
                self.quantization_mode, "the quantized product of Keras", self.quantized_call
            )
        return choose_dense(len(input_shape), self.compute_dtype, training, self.name)
