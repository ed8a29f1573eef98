import itertools

import keras
import numpy as np
import pytest

from alexnet_keras import AlexNet, LocalResponseNormalization
from alexnet_keras.analysis import (
    colorfulness,
    high_frequency_energy,
    kernel_measures,
    layer_kernels,
    orientation,
    permutation_test,
    spatial_frequency,
)


def stripes(degrees, frequency, colors=(1, 1, 1), side=11):
    """A kernel whose stripes run in a direction, counterclockwise from level."""
    y, x = np.mgrid[:side, :side]
    angle = np.radians(degrees)
    across = -np.sin(angle) * x - np.cos(angle) * y  # rows count downwards
    return np.cos(2 * np.pi * frequency * across + 0.7)[..., None] * np.array(colors)


def test_kernels_are_in_towers():
    model = AlexNet("cifar", classes=3)
    kernels = np.asarray(model.get_layer("conv2").kernel)
    ours = layer_kernels(model, "conv2")
    assert ours.shape == (2, 32, 5, 5, 16)
    np.testing.assert_array_equal(ours[1, 3], kernels[..., 32 + 3])


def test_colorfulness_by_hand():
    kernels = np.zeros((5, 2, 2, 3))
    kernels[0, :, :] = [2, 2, 2]  # gray
    kernels[1, :, :] = [1, -1, 0]  # red against green: no gray in it
    kernels[2, 0, 0] = [1, 0, 0]  # 1 - 3 (1/3)^2
    kernels[3, 0, 0] = [2, 2, 2]
    kernels[3, 1, 1] = [1, -1, 0]  # 2 of 14
    np.testing.assert_allclose(colorfulness(kernels), [0, 1, 2 / 3, 2 / 14, 0], atol=1e-12)


def test_colorfulness_of_a_random_start():
    model = AlexNet("small", classes=2)
    assert colorfulness(layer_kernels(model)).mean() == pytest.approx(2 / 3, abs=0.05)


def test_colorfulness_is_that_of_the_principal_axes(random):
    kernel = random.normal(size=(3, 3, 3))
    rotation, _ = np.linalg.qr(
        np.array([[1, 1, 0], [1, -1, 1], [1, 0, -1]], float)
    )  # its first axis is gray
    turned = kernel @ rotation
    expected = np.square(turned[..., 1:]).sum() / np.square(turned).sum()
    assert colorfulness(kernel) == pytest.approx(expected)


@pytest.mark.parametrize("degrees", [0, 30, 45, 90, 120, 179])
@pytest.mark.parametrize("frequency", [0.15, 0.25, 0.35])
def test_stripes_have_their_direction_and_frequency(degrees, frequency):
    kernel = stripes(degrees, frequency)
    measured, selectivity = orientation(kernel)
    assert min(abs(measured - degrees), 180 - abs(measured - degrees)) < 5
    assert selectivity > 0.6
    assert spatial_frequency(kernel) == pytest.approx(frequency, abs=0.02)


def test_high_frequency_energy_is_the_definition(random):
    kernel = random.normal(size=(3, 3, 2))
    frequencies = np.arange(128) / 128
    high = total = 0.0
    for u in np.where(frequencies < 0.5, frequencies, frequencies - 1):
        # The Fourier sum over rows and columns, for all horizontal frequencies at once.
        rows = np.exp(-2j * np.pi * u * np.arange(3))
        columns = np.exp(-2j * np.pi * np.outer(frequencies, np.arange(3)))
        power = np.square(np.abs(np.einsum("y,fx,yxc->fc", rows, columns, kernel))).sum(-1)
        wrapped = np.where(frequencies < 0.5, frequencies, frequencies - 1)
        high = high + power[u**2 + wrapped**2 > 1 / 16].sum()
        total = total + power.sum()
    assert high_frequency_energy(kernel) == pytest.approx(high / total)


def test_high_frequency_energy_of_noise_and_stripes(random):
    for side in (5, 7, 11):
        noise = random.normal(size=(60, side, side, 3))
        # All frequencies but a disk of radius 1/4: 1 - pi / 16.
        assert high_frequency_energy(noise).mean() == pytest.approx(1 - np.pi / 16, abs=0.02)
    assert high_frequency_energy(stripes(30, 0.1)) < 0.1  # the edges of the window are sharp
    assert high_frequency_energy(stripes(30, 0.4)) > 0.95
    assert high_frequency_energy(np.zeros((5, 5, 3))) == 0


def test_a_patch_has_neither():
    y, x = np.mgrid[-5:6, -5:6]
    patch = np.exp(-(y**2 + x**2) / 8)[..., None] * np.array([1, 0.5, 0])
    assert spatial_frequency(patch) == 0
    assert orientation(patch)[1] < 0.01
    assert orientation(np.zeros((5, 5, 3)))[1] == 0
    assert spatial_frequency(np.array([1.0, -1.0]).reshape(1, 2, 1)) == 0.5


def test_measures_keep_the_towers(random):
    kernels = random.normal(size=(2, 4, 5, 5, 3))
    measures = kernel_measures(kernels)
    assert {name: values.shape for name, values in measures.items()} == dict.fromkeys(
        (
            "colorfulness",
            "spatial_frequency",
            "high_frequency_energy",
            "orientation",
            "selectivity",
        ),
        (2, 4),
    )
    assert measures["colorfulness"][1, 2] == pytest.approx(float(colorfulness(kernels[1, 2])))


def test_permutation_test_against_all_permutations():
    values = np.array([[0.1, 0.2, 0.3], [0.25, 0.8, 0.9]])
    gaps = []
    for tower in itertools.combinations(range(6), 3):
        rest = [i for i in range(6) if i not in tower]
        gaps.append(abs(values.ravel()[list(tower)].mean() - values.ravel()[rest].mean()))
    result = permutation_test([values], permutations=20_000)
    assert result["gaps"] == [pytest.approx(0.45)]
    exact = np.mean(np.array(gaps) >= 0.45 - 1e-12)
    assert exact == 2 / 20 * 2  # this one and another, and each with the towers exchanged
    assert result["p"] == result["p_each"][0] == pytest.approx(exact, abs=0.01)
    assert result["chance"] == [pytest.approx(np.mean(gaps), abs=0.005)]


def test_towers_that_differ_in_either_sense_are_found(random):
    colorful = random.normal(0.8, 0.05, (3, 16))
    gray = random.normal(0.3, 0.05, (3, 16))
    models = [
        np.stack(pair[:: (-1) ** i]) for i, pair in enumerate(zip(colorful, gray, strict=True))
    ]
    assert permutation_test(models, permutations=999)["p"] == 1 / 1000
    alike = random.normal(0.5, 0.1, (3, 2, 16))
    assert permutation_test(alike, permutations=999)["p"] > 0.05


def test_networks_without_towers():
    layers = [
        keras.Input((8, 8, 3)),
        keras.layers.Conv2D(6, 3, name="conv1"),
        keras.layers.Conv2D(8, 3, groups=2),
        keras.layers.GroupNormalization(groups=4),
    ]
    assert layer_kernels(keras.Sequential(layers)).shape == (1, 6, 3, 3, 3)
    by_tower = LocalResponseNormalization(groups=4)
    five = [keras.Input((8, 8, 3)), keras.layers.Conv2D(5, 3, name="conv1")]
    eight = [keras.layers.Conv2D(8, 3), by_tower]
    assert layer_kernels(keras.Sequential([*five, *eight])).shape == (1, 5, 3, 3, 3)


def test_bad_arguments():
    model = keras.Sequential([keras.Input((3,), name="input"), keras.layers.Dense(2, name="dense")])
    with pytest.raises(
        ValueError, match="`model` must have a layer conv1. Received: a model with dense"
    ):
        layer_kernels(model)
    with pytest.raises(
        ValueError, match=r"three colors of an image. Received: shape \(2, 5, 5, 16\)"
    ):
        colorfulness(np.zeros((2, 5, 5, 16)))
    with pytest.raises(
        ValueError, match=r"networks of two or more towers. Received: shapes \[\(1, 16\)\]"
    ):
        permutation_test([np.zeros((1, 16))])
