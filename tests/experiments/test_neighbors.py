import re

import numpy as np
import pytest

from experiments.neighbors import main


def test_neighbors_in_activations_and_pixels(weights, tmp_path, tiny_npz, capsys):
    arguments = [
        "--weights",
        weights,
        "--dataset",
        tiny_npz,
        "--image-size",
        "32",
        "--depth",
        "80",
        "--count",
        "2",
    ]
    results = main(arguments)
    with np.load(tiny_npz) as arrays:
        crops = {
            split: arrays[f"x_{split}"][:, 2:30, 2:30].reshape(-1, 28 * 28 * 3)
            for split in ("train", "test")
        }
        labels = {split: arrays[f"y_{split}"] for split in ("train", "test")}
    distances = np.square(crops["test"][:, None].astype(float) - crops["train"].astype(float)).sum(
        -1
    )
    order = distances.argsort(1)
    same = labels["train"][order] == labels["test"][:, None]
    average = []
    for row in same:
        places = np.flatnonzero(row) + 1
        average.append(np.mean(np.arange(1, len(places) + 1) / places))
    assert results["spaces"]["pixels"]["precision"] == pytest.approx(same[:, :6].mean())
    assert results["spaces"]["pixels"]["map"] == pytest.approx(np.mean(average), rel=1e-3)
    assert results["chance"] == pytest.approx(0.25)
    (comparison,) = results["comparisons"]
    assert comparison["n"] == 20
    precision = {
        space: results["spaces"][space]["precision"] for space in ("activations", "pixels")
    }
    assert comparison["estimate"] == pytest.approx(
        100 * (precision["activations"] - precision["pixels"])
    )
    assert {path.name for path in (tmp_path / "run" / "neighbors").iterdir()} == {
        *{"config.json", "results.json", "neighbors.png"}
    }
    assert "Activations of fc7: " in capsys.readouterr().out
    assert len(results["shown"]) == 2
    picture = (tmp_path / "run" / "neighbors" / "neighbors.png").read_bytes()
    with pytest.raises(SystemExit, match="other settings: seed: stored 0, requested 1"):
        main([*arguments, "--seed", "1"])
    assert (tmp_path / "run" / "neighbors" / "neighbors.png").read_bytes() == picture
    assert main(arguments)["spaces"] == results["spaces"]
    assert "Activations, train" not in capsys.readouterr().err  # they are there already


def test_errors_come_before_any_work(weights, tmp_path, tiny_npz):
    ours = ["--weights", weights, "--dataset", tiny_npz, "--image-size", "32"]
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "activations.json").write_text('{"model": "0123456789abcdef"}')
    for arguments, words in (
        (
            ["--neighbors", "81"],
            "`neighbors` must be a whole number from 1 to 80, the number of images. Received: ne",
        ),
        (["--seed=-1"], "`seed` must be a whole number from 0 to 2**31 - 1. Received: seed=-1"),
        (["--count=-3"], "`count` must be a positive whole number. Received: count=-3"),
        (["--queries", "0"], "`queries` must be a positive whole number"),
        (["--layer", "fc9"], "`layer` must be a layer of the network, image, "),
        (["--pixel-size", "40"], "`pixel_size` must be a whole number from 1 to 28"),
        (
            ["--activations", str(tmp_path / "other")],
            "other settings: model: stored '0123456789abcdef', ",
        ),
        (["--workdir", str(tmp_path)], "`workdir` must be a new folder"),
    ):
        with pytest.raises(SystemExit, match=re.escape(words)):
            main([*ours, *arguments])
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["best.keras"]
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["activations.json"]
