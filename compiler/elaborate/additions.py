"""Additions of a search to menus of operations, at rates that follow schedules: dropout, an item beside the others.

Dropout behind an item keeps a skip from growing only because it learns fast (Chen et al., "Progressive Differentiable
Architecture Search", ICCV 2019); an item outside of all weights, which fades away, takes from a skip what it has as a
way for gradients (Chu et al., "DARTS-", ICLR 2021). Neither is part of an architecture.
"""

from __future__ import annotations

from collections.abc import Callable

from compiler.ir.decision import DecisionKind
from compiler.ir.payloads import Prim
from compiler.ir.primitives.base import Operator
from compiler.ir.primitives.scheduled import Dropout, Fade
from compiler.ir.primitives.structure import Add
from compiler.ir.undecided import Var
from hdas_dsl.names import is_called
from hdas_dsl.text.diagnostics import Code

from .arguments import Application
from .errors import ElaborationError
from .frame import Site
from .session import Session
from .values import Tensor, Value

Apply = Callable[[Application, Site], Value]


class Additions:
    """Adds to undecided operations what a search says.

    Args:
        session: says which items it is about.
    """

    def __init__(self, session: Session) -> None:
        self.session = session

    def behind(self, function: Var[Value], chosen: Value, application: Application, made: Value, site: Site) -> Value:
        """The output of an item of an undecided operation, with dropout where the search has it."""
        wanted = self._item(function, self.session.building.dropout, site)
        inputs = application.inputs
        if wanted is None or chosen is not wanted or not isinstance(made, Tensor) or len(inputs) != 1:
            return made
        if not isinstance(inputs[0], Tensor) or made.shape != inputs[0].shape:
            return made
        return self._add("dropout", Dropout(), (made,), site)

    def beside(self, function: Var[Value], application: Application, mixed: Value, apply: Apply, site: Site) -> Value:
        """The weighted sum of the items, and beside it the item that the search says.

        Raises:
            ElaborationError: the item has another shape than the sum.
        """
        item = self.session.building.beside
        wanted = self._item(function, item, site)
        if wanted is None:
            return mixed
        other = apply(application.of(wanted), site.at(f"{site.name('mix')}.beside"))
        if not isinstance(mixed, Tensor) or not isinstance(other, Tensor) or other.shape != mixed.shape:
            message = f"`beside = {item}(...)` adds '{item}' to a menu whose items have another shape"
            raise ElaborationError(Code.SHAPE, site.span, message, "use `beside = none`, or another item")
        faded = self._add("faded", Fade(), (other,), site)
        total = self._add("total", Add(), (mixed, faded), site)
        site.frame.body.undecided[total.index] = function.decisions[0]
        return total

    def _item(self, function: Var[Value], name: str | None, site: Site) -> Value | None:
        """The item of that name of a menu of operations that is relaxed here."""
        if name is None or not site.frame.body.relaxed or len(function.decisions) != 1:
            return None
        decision = self.session.decisions[function.decisions[0]]
        if decision.kind is not DecisionKind.OPERATION:
            return None
        items = zip(decision.items, function.values, strict=True)
        return next((value for item, value in items if is_called(item, name)), None)

    def _add(self, label: str, op: Operator, inputs: tuple[Tensor, ...], site: Site) -> Tensor:
        return site.frame.body.add(f"{site.name('mix')}.{label}", Prim(op), inputs[0].shape, inputs, site.span)
