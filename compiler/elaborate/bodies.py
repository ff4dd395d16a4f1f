"""Bodies of definitions: their lines in order, each reported by itself where it is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from compiler.ir.combinatorics.count_formula import Product
from compiler.ir.payloads import Prim
from compiler.ir.primitives.outputs import Outputs
from compiler.ir.undecided import Var
from hdas_dsl.text.diagnostics import Code
from hdas_dsl.text.source import Span
from hdas_dsl.tree import ast
from hdas_dsl.tree.words import element_name, element_of

from .arithmetic import Arithmetic
from .body_elaboration import BodyElaboration, Family, FamilySize
from .choices import Choices
from .errors import AlreadyReportedError, ElaborationError
from .families import FamilySizes
from .frame import Evaluate, Frame, Site
from .mixtures import Mixtures
from .quantities import read_preference
from .session import Session
from .space import Origin, Requirement, check_number
from .tensors import TensorExpressions
from .trace import Element
from .values import UNKNOWN, Bound, Bundle, Tensor, Unknown, Value, flatten, kind


class Bodies:
    """Reads the lines of a body into its `BodyElaboration`."""

    def __init__(
        self,
        session: Session,
        mixtures: Mixtures,
        tensors: TensorExpressions,
        choices: Choices,
        arithmetic: Arithmetic,
        evaluate: Evaluate,
    ) -> None:
        self.session = session
        self.mixtures = mixtures
        self.tensors = tensors
        self.choices = choices
        self.arithmetic = arithmetic
        self.evaluate = evaluate
        self.sizes = FamilySizes(choices, arithmetic)
        self.requirements: dict[Requirement, None] = {}
        """The requirements in the order of the text, each once: instances of a copy mostly repeat them."""

    def read(self, body: BodyElaboration) -> None:
        """Read all lines of the definition.

        Raises:
            AlreadyReportedError: there is no output, since its line has an error.
            ElaborationError: an error inside of an operation; those of other bodies are reported, and the other
                lines read.
        """
        text = body.definition
        assert not isinstance(text, ast.MenuDef)
        if isinstance(text.body, ast.Block):
            body.prune = any(isinstance(line, ast.Prune) for line in text.body.lines)
            # Preferences last: the cells that they name may stand below them.
            for line in sorted(text.body.lines, key=lambda line: isinstance(line, ast.Preference)):
                self._guarded(line, body)
        elif not isinstance(text.body, ast.External):
            frame = Frame.unrecorded(body)
            body.graph.output = self._output(self.evaluate(text.body, frame), text.body, frame).index
        if body.graph.output is None:
            raise AlreadyReportedError

    def _guarded(self, line: ast.BodyLine, body: BodyElaboration) -> None:
        """Read a line; where it is wrong, report it and go on with what it defines unknown."""
        try:
            self._line(line, body)
        except (ElaborationError, AlreadyReportedError) as stop:
            if body.is_operation:
                raise
            if isinstance(stop, ElaborationError):
                self.session.report(stop.diagnostic)
            _forget(line, body)

    def _line(self, line: ast.BodyLine, body: BodyElaboration) -> None:
        match line:
            case ast.Binding() if line.target.dims:
                self._family_line(line, body)
            case ast.Binding():
                self._plain_line(line, body)
            case ast.Output():
                frame = Frame.of(body, body.trace.begin(line, body.instance, "output"))
                value = self.evaluate(line.value, frame, "output")
                body.graph.output = self._output(value, line.value, frame).index
            case ast.Aux():
                self._aux_line(line, body)
            case ast.Require():
                requirement = Requirement.read(line, body, Origin.OPERATION if body.is_operation else Origin.BODY)
                self.requirements[requirement] = None
                check_number(self.requirements)
            case ast.Preference():
                made, met = self.session.decisions, self.session.copies
                body.preferences.append(read_preference(line, body, made, met, self._plain))
            case ast.Prune() | ast.Comment():
                pass

    def _plain(self, expr: ast.Expr, body: BodyElaboration) -> Value:
        """The value of a weight of a preference, with the names of the whole body."""
        return self.arithmetic.number(expr, Frame.unrecorded(body))

    def _output(self, value: Value, expr: ast.Expr, frame: Frame) -> Tensor:
        """The value of a body as the one tensor that it has to be; a network may give several, as one node."""
        site = Site(frame, "output", expr.span)
        value = self._settled(value, site)
        if isinstance(value, Var):
            hint = "`last of`, `sum` or `concat` of a family whose end is searched is one tensor"
            raise ElaborationError(Code.KIND, expr.span, "an output cannot be of an undecided number of tensors", hint)
        parts = [self._settled(part, site) for part in flatten(value)]
        if isinstance(value, Bundle) and len(parts) != 1:
            return self._outputs(parts, expr.span, frame)
        return self.tensors.tensor(parts[0], expr.span, frame)

    def _settled(self, value: Value, site: Site) -> Value:
        """A value, mixed where it is a tensor that decisions choose."""
        return self.mixtures.expand([value], lambda values: values[0], site) if isinstance(value, Var) else value

    def _outputs(self, parts: Sequence[Value], span: Span, frame: Frame) -> Tensor:
        """The several outputs of a network, in their order."""
        body = frame.body
        if not parts:
            raise ElaborationError(Code.FEW, span, f"{frame.place}this output is of nothing")
        if body.is_operation or not body.root:
            what = "operation" if body.is_operation else body.level
            message = f"{what} '{body.definition.name}' gives one tensor, not {len(parts)}"
            hint = "join them by `sum` or `concat`; only the network that a file is about has several outputs"
            raise ElaborationError(Code.KIND, span, message, hint)
        tensors = [self.tensors.tensor(part, span, frame) for part in parts]
        return body.add(Outputs.name, Prim(Outputs()), tensors[0].shape, tensors, span)

    def _aux_line(self, line: ast.Aux, body: BodyElaboration) -> None:
        """The auxiliary output exists in discrete networks only."""
        if self.session.decisions or not body.root:
            return
        frame = Frame.unrecorded(body, "aux")
        value = self.evaluate(line.value, frame, "aux")
        body.graph.aux = self.tensors.tensor(value, line.value.span, frame).index

    # ------------------------------------------------------------ bindings

    def _plain_line(self, line: ast.Binding, body: BodyElaboration) -> None:
        """``n = ...``, which may be an element of a family: ``n2 = ...``."""
        name = line.target.name
        element = element_of(name)
        frame = Frame.of(body, body.trace.begin(line, body.instance, name, element))
        self._where(line, frame)
        value = self.choices.named(self.evaluate(line.value, frame, name), frame.name, frame)
        if len(line.target.names) == 1:
            value = _named(value, name, frame)
        _assign(line.target, value, body.bindings, line.span)
        if element is not None:
            _add_element(element, value, line, body)
        _remember_fields(line, frame)

    def _where(self, line: ast.Binding, frame: Frame) -> None:
        """The local names of an element, in order."""
        for binding in line.where:
            name = binding.target.name
            inner = frame.named(f"{frame.name}.{name}")
            value = self.choices.named(self.evaluate(binding.value, inner, inner.name), inner.name, inner)
            if isinstance(value, Tensor):
                value = replace(value, name=name)
            _assign(binding.target, value, frame.locals, binding.span)

    # ------------------------------------------------------------ families

    def _family_line(self, line: ast.Binding, body: BodyElaboration) -> None:
        """``n[i < 4] = ...``: the elements in lexicographic order."""
        name, dims = line.target.name, line.target.dims
        if name in body.bindings:
            raise ElaborationError(Code.DUPLICATE, line.target.span, f"'{name}' is already defined in this text")
        family = body.families.setdefault(name, Family(name))
        size = self.sizes.size(dims[0].size, Frame.unrecorded(body, name), name)
        if isinstance(size, Var):
            self._varying_family(line, family, size, body)
            return
        for index, indices in self.sizes.indices(dims, body, name):
            self._element(line, family, index, indices, body)

    def _varying_family(self, line: ast.Binding, family: Family, size: Var[int], body: BodyElaboration) -> None:
        """A family whose end is a decision, on which the factors of its elements depend."""
        first = line.target.dims[0]
        if len(line.target.dims) > 1 or len(size.decisions) > 1:
            message = "only a family of one index, by one choice, can vary in size"
            raise ElaborationError(Code.UNDECIDED, first.size.span, message)
        self.session.budget.step(first.span, sum(size.values))  # each end has its own list of elements
        family.size = FamilySize(size.decisions[0], size.values)
        parts = []
        for i in range(max(size.values)):
            with self.session.formula.part() as part:
                self._element(line, family, (i,), {first.index: i}, body)
            parts.append(part)
        cases: dict[tuple[int, ...], Product] = {
            (item,): tuple(factor for part in parts[:count] for factor in part)
            for item, count in enumerate(size.values)
        }
        self.session.formula.add_cases(size.decisions, cases)

    def _element(
        self,
        line: ast.Binding,
        family: Family,
        index: tuple[int, ...],
        indices: dict[str, Value],
        body: BodyElaboration,
    ) -> None:
        """One element of a family; where it is wrong, report it and go on with it unknown."""
        name = element_name(family.name, index)
        if index in family.elements:
            raise ElaborationError(
                Code.DUPLICATE, line.target.span, f"'{name}' is already defined, in a line of its own"
            )
        frame = Frame.of(body, body.trace.begin(line, body.instance, name, (family.name, index), indices))
        value: Bound
        try:
            self._where(line, frame)
            value = self.choices.named(self.evaluate(line.value, frame, name), frame.name, frame)
            value = _named(value, name, frame)
        except ElaborationError as error:
            if body.is_operation:
                raise
            self.session.report(error.diagnostic)
            value = UNKNOWN
        except AlreadyReportedError:
            value = UNKNOWN
        family.add(index, value)
        if not isinstance(value, Unknown):
            _remember_fields(line, frame)


def _forget(line: ast.BodyLine, body: BodyElaboration) -> None:
    """Bind the names of a line with an error to `UNKNOWN`."""
    if isinstance(line, ast.Binding):
        for name in line.target.names:
            body.bindings[name] = UNKNOWN
            if element := element_of(name):
                body.families.setdefault(element[0], Family(element[0])).add(element[1], UNKNOWN)


def _add_element(element: Element, value: Value, line: ast.Binding, body: BodyElaboration) -> None:
    """A line of its own for one element of a family."""
    name, index = element
    family = body.families.setdefault(name, Family(name))
    if index in family.elements:
        message = f"'{element_name(name, index)}' is already defined, as an element of '{name}'"
        raise ElaborationError(Code.DUPLICATE, line.target.span, message)
    family.add(index, value)


def _named(value: Value, name: str, frame: Frame) -> Value:
    """The value of a line: a tensor takes its name, and a bundle of one is that one."""
    if isinstance(value, Bundle) and len(value.items) == 1:
        value = value.items[0]
    if not isinstance(value, Tensor):
        return value
    frame.body.graph.name_line(value.index, name)
    return replace(value, name=name)


def _assign(target: ast.Target, value: Value, table: dict[str, Bound] | dict[str, Value], span: Span) -> None:
    """Bind the names of a target; several names are bound to the elements of a bundle."""
    if len(target.names) == 1:
        table[target.name] = value
        return
    items = value.items if isinstance(value, Bundle) else ()
    if len(items) != len(target.names):
        have = f"{len(items)} values" if isinstance(value, Bundle) else kind(value)
        raise ElaborationError(Code.KIND, span, f"{len(target.names)} names cannot take {have}")
    for name, item in zip(target.names, items, strict=True):
        table[name] = item


def _remember_fields(line: ast.Binding, frame: Frame) -> None:
    """Keep the where-names of an element, which other lines may read as its fields."""
    names = [name for binding in line.where for name in binding.target.names]
    if names:
        frame.body.fields[frame.name] = {name: frame.locals[name] for name in names}
