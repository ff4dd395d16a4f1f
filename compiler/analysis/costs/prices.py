"""Prices: what each quantity counts of a node of the graph. A price knows nothing of decisions.

Every quantity is additive: the cost of a network is the sum over its nodes. A sum of n tensors is n - 1 sums of two.

To add a quantity: a line in `hdas_dsl.tree.words.TOTALS`, which is how it is written, and a price in `PRICES`.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, TypeAlias

from compiler.elaborate.values import Bundle, Compose, Copies, Function, Menu, Partial, Value
from compiler.ir.counted import Callee
from compiler.ir.primitives.base import FLOAT32, Gather, Operator
from compiler.ir.primitives.registry import PRIMITIVES
from compiler.ir.primitives.structure import Add
from compiler.ir.quantities import Total
from compiler.ir.shape import Ints, Shape
from compiler.ir.undecided import Open
from compiler.util.errors import HdasError
from hdas_dsl.sameness import Definition, equal_up_to_names
from hdas_dsl.tree.words import TOTALS, QuantityArgument

from .latency_table import Table

Amount: TypeAlias = "int | float"


class UndefinedQuantityError(HdasError):
    """A quantity has no value: a width is open, a plugin is not allowed, a table lacks a signature."""

    exit_code = 2


@dataclass(frozen=True)
class Application:
    """A primitive or an operation applied, everything decided.

    Args:
        name: of the primitive or the operation.
        attrs: its parameters.
        inputs: the shapes of its inputs, without the batch.
        output: the shape of its output.
        op: the primitive, where it is one.
        definition: of the operation, where it is one.
    """

    name: str
    attrs: Mapping[str, Value]
    inputs: tuple[Ints, ...]
    output: Ints
    op: Operator | None = None
    definition: Definition | None = field(default=None, compare=False, repr=False)

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
    """The value of a parameter in full: operations with the parameters that they were given."""
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
    """The price of each node in one quantity."""

    of_structure: ClassVar[bool] = False
    """Whether it counts nodes whatever their parameters and shapes, of which some may be open."""

    def primitive(self, op: Operator, application: Application) -> Amount:
        """The price of a primitive; of a sum, that besides `addend` of each of its tensors."""
        return 0

    def addend(self, output: Ints) -> Amount:
        """The price of every tensor that a sum adds up."""
        return 0

    def prices_operation(self, operation: str) -> bool:
        """Whether it may price applications of an operation as a whole."""
        return False

    def operation(self, application: Application) -> Amount | None:
        """The price of an operation as a whole, whose nodes then count nothing; None to add up its nodes."""
        return None

    def applied(self, applied: Callee) -> Amount:
        """The price of every application of an operation, a cell or a primitive, besides all else."""
        return 0

    def picked(self) -> Amount:
        """The price of every tensor that a pick takes."""
        return 0


class Params(Price):
    """The number of trainable parameters."""

    def primitive(self, op: Operator, application: Application) -> Amount:
        """The parameters of a primitive."""
        return op.params(application.inputs, application.output)


class Macs(Price):
    """Multiply-adds of convolutions and linears for one image."""

    def primitive(self, op: Operator, application: Application) -> Amount:
        """The multiply-adds of a primitive."""
        return op.macs(application.inputs, application.output)


class Memory(Price):
    """Bytes of the tensors that primitives make for one image in float32."""

    def primitive(self, op: Operator, application: Application) -> Amount:
        """The bytes of a primitive; a sum of n tensors makes n - 1."""
        if op.gather is Gather.SUM:
            return -self.addend(application.output)
        return op.memory(application.inputs, application.output)

    def addend(self, output: Ints) -> Amount:
        """One tensor for each that a sum adds up."""
        return FLOAT32 * math.prod(output)


@dataclass(frozen=True)
class Latency(Price):
    """Milliseconds by a table. An operation of which the table has a row is priced as a whole.

    Args:
        table: milliseconds by signature.
        missing: where signatures that the table lacks are gathered; they then cost nothing instead of raising
            `UndefinedQuantityError`.
    """

    table: Table
    missing: dict[str, Application] | None = field(default=None, compare=False)
    wholes: dict[str, Definition] = field(default_factory=dict, compare=False, repr=False)
    """The operations that rows were found for, by name."""

    def primitive(self, op: Operator, application: Application) -> Amount:
        """The milliseconds of a primitive; views take none."""
        if op.view:
            return 0
        return -self.of(application) if op.gather is Gather.SUM else self.of(application)

    def addend(self, output: Ints) -> Amount:
        """The milliseconds of adding two tensors."""
        return self.of(Application.of(Add(), (output, output), output))

    def of(self, application: Application) -> float:
        """The row of an application.

        Raises:
            UndefinedQuantityError: the table has none.
        """
        signature = application.signature
        if signature in self.table.milliseconds:
            return self.table.milliseconds[signature]
        if self.missing is None:
            raise UndefinedQuantityError(lacking(self.table, [signature]))
        self.missing[signature] = application
        return 0.0

    def prices_operation(self, operation: str) -> bool:
        """Whether the table has rows of an operation: those with the name of a primitive are the primitive's."""
        return operation in self.table.operations and PRIMITIVES.get(operation) is None

    def operation(self, application: Application) -> Amount | None:
        """The row of an operation as a whole, if the table has one.

        Raises:
            UndefinedQuantityError: another operation of that name has rows too, and both cannot be meant.
        """
        row = self.table.milliseconds.get(application.signature)
        if row is not None and application.definition is not None:
            known = self.wholes.setdefault(application.name, application.definition)
            if not equal_up_to_names(known, application.definition):
                files = (instance.unit.source.name for _, instance in (known, application.definition))
                where = " and ".join(f"'{file}'" for file in dict.fromkeys(files))
                raise UndefinedQuantityError(
                    f"'{self.table.name}' has rows of '{application.name}', and there are two operations of that name "
                    f"(in {where}): give one of them another name"
                )
        return row


MOST_LISTED = 5
"""How many missing signatures a message lists."""


def lacking(table: Table, signatures: Collection[str]) -> str:
    """Why a table is incomplete: some of the signatures that it lacks, and how to add them."""
    listed = ", ".join(f"`{signature}`" for signature in sorted(signatures)[:MOST_LISTED])
    more = f" and {len(signatures) - MOST_LISTED} more" if len(signatures) > MOST_LISTED else ""
    return f"'{table.name}' has no row for {listed}{more}; `hdas-measure FILE --out {table.name}` adds what is missing"


@dataclass(frozen=True)
class Count(Price):
    """The number of applications of what a quantity names."""

    of_structure = True
    total: Total

    def applied(self, applied: Callee) -> Amount:
        """1 of an application that is counted."""
        return int(self.total.counts(applied))


class Edges(Price):
    """The number of tensors that picks take."""

    of_structure = True

    def picked(self) -> Amount:
        """1 of each."""
        return 1


PRICES: Mapping[str, Price] = {"params": Params(), "macs": Macs(), "memory": Memory(), "edges": Edges()}
"""The prices of the quantities without an argument, by name."""


def price_of(total: Total, tables: Mapping[str, Table]) -> Price:
    """The price behind a quantity; tables by the argument that names them.

    Raises:
        UndefinedQuantityError: a table is not there.
    """
    match TOTALS[total.name].argument:
        case QuantityArgument.OPERATION:
            return Count(total)
        case QuantityArgument.TABLE:
            table = tables.get(total.argument or "")
            if table is None:
                raise UndefinedQuantityError(f"the table '{total.argument}' is not there")
            return Latency(table)
    return PRICES[total.name]


def sizes(shapes: Sequence[Shape]) -> tuple[Ints, ...]:
    """Decided shapes as plain numbers."""
    if any(isinstance(dim, Open) for shape in shapes for dim in shape.dims):
        raise UndefinedQuantityError("a width is open")
    return tuple(shape.largest for shape in shapes)
