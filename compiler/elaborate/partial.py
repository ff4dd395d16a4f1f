"""Partial channels: of each input of an undecided operation only one channel in K goes through its items.

The first 1/K of the channels goes through the items, which are built at that width; the rest goes past them, behind a
max pool of 2x2 where they halve the resolution. Both are put together, worked-on channels first, and shuffled in K
groups, so that the next operation works on others (Xu et al., "PC-DARTS: Partial Channel Connections for
Memory-Efficient Architecture Search", ICLR 2020; the released program takes a slice where the paper draws a mask).

It has to happen where shapes are inferred, since items take their width from their input. An architecture knows nothing
of it: what is derived, counted and priced is the space with all channels.
"""

from __future__ import annotations

from compiler.ir.decision import DecisionKind
from compiler.ir.payloads import Prim
from compiler.ir.primitives.base import Operator
from compiler.ir.primitives.pooling import MaxPool
from compiler.ir.primitives.structure import Concat, Cut, Shuffle
from compiler.ir.shape import Shape
from compiler.ir.undecided import Var
from hdas_dsl.text.diagnostics import Code

from .arguments import Application
from .errors import ElaborationError
from .frame import Site
from .session import Session
from .values import Tensor, Value


class ChannelBypass:
    """Sends a share of the channels through the items of undecided operations.

    Args:
        session: says how many channels there are to one that is worked on; 1 is all of them.
    """

    def __init__(self, session: Session) -> None:
        self.session = session

    def applies(self, function: Var[Value], site: Site) -> bool:
        """Whether an undecided operation that is applied here works on a share of the channels."""
        if self.session.building.partial == 1 or not site.frame.body.relaxed or len(function.decisions) != 1:
            return False
        return self.session.decisions[function.decisions[0]].kind is DecisionKind.OPERATION

    def part(self, application: Application, site: Site) -> tuple[Tensor, Application]:
        """The input of an undecided operation, and the operation applied to the share that goes through it.

        Raises:
            ElaborationError: it has not one input that is an image, or its channels have no such share.
        """
        k, inputs = self.session.building.partial, application.inputs
        if len(inputs) != 1 or not isinstance(inputs[0], Tensor) or len(inputs[0].shape.dims) != 3:
            raise _refused(k, "needs operations of one image", site)
        width = inputs[0].shape.c
        if not isinstance(width, int) or width % k:
            raise _refused(k, f"does not divide the width {width} of this input", site)
        share = self._add("part", Cut(c=width // k), (inputs[0],), site)
        return inputs[0], Application(application.function, (share,), application.positional, application.named)

    def join(self, worked: Value, whole: Tensor, path: str, site: Site) -> Tensor:
        """What the items made of their share beside what went past them, shuffled.

        Raises:
            ElaborationError: the items change the width, or the resolution by other than a half.
        """
        k, width = self.session.building.partial, whole.shape.c
        assert isinstance(width, int), "checked by `part`"
        if not isinstance(worked, Tensor) or worked.shape.c != width // k:
            raise _refused(k, "needs items that keep the width of their input", site)
        rest = self._add("rest", Cut(c=width - width // k, start=width // k), (whole,), site)
        if worked.shape.space != rest.shape.space:
            rest = self._add("past", MaxPool(k=2, stride=2, pad=0), (rest,), site)
        if worked.shape.space != rest.shape.space:
            raise _refused(k, "needs items that keep or halve the resolution of their input", site)
        beside = self._add("beside", Concat(), (worked, rest), site)
        mixed = self._add("mixed", Shuffle(groups=k), (beside,), site)
        site.frame.body.undecided[mixed.index] = path
        return mixed

    def _add(self, label: str, op: Operator, inputs: tuple[Tensor, ...], site: Site) -> Tensor:
        dims = op.result([tensor.shape for tensor in inputs]) or inputs[0].shape.dims
        shape = Shape(tuple(dim for dim in dims if dim is not None))
        return site.frame.body.add(site.name(label), Prim(op), shape, inputs, site.span)


def _refused(k: int, why: str, site: Site) -> ElaborationError:
    hint = "use `channels = all`, or another number"
    return ElaborationError(Code.SHAPE, site.span, f"`channels = partial({k})` {why}", hint)
