"""The body of each `forward`: the lines of the program, as statements."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from compiler.backend.names import identifier, unique
from compiler.ir.primitives.torch_form import Tightness

from .classes import Class
from .code_layout import WIDTH, Tree, laid, prefixed
from .outline import Outline
from .plans import Plan, Unit
from .terms import Figure, Ref, Term


def input_names(planned: Plan) -> list[str]:
    """The names of the inputs that are taken."""
    whole = planned.outline
    taken: set[str] = set()
    return [unique(identifier(name), taken) for n, (name, _) in enumerate(whole.inputs) if is_taken(whole, n)]


def is_taken(whole: Outline, place: int) -> bool:
    """Whether an input is taken: by a network all, by others those that are read."""
    return whole.block.level == "network" or bool(whole.readers[place])


@dataclass(frozen=True)
class _Value:
    """An expression that is not written yet; ``name`` is for when it is too long to stand in another."""

    text: str
    tight: int = Tightness.ATOM
    name: str | None = None
    code: Tree | None = None


@dataclass
class Forward:
    """The lines of a forward: lines of the program as variables, everything read once in place."""

    item: Class
    out: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """All statements, without indentation."""
        whole = self.item.plan.outline
        taken: set[str] = set()
        values: dict[int, _Value] = {}
        for n, (name, _) in enumerate(whole.inputs):
            if is_taken(whole, n):
                values[n] = _Value(unique(identifier(name), taken))
        for unit in self.item.plan.units:
            step = unit.steps[-1]
            name = identifier((step.line or step.name.removeprefix("output.")).replace(".", "_"))
            target = "return" if unit.value == whole.output and whole.readers[unit.value] == 1 else None
            keep = step.line is not None or whole.readers[unit.value] > 1
            if target is None and not keep:
                values[unit.value] = self.value(unit, [values[source] for source in unit.sources], name)
                continue
            if target is None:
                target = f"{unique(name, taken)} ="
            operands = [values[source] for source in unit.sources]
            value = self.value(unit, operands, name)
            while 8 + len(f"{target} {value.text}") > WIDTH and any(operand.name for operand in operands):
                longest = max((o for o in operands if o.name), key=lambda operand: len(operand.text))
                assert longest.name is not None
                moved = _Value(unique(longest.name, taken))
                self.statement(f"{moved.text} =", longest)
                operands = [moved if operand is longest else operand for operand in operands]
                value = self.value(unit, operands, name)
            self.statement(target, value)
            values[unit.value] = _Value(target.removesuffix(" ="))
        if (output := values[whole.output].text) != "return":
            self.out.append(f"return {output}")
        return self.out

    def statement(self, target: str, value: _Value) -> None:
        """Write one statement, on several lines where it is too long."""
        line = f"{target} {value.text}"
        if 8 + len(line) > WIDTH and value.code is not None:
            line = laid(prefixed(f"{target} ", value.code), 8)
        self.out += [text.removeprefix("        ") for text in line.split("\n")]

    def value(self, unit: Unit, operands: Sequence[_Value], name: str) -> _Value:
        """The value of a unit: a call of its module, or an expression, of its operands."""
        if unit.attr is not None:
            args = tuple(operand.text for operand in operands)
            state = unit.steps[0].state
            head = f"self.{unit.attr}("
            if state is not None:
                head, args = "scan(", (f"self.{unit.attr}", str(state), *args)
            return _Value(f"{head}{', '.join(args)})", Tightness.ATOM, name, Tree(head, args))
        form, numbers = self.item.numbers[unit]
        texts = []
        for n, operand in enumerate(operands):
            need = form.needs[n] if n < len(form.needs) else Tightness.SUM
            texts.append(operand.text if operand.tight >= need else f"({operand.text})")
        filled = {key: Figure(self._stored(term)) for key, term in numbers.items()}
        text = form.template.format(*texts, **filled)
        code = None
        if form.listed:
            head, _, tail = form.template.partition("[")
            code = Tree(head, (Tree("[", tuple(texts), "]"), tail.partition("], ")[2].removesuffix(")")))
        elif form.tight == Tightness.SUM:
            code = Tree("(", tuple(texts), is_sum=True)
        return _Value(text, form.tight, name, code)

    def _stored(self, term: Term) -> str:
        """An expression of parameters where there are attributes."""
        return re.sub(r"\b([a-zA-Z_]\w*)", r"self.\1", term.text) if isinstance(term, Ref) else repr(term)
