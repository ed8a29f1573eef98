"""The momentum update in place, by PyTorch's operations."""

import torch


@torch.no_grad()
def in_place_momentum(
    variable: torch.Tensor, velocity: torch.Tensor, gradient, learning_rate, momentum, decay
) -> None:
    """Changes a variable and its velocity in place, as `reference.momentum_update` defines.

    The definition would take five new tensors of the variable's size, and two copies. A learning
    rate on a GPU stays there.

    Args:
        variable, velocity: tensors.
        gradient: tensor of the same shape.
        learning_rate, momentum, decay: scalars; the learning rate may be a tensor.
    """
    rate = torch.as_tensor(learning_rate, dtype=velocity.dtype, device=velocity.device)
    velocity.mul_(momentum)
    velocity.addcmul_(gradient.to(velocity.dtype), rate, value=-1)
    if decay:
        velocity.addcmul_(variable, rate, value=-decay)
    variable.add_(velocity)
