import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import ops
from PIL import Image

from alexnet_keras import AlexNet, Classifier
from alexnet_keras import export as exporting
from alexnet_keras.data.image_files import prepared_square
from alexnet_keras.evaluation.views import crop_views
from alexnet_keras.layers import Preparation
from alexnet_keras.models import load_model

SIZE = 32
CROP = 28
NAMES = ("dark", "red", "green", "yellow")


def tiny_network(**overrides):
    keras.utils.set_random_seed(0)
    sizes = {"filters": (8,) * 6, "units": (16, 12), "input_shape": (CROP, CROP, 3)}
    # A wide start, so that probabilities differ from image to image.
    return AlexNet("cifar", classes=4, conv1_kernel_stddev=0.1, **{**sizes, **overrides})


@pytest.fixture
def mean(random):
    return random.uniform(60, 160, (SIZE, SIZE, 3)).astype("float32")


@pytest.fixture
def images(random):
    return random.randint(0, 256, (5, SIZE, SIZE, 3)).astype("uint8")


@pytest.fixture
def classifier(mean):
    return Classifier.from_network(tiny_network(), mean, NAMES)


def by_label(predictions):
    """Probabilities `(images, classes)` in the order of the labels."""
    return np.stack(
        [[dict(zip(p.names, p.probabilities, strict=True))[n] for n in NAMES] for p in predictions]
    )


def expected(network, images, mean):
    """Probabilities of a network for the center crops of prepared images, by NumPy."""
    middle = slice((SIZE - CROP) // 2, (SIZE + CROP) // 2)
    crops = images[:, middle, middle].astype("float32") - mean[middle, middle]
    return ops.convert_to_numpy(network(crops, training=False))


def test_gives_the_probabilities_of_the_network(classifier, images, mean):
    predictions = classifier.predict(images, top=4)
    probabilities = expected(classifier.network, images, mean)
    np.testing.assert_allclose(by_label(predictions), probabilities, atol=1e-6)
    assert predictions[0].names[0] == NAMES[probabilities[0].argmax()]
    for prediction in predictions:
        assert list(prediction.probabilities) == sorted(prediction.probabilities, reverse=True)
    assert len(classifier.predict(images[0], top=2)) == 1
    assert len(classifier.predict(list(images), top=2)[4].names) == 2


def test_is_one_file(classifier, images, tmp_path):
    before = by_label(classifier.predict(images, top=4))
    classifier.save(tmp_path / "classifier.keras")
    model = keras.saving.load_model(tmp_path / "classifier.keras")  # by Keras itself
    np.testing.assert_allclose(model.predict(images, verbose=0), before, atol=1e-6)
    model.save(tmp_path / "again.keras")
    again = Classifier.load(tmp_path / "again.keras")
    assert again.class_names == NAMES
    np.testing.assert_allclose(by_label(again.predict(images, top=4)), before, atol=1e-6)
    assert Classifier.load(tmp_path).class_names == NAMES  # a folder
    # Commands that take a network take the one inside.
    assert load_model(tmp_path / "classifier.keras").input_shape == (None, CROP, CROP, 3)
    filled = AlexNet(
        "cifar",
        classes=4,
        filters=(8,) * 6,
        units=(16, 12),
        input_shape=(CROP, CROP, 3),
        weights=tmp_path / "again.keras",
    )
    np.testing.assert_array_equal(filled.get_weights()[0], again.network.get_weights()[0])


def test_the_file_has_no_state_of_an_optimizer(images, mean, tmp_path):
    network = tiny_network()
    network.compile("adam", "sparse_categorical_crossentropy")
    network.train_on_batch(np.zeros((1, CROP, CROP, 3)), np.zeros(1))
    before = expected(network, images, mean)
    network.get_layer("conv1").trainable = False  # which Keras could not load with the old state
    Classifier.from_network(network, mean, NAMES).save(tmp_path / "classifier.keras")
    after = Classifier.load(tmp_path / "classifier.keras")
    np.testing.assert_allclose(by_label(after.predict(images, top=4)), before, atol=1e-6)
    assert not after.network.compiled


@pytest.mark.parametrize("activation", ["softmax", None])
def test_a_network_whose_output_is_a_list_of_one(activation, images, mean):
    network = tiny_network(classifier_activation=activation)
    listed = keras.Model([network.input], [network.output], name="listed")
    classifier = Classifier.from_network(listed, mean, NAMES)
    assert classifier.network.name == "listed"
    assert classifier.network.get_layer("conv1") is network.get_layer("conv1")
    for views in ("center", "ten_crop", "dense"):
        plain = Classifier.from_network(network, mean, NAMES).predict(images, 4, views)
        np.testing.assert_allclose(
            by_label(classifier.predict(images, 4, views)), by_label(plain), atol=1e-6
        )


def test_logits_become_probabilities(images, mean):
    network = tiny_network(classifier_activation=None)
    classifier = Classifier.from_network(network, mean, NAMES)
    logits = expected(network, images, mean).astype("float64")
    softmax = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    np.testing.assert_allclose(by_label(classifier.predict(images, top=4)), softmax, atol=1e-6)


def test_a_network_of_bgr_and_a_mean_color(images):
    color = np.array([120.0, 100.0, 80.0], "float32")
    network = tiny_network()
    classifier = Classifier.from_network(network, color, NAMES, image_size=SIZE, color_order="BGR")
    reversed_mean = np.broadcast_to(color[::-1], (SIZE, SIZE, 3))
    rgb = Classifier.from_network(network, np.array(reversed_mean), NAMES)
    for views in ("ten_crop", "dense"):
        got = by_label(classifier.predict(images, 4, views))
        np.testing.assert_allclose(
            got, by_label(rgb.predict(images[..., ::-1], 4, views)), atol=1e-6
        )


def test_ten_crops_are_averaged(classifier, images, mean):
    crops = ops.convert_to_numpy(crop_views(images.astype("float32"), CROP, "ten_crop"))
    center = slice((SIZE - CROP) // 2, (SIZE + CROP) // 2)
    crops = (crops - mean[center, center]).reshape(-1, CROP, CROP, 3)
    probabilities = ops.convert_to_numpy(classifier.network(crops)).reshape(5, 10, 4).mean(1)
    predictions = classifier.predict(images, 4, "ten_crop", batch_size=20)
    np.testing.assert_allclose(by_label(predictions), probabilities, atol=1e-6)


def test_reads_files_folders_and_pillow_images(classifier, images, tmp_path, capsys):
    (tmp_path / "sub").mkdir()
    for number, name in enumerate(("b.png", "a.png", "sub/c.bmp")):
        Image.fromarray(images[number]).save(tmp_path / name)
    (tmp_path / "broken.png").write_bytes(b"no image")
    wanted = by_label(classifier.predict(images, top=4))
    predictions = classifier.predict(tmp_path, top=4, batch_size=2)
    assert [os.path.relpath(p.source, tmp_path) for p in predictions] == [
        "a.png",
        "b.png",
        "broken.png",
        "sub/c.bmp",
    ]
    broken = predictions.pop(2)
    assert broken.error == "not a JPEG, PNG, BMP, GIF or WebP image" and broken.names == ()
    assert f"{tmp_path}/broken.png is left out: not a JPEG" in capsys.readouterr().err
    np.testing.assert_allclose(by_label(predictions), wanted[[1, 0, 2]], atol=1e-6)
    mixed = [str(tmp_path / "a.png"), Image.fromarray(images[0]), images[2].astype("float64")]
    predictions = classifier.predict(mixed, top=4)
    np.testing.assert_allclose(by_label(predictions), wanted[[1, 0, 2]], atol=1e-6)
    assert [p.source for p in predictions[1:]] == ["image 1", "image 2"]
    assert len(classifier.predict(f"{tmp_path}/*.png")) == 3


def test_predictions_come_batch_by_batch(classifier, images, tmp_path):
    for number, image in enumerate(images[:3]):
        Image.fromarray(image).save(tmp_path / f"{number}.png")
    wanted = classifier.predict(tmp_path, batch_size=1)
    predictions = classifier.predict_each(tmp_path, batch_size=1)
    first = next(predictions)
    assert first.names == wanted[0].names
    np.testing.assert_array_equal(first.probabilities, wanted[0].probabilities)
    # The last image was not read yet: threads read one batch ahead.
    (tmp_path / "2.png").write_text("no image")
    second, third = predictions
    assert (second.source, second.error) == (wanted[1].source, None)
    assert third.error == "not a JPEG, PNG, BMP, GIF or WebP image"

    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "x.png").write_text("no image")
    predictions = classifier.predict_each(tmp_path / "none")
    assert next(predictions).error
    with pytest.raises(ValueError, match="must hold an image that can be read"):
        next(predictions)
    with pytest.raises(ValueError, match="`top` must be"):  # before the first image
        classifier.predict_each(tmp_path, 99)


def test_a_pillow_image_of_a_cut_file_has_its_error(classifier, images, tmp_path):
    Image.fromarray(images[0]).save(tmp_path / "cut.png")
    content = (tmp_path / "cut.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(content[: len(content) // 2])
    with Image.open(tmp_path / "cut.png") as cut:  # reads the header only
        cut_prediction, whole = classifier.predict([cut, images[1]], top=4)
    assert "truncated" in cut_prediction.error and cut_prediction.names == ()
    wanted = by_label(classifier.predict(images[1], top=4))
    np.testing.assert_allclose(by_label([whole]), wanted, atol=1e-6)


def test_a_photograph_is_scaled_and_seen_upright(classifier, random, tmp_path):
    scene = random.randint(0, 256, (90, 60, 3)).astype("uint8")
    exif = Image.Exif()
    exif[0x112] = 8
    Image.fromarray(np.rot90(scene, -1)).save(tmp_path / "turned.png", exif=exif)
    np.testing.assert_array_equal(
        classifier.prepare(tmp_path / "turned.png"), classifier.prepare(scene)
    )


def test_one_image_and_arrays_of_the_right_size_need_no_threads(
    classifier, random, tmp_path, monkeypatch, capsys
):
    scene = random.randint(0, 256, (70, 90, 3)).astype("uint8")
    Image.fromarray(scene).save(tmp_path / "scene.png")
    prepared = classifier.prepare([scene, scene])
    np.testing.assert_array_equal(prepared[0], prepared_square(scene, SIZE))
    wanted = by_label(classifier.predict([scene, scene], top=4))
    monkeypatch.setattr("concurrent.futures.ThreadPoolExecutor.submit", None)
    np.testing.assert_array_equal(classifier.prepare(prepared), prepared)
    got = by_label(classifier.predict(prepared, top=4))
    np.testing.assert_allclose(got, wanted, atol=1e-6)
    with pytest.raises(TypeError):  # they are scaled in threads
        classifier.prepare([scene, scene])
    for image in (scene, Image.fromarray(scene), tmp_path / "scene.png"):
        np.testing.assert_array_equal(classifier.prepare(image), prepared[:1])
        got = by_label(classifier.predict(image, top=4))
        np.testing.assert_allclose(got, wanted[:1], atol=1e-6)
    assert capsys.readouterr().err == ""


def test_pads_batches_to_few_sizes(classifier, images, monkeypatch):
    sizes = []
    many = np.concatenate([images] * 3)  # 15 images: 8 + 7
    wanted = by_label(classifier.predict(many, top=4))
    run = classifier._compiled("center", 8)
    function = run._function
    monkeypatch.setattr(run, "_function", lambda batch: sizes.append(len(batch)) or function(batch))
    got = by_label(classifier.predict(many, top=4, batch_size=8))
    classifier.predict(images[:3], batch_size=8)
    classifier.predict(images[0], batch_size=8)
    assert sizes == [8, 8, 4, 1]
    np.testing.assert_allclose(got, wanted, atol=1e-6)


def test_bad_input_is_one_line_before_any_work(classifier, images, mean, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.png").write_text("no image")
    for arguments, words in (
        (
            (images, 5),
            "`top` must be a whole number from 1 to 4, the number of classes",
        ),
        ((images, 0), "`top` must be a whole number from 1 to 4"),
        (
            (images, 1, "center_crop"),
            "`test_views` must be one of center, .* Received: test_views='center_crop'",
        ),
        (([],), "`images` must hold at least one image"),
        ((tmp_path / "empty", 1), "Received: '.*empty', a folder without images"),
        ((tmp_path / "none.jpg", 1), "Received: '.*none.jpg', which does not exist"),
        (
            (tmp_path / "text.png", 1),
            "must hold an image that can be read. Received: .*text.png: not a JPEG",
        ),
        ((images - 300.0, 1), "must be arrays of values 0-255. Received: values from -300 to"),
        ((images / 255.0, 1), "so multiply these by 255. Received: fractions from .* to "),
        (
            (images[..., :2], 1),
            r"must be paths, arrays .* Received: an array of shape \(32, 32, 2\)",
        ),
        (
            (images[0, ..., 0], 1),
            r"must be paths, arrays .* Received: an array of shape \(32, 32\)",
        ),
        (([3], 1), "must be paths, arrays .* Received: 3"),
        ((None, 1), "must be paths, arrays .* Received: None"),
    ):
        with pytest.raises(ValueError, match=words):
            classifier.predict(*arguments)
    network = classifier.network
    for arguments, words in (
        (
            (network, mean, NAMES[:3]),
            "`class_names` must have a name for each of the 4 classes.* Received: 3 names",
        ),
        ((network, mean, None), "`class_names` must have .* Received: 0 names"),
        ((network, mean[:20, :20], NAMES), "`crop_size` must be .* crop_size=28, image_size=20"),
        ((network, (1, 2, 3), NAMES), "`image_size` must be given with a mean color"),
        (
            (classifier.model, mean, NAMES),
            "`model` must be a network that takes crops less the mean",
        ),
        (
            (keras.Sequential([keras.Input((4,)), keras.layers.Dense(4)]), mean, NAMES),
            "`model` must take square RGB",
        ),
        (("best.keras", mean, NAMES), "`model` must be a keras.Model. Received: .*best.keras"),
    ):
        with pytest.raises(ValueError, match=words):
            Classifier.from_network(*arguments)


def test_nan_is_no_prediction(classifier, images):
    kernel = classifier.network.get_layer("fc8").kernel
    kernel.assign(np.full(kernel.shape, np.nan))
    with pytest.raises(ValueError, match="must predict probabilities. Received: NaN"):
        classifier.predict(images)


def test_rows_of_a_memory_mapped_array_have_numbers(classifier, images, tmp_path):
    np.save(tmp_path / "images.npy", images)
    predictions = classifier.predict(np.load(tmp_path / "images.npy", mmap_mode="r"))
    assert [each.source for each in predictions[:2]] == ["image 0", "image 1"]


def test_files_that_are_no_classifier(classifier, mean, tmp_path):
    classifier.network.save(tmp_path / "best.keras")
    with pytest.raises(
        ValueError,
        match="a network without preparation and class names; add both by Classifier.from",
    ):
        Classifier.load(tmp_path / "best.keras")
    with pytest.raises(ValueError, match="`path` must be .*classifier.keras': file not found"):
        Classifier.load(tmp_path)
    images = keras.Input((SIZE, SIZE, 3))
    keras.Model(images, classifier.network(Preparation(SIZE, CROP, mean)(images))).save(
        tmp_path / "nameless.keras"
    )
    with pytest.raises(
        ValueError, match="must have 4 class names in its Preparation. Received: 0. Add them by"
    ):
        Classifier.load(tmp_path / "nameless.keras")
    with pytest.raises(ValueError, match=r"`path` must end in .keras. Received: path='.*model.h5'"):
        classifier.save(tmp_path / "model.h5")
    assert {path.name for path in tmp_path.iterdir()} == {"best.keras", "nameless.keras"}


# Float16 weights have 11 bits.
EXPORTED = {"saved_model": 1e-6, "onnx": 1e-5, "float16": 5e-3}


@pytest.mark.parametrize("kind", EXPORTED)
def test_exported_files_say_the_same(kind, images, mean, tmp_path):
    for module in exporting.FORMATS[kind][1]:
        pytest.importorskip(module)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        network = tiny_network()
    finally:
        keras.config.set_dtype_policy("float32")
    classifier = Classifier.from_network(network, mean, NAMES)
    exact = tiny_network()
    exact.set_weights(network.get_weights())
    path = tmp_path / f"classifier{exporting.FORMATS[kind][0]}"
    exporting.export(classifier.model, path, kind)
    run = exporting.load_exported(path, kind)
    prepared = classifier.prepare(images).astype("float32")
    probabilities = np.concatenate([run(image[None]) for image in prepared])
    np.testing.assert_allclose(probabilities, expected(exact, images, mean), atol=EXPORTED[kind])


IN_A_NEW_PROCESS = """
import sys
sys.modules["tensorflow_datasets"] = None  # as if it were not installed
import numpy as np
from alexnet_keras import Classifier
classifier = Classifier.load("classifier.keras")
predictions = classifier.predict("images", top=4)
names = classifier.class_names
np.save("out.npy", [[dict(zip(p.names, p.probabilities))[n] for n in names] for p in predictions])
if sys.argv[1] != "tensorflow":
    assert "tensorflow" not in sys.modules
"""


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends_say_the_same_in_a_new_process(backend, classifier, images, tmp_path):
    pytest.importorskip(backend)
    (tmp_path / "images").mkdir()
    for number, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / "images" / f"{number}.png")
    classifier.save(tmp_path / "classifier.keras")
    environment = {**os.environ, "KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu"}
    environment["PYTHONPATH"] = os.pathsep.join(
        [os.getcwd(), *filter(None, [os.environ.get("PYTHONPATH")])]
    )
    command = [sys.executable, "-c", IN_A_NEW_PROCESS, backend]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True)
    wanted = by_label(classifier.predict(images, top=4))
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), wanted, atol=1e-5)
