"""Commands: trainings, experiments of the paper, and measurements of trained networks."""

import os

import alexnet_command

# TensorFlow reads this when it is imported; it notes the processor at every start otherwise.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

# A command describes and parses its options with these modules, before it imports Keras.
with alexnet_command.package_put_off():
    import alexnet_keras.cli.command
    import alexnet_keras.cli.trained_network
    import alexnet_keras.evaluation.statistics
    import alexnet_keras.evaluation.view_names
    import alexnet_keras.record
    import alexnet_keras.training.presets  # noqa: F401
