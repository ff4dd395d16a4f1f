"""A cache of elaborations of a text, valid for its next state as long as all that they read is unchanged.

An editor asks what is wrong with a text after every keystroke. Most keystrokes change a setting or a comment, and
elaboration depends on neither: it reads definitions, the files that are used, and the arguments of a network.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from compiler.elaborate import Building, Elaborated, NetworkCall, elaborate
from compiler.elaborate.building import AS_WRITTEN
from compiler.elaborate.values import Builtin, Bundle, Compose, Copies, Function, Menu, NamespaceValue, Partial, Value
from compiler.ir.graph import Block
from compiler.ir.primitives.external import NO_PLUGINS, Externals
from compiler.searcher.settings.derivation import Derivation, Menus
from compiler.searcher.settings.exploring import Explorer
from hdas_dsl.files import Loader
from hdas_dsl.text.diagnostics import Diagnostic
from hdas_dsl.text.source import Source, Span
from hdas_dsl.tree.printer import print_module
from hdas_dsl.units import Instance, Unit

from .stand_in import only, stand_in

WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
"""Whatever may be a name in a text."""

MOST = 24
"""How many networks are kept for the next state of a text."""

_Key = TypeVar("_Key", bound=Hashable)
_Found = TypeVar("_Found")


@dataclass(frozen=True, eq=False)
class _Known:
    """A network as it was elaborated for a state of the text: ``source``. The call is kept, so that its files are."""

    call: NetworkCall
    source: Source
    network: Elaborated | None
    diagnostics: tuple[Diagnostic, ...]


class Elaborations:
    """The networks that were elaborated for a text, and for its earlier states where they would come out the same.

    Of the text a network depends on the definitions that it reaches, and on the uses. Where one of them says something
    else, or stands at another place, the network is elaborated anew; so places in them are those of the text.
    """

    def __init__(self, instance: Instance | None, before: Elaborations | None = None) -> None:
        self._unit = None if instance is None else instance.unit
        self._known: dict[Hashable, _Known] = {}
        self._texts: dict[tuple[str, str], Instance] = {}
        self._stand_ins: dict[Hashable, tuple[Block, str]] = {}
        self._earlier: Mapping[Hashable, _Known] = {}
        self._earlier_texts: Mapping[tuple[str, str], Instance] = {}
        if before is not None:
            self._earlier = _last(before._earlier, before._known)
            self._earlier_texts = _last(before._earlier_texts, before._texts)
            self._stand_ins = _last(before._stand_ins, {})

    def elaborate(
        self,
        call: NetworkCall,
        relaxed_copies: frozenset[str] | None = None,
        externals: Externals = NO_PLUGINS,
        building: Building = AS_WRITTEN,
    ) -> tuple[Elaborated | None, list[Diagnostic]]:
        """The result of `elaborate` for a network call."""
        try:
            key = (self._value(call.function), self._arguments(call.args), relaxed_copies, id(externals), building)
        except _NoKeyError:
            return elaborate(call.function, call.args, relaxed_copies, call.span, externals, building)
        known = self._known.get(key) or self._earlier.get(key)
        if known is None:
            found, wrong = elaborate(call.function, call.args, relaxed_copies, call.span, externals, building)
            known = _Known(call, call.span.source, found, tuple(wrong))
        self._known[key] = known
        return known.network, [_at_call(item, known.call.span, call.span) for item in known.diagnostics]

    def load_text(self, loader: Loader, text: str, name: str) -> Instance | None:
        """What a loader makes of a text that stands in for a file."""
        known = self._texts.get((name, text)) or self._earlier_texts.get((name, text))
        if known is None or any(loader.units.get(unit.path) is not unit for unit in _reached(known.unit) if unit.path):
            known = loader.load_text(text, name)
        if known is not None:
            self._texts[name, text] = known
        return known

    def stand_in(self, network: Elaborated, rule: Derivation | Explorer, names: frozenset[str] | None) -> str:
        """The text that stands in for the result of a phase, as far as these names reach; None: all of it."""
        key = id(network.block), isinstance(rule, Menus), names
        if key not in self._stand_ins:
            module = stand_in(network, rule)
            self._stand_ins[key] = network.block, print_module(module if names is None else only(module, names))
        return self._stand_ins[key][1]

    def is_own(self, source: Source) -> bool:
        """Whether a source is the text, or an earlier state of it that something here was read from."""
        if self._unit is None:
            return False
        return source is self._unit.source or any(source is known.source for known in tuple(self._known.values()))

    def here(self, diagnostic: Diagnostic) -> Diagnostic:
        """A diagnostic whose places in earlier states of the text are places in the text."""
        return _moved(diagnostic, self._here)

    def _here(self, span: Span) -> Span:
        return replace(span, source=self._unit.source) if self._unit and self.is_own(span.source) else span

    # ------------------------------------------------------------ keys

    def _arguments(self, args: Mapping[str, Value]) -> Hashable:
        return tuple((name, self._value(value)) for name, value in args.items())

    def _value(self, value: Value) -> Hashable:
        """What is the same for values that say the same in two states of the text.

        Raises:
            _NoKeyError: the value refers to a place of the text, as a choice does.
        """
        match value:
            case int() | float() | str():
                return type(value), value
            case Bundle(items=items) | Compose(stages=items):
                return type(value), tuple(map(self._value, items))
            case Function(definition=definition, instance=instance, label=label):
                return Function, self._instance(instance, [definition.name]), definition.span.start, label
            case Menu(definition=definition, instance=instance, args=args, mention=None):
                given = tuple(map(self._value, args))
                return Menu, self._instance(instance, [definition.name]), definition.span.start, given
            case Copies(name=name, instance=instance):
                return Copies, self._instance(instance, [name]), name
            case NamespaceValue(instance=instance):
                return NamespaceValue, self._instance(instance, instance.unit.names)
            case Partial(function=function, positional=positional, named=named):
                given = tuple(map(self._value, positional))
                return Partial, self._value(function), given, self._arguments(dict(named))
            case Builtin(name=name):
                return Builtin, name
        raise _NoKeyError

    def _instance(self, instance: Instance, names: Iterable[str]) -> Hashable:
        """A file with its replacements, as far as these names reach."""
        unit = instance.unit
        replaced = (
            (name, item.key, self._instance(item.instance, WORD.findall(item.value.span.text)))
            for name, item in sorted(instance.replace.items())
        )
        return (_said(unit, names) if unit.path is None else id(unit)), tuple(replaced)


def _last(earlier: Mapping[_Key, _Found], later: Mapping[_Key, _Found]) -> dict[_Key, _Found]:
    """The last results, and those that an undo in an editor would need again."""
    known = {**{key: found for key, found in earlier.items() if key not in later}, **later}
    return dict(list(known.items())[-MOST:])


class _NoKeyError(Exception):
    """A value that is told apart by nothing but itself."""


def _reached(unit: Unit) -> Iterator[Unit]:
    """A unit and all that it uses, each once."""
    pending, seen = [unit], {id(unit)}
    while pending:
        found = pending.pop()
        yield found
        for used in (found.prelude, *(used for _, used in found.imports)):
            if used is not None and id(used) not in seen:
                seen.add(id(used))
                pending.append(used)


def _said(unit: Unit, names: Iterable[str]) -> Hashable:
    """All that elaboration reads of a text from these names on: definitions and uses, each at its place, and files."""
    uses = [use.span for use in unit.module.uses]
    pending, lines = [*names, *(word for span in uses for word in WORD.findall(span.text))], {}
    while pending:
        for definition in unit.names.get(pending.pop(), ()):
            span = definition.span
            if span.start not in lines:
                lines[span.start] = span.text
                pending += WORD.findall(span.text)
    used = frozenset(id(found) for found in _reached(unit) if found is not unit)
    said = (*((span.start, span.text) for span in uses), *sorted(lines.items()))
    return unit.source.name, unit.root, said, used


def _at_call(diagnostic: Diagnostic, before: Span, now: Span) -> Diagnostic:
    """A diagnostic about a call, where the call stands now."""
    return _moved(diagnostic, lambda span: now if span == before else span)


def _moved(diagnostic: Diagnostic, place: Callable[[Span], Span]) -> Diagnostic:
    other = diagnostic.other
    return replace(diagnostic, span=place(diagnostic.span), other=other and (place(other[0]), other[1]))
