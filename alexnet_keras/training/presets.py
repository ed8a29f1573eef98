"""What the training presets change in the defaults of `TrainingConfig`, which are the paper's."""

_SOURCE = dict(
    schedule="step",
    decay_biases=False,
    bias_learning_rate=0.02,
    pca_noise="standard_deviation",
    pca_noise_end=68 / 93,
    conv1_milestones=(68 / 93, 72 / 93),
)
_SMALL = dict(
    dataset="shapes",
    epochs=4,
    batch_size=64,
    schedule="step",
    lr_milestones=(0.75,),
    pca_noise="standard_deviation",
    image_size=64,
    crop_size=56,
)
_CAFFE = dict(
    batch_size=256,
    schedule="step",
    lr_milestones=(2 / 9, 4 / 9, 6 / 9, 8 / 9),
    decay_biases=False,
    pca_noise="none",
    crop_size=227,
)
_VGG = dict(epochs=74, batch_size=256, mean_subtraction="color", pca_noise="standard_deviation")
# Every network of `alexnet_keras.models.NETWORKS`. Written out, as those need Keras.
TRAINING_PRESETS = {
    "paper": {},
    "source": _SOURCE,
    "one_tower": _SOURCE,
    "conv6": _SOURCE,
    # As far as their authors' training is of the kinds that there are here.
    "torchvision": dict(
        batch_size=256,
        schedule="step",
        lr_milestones=(1 / 3, 2 / 3),
        weight_decay=0.0001,
        pca_noise="none",
    ),
    "bvlc_alexnet": _CAFFE,
    "caffenet": _CAFFE,
    "small": _SMALL,
    "cifar": {
        **_SMALL,
        "dataset": "cifar10",
        "epochs": 30,
        "batch_size": 128,
        "lr_milestones": (0.6, 0.85),
        "image_size": 32,
        "crop_size": 28,
    },
    # As for figure 1: no regularization of any kind, one rate throughout.
    "four_layer": dict(
        dataset="cifar10",
        epochs=60,
        learning_rate=0.02,
        schedule="step",
        lr_milestones=(),
        weight_decay=0.0,
        random_crop=False,
        pca_noise="none",
        image_size=32,
        crop_size=32,
        test_views=("center",),
    ),
    # Section 3.1 of Simonyan and Zisserman (2014).
    **dict.fromkeys(("vgg_A", "vgg_A-LRN", "vgg_B", "vgg_C", "vgg_D", "vgg_E"), _VGG),
}
