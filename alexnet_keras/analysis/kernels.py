"""Measures of kernels: color, orientation and spatial frequency, for each tower."""

from collections.abc import Sequence

import keras
import numpy as np

from alexnet_keras.layers import GroupedConv2D, LocalResponseNormalization
from alexnet_keras.models.inspection import layer_of

_SPECTRUM = 128  # points of the spectrum in each direction, to which a kernel is zero-padded


def layer_kernels(model: keras.Model, layer: str = "conv1", argument: str = "model") -> np.ndarray:
    """Returns the kernels of a convolution, tower by tower.

    Args:
        model: an AlexNet.
        layer: name of the layer.
        argument: name of the argument that gives the model, for the message.

    Returns:
        float32 `(towers, kernels of a tower, height, width, input maps)`, tower 1 first.

    Raises:
        ValueError: if the model has no such layer, or it is not a convolution.

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
    towers = towers_of(model)
    if len(kernels) % towers:
        towers = 1
    return kernels.reshape(towers, -1, *kernels.shape[1:])


def first_convolution(model: keras.Model) -> str:
    """Returns the name of the first convolution: conv1 of AlexNet, conv1_1 of VGG."""
    return next(layer.name for layer in model.layers if isinstance(layer, keras.layers.Conv2D))


def towers_of(model: keras.Model) -> int:
    """Returns the number of towers of an AlexNet; 1 for a network without layers by tower."""
    by_tower = (GroupedConv2D, LocalResponseNormalization)
    groups = [layer.groups for layer in model.layers if isinstance(layer, by_tower)]
    return max(groups, default=1)


def colorfulness(kernels: np.ndarray) -> np.ndarray:
    """Returns the share of each kernel's energy off the gray axis, from 0 to 1.

    `1 - sum_p 3 m[p]**2 / sum_pc w[p, c]**2`, where `w[p, c]` is the weight of color `c` at
    position `p` and `m[p]` the mean of the three weights. A kernel of brightness only has 0, a
    kernel without brightness 1. Independent random numbers have 2/3 on average.

    Args:
        kernels: `(..., height, width, 3)`.

    Returns:
        float64 `(...)`; 0 for a kernel of zeros.

    Raises:
        ValueError: for kernels of other than three maps.

    Example:

    >>> red = np.array([1.0, 0.0, 0.0]).reshape(1, 1, 3)
    >>> float(colorfulness(red))  # a third of its energy is gray
    0.6666666666666667

    Reference: section 6.1 and figure 3 of Krizhevsky et al. (2012), which have no formula.
    """
    kernels = _rgb(kernels)
    energy = np.square(kernels).sum((-3, -2, -1))
    gray = 3 * np.square(kernels.mean(-1)).sum((-2, -1))
    return _share(energy - gray, energy)


def spatial_frequency(kernels: np.ndarray) -> np.ndarray:
    """Returns the frequency of the peak of each kernel's spectrum, in periods per pixel.

    The spectrum is the power of the Fourier transform of the zero-padded kernel, summed over its
    maps. A patch of one sign has 0, the finest stripes of one direction 0.5.

    Args:
        kernels: `(..., height, width, maps)`.

    Returns:
        float64 `(...)`.
    """
    power, vertical, horizontal = _spectrum(kernels)
    frequency = np.hypot(vertical, horizontal).ravel()
    return frequency[power.reshape(*power.shape[:-2], -1).argmax(-1)]


def high_frequency_energy(kernels: np.ndarray) -> np.ndarray:
    """Returns the share of each kernel's energy above a quarter period per pixel, 0 to 1.

    `sum P[f > 1/4] / sum P`, where `P` is the power of the zero-padded kernel's Fourier transform,
    summed over its maps. `f` is the frequency in periods per pixel, in any direction. White noise
    has 0.80 at any size; edges and blobs of color have much less.

    Args:
        kernels: `(..., height, width, maps)`.

    Returns:
        float64 `(...)`; 0 for a kernel of zeros.
    """
    power, vertical, horizontal = _spectrum(kernels)
    high = power * (np.hypot(vertical, horizontal) > 0.25)
    return _share(high.sum((-2, -1)), power.sum((-2, -1)))


def orientation(kernels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the direction of each kernel's stripes, and its selectivity.

    `P` is the power of the spectrum at a frequency of direction `t`. The direction is half the
    angle of `sum P exp(2it) / sum P`, turned by 90 degrees, as stripes are perpendicular to their
    frequency. The selectivity is the length of this sum.

    Args:
        kernels: `(..., height, width, maps)`.

    Returns:
        `(degrees, selectivity)`, float64 `(...)` each. Degrees are from 0 (horizontal stripes),
        counterclockwise, to below 180. Selectivity is from 0 (no direction) to 1 (endless stripes).
    """
    power, vertical, horizontal = _spectrum(kernels)
    power = power * (np.hypot(vertical, horizontal) > 0)  # a constant has no direction
    twice = np.exp(2j * np.arctan2(-vertical, horizontal))  # rows count downwards
    total = power.sum((-2, -1))
    moment = _share((power * twice).sum((-2, -1)), total)
    return np.mod(np.degrees(np.angle(moment)) / 2 + 90, 180), np.abs(moment)


def kernel_measures(kernels: np.ndarray) -> dict[str, np.ndarray]:
    """Returns all measures of kernels.

    Args:
        kernels: `(..., height, width, 3)`, as `layer_kernels` returns them.

    Returns:
        dict of `colorfulness` (0-1), `spatial_frequency` (periods per pixel),
        `high_frequency_energy` (0-1), `orientation` (degrees) and `selectivity` (0-1). Each is
        float64 `(...)`.
    """
    degrees, selectivity = orientation(kernels)
    return {
        "colorfulness": colorfulness(kernels),
        "spatial_frequency": spatial_frequency(kernels),
        "high_frequency_energy": high_frequency_energy(kernels),
        "orientation": degrees,
        "selectivity": selectivity,
    }


def permutation_test(
    models: Sequence[np.ndarray], permutations: int = 10_000, seed: int = 0
) -> dict:
    """Tests whether the towers of networks differ more than random towers of the same kernels.

    The statistic of a network is its gap, the highest minus the lowest mean of its towers. It has
    no sign, as the order of towers is arbitrary. Every permutation deals the kernels of each
    network to random towers. The p-value of all networks is for the mean of their gaps.

    Args:
        models: one array `(towers, kernels of a tower)` of a measure for each network.
        permutations: number of permutations.
        seed: seed of the permutations.

    Returns:
        dict with `p`, and with lists of an entry for each network: `gaps`, `chance` (mean gap of
        the permutations) and `p_each`. A p-value is `(1 + n) / (1 + permutations)`, where `n`
        permutations have at least the network's gap.

    Raises:
        ValueError: for no network, or a network of a single tower.

    Reference: section 6.1 of Krizhevsky et al. (2012), where one GPU is color-agnostic in every run
    and the other color-specific.
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
    # Gaps that differ only by rounding count as equal.
    return float((1 + np.sum(dealt >= gap * (1 - 1e-9))) / (1 + len(dealt)))


def _rgb(kernels):
    kernels = np.asarray(kernels, "float64")
    if kernels.ndim < 3 or kernels.shape[-1] != 3:
        raise ValueError(
            f"`kernels` must be of the three colors of an image. Received: shape {kernels.shape}"
        )
    return kernels


def _spectrum(kernels):
    """Returns the power `(..., rows, columns)`, and its vertical and horizontal frequencies."""
    transformed = np.fft.fft2(np.asarray(kernels, "float64"), (_SPECTRUM, _SPECTRUM), axes=(-3, -2))
    frequencies = np.fft.fftfreq(_SPECTRUM)
    return np.square(np.abs(transformed)).sum(-1), frequencies[:, None], frequencies[None, :]


def _share(part, whole):
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
