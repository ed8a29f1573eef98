"""Training presets: their differences from the defaults of `TrainingConfig`, the paper's."""

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
    learning_rate=0.02,
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
# Parameter files of cuda-convnet. Biases have their own rate and no decay.
_CUDA_CONVNET = dict(
    dataset="cifar10",
    learning_rate=0.001,
    schedule="step",
    weight_decay=0.004,
    decay_biases=False,
    bias_learning_rate=0.002,
    pca_noise="none",
    image_size=32,
)
# cuda-convnet trains on four of the five parts of the images first, and on all parts later. Here
# all images train for the same total of epochs.
_CIFAR_13PCT = dict(
    **_CUDA_CONVNET,
    epochs=160,
    lr_milestones=(140 / 160, 150 / 160),
    layer_weight_decay={"conv1": 0.0, "conv2": 0.0},
    crop_size=24,
    test_views=("center", "ten_crop", "nine_crop"),
)
# The file of the 19% network has no epochs; these are from the file of the 18% network.
_CIFAR_19PCT = dict(
    **_CUDA_CONVNET,
    epochs=140,
    lr_milestones=(120 / 140, 130 / 140),
    layer_weight_decay={"fc8": 3.0},
    random_crop=False,
    crop_size=32,
    test_views=("center",),
)
_VGG = dict(epochs=74, batch_size=256, mean_subtraction="color", pca_noise="standard_deviation")
# Preset of a training that starts from a classifier, whose network it takes.
PRETRAINED = "pretrained"
# Factors of the learning rate of the first convolution and of the fully connected layers: 2012
# source, the network "1 CNN*" of table 2.
FIRST_CONVOLUTION_RATE = 0.1
FULLY_CONNECTED_RATE = 10.0
# Shares of the epochs at which conv1's rate drops and conv1 is frozen: for the last third.
FINE_TUNED_CONV1_MILESTONES = (2 / 3, 2 / 3)
# A schedule for a few dozen images. The rates by layer come from the classifier's network.
FINE_TUNING = dict(
    epochs=30,
    batch_size=8,
    learning_rate=0.001,
    schedule="step",
    lr_milestones=(2 / 3,),
    decay_biases=False,
    pca_noise="none",
)
# Every network of `alexnet_keras.models.NETWORKS`, which can't be imported without Keras.
TRAINING_PRESETS = {
    "paper": {},
    "source": _SOURCE,
    "one_tower": _SOURCE,
    "conv6": _SOURCE,
    # The authors' training, as far as the options allow.
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
    "tiny_imagenet": {
        **_SMALL,
        "dataset": "tiny_imagenet",
        "epochs": 40,
        "batch_size": 128,
        "learning_rate": 0.01,
        "lr_milestones": (0.6, 0.85),
    },
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
    "cifar_19pct": _CIFAR_19PCT,
    "cifar_18pct": {**_CIFAR_19PCT, "layer_weight_decay": {"fc8": 1.0}},
    "cifar_13pct": _CIFAR_13PCT,
    "cifar_11pct": {
        **_CIFAR_13PCT,
        "epochs": 520,
        "lr_milestones": (500 / 520, 510 / 520),
        "layer_weight_decay": {"conv1": 0.0, "conv2": 0.0, "fc8": 0.01},
    },
    # Section 3.1 of Simonyan and Zisserman (2014).
    **dict.fromkeys(("vgg_A", "vgg_A-LRN", "vgg_B", "vgg_C", "vgg_D", "vgg_E"), _VGG),
}
