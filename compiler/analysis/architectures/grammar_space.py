"""The architectures of a network with grammars: each is elaborated along the draw that made it.

By weights, menus are decided one after the other, where they meet their tensors; what does not fit is drawn again
there, as in the program of einspace (Ericsson et al., NeurIPS 2024). Uniform draws and the number need the counts of
`grammar_counts`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from random import Random

from compiler.analysis.membership.grammar_matching import grammar_texts
from compiler.derivation.along import elaborate_again, scripted
from compiler.elaborate import Elaborated
from compiler.elaborate.derivations import Derivation, derive, first, without_fit
from compiler.elaborate.productions import MISFITS, Key, MisfitError, Production, Productions, Shapes
from compiler.elaborate.session import Derive
from compiler.elaborate.values import Deferred
from compiler.ir.decision import Selection
from compiler.ir.shape import Shape
from compiler.util.errors import UsageError
from hdas_dsl.text.diagnostics import Code, HspError
from hdas_dsl.tree import ast
from hdas_dsl.tree.printer import print_expression

from .grammar_counts import MOST_RUNS, Choose, DerivationCounts, replay

Outcome = tuple[tuple[Key, Shapes, Shape], ...]
"""The shape that comes out of each grammar of a network, in the order of their mentions."""


@dataclass(frozen=True, eq=False)
class Drawn:
    """An architecture with a tree for each grammar, by the path of its mention."""

    network: Elaborated
    trees: Mapping[str, Derivation]
    productions: Productions

    @property
    def selection(self) -> Selection:
        """The trees as selections have them: the places of their productions."""
        return {path: tree.indices(self.productions) for path, tree in self.trees.items()}

    @property
    def texts(self) -> dict[str, str]:
        """The trees as texts."""
        return {path: print_expression(tree.text(self.productions)) for path, tree in self.trees.items()}


class GrammarSpace:
    """The architectures of a network with grammars and no other choice.

    ``most`` is how many times productions are elaborated for their number before it is not known.

    Raises:
        UsageError: the network has other choices.
    """

    def __init__(self, network: Elaborated, most: int = MOST_RUNS) -> None:
        if network.decisions:
            other = next(iter(network.decisions))
            message = f"'{network.name}' has a grammar and, at {other}, another choice"
            raise UsageError(f"{message}: make it a menu of the grammar")
        self.network, self.most = network, most
        self.productions = Productions(network.externals)

    def along(self, chosen: Derive) -> Elaborated | None:
        """The network with what ``chosen`` says in the place of its grammars; None where the rest does not fit that.

        Nor does what has more operations than are compiled: branches of eight multiply.

        Raises:
            HspError: it has an error of another kind.
        """
        found, wrong = elaborate_again(self.network, chosen)
        if found is None and not any(item.code in (*MISFITS, Code.LARGE) for item in wrong):
            raise HspError(wrong)
        return found

    def derived(self, make: Callable[[str, Key, Shapes], Derivation]) -> Drawn | None:
        """The network with a tree for each grammar; None where the rest, or nothing, fits."""
        trees: dict[str, Derivation] = {}

        def chosen(path: str, deferred: Deferred, inputs: Shapes) -> ast.Expr:
            try:
                trees[path] = make(path, Key.of(deferred.menu), inputs)
            except MisfitError as missed:
                raise without_fit(deferred, inputs, missed) from None
            return trees[path].text(self.productions)

        found = self.along(chosen)
        return None if found is None else Drawn(found, trees, self.productions)

    def weighted(self, source: Random, like: Mapping[str, Derivation] | None = None) -> Drawn | None:
        """An architecture by the weights of items; None where the network does not fit what was derived.

        What it is ``like`` stays as it is, as far as it fits: of a tree that lacks parts, these are drawn.
        """
        before = like or {}

        def order(left: Sequence[Production]) -> Production:
            return source.choices(left, [production.weight for production in left])[0]

        return self.derived(lambda path, key, inputs: derive(self.productions, key, inputs, order, before.get(path)))

    def first(self) -> Drawn | None:
        """The first architecture in source order."""
        return self.derived(lambda path, key, inputs: derive(self.productions, key, inputs, first))

    def of(self, chosen: Selection) -> Drawn | None:
        """The architecture of a selection; None where the network does not fit it.

        Raises:
            StopIteration, IndexError: it is none of this network.
        """

        def make(path: str, key: Key, inputs: Shapes) -> Derivation:
            return derive(self.productions, key, inputs, scripted(self.productions, chosen[path]))

        return self.derived(make)

    def written(self, architecture: Elaborated) -> Drawn:
        """An architecture that lies in the space, as the trees of its text.

        Raises:
            NotInSpaceError: it does not lie there.
        """
        texts = grammar_texts(self.network, architecture.copies, self.productions)
        found = self.derived(
            lambda path, key, inputs: derive(self.productions, key, inputs, first, like=texts[path].tree)
        )
        assert found is not None, "the network fits what stands in its text"
        return found

    def mutated(self, parent: Drawn, source: Random) -> Drawn | None:
        """The parent with the tree below one menu drawn anew, by weights, and what does not fit it any more.

        The menu is drawn uniformly. None where the network does not fit what was drawn.
        """
        nodes = [(path, node) for path, tree in parent.trees.items() for node in tree.nodes()]
        path, cut = source.choice(nodes)
        kept = {name: tree for name, tree in parent.trees.items() if tree is not cut}
        if path in kept:
            kept[path] = kept[path].without(cut)
        return self.weighted(source, kept)

    def crossed(self, left: Drawn, right: Drawn, source: Random) -> Iterator[Drawn]:
        """The children of two architectures, in random order, those of one as the first of the pair before the others.

        Below one menu of the first stands what the same menu, with the same arguments, derives somewhere in the second
        (Koza, "Genetic Programming", 1992). Children that do not fit are left out; the parents come last.
        """
        pairs = [(left, right), (right, left)]
        source.shuffle(pairs)
        known = [left.selection, right.selection]
        for stock, other in pairs:
            for path, cut, scion in self._grafts(stock, other, source):
                trees = {**stock.trees, path: stock.trees[path].grafted(cut, scion)}
                wanted = {name: tree.indices(self.productions) for name, tree in trees.items()}
                if wanted in known:
                    continue
                child = self._like(trees)
                if child is not None and child.selection == wanted:
                    known.append(wanted)
                    yield child
        yield from (stock for stock, _ in pairs)

    def _like(self, trees: Mapping[str, Derivation]) -> Drawn | None:
        """The architecture of these trees, with the first items that fit in the place of what does not."""
        return self.derived(lambda path, key, inputs: derive(self.productions, key, inputs, first, like=trees[path]))

    def _grafts(self, stock: Drawn, other: Drawn, source: Random) -> list[tuple[str, Derivation, Derivation]]:
        """What may stand where: the path of a grammar, a tree in the first one's, and one in the other's."""
        scions: dict[Key, list[Derivation]] = {}
        for tree in other.trees.values():
            for node in tree.nodes():
                scions.setdefault(node.production.key, []).append(node)
        grafts = [
            (path, cut, scion)
            for path, tree in stock.trees.items()
            for cut in tree.nodes()
            for scion in scions.get(cut.production.key, ())
        ]
        source.shuffle(grafts)
        return grafts

    # ------------------------------------------------------------ counts

    @cached_property
    def counts(self) -> DerivationCounts:
        """The derivations of each menu."""
        return DerivationCounts(self.productions, self.most)

    @cached_property
    def outcomes(self) -> dict[Outcome, int]:
        """How many architectures there are for each combination of shapes that come out of the grammars.

        Raises:
            UncountableError: the grammars make too many shapes.
        """
        found = {}
        for outcome in replay(self._outcome):
            if outcome is not None:
                found[outcome] = prod(self.counts.number(*each) for each in outcome)
        return found

    @property
    def number(self) -> int:
        """How many architectures there are; raises UncountableError as `outcomes`."""
        return sum(self.outcomes.values())

    def _outcome(self, choose: Choose) -> Outcome | None:
        """The shapes that come out of the grammars under choices between them; None where the network does not fit."""
        taken: list[tuple[Key, Shapes, Shape]] = []

        def chosen(path: str, deferred: Deferred, inputs: Shapes) -> ast.Expr:
            key = Key.of(deferred.menu)
            shapes = tuple(self.counts.options(key, inputs))
            if not shapes:
                raise without_fit(deferred, inputs, None)
            taken.append((key, inputs, shapes[choose(len(shapes))]))
            return self.counts.draw(*taken[-1], Random(0)).text(self.productions)

        return None if self.along(chosen) is None else tuple(taken)

    def uniform(self, source: Random) -> Drawn:
        """An architecture, drawn uniformly among all; raises UncountableError as `outcomes`, UsageError without any."""
        if not self.number:
            raise UsageError(f"'{self.network.name}' has no architecture")
        (outcome,) = source.choices(list(self.outcomes), list(self.outcomes.values()))
        trees = iter([self.counts.draw(*each, source) for each in outcome])
        found = self.derived(lambda path, key, inputs: next(trees))
        assert found is not None, "the network fits these shapes"
        return found
