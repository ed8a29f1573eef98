"""The console command `alexnet`: help without Keras, errors, missing extras, and `info`."""

import argparse
import dataclasses
import importlib
import importlib.util
import platform
import re
import subprocess
import sys
from importlib import metadata

import keras
import pytest

import alexnet_command
from alexnet_keras import AlexNet, cli
from alexnet_keras.cli.command import parse
from alexnet_keras.cli.info import info
from alexnet_keras.training.config import TrainingConfig
from alexnet_keras.version import __version__
from tests.experiments.test_start import HEAVY

# Libraries that take long to import.
SLOW = (*HEAVY, "torch", "tensorflow_datasets")
# Prints the help of a command while these libraries can't be imported.
HELP = f"""
import sys
from importlib import metadata
for name in {SLOW}:
    sys.modules[name] = None
import alexnet_command
try:
    alexnet_command.main(sys.argv[1:])
finally:
    assert "alexnet_keras" not in sys.modules  # so that a later import runs its __init__.py
"""


@pytest.mark.parametrize("words", [[], *([name] for name in cli.COMMANDS)], ids=str)
def test_help_comes_without_slow_imports(words):
    command = [sys.executable, "-c", HELP, *words, "--help"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith(f"usage: {' '.join(['alexnet', *words])} ")


def test_help_names_each_command(capsys):
    with pytest.raises(SystemExit):
        alexnet_command.main(["--help"])
    lines = capsys.readouterr().out.splitlines()
    for name, text in cli.COMMANDS.items():
        assert f"    {name:9s} {text}" in lines


def test_an_unknown_command_is_an_error(capsys):
    for arguments in ([], ["trian"]):
        with pytest.raises(SystemExit) as end:
            alexnet_command.main(arguments)
        assert end.value.code == 2
    assert "invalid choice: 'trian'" in capsys.readouterr().err


def test_version(capsys):
    with pytest.raises(SystemExit, match="0"):
        alexnet_command.main(["--version"])
    assert capsys.readouterr().out == f"alexnet_keras {__version__}\n"


def options_by_group(text):
    """Dict from the headings of a help to the options below them."""
    groups = {}
    for line in text.splitlines():
        heading = re.fullmatch(r"(\w+):", line)
        option = re.match(r"  (--[\w-]+)", line)
        if heading:
            groups[heading[1]] = []
        elif option:
            groups[list(groups)[-1]].append(option[1])
    return groups


def test_help_of_the_training_is_in_groups(capsys):
    with pytest.raises(SystemExit):
        alexnet_command.main(["train", "--help"])
    groups = options_by_group(capsys.readouterr().out)
    assert list(groups) == ["options", "data", "network", "training", "devices", "evaluation"]
    for group, option in (
        ("data", "--image-size"),
        ("network", "--preset"),
        ("training", "--epochs"),
        ("training", "--workdir"),
        ("devices", "--precision"),
        ("devices", "--backend"),
        ("evaluation", "--test-views"),
    ):
        assert option in groups[group]
    options = [option for found in groups.values() for option in found]
    for field in dataclasses.fields(TrainingConfig):
        assert options.count(f"--{field.name.replace('_', '-')}") == 1


@pytest.mark.parametrize("field", dataclasses.fields(TrainingConfig), ids=lambda field: field.name)
def test_an_option_is_explained_in_one_sentence(field):
    text = field.metadata["help"]
    assert not re.search(r"[.;] |\.$", text)
    units = {"image_size": "pixels", "crop_size": "pixels", "scale_jitter": "pixels"}
    units |= {"checkpoint_minutes": "minutes", "memory_gib": "GiB", "lr_milestones": "0 to 1"}
    assert units.get(field.name, "") in text


@pytest.mark.parametrize("name", ["train", "evaluate", "export"])
def test_the_commands_run_from_a_checkout_too(name, capsys):
    outputs = []
    for main, arguments in (
        (importlib.import_module(f"experiments.{name}").main, ["--help"]),
        (alexnet_command.main, [name, "--help"]),
    ):
        with pytest.raises(SystemExit):
            main(arguments)
        outputs.append(" ".join(capsys.readouterr().out.split()))
    assert (
        outputs[0].replace(f"usage: python -m experiments.{name}", f"usage: alexnet {name}")
        == outputs[1]
    )


@pytest.fixture
def without_extras(monkeypatch):
    """Hides Matplotlib and SciPy from the search for modules."""
    find_spec = importlib.util.find_spec

    def find_others(name, package=None):
        return None if name in ("matplotlib", "scipy") else find_spec(name, package)

    monkeypatch.setattr("importlib.util.find_spec", find_others)


def test_a_training_without_matplotlib_says_so_first(without_extras, monkeypatch, capsys, tmp_path):
    def train_and_evaluate(config, workdir, *, command, **options):
        print(f"{command}, {config.epochs} epochs")
        return {"errors": {}}

    monkeypatch.setattr("alexnet_keras.training.train.train_and_evaluate", train_and_evaluate)
    workdir = str(tmp_path / "run")
    # A script exits with what this returns.
    assert alexnet_command.main(["train", "--epochs", "2", "--workdir", workdir]) is None
    assert capsys.readouterr().out.splitlines() == [
        "No figures: drawing curves.png and kernels.png needs Matplotlib: "
        "pip install 'alexnet_keras[plots]'. Rerun the same command to draw them",
        f"alexnet train --epochs 2 --workdir {workdir}, 2 epochs",
    ]


def test_a_missing_extra_is_said_before_any_work(without_extras):
    with pytest.raises(SystemExit) as end:
        alexnet_command.main(["evaluate", "--models", "none.keras", "neither.keras"])
    assert end.value.code == (
        "alexnet evaluate: comparing several networks needs SciPy, Matplotlib: "
        "pip install 'alexnet_keras[experiments,plots]'"
    )


def test_info_of_the_machine(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("ALEXNET_KERAS_CACHE", str(tmp_path / "cache"))
    alexnet_command.main(["info"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"alexnet_keras {__version__}, Python {platform.python_version()}"
    assert f"keras {keras.__version__}, " in lines[1]
    assert f"Backend: {keras.backend.backend()}" in lines
    assert lines[-2].endswith(f": {tmp_path / 'data'}")
    assert lines[-1].endswith(f": {tmp_path / 'cache'}")


def test_info_names_variants_of_the_libraries(capsys, monkeypatch):
    versions = {"tensorflow-cpu": "9.1", "faiss-gpu": "9.2", "keras": "9.3"}

    def version(name):
        if name in versions:
            return versions[name]
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr("alexnet_keras.cli.info.metadata.version", version)
    alexnet_command.main(["info"])
    printed = capsys.readouterr().out
    assert "Installed: keras 9.3, tensorflow-cpu 9.1, faiss-gpu 9.2\n" in printed
    assert "tensorflow," not in printed.partition("Not installed: ")[2].partition("\n")[0]


def test_info_of_a_network(tmp_path):
    path = str(tmp_path / "model.keras")
    AlexNet("cifar", classes=3, filters=(4,) * 6, units=(8, 8)).save(path)
    lines = [line.split() for line in info(path).splitlines()]
    # conv1: 4 kernels of 5x5x3, and 4 biases. fc8: 3 units that see 8, and 3 biases.
    conv1 = next(words for words in lines if words[:1] == ["conv1"])
    fc8 = next(words for words in lines if words[:1] == ["fc8"])
    assert conv1 == ["conv1", "GroupedConv2D", "(None,", "32,", "32,", "4)", "304"]
    assert fc8 == ["fc8", "FullyConnected", "(None,", "3)", "27"]
    after = lines.index("Implementations on this machine, 128 images in a batch:".split())
    assert [words[0] for words in lines[after + 1 :]].count("conv1") == 1


@pytest.mark.parametrize("name", ["text.keras", "missing.keras", "unbuilt.keras"])
def test_info_names_a_file_that_is_no_network(name, tmp_path):
    (tmp_path / "text.keras").write_text("no model")
    keras.Sequential([keras.layers.Dense(4)]).save(tmp_path / "unbuilt.keras")
    path = str(tmp_path / name)
    with pytest.raises(SystemExit) as end:
        alexnet_command.main(["info", path])
    assert end.value.code.startswith("alexnet info: `file` must be")
    assert f"Received: file={path!r}" in end.value.code


def test_a_tilde_is_the_home_folder_after_an_equals_sign_too(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    parser = argparse.ArgumentParser()
    parser.add_argument("--workdir")
    parser.add_argument("--models", nargs="+")
    parser.add_argument("--epochs", type=int)
    words = ["--workdir=~/run", "--models", "~/a.keras", "~b.keras", "--epochs", "3"]
    assert vars(parse(parser, words)) == {
        "workdir": str(tmp_path / "run"),
        "models": [str(tmp_path / "a.keras"), "~b.keras"],
        "epochs": 3,
    }
