"""The paper's update rule as a Keras optimizer."""

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from alexnet_keras.checks import is_number
from alexnet_keras.ops.dispatch import choose_momentum_update


@keras.saving.register_keras_serializable(package="alexnet_keras")
class AlexNetSGD(keras.optimizers.SGD):
    """Stochastic gradient descent whose weight decay goes through the momentum.

    `v <- momentum * v - learning_rate * (gradient + coupled_weight_decay * w)`, then `w <- w + v`,
    with `w` a weight and `v` its velocity. `weight_decay` of `keras.optimizers.SGD` is another
    rule, which bypasses `v`. `keras.regularizers.L2(coupled_weight_decay / 2)` is the same rule.

    Args:
        learning_rate: initial learning rate.
        momentum: share of the velocity that is kept.
        coupled_weight_decay: weight of the decay in the gradient.
        decay_biases: whether biases decay too. They do in the paper's formula, but not in the 2012
            source.
        bias_learning_rate: learning rate of the biases, which `learning_rate` does not change: 0.02
            in the 2012 source. `None` for the rate of the weights, as in the paper.
        layer_learning_rates: dict from a layer's name to a factor of its learning rate, such as
            `{"conv1": 0.1}`. A layer with 0 stops once its velocity has decayed, as in the 2012
            source. The factors are saved; `set_layer_learning_rate` changes one during training.
        layer_weight_decay: dict from a layer's name to its weight decay, which replaces
            `coupled_weight_decay`, as in cuda-convnet's configuration files.
        name: name of the optimizer.
        **kwargs: other arguments of `keras.optimizers.SGD`.

    Raises:
        ValueError: for a negative decay, rate or factor, or a layer that the model does not have.

    Example:

    >>> AlexNet("cifar", classes=10).compile(AlexNetSGD(0.01), "sparse_categorical_crossentropy")

    Reference: section 5 of Krizhevsky et al. (2012); 2012 source for `decay_biases`,
    `bias_learning_rate` and `layer_learning_rates`.
    """

    def __init__(
        self,
        learning_rate: Any = 0.01,
        momentum: float = 0.9,
        coupled_weight_decay: float = 0.0005,
        decay_biases: bool = True,
        bias_learning_rate: float | None = None,
        layer_learning_rates: Mapping[str, float] | None = None,
        layer_weight_decay: Mapping[str, float] | None = None,
        name: str = "alexnet_sgd",
        **kwargs,
    ):
        super().__init__(learning_rate=learning_rate, momentum=momentum, name=name, **kwargs)
        rates = dict(layer_learning_rates or {})
        decays = dict(layer_weight_decay or {})
        rate = [learning_rate] if is_number(learning_rate) else []  # not of a schedule
        for argument, value, numbers in (
            ("learning_rate", learning_rate, rate),
            ("coupled_weight_decay", coupled_weight_decay, [coupled_weight_decay]),
            ("bias_learning_rate", bias_learning_rate, [bias_learning_rate or 0.0]),
            ("layer_learning_rates", rates, rates.values()),
            ("layer_weight_decay", decays, decays.values()),
        ):
            if any(number < 0 for number in numbers):
                raise ValueError(f"`{argument}` must not be negative. Received: {argument}={value}")
        self.coupled_weight_decay = coupled_weight_decay
        self.decay_biases = decay_biases
        self.bias_learning_rate = bias_learning_rate
        self.layer_learning_rates = rates
        self.layer_weight_decay = decays
        self._layer_factors = {}
        if not decay_biases:
            # Excludes them from Keras' own decay, which `weight_decay` sets.
            self.exclude_from_weight_decay(var_names=["bias"])

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        paths = [variable.path.split("/") for variable in variables]
        self._is_bias = [path[-1] == "bias" for path in paths]
        self._layer_of = [path[-2] if len(path) > 1 else "" for path in paths]
        self._check_layers("layer_learning_rates", "layer_weight_decay")
        for layer, factor in self.layer_learning_rates.items():
            initializer = keras.initializers.Constant(factor)
            self._layer_factors[layer] = self.add_variable(
                (), initializer=initializer, dtype="float32", name=f"{layer}_learning_rate"
            )

    def _check_layers(self, *arguments):
        """Raises a `ValueError` for a layer that the model does not have."""
        for argument in arguments:
            for layer in getattr(self, argument):
                if layer not in self._layer_of:
                    raise ValueError(
                        f"`{argument}` must name layers of the model. Received: {layer!r}; the "
                        f"model has {', '.join(dict.fromkeys(self._layer_of))}"
                    )

    def set_layer_learning_rate(self, layer: str, factor: float) -> None:
        """Sets the factor of a layer; raises a `ValueError` if it had none from the start."""
        if layer not in self.layer_learning_rates:
            raise ValueError(
                "`layer` must be one of layer_learning_rates: "
                f"{', '.join(self.layer_learning_rates)}. Received: layer={layer!r}"
            )
        if self.built:
            self._layer_factors[layer].assign(factor)
        else:
            self.layer_learning_rates[layer] = factor

    def _decay_of(self, index):
        """Returns the weight decay of a variable."""
        if self._is_bias[index] and not self.decay_biases:
            return 0.0
        return self.layer_weight_decay.get(self._layer_of[index], self.coupled_weight_decay)

    def _apply_weight_decay(self, variables):
        """Does nothing, as `update_step` also does Keras' own decay with the layers' rates."""

    def update_step(self, gradient, variable, learning_rate):
        index = self._get_variable_index(variable)
        factor = self._layer_factors.get(self._layer_of[index], 1.0)
        if self.weight_decay is not None and self._use_weight_decay(variable):
            rate = ops.cast(learning_rate * factor * self.weight_decay, variable.dtype)
            self.assign_sub(variable, variable * rate)
        if self._is_bias[index] and self.bias_learning_rate is not None:
            learning_rate = self.bias_learning_rate
        learning_rate = learning_rate * factor
        decay = self._decay_of(index)
        if not self.momentum or self.nesterov:
            decayed = ops.add(gradient, ops.multiply(variable, decay)) if decay else gradient
            super().update_step(decayed, variable, learning_rate)
            return
        velocity = self.momentums[index]
        update = choose_momentum_update()
        if update.name == "in_place":
            variable = variable.value if isinstance(variable, keras.Variable) else variable
            update.function(variable, velocity.value, gradient, learning_rate, self.momentum, decay)
            return
        gradient = ops.cast(gradient, variable.dtype)
        rate = ops.cast(learning_rate, variable.dtype)
        weight, new_velocity = update.function(
            variable, velocity, gradient, rate, self.momentum, decay
        )
        self.assign(velocity, new_velocity)
        self.assign(variable, weight)

    def get_config(self):
        return {
            **super().get_config(),
            "coupled_weight_decay": self.coupled_weight_decay,
            "decay_biases": self.decay_biases,
            "bias_learning_rate": self.bias_learning_rate,
            "layer_learning_rates": self.layer_learning_rates,
            "layer_weight_decay": self.layer_weight_decay,
        }
