"""The claims of the papers, in groups, and the experiments that test them."""

import dataclasses

_NO_IMAGENET = "needs ImageNet, about 150 GB that are downloaded by hand, and a GPU"
_NO_FALL_2011 = "needs ImageNet as of Fall 2011, 15 million images"
_NO_FALL_2009 = "needs ImageNet as of Fall 2009, 8.9 million images"


@dataclasses.dataclass(frozen=True)
class Claim:
    """A claim of a paper, or of ours.

    Args:
        words: the claim.
        paper: figures of the paper, as text; `None` for a claim of ours.
        experiment: name of the experiment that tests it.
        of: text in the claim of a comparison that tests it; "" for all comparisons.
        reason: why it can't be tested here.
    """

    words: str
    paper: str | None
    experiment: str = ""
    of: str = ""
    reason: str = ""


@dataclasses.dataclass(frozen=True)
class ClaimGroup:
    """Claims that share a section of REPRODUCTION.md.

    Args:
        title: heading of the section.
        claims: the claims.
        pictures: dict from paths of pictures, relative to the folder of results, to descriptions.
    """

    title: str
    claims: tuple
    pictures: dict = dataclasses.field(default_factory=dict)


GROUPS = (
    ClaimGroup(
        "Errors on ImageNet",
        (
            Claim("ILSVRC-2010 test, ten crops", "37.5 / 17.0", reason=_NO_IMAGENET),
            Claim("ILSVRC-2010 test, center crop", "39.0 / 18.3", reason=_NO_IMAGENET),
            Claim("ILSVRC-2012 validation, ten crops", "40.7 / 18.2", reason=_NO_IMAGENET),
            Claim("Five networks averaged, ILSVRC-2012", "38.1 / 16.4", reason=_NO_IMAGENET),
            Claim(
                "Sixth conv layer, pre-trained on Fall 2011", "39.0 / 16.6", reason=_NO_FALL_2011
            ),
            Claim("Seven networks averaged", "36.7 / 15.4", reason=_NO_FALL_2011),
            Claim("Fall 2009, 10,184 classes", "67.4 / 40.9", reason=_NO_FALL_2009),
        ),
    ),
    ClaimGroup(
        "ReLU against tanh and sigmoid",
        (
            Claim(
                "ReLU reaches 25% training error on CIFAR-10 faster than tanh",
                "6 times fewer epochs",
                experiment="relu_vs_tanh",
            ),
            Claim("ReLU is faster than sigmoid", "no figure", experiment="relu_vs_sigmoid"),
            Claim(
                "ReLU is faster than tanh, with input, initialization or batch size changed",
                "6 times fewer epochs",
                experiment="relu_vs_tanh_inputs",
            ),
            Claim(
                "ReLU is faster than tanh, with settings of cuda-convnet's files",
                "6 times fewer epochs",
                experiment="relu_vs_tanh_settings",
            ),
        ),
        {
            "relu_vs_tanh/training_error.png": "Training error by epoch with ReLU and with tanh",
            "relu_vs_tanh_settings/training_error.png": "The same with cuda-convnet's settings",
        },
    ),
    ClaimGroup(
        "Response normalization",
        (
            Claim(
                "Normalization lowers the test error of a four-layer network on CIFAR-10",
                "11% with it, 13% without it",
                experiment="cifar_normalization",
                of="11%",
            ),
            Claim(
                "Normalization also lowers the error without augmentation, by cuda-convnet's files",
                "18% with it, 19% without it",
                experiment="cifar_normalization",
                of="18%",
            ),
            Claim(
                "Normalization lowers the errors",
                "by 1.4 / 1.2 points",
                experiment="response_normalization",
            ),
        ),
        {"response_normalization/comparisons.png": "Differences by response normalization"},
    ),
    ClaimGroup(
        "Overlapping pooling",
        (
            Claim(
                "Overlapping pools lower the errors",
                "by 0.4 / 0.3 points",
                experiment="overlapping_pooling",
            ),
        ),
        {"overlapping_pooling/comparisons.png": "Differences of the errors by overlapping pools"},
    ),
    ClaimGroup(
        "Two towers",
        (
            Claim(
                "Two towers lower the errors, against one of half the kernels",
                "by 1.7 / 1.2 points",
                experiment="towers",
                of="lower the errors",
            ),
            Claim(
                "Two towers without exchange have higher errors",
                "40.7 / 18.2 with exchange, and in the 2012 source 41.8 / 19.3 without it",
                experiment="towers",
                of="No exchange",
            ),
        ),
        {"towers/comparisons.png": "Differences of the errors by the towers"},
    ),
    ClaimGroup(
        "Depth",
        (
            Claim(
                "Removing a middle conv layer raises the top-1 error",
                "by about 2 points",
                experiment="depth",
            ),
        ),
        {"depth/comparisons.png": "Differences of the errors without a layer"},
    ),
    ClaimGroup(
        "Augmentation",
        (
            Claim(
                "Color noise lowers the top-1 error",
                "by over 1 point",
                experiment="augmentation",
                of="noise lowers",
            ),
            Claim(
                "Without crops and mirror images the network overfits",
                "substantially",
                experiment="augmentation",
                of="overfitting",
            ),
        ),
        {"augmentation/comparisons.png": "Differences of the errors by augmentation"},
    ),
    ClaimGroup(
        "Dropout",
        (
            Claim(
                "Without dropout the network overfits, and its error rises",
                "substantially",
                experiment="dropout",
                of="overfitting",
            ),
            Claim(
                "Dropout raises the number of iterations to converge",
                "about twice",
                experiment="dropout",
                of="iterations",
            ),
        ),
        {"dropout/comparisons.png": "Difference of the error without dropout"},
    ),
    ClaimGroup(
        "Weight decay",
        (Claim("Weight decay lowers the training error", "no figure", experiment="weight_decay"),),
        {"weight_decay/comparisons.png": "Differences of the errors by weight decay"},
    ),
    ClaimGroup(
        "Initialization",
        (
            Claim("Biases of 1 speed up the early stage", "no figure", experiment="initialization"),
            Claim(
                "Small initial weights in conv1 leave less noise in its kernels",
                None,
                experiment="conv1_initialization",
                of="noise",
            ),
            Claim(
                "Small initial weights in conv1 do not raise the error",
                None,
                experiment="conv1_initialization",
                of="raise the error",
            ),
        ),
        {
            "initialization/comparisons.png": "Ratios of the steps to leave chance level",
            "conv1_initialization/conv1_starts.png": "Noise and error by conv1's initial weights",
        },
    ),
    ClaimGroup(
        "Ten crops",
        (
            Claim(
                "Ten crops lower the errors, against the center crop",
                "39.0 / 18.3 to 37.5 / 17.0",
                experiment="ten_crops",
            ),
        ),
        {"ten_crops/comparisons.png": "Differences of the errors by ten crops"},
    ),
    ClaimGroup(
        "Kernels",
        (
            Claim(
                "One tower's kernels are color-agnostic, the other's color-specific",
                "in every run",
                experiment="tower_colors",
                of="in every run",
            ),
            Claim(
                "The towers differ in color because few layers exchange their maps",
                "no figure",
                experiment="tower_colors",
                of="restricted connectivity",
            ),
        ),
        {
            "tower_colors/kernels_two_towers.png": "Kernels of conv1 in ten runs of two towers",
            "tower_colors/towers.png": "Gap between the towers in color by epoch",
        },
    ),
    ClaimGroup(
        "Neighbors and binary codes",
        (
            Claim(
                "Images that are near in the last hidden layer are alike, though far in pixels",
                "pictures",
                experiment="neighbors",
            ),
            Claim(
                "Binary codes (here of 128 bits) retrieve better from activations than from pixels",
                "far better",
                experiment="codes",
            ),
        ),
        {"codes/codes.png": "Precision of binary codes of activations and of pixels, by length"},
    ),
    ClaimGroup(
        "Ensembles",
        (
            Claim(
                "Five networks averaged have lower errors than one",
                "40.7 / 18.2 to 38.1 / 16.4",
                experiment="evaluate",
            ),
        ),
        {"evaluate/ensembles.png": "Errors by the number of networks that are averaged"},
    ),
    ClaimGroup(
        "Pre-training",
        (
            Claim(
                "Pre-training and fine-tuning lower the error, against training from scratch",
                "40.7 to 39.0 top-1, with a sixth conv layer as well, so not compared here",
                experiment="fine_tune",
            ),
        ),
        {"fine_tune/comparisons.png": "Differences of the errors by pre-training"},
    ),
    ClaimGroup(
        "VGG",
        (
            Claim(
                "More convolutions lower the top-1 error",
                "29.6 (A) to 27.0 (D)",
                "vgg_depth",
                of="Deeper",
            ),
            Claim(
                "Further 1x1 convolutions lower the top-1 error",
                "28.7 (B) to 28.1 (C)",
                "vgg_depth",
                of="1x1 convolutions",
            ),
            Claim(
                "3x3 kernels are better than 1x1 kernels",
                "28.1 (C) to 27.0 (D)",
                "vgg_depth",
                of="3x3",
            ),
            Claim(
                "Response normalization does not help",
                "29.6 (A) to 29.7",
                "vgg_normalization",
                of="help",
            ),
            Claim("Response normalization costs time", "no figure", "vgg_normalization", of="time"),
        ),
        {"vgg_depth/comparisons.png": "Differences of the errors between VGG's configurations"},
    ),
)
CLAIMS = tuple(claim for group in GROUPS for claim in group.claims)
