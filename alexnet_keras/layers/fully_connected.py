"""Fully connected layer that trains at full speed on a CPU too."""

import keras

from alexnet_keras.ops.dispatch import Choice, choose_dense


@keras.saving.register_keras_serializable(package="alexnet_keras")
class FullyConnected(keras.layers.Dense):
    """A `keras.layers.Dense`, with its arguments, weights and output, whose gradient is faster on a CPU.

    `y = x W + b`: the definition is `alexnet_keras.ops.reference.dense`; `alexnet_keras.ops.explain` says how it is
    computed.

    Example:

    >>> fc6 = FullyConnected(4096, activation="relu")
    >>> fc6(keras.ops.ones((1, 9216))).shape
    TensorShape([1, 4096])

    Reference: section 3.5 of Krizhevsky et al. (2012), the fully connected layers.
    """

    def call(self, inputs, training=None):
        bias = self.bias if self.use_bias else None
        outputs = self.choose_implementation(inputs.shape, training).function(
            inputs, self.kernel, bias
        )
        return outputs if self.activation is None else self.activation(outputs)

    def quantize(self, mode=None, type_check=True, config=None):
        """Quantizes the weights as `keras.layers.Dense` does, e.g. to `"int8"`.

        Keras refuses subclasses of `Dense`, whose call may be another function. This one is the same.
        """
        super().quantize(
            mode, type_check=type_check and type(self) is not FullyConnected, config=config
        )

    def choose_implementation(self, input_shape, training):
        """The `alexnet_keras.ops.dispatch.Choice` for an input of this shape."""
        if self.quantization_mode:
            return Choice(
                self.quantization_mode, "the quantized product of Keras", self.quantized_call
            )
        return choose_dense(len(input_shape), self.compute_dtype, training, self.name)
