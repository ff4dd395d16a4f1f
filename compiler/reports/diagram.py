"""What a picture of a space shows: the text of each cell, stage and network as spots and arrows. Plain data.

A spot is an input, a line or the output; what is done on the way from one line to another stands on the arrow. A sum
is the spot itself, and a menu is one arrow, however many operations it mixes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

from compiler.elaborate import Elaborated
from compiler.ir.decision import Decision, DecisionKind
from compiler.ir.graph import Block, Call, Node, Payload, SpaceGraph
from compiler.ir.payloads import Input, Mix, Prim
from compiler.ir.primitives.base import Gather
from compiler.ir.shape import Extent, Shape
from compiler.ir.undecided import Var
from hdas_dsl.tree.words import element_of

MOST = 4
"""How many choices a spot lists."""


class Role(Enum):
    """What a spot is in its text."""

    INPUT = "input"
    VALUE = "value"
    INSTANCE = "instance"
    OUTPUT = "output"
    AUX = "aux"


@dataclass(frozen=True)
class Spot:
    """A named tensor of a text. ``key`` is unique in the text; ``of`` is the definition that an instance is of."""

    key: str
    label: str
    role: Role
    of: str | None = None
    facts: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    folded: bool = False


@dataclass(frozen=True)
class Arrow:
    """From a spot to one made of it, by the steps of ``label``; ``choice`` where a decision is among them."""

    source: str
    target: str
    label: tuple[str, ...] = ()
    choice: bool = False


@dataclass(frozen=True)
class Picture:
    """The text of a definition, and the ``copies`` of it that look like this."""

    level: str
    definition: str
    copies: tuple[str, ...]
    instances: int
    spots: tuple[Spot, ...]
    arrows: tuple[Arrow, ...]
    choices: tuple[str, ...] = ()


def pictures(space: Elaborated) -> list[Picture]:
    """The network, then each cell and stage in order of first use; copies that look the same are one picture."""
    survey = _Survey()
    survey.visit(space.block)
    groups: dict[object, list[str]] = {}
    drawn: dict[str, Picture] = {}
    for path, block in survey.blocks.items():
        drawn[path] = _Drawing(block, space, survey.recurrence(block)).picture()
        alike = id(space.copies[path].definition), drawn[path].spots, drawn[path].arrows
        groups.setdefault(alike, []).append(path)
    return [
        replace(drawn[copies[0]], copies=tuple(copies), instances=sum(survey.instances[path] for path in copies))
        for copies in groups.values()
    ]


@dataclass(eq=False)
class _Survey:
    """The first block of each copy, and where its instances stand."""

    blocks: dict[str, Block] = field(default_factory=dict)
    instances: Counter[str] = field(default_factory=Counter)
    offsets: dict[str, list[tuple[int | None, ...]]] = field(default_factory=dict)
    seen: set[Block] = field(default_factory=set)

    def visit(self, block: Block) -> None:
        if block.copy is not None:
            self.blocks.setdefault(block.copy, block)
        if block in self.seen:
            return
        self.seen.add(block)
        calls = [(i, n, n.payload.block) for i, n in block.graph.order() if isinstance(n.payload, Call)]
        for index, node, inner in calls:
            if inner.copy is not None:
                self.instances[inner.copy] += 1
                self.offsets.setdefault(inner.copy, []).append(_offsets(block.graph, index, node))
            self.visit(inner)

    def recurrence(self, block: Block) -> tuple[int, ...] | None:
        """How far back the inputs of a cell lie, where its instances are a family made of earlier elements."""
        if block.level != "cell":
            return None
        kind = block.name, len(block.graph.inputs)
        alike = [path for path, other in self.blocks.items() if (other.name, len(other.graph.inputs)) == kind]
        sites = [site for path in alike for site in self.offsets.get(path, ())]
        found: list[int] = []
        for slot in zip(*sites, strict=True):
            steps = {step for step in slot if step is not None}
            if len(steps) != 1:
                return None
            found += steps
        return tuple(found) or None


def _offsets(graph: SpaceGraph, index: int, node: Node) -> tuple[int | None, ...]:
    """For each input of an instance, how many elements of its own family back it lies."""
    here = element_of(node.line or "")
    result: list[int | None] = []
    for source in graph.sources(index):
        there = element_of(graph.node(source).line or "")
        same = here and there and here[0] == there[0] and len(here[1]) == len(there[1]) == 1
        result.append(here[1][0] - there[1][0] if same and here and there else None)
    return tuple(result)


# ---------------------------------------------------------------- one text


class _Drawing:
    def __init__(self, block: Block, space: Elaborated, recurrence: tuple[int, ...] | None) -> None:
        self.block = block
        self.graph = block.graph
        self.decisions = space.decisions
        self.copy = block.copy or block.name
        text = space.copies[self.copy].body if self.copy in space.copies else None
        self.open = dict.fromkeys(text.decisions if text else ())  # decisions that no arrow shows yet
        self.recurrence = recurrence
        self.facts: dict[int, tuple[str, ...]] = {}
        self.menus: dict[int, tuple[str, ...]] = {}
        self.made_of: dict[int, int | None] = {}
        self.hidden: set[int] = set()
        self.hidden = self.inside_menus()

    def picture(self) -> Picture:
        drawn = [index for index, _ in self.graph.order() if self.is_drawn(index)]
        arrows = [arrow for index in drawn for arrow in self.arrows(index)]
        spots = {index: self.spot(index) for index in drawn}
        for index, key, role in self.ends():
            spots[-1 - len(spots)] = Spot(key, self.end_label(key), role)
            arrows.append(Arrow(self.key(index), key))
        arrows = list(dict.fromkeys(arrows))
        placed, left = self.placed(spots)
        shown = list(placed.values())
        if self.block.level == "network":
            shown, arrows = _folded(shown, arrows)
        else:
            shown, arrows = _prepared(shown, arrows)
        return Picture(self.block.level, self.block.name, (self.copy,), 1, tuple(shown), tuple(arrows), left)

    # ------------------------------------------------------------ spots

    def is_drawn(self, index: int) -> bool:
        node = self.graph.node(index)
        if index in self.graph.outputs or node.line is not None:
            return True
        return isinstance(node.payload, Input) or (_is_instance(node) and index not in self.hidden)

    def inside_menus(self) -> set[int]:
        """What lies between a menu and the one thing that it is applied to: its arrow stands for all of that."""
        self.hidden = {index for index, node in self.graph.order() if _is_instance(node)}
        found: set[int] = set()
        for index, node in self.graph.order():
            if isinstance(node.payload, Mix) and (start := self.source(index)) is not None:
                pending = list(self.read(index))
                while pending:
                    at = pending.pop()
                    if at != start and at not in found:
                        found.add(at)
                        pending += self.read(at)
        self.made_of.clear()
        return found

    def ends(self) -> Iterator[tuple[int, str, Role]]:
        """The outputs that are lines as well, and so get spots of their own."""
        for index, role in ((self.graph.output, Role.OUTPUT), (self.graph.aux, Role.AUX)):
            if index is not None and not self.is_end(index):
                yield index, role.value, role

    def is_end(self, index: int) -> bool:
        node = self.graph.node(index)
        return index in self.graph.outputs and node.line is None and not isinstance(node.payload, Input)

    def key(self, index: int) -> str:
        node = self.graph.node(index)
        if self.is_end(index):
            return "output" if index == self.graph.output else "aux"
        return node.line or node.name

    def spot(self, index: int) -> Spot:
        node = self.graph.node(index)
        key = self.key(index)
        menus = self.menus.get(index, ())
        facts = (*self.facts.get(index, ()), *self.size(node))
        if isinstance(node.payload, Input):
            label = f"c_{{k-{self.recurrence[node.payload.index]}}}" if self.recurrence else key
            return Spot(key, label, Role.INPUT, facts=facts)
        of = None
        if isinstance(node.payload, Call) and _is_instance(node):
            of = node.payload.block.name
            facts = (node.payload.block.copy or of, *facts)
        if self.is_end(index):
            return Spot(key, self.end_label(key), Role(key), of, facts, menus)
        if of is not None:
            return Spot(key, key, Role.INSTANCE, of, facts, menus)
        return Spot(key, self.short(key), Role.VALUE, facts=facts, choices=menus)

    def size(self, node: Node) -> tuple[str, ...]:
        """A network's tensors have one shape each; those of a cell depend on the instance."""
        return (_shape(node.shape),) if self.block.level == "network" else ()

    def end_label(self, key: str) -> str:
        return "c_{k}" if key == "output" and self.recurrence else key

    def short(self, key: str) -> str:
        """The element of a cell's only family by its index alone, as papers draw it."""
        here = element_of(key)
        if self.block.level != "cell" or here is None:
            return key
        lines = [element_of(node.line or "") for _, node in self.graph.order()]
        families = {element[0] for element in lines if element is not None}
        return key.removeprefix(here[0]).replace("_", ", ") if len(families) == 1 else key

    def placed(self, spots: dict[int, Spot]) -> tuple[dict[int, Spot], tuple[str, ...]]:
        """The decisions that are no arrow, on the spots they belong to; the others are the text's own."""
        by_key = {spot.key: index for index, spot in spots.items()}
        notes: dict[int | None, list[str]] = {}
        inside: Counter[int | None] = Counter()
        for path in self.open:
            slot = self.slot(path)
            owner = next((prefix for prefix in _prefixes(slot) if prefix in by_key), "")
            index = by_key.get(owner)
            if any(prefix in self.decisions for prefix in _prefixes(path.rpartition(".")[0])):
                inside[index] += 1
            else:
                note = _note(self.decisions[path], slot[len(owner) :].removeprefix("."), index is None)
                notes.setdefault(index, []).append(note)
        for index, number in inside.items():
            notes.setdefault(index, []).append(f"{number} choices inside")
        for index, texts in notes.items():
            if index is not None:
                spots[index] = replace(spots[index], choices=(*spots[index].choices, *_few(texts)))
        return spots, _few(notes.get(None, []))

    # ------------------------------------------------------------ arrows

    def arrows(self, index: int) -> Iterator[Arrow]:
        """The arrows into a spot. What is done after several things met is a note on the spot."""
        node = self.graph.node(index)
        at = index
        steps: list[int] = []
        if not _is_instance(node):
            while (source := self.source(at)) is not None:
                steps.insert(0, at)
                at = source
                if self.is_drawn(at):
                    yield self.arrow(at, index, steps)
                    return
            joined = [at, *steps] if isinstance(self.graph.node(at).payload, Prim | Call) else steps
            self.facts[index] = tuple(self.word(step) for step in joined if not self.is_menu(step) and self.word(step))
            self.menus[index] = tuple(self.word(step) for step in joined if self.is_menu(step))
        for source, step in self.into(at):
            yield from self.trace(source, index, [step] if step else [])

    def trace(self, at: int, target: int, steps: list[int | str]) -> Iterator[Arrow]:
        """Arrows to a spot from all that a node is made of; ``steps`` are nodes to name, or names."""
        if self.is_drawn(at):
            yield self.arrow(at, target, steps)
            return
        source = self.source(at)
        if source is not None:
            yield from self.trace(source, target, [at, *steps])
            return
        for inner, word in self.into(at):
            yield from self.trace(inner, target, [word or at, *steps])

    def arrow(self, source: int, target: int, steps: Sequence[int | str]) -> Arrow:
        words = [step if isinstance(step, str) else self.word(step) for step in steps]
        choice = any(isinstance(step, str) or self.is_menu(step) for step in steps)
        return Arrow(self.key(source), self.key(target), tuple(word for word in words if word), choice)

    def is_menu(self, index: int) -> bool:
        return isinstance(self.graph.node(index).payload, Mix)

    def source(self, index: int) -> int | None:
        """What a node is made of, if it is one thing: through all the items of a menu alike."""
        if index not in self.made_of:
            self.made_of[index] = self.find_source(index)
        return self.made_of[index]

    def find_source(self, index: int) -> int | None:
        node = self.graph.node(index)
        sources = list(dict.fromkeys(self.read(index)))
        if isinstance(node.payload, Mix):
            chains = [self.chain(source) for source in sources]
            return next((i for i in chains[0] if all(i in chain for chain in chains)), None)
        return sources[0] if len(sources) == 1 and not isinstance(node.payload, Input) else None

    def chain(self, index: int) -> list[int]:
        """A node and what it is made of, as long as that is one thing and no spot."""
        found = [index]
        while not self.is_drawn(found[-1]) and (source := self.source(found[-1])) is not None:
            found.append(source)
        return found

    def into(self, index: int) -> Iterator[tuple[int, str | None]]:
        """The sources of a node where several things meet; those of a choice with the item that stands for them."""
        node = self.graph.node(index)
        sources = self.read(index)
        if not isinstance(node.payload, Mix):
            yield from ((source, None) for source in dict.fromkeys(sources))
            return
        for source, row in zip(sources, node.payload.rows, strict=True):
            yield source, self.items(node.payload.decisions, row)

    def read(self, index: int) -> tuple[int, ...]:
        """The sources whose values matter: an operation may take an input for its shape only."""
        payload = self.graph.node(index).payload
        sources = self.graph.sources(index)
        if isinstance(payload, Call) and payload.block.level == "op":
            return tuple(source for slot, source in enumerate(sources) if slot in _slots(payload.block))
        return sources

    # ------------------------------------------------------------ words

    def word(self, index: int) -> str:
        """What a node does, for an arrow; nothing for what only carries or adds."""
        payload = self.graph.node(index).payload
        if isinstance(payload, Mix):
            return ", ".join(self.menu(self.decisions[path], index) for path in payload.decisions)
        kernel = payload.op.kernel if isinstance(payload, Prim) else None
        return f"{_name(payload)} {kernel}x{kernel}" if isinstance(kernel, int) else _name(payload)

    def menu(self, decision: Decision, index: int) -> str:
        """A decision on an arrow: a menu and how many items it has; a number, of the one operation it is for."""
        self.open.pop(decision.path, None)
        if decision.numbers:
            names = {_name(self.graph.node(source).payload) for source in self.read(index)}
            choice = f"{decision.path.rpartition('.')[2]} = {_items(decision)}"
            return f"{names.pop()} {choice}".lstrip() if len(names) == 1 else choice
        text = decision.span.text
        return f"{text} ({len(decision.items)})" if text and "|" not in text else _items(decision)

    def items(self, decisions: tuple[str, ...], row: tuple[tuple[int, ...], ...]) -> str:
        """The items that a row of a mix stands for."""
        found: list[str] = []
        for position, path in enumerate(decisions):
            self.open.pop(path, None)
            items = dict.fromkeys(self.decisions[path].items[assignment[position]] for assignment in row)
            if len(items) < len(self.decisions[path].items):
                found.append(f"{self.slot(path)} = {' or '.join(items)}")
        return ", ".join(found)

    def slot(self, path: str) -> str:
        """A decision's path within its copy."""
        return path.removeprefix(f"{self.copy}.")


def _name(payload: Payload) -> str:
    """What is done at a node; nothing where it only carries or adds."""
    if isinstance(payload, Call):
        return payload.block.name
    return payload.name if isinstance(payload, Prim) and payload.op.gather is not Gather.SUM else ""


def _is_instance(node: Node) -> bool:
    return isinstance(node.payload, Call) and node.payload.block.level != "op"


def _slots(block: Block) -> frozenset[int]:
    """The inputs that the output of an operation is computed from."""
    graph = block.graph
    pending = [] if graph.output is None else [graph.output]
    seen: set[int] = set()
    while pending:
        index = pending.pop()
        if index in seen:
            continue
        seen.add(index)
        payload = graph.node(index).payload
        inner = _slots(payload.block) if isinstance(payload, Call) else None
        pending += [s for slot, s in enumerate(graph.sources(index)) if inner is None or slot in inner]
    return frozenset(slot for slot, index in enumerate(graph.inputs) if index in seen)


def _prefixes(slot: str) -> Iterator[str]:
    """``s1.x.k``, ``s1.x``, ``s1``."""
    while slot:
        yield slot
        slot = slot.rpartition(".")[0]


def _note(decision: Decision, slot: str, by_itself: bool) -> str:
    """A decision that is no arrow; ``slot`` is where, as far as the spot does not say it."""
    if decision.kind in (DecisionKind.PICK, DecisionKind.ANY):
        where = slot.rpartition(".")[0] if by_itself else ""
        taken = f"{decision.take or 'any'} of {len(decision.items)}"
        return f"{where}: {taken}" if where else taken
    return f"{slot} = {_items(decision)}" if slot else _items(decision)


def _few(texts: Sequence[str]) -> tuple[str, ...]:
    """The texts, or the first of many."""
    return tuple(texts) if len(texts) <= MOST else (*texts[: MOST - 1], f"{len(texts) - MOST + 1} more choices")


def _items(decision: Decision) -> str:
    if decision.numbers and len(decision.items) > 4:
        return f"{decision.items[0]} .. {decision.items[-1]} ({len(decision.items)})"
    items = " | ".join(decision.items)
    return items if len(items) <= 32 else f"{decision.items[0]} | ... ({len(decision.items)})"


def _shape(shape: Shape) -> str:
    return "×".join(_extent(dim) for dim in shape.dims)


def _extent(dim: Extent) -> str:
    if isinstance(dim, Var):
        return f"{min(dim.values)}..{max(dim.values)}"
    return str(dim)


# ---------------------------------------------------------------- what is drawn as one


def _prepared(spots: list[Spot], arrows: list[Arrow]) -> tuple[list[Spot], list[Arrow]]:
    """An input that only one line reads, and that line nothing else, as one spot: how papers draw preprocessing."""
    by_key = {spot.key: spot for spot in spots}
    readers = Counter(arrow.source for arrow in arrows)
    reads = Counter(arrow.target for arrow in arrows)
    joined = {
        arrow.target: arrow
        for arrow in arrows
        if by_key[arrow.source].role is Role.INPUT
        and by_key[arrow.target].role is Role.VALUE
        and readers[arrow.source] == reads[arrow.target] == 1
        and not (arrow.choice or by_key[arrow.target].choices)
    }
    lines = {arrow.source: f"{target} = {' '.join(arrow.label)}" for target, arrow in joined.items()}
    kept = [
        replace(spot, facts=(lines[spot.key],)) if spot.key in lines else spot
        for spot in spots
        if spot.key not in joined
    ]
    moved = [
        replace(arrow, source=joined[arrow.source].source if arrow.source in joined else arrow.source)
        for arrow in arrows
        if arrow.target not in joined
    ]
    return kept, moved


def _folded(spots: list[Spot], arrows: list[Arrow]) -> tuple[list[Spot], list[Arrow]]:
    """Three or more elements in a row that are the same but for their index, as one spot."""
    plain = {spot.key for spot in spots if spot.role is Role.INSTANCE and not spot.choices}
    labelled = {arrow.target for arrow in arrows if arrow.label}
    runs: list[list[Spot]] = []
    for spot in spots:
        last = runs[-1][-1] if runs else None
        if last is not None and {spot.key, last.key} <= plain and spot.key not in labelled and _follows(last, spot):
            runs[-1].append(spot)
        else:
            runs.append([spot])
    runs = [part for run in runs for part in ([run] if len(run) > 2 else [[spot] for spot in run])]
    home = {spot.key: run[0].key for run in runs for spot in run}
    shown = [run[0] if len(run) == 1 else _fold(run) for run in runs]
    moved = [replace(arrow, source=home[arrow.source], target=home[arrow.target]) for arrow in arrows]
    return shown, [arrow for arrow in dict.fromkeys(moved) if arrow.source != arrow.target]


def _fold(run: list[Spot]) -> Spot:
    first, last = run[0], run[-1]
    name, *facts = first.facts
    return replace(first, label=f"{first.label} … {last.label}", facts=(f"{len(run)} × {name}", *facts), folded=True)


def _follows(last: Spot, spot: Spot) -> bool:
    here, there = element_of(spot.key), element_of(last.key)
    if here is None or there is None or here[0] != there[0]:
        return False
    return last.facts == spot.facts


__all__ = ["Arrow", "Picture", "Role", "Spot", "pictures"]
