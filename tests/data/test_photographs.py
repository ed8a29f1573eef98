import numpy as np
import pytest
from PIL import Image

from alexnet_keras.data.photographs import list_photographs

BRIGHT = np.full((4, 6, 3), 200.0, "float32")
FRACTIONS = BRIGHT / 255


def test_fractions_are_refused_beside_other_images(tmp_path):
    Image.new("RGB", (6, 4)).save(tmp_path / "photo.png")
    path = str(tmp_path / "photo.png")
    for images in ([FRACTIONS, path], [path, FRACTIONS], [BRIGHT, FRACTIONS], FRACTIONS):
        with pytest.raises(
            ValueError, match="multiply these by 255. Received: fractions from 0.78"
        ):
            list_photographs(images)


def test_fractions_of_one_array_are_those_of_all_its_images():
    black = np.zeros_like(BRIGHT)
    with pytest.raises(ValueError, match="Received: fractions from 0 to 0.78"):
        list_photographs(np.stack([black, FRACTIONS]))
    assert len(list_photographs(np.stack([BRIGHT, FRACTIONS]))) == 2  # a dark image among others
    assert len(list_photographs([black, BRIGHT])) == 2


def test_booleans_are_refused():
    with pytest.raises(ValueError, match="must be arrays of values 0-255. Received: booleans"):
        list_photographs(BRIGHT > 0)
