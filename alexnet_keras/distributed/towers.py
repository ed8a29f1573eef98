"""One tower of the network on each of two devices, as in the paper. JAX only."""

import keras

from alexnet_keras.distributed.hosts import require_jax


def two_towers(devices=None):
    """The distribution of figure 2: each device holds the kernels of one tower and computes its feature maps.

    The kernels of every conv layer and the units of fc6 and fc7 lie one half on each device, with the momentum that
    belongs to them. Feature maps stay on the device of their tower; they cross where the paper lets them: into conv3,
    fc6, fc7 and fc8. Output and training are those of one device. With it, `GroupedConv2D` and
    `LocalResponseNormalization` compute in a form that XLA can split by tower.

    Args:
        devices: names of two devices, of `keras.distribution.list_devices()`; by default the first two.

    Returns:
        A `keras.distribution.ModelParallel`. `keras.distribution.set_distribution` makes it that of all models that are
        built from then on.

    Raises:
        RuntimeError: on another backend than JAX.
        ValueError: when there are not two devices, or not these.

    Example:

    >>> keras.distribution.set_distribution(two_towers())  # doctest: +SKIP
    >>> model = AlexNet()  # doctest: +SKIP

    Reference: section 3.5 and figure 2 of Krizhevsky et al. (2012).
    """
    require_jax("Towers on two devices")
    here = keras.distribution.list_devices()
    chosen = here[:2] if devices is None else list(devices)
    if len(set(chosen)) != 2 or not set(chosen) <= set(here):
        raise ValueError(f"`devices` must be two of {', '.join(here)}. Received: devices={devices}")
    mesh = keras.distribution.DeviceMesh((1, 2), ("batch", "towers"), chosen)
    layout = keras.distribution.LayoutMap(mesh)
    # Optimizers name their variables after the weights, with an underscore for the slash.
    layout[r"conv\d[/_]kernel"] = (None, None, None, "towers")
    layout[r"fc[67][/_]kernel"] = (None, "towers")
    layout[r"(conv\d|fc[67])[/_]bias"] = ("towers",)
    return keras.distribution.ModelParallel(layout_map=layout, batch_dim_name="batch")


def is_split_by_tower():
    """Whether models are built for one tower a device."""
    distribution = keras.distribution.distribution()
    return (
        isinstance(distribution, keras.distribution.ModelParallel)
        and "towers" in distribution.device_mesh.axis_names
    )
