"""A network as it starts, and a batch that it is shown: what zero-cost proxies are computed of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn
from torch.nn.functional import cross_entropy
from torch.nn.modules.batchnorm import _BatchNorm

from compiler.analysis.requirements.evaluate import amounts_of
from compiler.backend.lowering.network import Network
from compiler.backend.passes import FLATTEN
from compiler.elaborate import Elaborated
from compiler.util.seeds import mix


@dataclass(frozen=True)
class Probe:
    """An untrained network with a batch, on which zero-cost proxies are computed.

    Attributes:
        space: the network.
        module: its module in float64, without an auxiliary head: (n, c, h, w) to (n, classes), or to its task's shape.
        images: the inputs (n, c, h, w) in float64, or the tokens (n, length) of texts.
        labels: the labels (n), or the targets of the task.
        seed: the seed of random images.
        task: the loss of outputs and targets.
    """

    space: Elaborated
    module: nn.Module
    images: Tensor
    labels: Tensor
    seed: int
    task: Callable[[Tensor, Tensor], Tensor] = cross_entropy

    @property
    def weights(self) -> list[Tensor]:
        """Kernels and matrices."""
        return list(weight_layers(self.module).values())

    @property
    def loss(self) -> Tensor:
        """The mean loss, such as the cross-entropy."""
        return self.task(self.module(self.images), self.labels)

    def amount(self, name: str) -> float:
        """A cost of the network, by its name in the language."""
        return float(dict(amounts_of(self.space))[name])

    def parts(self, *kinds: type[nn.Module]) -> list[nn.Module]:
        """The modules of some kinds."""
        return [part for part in self.module.modules() if isinstance(part, kinds)]


def weight_layers(module: nn.Module) -> dict[nn.Module, Tensor]:
    """The layers whose weight is a kernel or a matrix, each with that weight."""
    weights = {part: getattr(part, "weight", None) for part in module.modules()}
    return {part: weight for part, weight in weights.items() if isinstance(weight, Tensor) and weight.dim() > 1}


def without_auxiliary(network: Network) -> nn.Module:
    """The module of a network without its auxiliary head, whose parameters go too."""
    module: fx.GraphModule = network.network
    (output,) = module.graph.find_nodes(op="output")
    if isinstance(output.args[0], tuple):
        output.args = (output.args[0][0],)
        module.graph.eliminate_dead_code()
        module.recompile()
        module.delete_all_unused_submodules()
    return module


def probe_of(
    space: Elaborated,
    images: Tensor,
    labels: Tensor,
    seed: int,
    task: Callable[[Tensor, Tensor], Tensor] = cross_entropy,
) -> Probe:
    """A discrete network with the weights that `--train` starts from, and a batch.

    Args:
        space: the network.
        images: (n, c, h, w), on the device where it is to run.
        labels: (n), or the targets of the task.
        seed: of the weights.
        task: the loss of outputs and targets.
    """
    torch.manual_seed(mix(seed, "init"))
    module = without_auxiliary(Network(space, (FLATTEN,), training_only=False)).to(images.device, torch.float64)
    module.eval()
    for part in module.modules():
        if isinstance(part, _BatchNorm | nn.RNNBase):  # cuDNN has a gradient of the latter in training only
            part.train()
    images, labels = (part.double() if part.is_floating_point() else part for part in (images, labels))
    return Probe(space, module, images, labels, seed, task)
