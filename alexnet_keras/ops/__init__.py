"""The operations of AlexNet: definitions, faster implementations, and the choice among them."""

from alexnet_keras.ops.dispatch import implementation, print_implementations

__all__ = ["implementation", "print_implementations"]
