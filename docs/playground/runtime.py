"""Puts network and ONNX Runtime Web into the site, for the page "AlexNet in the browser".

The network is a file of the package's weights. ONNX Runtime Web comes from npm's registry once,
without npm. Its hash is checked at each build.
"""

import base64
import gzip
import hashlib
import tarfile
import urllib.request
from pathlib import Path

VERSION = "1.30.0"
URL = f"https://registry.npmjs.org/onnxruntime-web/-/onnxruntime-web-{VERSION}.tgz"
# The registry's `integrity`.
SHA512 = "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
CACHE = Path(__file__).parents[2] / ".cache"
NETWORK = Path(__file__).parents[2] / "alexnet_keras" / "weights" / "playground.onnx.gz"
LICENSE = Path(__file__).with_name("onnxruntime_license.txt")
_SECONDS = 60  # without an answer


def on_files(files, config):
    """Adds the network and the runtime to the site: a hook of MkDocs."""
    from mkdocs.exceptions import PluginError
    from mkdocs.structure.files import File

    try:
        contents = runtime_files(CACHE)
    except (OSError, ValueError) as error:
        raise PluginError(str(error)) from error
    for name, content in contents.items():
        files.append(File.generated(config, f"playground/runtime/{name}", content=content))
    network = NETWORK.read_bytes()
    files.append(File.generated(config, "playground/network.onnx.gz", content=network))
    return files


def runtime_files(cache: Path) -> dict[str, bytes]:
    """Returns the files that the page loads, by their names.

    Args:
        cache: folder that keeps npm's package.

    Raises:
        OSError: if the package is neither in `cache` nor can be downloaded.
        ValueError: if it has another hash.
    """
    with tarfile.open(_package(cache)) as package:
        script = _read(package, "package/dist/ort.wasm.bundle.min.mjs")
        wasm = _read(package, "package/dist/ort-wasm-simd-threaded.wasm")
    return {
        "ort.mjs": script,
        "ort.wasm.gz": gzip.compress(wasm, mtime=0),  # a quarter of its size
        "LICENSE.txt": LICENSE.read_bytes(),
    }


def _package(cache):
    """Returns the path of npm's package in the cache."""
    path = cache / URL.rpartition("/")[2]
    if not path.exists():
        _download(path)
    elif not _is_expected(path.read_bytes()):
        raise ValueError(f"{path} must have the SHA-512 of {URL}. Delete it to download it again")
    return path


def _download(path):
    try:
        with urllib.request.urlopen(URL, timeout=_SECONDS) as response:
            content = response.read()
    except OSError as error:
        raise OSError(
            f"the documentation needs {URL}, which cannot be downloaded: {error}. "
            f"Connect to the network once, or put the file into {path.parent}"
        ) from error
    if not _is_expected(content):
        raise ValueError(f"{URL} must have the SHA-512 {SHA512}. Received: another file")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_bytes(content)
    partial.replace(path)


def _is_expected(content):
    return base64.b64encode(hashlib.sha512(content).digest()).decode() == SHA512


def _read(package, name):
    file = package.extractfile(name)
    return file.read()
