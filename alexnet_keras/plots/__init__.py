"""Figures of arrays, models and histories."""

from alexnet_keras.extras import extra

with extra("drawing figures"):
    from alexnet_keras.plots.class_names import in_words
    from alexnet_keras.plots.curves import plot_curves
    from alexnet_keras.plots.experiments import (
        plot_by_setting,
        plot_comparisons,
        plot_ensembles,
        plot_learning_rates,
        plot_training_errors,
    )
    from alexnet_keras.plots.explanations import plot_explanations, plot_patches
    from alexnet_keras.plots.images import plot_images
    from alexnet_keras.plots.kernels import (
        animate_kernels,
        plot_feature_maps,
        plot_kernel_measures,
        plot_kernel_strip,
        plot_kernels,
        save_animation,
    )
    from alexnet_keras.plots.neighbors import plot_codes, plot_neighbors
    from alexnet_keras.plots.predictions import plot_classified, plot_predictions
    from alexnet_keras.plots.style import save_figure
    from alexnet_keras.plots.towers import animate_towers, plot_tower_gaps, plot_towers

__all__ = [
    "animate_kernels",
    "animate_towers",
    "in_words",
    "plot_by_setting",
    "plot_classified",
    "plot_codes",
    "plot_comparisons",
    "plot_curves",
    "plot_ensembles",
    "plot_explanations",
    "plot_feature_maps",
    "plot_images",
    "plot_kernel_measures",
    "plot_kernel_strip",
    "plot_kernels",
    "plot_learning_rates",
    "plot_neighbors",
    "plot_patches",
    "plot_predictions",
    "plot_tower_gaps",
    "plot_towers",
    "plot_training_errors",
    "save_animation",
    "save_figure",
]
