import numpy as np
import pytest

from experiments.framework.kept_kernels import keep_kernels, kept_path, read_kept


def test_nine_epochs_are_kept_in_half_precision(tmp_path, random):
    (tmp_path / "snapshots").mkdir()
    kernels = random.normal(size=(17, 2, 3, 5, 5, 3)).astype("float32")
    for epoch, each in enumerate(kernels):
        path = tmp_path / "snapshots" / f"epoch-{epoch:04d}.npz"
        np.savez(path, epoch=epoch, layer="conv1", kernels=each)
    path = kept_path(tmp_path, "conv1 from He's start", 0.01, 3)
    assert path == tmp_path / "kernels" / "conv1_from_He_s_start_rate0.01_seed3.npz"
    keep_kernels(tmp_path / "snapshots", path)
    kept = read_kept(path)
    assert [snapshot.epoch for snapshot in kept] == list(range(0, 17, 2))
    for snapshot in kept:
        assert snapshot.layer == "conv1"
        np.testing.assert_allclose(snapshot.kernels, kernels[snapshot.epoch], rtol=1e-3, atol=1e-6)


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "x.npz").write_text("nothing")
    with pytest.raises(ValueError, match=r"x\.npz must be an .npz file with epochs, kernels"):
        read_kept(tmp_path / "x.npz")
