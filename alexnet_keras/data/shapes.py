"""The built-in data set of drawn objects, as a TFDS builder."""

import io

import tensorflow_datasets as tfds
from PIL import Image

from alexnet_keras.data.drawing import CLASS_NAMES, COUNTS, SIZE, draw_example


class Shapes(tfds.core.GeneratorBasedBuilder):
    """Ten classes of colored objects on cluttered backgrounds, 8,000 + 2,000 images of 64 pixels.

    `tfds.load("shapes")` works once this module is imported. The images are drawn at first use,
    without a network, and are the same on every machine.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}  # noqa: RUF012  as TFDS has it

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            description="Ten classes of drawn objects. Some differ only in color, some only in "
            "orientation.",
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(SIZE, SIZE, 3), encoding_format="png"),
                    "label": tfds.features.ClassLabel(names=CLASS_NAMES),
                }
            ),
            supervised_keys=("image", "label"),
        )

    def _split_generators(self, dl_manager):
        return {split: self._generate_examples(split, count) for split, count in COUNTS.items()}

    def _generate_examples(self, split, count):
        for index in range(count):
            image, label = draw_example(split, index)
            # TFDS' own encoding in a TensorFlow graph takes longer than the drawing.
            png = io.BytesIO()
            Image.fromarray(image).save(png, "PNG", compress_level=1)
            png.seek(0)
            yield index, {"image": png, "label": label}
