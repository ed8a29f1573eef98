import nbformat
import pytest

from notebooks.execute import execute

TINY = {"filters": (8, 8, 8, 8, 8, 8), "units": (16, 16)}
SETTINGS = {
    "01_train.ipynb": lambda data, folder: {
        "dataset": data,
        "preset": "cifar",
        "options": {"epochs": 1, "batch_size": 16, "overrides": TINY},
    },
    "02_relu_vs_tanh.ipynb": lambda data, folder: {
        name: [
            *("--smoke", "--dataset", data, "--batch-size", "16", "--workdir", folder),
            *("--variants", f"ReLU, {group}", f"tanh, {group}"),
        ]
        for name, group in (
            ("figure_1", "Glorot, pixels / 64"),
            ("other_inputs", "Gaussian 0.01, pixels / 64"),
        )
    },
}
PICTURES = {"01_train.ipynb": 5, "02_relu_vs_tanh.ipynb": 3}


@pytest.mark.slow
@pytest.mark.parametrize("name", SETTINGS)
def test_notebook_runs_from_end_to_end(name, tiny_npz, tmp_path):
    folder = tmp_path / "out"
    path = execute(f"notebooks/{name}", folder, SETTINGS[name](tiny_npz, str(folder)))
    notebook = nbformat.read(path, as_version=4)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert not [output for output in outputs if output.output_type == "error"]
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= PICTURES[name]
    assert list(folder.rglob("results.json"))
