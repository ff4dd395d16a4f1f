"""Zero-cost proxies: what is computed of a network as it starts, on one batch, instead of training it.

All in float64, with the statistics of the batch in batch norms, and nothing else as in training. Weights are kernels of
convolutions and matrices of linear layers. To add a proxy, add its name to `ProxyName` and its line to `PROXIES`.

Sources: Abdelfattah et al., "Zero-Cost Proxies for Lightweight NAS" (ICLR 2021), for `grad_norm` and the forms that it
gives to `snip` (Lee et al., 2019), `grasp` (Wang et al., 2020), `fisher` (Turner et al., 2020), `synflow` (Tanaka et
al., 2020) and `jacob_cov` (Mellor et al., 2020); Mellor et al., "Neural Architecture Search without Training" (ICML
2021), for `naswot`; Lin et al., "Zen-NAS" (ICCV 2021), for `zen`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.autograd import grad
from torch.nn.modules.batchnorm import _BatchNorm

from compiler.backend.torch_modules.images import GlobalPool
from compiler.searcher.engine.errors import SingleValueError, is_single_value
from compiler.searcher.settings.judges import ProxyName
from compiler.util.errors import UsageError
from compiler.util.seeds import mix

from .probe import Probe, weight_layers

RELUS = (nn.ReLU, nn.ReLU6)
NORMS = (_BatchNorm, nn.LayerNorm, nn.GroupNorm)
SMALL = 1e-5
"""Added to the eigenvalues of `jacob_cov`."""
STEP = 1e-2
"""How far the second images of `zen` are from the first, in standard deviations."""


@dataclass(frozen=True)
class Proxy:
    """A proxy: the higher, the better the network may be."""

    value: Callable[[Probe], Tensor | float]
    lacking: str = ""
    """What a network needs for the proxy, where not every network has it, as part of a sentence."""
    needs: tuple[type[nn.Module], ...] = ()
    """Classes of modules; a network has to have a module of one of them."""
    moves: bool = False
    """Whether it changes the images, which tokens do not allow."""


@contextmanager
def forward_hooks(parts: Iterable[nn.Module], see: Callable[[Tensor, Tensor], None]) -> Iterator[None]:
    """A context in which ``see`` is called with the input and the output of each of the modules when it runs."""

    def hook(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        see(inputs[0], output)

    handles = [part.register_forward_hook(hook) for part in parts]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def gradients(loss: Tensor, weights: Sequence[Tensor], create_graph: bool = False) -> tuple[Tensor, ...]:
    """The gradient of a loss in each of the weights; zeros where it does not depend on them."""
    return grad(loss, weights, create_graph=create_graph, allow_unused=True, materialize_grads=True)


def grad_norm(probe: Probe) -> Tensor:
    """The sum over weights of the norm of the gradient of the loss."""
    return torch.stack([found.norm() for found in gradients(probe.loss, probe.weights)]).sum()


def snip(probe: Probe) -> Tensor:
    """The sum of |w dL/dw|."""
    weights = probe.weights
    return dots([value.abs() for value in weights], [found.abs() for found in gradients(probe.loss, weights)])


def dots(left: Sequence[Tensor], right: Sequence[Tensor]) -> Tensor:
    """The inner product of two lists of tensors."""
    return torch.stack([(a * b).sum() for a, b in zip(left, right, strict=True)]).sum()


def grasp(probe: Probe) -> Tensor:
    """The sum of -w (H g): how much the step along the gradient g would change its norm, in first order."""
    return preserved_flow(probe.loss, probe.weights)


def preserved_flow(loss: Tensor, weights: Sequence[Tensor]) -> Tensor:
    """-w' H g of a loss, with its gradient g and its Hessian H in the weights w."""
    first = gradients(loss, weights, create_graph=True)
    second = gradients(dots([value.detach() for value in first], first), weights)
    return -dots(weights, second)


def synflow(probe: Probe) -> Tensor:
    """The sum of w dR/dw, where R is the sum of the outputs for an image of ones, of absolute weights and no norms."""
    bare = without_norms(probe.module)
    with torch.no_grad():
        for value in bare.parameters():
            value.abs_()
    weights = list(weight_layers(bare).values())
    outputs = bare(torch.ones_like(probe.images[:1]))
    return dots(weights, gradients(outputs.sum(), weights))


def without_norms(module: nn.Module) -> nn.Module:
    """A copy of a module whose norms answer what enters them."""
    copy = deepcopy(module).eval()
    for part in copy.modules():
        if isinstance(part, NORMS):
            part.register_forward_hook(lambda _, inputs, __: inputs[0])
    return copy


def naswot(probe: Probe) -> Tensor | float:
    """The log of the determinant of how many units of ReLUs answer two images alike, image by image."""
    agree = torch.zeros(len(probe.images), len(probe.images), dtype=torch.float64, device=probe.images.device)

    def see(before: Tensor, _: Tensor) -> None:
        on = (before > 0).flatten(1).double()
        agree.add_(on @ on.T + (1 - on) @ (1 - on).T)

    with torch.no_grad(), forward_hooks(probe.parts(*RELUS), see):
        probe.module(probe.images)
    alike = len(torch.unique(agree, dim=0)) < len(agree)  # Equal rows, whose determinant rounding may leave above 0.
    return float("-inf") if alike else torch.linalg.slogdet(agree).logabsdet


def jacob_cov(probe: Probe) -> Tensor:
    """-sum(log(v + k) + 1 / (v + k)) of the eigenvalues v of the correlations of images' gradients, with k = 1e-5."""
    images = probe.images.clone().requires_grad_()
    (found,) = gradients(probe.module(images).sum(), [images])
    found = found.flatten(1)
    centred = found - found.mean(1, keepdim=True)
    unit = centred / centred.norm(dim=1, keepdim=True)
    if not unit.isfinite().all():
        return torch.tensor(float("nan"))
    values: Tensor = torch.linalg.eigvalsh(unit @ unit.T) + SMALL
    score: Tensor = (values.log() + 1 / values).sum()
    return -score


def fisher(probe: Probe) -> Tensor:
    """The sum over the outputs a of layers with weights, by channel, of the mean over images of (sum a dL/da)^2 / 2."""
    outputs: list[Tensor] = []
    with forward_hooks(weight_layers(probe.module), lambda _, after: outputs.append(after)):
        loss = probe.loss
    found = [a * g for a, g in zip(outputs, gradients(loss, outputs), strict=True)]
    sums = [value.flatten(2).sum(2) if value.dim() > 2 else value for value in found]
    return torch.stack([value.square().mean(0).sum() / 2 for value in sums]).sum()


def zen(probe: Probe) -> Tensor:
    """log of how far the last maps move with the images, plus for each batch norm the log of its mean deviation.

    Images are Gaussian noise, moved by a hundredth of another. The last maps are what enters the last global pool; a
    network without one is asked for its logits.
    """
    source = torch.Generator().manual_seed(mix(probe.seed, "zen"))
    first, other = (torch.randn(probe.images.shape, generator=source, dtype=torch.float64) for _ in range(2))
    scales: list[Tensor] = []
    with forward_hooks(probe.parts(_BatchNorm), lambda before, _: scales.append(deviation(before))):
        maps = last_maps(probe, first)
    moved = last_maps(probe, first + STEP * other)
    distance = (maps - moved).abs().flatten(1).sum(1).mean()
    return distance.log() + torch.stack(scales).log().sum()


def deviation(images: Tensor) -> Tensor:
    """The root of the mean over channels of their variances, of (n, c, ...)."""
    return images.transpose(0, 1).flatten(1).var(1, correction=0).mean().sqrt()


@torch.no_grad()
def last_maps(probe: Probe, images: Tensor) -> Tensor:
    """What enters the last global pool, or where there is none the logits."""
    found: list[Tensor] = []
    with forward_hooks(probe.parts(GlobalPool), lambda before, _: found.append(before)):
        logits: Tensor = probe.module(images.to(probe.images))
    return found[-1] if found else logits


PROXIES: Mapping[ProxyName, Proxy] = {
    ProxyName.PARAMS: Proxy(lambda probe: probe.amount("params")),
    ProxyName.MACS: Proxy(lambda probe: probe.amount("macs")),
    ProxyName.SYNFLOW: Proxy(synflow, moves=True),
    ProxyName.NASWOT: Proxy(naswot, "compares images by the ReLUs that they activate", RELUS),
    ProxyName.JACOB_COV: Proxy(jacob_cov, moves=True),
    ProxyName.SNIP: Proxy(snip),
    ProxyName.GRASP: Proxy(grasp),
    ProxyName.FISHER: Proxy(fisher),
    ProxyName.GRAD_NORM: Proxy(grad_norm),
    ProxyName.ZEN: Proxy(zen, "measures the deviations in batch norms", (_BatchNorm,), moves=True),
}


class LackingError(UsageError):
    """A network has nothing of what a proxy looks at."""


def values(probe: Probe, names: Sequence[ProxyName]) -> dict[str, float]:
    """Proxies of a network by name; one may be infinite, or not a number.

    Raises:
        LackingError: the network has nothing of what one looks at.
        SingleValueError: a batch norm has one value of each channel.
    """
    found = {}
    for name in names:
        proxy = PROXIES[name]
        if proxy.needs and not probe.parts(*proxy.needs):
            raise LackingError(f"`{name}` {proxy.lacking}, and '{probe.space.name}' has none")
        if proxy.moves and not probe.images.is_floating_point():
            raise LackingError(f"`{name}` moves what a network takes, and '{probe.space.name}' takes tokens")
        try:
            found[name.value] = float(torch.as_tensor(proxy.value(probe)).detach())
        except ValueError as error:
            if not is_single_value(error):
                raise
            raise SingleValueError from None
    return found
