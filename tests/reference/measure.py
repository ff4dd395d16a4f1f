"""Parameters and multiply-adds, counted on the module itself."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def params(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def macs(model: nn.Module, input_shape: Sequence[int] = (3, 32, 32)) -> int:
    """Multiply-adds of the convolutions and linear layers for one image; works on the meta device too.

    Biases, norms and pools are not counted.
    """
    total = 0

    def count(module: nn.Module, _: object, output: Tensor) -> None:
        nonlocal total
        if isinstance(module, nn.Conv2d):  # weight: out x in/groups x k x k, used at every pixel of the output
            total += module.weight.numel() * output.shape[-2] * output.shape[-1]
        elif isinstance(module, nn.Linear):
            total += module.weight.numel()

    weight = next(model.parameters())
    image = torch.zeros(1, *input_shape, device=weight.device, dtype=weight.dtype)
    hooks = [m.register_forward_hook(count) for m in model.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    training = model.training
    try:
        with torch.no_grad():
            model.eval()(image)
    finally:
        model.train(training)
        for hook in hooks:
            hook.remove()
    return total
