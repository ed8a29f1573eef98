"""Training on several devices and hosts, and one tower of the network on each of two devices."""

from alexnet_keras.distributed.devices import scope_for
from alexnet_keras.distributed.hosts import join_hosts
from alexnet_keras.distributed.towers import two_towers

__all__ = ["join_hosts", "scope_for", "two_towers"]
