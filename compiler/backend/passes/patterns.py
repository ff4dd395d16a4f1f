"""The nodes that can be fused into a term of a sum, as data: patterns of nodes, and the rules of the fusion.

A term is built from its end: ``norm``, the ``projection`` before it, the ``filter`` before that, then ReLU and
``before``. A `Rule` says which nodes a term may take in next. `fold` and `absorb` apply the rules to the supernet,
`chain` those that pay there to each architecture that is drawn from it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from compiler.ir.graph import Node, SpaceGraph
from compiler.ir.payloads import Prim
from compiler.ir.primitives.roles import (
    BatchNormalisation,
    Corner,
    Pointwise,
    Rectifier,
    Reduction,
    Role,
    Window,
)
from compiler.ir.sums import Part, Term

from .rebuild import part_of
from .target import Target

WIDEST = 1.0
"""Up to how many input channels per output channel the covariance of the input is cheaper than the output itself.

It is what torch takes the norm of a projection by; the kernel takes it of the output.
"""


def role_of(node: Node) -> Role | None:
    """The role of a node in a fused sum; None where sums cannot compute it."""
    return node.payload.op.role if isinstance(node.payload, Prim) else None


def is_image(node: Node) -> bool:
    """Whether a node is a tensor of decided channels, height and width."""
    match node.shape.dims:
        case (int(), int(), int()):
            return True
    return False


@dataclass(frozen=True)
class Pattern:
    """Images that an operator of some role makes.

    Args:
        role: what the role must be.
        where: what else holds of the node and the node that it reads; None for nothing.
    """

    role: Callable[[Role | None], bool]
    where: Callable[[Node, Node], bool] | None = None

    def matches(self, graph: SpaceGraph, index: int) -> bool:
        """Whether a node of a graph is such an image."""
        node = graph.node(index)
        if not self.role(role_of(node)) or not is_image(node):
            return False
        return self.where is None or self.where(node, graph.node(graph.sources(index)[0]))


def is_filter(role: Role | None) -> bool:
    """Whether a role is that of a convolution with one filter for each channel, where it reads as many channels."""
    return isinstance(role, Window) and role.reduction is Reduction.WEIGHTS


def is_pool(role: Role | None) -> bool:
    """Whether a role is that of a 3x3 pool as the kernel has them."""
    if not isinstance(role, Window) or role.reduction is Reduction.WEIGHTS:
        return False
    return (role.k, role.pad) == (3, 1) and role.stride in (1, 2)


def _reads_as_many_channels(node: Node, source: Node) -> bool:
    """Whether a filter is not a grouped convolution of fewer channels."""
    role = role_of(node)
    return isinstance(role, Window) and role.channels == source.shape.c


def _pays(node: Node, source: Node) -> bool:
    """Whether the covariance of what a projection reads costs less than its output."""
    return source.shape.largest[0] <= WIDEST * node.shape.largest[0]


NORM = Pattern(lambda role: isinstance(role, BatchNormalisation))
RELU = Pattern(lambda role: isinstance(role, Rectifier))
CROP = Pattern(lambda role: isinstance(role, Corner) and role.top == role.left)
POOL = Pattern(is_pool)
DEPTHWISE = Pattern(is_filter, _reads_as_many_channels)
PROJECTION = Pattern(lambda role: isinstance(role, Pointwise) and role.stride == 1)
"""A matrix on the channels of every pixel."""
CHEAP_PROJECTION = replace(PROJECTION, where=_pays)
STRIDED_PROJECTION = Pattern(lambda role: isinstance(role, Pointwise) and role.stride in (1, 2))
"""The same on every pixel or every second one, which only the kernel has."""


def projection(target: Target) -> Pattern:
    """The pointwise convolutions that sums of a target have."""
    return STRIDED_PROJECTION if target.machine.kernel else PROJECTION


# ---------------------------------------------------------------- rules


@dataclass(frozen=True)
class Rule:
    """A rule by which a term takes in the nodes that it reads (fusion).

    Args:
        patterns: the patterns of the node that the term reads, of the node that this one reads, and so on.
        when: the condition on the term.
        take: gives the term with the parts that the nodes become.
        shared: whether other nodes may read the fused nodes too, as where these cost nothing.
    """

    patterns: tuple[Pattern, ...]
    when: Callable[[Term], bool]
    take: Callable[[Term, tuple[Part, ...]], Term]
    shared: bool = False

    def apply(
        self, term: Term, index: int, graph: SpaceGraph, may_take: Callable[[Node], bool]
    ) -> tuple[Term, int] | None:
        """The term with a node of a graph and what it then reads; None where the rule is not about it."""
        if not self.when(term):
            return None
        chain = []
        for pattern in self.patterns:
            if not pattern.matches(graph, index) or not (self.shared or may_take(graph.node(index))):
                return None
            chain.append(index)
            index = graph.sources(index)[0]
        return self.take(term, tuple(part_of(graph, each) for each in chain)), index


def only_a_norm(term: Term) -> bool:
    """Whether nothing but a norm, or nothing at all, is applied."""
    others = (term.before, term.filter, term.projection, term.columns)
    return not term.relu and not term.tied and all(other is None for other in others)


def _takes_a_filter(term: Term) -> bool:
    return not term.relu and term.before is None and term.filter is None


def _takes_a_window(term: Term) -> bool:
    """Whether a filter may be taken in whose pixels a projection reads one by one."""
    return _takes_a_filter(term) and term.projection is not None and PROJECTION.role(term.projection.op.role)


def _takes_a_relu(term: Term) -> bool:
    """Whether a term reads its pixels by a convolution, which may apply a ReLU on the way."""
    if term.relu or term.before is not None:
        return False
    return term.projection is not None or (term.filter is not None and is_filter(term.filter.op.role))


TAKE_NORM = Rule((NORM,), lambda term: term.is_plain, lambda term, parts: replace(term, norm=parts[0]))
TAKE_RELU = Rule((RELU,), _takes_a_relu, lambda term, _: replace(term, relu=True), shared=True)
TAKE_NORMED_RELU = Rule((RELU, NORM), _takes_a_relu, lambda term, parts: replace(term, relu=True, before=parts[1]))
TAKE_DEPTHWISE = Rule((DEPTHWISE,), _takes_a_window, lambda term, parts: replace(term, filter=parts[0]))
TAKE_CROP = Rule(  # a crop is a view, whoever else reads it
    (CROP,),
    lambda term: _takes_a_filter(term) and term.projection is not None,
    lambda term, parts: replace(term, filter=parts[0]),
    shared=True,
)
TAKE_POOL = Rule(
    (POOL,),
    lambda term: _takes_a_filter(term) and term.projection is None and term.columns is None,
    lambda term, parts: replace(term, filter=parts[0]),
)


def _take_projection(pattern: Pattern) -> Rule:
    return Rule((pattern,), only_a_norm, lambda term, parts: replace(term, projection=parts[0]))


def folding_rules(target: Target) -> tuple[Rule, ...]:
    """The rules of `fold`: a term becomes a norm, or a projection and its norm."""
    return TAKE_NORM, _take_projection(STRIDED_PROJECTION if target.machine.kernel else CHEAP_PROJECTION)


def absorbing_rules(target: Target) -> tuple[Rule, ...]:
    """The rules of `absorb`: a term takes in what stands before its projection, its norm or its filter."""
    rules = TAKE_NORMED_RELU, TAKE_RELU, TAKE_DEPTHWISE
    return (*rules, TAKE_CROP, TAKE_POOL) if target.machine.kernel else rules


CHAINING_RULES = (
    replace(TAKE_POOL, shared=True),
    _take_projection(STRIDED_PROJECTION),
    TAKE_CROP,
    TAKE_DEPTHWISE,
    TAKE_RELU,
)
"""The rules of `chain`: those by which a line that ends in a norm becomes one term."""
