"""Explanations of a classifier: why it answers as it does, and what its units respond to.

Four functions explain the class of an image. They take a `Classifier`, images as
`Classifier.predict` takes them, and a class name. They return an `Explanation` for each image:

- `occlusion` measures how the class's probability falls when a part of the image is hidden;
- `saliency` is the gradient of the class's score with respect to the pixels;
- `guided_backpropagation` is this gradient with only its positive paths through ReLUs;
- `grad_cam` shows where the maps of a layer support the class.

`explain_each` yields the explanations of many images one after the other.

Three functions explain units of a layer: `top_patches` finds the image patches that excite them
most, `activation_maximization` draws an image that excites them, and `receptive_field` computes
which pixels they see. All maps and boxes are in pixels of the crop that the network sees.
"""

from alexnet_keras.explain.class_activation_maps import grad_cam
from alexnet_keras.explain.explanation import Explanation
from alexnet_keras.explain.gradients import gradient
from alexnet_keras.explain.guided_gradients import guided_backpropagation
from alexnet_keras.explain.maximization import activation_maximization
from alexnet_keras.explain.methods import explain_each
from alexnet_keras.explain.occlusion_maps import occlusion
from alexnet_keras.explain.patches import UnitPatches, top_patches
from alexnet_keras.explain.receptive_fields import ReceptiveField, receptive_field
from alexnet_keras.explain.saliency_maps import saliency

__all__ = [
    "Explanation",
    "ReceptiveField",
    "UnitPatches",
    "activation_maximization",
    "explain_each",
    "grad_cam",
    "gradient",
    "guided_backpropagation",
    "occlusion",
    "receptive_field",
    "saliency",
    "top_patches",
]
