from pathlib import Path

from experiments.framework import small_network as module


def test_each_seed_has_a_folder_and_seed_0_is_the_training_of_notebook_01(monkeypatch):
    trainings = []
    monkeypatch.setattr(
        module,
        "train_and_evaluate",
        lambda config, folder, verbose: trainings.append((config, folder)),
    )
    assert Path(module.small_network()) == Path("runs/shapes/best.keras")
    assert Path(module.small_network(1)) == Path("runs/shapes_seed1/best.keras")
    (config, folder), (other, other_folder) = trainings
    assert config == module.training_config("small", dataset="shapes")
    assert folder == Path("runs/shapes")
    assert other.seed == 1
    assert other_folder == Path("runs/shapes_seed1")
