"""Which released programs there are, which of our methods each is, and how its supernet is built and run.

A program is a `Program`: plain data, and a few functions where it differs from DARTS. Its numbers come from ours
(`twins.py`); what it draws is made to follow from the shapes alone, in both (`noise.py`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from torch import Tensor, nn

from compiler.elaborate import Elaborated
from compiler.searcher.relaxations import HardGumbel, Relaxed
from hdas_dsl.units import LIBRARY
from peers.checkout import CheckoutError, load_module
from peers.nni import build_nni


class Peer(StrEnum):
    """Whose supernet, and under which of its settings."""

    DARTS = "darts"
    PC_DARTS = "pcdarts"
    DRNAS = "drnas"
    FAIR_DARTS = "fairdarts"
    SDARTS_RANDOM = "sdarts, random"
    SDARTS_ADVERSARIAL = "sdarts, adversarial"
    SGAS = "sgas"
    DARTS_PT = "dartspt"
    GDAS = "gdas"
    NNI = "nni"

    @property
    def option(self) -> str:
        """The option of `bench/peer.py` that names its checkout."""
        return self.value.partition(",")[0]


SPACE = "the peers are compared on spaces/darts.hsp, with any c, cells and classes"

EDGES = tuple((n, source) for n in range(4) for source in ("x", "y", *(f"n{j}" for j in range(n))))
"""The edges of a cell of DARTS in the order of the released programs: a node, and where the edge comes from."""


@dataclass(frozen=True)
class Sizes:
    """The size of a network: channels, cells (of NAS-Bench-201 those of a stage) and classes."""

    c: int
    cells: int
    classes: int

    @classmethod
    def of(cls, space: Elaborated) -> Sizes:
        """Those of a space of DARTS, or of NAS-Bench-201's."""
        names = {"Darts": ("c", "cells", "classes"), "NB201": ("c", "n", "classes")}.get(space.name, ())
        found = [value for name in names if isinstance(value := space.block.params.get(name), int)]
        if len(found) < 3:
            raise CheckoutError(f"{SPACE}, not on '{space.name}'")
        return cls(*found)


def darts_parts(network: Any, menu: tuple[str, ...]) -> list[tuple[str, str]]:
    """Which part of a program's supernet is which of ours, in the space of DARTS."""
    pairs = [("stem", "stem"), ("classifier", "output")]
    for i in range(len(network.cells)):
        pairs += [(f"cells.{i}.preprocess0", f"k{i}.x"), (f"cells.{i}.preprocess1", f"k{i}.y")]
        for edge, (n, source) in enumerate(EDGES):
            here = f"k{i}.n{n}.from_{source}"
            pairs += [(f"cells.{i}._ops.{edge}._ops.{p}", f"{here}.{item}") for p, item in enumerate(menu)]
    return pairs


def nb201_parts(network: Any, menu: tuple[str, ...]) -> list[tuple[str, str]]:
    """Which part of a program's supernet is which of ours, in NAS-Bench-201's space: three stages of equal cells."""
    pairs = [("stem", "stem"), ("lastact", "output.batch_norm"), ("classifier", "output.linear")]
    stage = (len(network.cells) - 2) // 3 + 1
    for place in range(len(network.cells)):
        j, i = divmod(place, stage)
        here = f"s{j}.k{i}"
        if i == stage - 1:
            block = f"s{j + 1}.from_s{j}.reduce"
            parts = (("conv_a", "nor_conv"), ("conv_b", "nor_conv_2"), ("downsample", "conv"))
            pairs += [(f"cells.{place}.{there}", f"{block}.{name}") for there, name in parts]
            continue
        for n in range(3):
            for source in range(n + 1):
                edge = f"cells.{place}.edges.{n + 1}<-{source}"
                from_ = "x" if source == 0 else f"n{source - 1}"
                pairs += [(f"{edge}.{p}", f"{here}.n{n}.from_{from_}.{item}") for p, item in enumerate(menu)]
    return pairs


def simple(module: ModuleType, sizes: Sizes, menu: tuple[str, ...]) -> nn.Module:
    """The supernet of DARTS and of programs that keep how it is made."""
    network: nn.Module = module.Network(sizes.c, sizes.classes, sizes.cells, nn.CrossEntropyLoss())
    return network


def nothing(network: Any, ours: Relaxed) -> None:
    """A program that has no more state than weights and alphas."""


def plainly(network: Any, images: Tensor, labels: Tensor) -> Tensor:
    """The logits of a pass."""
    output: Tensor = network(images)
    return output


@dataclass(frozen=True)
class Program:
    """A released program, and the method of ours that it is.

    ``alphas`` are the names of its tables by the cell of ours whose menus they are about, ``edges`` of those about
    picks. ``settings`` are ours beside the method; ``space`` is that which it searches where
    the one named is not, with ``overrides`` where its size has other names. ``narrow`` says after how
    many epochs ours gives up items.
    """

    repository: str
    method: str
    module: str = "model_search"
    folder: str = "."
    others: tuple[str, ...] = ()
    space: Path | None = None
    overrides: tuple[str, ...] | None = None
    settings: tuple[str, ...] = ()
    build: Callable[[ModuleType, Sizes, tuple[str, ...]], nn.Module] = simple
    parts: Callable[[Any, tuple[str, ...]], list[tuple[str, str]]] = darts_parts
    alphas: Mapping[str, str] = field(default_factory=lambda: {"Normal": "alphas_normal", "Reduction": "alphas_reduce"})
    edges: Mapping[str, str] = field(default_factory=dict)
    narrow: tuple[int, ...] = ()
    settle: Callable[[Any, Relaxed], None] = nothing
    run: Callable[[Any, Tensor, Tensor], Tensor] = plainly

    def load(self, checkout: Path) -> ModuleType:
        """The module of its supernet."""
        return load_module(checkout / self.folder, self.module, *(checkout / other for other in self.others))


# ---------------------------------------------------------------- what single programs do otherwise


def of_spaces(module: ModuleType, sizes: Sizes, menu: tuple[str, ...]) -> nn.Module:
    """Programs that are given the menu of each edge."""
    criterion = nn.CrossEntropyLoss()
    items = {f"primitives_{cell}": [list(menu)] * len(EDGES) for cell in ("normal", "reduct")}
    network: nn.Module = module.Network(sizes.c, sizes.classes, sizes.cells, criterion, items)
    return network


def darts_pt(module: ModuleType, sizes: Sizes, menu: tuple[str, ...]) -> nn.Module:
    """The supernet that is projected; it makes its own optimizer."""
    items = {f"primitives_{cell}": [list(menu)] * len(EDGES) for cell in ("normal", "reduct")}
    settings = SimpleNamespace(learning_rate=0.025, momentum=0.9, weight_decay=3e-4)
    made = module.DartsNetworkProj
    network: nn.Module = made(sizes.c, sizes.classes, sizes.cells, nn.CrossEntropyLoss(), items, settings)
    return network


NB201_ITEMS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
"""The items of a menu of NAS-Bench-201 as its program names them."""


def gdas(module: ModuleType, sizes: Sizes, menu: tuple[str, ...]) -> nn.Module:
    """The supernet of NAS-Bench-201; a bias in front of a norm, which changes nothing, is taken out."""
    network: nn.Module = module.TinyNetworkGDAS(sizes.c, sizes.cells, 4, sizes.classes, list(NB201_ITEMS), False, True)
    for part in network.modules():
        if isinstance(part, nn.Conv2d):
            part.bias = None
    return network


def heated(network: Any, ours: Relaxed) -> None:
    """The temperature of now."""
    assert isinstance(ours, HardGumbel)
    network.set_tau(ours.temperature())


def second(network: Any, images: Tensor, labels: Tensor) -> Tensor:
    """The logits of a pass that returns features before them."""
    output: Tensor = network(images)[1]
    return output


def sgas_decided(network: Any, ours: Relaxed) -> None:
    """The edges that are decided, for an item or against them all."""
    for cell, name in (("Normal", "normal"), ("Reduction", "reduce")):
        chosen = []
        for n, source in EDGES:
            alive = ours.live.items(f"{cell}.n{n}.from_{source}")
            chosen.append(-1 if len(alive) > 1 else alive[0] if alive else 0)
        setattr(network, f"{name}_selected_idxs", chosen)


def projected(network: Any, ours: Relaxed) -> None:
    """The edges that are projected to one item."""
    for cell, name in (("Normal", "normal"), ("Reduction", "reduce")):
        for edge, (n, source) in enumerate(EDGES):
            alive = ours.live.items(f"{cell}.n{n}.from_{source}")
            if len(alive) == 1:
                network.project_op(edge, alive[0], name)


def displaced(up: bool) -> Callable[[Any, Tensor, Tensor], Tensor]:
    """A pass under displaced mixing weights, as the released step of the weights takes it, half through the search."""

    def run(network: Any, images: Tensor, labels: Tensor) -> Tensor:
        attacks = sys.modules["attacker.perturb"]  # which `sdarts` has brought in
        network.softmax_arch_parameters()
        move = attacks.Linf_PGD_alpha if up else attacks.Random_alpha
        move(network, images, labels, 0.03 + 0.27 / 2)
        output: Tensor = network(images, updateType="weight")
        return output

    return run


def sdarts(module: ModuleType, sizes: Sizes, menu: tuple[str, ...]) -> nn.Module:
    """The supernet, and beside it the module of its displacements."""
    assert module.__file__ is not None
    load_module(Path(module.__file__).parents[2], "attacker.perturb")
    return of_spaces(module, sizes, menu)


SEVEN = Path(__file__).with_name("seven.hsp")

PROGRAMS: Mapping[Peer, Program] = {
    Peer.DARTS: Program("quark0/darts", "darts", folder="cnn"),
    Peer.PC_DARTS: Program(
        "yuhuixu1993/PC-DARTS", "pc_darts", edges={"Normal": "betas_normal", "Reduction": "betas_reduce"}
    ),
    Peer.DRNAS: Program(
        "xiangning-chen/DrNAS",
        "drnas",
        folder="DARTS-space",
        others=(".",),
        space=SEVEN,
        settings=("channels=partial(4)",),
    ),
    Peer.FAIR_DARTS: Program("xiaomi-automl/FairDARTS", "fair_darts", folder="fairdarts", space=SEVEN),
    Peer.SDARTS_RANDOM: Program(
        "xiangning-chen/SmoothDARTS", "sdarts_rs", "sota.cnn.model_search", build=sdarts, run=displaced(up=False)
    ),
    Peer.SDARTS_ADVERSARIAL: Program(
        "xiangning-chen/SmoothDARTS", "sdarts_adv", "sota.cnn.model_search", build=sdarts, run=displaced(up=True)
    ),
    Peer.SGAS: Program("lightaime/sgas", "sgas", folder="cnn", narrow=(10, 15, 20), settle=sgas_decided),
    Peer.DARTS_PT: Program(
        "ruocwang/darts-pt",
        "darts_pt",
        "sota.cnn.model_search_darts_proj",
        build=darts_pt,
        narrow=(50, 55, 60),
        settle=projected,
    ),
    Peer.GDAS: Program(
        "D-X-Y/AutoDL-Projects",
        "gdas",
        "xautodl.models.cell_searchs.search_model_gdas",
        space=LIBRARY / "nasbench201.hsp",
        overrides=("n=1",),
        build=gdas,
        parts=nb201_parts,
        alphas={"Cell": "arch_parameters"},
        settle=heated,
        run=second,
    ),
}


def build_peer(peer: Peer, checkout: Path | None, space: Elaborated) -> nn.Module:
    """A peer's supernet in the size of ours, its architecture parameters registered as parameters: to be timed.

    Raises:
        CheckoutError: where the checkout or the space is another one.
    """
    sizes = Sizes.of(space)
    if peer is Peer.NNI:
        return build_nni(sizes.c, sizes.cells, sizes.classes)
    assert checkout is not None
    program = PROGRAMS[peer]
    network = program.build(program.load(checkout), sizes, ())
    own = {id(value): key for key, value in vars(network).items() if isinstance(value, Tensor)}
    parameters: Any = network._arch_parameters
    for position, alpha in enumerate(parameters):
        key = own[id(alpha)]
        delattr(network, key)
        parameters[position] = nn.Parameter(alpha.detach().cpu())
        setattr(network, key, parameters[position])
    return network
