"""Sparse coding: of all items of all candidates of a pick few run, those that a code of few numbers stands for.

Yang et al., "ISTA-NAS: Efficient and Consistent Neural Architecture Search by Sparse Coding" (NeurIPS 2020).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from sklearn.linear_model import LassoLars
from torch import Tensor, nn, special

from compiler.backend.passes import Target
from compiler.backend.torch_modules.mixing import entries, with_entries
from compiler.backend.transfer import moved_together
from compiler.elaborate import Elaborated
from compiler.ir.decision import Decision, Selection
from compiler.searcher.data.source import Inputs, parts_of, real
from compiler.searcher.engine.reporting.records import Observed
from compiler.searcher.settings.derivation import By, Derivation

from .axes import Axes
from .evidence import numbers
from .live import DEAD, Live
from .mixtures import EXCLUSIVE, SoftmaxMixture
from .narrowing import Judge
from .records import observed
from .supernet import Supernet
from .weights import one_hot

PENALTY = 1e-5
"""The weight of the absolute values beside half of the squared error, as in the released program."""


@dataclass(frozen=True)
class Coded:
    """The decisions whose items share a code, ``items`` in all; of those that can be derived ``support`` run."""

    path: str
    members: tuple[str, ...]
    derivable: tuple[bool, ...]
    support: int

    @property
    def items(self) -> int:
        """How many items there are in all."""
        return len(self.derivable)


def _coded(path: str, members: Sequence[str], decisions: Mapping[str, Decision], most: int) -> Coded:
    derivable = tuple(usable for member in members for usable in decisions[member].derivable)
    return Coded(path, tuple(members), derivable, min(max(most, 1), sum(derivable)))


def coded(decisions: Mapping[str, Decision]) -> Iterator[Coded]:
    """Each pick of menus with all its menus, and each other choice of operations or inputs by itself.

    Numbers and sizes exclude each other, and items of independent picks share nothing: they have alphas of their own.
    """
    taken: set[str] = set()
    for path, decision in decisions.items():
        members = tuple(menu for menu in decision.candidates if menu is not None and menu not in taken)
        if members:
            taken.update(members)
            yield _coded(path, members, decisions, decision.most)
    for path, decision in decisions.items():
        if decision.alphas and path not in taken and not decision.independent and decision.kind not in EXCLUSIVE:
            yield _coded(path, (path,), decisions, decision.most)


def recovered(dictionary: Tensor, code: Tensor) -> Tensor:
    """The sparse solution z of a code b, (items): the least of 1/2 |A z - b|^2 + PENALTY |z|_1 (equation 5).

    Args:
        dictionary: A, (dims, items).
        code: b, (dims).
    """
    # The estimator divides the squares by twice the number of rows.
    model = LassoLars(alpha=PENALTY / len(code), fit_intercept=False, max_iter=10_000)
    model.fit(dictionary.double().cpu().numpy(), code.detach().double().cpu().numpy())
    return torch.from_numpy(model.coef_)


class SparseMixture(SoftmaxMixture):
    """Weights of coded decisions are given, and may have any sign and sum; the others are softmaxes."""

    def __init__(self, members: Iterable[str]) -> None:
        self.members = frozenset(members)

    def mean(self, decision: Decision, alpha: Tensor) -> Tensor:
        """The weights of a decision's items, (items)."""
        return alpha if decision.path in self.members else super().mean(decision, alpha)

    def entropy(self, decision: Decision, alpha: Tensor) -> Tensor:
        """The entropy of the absolute weights, scaled to the sum 1, in nats; 0 where no item runs."""
        if decision.path not in self.members:
            return super().entropy(decision, alpha)
        size = alpha.abs()
        terms: Tensor = special.entr(size / size.sum().clamp_min(torch.finfo(size.dtype).tiny))
        return terms.sum()


class Sparse(Supernet):
    """A supernet of the items whose part in a sparse solution is largest; alphas are codes.

    A pick of k menus has a code b of ``dims`` numbers and a fixed random dictionary A with a column for each item of
    its menus; those of items that cannot be derived are left out. Between epochs the solution z of A z = b is
    recovered, and the k items of largest |z| are the support S. In the next epoch these run, with the weights
    A_S' b - ((A_S' A_S - I) z_S) (equation 9), which move with b.

    Args:
        space: an elaborated network with choices.
        dims: how many numbers a code has.
        init: standard deviation of the normal distribution that the codes start from.
        derive: the rule by which the leading architecture is found.
        target: the machine, its memory and the batch; by default this machine's CPU.
        axes: over how many epochs schedules go, and what regularises the network.
        built: the same space as it is built, where that is not as it is written.
    """

    def __init__(
        self,
        space: Elaborated,
        dims: int = 7,
        init: float = 1e-3,
        derive: Derivation | None = None,
        target: Target | None = None,
        axes: Axes | None = None,
        built: Elaborated | None = None,
    ) -> None:
        self.dims = dims
        self.coded = {found.path: found for found in coded(space.decisions)}
        self.owner = {menu: found.path for found in self.coded.values() for menu in found.members}
        axes = replace(axes or Axes(), mixture=SparseMixture(self.owner))
        super().__init__(space, None, init, derive, target, axes, built)
        self.edges = ()
        self.live = Live(space.decisions, narrows=True)
        for number, found in enumerate(self.coded.values()):
            self.register_buffer(f"dictionary{number}", torch.rand(dims, found.items))
            self.register_buffer(f"solution{number}", torch.zeros(found.items))
        self.recover()
        self.begin(0)

    def _count_alphas(self, decision: Decision) -> int:
        """How many numbers the code of a decision has; of a decision without one, how many alphas."""
        if decision.path in self.coded:
            return self.dims
        return 0 if decision.path in self.owner else decision.alphas

    # ------------------------------------------------------------ recovery

    def begin(self, epoch: int) -> None:
        """Prepare an epoch: a checkpoint may have changed the solutions."""
        self.read_supports()
        super().begin(epoch)

    def read_supports(self) -> None:
        """Read which items of each group run, which every pass asks and no pass waits for."""
        self.supports = [
            tuple(self.get_buffer(f"solution{number}").nonzero().flatten().tolist())
            for number in range(len(self.coded))
        ]

    def narrow(self, done: int, judge: Judge) -> None:
        """Recover after an epoch what the codes stand for now: its support runs in the next one."""
        self.recover()

    def recover(self) -> None:
        """Solve for the codes, and let the items of the supports live."""
        mask = self.live.get_buffer("mask").fill_(True)
        for number, found in enumerate(self.coded.values()):
            solution = self.solution(number, found, self.alphas[found.path])
            kept = solution.abs().topk(found.support).indices
            sparse = torch.zeros_like(solution).index_copy(0, kept, solution[kept])
            self.get_buffer(f"solution{number}").copy_(sparse)
            for menu, values in self._split(found, sparse != 0).items():
                mask[self.live.slices[menu]] = values.to(mask.device)
        self.read_supports()
        self.live.refresh()

    def solution(self, number: int, group: Coded, code: Tensor) -> Tensor:
        """The sparse solution of a code, (items); 0 of what is never derived: the paper's menu has no `none`."""
        usable = torch.tensor(group.derivable).nonzero().flatten()
        found = recovered(self.get_buffer(f"dictionary{number}")[:, usable], code)
        return found.new_zeros(group.items).index_copy(0, usable, found)

    def item_alphas(self) -> dict[str, Tensor]:
        """The weights that codes give to items, (items) each, 0 beside the supports; alphas of the other decisions."""
        found: dict[str, Tensor] = {path: alpha for path, alpha in self.alphas.items() if path not in self.coded}
        for number, group in enumerate(self.coded.values()):
            found |= self._split(group, self._weights(number, self.alphas[group.path]))
        return {path: found[path] for path in self.space.decisions if path in found}

    def _weights(self, number: int, code: Tensor) -> Tensor:
        solution, kept = self.get_buffer(f"solution{number}"), self.supports[number]
        if not kept:
            return torch.zeros_like(solution)
        rows = torch.stack([self.get_buffer(f"dictionary{number}")[:, item] for item in kept])
        inner = rows @ rows.T - torch.eye(len(kept), dtype=rows.dtype, device=rows.device)
        return with_entries(torch.zeros_like(solution), kept, rows @ code - inner @ entries(solution, kept))

    def _split(self, group: Coded, values: Tensor) -> dict[str, Tensor]:
        """Values of all items of a group, by decision."""
        lengths = [len(self.space.decisions[menu].items) for menu in group.members]
        return dict(zip(group.members, values.split(lengths), strict=True))

    @cached_property
    def whole(self) -> nn.Module:
        """The network with all items; it shares the weights of the one that runs."""
        return self.lowering.naive(whole=True)

    def alone(self, images: Inputs, chosen: Selection) -> Tensor:
        """Logits of one architecture, whatever the supports are: that which one-hot weights select; all items run."""
        weights = one_hot(self.space.decisions, chosen)
        output: Tensor = self.whole(*parts_of(images), moved_together(weights, real(images)))
        return output

    # ------------------------------------------------------------ what is logged and derived

    @torch.no_grad()
    def observed(self) -> Observed:
        """The weight of every item, and in the place of its alpha its part in the solution."""
        parts = {
            menu: values
            for number, group in enumerate(self.coded.values())
            for menu, values in self._split(group, self.get_buffer(f"solution{number}")).items()
        }
        items = self.item_alphas()
        return observed(self.space.decisions, self.axes.mixture, self.mixing(), {**items, **parts}, items)

    def evidence(self, alphas: Mapping[str, Tensor] | None = None) -> tuple[dict[str, list[float]], Derivation]:
        """The logarithm of the absolute part of each item in the solution of the codes, as they are or as given."""
        found = numbers(self.alphas, alphas)
        strengths: dict[str, list[float]] = {}
        for number, group in enumerate(self.coded.values()):
            code = torch.tensor(found.pop(group.path), dtype=torch.float64)
            solution = self.solution(number, group, code).abs()
            for menu, values in self._split(group, solution).items():
                strengths[menu] = values.log().clamp_min(DEAD).tolist()
        return strengths | found, self.derive.measured(By.LOGIT)
