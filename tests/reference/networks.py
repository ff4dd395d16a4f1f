"""Networks: the chain of cells (DARTS, H^c-DAS) and the stages of cells (H^s-DAS, distribution).

Both searched and discrete. Architecture parameters are a dict of tensors given to `forward`, one row of logits for each
edge, node by node and source by source; without them every choice is uniform. `alpha_shapes` of a supernet names them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d

from tests.reference.genotypes import Dag, Genotype
from tests.reference.ops import (
    DARTS_OPS,
    STAGE_OPS,
    FactorizedReduce,
    MixedOp,
    conv,
    norm,
    operation,
    relu_conv_norm,
    total,
)

Alphas = Mapping[str, Tensor]
NODES = 4  # of every cell; its output is their concatenation


def window(j: int, size: int = 3) -> range:
    """Sources of node j of a stage: the last `size` of (a, b, c0 ... c(j-1))."""
    return range(max(0, j + 2 - size), j + 2)


def probabilities(model: "ChainSupernet | StageSupernet", alphas: Alphas | None) -> dict[str, Tensor]:
    """Softmax of the logits over the operations of each edge (of betas over the ends)."""
    like = next(model.parameters())
    shapes = model.alpha_shapes
    given = alphas if alphas is not None else {k: like.new_zeros(shape) for k, shape in shapes.items()}
    assert {k: tuple(v.shape) for k, v in given.items()} == shapes, "architecture parameters of another network"
    return {k: v.softmax(-1) for k, v in given.items()}


# --- cells


class Cell(nn.Module):
    """Two inputs brought to c channels, then nodes, each a sum over edges; subclasses fill `nodes`."""

    def __init__(self, c_a: int, c_b: int, c: int, halve_a: bool, affine: bool) -> None:
        super().__init__()
        self.x = FactorizedReduce(c_a, c, affine) if halve_a else relu_conv_norm(c_a, c, affine)
        self.y = relu_conv_norm(c_b, c, affine)
        self.nodes = nn.ModuleList()


class SearchCell(Cell):
    """With ``partial`` K, one channel in K goes through the operations of an edge (PC-DARTS)."""

    def __init__(self, c_a: int, c_b: int, c: int, reduction: bool, halve_a: bool, partial: int = 1) -> None:
        super().__init__(c_a, c_b, c, halve_a, affine=False)
        self.partial = partial
        for j in range(NODES):
            strides = [2 if reduction and source < 2 else 1 for source in range(j + 2)]
            self.nodes.append(nn.ModuleList(MixedOp(c // partial, stride, DARTS_OPS) for stride in strides))

    def forward(self, a: Tensor, b: Tensor, weights: Tensor, shares: Tensor | None = None) -> Tensor:
        """``weights`` are those of operations, edge by edge; ``shares`` those of edges."""
        states, rows = [self.x(a), self.y(b)], iter(weights)
        ones = iter(weights.new_ones(len(weights)) if shares is None else shares)
        for node in self.nodes:
            assert isinstance(node, nn.ModuleList)
            terms = [next(ones) * self.edge(edge, s, next(rows)) for edge, s in zip(node, states, strict=True)]
            states.append(total(terms))
        return torch.cat(states[2:], 1)

    def edge(self, mixed: nn.Module, x: Tensor, row: Tensor) -> Tensor:
        if self.partial == 1:
            whole: Tensor = mixed(x, row)
            return whole
        n, c, k = x.shape[0], x.shape[1], self.partial
        worked, past = mixed(x[:, : c // k], row), x[:, c // k :]
        if worked.shape[2] < x.shape[2]:
            past = max_pool2d(past, 2, 2)
        beside = torch.cat([worked, past], 1)
        return beside.reshape(n, k, c // k, *beside.shape[2:]).transpose(1, 2).reshape(n, c, *beside.shape[2:])


class FixedCell(Cell):
    def __init__(
        self,
        c_a: int,
        c_b: int,
        c: int,
        dag: Dag,
        reduction: bool,
        halve_a: bool = False,
        *,
        affine: bool = True,
        pool_norm: bool,
    ) -> None:
        super().__init__(c_a, c_b, c, halve_a, affine)
        self.dag = dag
        for node in dag:
            edges = [(op, 2 if reduction and source < 2 else 1) for op, source in node]
            self.nodes.append(nn.ModuleList(operation(op, c, s, affine=affine, pool_norm=pool_norm) for op, s in edges))

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        states = [self.x(a), self.y(b)]
        for node, chosen in zip(self.nodes, self.dag, strict=True):
            assert isinstance(node, nn.ModuleList)
            states.append(total(op(states[source]) for op, (_, source) in zip(node, chosen, strict=True)))
        return torch.cat(states[2:], 1)


# --- heads and stems


class Classifier(nn.Module):
    def __init__(self, c: int, classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(c, classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.linear(x.mean((2, 3)))
        return logits


class AuxiliaryHead(nn.Sequential):
    def __init__(self, c: int, classes: int, imagenet: bool = False) -> None:
        super().__init__(
            nn.ReLU(),
            nn.AvgPool2d(5, stride=2 if imagenet else 3),
            conv(c, 128),
            norm(128, True),
            nn.ReLU(),
            conv(128, 768, 2),
            *([] if imagenet else [norm(768, True)]),
            nn.ReLU(),
            Classifier(768, classes),  # on the sizes named in the text the pool sees 1x1 (7x7, 8x8), or 4x4 (14x14)
        )


def stem(c: int) -> nn.Sequential:
    return nn.Sequential(conv(3, c, 3, padding=1), norm(c, True))


def imagenet_stem(c: int) -> nn.Sequential:
    """To a resolution of 1/8 and 4c channels."""
    widths = (3, c // 2, c, 4 * c)
    layers: list[nn.Module] = []
    for c_in, c_out in pairwise(widths):
        layers += [conv(c_in, c_out, 3, stride=2, padding=1), norm(c_out, True), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


# --- the chain: DARTS and H^c-DAS


@dataclass(frozen=True)
class Place:
    """Where a cell stands in the chain. A reduction cell belongs to the level that it opens."""

    level: int
    reduction: bool
    c_a: int
    c_b: int
    c: int
    halve_a: bool


def chain(c: int, cells: int) -> Iterator[Place]:
    borders = (cells // 3, 2 * cells // 3)
    c_a = c_b = 3 * c
    for i in range(cells):
        level = sum(i >= border for border in borders)
        place = Place(level, i in borders, c_a, c_b, c * 2**level, i - 1 in borders)
        yield place
        c_a, c_b = c_b, NODES * place.c


class ChainSupernet(nn.Module):
    """DARTS, or with `per_level` H^c-DAS: the same weights, a normal cell for each stage, a reduction for each border.

    Architecture parameters: `normal` and `reduce`, or `normal0` ... `normal2`, `reduce0`, `reduce1`; each 14 x 8.
    """

    def __init__(
        self, c: int = 16, cells: int = 8, classes: int = 10, *, per_level: bool = False, partial: int = 1
    ) -> None:
        super().__init__()
        places = list(chain(c, cells))
        self.keys = [
            ("reduce" if p.reduction else "normal") + (str(p.level - p.reduction) if per_level else "") for p in places
        ]
        edges = sum(j + 2 for j in range(NODES))
        self.alpha_shapes: dict[str, tuple[int, ...]] = {key: (edges, len(DARTS_OPS)) for key in sorted(set(self.keys))}
        self.stem = stem(3 * c)
        self.cells = nn.ModuleList(SearchCell(p.c_a, p.c_b, p.c, p.reduction, p.halve_a, partial) for p in places)
        self.classifier = Classifier(NODES * places[-1].c, classes)

    def forward(self, image: Tensor, alphas: Alphas | None = None) -> Tensor:
        return self.mixed(image, probabilities(self, alphas))

    def mixed(
        self,
        image: Tensor,
        weights: Mapping[str, Tensor],
        shares: Mapping[str, Tensor] | None = None,
        own: Mapping[int, Tensor] | None = None,
    ) -> Tensor:
        """The network under mixing weights of operations, some cells with their own, and of edges, however made."""
        a = b = self.stem(image)
        for place, (cell, key) in enumerate(zip(self.cells, self.keys, strict=True)):
            rows = weights[key] if own is None or place not in own else own[place]
            a, b = b, cell(a, b, rows, None if shares is None else shares[key])
        logits: Tensor = self.classifier(b)
        return logits


class ChainNetwork(nn.Module):
    """The derived network of a genotype. `pool_norm`: a norm after pools (H-DAS: yes, DARTS: no).

    With `affine=False` its norms are those of the supernet: the discrete side of the one-hot law.
    """

    def __init__(
        self,
        genotype: Genotype,
        c: int = 36,
        cells: int = 20,
        classes: int = 10,
        *,
        pool_norm: bool = False,
        auxiliary: bool = False,
        affine: bool = True,
    ) -> None:
        super().__init__()
        places = list(chain(c, cells))
        dags = [genotype.reduction(p.level - 1) if p.reduction else genotype.normal(p.level) for p in places]
        self.stem = stem(3 * c)
        self.cells = nn.ModuleList(
            FixedCell(p.c_a, p.c_b, p.c, dag, p.reduction, p.halve_a, affine=affine, pool_norm=pool_norm)
            for p, dag in zip(places, dags, strict=True)
        )
        self.last_reduction = 2 * cells // 3
        self.auxiliary = AuxiliaryHead(NODES * places[self.last_reduction].c, classes) if auxiliary else None
        self.classifier = Classifier(NODES * places[-1].c, classes)

    def forward(self, image: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        a = b = self.stem(image)
        aux = None
        for i, cell in enumerate(self.cells):
            a, b = b, cell(a, b)
            if i == self.last_reduction and self.auxiliary is not None:
                aux = self.auxiliary(b)
        return self.classifier(b) if aux is None else (self.classifier(b), aux)


# --- stages: H^s-DAS and the distribution search


class StageNode(nn.Module):
    """Edges, then the cell that takes their sum as both inputs."""

    def __init__(self, edges: Sequence[nn.Module], cell: nn.Module) -> None:
        super().__init__()
        self.edges = nn.ModuleList(edges)
        self.cell = cell


class SearchStage(nn.Module):
    """A stage of `cells` cells of width c, 4c channels in, 8c out.

    With betas, the output is the mixture of all stages of the last len(betas) lengths.
    """

    def __init__(self, c: int, cells: int, dag: Dag, *, pool_norm: bool) -> None:
        super().__init__()
        width = NODES * c
        self.a = relu_conv_norm(width, width, affine=False)
        self.b = relu_conv_norm(width, width, affine=False)
        self.nodes = nn.ModuleList(
            StageNode(
                [MixedOp(width, 1, STAGE_OPS) for _ in window(j)],
                FixedCell(width, width, c, dag, reduction=False, pool_norm=pool_norm),
            )
            for j in range(cells)
        )

    def forward(self, x: Tensor, weights: Tensor, ends: Tensor | None = None) -> Tensor:
        states, rows = [self.a(x), self.b(x)], iter(weights)
        for j, node in enumerate(self.nodes):
            inputs = [states[source] for source in window(j)]
            assert isinstance(node, StageNode)
            mix = total(edge(s, next(rows)) for edge, s in zip(node.edges, inputs, strict=True))
            states.append(node.cell(mix, mix))
        lengths = islice(range(len(states), 0, -1), 1 if ends is None else len(ends))
        outputs = [torch.cat(states[n - 2 : n], 1) for n in lengths][::-1]
        return outputs[0] if ends is None else total(p * out for p, out in zip(ends, outputs, strict=True))


class FixedStage(nn.Module):
    """A stage with its edges decided; `affine` is that of its own norms, those of its cells always are."""

    def __init__(self, c: int, stage: Dag, dag: Dag, *, pool_norm: bool, affine: bool) -> None:
        super().__init__()
        width = NODES * c
        self.a = relu_conv_norm(width, width, affine)
        self.b = relu_conv_norm(width, width, affine)
        self.dag = stage
        self.nodes = nn.ModuleList(
            StageNode(
                [operation(op, width, 1, affine=affine, pool_norm=True) for op, _ in node],
                FixedCell(width, width, c, dag, reduction=False, pool_norm=pool_norm),
            )
            for node in stage
        )

    def forward(self, x: Tensor) -> Tensor:
        states = [self.a(x), self.b(x)]
        for node, chosen in zip(self.nodes, self.dag, strict=True):
            assert isinstance(node, StageNode)
            mix = total(op(states[source]) for op, (_, source) in zip(node.edges, chosen, strict=True))
            states.append(node.cell(mix, mix))
        return torch.cat(states[-2:], 1)


def border(c: int, genotype: Genotype, k: int, pool_norm: bool) -> FixedCell:
    """The reduction cell after stage k, which keeps the 8c * 2**k channels of its output."""
    inner = c * 2 ** (k + 1)
    width = NODES * inner
    return FixedCell(width, width, inner, genotype.reduction(k), reduction=True, pool_norm=pool_norm)


class StageSupernet(nn.Module):
    """H^s-DAS; with `shortest`, the distribution search: every stage may end after `shortest` ... `cells` cells.

    Architecture parameters: `stage0` ..., (edges x 4), and with `shortest` also `beta0` ... .
    """

    def __init__(
        self,
        genotype: Genotype,
        c: int = 16,
        stages: int = 3,
        cells: int = 6,
        classes: int = 10,
        *,
        shortest: int | None = None,
        pool_norm: bool = True,
    ) -> None:
        super().__init__()
        edges = sum(len(window(j)) for j in range(cells))
        self.alpha_shapes: dict[str, tuple[int, ...]] = {f"stage{k}": (edges, len(STAGE_OPS)) for k in range(stages)}
        if shortest is not None:
            self.alpha_shapes |= {f"beta{k}": (cells - shortest + 1,) for k in range(stages)}
        self.stem = stem(NODES * c)
        self.blocks = nn.ModuleList()  # stage, reduction, stage, ..., stage
        for k in range(stages):
            self.blocks.append(SearchStage(c * 2**k, cells, genotype.normal(k), pool_norm=pool_norm))
            if k < stages - 1:
                self.blocks.append(border(c, genotype, k, pool_norm))
        self.classifier = Classifier(2 * NODES * c * 2 ** (stages - 1), classes)

    def forward(self, image: Tensor, alphas: Alphas | None = None) -> Tensor:
        weights = probabilities(self, alphas)
        x = self.stem(image)
        for i, block in enumerate(self.blocks):
            k = i // 2
            x = block(x, x) if i % 2 else block(x, weights[f"stage{k}"], weights.get(f"beta{k}"))
        logits: Tensor = self.classifier(x)
        return logits


class StageNetwork(nn.Module):
    """Decided stages of any lengths. With `stage_affine=False` the discrete side of the one-hot law."""

    def __init__(
        self,
        stages: Sequence[Dag],
        genotype: Genotype,
        c: int = 36,
        classes: int = 10,
        *,
        imagenet: bool = False,
        auxiliary: bool = False,
        pool_norm: bool = True,
        stage_affine: bool = True,
    ) -> None:
        super().__init__()
        last = len(stages) - 1
        self.stem = imagenet_stem(c) if imagenet else stem(NODES * c)
        self.blocks = nn.ModuleList()  # stage, reduction, stage, ..., stage
        for k, stage in enumerate(stages):
            normal = genotype.normal(k)
            self.blocks.append(FixedStage(c * 2**k, stage, normal, pool_norm=pool_norm, affine=stage_affine))
            if k < last:
                self.blocks.append(border(c, genotype, k, pool_norm))
        width = NODES * c * 2**last
        self.auxiliary = AuxiliaryHead(width, classes, imagenet) if auxiliary else None
        self.classifier = Classifier(2 * width, classes)

    def forward(self, image: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        x = last_border = self.stem(image)
        for i, block in enumerate(self.blocks):
            if i % 2:
                x = last_border = block(x, x)
            else:
                x = block(x)
        logits = self.classifier(x)
        return logits if self.auxiliary is None else (logits, self.auxiliary(last_border))
