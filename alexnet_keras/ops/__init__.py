"""The operations of AlexNet: definitions, faster implementations, and the choice among them."""

from alexnet_keras.ops.dispatch import explain, implementation

__all__ = ["explain", "implementation"]
