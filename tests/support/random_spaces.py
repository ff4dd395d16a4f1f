"""Random search spaces as text, each with the list of its architectures by construction.

A plan is written down twice: as a program of the language, and as the options of its lines, from which `Plan.list`
walks all architectures without knowing anything of the compiler.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations, product

from hypothesis import strategies as st

LIBRARY = """\
hsp 1

op same(x) = x
op unit(x; k = 1) = x -> relu -> conv(k) -> batch_norm
op thin(x; c = 2) = x -> conv(1, c) -> relu -> conv(1, x.c)
op smooth(x) = avg_pool(x, 3)
op none(x) = zero(x)

choice Free = same | unit(k = 3) | smooth
choice Guarded = none if relaxed | unit | same
"""
MENUS = {"Free": 3, "Guarded": 2}
ITEMS = ("same", "unit", "smooth", "none if relaxed", "thin(c = 1)")


@dataclass(frozen=True)
class Mention:
    """A definition by name; with a label it is the copy of that name, owned by the text that mentions it."""

    name: str
    label: str | None = None


@dataclass(frozen=True)
class Option:
    """One way to decide a line: what it is called, the copies it makes exist, the lines it reads, what picks took."""

    name: str
    mentions: tuple[Mention, ...] = ()
    reads: tuple[str, ...] = ()
    edges: int = 0


@dataclass(frozen=True)
class Spot:
    """A line or an element of a family, with all ways to decide it."""

    name: str
    options: tuple[Option, ...]


@dataclass
class Body:
    """A cell, stage or network as text and as spots."""

    name: str
    lines: list[str] = field(default_factory=list)
    spots: list[Spot] = field(default_factory=list)
    prune: bool = False
    limit: int | None = None

    def add(self, line: str, *spots: Spot) -> None:
        self.lines.append(line)
        self.spots.extend(spots)

    def ways(self) -> Iterator[tuple[tuple[str, ...], frozenset[Mention]]]:
        """All ways to decide this text: what was decided, and which copies it mentions."""
        found = set()
        for options in product(*(spot.options for spot in self.spots)):
            chosen = dict(zip((spot.name for spot in self.spots), options, strict=True))
            alive = self._reached(chosen) if self.prune else set(chosen)
            kept = {name: option for name, option in chosen.items() if name in alive}
            if self.limit is None or sum(option.edges for option in kept.values()) <= self.limit:
                mentions = frozenset(mention for option in kept.values() for mention in option.mentions)
                found.add((tuple(f"{name}: {option.name}" for name, option in kept.items()), mentions))
        return iter(sorted(found, key=str))

    @staticmethod
    def _reached(chosen: dict[str, Option]) -> set[str]:
        alive: set[str] = set()
        pending = ["output"]
        while pending:
            name = pending.pop()
            if name in chosen and name not in alive:
                alive.add(name)
                pending += chosen[name].reads
        return alive


@dataclass
class Plan:
    """A program with all its architectures; ``bodies`` ends with the network."""

    text: str
    bodies: list[Body]

    def list(self, most: int) -> list[frozenset[tuple[str, str]]] | None:
        """The architectures, one set of decided spots each; None where there are more than ``most``."""
        bodies = {body.name: body for body in self.bodies}
        root = self.bodies[-1].name
        found: list[frozenset[tuple[str, str]]] = []

        def walk(
            pending: frozenset[tuple[str, str]], done: frozenset[str], decided: frozenset[tuple[str, str]]
        ) -> bool:
            if not pending:
                found.append(decided)
                return len(found) <= most
            path, name = min(pending)
            owner = "" if name == root else f"{path}."
            for way, mentions in bodies[name].ways():
                copies = {(f"{owner}{m.name}@{m.label}" if m.label else m.name, m.name) for m in mentions}
                new = frozenset(copy for copy in copies if copy[0] not in done | {path})
                here = frozenset((path, spot) for spot in way)
                if not walk(pending - {(path, name)} | new, done | {path}, decided | here):
                    return False
            return True

        return found if walk(frozenset([(root, root)]), frozenset(), frozenset()) else None


# ---------------------------------------------------------------- drawing


class _Drawing:
    """Draws one body, line by line."""

    def __init__(self, draw: st.DrawFn, body: Body, cells: list[str], mixable: bool) -> None:
        self.draw = draw
        self.body = body
        self.cells = cells
        self.mixable = mixable
        self.tensors = ["x"]

    def name(self) -> str:
        return f"{'uvwyz'[len(self.tensors) - 1]}"

    def source(self) -> str:
        return self.draw(st.sampled_from(self.tensors))

    def several(self, least: int) -> list[str]:
        return self.draw(st.lists(st.sampled_from(self.tensors), min_size=least, max_size=3, unique=True))

    def items(self) -> tuple[str, list[str]]:
        """An inline choice of operations, and its derivable items."""
        items = self.draw(st.lists(st.sampled_from(ITEMS), min_size=2, max_size=3, unique=True))
        kept = [item for item in items if "relaxed" not in item]
        return f"({' | '.join(items)})", kept

    def cell(self, spot: str) -> tuple[str, Mention]:
        """A definition with or without a label, as written and as meant."""
        name = self.draw(st.sampled_from(self.cells))
        label = self.draw(st.sampled_from((None, "p", "q", "fresh")))
        meant = f"fresh {spot}" if label == "fresh" else label
        return (name if label is None else f"{name}@{label}"), Mention(name, meant)

    def line(self) -> None:
        kinds = [
            self.operation,
            self.menu,
            self.pick,
            self.plain,
            self.any,
            self.number,
            self.twice,
            self.family,
            self.size,
        ]
        if self.cells:
            kinds += [self.call, self.definitions, self.chain] * 2
        if not self.mixable:
            kinds.append(self.joined)
        name = self.name()
        self.draw(st.sampled_from(kinds))(name)
        self.tensors.append(name)

    # Each kind of line writes the text, and beside it every way to decide it.

    def operation(self, name: str) -> None:
        text, kept = self.items()
        source = self.source()
        self.body.add(f"{name} = {text}({source})", Spot(name, tuple(Option(item, (), (source,)) for item in kept)))

    def menu(self, name: str) -> None:
        menu, source = self.draw(st.sampled_from(sorted(MENUS))), self.source()
        options = tuple(Option(str(i), (), (source,)) for i in range(MENUS[menu]))
        self.body.add(f"{name} = {menu}({source})", Spot(name, options))

    def amount(self, count: int) -> tuple[str, range]:
        """How many of so many are picked: a number, or between two."""
        most = self.draw(st.integers(1, count))
        least = self.draw(st.sampled_from((most, most, 0, 1)))
        return (str(most) if least == most else f"{least}..{most}"), range(least, most + 1)

    def pick(self, name: str) -> None:
        """Some of several menus, of which a window may be left."""
        menu, sources = self.draw(st.sampled_from(sorted(MENUS))), self.several(1)
        window = self.draw(st.integers(1, 3))
        bundle = f"last {window} of ({', '.join(sources)})" if len(sources) > 1 else f"({sources[0]})"
        sources = sources[-window:] if len(sources) > 1 else sources
        amount, sizes = self.amount(len(sources))
        beside = () if sizes[0] else (self.source(),)
        terms = ", ".join((*beside, f"pick {amount} of {menu}(each {bundle})"))
        self.body.add(f"{name} = sum({terms})", Spot(name, _picks(menu, sources, sizes, beside)))

    def plain(self, name: str) -> None:
        """Some of several tensors."""
        sources = self.several(1)
        amount, sizes = self.amount(len(sources))
        beside = () if sizes[0] else (self.source(),)
        chosen = [c for size in sizes for c in combinations(sources, size)]
        options = tuple(Option(str(c), (), (*beside, *c), len(c)) for c in chosen)
        terms = ", ".join((*beside, f"pick {amount} of ({', '.join(sources)})"))
        self.body.add(f"{name} = sum({terms})", Spot(name, options))

    def any(self, name: str) -> None:
        sources, first = self.several(1), self.source()
        chosen = [c for take in range(len(sources) + 1) for c in combinations(sources, take)]
        options = tuple(Option(str(c), (), (first, *c), len(c)) for c in chosen)
        self.body.add(f"{name} = sum({first}, pick any of ({', '.join(sources)}))", Spot(name, options))

    def joined(self, name: str) -> None:
        """A concatenation of as many tensors as are picked cannot be mixed."""
        sources = self.several(1)
        options = tuple(
            Option(str(c), (), ("x", *c), len(c)) for n in range(len(sources) + 1) for c in combinations(sources, n)
        )
        self.body.add(f"{name} = concat(x, pick any of ({', '.join(sources)})) -> conv(1, x.c)", Spot(name, options))

    def number(self, name: str) -> None:
        source = self.source()
        op, number, size = self.draw(st.sampled_from((("unit", "k = 1 | 3", 2), ("thin", "c = 1 | .. | 3", 3))))
        options = tuple(Option(str(i), (), (source,)) for i in range(size))
        self.body.add(f"{name} = {op}({source}, {number})", Spot(name, options))

    def twice(self, name: str) -> None:
        """One number, bound and used twice."""
        first, second = self.source(), self.source()
        self.body.lines.append(f"{name}k = 1 | 3")
        line = f"{name} = unit({first}, {name}k) + unit({second}, {name}k)"
        self.body.add(line, Spot(name, tuple(Option(str(k), (), (first, second)) for k in (1, 3))))

    def family(self, name: str) -> None:
        """A family in which every element picks of the ones before."""
        menu, source = self.draw(st.sampled_from(sorted(MENUS))), self.source()
        size = self.draw(st.integers(1, 3))
        self.body.lines.append(f"{name}f[i < {size}] = sum(pick 1 of {menu}(each ({source}, earlier {name}f)))")
        for i in range(size):
            before = [source, *(f"{name}f{j}" for j in range(i))]
            self.body.spots.append(Spot(f"{name}f{i}", _picks(menu, before, range(1, 2))))
        last = f"{name}f{size - 1}"
        self.body.add(f"{name} = {last}", Spot(name, (Option("", (), (last,)),)))

    def size(self, name: str) -> None:
        """Where a sequence ends; what lies behind the end does not exist."""
        menu, source = self.draw(st.sampled_from(sorted(MENUS))), self.source()
        low, high = self.draw(st.sampled_from(((1, 2), (1, 3), (2, 3))))
        inner, cell = menu, self.draw(st.sampled_from((None, *self.cells)))
        ways: list[Option] = []
        for n in range(low, high + 1):
            if cell is None:
                ways += (Option(f"{n} {way}", (), (source,)) for way in product(range(MENUS[menu]), repeat=n))
            else:
                inner = f"{cell}@i"
                ways.append(Option(str(n), tuple(Mention(cell, str(i)) for i in range(n)), (source,)))
        self.body.lines.append(f"{name}s[i < {low} | .. | {high}] = prev({source}) -> {inner}")
        self.body.add(f"{name} = last of {name}s", Spot(name, tuple(ways)))

    def call(self, name: str) -> None:
        (text, mention), source = self.cell(name), self.source()
        self.body.add(f"{name} = {text}({source})", Spot(name, (Option("", (mention,), (source,)),)))

    def definitions(self, name: str) -> None:
        """A choice of what to instantiate, beside a plain operation."""
        (one, a), (two, b), source = self.cell(f"{name} 1"), self.cell(f"{name} 2"), self.source()
        options = (Option("1", (a,), (source,)), Option("2", (b,), (source,)), Option("3", (), (source,)))
        self.body.add(f"{name} = ({one} | {two} | unit)({source})", Spot(name, options))

    def chain(self, name: str) -> None:
        """Copies shared by a part of a family."""
        cell, source = self.draw(st.sampled_from(self.cells)), self.source()
        mentions = tuple(Mention(cell, str(i // 2)) for i in range(3))
        self.body.lines.append(f"{name}c[i < 3] = prev({source}) -> {cell}@(i // 2)")
        self.body.add(f"{name} = last of {name}c", Spot(name, (Option("", mentions, (source,)),)))


def _picks(menu: str, sources: list[str], sizes: range, beside: tuple[str, ...] = ()) -> tuple[Option, ...]:
    """Some of several menus, with the item of each that is taken; ``beside`` is read too."""
    return tuple(
        Option(f"{chosen} {way}", (), (*beside, *chosen), size)
        for size in sizes
        for chosen in combinations(sources, size)
        for way in product(range(MENUS[menu]), repeat=size)
    )


@st.composite
def plans(draw: st.DrawFn, mixable: bool = False, prunes: bool = True, most: int = 5000) -> Plan:
    """A small space with its architectures, at most ``most``."""
    bodies: list[Body] = []
    text = LIBRARY
    levels = draw(st.sampled_from(("network", "cell network", "cell cell network", "cell stage network"))).split()
    for number, level in enumerate(levels):
        network = level == "network"
        body = Body("Net" if network else "ABC"[number])
        drawing = _Drawing(draw, body, [b.name for b in bodies], mixable)
        for _ in range(draw(st.integers(1, 3 if network else 2))):
            drawing.line()
        outputs = draw(st.lists(st.sampled_from(drawing.tensors[1:]), min_size=1, unique=True))
        if network:
            outputs = draw(st.sampled_from((outputs, drawing.tensors[1:])))
        body.spots.append(Spot("output", (Option("", (), tuple(outputs)),)))
        lines = [*body.lines, f"output {' + '.join(outputs)}"]
        if prunes and draw(st.booleans()):
            body.prune = True
            lines.append("prune")
        mentions = any(option.mentions for spot in body.spots for option in spot.options)
        if prunes and not mentions and draw(st.booleans()):
            body.limit = draw(st.integers(1, 4))
            lines.append(f"require edges <= {body.limit}")
        head = "network Net(x: [3, 8, 8])" if network else f"{level} {body.name}(x)"
        text += f"\n{head} {{\n" + "".join(f"  {line}\n" for line in lines) + "}\n"
        bodies.append(body)
    return Plan(text, bodies)


def spaces(mixable: bool = False, prunes: bool = False) -> st.SearchStrategy[str]:
    """The text of a small space; with ``mixable`` one that can be relaxed by mixing, on tiny tensors."""
    return plans(mixable, prunes).map(lambda plan: plan.text)
