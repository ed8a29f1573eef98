"""Commands: trainings, experiments of the paper, and measurements of trained networks."""

import os

# TensorFlow reads this when it is imported; it notes the processor at every start otherwise.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
