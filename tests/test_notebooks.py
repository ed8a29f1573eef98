import nbformat
import pytest

from notebooks.execute import execute

TINY = {
    "01_train.ipynb": {
        "preset": "cifar",
        "options": {"epochs": 1, "batch_size": 16, "overrides": {"filters": (8, 8, 8, 8, 8, 8), "units": (16, 16)}},
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("name", TINY)
def test_notebook_runs_from_end_to_end(name, tiny_npz, tmp_path):
    path = execute(f"notebooks/{name}", tmp_path / "out", {"dataset": tiny_npz, **TINY[name]})
    notebook = nbformat.read(path, as_version=4)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert not [output for output in outputs if output.output_type == "error"]
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 5
    assert (tmp_path / "out" / "results.json").exists()
