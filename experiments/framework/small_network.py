"""A small trained network, for notebooks without a trained one of their own."""

from pathlib import Path

from alexnet_keras.training import training_config
from alexnet_keras.training.train import train_and_evaluate


def small_network(seed: int = 0) -> str:
    """Trains the preset `small` on `shapes`, in about a minute, unless its folder holds it.

    The folder is `runs/shapes` in the current folder, or `runs/shapes_seed1` and so on. Notebook 01
    trains the network of seed 0 in the same folder.

    Args:
        seed: seed of the training.

    Returns:
        Path of `best.keras`. Its folder has the kernels by epoch, `snapshots`.
    """
    folder = Path("runs", f"shapes_seed{seed}" if seed else "shapes")
    print(f"A small network on shapes, seed {seed}, about a minute: {folder}", flush=True)
    config = training_config("small", dataset="shapes", seed=seed)
    train_and_evaluate(config, folder, verbose=2)
    return str(folder / "best.keras")
