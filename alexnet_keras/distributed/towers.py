"""One tower of the network on each of two devices, as in the paper. JAX only."""

from collections.abc import Sequence

import keras

from alexnet_keras.distributed.hosts import require_jax


def two_towers(devices: Sequence[str] | None = None) -> keras.distribution.ModelParallel:
    """Returns the distribution of figure 2, with one tower on each of two devices.

    Each device holds half the kernels of every conv layer and half the units of fc6 and fc7, with
    their momentum. Feature maps stay on the device of their tower. They cross only into conv3, fc6,
    fc7 and fc8, as in the paper. Output and training are equal to one device's. `GroupedConv2D` and
    `LocalResponseNormalization` then compute in a form that XLA can split by tower.

    Args:
        devices: names of two devices in `keras.distribution.list_devices()`; `None` for the first
            two.

    Returns:
        A `keras.distribution.ModelParallel`. `keras.distribution.set_distribution` applies it to
        all models that are built afterwards.

    Raises:
        RuntimeError: on another backend than JAX.
        ValueError: if there are fewer than two devices, or not these.

    Example:

    >>> keras.distribution.set_distribution(two_towers())  # doctest: +SKIP
    >>> model = AlexNet()  # doctest: +SKIP

    Reference: section 3.5 and figure 2 of Krizhevsky et al. (2012).
    """
    require_jax("Towers on two devices")
    available = keras.distribution.list_devices()
    chosen = available[:2] if devices is None else list(devices)
    if len(set(chosen)) != 2 or not set(chosen) <= set(available):
        raise ValueError(
            f"`devices` must be two of {', '.join(available)}. Received: devices={devices}"
        )
    mesh = keras.distribution.DeviceMesh((1, 2), ("batch", "towers"), chosen)
    layout = keras.distribution.LayoutMap(mesh)
    # Optimizers name their variables after the weights, with an underscore for the slash.
    layout[r"conv\d[/_]kernel"] = (None, None, None, "towers")
    layout[r"fc[67][/_]kernel"] = (None, "towers")
    layout[r"(conv\d|fc[67])[/_]bias"] = ("towers",)
    return keras.distribution.ModelParallel(layout_map=layout, batch_dim_name="batch")


def is_split_by_tower() -> bool:
    """Returns whether models are built for one tower on each device."""
    distribution = keras.distribution.distribution()
    return (
        isinstance(distribution, keras.distribution.ModelParallel)
        and "towers" in distribution.device_mesh.axis_names
    )
