import io
import os
import shutil
import struct
import sys
import types
import zlib

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from alexnet_keras.data import Dataset, load, loader, shapes
from alexnet_keras.data.options import ImageSelection
from alexnet_keras.data.sources import open_image_source
from alexnet_keras.data.statistics import training_statistics
from alexnet_keras.extras import MissingExtraError

SMALL = dict(image_size=32, crop_size=28)


def take(dataset, batches):
    images, labels = zip(*dataset.take(batches).as_numpy_iterator(), strict=True)
    return np.concatenate(images), np.concatenate(labels)


@pytest.fixture
def folder(tmp_path, random):
    for split, count in (("train", 6), ("val", 2)):
        for label in ("cat", "dog"):
            directory = tmp_path / "images" / split / label
            directory.mkdir(parents=True)
            for i in range(count):
                pixels = random.randint(0, 256, (40 + i, 50, 3)).astype("uint8")
                Image.fromarray(pixels).save(directory / f"{i}.{'png' if i % 2 else 'JPEG'}")
    return tmp_path / "images"


def test_npz(tiny_npz):
    train, validation, info = load(tiny_npz, **SMALL, batch_size=16)
    images, labels = next(train.as_numpy_iterator())
    assert images.shape == (16, 28, 28, 3)
    assert images.dtype == "float32"
    assert labels.dtype == "int32"
    assert (info.classes, info.train_count, info.validation_count) == (4, 80, 20)
    assert info.class_names == ("dark", "red", "green", "yellow")
    images, labels = take(validation, -1)
    with np.load(tiny_npz) as arrays:
        np.testing.assert_array_equal(labels, arrays["y_test"])
        center = arrays["x_test"][:, 2:30, 2:30].astype("float32")
        mean = arrays["x_train"].astype("float64").mean(0)
    np.testing.assert_allclose(images, center - mean[2:30, 2:30], atol=1e-3)


def test_fit_takes_an_epoch_a_pass(tiny_npz):
    train, validation, _ = load(tiny_npz, **SMALL, batch_size=16, seed=3)
    assert int(train.cardinality()) == 5
    passes = [take(train, -1) for _ in range(2)]
    endless = take(Dataset(tiny_npz, 32, 28).train(16, seed=3), 10)
    for part in (0, 1):  # images and labels
        np.testing.assert_array_equal(np.concatenate([p[part] for p in passes]), endless[part])
    layers = [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(4, activation="softmax")]
    model = keras.Sequential([keras.Input((28, 28, 3)), *layers])
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(train, validation_data=validation, epochs=2, verbose=0)
    assert int(model.optimizer.iterations) == 10


def test_statistics_are_the_definition(tiny_npz):
    info = Dataset(tiny_npz, 32, 28).info
    with np.load(tiny_npz) as arrays:
        x = arrays["x_train"].astype("float64")
    np.testing.assert_allclose(info.mean_image, x.mean(0), rtol=1e-6)
    np.testing.assert_allclose(
        info.color_covariance, np.cov(x.reshape(-1, 3).T, bias=True), rtol=1e-4
    )
    assert info.mean_crop.shape == (28, 28, 3)
    np.testing.assert_array_equal(info.mean_crop, info.mean_image[2:30, 2:30])


def test_statistics_do_not_depend_on_the_batches(random):
    images = random.randint(0, 256, (50, 9, 9, 3)).astype("uint8")
    parts = (images[start : start + 7] for start in range(0, 50, 7))
    mean, covariance = training_statistics(parts, 50, "key", None)
    np.testing.assert_allclose(mean, images.mean(0), rtol=1e-6)
    np.testing.assert_allclose(covariance, np.cov(images.reshape(-1, 3).T, bias=True), rtol=1e-4)


def test_two_hosts_together_give_the_batches_of_one(tiny_npz):
    one = Dataset(tiny_npz, 32, 28).train(16, seed=3)
    hosts = [Dataset(tiny_npz, 32, 28, host=host, hosts=2).train(16, seed=3) for host in (0, 1)]
    later = [
        Dataset(tiny_npz, 32, 28, host=h, hosts=2).train(16, seed=3, first_epoch=1, first_step=2)
        for h in (0, 1)
    ]
    batches = zip(*(data.take(12).as_numpy_iterator() for data in (one, *hosts)), strict=True)
    batches = [
        (whole, [np.concatenate(parts) for parts in zip(*halves, strict=True)])
        for whole, *halves in batches
    ]
    for whole, halves in batches:
        np.testing.assert_allclose(halves[0], whole[0], atol=1e-4)
        np.testing.assert_array_equal(halves[1], whole[1])
    for data, half in zip(later, (slice(0, 8), slice(8, 16)), strict=True):  # five steps an epoch
        np.testing.assert_array_equal(next(data.as_numpy_iterator())[1], batches[7][0][1][half])


def test_each_host_reads_its_own_part_of_a_set_that_exceeds_memory(tiny_npz):
    hosts = [Dataset(tiny_npz, 32, 32, memory_gib=0.0, host=host, hosts=3) for host in range(3)]
    epochs = [take(data.train(24, random_crop=False, pca_noise="none"), 3) for data in hosts]
    mean = hosts[0].info.mean_image
    with np.load(tiny_npz) as arrays:
        stored = {
            image.tobytes(): label
            for image, label in zip(arrays["x_train"], arrays["y_train"], strict=True)
        }
    seen = [
        {image.tobytes() for image in np.round(images + mean).astype("uint8")}
        for images, _ in epochs
    ]
    assert [len(part) for part in seen] == [24, 24, 24]
    assert len(set.union(*seen)) == 72
    assert set.union(*seen) <= set(stored)
    for images, labels in epochs:
        assert [
            stored[image.tobytes()] for image in np.round(images + mean).astype("uint8")
        ] == list(labels)


def test_hosts_read_parts_of_a_tfds_set(tmp_path, monkeypatch):
    monkeypatch.setattr("tensorflow_datasets.core.constants.DATA_DIR", str(tmp_path / "tfds"))
    monkeypatch.setattr(
        shapes.Shapes,
        "_split_generators",
        lambda self, _: {
            "train": self._generate_examples("train", 21),
            "test": self._generate_examples("test", 9),
        },
    )
    source = open_image_source(ImageSelection("shapes"))
    parts = [list(source.part("train", host, 4).as_numpy_iterator()) for host in range(4)]
    whole = list(source.train.as_numpy_iterator())
    assert [len(part) for part in parts] == [6, 5, 5, 5]
    assert sorted(example[0] for part in parts for example in part) == sorted(
        example[0] for example in whole
    )


def test_a_tfds_set_that_another_process_stores_meanwhile(tmp_path, monkeypatch):
    monkeypatch.setattr("tensorflow_datasets.core.constants.DATA_DIR", str(tmp_path / "tfds"))
    begun = []

    def split_generators(builder, _):
        begun.append(builder)
        if len(begun) == 1:
            shapes.Shapes().download_and_prepare()
        return {split: builder._generate_examples(split, 9) for split in ("train", "test")}

    monkeypatch.setattr(shapes.Shapes, "_split_generators", split_generators)
    source = open_image_source(ImageSelection("shapes"))
    assert len(begun) == 2
    assert (source.train_count, source.validation_count) == (9, 9)
    labels = [label for _, label in source.validation.as_numpy_iterator()]
    assert sorted(labels) == list(range(9))


def test_a_tfds_set_that_cannot_be_stored(tmp_path, monkeypatch):
    monkeypatch.setattr("tensorflow_datasets.core.constants.DATA_DIR", str(tmp_path / "tfds"))

    def split_generators(builder, _):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shapes.Shapes, "_split_generators", split_generators)
    with pytest.raises(OSError, match="No space left on device"):
        open_image_source(ImageSelection("shapes"))


@pytest.mark.parametrize("seed", [2**31 - 3, 2**31 - 2, 2**31 - 1])
def test_the_largest_seeds_have_orders_of_their_own(tiny_npz, seed):
    dataset = Dataset(tiny_npz, 32, 28)
    orders = [take(dataset.train(8, seed=each), 5)[1].tolist() for each in (seed, seed, 0)]
    assert orders[0] == orders[1] != orders[2]


@pytest.mark.parametrize("hosts", [1, 2])
def test_padded_validation_has_full_batches_and_weights_that_keep_means(tiny_npz, hosts):
    parts = [
        Dataset(tiny_npz, 32, 28, host=host, hosts=hosts).validation(8, padded=True)
        for host in range(hosts)
    ]
    batches = [list(part.as_numpy_iterator()) for part in parts]
    assert [[len(labels) for _, labels, _ in part] for part in batches] == [
        [8 // hosts] * 3
    ] * hosts
    labels, weights = (
        np.concatenate([batch[i] for part in batches for batch in part]) for i in (1, 2)
    )
    assert weights.mean() == pytest.approx(1.0)
    np.testing.assert_allclose(np.bincount(labels[weights > 0]), [5, 5, 5, 5])
    np.testing.assert_allclose(weights[weights > 0], 24 / 20)


@pytest.mark.parametrize("replicas", [1, 2, 3])
def test_padded_batches_suit_every_count_of_images(replicas, tmp_path, monkeypatch, random):
    monkeypatch.setattr(loader, "replica_count", lambda: replicas)
    images = random.randint(0, 256, (12, 8, 8, 3)).astype("uint8")
    labels = np.arange(12) % 3
    for count in (1, 2, 3, 5, 6, 7, 11, 12):  # up to twice the batch size
        test = {"x_test": images[:count], "y_test": labels[:count]}
        np.savez(tmp_path / "x.npz", x_train=images, y_train=labels, **test)
        batches = list(
            Dataset(str(tmp_path / "x.npz"), 8, 8).validation(6, padded=True).as_numpy_iterator()
        )
        sizes = {len(batch[0]) for batch in batches}
        assert len(sizes) == 1 and sizes.pop() % replicas == 0
        found, weights = (np.concatenate([batch[i] for batch in batches]) for i in (1, 2))
        np.testing.assert_array_equal(found[weights > 0], labels[:count])
        # Keras takes the mean of the batches' means: each image counts the same.
        losses = np.where(weights > 0, found + 1.0, 1e9)
        means = (losses * weights).reshape(len(batches), -1).mean(1)
        assert means.mean() == pytest.approx((labels[:count] + 1.0).mean(), rel=1e-5)


def test_cached_statistics_of_other_data_are_not_used(tiny_npz, tmp_path):
    first = Dataset(tiny_npz, 32, 28).info.mean_image
    assert list((tmp_path / "cache").iterdir())
    with np.load(tiny_npz) as file:
        arrays = dict(file)
    arrays["x_train"] = 255 - arrays["x_train"]
    np.savez(tiny_npz, **arrays)
    second = Dataset(tiny_npz, 32, 28).info.mean_image
    np.testing.assert_allclose(second, 255 - first, rtol=1e-5)


def test_cached_statistics_are_used_and_a_damaged_cache_is_not(tiny_npz, tmp_path, capfd):
    first = Dataset(tiny_npz, 32, 28).info.mean_image
    assert "Mean image" in capfd.readouterr().err
    np.testing.assert_array_equal(Dataset(tiny_npz, 32, 28).info.mean_image, first)
    assert "Mean image" not in capfd.readouterr().err
    (file,) = (tmp_path / "cache").iterdir()
    file.write_bytes(file.read_bytes()[:100])
    np.testing.assert_array_equal(Dataset(tiny_npz, 32, 28).info.mean_image, first)


@pytest.mark.parametrize("memory_gib", [0.0, 2.0])
def test_an_epoch_holds_every_image_once(tiny_npz, memory_gib):
    dataset = Dataset(tiny_npz, 32, 32, memory_gib=memory_gib)
    batches = dataset.train(8, random_crop=False, pca_noise="none")
    first, second = (take(batches.skip(10 * n), 10)[0] + dataset.info.mean_image for n in (0, 1))
    with np.load(tiny_npz) as arrays:
        stored = arrays["x_train"]

    def sort(x):
        return x[np.lexsort(x.reshape(len(x), -1).T)]

    np.testing.assert_array_equal(sort(np.round(first)), sort(stored.astype("float32")))
    np.testing.assert_array_equal(sort(np.round(second)), sort(stored.astype("float32")))
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("memory_gib", [0.0, 2.0])
def test_the_seed_and_the_epoch_fix_everything(tiny_npz, memory_gib):
    dataset = Dataset(tiny_npz, 32, 28, memory_gib=memory_gib)
    tf.random.set_seed(1)
    images, labels = take(dataset.train(8, seed=0), 30)
    tf.random.set_seed(2)  # the process' own seed does not matter
    again, same = take(dataset.train(8, seed=0, first_epoch=1), 20)
    np.testing.assert_array_equal(images[80:], again)
    np.testing.assert_array_equal(labels[80:], same)
    rest, same = take(
        dataset.train(8, seed=0, first_epoch=1, first_step=3), 17
    )  # and the epoch after
    np.testing.assert_array_equal(images[80 + 3 * 8 :], rest)
    np.testing.assert_array_equal(labels[80 + 3 * 8 :], same)
    assert not np.array_equal(take(dataset.train(8, seed=1), 30)[1], labels)


def test_crops_flips_and_noise_are_there(tiny_npz):
    dataset = Dataset(tiny_npz, 32, 28)
    plain = take(dataset.train(80, random_crop=False, pca_noise="none"), 1)[0]
    cropped = take(dataset.train(80, pca_noise="none"), 1)[0]
    noisy = take(dataset.train(80, random_crop=False, pca_noise="standard_deviation"), 1)[0]
    assert np.abs(cropped - plain).mean() > 10
    shift = noisy * 1.1 - plain
    np.testing.assert_allclose(shift, np.broadcast_to(shift[:, :1, :1], shift.shape), atol=1e-3)
    assert shift[:, 0, 0].std() > 1
    late = take(dataset.train(80, random_crop=False, pca_noise_epochs=1), 2)[0]
    np.testing.assert_allclose(late[:80], noisy, atol=1e-4)
    assert (
        np.abs(
            np.round(late[80:] + dataset.info.mean_crop) - (late[80:] + dataset.info.mean_crop)
        ).max()
        < 1e-3
    )


@pytest.mark.parametrize("memory_gib", [2.0, 0.0])
@pytest.mark.parametrize("scales", [(), (32, 40)])
@pytest.mark.parametrize("noise", ["standard_deviation", "none"])
def test_device_augmentation_gives_the_same_images(tiny_npz, memory_gib, scales, noise):
    dataset = Dataset(
        tiny_npz,
        32,
        28,
        memory_gib=memory_gib,
        scale_jitter=scales,
        mean_subtraction="color" if scales else "image",
    )
    options = dict(
        seed=3, pca_noise=noise, pca_noise_epochs=1, random_crop=bool(scales) or noise != "none"
    )
    finished = dataset.train(20, **options).take(6).as_numpy_iterator()  # four steps an epoch
    batches = list(
        dataset.train(20, device_augmentation=True, **options).take(6).as_numpy_iterator()
    )
    assert {batch["crops"].dtype.name for batch, _ in batches} == {"float32" if scales else "uint8"}
    for (batch, labels), (images, expected) in zip(batches, finished, strict=True):
        np.testing.assert_array_equal(labels, expected)
        crops = (
            batch["crops"].astype("float64")
            - dataset.info.mean_crop
            + batch["shift"][:, None, None]
        )
        np.testing.assert_allclose(images, crops / batch["divisor"], rtol=1e-5, atol=1e-4)
        np.testing.assert_allclose(dataset.augment(batch), images, rtol=1e-5, atol=1e-4)
    noisy = noise != "none"
    assert [np.any(batch["shift"]) for batch, _ in batches] == [noisy] * 4 + [False] * 2
    assert [batch["divisor"].max() for batch, _ in batches] == pytest.approx(
        [1.1 if noisy else 1.0] * 4 + [1.0] * 2
    )


def test_folder(folder):
    train, validation, info = load(str(folder), **SMALL, batch_size=4)
    assert info.class_names == ("cat", "dog")
    assert (info.train_count, info.validation_count) == (12, 4)
    assert sorted(take(train, 3)[1]) == [0] * 6 + [1] * 6
    assert take(validation, -1)[0].shape == (4, 28, 28, 3)


def test_folder_of_classes_only(folder):
    info = Dataset(str(folder / "train"), 32, 28).info
    assert (info.train_count, info.validation_count, info.class_names) == (10, 2, ("cat", "dog"))


def test_corrupt_images_of_a_folder(folder):
    broken = folder / "train" / "cat" / "0.JPEG"
    broken.write_bytes(broken.read_bytes()[:300])
    (folder / "val" / "dog" / "text.jpg").write_text("not an image")
    with pytest.raises(ValueError, match=r"(?s)2 corrupt image.*cat/0\.JPEG.*dog/text\.jpg"):
        load(str(folder), **SMALL, batch_size=4)
    _, _, info = load(str(folder), **SMALL, batch_size=4, skip_corrupt=True)
    assert (info.train_count, info.validation_count) == (11, 4)
    assert sorted(path.rsplit("/", 1)[1] for path in info.skipped) == ["0.JPEG", "text.jpg"]


def write_png_header(path, width, height):
    """Writes a gray PNG of one pixel whose header says another size."""
    pixel = io.BytesIO()
    Image.new("L", (1, 1)).save(pixel, "png")
    header = b"IHDR" + struct.pack(">II5B", width, height, 8, 0, 0, 0, 0)
    header += struct.pack(">I", zlib.crc32(header))
    path.write_bytes(pixel.getvalue()[:12] + header + pixel.getvalue()[33:])


def test_images_of_all_kinds(folder, tmp_path, capsys):
    train = folder / "train" / "cat"
    pixels = np.arange(48 * 40 * 3, dtype="uint8").reshape(48, 40, 3)
    good = Image.fromarray(pixels)
    # Images of every kind that decodes are used.
    good.convert("CMYK").save(train / "cmyk.jpg")
    good.convert("RGBA").save(train / "rgba.png")
    Image.fromarray(pixels[..., 0].astype("uint16") * 257).save(train / "16bit.png")
    good.save(train / "still.gif")
    good.save(train / "\u732b \u0642\u0637\u0629 .png")
    good.save(os.fsencode(train) + b"/\xff\xfe.png", format="png")
    # Other files are named.
    write_png_header(train / "bomb.png", 60_000, 60_000)
    write_png_header(train / "large.png", 10_000, 9_000)
    good.save(train / "animated.gif", save_all=True, append_images=[good.rotate(90)])
    (train / "empty.jpg").write_bytes(b"")
    (train / "text.jpg").write_text("not an image")
    good.save(train / "zeros.png")
    with open(train / "zeros.png", "ab") as file:
        file.truncate(2**36)  # 64 GiB of nothing
    good.save(tmp_path / "outside.png")
    (train / "outside.png").symlink_to(tmp_path / "outside.png")
    (train / "device.png").symlink_to("/dev/zero")
    (train / "broken.png").symlink_to("nowhere.png")
    (train / "loop.png").symlink_to("loop.png")
    os.mkfifo(train / "pipe.png")
    batches, _, info = load(str(folder), **SMALL, batch_size=4, skip_corrupt=True)
    assert {path.rsplit("/", 1)[1] for path in info.skipped} == {
        *{
            "bomb.png",
            "large.png",
            "empty.jpg",
            "text.jpg",
            "zeros.png",
            "outside.png",
            "device.png",
            "broken.png",
        },
        *{"loop.png", "pipe.png", "animated.gif"},
    }
    assert info.train_count == 12 + 6
    out = capsys.readouterr().out
    assert "large.png: too large: 10000x9000 pixels" in out
    assert "zeros.png: too large: 68,719,476,736 bytes" in out
    assert "outside.png: a link that leads out of the folder" in out
    images, _ = next(iter(batches))
    assert np.isfinite(images).all()
    with pytest.raises(ValueError, match="11 corrupt image"):
        load(str(folder), **SMALL, batch_size=4)


def test_bad_arguments(tiny_npz, tmp_path):
    with pytest.raises(
        ValueError, match="`dataset` must be the TFDS name.* Received: dataset='cifar11'"
    ):
        load("cifar11")
    with pytest.raises(
        ValueError, match="`dataset` must be an image classification set. Received: dataset='imdb"
    ):
        load("imdb_reviews")
    with pytest.raises(ValueError, match="`crop_size` must be a whole number from 1 to image_size"):
        load(tiny_npz, image_size=32, crop_size=33)
    with pytest.raises(
        ValueError, match="`batch_size` must be .* 80 in .* Received: batch_size=81"
    ):
        load(tiny_npz, **SMALL, batch_size=81)
    with pytest.raises(
        ValueError, match="`pca_noise` must be one of none, eigenvalue, standard_deviation"
    ):
        load(tiny_npz, **SMALL, batch_size=8, pca_noise="pca")
    np.savez(tmp_path / "half.npz", x_train=np.zeros((2, 4, 4, 3), "uint8"))
    with pytest.raises(ValueError, match="it has no y_train, x_test, y_test"):
        load(str(tmp_path / "half.npz"))
    with pytest.raises(ValueError, match="empty holds no folders"):
        (tmp_path / "empty").mkdir()
        load(str(tmp_path / "empty"))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("mnist/split=3", "unexpected keyword argument 'split'"),
        ("huggingface:x/y", "huggingface_hub"),
    ],
)
def test_names_that_tfds_answers_with_other_errors(name, reason, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    expected = f"`dataset` must be the TFDS name.* Received: dataset='{name}': .*{reason}"
    with pytest.raises(ValueError, match=expected):
        open_image_source(ImageSelection(name))


def test_tfds_that_is_missing_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(MissingExtraError, match="reading TFDS data sets needs TensorFlow Datasets"):
        open_image_source(ImageSelection("mnist"))


def test_a_window_of_a_sorted_set_holds_all_classes(tiny_npz, monkeypatch):
    with np.load(tiny_npz) as file:
        arrays = dict(file)
    order = np.argsort(arrays["y_train"], kind="stable")
    np.savez(
        tiny_npz,
        **arrays | {"x_train": arrays["x_train"][order], "y_train": arrays["y_train"][order]},
    )
    monkeypatch.setattr("alexnet_keras.data.training_batches._SHUFFLED_FILES", 4)
    labels = take(Dataset(tiny_npz, 32, 28, memory_gib=0.0).train(20), 1)[1]
    assert len(set(labels)) == 4


def test_folder_with_training_images_only(folder):
    shutil.rmtree(folder / "val")
    info = Dataset(str(folder), 32, 28).info
    assert (info.train_count, info.validation_count, info.class_names) == (10, 2, ("cat", "dog"))


def test_iterators_are_not_tuned(tiny_npz):
    train, validation, _ = load(tiny_npz, image_size=32, crop_size=28, batch_size=8)
    assert not train.options().autotune.enabled
    assert not validation.options().autotune.enabled


def files_of(dataset, split):
    return [bytes(path).decode() for path, _ in getattr(dataset._source, split).as_numpy_iterator()]


def test_half_of_a_folder_is_held_out(folder):
    dataset = Dataset(str(folder / "train"), 32, 28, hold_out_every=2)
    assert (dataset.info.train_count, dataset.info.validation_count) == (6, 6)
    # Of the sorted files 0.JPEG, 1.png, ..., 5.png every second.
    hold_out_every = [f"{label}/{n}.JPEG" for label in ("cat", "dog") for n in (0, 2, 4)]
    validation = [path.removeprefix(f"{folder}/train/") for path in files_of(dataset, "validation")]
    assert sorted(validation) == hold_out_every
    assert validation != hold_out_every  # the first of them are not all cats
    assert not set(files_of(dataset, "train")) & set(files_of(dataset, "validation"))
    assert dataset.info.splits == ("1 in 2 of each class", "1 in 2 of each class")
    assert dataset.info.fingerprint != Dataset(str(folder / "train"), 32, 28).info.fingerprint


def test_half_of_a_tfds_set_is_held_out(tmp_path, monkeypatch):
    import tensorflow_datasets as tfds

    class OnlyTrain(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")
        name = "only_train"

        def _info(self):
            features = {
                "image": tfds.features.Image(shape=(32, 32, 3)),
                "label": tfds.features.ClassLabel(num_classes=3),
            }
            return tfds.core.DatasetInfo(
                builder=self,
                features=tfds.features.FeaturesDict(features),
                supervised_keys=("image", "label"),
            )

        def _split_generators(self, dl_manager):
            return {"train": self._generate_examples()}

        def _generate_examples(self):
            for i in range(21):
                yield i, {"image": np.full((32, 32, 3), 10 * i, "uint8"), "label": i % 3}

    monkeypatch.setattr(tfds, "builder", lambda name: OnlyTrain(data_dir=str(tmp_path)))
    values = {}
    for hold_out_every, counts in ((2, (11, 10)), (10, (19, 2))):
        dataset = Dataset("only_train", 32, 28, hold_out_every=hold_out_every)
        assert (dataset.info.train_count, dataset.info.validation_count) == counts
        batches = dataset.training_images(30), dataset.validation_images(30)
        values[hold_out_every] = [take(batch, 1)[0][:, 0, 0, 0].tolist() for batch in batches]
        assert [len(part) for part in values[hold_out_every]] == list(counts)
        assert sorted(values[hold_out_every][0] + values[hold_out_every][1]) == [
            10 * i for i in range(21)
        ]


@pytest.mark.parametrize(
    ("counts", "received"),
    [
        ({"train": 0, "test": 9}, "0 in train and 9 in test"),
        ({"train": 9, "validation": 0, "test": 9}, "9 in train and 0 in validation"),
        ({"train": 9}, r"9 in train\[:9\] and 0 in train\[9:\]"),  # one in ten is held out
    ],
)
def test_an_empty_split_of_a_tfds_set_is_named(counts, received, tmp_path, monkeypatch):
    import tensorflow_datasets as tfds

    template = tfds.core.ShardedFileTemplate(
        tmp_path, dataset_name="prepared", filetype_suffix="tfrecord"
    )
    splits = [
        tfds.core.SplitInfo(
            name=name, shard_lengths=[count], num_bytes=0, filename_template=template
        )
        for name, count in counts.items()
    ]
    info = types.SimpleNamespace(
        supervised_keys=("image", "label"),
        features={"image": tfds.features.Image(), "label": tfds.features.ClassLabel(num_classes=3)},
        splits=tfds.core.splits.SplitDict(splits),
    )
    monkeypatch.setattr(
        tfds, "builder", lambda name: types.SimpleNamespace(info=info, is_prepared=lambda: True)
    )
    with pytest.raises(
        ValueError, match=f"must have training and validation images. .*'prepared' with {received}$"
    ):
        open_image_source(ImageSelection("prepared"))


def test_classes_that_do_not_fit_are_found_before_a_download(monkeypatch):
    import tensorflow_datasets as tfds

    def refuse(names):
        raise ValueError(f"not {', '.join(names)}")

    label = tfds.features.ClassLabel(names=["cats", "dogs", "foxes"])
    features = {"image": tfds.features.Image(), "label": label}
    builder = types.SimpleNamespace(
        info=types.SimpleNamespace(supervised_keys=("image", "label"), features=features),
        is_prepared=lambda: False,
        MANUAL_DOWNLOAD_INSTRUCTIONS=None,
        download_and_prepare=lambda: pytest.fail("downloaded"),
    )
    monkeypatch.setattr(tfds, "builder", lambda name: builder)
    selection = ImageSelection("large", class_subset=(2, 0), check_classes=refuse)
    with pytest.raises(ValueError, match="^not foxes, cats$"):
        open_image_source(selection)


def test_some_classes_and_the_first_images_of_each(tiny_npz):
    with np.load(tiny_npz) as arrays:
        test = arrays["x_test"][arrays["y_test"] == 3], arrays["x_test"][arrays["y_test"] == 1]
    dataset = Dataset(tiny_npz, 32, 28, class_subset=(3, 1), max_images_per_class=7)
    info = dataset.info
    assert (info.classes, info.class_names) == (2, ("yellow", "red"))
    assert (info.train_count, info.validation_count) == (14, 10)
    images, labels = take(dataset.validation_images(20), 1)
    for label, expected in enumerate(test):
        np.testing.assert_array_equal(images[labels == label], expected)
    few, labels = take(dataset.training_images(20), 1)
    assert sorted(labels) == [0] * 7 + [1] * 7
    every = take(Dataset(tiny_npz, 32, 28, class_subset=(3, 1)).training_images(40), 1)
    for label in (0, 1):  # the first seven of all
        np.testing.assert_array_equal(few[labels == label], every[0][every[1] == label][:7])
    np.testing.assert_allclose(info.mean_image, few.mean(0), atol=1e-3)  # of these images only
    assert take(dataset.train(4), 3)[0].shape == (12, 28, 28, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"hold_out_every": 1},
            "`hold_out_every` must be a whole number from 2. Received: hold_out_every=1",
        ),
        (
            {"hold_out_every": 2},
            "`hold_out_every` needs a data set without validation images of its own. .* has x_test",
        ),
        (
            {"class_subset": (0, 4)},
            "`class_subset` must be different numbers from 0 to 3, at least two",
        ),
        ({"class_subset": (1,)}, "`class_subset` must be different numbers"),
        ({"class_subset": (1, 1)}, "`class_subset` must be different numbers"),
        ({"max_images_per_class": 0}, "`max_images_per_class` must be a positive whole number"),
        (
            {"max_images_per_class": 21},
            "`max_images_per_class` must be at most the training images of each class, 20 of",
        ),
    ],
)
def test_missing_parts_of_a_set(options, message, tiny_npz):
    with pytest.raises(ValueError, match=message):
        Dataset(tiny_npz, 32, 28, **options)
