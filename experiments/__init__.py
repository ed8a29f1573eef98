"""Commands of the project: trainings, experiments of the paper, and measurements of trained networks."""

import os

# TensorFlow reads this when it is imported; its notes on the processor would come before every output.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
