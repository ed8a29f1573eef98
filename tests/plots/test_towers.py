import numpy as np
import pytest
from PIL import Image

from alexnet_keras.analysis.snapshots import Snapshot
from alexnet_keras.plots import animate_towers, plot_tower_gaps, plot_towers, save_animation

SPACE = 4  # pixels between the towers, and between runs


def snapshot(epoch, towers=2):
    """Eight kernels of 2x2: gray in the first half, red in the second, stronger by the epoch."""
    kernels = np.zeros((8, 2, 2, 3), "float32")
    kernels[:4] = epoch + 1
    kernels[4:, ..., 0] = epoch + 1
    return Snapshot(epoch, "conv1", kernels.reshape(towers, -1, 2, 2, 3))


def test_towers_stand_side_by_side_each_run_on_its_own_scale():
    figure = plot_towers({"seed 0": snapshot(0), "seed 1": snapshot(5, towers=1)})
    (axis,) = figure.axes
    sheet = np.asarray(axis.images[0].get_array())
    # Rows of 2 pixels. A tower has 4 kernels of 2 pixels with lines of 1 pixel between.
    assert sheet.shape == (2 + SPACE + 2, 11 + SPACE + 11, 3)
    for top in (0, 2 + SPACE):
        np.testing.assert_allclose(sheet[top, [0, 1, 3]], 1.0)  # gray of the highest value
        np.testing.assert_allclose(sheet[top, 11 + SPACE], [1.0, 0.5, 0.5])
        np.testing.assert_allclose(sheet[top, 11 : 11 + SPACE], 1.0)
    # One third of the energy of (1, 0, 0) lies on the gray axis.
    labels = [label.get_text() for label in axis.get_yticklabels()]
    assert labels == ["seed 0\n0% / 67%", "seed 1\n0% / 67%"]


def test_halves_of_a_single_tower_are_not_called_towers():
    for towers, names in ((1, ["first half", "second half"]), (2, ["tower 1", "tower 2"])):
        (axis,) = plot_towers({"seed 0": snapshot(0, towers)}).axes
        assert [label.get_text() for label in axis.get_xticklabels()] == names


def test_four_towers_are_refused():
    with pytest.raises(ValueError, match="of two towers, .* Received: 4 towers of 2 kernels"):
        plot_towers({"seed 0": snapshot(0, towers=4)})


def test_animation_has_a_picture_an_epoch(tmp_path):
    runs = {"seed 0": [snapshot(0), snapshot(3)], "seed 1": [snapshot(0), snapshot(1)]}
    animation = animate_towers(runs, "Kernels")
    save_animation(animation, f"{tmp_path}/towers.gif")
    with Image.open(tmp_path / "towers.gif") as gif:
        assert gif.n_frames == 2
    figure = animation._fig
    assert figure.get_suptitle() == "Kernels, after 3 epochs"
    sheet = np.asarray(figure.axes[0].images[0].get_array())
    np.testing.assert_allclose(sheet[[0, 2 + SPACE], 11 + SPACE, 0], 1.0)  # the last epoch's scale


def test_gaps_have_a_sign_and_a_color_by_their_test():
    apart = {"towers": [[60, 60], [10, 40]], "chance": [2, 5], "p": [0.5, 0.01]}
    together = {"towers": [[60, 60], [40, 30]], "chance": [2, 7], "p": [0.01, 0.2]}
    figure = plot_tower_gaps({"two towers": [apart, together], "one tower": [together]})
    first, second = figure.axes
    lines = {tuple(line.get_ydata()): line.get_color() for line in first.lines[:2]}
    assert lines == {(0, -30): "C1", (0, 10): "0.55"}
    assert first.get_title() == "two towers:\n1 of 2 differ"
    assert second.get_title() == "one tower:\n0 of 1 differ"
    area = first.collections[0].get_paths()[0].vertices
    assert area[:, 1].min() == -6 and area[:, 1].max() == 6  # the mean of 5 and 7
