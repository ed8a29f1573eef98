"""The requirements, the source distribution and the wheel."""

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from alexnet_keras.version import __version__
from tests import processes

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
# What `make setup` installs besides the core.
INSTALLED = ("tensorflow", "jax", "plots", "retrieval", "experiments", "notebooks", "dev")
FOLDERS = (".ci", ".github", "alexnet_keras", "benchmarks", "docs", "experiments", "notebooks")
FOLDERS += ("results", "tests")
NOT_COPIED = shutil.ignore_patterns(
    *(".git", ".venv", ".venv-docs", "runs", "build", "dist", "site", "*.egg-info"),
    *("__pycache__", ".cache", ".*_cache", ".ipynb_*"),
)


def requirements_of(extra):
    """Requirements of an extra, and of the extras that it names."""
    found = set()
    for requirement in map(Requirement, EXTRAS[extra]):
        if requirement.name == PROJECT["name"]:
            for other in requirement.extras:
                found |= requirements_of(other)
        else:
            found.add(str(requirement))
    return found


def stated_in(name):
    """Requirements in a file, each stated once."""
    lines = [line.partition("#")[0].strip() for line in (ROOT / name).read_text().splitlines()]
    stated = [str(Requirement(line)) for line in lines if line]
    assert len(stated) == len(set(stated))
    return set(stated)


def test_requirements_txt_is_the_core_and_the_extras():
    expected = set(PROJECT["dependencies"]).union(*map(requirements_of, INSTALLED))
    assert stated_in("requirements.txt") == {str(Requirement(r)) for r in expected}


def test_requirements_of_the_documentation_are_the_extra():
    assert stated_in("requirements-docs.txt") == requirements_of("docs")


def test_requirements_of_the_checks_fit_the_extra_torch():
    lines = (ROOT / "requirements-ci.txt").read_text().splitlines()
    (stated,) = [Requirement(each) for each in lines if not each.startswith(("#", "--"))]
    (extra,) = map(Requirement, requirements_of("torch"))
    (pin,) = stated.specifier
    assert (stated.name, pin.operator) == (extra.name, "==")
    assert extra.specifier.contains(pin.version)


def test_all_has_every_extra():
    assert requirements_of("all") == set().union(*map(requirements_of, EXTRAS))


@pytest.mark.parametrize("extra", ["jax", "torch", "plots", "retrieval"])
def test_tensorflow_comes_only_where_it_is_asked_for(extra):
    names = [Requirement(r).name for r in (*PROJECT["dependencies"], *requirements_of(extra))]
    assert not [name for name in names if "tensor" in name]


def make_setup(tmp_path, working, broken=()):
    """Returns the result of a dry run of `make setup` with some commands for Python."""
    tmp_path.mkdir(exist_ok=True)
    for name, script in (
        (working, f'exec {sys.executable} "$@"'),
        *((b, "exit 127") for b in broken),
    ):
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    command = [shutil.which("make"), "--dry-run", "--always-make", "setup"]
    environment = {"PATH": str(tmp_path)}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


def test_make_takes_the_first_python_that_runs(tmp_path):
    result = make_setup(tmp_path, "python3.13", broken=["python3.11", "python3.12"])
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("python3.13 -m venv .venv\n")
    result = make_setup(tmp_path / "old", "python3.10")
    assert result.returncode > 0
    assert "Python 3.11, 3.12 or 3.13 is needed and not found" in result.stderr


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    """The source distribution of a copy of this checkout, unpacked."""
    pytest.importorskip("setuptools", minversion="77", reason="older ones can't build it")
    folder = tmp_path_factory.mktemp("sdist")
    shutil.copytree(ROOT, folder / "checkout", ignore=NOT_COPIED)
    name = build("sdist", folder / "checkout", folder)
    with tarfile.open(folder / name) as archive:
        archive.extractall(folder, filter="data")
    return folder / name.removesuffix(".tar.gz")


def build(kind, source, target):
    """Builds a distribution as pip does, without the network; returns the name of the file."""
    code = f"from setuptools import build_meta; print(build_meta.build_{kind}({str(target)!r}))"
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, cwd=source, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()[-1]


def files_in(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_the_sdist_has_all_files(unpacked):
    checkout = unpacked.parent / "checkout"
    for name in FOLDERS:
        assert files_in(unpacked / name) == files_in(checkout / name)
    for name in ("Makefile", "LICENSE", ".gitignore", "requirements.txt", "README.md"):
        assert (unpacked / name).read_bytes() == (ROOT / name).read_bytes()


@pytest.fixture(scope="module")
def wheel(unpacked):
    return unpacked.parent / build("wheel", unpacked, unpacked.parent)


def test_the_wheel_has_both_packages_and_the_stored_results(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    expected = {"alexnet_command.py"}
    for package in ("alexnet_keras", "experiments"):
        expected |= {f"{package}/{name}" for name in files_in(ROOT / package)}
    expected = {name for name in expected if "__pycache__" not in name}
    stored = {name for name in files_in(ROOT / "results") if name.endswith((".json", ".md"))}
    assert "depth/results.json" in stored
    expected |= {f"experiments/stored_results/{name}" for name in stored}
    assert {name for name in names if ".dist-info/" not in name} == expected
    assert "alexnet_keras/py.typed" in names


@pytest.mark.slow
def test_a_notebook_runs_in_an_empty_folder_with_the_wheel(wheel, tmp_path, monkeypatch, capsys):
    pytest.importorskip("nbclient")
    from notebooks.execute import execute

    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    before = files_in(tmp_path / "site")
    content = json.loads(execute(ROOT / "notebooks" / "09_vgg.ipynb", "out").read_text())
    outputs = [output for cell in content["cells"] for output in cell.get("outputs", ())]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 3
    assert capsys.readouterr().out.count("Nothing is trained") == 2
    assert {"vgg_depth/results.json", "benchmarks/networks.md"} <= files_in(Path("results"))
    after = files_in(tmp_path / "site")
    assert {name for name in after - before if not name.endswith(".pyc")} == set()


def core_distributions():
    """Distributions that the core and JAX require, directly or not."""
    waiting = [Requirement(r).name for r in (*PROJECT["dependencies"], *EXTRAS["jax"])]
    found = {}
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name in found:
            continue
        found[name] = metadata.distribution(name)
        required = map(Requirement, found[name].requires or ())
        waiting += [
            r.name for r in required if r.marker is None or r.marker.evaluate({"extra": ""})
        ]
    return found


@pytest.fixture(scope="module")
def environment(wheel):
    """Environment variables of a Python that sees the wheel, the core and JAX, and nothing else."""
    folder = wheel.parent
    (folder / "core").mkdir()
    for distribution in core_distributions().values():
        for name in {file.parts[0] for file in distribution.files} - {"..", "__pycache__"}:
            (folder / "core" / name).symlink_to(distribution.locate_file(name))
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
    subprocess.run([*command, "--target", folder / "site", wheel], check=True)
    paths = os.pathsep.join([str(folder / "site"), str(folder / "core")])
    return {
        "PYTHONPATH": paths,
        "HOME": str(folder),
        "KERAS_BACKEND": "jax",
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": processes.COMPILE_FAST,
    }


def run(environment, *arguments):
    """Runs Python without its own site-packages, in an empty folder."""
    folder = Path(environment["HOME"]) / "empty"
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-S", *map(str, arguments)]
    return subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True)


USE = """
import importlib.util
import alexnet_keras, keras, numpy
for module in ("tensorflow", "torch", "matplotlib", "faiss"):
    assert importlib.util.find_spec(module) is None, module
model = alexnet_keras.AlexNet("cifar", classes=3, filters=(4,) * 6, units=(8, 8))
predicted = model.predict(numpy.ones((1, 32, 32, 3), "float32"), verbose=0)
numpy.testing.assert_allclose(predicted.sum(), 1, rtol=1e-5)
model.save("model.keras")
for loaded, saved in zip(
    keras.saving.load_model("model.keras").get_weights(), model.get_weights(), strict=True
):
    numpy.testing.assert_array_equal(loaded, saved)
for use in (
    lambda: alexnet_keras.data.load("cifar10"),
    lambda: importlib.import_module("alexnet_keras.plots"),
    lambda: importlib.import_module("alexnet_keras.retrieval"),
):
    try:
        use()
    except ImportError as error:
        print(error)
print(alexnet_keras.__file__)
"""


@pytest.mark.slow
def test_the_wheel_works_with_the_core_alone(environment):
    result = run(environment, "-c", USE)
    assert result.returncode == 0, result.stderr
    *messages, path = result.stdout.splitlines()
    assert messages == [
        "reading TFDS data sets, image folders and .npz files needs TensorFlow: "
        "pip install 'alexnet_keras[tensorflow]'",
        "drawing figures needs Matplotlib: pip install 'alexnet_keras[plots]'",
        "searching for neighbors needs Faiss: pip install 'alexnet_keras[retrieval]'",
    ]
    assert Path(path).is_relative_to(Path(environment["HOME"]) / "site")


def test_the_command_of_the_wheel(environment):
    script = Path(environment["HOME"]) / "site" / "bin" / "alexnet"
    result = run(environment, script, "--help")
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("usage: alexnet")
    result = run({**environment, "KERAS_BACKEND": "tensorflow"}, script, "info")
    assert result.returncode == 1
    assert result.stdout.startswith(f"alexnet_keras {__version__}, Python ")
    assert result.stderr.splitlines()[-1] == (
        "alexnet info: the backend of Keras (KERAS_BACKEND chooses it) needs TensorFlow: "
        "pip install 'alexnet_keras[tensorflow]'"
    )


def test_the_import_adds_to_keras_only_the_progress_bar():
    code = (
        "import sys, keras\n"
        "before = {name.partition('.')[0] for name in sys.modules}\n"
        "import alexnet_keras\n"
        "added = {name.partition('.')[0] for name in sys.modules} - before\n"
        "print(sorted(added - sys.stdlib_module_names))\n"
    )
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "['alexnet_keras', 'tqdm']"
