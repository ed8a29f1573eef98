"""The version, apart from the package so that it is read without Keras."""

__version__ = "0.1.0"
