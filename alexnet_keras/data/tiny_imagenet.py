"""Tiny ImageNet, as a TFDS builder."""

from pathlib import Path

import tensorflow_datasets as tfds
from tensorflow_datasets.core.download.checksums import UrlInfo

from alexnet_keras.data.tiny_imagenet_classes import CLASS_NAMES, annotated_images

URL = "http://cs231n.stanford.edu/tiny-imagenet-200.zip"
FOLDER = "tiny-imagenet-200"  # in the archive
SIZE = 64
_COUNTS = {"train": 100_000, "validation": 10_000}


class TinyImageNet(tfds.core.GeneratorBasedBuilder):
    """200 classes of ImageNet's photographs, 64x64, 100,000 + 10,000 images.

    `tfds.load("tiny_imagenet")` works once this module is imported. It downloads the archive of the
    set's authors (248 MB) and checks it. It downloads nothing if TFDS' folder `downloads/manual`
    holds the archive or the unzipped folder `tiny-imagenet-200`. The images of the archive's test
    split have no labels and are not used.

    Reference: Stanford's course CS231n.
    """

    name = "tiny_imagenet"
    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}  # noqa: RUF012  as TFDS has it
    # MD5 90528d7ca1a48142e341f4ef8d21d0de. TFDS compares the size and the SHA-256.
    url_infos = {  # noqa: RUF012
        URL: UrlInfo(
            size=248_100_043,
            checksum="6198c8ae015e2b3e007c7841da39ec069199b9aa3bfa943a462022fe5e43c821",
            filename="tiny-imagenet-200.zip",
        )
    }

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            description="200 classes of ImageNet's photographs at 64x64 pixels.",
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(SIZE, SIZE, 3), encoding_format="jpeg"),
                    "label": tfds.features.ClassLabel(names=CLASS_NAMES.values()),
                }
            ),
            supervised_keys=("image", "label"),
            homepage="http://cs231n.stanford.edu",
        )

    def _split_generators(self, dl_manager):
        folder = Path(self.data_dir).parents[1] / "downloads" / "manual" / FOLDER
        if not folder.is_dir():
            folder = Path(dl_manager.download_and_extract(URL)) / FOLDER
        images = {
            "train": {
                label: sorted(folder.glob(f"train/{label}/images/*.JPEG")) for label in CLASS_NAMES
            },
            "validation": annotated_images(folder / "val") or {},
        }
        for split, count in _COUNTS.items():
            found = sum(map(len, images[split].values()))
            if found != count or set(images[split]) != set(CLASS_NAMES):
                raise ValueError(
                    f"{folder} must hold {count:,} {split} images of {len(CLASS_NAMES)} classes. "
                    f"Received: {found:,} images of {len(images[split])} classes. "
                    "Unzip tiny-imagenet-200.zip again, or remove the folder to download it"
                )
        return {split: self._generate_examples(files) for split, files in images.items()}

    def _generate_examples(self, images):
        for label, files in images.items():
            for file in files:
                yield file.name, {"image": file, "label": CLASS_NAMES[label]}
