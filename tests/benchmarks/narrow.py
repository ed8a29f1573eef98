"""Runs a worker of a benchmark with narrow networks, and with small arrays for the limits.

python -m tests.benchmarks.narrow -m benchmarks.MODULE ARGUMENTS
"""

import dataclasses
import functools
import importlib
import sys

FILTERS = (24, 64, 96, 96, 64, 64)
UNITS = (128, 128)


def multiply_adds(classes):
    """Multiply-adds of an image: positions x kernels x weights of a kernel; inputs x units."""
    return [
        *(55**2 * 24 * 11**2 * 3, 27**2 * 64 * 5**2 * 12),
        *(13**2 * 96 * 3**2 * 64, 13**2 * 96 * 3**2 * 48, 13**2 * 64 * 3**2 * 48),
        *(6**2 * 64 * 128, 128 * 128, 128 * classes),
    ]


def parameters(classes):
    """Parameters of the network: kernels x (weights of a kernel + 1); units x (inputs + 1)."""
    return sum(
        [
            *(24 * (11**2 * 3 + 1), 64 * (5**2 * 12 + 1), 96 * (3**2 * 64 + 1)),
            *(96 * (3**2 * 48 + 1), 64 * (3**2 * 48 + 1)),
            *(128 * (6**2 * 64 + 1), 128 * (128 + 1), classes * (128 + 1)),
        ]
    )


def main(module, *arguments):
    from benchmarks import roofline

    roofline.SIDE = 64
    roofline.memory_bandwidth = functools.partial(roofline.memory_bandwidth, mib=1)
    presets = importlib.import_module("alexnet_keras.models.alexnet_config").PRESETS
    presets["paper"] = dataclasses.replace(presets["paper"], filters=FILTERS, units=UNITS)
    importlib.import_module(module).main(arguments)


if __name__ == "__main__":
    main(*sys.argv[2:])
