"""A process with PyTorch, whose numbers `tests/test_backends.py` compares with TensorFlow's.

It takes a step, measures errors, and trains.
"""

import json
import sys

import keras
import numpy as np

from alexnet_keras import Classifier

VIEWS = ("center", "ten_crop", "dense")


def main(folder):
    """Reads `before.keras`, `batch.npz` and `tiny.npz` in a folder, and writes beside them."""
    # Imported here, as JAX uses the other function only.
    from alexnet_keras.data import Dataset
    from alexnet_keras.evaluation.evaluate import evaluate
    from experiments.train import main as train

    assert keras.backend.backend() == "torch"
    dataset = Dataset(f"{folder}/tiny.npz", 32, 28)
    network = keras.saving.load_model(f"{folder}/before.keras")
    errors = {views: evaluate(network, dataset, views, verbose=0) for views in VIEWS}
    with open(f"{folder}/errors.json", "w") as file:
        json.dump(errors, file)
    with np.load(f"{folder}/batch.npz") as batch:
        network.train_on_batch(batch["images"], batch["labels"])
    network.save(f"{folder}/after.keras")
    options = ["--backend", "torch", "--dataset", f"{folder}/tiny.npz", "--preset", "cifar"]
    options += ["--epochs", "4", "--batch-size", "16", "--pca-noise", "none"]
    options += ["--overrides", "filters=(8,8,8,8,8,8)", "units=(16,16)", "dropout=0.0"]
    results = train([*options, "--workdir", f"{folder}/run"])
    losses = [row["loss"] for row in results["history"]]
    assert losses[-1] < losses[0]
    images, _ = next(dataset.validation_images(20).as_numpy_iterator())
    np.savez(f"{folder}/predicted.npz", images=images, probabilities=probabilities(folder, images))


def probabilities(folder, images):
    """Returns the probabilities `(images, classes)` of the classifier of the training."""
    classifier = Classifier.load(f"{folder}/run")
    found = []
    for prediction in classifier.predict(images):
        values = dict(zip(prediction.names, prediction.probabilities, strict=True))
        found.append([values[name] for name in classifier.class_names])
    return np.array(found)


if __name__ == "__main__":
    main(sys.argv[1])
