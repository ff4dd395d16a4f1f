"""Which nodes a term of a sum may compute along, as data: patterns of nodes, and the rules by which terms take them in.

A term is built from its end: ``norm``, the ``projection`` before it, the ``filter`` before that, then ReLU and
``before``. A `Rule` says which nodes a term may take in next. `fold` and `absorb` apply the rules, to the supernet and
to each architecture that is drawn from it alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, auto

from compiler.ir.graph import Node, Part, Prim, SpaceGraph, Term

from .rebuild import part_of
from .target import Target

WIDEST = 1.0
"""Up to how many input channels per output channel the covariance of the input is cheaper than the output itself.

It is what torch takes the norm of a projection by; the kernel takes it of the output.
"""


class Role(Enum):
    """What a primitive is to the passes on sums."""

    NORM = auto()
    RELU = auto()
    CONVOLUTION = auto()
    POOL = auto()
    CROP = auto()
    JOIN = auto()
    ADD = auto()


ROLES: Mapping[str, Role] = {
    "batch_norm": Role.NORM,
    "relu": Role.RELU,
    "conv": Role.CONVOLUTION,
    "max_pool": Role.POOL,
    "avg_pool": Role.POOL,
    "crop": Role.CROP,
    "concat": Role.JOIN,
    "add": Role.ADD,
}
"""The roles of primitives by name."""


def role_of(node: Node) -> Role | None:
    """The role of a node's primitive; None for what no rule is about."""
    return ROLES.get(node.payload.name) if isinstance(node.payload, Prim) else None


def is_image(node: Node) -> bool:
    """Whether a node is a tensor of decided channels, height and width."""
    return len(node.shape.dims) == 3 and all(isinstance(dim, int) for dim in node.shape.dims)


@dataclass(frozen=True)
class Pattern:
    """Images that a primitive of some role makes.

    Args:
        role: the role.
        attributes: the values that some of its parameters may have.
        where: what else holds of the node and the node that it reads.
    """

    role: Role
    attributes: Mapping[str, tuple[object, ...]] = field(default_factory=dict)
    where: Callable[[Node, Node], bool] | None = None

    def matches(self, graph: SpaceGraph, index: int) -> bool:
        """Whether a node of a graph is such an image."""
        node = graph.node(index)
        if role_of(node) is not self.role or not is_image(node):
            return False
        assert isinstance(node.payload, Prim)
        values = node.payload.values
        if any(values[name] not in allowed for name, allowed in self.attributes.items()):
            return False
        return self.where is None or self.where(node, graph.node(graph.sources(index)[0]))


def _is_square(node: Node, source: Node) -> bool:
    """Whether a crop leaves out as many rows as columns."""
    assert isinstance(node.payload, Prim)
    return bool(node.payload.values["top"] == node.payload.values["left"])


def _is_depthwise(node: Node, source: Node) -> bool:
    """Whether a convolution is one filter for each channel."""
    assert isinstance(node.payload, Prim)
    values = node.payload.values
    return bool(values["groups"] == values["c"] == source.shape.c) and values["k"] != 1


def _pays(node: Node, source: Node) -> bool:
    """Whether the covariance of what a projection reads costs less than its output."""
    return source.shape.largest[0] <= WIDEST * node.shape.largest[0]


_POINTWISE = {"k": (1,), "groups": (1,), "bias": (False,), "pad": (0,)}

NORM = Pattern(Role.NORM)
RELU = Pattern(Role.RELU)
CROP = Pattern(Role.CROP, where=_is_square)
POOL = Pattern(Role.POOL, {"k": (3,), "stride": (1, 2), "pad": (1,)})
DEPTHWISE = Pattern(Role.CONVOLUTION, {"bias": (False,)}, _is_depthwise)
PROJECTION = Pattern(Role.CONVOLUTION, {**_POINTWISE, "stride": (1,)})
"""A pointwise convolution: a matrix on the channels of every pixel."""
CHEAP_PROJECTION = replace(PROJECTION, where=_pays)
STRIDED_PROJECTION = Pattern(Role.CONVOLUTION, {**_POINTWISE, "stride": (1, 2)})
"""The same on every pixel or every second one, which only the kernel has."""


def projection(target: Target) -> Pattern:
    """The pointwise convolutions that sums of a target have."""
    return STRIDED_PROJECTION if target.machine.kernel else PROJECTION


# ---------------------------------------------------------------- rules


@dataclass(frozen=True)
class Rule:
    """A term takes in what it reads.

    Args:
        patterns: the node that the term reads, then what that reads, and so on.
        when: what the term must be.
        take: the term with the parts that the nodes become.
        shared: whether others may read the nodes too, which is so where they cost nothing.
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
    return term == Term(term.weight, norm=term.norm)


def _takes_a_filter(term: Term) -> bool:
    return not term.relu and term.before is None and term.filter is None


def _takes_a_window(term: Term) -> bool:
    """Whether a filter may be taken in whose pixels a projection reads one by one."""
    return _takes_a_filter(term) and term.projection is not None and term.projection.prim.values["stride"] == 1


def _takes_a_relu(term: Term) -> bool:
    """Whether a term reads its pixels by a convolution, which may apply a ReLU on the way."""
    if term.relu or term.before is not None:
        return False
    return term.projection is not None or (
        term.filter is not None and ROLES.get(term.filter.prim.name) is Role.CONVOLUTION
    )


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
    lambda term: _takes_a_filter(term) and term.projection is None and term.norm is not None,
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
