"""Kernels as numbers: how colorful they are, which way their stripes run and how fine they are, tower by tower."""

import keras
import numpy as np

_SPECTRUM = (
    128  # points of the spectrum in each direction; a kernel is padded with zeros up to them
)


def layer_of(model, name, argument="model"):
    """The layer of a model that has this name.

    Args:
        model: a `keras.Model`.
        name: name of the layer.
        argument: name of the argument that gives the model, for the message.

    Raises:
        ValueError: when there is none; the message says which there are.
    """
    layers = {layer.name: layer for layer in model.layers}
    if name not in layers:
        raise ValueError(
            f"`{argument}` must have a layer {name}. Received: a model with {', '.join(layers)}"
        )
    return layers[name]


def layer_kernels(model, layer="conv1", argument="model"):
    """The kernels of a convolution, in towers.

    Args:
        model: an AlexNet.
        layer: name of the layer.
        argument: name of the argument that gives the model, for the message.

    Returns:
        float32 `(towers, kernels of a tower, height, width, input maps)`, tower 1 first.

    Raises:
        ValueError: when the model has no such layer, or it is no convolution.

    Example:

    >>> layer_kernels(AlexNet("small")).shape
    (2, 16, 7, 7, 3)

    Reference: section 3.5 of Krizhevsky et al. (2012).
    """
    found = layer_of(model, layer, argument)
    if not isinstance(found, keras.layers.Conv2D):
        names = [each.name for each in model.layers if isinstance(each, keras.layers.Conv2D)]
        raise ValueError(
            f"`layer` must be one of the convolutions {', '.join(names)}. Received: layer={layer!r}"
        )
    kernels = np.moveaxis(keras.ops.convert_to_numpy(found.kernel).astype("float32"), -1, 0)
    return kernels.reshape(towers_of(model), -1, *kernels.shape[1:])


def first_convolution(model):
    """The name of the layer that sees the image: conv1 of AlexNet, conv1_1 of VGG."""
    return next(layer.name for layer in model.layers if isinstance(layer, keras.layers.Conv2D))


def towers_of(model):
    """Number of towers of an AlexNet."""
    return max(getattr(layer, "groups", 1) for layer in model.layers)


def colorfulness(kernels):
    """Share of each kernel's energy that lies off the gray axis, from 0 to 1.

    `1 - sum_p 3 m[p]**2 / sum_pc w[p, c]**2`, where `w[p, c]` is the weight of color `c` at position `p` and `m[p]`
    the mean of the three there. A kernel that sees brightness alone has 0, one that is blind to it 1, and one of
    independent random numbers 2/3 on average.

    Args:
        kernels: `(..., height, width, 3)`.

    Returns:
        float64 `(...)`; 0 for a kernel of zeros.

    Raises:
        ValueError: for kernels that see other than three maps.

    Example:

    >>> float(colorfulness(np.array([1.0, 0.0, 0.0]).reshape(1, 1, 3)))  # red: two thirds of it is no gray
    0.6666666666666667

    Reference: section 6.1 and figure 3 of Krizhevsky et al. (2012), which say it in words.
    """
    kernels = _rgb(kernels)
    energy = np.square(kernels).sum((-3, -2, -1))
    gray = 3 * np.square(kernels.mean(-1)).sum((-2, -1))
    return _share(energy - gray, energy)


def spatial_frequency(kernels):
    """The frequency at which each kernel's spectrum is highest, in periods a pixel of the image.

    The spectrum is the power of the Fourier transform of the kernel, padded with zeros, summed over its colors. A
    patch of one sign has 0, the finest stripes of one direction 0.5.

    Args:
        kernels: `(..., height, width, maps)`.

    Returns:
        float64 `(...)`.
    """
    power, vertical, horizontal = _spectrum(kernels)
    frequency = np.hypot(vertical, horizontal).ravel()
    return frequency[power.reshape(*power.shape[:-2], -1).argmax(-1)]


def high_frequency_energy(kernels):
    """Share of each kernel's energy above a quarter period a pixel, from 0 to 1.

    `sum P[f > 1/4] / sum P` with `P` the power of the kernel's Fourier transform, padded with zeros and summed over
    its colors, and `f` the frequency in periods a pixel in any direction. It tells learned kernels from noise: white
    noise has 0.80 at any size, edges and blobs of color about 0.1.

    Args:
        kernels: `(..., height, width, maps)`.

    Returns:
        float64 `(...)`; 0 for a kernel of zeros.
    """
    power, vertical, horizontal = _spectrum(kernels)
    high = power * (np.hypot(vertical, horizontal) > 0.25)
    return _share(high.sum((-2, -1)), power.sum((-2, -1)))


def orientation(kernels):
    """The direction in which each kernel's stripes run, and how much it has one.

    With the power `P` of the spectrum at the frequency of direction `t` it is half the angle of
    `sum P exp(2it) / sum P`, turned by a quarter as stripes run across their frequency. The length of that sum is the
    selectivity.

    Args:
        kernels: `(..., height, width, maps)`.

    Returns:
        `(degrees, selectivity)`, float64 `(...)` each: from 0 (level stripes), counterclockwise, to below 180; from 0
        (no direction) to 1 (stripes without end).
    """
    power, vertical, horizontal = _spectrum(kernels)
    power = power * (np.hypot(vertical, horizontal) > 0)  # what is even has no direction
    twice = np.exp(2j * np.arctan2(-vertical, horizontal))  # rows count downwards
    total = power.sum((-2, -1))
    moment = _share((power * twice).sum((-2, -1)), total)
    return np.mod(np.degrees(np.angle(moment)) / 2 + 90, 180), np.abs(moment)


def kernel_measures(kernels):
    """All measures of kernels.

    Args:
        kernels: `(..., height, width, 3)`, as `layer_kernels` gives them.

    Returns:
        dict of `colorfulness` (0-1), `spatial_frequency` (periods a pixel), `high_frequency_energy` (0-1),
        `orientation` (degrees) and `selectivity` (0-1), float64 `(...)` each.
    """
    degrees, selectivity = orientation(kernels)
    return {
        "colorfulness": colorfulness(kernels),
        "spatial_frequency": spatial_frequency(kernels),
        "high_frequency_energy": high_frequency_energy(kernels),
        "orientation": degrees,
        "selectivity": selectivity,
    }


def permutation_test(models, permutations=10_000, seed=0):
    """Whether the towers of some networks differ more than towers that were dealt at random out of the same kernels.

    What is compared in each network is the gap: the highest less the lowest of its towers' means. Which tower is which
    has no meaning from one seed to the next, so it has no sign. Every permutation deals the kernels of each network
    anew; the p-value of all networks is that of the mean of their gaps.

    Args:
        models: one array `(towers, kernels of a tower)` of a measure for each network.
        permutations: how often kernels are dealt.
        seed: whole number that fixes the permutations.

    Returns:
        dict with `p` and, a list with an entry a network each, `gaps`, `chance` (the mean gap of the permutations) and
        `p_each`. A p-value is `(1 + permutations with as large a gap) / (1 + permutations)`.

    Raises:
        ValueError: for no network, or one of a single tower.

    Reference: section 6.1 of Krizhevsky et al. (2012): one GPU color-agnostic, one color-specific, in every run.
    """
    models = [np.asarray(values, float) for values in models]
    if not models or any(values.ndim != 2 or len(values) < 2 for values in models):
        shapes = [values.shape for values in models]
        raise ValueError(
            f"`models` must be networks of two or more towers. Received: shapes {shapes}"
        )
    random = np.random.default_rng(seed)
    gaps = np.array([_gap(values) for values in models])
    dealt = np.empty((permutations, len(models)))
    for column, values in enumerate(models):
        shuffled = random.permuted(np.tile(values.ravel(), (permutations, 1)), axis=1)
        dealt[:, column] = _gap(shuffled.reshape(permutations, *values.shape))
    return {
        "p": _p_value(dealt.mean(1), gaps.mean()),
        "gaps": gaps.tolist(),
        "chance": dealt.mean(0).tolist(),
        "p_each": [_p_value(dealt[:, column], gap) for column, gap in enumerate(gaps)],
    }


def _gap(values):
    return np.ptp(values.mean(-1), axis=-1)


def _p_value(dealt, gap):
    # What is equal but for the order of a sum counts as equal.
    return float((1 + np.sum(dealt >= gap * (1 - 1e-9))) / (1 + len(dealt)))


def _rgb(kernels):
    kernels = np.asarray(kernels, "float64")
    if kernels.ndim < 3 or kernels.shape[-1] != 3:
        raise ValueError(
            f"`kernels` must see the three colors of an image. Received: shape {kernels.shape}"
        )
    return kernels


def _spectrum(kernels):
    """Power `(..., rows, columns)`, and the frequencies of its rows and columns in periods a pixel."""
    transformed = np.fft.fft2(np.asarray(kernels, "float64"), (_SPECTRUM, _SPECTRUM), axes=(-3, -2))
    frequencies = np.fft.fftfreq(_SPECTRUM)
    return np.square(np.abs(transformed)).sum(-1), frequencies[:, None], frequencies[None, :]


def _share(part, whole):
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
