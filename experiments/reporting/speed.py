"""How fast training is beside other libraries, from the stored benchmarks."""

from pathlib import Path

from alexnet_keras.files import read_json
from alexnet_keras.plots.style import new_figure
from benchmarks import harness
from benchmarks.training import measured_groups
from benchmarks.training_steps import FULL_SIZE, IMPLEMENTATIONS

_ALEXNET_KERAS = ("alexnet_keras", "alexnet_keras_jax")
_PYTORCH = ("pytorch_compile", "pytorch")
_OTHERS = ("tensorflow_split", "tensorflow", *_PYTORCH, "keras")


def speed_sentences(workdir):
    """Returns sentences on training with two CPU cores and with a GPU, against PyTorch."""
    subjects = ("alexnet_keras", "it")
    sentences = zip(subjects, _panels(workdir), strict=True)
    return " ".join(_sentence(subject, *panel) for subject, panel in sentences)


def speed_figure(workdir):
    """Returns a figure of the training throughput of all libraries, a panel for each machine."""
    panels = _panels(workdir)
    sizes = [len(_names(group)) for _, group in panels]
    figure, axes = new_figure(len(panels), 1, (8, 1.6 + 0.36 * sum(sizes)), height_ratios=sizes)
    for axis, (stored, group) in zip(axes, panels, strict=True):
        _draw(axis, stored, group)
    axes[-1].set_xlabel("training, images per second (bar: median; whisker: range)")
    return figure


def _panels(workdir):
    """The stored benchmarks and their groups: float32 on a CPU, bfloat16 on a GPU.

    Raises:
        ValueError: for a benchmark without this group, or a group without one of both libraries.
    """
    panels = []
    for folder, precision, batch_size in (("", "float32", 128), ("h200", "bfloat16", 2048)):
        path = Path(workdir) / "benchmarks" / folder / "training.json"
        stored = read_json(path, "groups")
        group = _group(path, stored, (FULL_SIZE, precision, batch_size))
        for names in (_ALEXNET_KERAS, _PYTORCH):
            if not any(name in group["implementations"] for name in names):
                raise ValueError(
                    f"{path} must have one of the implementations {', '.join(names)} in "
                    f"{precision}, batch size {batch_size}. "
                    f"Received: {', '.join(group['implementations'])}"
                )
        panels.append((stored, group))
    return panels


def _group(path, stored, requested):
    """Returns the stored group of a network, a precision and a batch size."""
    settings = []
    for group in measured_groups(stored):
        setting = (group["network"], group["precision"], group["batch_size"])
        if setting == requested:
            return group
        settings.append(setting)
    raise ValueError(
        f"{path} must have {_setting_text(requested)}. "
        f"Received: {'; '.join(map(_setting_text, settings))}"
    )


def _setting_text(setting):
    network, precision, batch_size = setting
    return f"{network} in {precision}, batch size {batch_size}"


def _sentence(subject, stored, group):
    speeds = {name: _speed(group, name)[0] for name in _names(group)}
    fastest = max(speed for name, speed in speeds.items() if name in _ALEXNET_KERAS)
    pytorch = max(speed for name, speed in speeds.items() if name in _PYTORCH)
    digits = 0 if fastest > 1000 else 1
    return (
        f"On {_machine(stored)}, {subject} trains {fastest:,.{digits}f} images per second "
        f"({group['precision']}, batches of {group['batch_size']}): {fastest / pytorch:.2f} times "
        "PyTorch's best."
    )


def _draw(axis, stored, group):
    names = sorted(_names(group), key=lambda name: _speed(group, name))
    speeds = [_speed(group, name) for name in names]
    ranges = [
        [median - low for median, low, _ in speeds],
        [high - median for median, _, high in speeds],
    ]
    labels = [IMPLEMENTATIONS[name].label for name in names]
    colors = ["C0" if name in _ALEXNET_KERAS else "0.65" for name in names]
    medians = [median for median, _, _ in speeds]
    axis.barh(labels, medians, xerr=ranges, color=colors, error_kw={"capsize": 3})
    for number, (median, _, high) in enumerate(speeds):
        text = f"{median:,.0f}" if median > 1000 else f"{median:.1f}"
        axis.annotate(text, (high, number), (6, 0), textcoords="offset points", va="center")
    axis.set_title(
        f"{_machine(stored)}: {group['precision']}, batches of {group['batch_size']}", loc="left"
    )
    axis.set_xlim(0, 1.15 * max(medians))
    axis.xaxis.set_major_formatter("{x:,.0f}")
    axis.grid(False, axis="y")


def _names(group):
    """The implementations that are shown."""
    return [name for name in (*_ALEXNET_KERAS, *_OTHERS) if name in group["implementations"]]


def _machine(stored):
    """The GPU, or the processor, that a benchmark ran on."""
    processor = stored["machine"]["processor"]
    device = stored["device"].partition(" on ")[2]
    return (
        f"{stored['machine']['cores']} cores of an {processor}"
        if device == processor
        else f"one {device}"
    )


def _speed(group, name):
    """Median, least and greatest images per second in training."""
    return harness.summary(group["implementations"][name]["rounds"], "training")
