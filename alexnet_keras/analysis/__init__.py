"""Measures of a trained network's kernels, and their snapshots over the epochs."""

from alexnet_keras.analysis.kernels import (
    colorfulness,
    high_frequency_energy,
    kernel_measures,
    layer_kernels,
    orientation,
    permutation_test,
    spatial_frequency,
)
from alexnet_keras.analysis.snapshots import KernelSnapshots, Snapshot, read_snapshots

__all__ = [
    "KernelSnapshots",
    "Snapshot",
    "colorfulness",
    "high_frequency_energy",
    "kernel_measures",
    "layer_kernels",
    "orientation",
    "permutation_test",
    "read_snapshots",
    "spatial_frequency",
]
