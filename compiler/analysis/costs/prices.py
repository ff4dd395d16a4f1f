"""Prices: what each quantity counts of a node of the graph. A price knows nothing of decisions.

Every quantity is additive: the cost of a network is the sum over its nodes. A sum of n tensors is n - 1 sums of two.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, TypeAlias

from compiler.elaborate.values import Bundle, Compose, Copies, Function, Menu, Partial, Value
from compiler.ir.primitives.base import FLOAT32, Gather, Operator
from compiler.ir.primitives.structure import Add
from compiler.ir.quantities import Total
from compiler.ir.shape import Ints, Shape
from compiler.ir.undecided import Open

from .latency_table import Table

Amount: TypeAlias = "int | float"


class Undefined(Exception):
    """A quantity has no value: a width is open, an operation unknown, a signature missing from a table."""


@dataclass(frozen=True)
class Application:
    """A primitive or an operation applied, everything decided: its name, its parameters, the shapes around it.

    ``op`` is the primitive, where it is one.
    """

    name: str
    attrs: Mapping[str, Value]
    inputs: tuple[Ints, ...]
    output: Ints
    op: Operator | None = None

    @classmethod
    def of(cls, op: Operator, inputs: tuple[Ints, ...], output: Ints) -> Application:
        """A primitive applied."""
        return cls(op.called, dict(op.attributes), inputs, output, op)

    @property
    def signature(self) -> str:
        """Readable and stable: ``conv(k=3, c=16, ...) 3x32x32``. A sum is one of two tensors."""
        attrs = ", ".join(f"{name}={written(value)}" for name, value in self.attrs.items())
        inputs = self.inputs[:1] if self.op is not None and self.op.gather is Gather.SUM else self.inputs
        shapes = " + ".join("x".join(map(str, shape)) for shape in inputs)
        return f"{self.name}{f'({attrs})' if attrs else ''} {shapes}"


def written(value: Value) -> str:
    """The value of a parameter, whole: operations with the parameters that they were given."""
    match value:
        case bool():
            return str(value).lower()
        case float():
            return f"{value:g}"
        case Function(label=label):
            return label or value.name
        case Menu(definition=definition):
            return definition.name
        case Copies(name=name):
            return name
        case Partial(function=function, positional=positional, named=named):
            parts = [*map(written, positional), *(f"{name}={written(item)}" for name, item in named)]
            return f"{written(function)}({', '.join(parts)})"
        case Compose(stages=stages):
            return " -> ".join(map(written, stages))
        case Bundle(items=items):
            return f"({', '.join(map(written, items))})"
    return str(value)


class Price:
    """What a quantity counts of each node."""

    of_structure: ClassVar[bool] = False
    """Whether it only counts what there is, whatever its parameters and shapes, of which some may be open."""

    def primitive(self, op: Operator, application: Application) -> Amount:
        """Of a primitive; of a sum, what it costs beyond `addend` of each of its tensors."""
        return 0

    def addend(self, output: Ints) -> Amount:
        """Of every tensor that a sum adds up."""
        return 0

    def speaks_of(self, operation: str) -> bool:
        """Whether it may price applications of an operation as a whole."""
        return False

    def operation(self, application: Application) -> Amount | None:
        """Of an operation as a whole, whose inside then counts nothing; None to look inside."""
        return None

    def applied(self, name: str) -> Amount:
        """Of every application of that name, besides all else."""
        return 0

    def picked(self) -> Amount:
        """Of every tensor that a pick takes."""
        return 0


class Params(Price):
    def primitive(self, op: Operator, application: Application) -> Amount:
        return op.params(application.inputs, application.output)


class Macs(Price):
    def primitive(self, op: Operator, application: Application) -> Amount:
        return op.macs(application.inputs, application.output)


class Memory(Price):
    def primitive(self, op: Operator, application: Application) -> Amount:
        if op.gather is Gather.SUM:
            return -self.addend(application.output)
        return op.memory(application.inputs, application.output)

    def addend(self, output: Ints) -> Amount:
        return FLOAT32 * math.prod(output)


@dataclass(frozen=True)
class Latency(Price):
    """Milliseconds by a table. An operation that the table knows as a whole is not looked into.

    With ``missing``, signatures that the table lacks are gathered there and cost nothing, instead of an error.
    """

    table: Table
    missing: dict[str, Application] | None = field(default=None, compare=False)

    def primitive(self, op: Operator, application: Application) -> Amount:
        if op.view:
            return 0
        return -self.of(application) if op.gather is Gather.SUM else self.of(application)

    def addend(self, output: Ints) -> Amount:
        return self.of(Application.of(Add(), (output, output), output))

    def of(self, application: Application) -> float:
        signature = application.signature
        if signature in self.table.milliseconds:
            return self.table.milliseconds[signature]
        if self.missing is None:
            raise Undefined(lacking(self.table, [signature]))
        self.missing[signature] = application
        return 0.0

    def speaks_of(self, operation: str) -> bool:
        return operation in self.table.operations

    def operation(self, application: Application) -> Amount | None:
        return self.table.milliseconds.get(application.signature)


def lacking(table: Table, signatures: Collection[str], most: int = 5) -> str:
    """What a table has no rows of, for people, and what to do about it."""
    listed = ", ".join(f"`{signature}`" for signature in sorted(signatures)[:most])
    more = f" and {len(signatures) - most} more" if len(signatures) > most else ""
    return f"'{table.name}' has no row for {listed}{more}; `hdas-measure FILE --out {table.name}` adds what is missing"


@dataclass(frozen=True)
class Count(Price):
    of_structure = True
    name: str

    def applied(self, name: str) -> Amount:
        return int(name == self.name)


class Edges(Price):
    of_structure = True

    def picked(self) -> Amount:
        return 1


PRICES: Mapping[str, Price] = {"params": Params(), "macs": Macs(), "memory": Memory(), "edges": Edges()}
"""The quantities that need nothing but the graph."""


def price_of(total: Total, tables: Mapping[str, Table]) -> Price:
    """The price behind a quantity; tables by the argument that names them.

    Raises:
        Undefined: a table is not there.
    """
    if total.name == "count":
        return Count(total.argument or "")
    if total.name == "latency":
        table = tables.get(total.argument or "")
        if table is None:
            raise Undefined(f"the table '{total.argument}' is not there")
        return Latency(table)
    return PRICES[total.name]


def sizes(shapes: Sequence[Shape]) -> tuple[Ints, ...]:
    """Decided shapes as plain numbers."""
    if any(isinstance(dim, Open) for shape in shapes for dim in shape.dims):
        raise Undefined("a width is open")
    return tuple(shape.largest for shape in shapes)
