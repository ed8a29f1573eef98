"""Tables of stored trainings and exports, for the documentation."""

from pathlib import Path

from alexnet_keras.files import read_json

_TRAININGS = (  # folder, what it is
    ("train_shapes", "`shapes` (`make train`)"),
    ("train_cifar10", "CIFAR-10"),
    ("train_imagenette", "Imagenette (224x224)"),
    ("train_tiny_imagenet", "Tiny ImageNet, second of [two trainings](models/tiny_imagenet.md)"),
)
_FIRST_EPOCHS = (
    ("train_imagenette_source", "`source`: N(0, 0.03) in conv3-conv5"),
    ("train_imagenette_initialization", "the same with the paper's N(0, 0.01) there"),
    ("train_imagenette_paper", "`paper`, with the color noise of the source"),
    ("train_imagenette_paper_letter", "`paper`, with its own color noise"),
)
_FORMATS = {
    "keras": "Keras, with the optimizer's state",
    "saved_model": "SavedModel",
    "onnx": "ONNX",
    "float16": "TFLite, float16",
    "int8": "TFLite, int8",
}


def trainings_table(workdir):
    """Returns the top-1 / top-5 errors of the stored trainings, a row for each."""
    lines = [
        "| data | preset | epochs, batch | center crop | ten crops | machine |",
        "|---|---|---|---|---|---|",
    ]
    for folder, words in _TRAININGS:
        results = _read(workdir, folder)
        config = results["config"]
        preset = config["preset"]
        run = f"{config['epochs']}, {config['batch_size']}"
        views = [_errors(results["errors"].get(view)) for view in ("center", "ten_crop")]
        lines.append(
            f"| {words} | `{preset}` | {run} | {' | '.join(views)} "
            f"| {results['machine']['processor']} |"
        )
    return "\n".join(lines)


def first_epochs_table(workdir):
    """Returns loss and error after one epoch, from the source's settings to the paper's."""
    lines = ["| settings | validation loss | top-1 error |", "|---|---|---|"]
    for folder, words in _FIRST_EPOCHS:
        epoch = _read(workdir, folder)["history"][0]
        lines.append(f"| {words} | {epoch['val_loss']:.3f} | {epoch['val_top1_error']:.1f}% |")
    return "\n".join(lines)


def export_table(workdir):
    """Returns size, speed and differences of the exported formats."""
    lines = [
        "| format | MB | images/s | largest difference of a probability | same prediction |",
        "|---|---|---|---|---|",
    ]
    for kind, figures in _read(workdir, "export")["formats"].items():
        cells = [
            _FORMATS[kind],
            f"{figures['megabytes']:.0f}",
            f"{figures['images_per_second']:.0f}",
        ]
        cells += ["", ""] if kind == "keras" else _differences(figures)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _read(workdir, folder):
    return read_json(Path(workdir) / folder / "results.json")


def _errors(errors):
    return (
        "not measured"
        if errors is None
        else f"{errors['top1_error']:.2f}% / {errors['top5_error']:.2f}%"
    )


def _differences(figures):
    difference = figures["largest_difference"]
    return [f"{difference:.1e}" if difference else "0", f"{figures['same_top1']:.1f}%"]
