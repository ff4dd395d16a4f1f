"""Random search spaces whose numbers are undecided: widths and kernels that are chosen, handed down, read everywhere.

A number is chosen in a line, an argument or a default, bound to names, computed with, and given to cells, which read it
in their shapes, defaults and conditions and hand it to cells of their own. Two instances of a cell may get two numbers.
The texts are spaces mostly; some are refused, where two instances of a cell would choose differently.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import strategies as st

LIBRARY = """\
hsp 1

op same(x) = x
op unit(x; k = 1) = x -> relu -> conv(k) -> batch_norm
op thin(x; c = 2) = x -> conv(1, c) -> relu -> conv(1, x.c)
op smooth(x) = avg_pool(x, 3)

choice Free = same | unit(k = 3) | smooth
choice Kernel = 1 | 3
"""

KERNEL, WIDTH, SIZE = "kernel", "width", "size"

CHOSEN = {
    KERNEL: ("1 | 3", "Kernel", "3 | 5"),
    WIDTH: ("2 | 4", "4 | 2 | 6", "2 | .. | 4"),
    SIZE: ("1 | 2", "2 | 1 | 3"),
}
PLAIN = {KERNEL: ("1", "3"), WIDTH: ("2", "4"), SIZE: ("1", "2")}
COMPUTED = {
    KERNEL: ("{} + 2", "if {} == 1 then 3 else 1"),
    WIDTH: ("2 * {}", "{} + 2", "max(2, {} // 2)", "if {} == 4 then 2 else 4"),
    SIZE: ("3 - min({}, 2)", "2 * {}"),
}


@dataclass
class _Cell:
    """A cell that is written: its name, and the kinds of the parameters that its callers have to give, by name."""

    name: str
    given: dict[str, str]


@dataclass
class _Drawing:
    """Draws the lines of one body; every tensor has the width of ``x``."""

    draw: st.DrawFn
    cells: list[_Cell]
    numbers: dict[str, str] = field(default_factory=dict)
    tensors: list[str] = field(default_factory=lambda: ["x"])
    lines: list[str] = field(default_factory=list)

    def one(self, *items: str) -> str:
        return self.draw(st.sampled_from(items))

    def source(self) -> str:
        return self.one(*self.tensors)

    # ------------------------------------------------------------ numbers

    def named(self, kind: str) -> list[str]:
        names = [name for name, its in self.numbers.items() if its == kind]
        return [*names, *names, "x.c"] if kind == WIDTH else names * 2

    def computed(self, kind: str) -> str:
        """A number made of names, where there are any."""
        names = self.named(kind)
        if not names:
            return self.one(*PLAIN[kind])
        name = self.one(*names)
        return self.one(name, name, *(form.format(name) for form in COMPUTED[kind]))

    def number(self, kind: str) -> str:
        """A number in an argument: chosen there, plain, or made of names."""
        return self.one(
            f"({self.one(*CHOSEN[kind])})", self.one(*PLAIN[kind]), self.computed(kind), self.computed(kind)
        )

    def condition(self) -> str:
        kind = self.one(KERNEL, WIDTH)
        names = self.named(kind)
        if not names:
            return "x.c == 4"
        test = self.one("== 1", "> 1", "in (3, 5)") if kind == KERNEL else self.one("== 4", "> 2", "== x.c")
        return f"{self.one(*names)} {test}"

    def bound(self, kind: str) -> str:
        """The name of a line that is a number."""
        name = f"{kind[0]}{len(self.numbers)}_"
        self.lines.append(f"{name} = {self.one(*CHOSEN[kind], self.computed(kind))}")
        self.numbers[name] = kind
        return name

    # ------------------------------------------------------------ lines

    def line(self) -> None:
        kinds = [self.number_line, self.operation, self.condition_line, self.chosen, self.where, self.family, self.menu]
        kinds += [self.sized, self.pick, self.bundle, self.indexed]
        if self.cells:
            kinds += [self.call] * 5 + [self.calls] * 2
        name = "uvwyz"[len(self.tensors) - 1]
        self.draw(st.sampled_from(kinds))(name)
        self.tensors.append(name)

    def number_line(self, name: str) -> None:
        """A number of a line, read by two others."""
        kind = self.one(KERNEL, WIDTH)
        number = self.bound(kind)
        call = "unit({}, {})" if kind == KERNEL else "thin({}, {})"
        self.lines.append(f"{name} = {call.format(self.source(), number)} + {call.format(self.source(), number)}")

    def operation(self, name: str) -> None:
        forms = (f"unit({self.source()}, {self.number(KERNEL)})", f"thin({self.source()}, c = {self.number(WIDTH)})")
        self.lines.append(f"{name} = {self.one(*forms)}")

    def condition_line(self, name: str) -> None:
        """A branch that a number takes, in which there may be a choice."""
        then = self.one("unit", "thin", "(same | unit)", "Free")
        orelse = self.one("smooth", "same", "(smooth | thin(c = 1))")
        source = self.source()
        forms = (
            f"if {self.condition()} then {then}({source}) else {orelse}({source})",
            f"(if {self.condition()} then {then} else smooth)({source})",
            f"(same | unit)({source}) + (if {self.condition()} then unit({source}) else thin({source}))",
        )
        self.lines.append(f"{name} = {self.one(*forms)}")

    def chosen(self, name: str) -> None:
        """A number in an item of a choice."""
        items = (f"unit(k = {self.computed(KERNEL)})", f"thin(c = {self.computed(WIDTH)})", "smooth")
        self.lines.append(f"{name} = ({' | '.join(items)})({self.source()})")

    def where(self, name: str) -> None:
        kind, count = self.one(KERNEL, WIDTH), self.one("", "", "[i < 2]")
        number = self.one(self.computed(kind), self.computed(kind), f"({self.one(*CHOSEN[kind])})")
        call = f"unit({self.source()}, n)" if kind == KERNEL else f"thin({self.source()}, n)"
        call = self.one(call, f"(same | unit)({call})")
        if not count:
            self.lines.append(f"{name} = {call} where n = {number}")
            return
        self.lines.append(f"{name}f[i < 2] = {call} where n = {number}")
        self.lines.append(f"{name} = {name}f0 + {name}f1")

    def family(self, name: str) -> None:
        """Elements that choose, with numbers that depend on the index."""
        number = self.one("(i + 1)", f"{self.computed(WIDTH)} * (i + 1)", self.computed(WIDTH))
        self.lines.append(f"{name}f[i < 2] = prev({self.source()}) -> (same | thin(c = {number}))")
        self.lines.append(f"{name} = last of {name}f")

    def sized(self, name: str) -> None:
        """Where a sequence ends."""
        size = self.one(*CHOSEN[SIZE], self.computed(SIZE))
        inner = self.one(f"unit({self.computed(KERNEL)})", "Free", "(same | unit)")
        self.lines.append(f"{name}s[i < {size}] = prev({self.source()}) -> {inner}")
        self.lines.append(f"{name} = last of {name}s")

    def menu(self, name: str) -> None:
        """A menu of operations that a line binds, which is one decision."""
        self.lines.append(f"{name}o = {self.one('Free', 'Free -> relu', 'same | unit')}")
        self.lines.append(f"{name} = {self.source()} -> {name}o -> {name}o")

    def pick(self, name: str) -> None:
        sources = self.draw(st.lists(st.sampled_from(self.tensors), min_size=1, max_size=3, unique=True))
        bundle = f"({', '.join(sources)})"
        forms = (f"sum(pick 1 of Free(each {bundle}))", f"sum(x, pick any of {bundle})")
        self.lines.append(
            f"{name} = {self.one(*forms, f'sum(pick 1 of unit(each {bundle}, {self.computed(KERNEL)}))')}"
        )

    def bundle(self, name: str) -> None:
        """Numbers in a bundle."""
        self.lines.append(f"{name}k = ({self.computed(KERNEL)}, {self.one('1', self.number(KERNEL))})")
        call = self.one(f"unit({self.source()}, {name}k[1])", f"(same | unit)(unit({self.source()}, {name}k[0]))")
        self.lines.append(f"{name} = {call}")

    def indexed(self, name: str) -> None:
        """Numbers that are a family."""
        self.lines.append(f"{name}n[i < 2] = {self.one(*CHOSEN[WIDTH], self.computed(WIDTH))}")
        call = f"thin({self.source()}, c = {name}n[i])"
        self.lines.append(f"{name}f[i < 2] = {self.one(call, f'(same | unit)({call})')}")
        self.lines.append(f"{name} = {name}f0 + {name}f1")

    def arguments(self, cell: _Cell) -> str:
        return ", ".join(f"{name} = {self.number(kind)}" for name, kind in cell.given.items())

    def applied(self) -> str:
        """A cell with its arguments, maybe at a width of its own."""
        cell = self.draw(st.sampled_from(self.cells))
        label = self.one("", "", "@p", "@fresh")
        call = f"{cell.name}{label}({self.arguments(cell)})" if cell.given else f"{cell.name}{label}"
        width = self.one("", self.number(WIDTH), self.bound(WIDTH) if self.draw(st.booleans()) else "")
        return call if not width else f"conv(1, {width}) -> {call} -> conv(1, x.c)"

    def call(self, name: str) -> None:
        self.lines.append(f"{name} = {self.source()} -> {self.applied()}")

    def calls(self, name: str) -> None:
        """Two instances."""
        self.lines.append(f"{name} = {self.source()} -> {self.applied()} -> {self.applied()}")

    # ------------------------------------------------------------ parameters

    def parameters(self) -> tuple[list[str], dict[str, str]]:
        """The parameters as written, and those that callers have to give."""
        written: list[str] = []
        given: dict[str, str] = {}
        for name, kind in (("k", KERNEL), ("c", WIDTH), ("s", SIZE), ("l", KERNEL)):
            how = self.one("none", "given", "given", "chosen", "computed")
            if how == "none":
                continue
            if how == "given":
                given[name] = kind
            default = {"chosen": self.one(*CHOSEN[kind]), "computed": self.computed(kind)}.get(how)
            written.append(name if default is None else f"{name} = {default}")
            self.numbers[name] = kind
        return written, given


@st.composite
def numbered_spaces(draw: st.DrawFn) -> str:
    """The text of a space of up to three levels, full of undecided numbers."""
    cells: list[_Cell] = []
    text = LIBRARY
    for name in "ABC"[: draw(st.integers(1, 2))]:
        drawing = _Drawing(draw, list(cells))
        written, given = drawing.parameters()
        text += _definition(f"cell {name}(x{'; ' if written else ''}{', '.join(written)})", drawing)
        cells.append(_Cell(name, given))
    drawing = _Drawing(draw, cells)
    default = draw(st.sampled_from(("", "; k = 1 | 3", "; k = 3")))
    if default:
        drawing.numbers["k"] = KERNEL
    draw(st.sampled_from((drawing.call, drawing.calls)))("u")
    drawing.tensors.append("u")
    return text + _definition(f"network Net(x: [4, 8, 8]{default})", drawing)


def _definition(head: str, drawing: _Drawing) -> str:
    for _ in range(drawing.draw(st.integers(1, 3))):
        drawing.line()
    output = f"output {' + '.join(drawing.tensors[-2:])}"
    return f"\n{head} {{\n" + "".join(f"  {line}\n" for line in [*drawing.lines, output]) + "}\n"
