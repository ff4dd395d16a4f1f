"""Methods of differentiable search on the DARTS supernet, written from the published formulas, one step at a time.

A method here is what differs from DARTS: how mixing weights follow from alphas and noise, what is added to the loss of
the alphas, how weights are displaced, whether there are two levels. Noise is drawn from torch's global generator, which
the caller seeds: first for the pass of the alphas, then for what displaces, then for the pass of the weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from types import MethodType

import torch
from torch import Tensor, nn
from torch.distributions import Dirichlet
from torch.nn.functional import cross_entropy, elu

from tests.reference.networks import NODES, ChainSupernet
from tests.reference.ops import DARTS_OPS, FactorizedReduce, MixedOp

Weights = dict[str, Tensor]
Weigh = Callable[["Searched"], Weights]


@dataclass
class Searched:
    """A supernet, its alphas (edges x operations) and, where edges weigh, its betas (edges) by kind of cell."""

    net: ChainSupernet
    alphas: dict[str, Tensor]
    betas: dict[str, Tensor] = field(default_factory=dict)
    now: float = 0.0
    """The epoch."""
    last: dict[nn.Parameter, Tensor] = field(default_factory=dict)
    """OLES: the gradient of each weight in the last step of the weights."""
    cosines: list[list[float]] = field(default_factory=list)
    """OLES: those of the operations, step by step."""
    stopped: set[nn.Parameter] = field(default_factory=set)
    """OLES: weights that no longer move."""


def softmax(searched: Searched) -> Weights:
    return {key: alpha.softmax(1) for key, alpha in searched.alphas.items()}


def narrowed(kept: Callable[[int], list[int]]) -> Weigh:
    """The softmax of the items that edge e keeps; 0 for the others."""

    def weigh(searched: Searched) -> Weights:
        found = {}
        for key, alpha in searched.alphas.items():
            mask = torch.zeros_like(alpha)
            for edge in range(len(alpha)):
                mask[edge, kept(edge)] = 1
            powers = alpha.exp() * mask
            found[key] = powers / powers.sum(1, keepdim=True)
        return found

    return weigh


def sigmoid(searched: Searched) -> Weights:
    return {key: 1 / (1 + torch.exp(-alpha)) for key, alpha in searched.alphas.items()}


def sparse(dictionaries: Mapping[str, list[Tensor]], codes: Mapping[str, list[Tensor]], most: int = 2) -> Weigh:
    """ISTA-NAS: node j has so many numbers b, a dictionary A of all operations of its edges, and a code z.

    Where |z| is largest, entry i weighs sum_r A_ri b_r - sum_j (sum_r A_ri A_rj - [i = j]) z_j over the j there.
    """

    def weigh(searched: Searched) -> Weights:
        found = {}
        for key, alpha in searched.alphas.items():
            rows = []
            for b, a, z in zip(alpha, dictionaries[key], codes[key], strict=True):
                there = z.abs().argsort(descending=True)[:most].tolist()
                weights = [torch.zeros((), dtype=b.dtype)] * len(z)
                for i in there:
                    inhibition = sum((a[:, i] * a[:, j]).sum() * z[j] - (z[i] if i == j else 0) for j in there)
                    weights[i] = (a[:, i] * b).sum() - inhibition
                rows.append(torch.stack(weights).reshape(-1, len(DARTS_OPS)))
            found[key] = torch.cat(rows)
        return found

    return weigh


def dirichlet(searched: Searched) -> Weights:
    """Concentrations elu(alpha) + 1, all edges drawn at once."""
    rows = torch.cat([elu(alpha) + 1 for alpha in searched.alphas.values()])
    drawn = iter(Dirichlet(rows).rsample())
    return {key: torch.stack(list(islice(drawn, len(alpha)))) for key, alpha in searched.alphas.items()}


def gumbel(heat: Callable[[float], float]) -> Weigh:
    def weigh(searched: Searched) -> Weights:
        rows = torch.cat(list(searched.alphas.values()))
        noise = -torch.empty(rows.shape).exponential_().log()
        drawn = iter(((rows + noise) / heat(searched.now)).softmax(1))
        return {key: torch.stack(list(islice(drawn, len(alpha)))) for key, alpha in searched.alphas.items()}

    return weigh


def gumbel_rows(logits: Tensor, heat: float) -> tuple[Tensor, Tensor]:
    """Per row the one-hot of the largest noisy logit, and the softmax of the noisy logits divided by the heat."""
    noisy = logits - torch.empty(logits.shape).exponential_().log()
    hard = torch.zeros_like(noisy)
    hard[torch.arange(len(noisy)), noisy.argmax(1)] = 1.0
    return hard, (noisy / heat).softmax(1)


def gdas(heat: Callable[[float], float]) -> Weigh:
    """One-hot forwards, the softmax of log probabilities with noise backwards."""

    def weigh(searched: Searched) -> Weights:
        rows = torch.cat(list(searched.alphas.values())).log_softmax(1)
        hard, soft = gumbel_rows(rows, heat(searched.now))
        return by_kind(searched, hard + (soft - soft.detach()))

    return weigh


def data(heat: Callable[[float], float], draws: int) -> Weigh:
    """Draws of one-hots by the positive parts of alphas, their element-wise maximum, divided by its sum."""

    def weigh(searched: Searched) -> Weights:
        above = torch.cat(list(searched.alphas.values())).clamp_min(0)
        tiny = torch.finfo(above.dtype).tiny
        logits = (above / above.sum(1, keepdim=True).clamp_min(tiny)).clamp_min(tiny).log()
        pairs = [gumbel_rows(logits, heat(searched.now)) for _ in range(draws)]
        union, found = pairs[0][0], pairs[0][1] - pairs[0][1].detach() + pairs[0][0]
        for hard, soft in pairs[1:]:
            newly = (hard > union).double()
            found = found * (1 - newly) + (hard + (soft - soft.detach())) * newly
            union = torch.maximum(union, hard)
        return by_kind(searched, found / found.sum(1, keepdim=True))

    return weigh


def by_kind(searched: Searched, rows: Tensor) -> Weights:
    found = iter(rows)
    return {key: torch.stack(list(islice(found, len(alpha)))) for key, alpha in searched.alphas.items()}


def runs_drawn_only(net: ChainSupernet, idle_ones: bool) -> None:
    """Of each edge only what has weight runs; an idle operation adds nothing, or its weight as a number (GDAS)."""

    def forward(mixed: MixedOp, x: Tensor, row: Tensor) -> Tensor:
        terms = [w * op(x) if w > 0 else w for w, op in zip(row, mixed.values(), strict=True) if w > 0 or idle_ones]
        total = torch.stack([term for term in terms if term.dim()]).sum(0)
        for term in terms:
            if not term.dim():
                total = total + term
        return total

    replaced(net, forward)


def replaced(net: ChainSupernet, forward: Callable[[MixedOp, Tensor, Tensor], Tensor]) -> None:
    """Let every edge compute something else."""
    for part in net.modules():
        if isinstance(part, MixedOp):
            part.forward = MethodType(forward, part)  # type: ignore[method-assign]


def regularises(searched: Searched, method: Method) -> None:
    """Edges drop what operations give (R-DARTS), what identities give (P-DARTS), or have a further skip (DARTS-)."""

    def dropped(y: Tensor, rate: float, *shape: int) -> Tensor:
        return y * torch.empty(shape, dtype=y.dtype).bernoulli_(1 - rate) / (1 - rate)

    def forward(mixed: MixedOp, x: Tensor, row: Tensor) -> Tensor:
        now, terms = searched.now, []
        for name, w in zip(DARTS_OPS, row, strict=True):
            op = mixed[name]
            y = op(x)
            is_identity = isinstance(op, nn.Identity)
            if method.drop is not None and not (name == "none" or is_identity):
                y = dropped(y, method.drop(now), len(y), 1, 1, 1)
            if method.dropout is not None and is_identity:
                y = dropped(y, method.dropout(now), *y.shape)
            terms.append(w * y)
        if method.beside is not None:
            terms.append(method.beside(now) * mixed["beside"](x))
        return torch.stack(terms).sum(0)

    replaced(searched.net, forward)


def with_skips_beside(net: ChainSupernet) -> ChainSupernet:
    """Every edge gets a further skip, with weights of its own."""
    for part in net.modules():
        if isinstance(part, MixedOp):
            skip = part["skip_connect"]
            part["beside"] = nn.Identity()
            if isinstance(skip, FactorizedReduce):
                c = skip.norm.num_features
                part["beside"] = FactorizedReduce(c, c, False)
    return net


def shares(searched: Searched) -> Weights | None:
    """Of each edge into a node, the softmax of the betas of that node's edges; None where edges do not weigh."""
    nodes = [j + 2 for j in range(NODES)]
    found = {k: torch.cat([part.softmax(0) for part in b.split(nodes)]) for k, b in searched.betas.items()}
    return found or None


# ---------------------------------------------------------------- displaced weights


def to_simplex(rows: Tensor) -> Tensor:
    kept = rows.clamp(0, 1)
    return kept / kept.sum(1, keepdim=True)


def moved_at_random(eps: float, clean: Weights) -> Weights:
    return {key: torch.stack([_moved(row, eps) for row in rows]) for key, rows in clean.items()}


def _moved(row: Tensor, eps: float) -> Tensor:
    return to_simplex((row + (2 * torch.rand(row.shape) - 1) * eps)[None])[0]


def moved_up(searched: Searched, eps: float, clean: Weights, images: Tensor, labels: Tensor, steps: int) -> Weights:
    """Sign steps of 2 eps / steps from a random start, in eval mode; kept where the loss has risen."""
    net = searched.net.eval()

    def loss(weights: Mapping[str, Tensor]) -> Tensor:
        return cross_entropy(net.mixed(images, weights, shares(searched)), labels)

    found = moved_at_random(eps, clean)
    for _ in range(steps):
        leaves = {key: rows.detach().requires_grad_() for key, rows in found.items()}
        slopes = torch.autograd.grad(loss(leaves), list(leaves.values()))
        ahead = {key: leaves[key].detach() + 2 * eps / steps * s.sign() for key, s in zip(leaves, slopes, strict=True)}
        found = {key: to_simplex(clean[key] + (rows - clean[key]).clamp(-eps, eps)) for key, rows in ahead.items()}
    with torch.no_grad():
        risen = loss(found) > loss(clean)
    net.train()
    return found if risen else clean


# ---------------------------------------------------------------- methods


@dataclass(frozen=True)
class Method:
    """What differs from DARTS; ``eps`` and ``heat`` follow the epoch."""

    weigh: Weigh = softmax
    edges: bool = False
    partial: int = 1
    penalty: Callable[[Searched], Tensor] | None = None
    eps: Callable[[float], float] | None = None
    steps: int = 0
    """Of sign, up the loss; 0: displaced at random."""
    one_level: bool = False
    second: bool = False
    drop: Callable[[float], float] | None = None
    """How probably paths are dropped."""
    dropout: Callable[[float], float] | None = None
    """How probably numbers behind identities are dropped."""
    beside: Callable[[float], float] | None = None
    """The weight of a skip outside of the softmax."""
    idle_ones: bool | None = None
    """Whether idle operations count as ones; None: all run."""
    kept: Callable[[int], list[int]] | None = None
    """The items that each edge keeps: weights of the others, whose gradient is 0, take no step."""
    align: Callable[[float], float] | None = None
    """Lambda-DARTS: what the mean cosine of the normal cells' gradients counts."""
    overfitting: tuple[float, int] | None = None
    """OLES: the bound of the cosine, and over how many steps it is averaged."""

    def loss(self, searched: Searched, images: Tensor, labels: Tensor, weights: Weights) -> Tensor:
        return cross_entropy(searched.net.mixed(images, weights, shares(searched)), labels)

    def alpha_loss(self, searched: Searched, images: Tensor, labels: Tensor) -> Tensor:
        loss = self.loss(searched, images, labels, self.weigh(searched))
        return loss if self.penalty is None else loss + self.penalty(searched)

    def displaced(self, searched: Searched, images: Tensor, labels: Tensor) -> Weights:
        """The weights of the pass that the network's weights learn from: displaced before edges weigh."""
        with torch.no_grad():
            found = self.weigh(searched)
        if self.eps is not None:
            eps = self.eps(searched.now)
            up = self.steps > 0
            found = moved_up(searched, eps, found, images, labels, self.steps) if up else moved_at_random(eps, found)
        return {key: rows.detach() for key, rows in found.items()}


Batch = tuple[Tensor, Tensor]


def step(
    method: Method,
    searched: Searched,
    optimizers: tuple[torch.optim.Optimizer, torch.optim.Optimizer],
    batches: tuple[Batch, Batch],
    clip: float = 5.0,
) -> None:
    """One iteration: the alphas on one batch, then the weights on the other; of one level both on the second."""
    of_alphas, of_weights = optimizers
    architecture = [*searched.alphas.values(), *searched.betas.values()]
    parameters = list(searched.net.parameters())
    if method.one_level:
        loss = method.alpha_loss(searched, *batches[1])
        found = torch.autograd.grad(loss, [*architecture, *parameters])
        _apply(of_alphas, architecture, found[: len(architecture)])
        _apply(of_weights, parameters, found[len(architecture) :], clip)
        return
    buffers = {name: buffer.clone() for name, buffer in searched.net.named_buffers()}
    if method.second:
        _apply(of_alphas, architecture, looked_ahead(method, searched, of_weights, batches))
    else:
        loss = method.alpha_loss(searched, *batches[0])
        every = torch.autograd.grad(loss, [*architecture, *parameters], allow_unused=True)
        _apply(of_alphas, architecture, every[: len(architecture)])
        if method.overfitting is not None:
            stop_early(searched, *method.overfitting, dict(zip(parameters, every[len(architecture) :], strict=True)))
    for name, buffer in searched.net.named_buffers():  # Only the pass of the weights moves statistics here.
        buffer.copy_(buffers[name])
    weights = method.displaced(searched, *batches[1])
    loss = method.loss(searched, *batches[1], weights)
    slopes: tuple[Tensor | None, ...] = torch.autograd.grad(loss, parameters, allow_unused=True)
    if method.align is not None:
        slopes = harmonised(searched, method.align(searched.now), weights, batches[1], parameters, slopes)
    if method.overfitting is not None:
        searched.last = {p: g.clone() for p, g in zip(parameters, slopes, strict=True) if g is not None}
        slopes = tuple(None if p in searched.stopped else g for p, g in zip(parameters, slopes, strict=True))
    if method.kept is not None:
        used = [(p, g) for p, g in zip(parameters, slopes, strict=True) if g is not None and bool(g.any())]
        parameters, slopes = [p for p, _ in used], tuple(g for _, g in used)
        of_weights.zero_grad(set_to_none=True)
    _apply(of_weights, parameters, slopes, clip)


def harmonised(
    searched: Searched,
    weight: float,
    weights: Weights,
    at: Batch,
    parameters: list[nn.Parameter],
    slopes: tuple[Tensor | None, ...],
    radius: float = 1e-4,
) -> tuple[Tensor | None, ...]:
    """Lambda-DARTS: the gradient, and minus that of the weighted mean cosine of two normal cells' gradients.

    Each normal cell has a copy of the mixing weights; the direction is autograd's gradient of the mean cosine.
    """
    images, labels = at
    net, buffers = searched.net, {name: buffer.clone() for name, buffer in searched.net.named_buffers()}
    normal = [place for place, key in enumerate(net.keys) if key == "normal"]

    def loss(copies: list[Tensor]) -> Tensor:
        own = dict(zip(normal, copies, strict=True))
        return cross_entropy(net.mixed(images, weights, shares(searched), own), labels)

    copies = [weights["normal"].clone().requires_grad_() for _ in normal]
    g = [slope.requires_grad_() for slope in torch.autograd.grad(loss(copies), copies)]
    pairs = [(a, b) for i, a in enumerate(g) for b in g[:i]]
    mean = torch.stack([(a * b).sum() / (a.norm() * b.norm()) for a, b in pairs]).mean()
    d = torch.autograd.grad(mean, g)
    eps = radius / torch.cat([part.flatten() for part in d]).norm()
    plus = torch.autograd.grad(loss([c.detach() + eps * part for c, part in zip(copies, d, strict=True)]), parameters)
    minus = torch.autograd.grad(loss([c.detach() - eps * part for c, part in zip(copies, d, strict=True)]), parameters)
    for name, buffer in net.named_buffers():
        buffer.copy_(buffers[name])
    assert all(slope is not None for slope in slopes)
    both = zip(slopes, minus, plus, strict=True)
    return tuple(None if s is None else s + weight * (m - p) / (2 * eps) for s, m, p in both)


def stop_early(searched: Searched, below: float, over: int, found: dict[nn.Parameter, Tensor | None]) -> None:
    """OLES: each operation with weights keeps them once its mean cosine over so many steps is below the bound.

    The cosine is that of two gradients, row by row: on this batch, and on the last one that the weights learned on.
    """
    if not searched.last:
        return
    mixed = [op for part in searched.net.modules() if isinstance(part, MixedOp) for op in part.values()]
    operations = [list(op.parameters()) for op in mixed if any(p.dim() > 1 for p in op.parameters())]
    row: list[float] = []
    for parameters in operations:
        each = []
        for parameter in parameters:
            here = found[parameter]
            assert here is not None
            pairs = zip(here.flatten(1), searched.last[parameter].flatten(1), strict=True)
            each.append(sum(float(a @ b / (a.norm() * b.norm()).clamp_min(1e-16)) for a, b in pairs) / len(here))
        row.append(sum(each) / len(each))
    searched.cosines.append(row)
    if len(searched.cosines) == over:
        for place, parameters in enumerate(operations):
            if sum(row[place] for row in searched.cosines) / over < below:
                searched.stopped.update(parameters)
        searched.cosines.clear()


def looked_ahead(
    method: Method, searched: Searched, of_weights: torch.optim.Optimizer, batches: tuple[Batch, Batch]
) -> tuple[Tensor, ...]:
    """DARTS, second order: the gradient in the alphas at the weights after one step of sgd.

    All passes of the batch of the weights draw the same numbers: those of the first one.
    """
    parameters, alphas = list(searched.net.parameters()), list(searched.alphas.values())
    group = of_weights.param_groups[0]
    start = [parameter.detach().clone() for parameter in parameters]
    drawn = torch.get_rng_state()

    def of_batch(at: list[Tensor], wanted: list[Tensor]) -> tuple[Tensor, ...]:
        for parameter, value in zip(parameters, at, strict=True):
            parameter.data.copy_(value)
        torch.set_rng_state(drawn)
        return torch.autograd.grad(method.loss(searched, *batches[1], method.weigh(searched)), wanted)

    slopes = of_batch(start, list(parameters))
    for parameter, w, slope in zip(parameters, start, slopes, strict=True):
        momentum = of_weights.state[parameter].get("momentum_buffer", torch.zeros_like(w))
        step = group["momentum"] * momentum + slope + group["weight_decay"] * w
        parameter.data.copy_(w - group["lr"] * step)
    found = torch.autograd.grad(method.alpha_loss(searched, *batches[0]), [*alphas, *parameters])
    direct, v = found[: len(alphas)], found[len(alphas) :]
    eps = 0.01 / torch.cat([part.flatten() for part in v]).norm()
    plus = of_batch([w + eps * part for w, part in zip(start, v, strict=True)], alphas)
    minus = of_batch([w - eps * part for w, part in zip(start, v, strict=True)], alphas)
    for parameter, w in zip(parameters, start, strict=True):
        parameter.data.copy_(w)
    return tuple(d - group["lr"] * (p - n) / (2 * eps) for d, p, n in zip(direct, plus, minus, strict=True))


def _apply(
    optimizer: torch.optim.Optimizer,
    parameters: list[nn.Parameter] | list[Tensor],
    found: tuple[Tensor | None, ...],
    clip: float = 0.0,
) -> None:
    for parameter, gradient in zip(parameters, found, strict=True):
        parameter.grad = gradient
    if clip:
        nn.utils.clip_grad_norm_(parameters, clip)
    optimizer.step()


# ---------------------------------------------------------------- penalties


def mean_logsumexp(weight: Callable[[float], float]) -> Callable[[Searched], Tensor]:
    """beta-DARTS: weight times the mean over edges of log sum exp(alpha)."""

    def penalty(searched: Searched) -> Tensor:
        rows = torch.cat(list(searched.alphas.values()))
        return weight(searched.now) * rows.exp().sum(1).log().mean()

    return penalty


def certainty(weight: float) -> Callable[[Searched], Tensor]:
    """FairDARTS: minus weight times the mean of (sigmoid(alpha) - 1/2)^2."""

    def penalty(searched: Searched) -> Tensor:
        rows = torch.cat(list(searched.alphas.values()))
        return -weight * (torch.sigmoid(rows) - 0.5).pow(2).mean()

    return penalty


def divergence(weight: float) -> Callable[[Searched], Tensor]:
    """DrNAS: weight times the mean over edges of KL(Dir(elu(alpha) + 1) || Dir(1))."""

    def penalty(searched: Searched) -> Tensor:
        rows = torch.cat([elu(alpha) + 1 for alpha in searched.alphas.values()])
        return weight * torch.distributions.kl_divergence(Dirichlet(rows), Dirichlet(torch.ones_like(rows))).mean()

    return penalty
