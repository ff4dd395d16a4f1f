"""One text as a picture: its spots, and the arrows between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from compiler.elaborate import Elaborated
from compiler.ir.graph import Block, Call
from compiler.ir.payloads import Input, Mix, Prim
from hdas_dsl.tree.words import element_of

from .graph_reading import GraphReading, is_instance
from .joined import folded, prepared
from .model import Arrow, Picture, Role, Spot
from .words import Words, few, note, number_lines, prefixes, shape_text, written_numbers


class Item(NamedTuple):
    """An item that stands for a source of a choice, and the decisions that it is an item of."""

    word: str
    decisions: tuple[str, ...]


class Drawing:
    """Draws the text of a block; ``recurrence`` is how far back its inputs lie, in a family of cells."""

    def __init__(self, block: Block, space: Elaborated, recurrence: tuple[int, ...] | None) -> None:
        self.block = block
        self.graph = block.graph
        self.decisions = space.decisions
        self.copy = block.copy or block.name
        self.recurrence = recurrence
        text = space.copies[self.copy].body if self.copy in space.copies else None
        self.reading = GraphReading(block.graph)
        found = None if space.is_space else text
        self.numbers = () if found is None else tuple(f"{name} = {value}" for name, value in number_lines(found))
        written = {} if found is None else written_numbers(found)
        self.words = Words(self.reading, space.decisions, self.copy, text.decisions if text else (), written)
        self.facts: dict[int, tuple[str, ...]] = {}
        self.menus: dict[int, tuple[str, ...]] = {}
        self.slots: dict[int, tuple[str, ...]] = {}

    def picture(self) -> Picture:
        """The picture, with the one copy that the block is of."""
        drawn = [index for index, _ in self.graph.order() if self.reading.is_drawn(index)]
        arrows = [arrow for index in drawn for arrow in self.arrows(index)]
        spots = {index: self.spot(index) for index in drawn}
        for index, key, role in self.ends():
            spots[-1 - len(spots)] = Spot(key, self.end_label(key), role)
            arrows.append(Arrow(self.key(index), key))
        arrows = list(dict.fromkeys(arrows))
        placed, left = self.placed(spots)
        shown = list(placed.values())
        if self.block.level == "network":
            shown, arrows = folded(shown, arrows)
        else:
            shown, arrows = prepared(shown, arrows)
        return Picture(self.block.level, self.block.name, (self.copy,), 1, tuple(shown), tuple(arrows), left)

    # ------------------------------------------------------------ spots

    def ends(self) -> Iterator[tuple[int, str, Role]]:
        """The outputs that are lines as well, and so get spots of their own."""
        for index, role in ((self.graph.output, Role.OUTPUT), (self.graph.aux, Role.AUX)):
            if index is not None and not self.reading.is_end(index):
                yield index, role.value, role

    def key(self, index: int) -> str:
        """The name of a spot, unique in its text."""
        node = self.graph.node(index)
        if self.reading.is_end(index):
            return "output" if index == self.graph.output else "aux"
        return node.line or node.name

    def spot(self, index: int) -> Spot:
        """The spot of a node."""
        node = self.graph.node(index)
        key = self.key(index)
        menus, slots = self.menus.get(index, ()), self.slots.get(index, ())
        facts = (*self.facts.get(index, ()), *self.size(index))
        if isinstance(node.payload, Input):
            label = f"c_{{k-{self.recurrence[node.payload.index]}}}" if self.recurrence else key
            return Spot(key, label, Role.INPUT, facts=facts)
        of = None
        if isinstance(node.payload, Call) and is_instance(node):
            of = node.payload.block.name
            facts = (self.words.called(node.payload.block.copy or of, node), *facts)
        if self.reading.is_end(index):
            return Spot(key, self.end_label(key), Role(key), of, facts, menus, slots=slots)
        if of is not None:
            return Spot(key, key, Role.INSTANCE, of, facts, menus, slots=slots)
        return Spot(key, self.short(key), Role.VALUE, facts=facts, choices=menus, slots=slots)

    def size(self, index: int) -> tuple[str, ...]:
        """A network's tensors have one shape each; those of a cell depend on the instance."""
        shapes = [self.graph.node(each).shape for each in self.graph.given(index)]
        return tuple(map(shape_text, shapes)) if self.block.level == "network" else ()

    def end_label(self, key: str) -> str:
        """The label of an output: that of a cell which reads earlier ones has an index, as papers draw it."""
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
        """The decisions that are not arrows, on the spots they belong to; the others are the text's own."""
        by_key = {spot.key: index for index, spot in spots.items()}
        notes: dict[int | None, list[str]] = {}
        slots: dict[int | None, list[str]] = {}
        inside: Counter[int | None] = Counter()
        for path in self.words.open:
            slot = self.words.slot(path)
            owner = next((prefix for prefix in prefixes(slot) if prefix in by_key), "")
            index = by_key.get(owner)
            slots.setdefault(index, []).append(slot)
            if any(prefix in self.decisions for prefix in prefixes(path.rpartition(".")[0])):
                inside[index] += 1
            else:
                text = note(self.decisions[path], slot[len(owner) :].removeprefix("."), index is None)
                notes.setdefault(index, []).append(text)
        for index, number in inside.items():
            notes.setdefault(index, []).append(f"{number} choices inside")
        for index, texts in notes.items():
            if index is not None:
                choices, known = (*spots[index].choices, *few(texts)), (*spots[index].slots, *slots[index])
                spots[index] = replace(spots[index], choices=choices, slots=known)
        return spots, (*few(notes.get(None, [])), *self.numbers)

    # ------------------------------------------------------------ arrows

    def arrows(self, index: int) -> Iterator[Arrow]:
        """The arrows into a spot. What is done after several things met is a note on the spot."""
        node = self.graph.node(index)
        at = index
        steps: list[int] = []
        if not is_instance(node):
            while (source := self.reading.source(at)) is not None:
                steps.insert(0, at)
                at = source
                if self.reading.is_drawn(at):
                    yield self.arrow(at, index, steps)
                    return
            joined = [at, *steps] if isinstance(self.graph.node(at).payload, Prim | Call) else steps
            plain = [step for step in joined if not self.reading.is_menu(step)]
            self.facts[index] = tuple(word for step in plain if (word := self.words.word(step)))
            self.menus[index] = tuple(self.words.word(step) for step in joined if self.reading.is_menu(step))
            self.slots[index] = self.slots_of(joined)
        for source, step in self.into(at):
            yield from self.trace(source, index, [step] if step else [])

    def trace(self, at: int, target: int, steps: list[int | Item]) -> Iterator[Arrow]:
        """Arrows to a spot from all that a node is made of; ``steps`` are nodes to name, or names."""
        if self.reading.is_drawn(at):
            yield self.arrow(at, target, steps)
            return
        source = self.reading.source(at)
        if source is not None:
            yield from self.trace(source, target, [at, *steps])
            return
        for inner, word in self.into(at):
            yield from self.trace(inner, target, [word or at, *steps])

    def arrow(self, source: int, target: int, steps: Sequence[int | Item]) -> Arrow:
        """An arrow with the words of what is done on the way."""
        words = [step.word if isinstance(step, Item) else self.words.word(step) for step in steps]
        choice = any(isinstance(step, Item) or self.reading.is_menu(step) for step in steps)
        label = tuple(word for word in words if word)
        return Arrow(self.key(source), self.key(target), label, choice, self.slots_of(steps))

    def slots_of(self, steps: Sequence[int | Item]) -> tuple[str, ...]:
        """The decisions among the steps of an arrow, by their paths within the copy."""
        payloads = [step if isinstance(step, Item) else self.graph.node(step).payload for step in steps]
        paths = [path for payload in payloads if isinstance(payload, Item | Mix) for path in payload.decisions]
        return tuple(dict.fromkeys(self.words.slot(path) for path in paths))

    def into(self, index: int) -> Iterator[tuple[int, Item | None]]:
        """The sources of a node where several things meet; those of a choice with the item that stands for them."""
        node = self.graph.node(index)
        sources = self.reading.read(index)
        if not isinstance(node.payload, Mix):
            yield from ((source, None) for source in dict.fromkeys(sources))
            return
        for source, row in zip(sources, node.payload.rows, strict=True):
            yield source, Item(self.words.items(node.payload.decisions, row), node.payload.decisions)

    # ------------------------------------------------------------ words
