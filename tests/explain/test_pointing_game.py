"""The pointing game: whether the largest value of Grad-CAM lies on the object.

Reference: Zhang et al., "Top-down Neural Attention by Excitation Backprop" (2016).
"""

import keras
import numpy as np

from alexnet_keras import Classifier
from alexnet_keras.data.drawing import draw_with_mask
from alexnet_keras.explain import grad_cam

LABELS = (0, 1, 2)  # an orange and a blue ball, and a green triangle


def draw_images(count, seed):
    """Images of `shapes` on cluttered backgrounds, their labels, and the masks of the objects."""
    labels = np.arange(count) % len(LABELS)
    pairs = [draw_with_mask(LABELS[k], (seed, i)) for i, k in enumerate(labels)]
    images, masks = (np.stack(arrays) for arrays in zip(*pairs, strict=True))
    return images, labels, masks


def test_points_at_the_object():
    keras.utils.set_random_seed(0)
    images, labels, _ = draw_images(300, seed=5)
    mean = images.mean((0, 1, 2))
    inputs = x = keras.Input((64, 64, 3))
    x = keras.layers.Rescaling(1 / 64)(x)
    x = keras.layers.Conv2D(16, 5, 2, activation="relu")(x)
    x = keras.layers.Conv2D(16, 3, 2, activation="relu")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    network = keras.Model(inputs, keras.layers.Dense(len(LABELS))(x))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(keras.optimizers.Adam(0.01), loss)
    network.fit(images - mean.astype("float32"), labels, batch_size=20, epochs=12, verbose=0)
    classifier = Classifier.from_network(network, mean, ["orange", "blue", "green"], image_size=64)

    images, labels, masks = draw_images(200, seed=6)
    hits = []
    for label, name in enumerate(classifier.class_names):
        explained = grad_cam(classifier, images[labels == label], name)
        for explanation, mask in zip(explained, masks[labels == label], strict=True):
            hits.append(mask.ravel()[explanation.map.argmax()])
    # A random pixel would hit one time in eight.
    assert masks.mean() < 0.15
    assert len(hits) == 200 and np.mean(hits) > 0.9
