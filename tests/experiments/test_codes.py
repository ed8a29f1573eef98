import re

import keras
import numpy as np
import pytest

from alexnet_keras.models import fingerprint
from alexnet_keras.retrieval import Activations, CodeIndex, encode
from experiments import codes
from experiments.codes import main

faiss = pytest.importorskip("faiss", reason="faiss is in the extra retrieval")


@pytest.fixture
def no_index_in_time(monkeypatch):
    """Lets the timed searches fail if they build an index of vectors."""
    measure = codes._queries_per_second

    def measure_without_index(*arguments):
        with monkeypatch.context() as patch:
            patch.setattr(faiss, "IndexFlatL2", None)
            return measure(*arguments)

    monkeypatch.setattr(codes, "_queries_per_second", measure_without_index)


def test_codes_of_activations_and_pixels(weights, tmp_path, tiny_npz, capsys, no_index_in_time):
    small = [
        "--bits",
        "16",
        "--hidden",
        "8",
        "--epochs",
        "1",
        "--fit-images",
        "50",
        "--random-codes",
        "1000",
    ]
    results = main(
        ["--weights", weights, "--dataset", tiny_npz, "--image-size", "32", "--depth", "20", *small]
    )
    folder = tmp_path / "run" / "codes"
    kinds = ("activations_16", "pixels_16")
    assert {path.name for path in folder.iterdir()} == {
        *{"config.json", "results.json", "codes.png"},
        *(f"encoder_{kind}.keras" for kind in kinds),
        *(f"codes_{kind}.npz" for kind in kinds),
    }
    model = fingerprint(keras.saving.load_model(weights))
    index = CodeIndex.load(folder / "codes_activations_16.npz", model)
    activations = Activations(tmp_path / "run" / "activations")
    encoder = keras.saving.load_model(folder / "encoder_activations_16.keras")
    np.testing.assert_array_equal(encode(encoder, activations.chunks("train")), index.codes)
    # All validation images are queries here.
    found = index.search(encode(encoder, activations.chunks("validation")), 6)[1]
    same = activations.labels("train")[found] == activations.labels("validation")[:, None]
    measured = results["spaces"]["activations"]["codes"]["16"]
    assert measured["precision"] == pytest.approx(same.mean())
    assert (measured["bytes"], measured["images"]) == (2, 50)
    assert results["spaces"]["activations"]["exact"]["bytes"] == 4 * 16
    assert results["spaces"]["pixels"]["exact"]["bytes"] == 4 * 28 * 28 * 3
    assert results["random_codes"]["bits"]["16"]["bytes"] == 2000
    (comparison,) = results["comparisons"]
    pixels = results["spaces"]["pixels"]["codes"]["16"]["precision"]
    assert comparison["estimate"] == pytest.approx(100 * (same.mean() - pixels))
    assert "| activations | Hamming, 16 bits | " in capsys.readouterr().out


def test_errors_come_before_any_work(weights, tmp_path, tiny_npz):
    file = tmp_path / "file"
    file.write_text("kept")
    for arguments, words in (
        (
            ["--activations", str(file)],
            f"`activations` must be a folder that can be written. Received: activations='{file}'",
        ),
        (["--bits", "12"], "`bits` must be different positive multiples of 8. Received: bits=[12]"),
        (["--bits", "8", "8"], "`bits` must be different positive multiples of 8"),
        (["--epochs", "0"], "`epochs` must be a positive whole number"),
        (["--fit-images", "5"], "`fit_images` must be 6 or more, as `neighbors` is 6. Received"),
        (["--random-codes", "1"], "`random_codes` must be 6 or more, as `neighbors` is 6"),
        (["--neighbors", "1", "--fit-images", "1"], "`fit_images` must be 2 or more"),
        (["--seed=-1"], "`seed` must be a whole number from 0 to 2**31 - 1. Received: seed=-1"),
        (["--neighbors", "100"], "`neighbors` must be a whole number from 1 to 80"),
    ):
        with pytest.raises(SystemExit, match=re.escape(words)):
            main(["--weights", weights, "--dataset", tiny_npz, "--image-size", "32", *arguments])
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["best.keras"]
    assert file.read_text() == "kept"
