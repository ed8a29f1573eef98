import base64
import copy
import io
import json
import shutil
import subprocess
from pathlib import Path

import nbformat
import numpy as np
import pytest
from PIL import Image

from alexnet_keras import AlexNet, Classifier
from alexnet_keras.analysis import KernelSnapshots
from notebooks.execute import _smaller, execute
from notebooks.first_cells import with_first_cells
from tests import processes

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
NAMES = sorted(path.name for path in NOTEBOOKS.glob("*.ipynb"))
TINY = {"filters": (8, 8, 8, 8, 8, 8), "units": (16, 16)}


def trained(folder):
    """A tiny network as a training leaves it, with its kernels by epoch."""
    model = AlexNet("cifar", classes=4, input_shape=(28, 28, 3), **TINY)
    folder.mkdir()
    model.save(folder / "best.keras")
    snapshots = KernelSnapshots(folder / "kernels_by_epoch")
    snapshots.set_model(model)
    snapshots.on_epoch_end(0)
    return str(folder / "best.keras")


def classifier(folder):
    """A classifier with a tiny network, in a file."""
    network = AlexNet("cifar", classes=4, input_shape=(28, 28, 3), **TINY)
    names = ("dark", "red", "green", "yellow")
    made = Classifier.from_network(network, (100, 100, 100), names, image_size=32)
    made.save(folder / "classifier.keras")
    return str(folder / "classifier.keras")


def stored(folder, *experiments):
    """Arguments of experiments that train nothing, with copies of their stored results."""
    for name in experiments:
        Path(folder, name).mkdir(parents=True)
        shutil.copy(NOTEBOOKS.parent / "results" / name / "results.json", Path(folder, name))
    return ["--workdir", folder]


SETTINGS = {
    "01_train.ipynb": lambda data, folder: {
        "dataset": data,
        "preset": "cifar",
        "options": {"epochs": 1, "batch_size": 16, "overrides": TINY},
    },
    "02_relu_vs_tanh.ipynb": lambda data, folder: {
        "figure_1": stored(folder, "relu_vs_tanh"),
        "settings_of_2012": stored(folder, "relu_vs_tanh_settings"),
        "third_curve": stored(folder, "relu_vs_sigmoid"),
        "other_inputs": stored(folder, "relu_vs_tanh_inputs"),
        "images": data,
    },
    "03_overlapping_pooling.ipynb": lambda data, folder: {
        "arguments": [
            *("--smoke", "--seeds", "0", "--dataset", data),
            *("--batch-size", "16", "--workdir", folder),
        ],
    },
    "04_depth.ipynb": lambda data, folder: {"arguments": stored(folder, "depth")},
    "05_ablations.ipynb": lambda data, folder: {
        "arguments": stored(
            folder,
            *("response_normalization", "towers", "augmentation", "dropout", "weight_decay"),
            *("initialization", "ten_crops"),
        ),
    },
    "06_kernels.ipynb": lambda data, folder: {
        "weights": [trained(Path(folder).parent / "run")],
        "snapshots": str(Path(folder).parent / "run" / "kernels_by_epoch"),
        "options": ["--dataset", data, "--image-size", "32"],
    },
    "07_predictions_and_retrieval.ipynb": lambda data, folder: {
        "weights": trained(Path(folder).parent / "run"),
        "options": ["--dataset", data, "--image-size", "32"],
        "codes_options": [
            "--bits",
            "16",
            "--epochs",
            "1",
            "--hidden",
            "8",
            "--random-codes",
            "1000",
        ],
    },
    "08_transfer_and_ensembles.ipynb": lambda data, folder: {
        "models": [trained(Path(folder).parent / run) for run in ("one", "another")],
        "options": ["--dataset", data, "--image-size", "32"],
        "arguments": stored(folder, "fine_tune"),
    },
    "10_your_own_photos.ipynb": lambda data, folder: {"options": {"epochs": 2}},
    "11_explain.ipynb": lambda data, folder: {
        "classifier_path": classifier(Path(folder).parent),
        "dataset": data,
        "count": 20,
    },
}
# Executed in their own folder, as Jupyter does; the others in the root. test_packaging.py executes
# 09 in an empty folder, with the wheel.
IN_OWN_FOLDER = {
    "06_kernels.ipynb",
    "07_predictions_and_retrieval.ipynb",
    "10_your_own_photos.ipynb",
}
WITH_WHEEL = {"09_vgg.ipynb"}
PICTURES = {
    "01_train.ipynb": 5,
    "02_relu_vs_tanh.ipynb": 5,
    "03_overlapping_pooling.ipynb": 1,
    "04_depth.ipynb": 1,
    "05_ablations.ipynb": 8,
    "06_kernels.ipynb": 6,
    "07_predictions_and_retrieval.ipynb": 4,
    "08_transfer_and_ensembles.ipynb": 3,
    "10_your_own_photos.ipynb": 4,
    "11_explain.ipynb": 8,
}
# How often they say that all runs of an experiment are stored. Notebook 03 trains its runs.
STORED = {
    "02_relu_vs_tanh.ipynb": 4,
    "04_depth.ipynb": 1,
    "05_ablations.ipynb": 7,
    "08_transfer_and_ensembles.ipynb": 1,
}
WITHOUT_RESULTS = {"11_explain.ipynb"}  # it shows pictures, and measures nothing


@pytest.fixture
def forked_kernels(monkeypatch):
    """Kernels fork off a process with the imports, as all processes of `tests.processes` do."""

    def launch(command, env=None, cwd=None, **options):
        arguments = command[command.index("-m") :]
        streams = {"stdin": subprocess.DEVNULL, "start_new_session": True}
        return processes.start(arguments, env=env, cwd=cwd, **streams)

    monkeypatch.setattr("jupyter_client.provisioning.local_provisioner.launch_kernel", launch)


@pytest.mark.slow(20)
@pytest.mark.parametrize("name", SETTINGS)
def test_notebook_runs_from_end_to_end(name, tiny_npz, tmp_path, monkeypatch, forked_kernels):
    folder = tmp_path / "out"
    monkeypatch.chdir(NOTEBOOKS if name in IN_OWN_FOLDER else NOTEBOOKS.parent)
    path = execute(NOTEBOOKS / name, folder, SETTINGS[name](tiny_npz, str(folder)))
    notebook = nbformat.read(path, as_version=4)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert not [output for output in outputs if output.output_type == "error"]
    kinds = {"image/png", "image/jpeg"}
    assert sum(bool(kinds & set(output.get("data", {}))) for output in outputs) >= PICTURES[name]
    printed = "".join(output.get("text", "") for output in outputs)
    assert printed.count("Nothing is trained") == STORED.get(name, 0)
    assert list(folder.rglob("results.json")) or name in WITHOUT_RESULTS
    figures = {"curves.png", "kernels.png"} if name == "01_train.ipynb" else set()
    assert figures <= {path.name for path in folder.rglob("*.png")}


def test_every_notebook_is_executed():
    assert sorted({*SETTINGS, *WITH_WHEEL}) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_first_cells_are_as_the_command_writes_them(name):
    text = (NOTEBOOKS / name).read_text(encoding="utf-8")
    assert with_first_cells(text, name) == text
    cells = nbformat.reads(text, as_version=4).cells
    first = cells[0].source
    assert first.count("pip install") == 3 and "google.colab" in first
    assert not any("pip install" in cell.source for cell in cells[1:])


def test_badges_and_installation_follow_the_address():
    name = "04_depth.ipynb"
    without = with_first_cells((NOTEBOOKS / name).read_text(encoding="utf-8"), name, "")
    text = with_first_cells(without, name, "https://github.com/someone/nets")
    install, title = nbformat.reads(text, as_version=4).cells[:2]
    assert title.source.startswith(
        "# Depth\n\n[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]"
        "(https://colab.research.google.com/github/someone/nets/blob/main/notebooks/04_depth.ipynb)"
        "\n\nSection 7 of the paper"
    )
    assert '"alexnet_keras[experiments] @ git+https://github.com/someone/nets"' in install.source
    other = with_first_cells(text, name, "https://github.com/other/nets/")
    assert "someone" not in other and "github/other/nets/blob" in other
    assert with_first_cells(other, name, "") == without
    with pytest.raises(ValueError, match="`repository` must be '' or begin with https://github"):
        with_first_cells(text, name, "https://gitlab.com/someone/nets")


@pytest.mark.parametrize(
    ("name", "training"),
    [
        ("06_kernels.ipynb", "train_imagenette"),
        ("07_predictions_and_retrieval.ipynb", "train_imagenette_source"),
        ("11_explain.ipynb", "train_imagenette"),
    ],
)
def test_the_command_of_the_shown_network_is_the_stored_one(name, training):
    results = NOTEBOOKS.parent / "results" / training / "results.json"
    command = json.loads(results.read_text())["command"]
    cells = nbformat.read(NOTEBOOKS / name, as_version=4).cells
    assert command in " ".join(cells[1].source.replace("\\\n", "").split())


def as_output(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    data = {"image/png": base64.b64encode(file.getvalue()).decode()}
    return nbformat.v4.new_output("display_data", data=data)


def size_and_pixels(output):
    ((kind, text),) = output["data"].items()
    content = base64.b64decode(text)
    with Image.open(io.BytesIO(content)) as image:
        assert f"image/{image.format.lower()}" == kind
        return len(content), np.asarray(image.convert("RGB"), float)


def test_large_photographs_are_kept_small_and_keep_their_colors(random):
    ramp = np.linspace(0, 255, 600)
    gradients = [np.outer(ramp, ramp) / 255, np.outer(ramp[::-1], ramp) / 255]
    colors = np.stack([*gradients, np.tile(ramp, (600, 1))], -1)
    pixels = np.clip(colors + random.normal(0, 8, colors.shape), 0, 255).astype("uint8")
    small = as_output(pixels[:50, :50])
    assert _smaller(copy.deepcopy(small)) == small
    large = as_output(pixels)
    size, after = size_and_pixels(_smaller(copy.deepcopy(large)))
    assert size < 0.5 * size_and_pixels(large)[0]
    assert np.abs((after - pixels).reshape(60, 10, 60, 10, 3).mean((1, 3))).max() < 2


def test_large_drawings_are_kept_small_and_keep_their_edges(random):
    # Drawings have few colors: white, black, a blue, and mixtures at the edges.
    shades = np.linspace(0, 255, 300).astype("uint8")
    palette = np.stack([shades, shades, np.full_like(shades, 255)], -1)
    pixels = palette[random.randint(0, 300, (400, 400))]
    large = as_output(pixels)
    size, after = size_and_pixels(_smaller(copy.deepcopy(large)))
    assert size < size_and_pixels(large)[0]
    assert np.abs(after - pixels).max() <= 8
