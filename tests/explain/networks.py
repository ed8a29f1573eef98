"""Classifiers of hand-made networks, and their definitions in float64 NumPy."""

import keras
import numpy as np

from alexnet_keras import Classifier

SIZE = 10
CROP = 8
MEAN = (120.0, 110.0, 100.0)
NAMES = ("cat", "dog", "fox")


def classifier_of(layers, names=NAMES, **options):
    """A classifier of crops of 8x8 pixels with these layers."""
    inputs = x = keras.Input((CROP, CROP, 3))
    for layer in layers:
        x = layer(x)
    options = {"image_size": SIZE, **options}
    return Classifier.from_network(keras.Model(inputs, x), MEAN, names, **options)


def set_weights(classifier, random):
    """Sets random weights, small enough for scores of about one."""
    for weight in classifier.network.weights:
        weight.assign(random.normal(0, 1 / np.sqrt(np.prod(weight.shape[:-1]) + 9), weight.shape))


def crops_of(images):
    """Crops less the mean of prepared images, float64."""
    edge = (SIZE - CROP) // 2
    return images[:, edge : edge + CROP, edge : edge + CROP].astype("float64") - MEAN


def convolution(x, kernel, bias):
    """Valid convolution of one image `(height, width, maps)`, float64."""
    height, width = kernel.shape[:2]
    rows, columns = x.shape[0] - height + 1, x.shape[1] - width + 1
    y = np.zeros((rows, columns, kernel.shape[-1]))
    for row in range(rows):
        for column in range(columns):
            window = x[row : row + height, column : column + width]
            y[row, column] = np.tensordot(window, kernel, 3) + bias
    return y


def max_pool(x, side):
    """Max pool with windows beside each other of one image, float64."""
    rows, columns = x.shape[0] // side, x.shape[1] // side
    return x.reshape(rows, side, columns, side, -1).max((1, 3))
