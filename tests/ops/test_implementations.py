"""Every implementation against the definition: outputs, gradients, and gradients of gradients."""

import dataclasses
import functools
import warnings
from collections.abc import Callable

import keras
import numpy as np
import pytest
from keras import ops

from alexnet_keras.ops import dispatch, reference
from alexnet_keras.ops.dispatch import ConvOptions
from tests.gradients import outputs_and_gradients, second_gradients

BACKEND = keras.backend.backend()


@dataclasses.dataclass(frozen=True)
class Case:
    """An implementation and its definition, for arrays of some shapes."""

    name: str
    function: Callable
    definition: Callable
    shapes: tuple
    dtypes: tuple = ("float32", "bfloat16")
    distinct: bool = False  # whether no two values are equal, as the gradient of a maximum needs


def conv_case(name, input_shape, kernel_shape, dtypes=("float32", "bfloat16"), **options):
    options = {"strides": (1, 1), "padding": "valid", "groups": 1, **options}
    settings = ConvOptions(**options)
    function = {
        "native": functools.partial(dispatch._native_conv2d, options=settings),
        "by_tower": functools.partial(dispatch._with_bias, dispatch._conv2d_by_tower, settings),
        "space_to_depth": functools.partial(
            dispatch._with_bias, dispatch._space_to_depth_conv, settings
        ),
        "winograd": functools.partial(
            dispatch._winograd_conv, tile=4, groups=settings.groups, name="conv"
        ),
        "winograd_2": functools.partial(
            dispatch._winograd_conv, tile=2, groups=settings.groups, name="conv"
        ),
    }[name]
    definition = functools.partial(reference.conv2d, **options)
    return Case(name, function, definition, (input_shape, kernel_shape, kernel_shape[-1:]), dtypes)


def local_case(input_shape, kernel_shape, bias_shape, **options):
    options = {"kernel_size": (3, 3), "strides": (1, 1), "padding": "valid", **options}
    definition = functools.partial(reference.locally_connected2d, **options)
    function = functools.partial(dispatch.batched_local, **options)
    return Case("batched", function, definition, (input_shape, kernel_shape, bias_shape))


def normalization_cases(size, groups, beta):
    arguments = {"size": size, "k": 1.5, "alpha": 0.3, "beta": beta}
    across_maps = functools.partial(
        reference.local_response_normalization, **arguments, groups=groups
    )
    across_positions = functools.partial(reference.spatial_response_normalization, **arguments)
    for training in (True, False):
        for definition, shape, choose in (
            (
                across_maps,
                (2, 1, 2, 6),
                functools.partial(
                    dispatch.choose_local_response_normalization, 4, groups=groups, **arguments
                ),
            ),
            (
                across_positions,
                (1, 3, 4, 2),
                functools.partial(dispatch.choose_spatial_response_normalization, **arguments),
            ),
        ):
            for name in ("analytic", "analytic_xla", "recomputing"):
                with dispatch.implementation(name), warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # that a case can't take the implementation
                    choice = choose(training=training, name="norm")
                if choice.name == name:
                    label = f"{name} {definition.func.__name__} {size} {groups} {beta} {training}"
                    yield Case(label, choice.function, definition, (shape,))


def pool_case(size, pool_size, strides):
    arguments = {"pool_size": pool_size, "strides": strides, "ceil_mode": True}
    function = dispatch.gather_max_pool
    definition = functools.partial(reference.max_pool, **arguments)
    shapes = ((1, *size, 2),)
    return Case(
        "gather",
        functools.partial(function, **arguments),
        definition,
        shapes,
        ("float32",),
        distinct=True,
    )


def same_padding(x):
    return dispatch.choose_max_pool(tuple(x.shape), (3, 3), (2, 2), ceil_mode=True).function(x)


CASES = [
    conv_case("native", (2, 7, 6, 6), (3, 3, 3, 6), groups=2),
    conv_case("native", (2, 7, 6, 6), (3, 3, 6, 6), strides=(2, 2), padding="same"),
    conv_case("by_tower", (2, 7, 6, 6), (3, 3, 3, 6), groups=2),
    conv_case("by_tower", (2, 7, 8, 4), (5, 5, 2, 6), groups=2, padding="same", strides=(2, 2)),
    conv_case("space_to_depth", (2, 11, 11, 3), (7, 7, 3, 4), strides=(4, 4)),
    conv_case("space_to_depth", (2, 12, 10, 3), (5, 4, 3, 4), strides=(3, 3)),
    conv_case("winograd", (2, 7, 6, 4), (3, 3, 2, 6), ("float32",), padding="same", groups=2),
    conv_case("winograd", (8, 13, 5, 4), (3, 3, 2, 6), ("float32",), padding="same", groups=2),
    conv_case("winograd_2", (2, 5, 8, 3), (5, 5, 3, 4), ("float32",), padding="same"),
    local_case((2, 4, 5, 2), (20, 18, 3), (4, 5, 3), padding="same"),
    local_case((2, 5, 4, 2), (2, 12, 3), (2, 1, 3), kernel_size=(2, 3), strides=(2, 2)),
    local_case(
        (2, 5, 4, 2), (6, 12, 3), (3, 2, 3), kernel_size=(2, 3), strides=(2, 2), padding="same"
    ),
    *normalization_cases(5, 1, 0.75),
    *normalization_cases(4, 2, 0.75),
    *normalization_cases(3, 2, 0.6),
    Case(
        "swapped",
        functools.partial(dispatch.swapped_dense, name="fc"),
        reference.dense,
        ((3, 4), (4, 5), (5,)),
        ("float32",),
    ),
    pool_case((7, 7), (3, 3), (2, 2)),
    pool_case((8, 7), (3, 3), (2, 2)),
    pool_case((5, 6), (2, 2), (2, 2)),
    Case(
        "same_padding",
        same_padding,
        functools.partial(reference.max_pool, pool_size=(3, 3), strides=(2, 2), ceil_mode=True),
        ((1, 8, 8, 2),),
        ("float32",),
        distinct=True,
    ),
]
if BACKEND == "torch":  # its gradients of Winograd's method are not needed, as it never takes it
    CASES = [case for case in CASES if not case.name.startswith("winograd")]


def arrays_of(case, random):
    if case.distinct:
        return [
            random.permutation(np.prod(s)).reshape(s).astype("float32") / np.prod(s)
            for s in case.shapes
        ]
    return [random.normal(size=shape).astype("float32") for shape in case.shapes]


def normal_weights(shape):
    return np.random.RandomState(1).normal(size=shape).astype("float32")


def whole_weights(shape):
    """Weights that are exact in bfloat16."""
    return np.random.RandomState(1).randint(-4, 5, shape).astype("float32")


def assert_close(ours, expected, tolerance):
    for mine, definition in zip(ours, expected, strict=True):
        np.testing.assert_allclose(
            mine, definition, rtol=0, atol=tolerance * np.abs(definition).max()
        )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_outputs_and_gradients(case, random):
    arrays = arrays_of(case, random)
    pairs = (
        outputs_and_gradients(function, normal_weights, *arrays)
        for function in (case.function, case.definition)
    )
    assert_close(*pairs, 1e-5)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_gradients_of_gradients(case, random):
    arrays = arrays_of(case, random)
    pairs = (
        second_gradients(lambda *a, f=f: ops.tanh(f(*a)), *arrays)
        for f in (case.function, case.definition)
    )
    assert_close(*pairs, 1e-4)


@pytest.mark.parametrize(
    "case", [case for case in CASES if "bfloat16" in case.dtypes], ids=lambda case: case.name
)
def test_bfloat16(case, random):
    # Arrays that are exact in bfloat16; the definition computes with them in float32.
    rounded = [
        ops.cast(ops.cast(array, "bfloat16"), "float32") for array in arrays_of(case, random)
    ]
    arrays = [ops.convert_to_numpy(array) for array in rounded]

    def in_bfloat16(*arrays):
        return ops.cast(
            case.function(*(ops.cast(array, "bfloat16") for array in arrays)), "float32"
        )

    pairs = (
        outputs_and_gradients(function, whole_weights, *arrays)
        for function in (in_bfloat16, case.definition)
    )
    assert_close(*pairs, 2**-6)


def test_every_implementation_has_a_case():
    names = {case.name.split()[0].removesuffix("_2") for case in CASES}
    of_operations = {name for names in dispatch.IMPLEMENTATIONS.values() for name in names} - {
        "reference"
    }
    only_elsewhere = {"tensorflow": {"recomputing"}, "jax": {"analytic_xla"}}
    only_elsewhere["torch"] = {"recomputing", "analytic_xla", "winograd"}
    # The update in place has its test beside the optimizer.
    assert names == of_operations - only_elsewhere[BACKEND] - {"in_place"}
