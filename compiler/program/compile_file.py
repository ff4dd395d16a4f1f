"""What a file says to do: which network, in which phases, with which settings. No torch.

`compile_file` is the front half of every command: load, check, elaborate. All that is wrong with the file comes out of
it as diagnostics.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from compiler.analysis.requirements.evaluate import unmet
from compiler.derivation import derive_module
from compiler.derivation.strongest import default_decisions
from compiler.elaborate import (
    BodyElaboration,
    Elaborated,
    NetworkCall,
    Origin,
    Requirement,
    check_number,
    elaborate,
    is_network,
    read_network_call,
)
from compiler.elaborate.errors import AlreadyReportedError, ElaborationError
from compiler.elaborate.quantities import read_preference
from compiler.elaborate.setting_values import plain
from compiler.elaborate.values import Function
from compiler.ir.primitives.external import NO_PLUGINS, Externals
from compiler.searcher.settings.reader import OverrideError, override
from compiler.searcher.settings.sections import SearchSettings, TrainSettings, read_search, read_train
from compiler.searcher.settings.words import Applied, Value
from compiler.util.errors import UsageError
from hdas_dsl.check.checker import check
from hdas_dsl.files import Instance, Loader, Unit
from hdas_dsl.text.diagnostics import Code, Diagnostic, HspError, Severity, suggest
from hdas_dsl.text.source import Span
from hdas_dsl.tree import ast
from hdas_dsl.tree.printer import print_module

from .equivalence import Equivalence, read_equivalence
from .methods import SETTING as METHOD
from .methods import Chosen, chosen_method
from .model import Phase, Program
from .overrides import Override
from .refusals import refusals

S = TypeVar("S", SearchSettings, TrainSettings)


@dataclass(eq=False)
class _Compiler:
    loader: Loader
    instance: Instance
    overrides: Sequence[Override]
    found: Mapping[str, str] = field(default_factory=dict)
    recipe: Path | None = None
    externals: Externals = NO_PLUGINS
    used: set[str] = field(default_factory=set)
    diagnostics: list[Diagnostic] = field(default_factory=list)

    # ------------------------------------------------------------ targets

    def target(
        self, expr: ast.Expr, phases: Mapping[str, Instance], overrides: Sequence[Override]
    ) -> NetworkCall | None:
        """The network that a section names, with its arguments."""
        try:
            found = read_network_call(
                expr, self.instance, phases, {item.name: item.argument for item in overrides}, self.externals
            )
        except ElaborationError as error:
            self.diagnostics.append(error.diagnostic)
            return None
        except AlreadyReportedError:
            return None
        self.used |= {item.said for item in overrides if item.name in found.args}
        return found

    def built(self, call: NetworkCall, settings: SearchSettings) -> Elaborated | None:
        """The network as a search builds it, where only some channels go through the items of menus."""
        if (partial := settings.channels.partial) == 1:
            return None
        result, found = elaborate(call.function, call.args, span=call.span, externals=self.externals, partial=partial)
        self.diagnostics += [d for d in found if d not in self.diagnostics]
        return result

    def elaborated(self, call: NetworkCall) -> Elaborated | None:
        """The network of a section, elaborated."""
        result, diagnostics = elaborate(call.function, call.args, span=call.span, externals=self.externals)
        if result is not None and result.is_space and self.reads_relaxed(result):
            # What stands in a derived network only is wrong here already.
            _, others = elaborate(call.function, call.args, frozenset(), call.span, self.externals)
            diagnostics += [replace(d, hint=d.hint or "`relaxed` is false in a derived network") for d in others]
        self.diagnostics += [d for d in diagnostics if d not in self.diagnostics]
        return result

    def reads_relaxed(self, space: Elaborated) -> bool:
        """Whether a file that is not of the shipped library says what its derived networks have instead."""
        if not any(copy.body.reads_relaxed for copy in space.copies.values()):
            return False
        units = [self.instance.unit, *(unit for unit in self.loader.units.values() if unit.shipped is None)]
        return any(map(_mentions_relaxed, (line for unit in units for line in unit.module.lines)))

    # ------------------------------------------------------------ settings

    def values(self, lines: Sequence[ast.SettingLine]) -> dict[str, tuple[Value, Span]]:
        """Settings as plain values."""
        found: dict[str, tuple[Value, Span]] = {}
        for line in lines:
            if isinstance(line, ast.Setting):
                try:
                    found[line.name] = (plain(line.value), line.span)
                except ElaborationError as error:
                    self.diagnostics.append(error.diagnostic)
        return found

    def search_settings(self, values: dict[str, tuple[Value, Span]], phase: str) -> SearchSettings:
        settings, diagnostics = read_search(values)
        self.diagnostics += diagnostics
        return self.overridden(settings, phase)

    def overridden(self, settings: S, phase: str) -> S:
        """The settings with those of the command line in force."""
        names = [(item.name.removeprefix(f"{phase}.") if phase else item.name, item) for item in self.overrides]
        changes = [(name, item) for name, item in names if name.partition(".")[0] in type(settings).model_fields]
        said = {name: item.said for name, item in changes}
        try:
            changed = override(settings, *((name, self.plain(item, settings)) for name, item in changes))
        except OverrideError as error:
            raise UsageError(f"{said[error.path]}: {error}") from None
        self.used |= {item.said for _, item in changes}
        return changed

    def plain(self, item: Override, settings: S) -> Value:
        """The value of an override of a setting; other data keep what the section says of its own."""
        try:
            value = item.setting()
        except ElaborationError as error:
            raise UsageError(f"{item.said}: {error}") from None
        if item.keeps and isinstance(value, Applied) and "data" in settings.model_fields_set:
            return replace(value, kwargs={**settings.data.changes(), **value.kwargs})
        return value

    # ------------------------------------------------------------ the whole

    def program(self, name: str, network: str | None) -> Program | None:  # noqa: C901
        unit = self.instance.unit
        searches = [line for line in unit.module.lines if isinstance(line, ast.Search)]
        trains = [line for line in unit.module.lines if isinstance(line, ast.Train)]
        search = searches[0] if searches else None
        phases: list[Phase] = []
        results: dict[str, Instance] = {}
        method = chosen_method(search, unit, self.loader, self.overrides, self.diagnostics)
        outer, around = self.section(search, method)
        settings = self.search_settings(dict(outer), "")
        if search is not None and network is None:
            lines = [line for line in search.settings if isinstance(line, ast.Phase)]
            for position, line in enumerate(lines):
                phase = self.phase(line, outer, results, around)
                if phase is None:
                    return None
                phases.append(phase)
                # Where no phase builds on it, at most `train` names its network, which stands in a file of its own.
                used = any(phase.name in _names(later.target) for later in lines[position + 1 :])
                results[phase.name] = self.imagined(phase) if used else phase.network.root.instance
            if search.target is not None:
                found = self.target(search.target, {}, self.overrides)
                space = None if found is None else self.elaborated(found)
                if found is None or space is None:
                    return None
                space = self.stated(space, around)
                made = Phase("", space, settings, target=search.target, statements=_statements(around))
                phases.append(replace(made, span=search.target.span, built=self.built(found, settings)))
        required = [phase for phase in phases if not phase.optional]
        main = (required or phases)[-1].network if phases else self.only_network(network, trains)
        if main is None:
            return None
        for phase in phases:
            unsuited = refusals(phase.network, phase.settings, phase.span)
            self.diagnostics += [refusal for refusal in unsuited if refusal not in self.diagnostics]
        train = trains[0] if trains else None
        if self.recipe is not None:
            train = self.borrowed(self.recipe, main)
            if train is None:
                return None
        train_values = self.values(train.settings) if train else {}
        train_settings, diagnostics = read_train(train_values)
        self.diagnostics += diagnostics
        train_settings = self.overridden(train_settings, "")
        train_network: Elaborated | None = None
        trained: tuple[Requirement, ...] = ()
        if train is not None and train.target is not None and not any(p.network.is_space for p in phases):
            found = self.target(train.target, results, self.overrides)
            train_network = None if found is None else self.elaborated(found)
            trained = self.required(train, train_network)
        elif train is not None and train.target is not None:
            last = (required or phases)[-1]
            trained, is_searched = self.trained(last, train, results)
            if trained and is_searched:
                main = replace(last.network, requirements=(*last.network.requirements, *trained))
                phases[phases.index(last)] = replace(last, network=main)
            self.target(train.target, results, ())
        return Program(
            name,
            self.instance,
            main,
            tuple(phases),
            settings,
            train,
            train_network,
            train_settings,
            (
                *self.library_changes(unit),
                *self.warnings(),
                *unmet(main),
                *(unmet(train_network, trained) if train_network else ()),
            ),
            self.equivalences(unit),
            trained,
            method,
        )

    def section(
        self, search: ast.Search | None, method: Chosen | None
    ) -> tuple[dict[str, tuple[Value, Span]], tuple[ast.SettingLine, ...]]:
        """The settings of a search with those of its method, and the lines of both, whose statements all hold."""
        own = search.settings if search else ()
        if method is None:
            return self.values(own), own
        self.used |= {item.said for item in self.overrides if item.name == METHOD}
        named = method.method.settings
        first, second = (own, named) if method.wins else (named, own)
        return {**self.values(first), **self.values(second)}, (*named, *own)

    def warnings(self) -> list[Diagnostic]:
        """The warnings so far, each once."""
        return list(dict.fromkeys(item for item in self.diagnostics if item.severity is Severity.WARNING))

    def equivalences(self, unit: Unit) -> tuple[Equivalence, ...]:
        """When architectures are the same, as the file says."""
        found = [read_equivalence(line) for line in unit.module.lines if isinstance(line, ast.Equivalence)]
        self.diagnostics += [diagnostic for _, wrong in found for diagnostic in wrong]
        return tuple(item for item, _ in found)

    def borrowed(self, recipe: Path, network: Elaborated) -> ast.Train | None:
        """The `train` section of another file, as one about this file's network: its settings and its arguments."""
        instance = self.loader.load(recipe, str(recipe))
        self.diagnostics += [d for d in self.loader.diagnostics if d not in self.diagnostics]
        if instance is None:
            return None
        trains = [line for line in instance.unit.module.lines if isinstance(line, ast.Train)]
        if not trains:
            raise UsageError(f"--recipe {recipe}: this file has no `train` section")
        name = ast.Name(network.name, span=trains[0].span)
        target = trains[0].target
        made = replace(target, func=name) if isinstance(target, ast.Call) else name
        return replace(trains[0], target=made)

    def phase(
        self,
        line: ast.Phase,
        outer: dict[str, tuple[Value, Span]],
        results: Mapping[str, Instance],
        around: Sequence[ast.SettingLine],
    ) -> Phase | None:
        """A phase: its own settings win over those of the section around it, whose statements hold for it too."""
        if line.name in results:
            self.diagnostics.append(Diagnostic(Code.PHASE, line.span, f"there are two phases '{line.name}'"))
            return None
        mine = [replace(o, name=o.name.removeprefix(f"{line.name}.")) for o in self.overrides]
        found = self.target(line.target, results, mine)
        if found is None:
            return None
        space = self.elaborated(found)
        settings = self.search_settings({**outer, **self.values(line.settings)}, line.name)
        if space is None:
            return None
        space = self.stated(space, (*around, *line.settings))
        after = tuple(name for name in _names(line.target) if name in results)
        statements = _statements((*around, *line.settings))
        built = self.built(found, settings)
        return Phase(line.name, space, settings, after, settings.optional, line.span, line.target, statements, built)

    def stated(self, space: Elaborated, lines: Sequence[ast.SettingLine]) -> Elaborated:
        """The space with what a section prefers and requires of it."""
        body = self.section_body(space)
        body = replace(body, preferences=list(space.preferences), preferred=dict(body.preferred))
        requirements = [*space.requirements, *self.requirements(lines, body, Origin.SEARCH)]
        for line in lines:
            if isinstance(line, ast.Preference):
                try:
                    body.preferences.append(read_preference(line, body, space.decisions, lambda expr, _: plain(expr)))
                except ElaborationError as error:
                    self.diagnostics.append(error.diagnostic)
        return replace(space, preferences=tuple(body.preferences), requirements=tuple(requirements))

    def required(self, train: ast.Train | None, network: Elaborated | None) -> tuple[Requirement, ...]:
        """What a `train` section requires of a network."""
        if train is None or network is None:
            return ()
        return self.requirements(train.settings, self.section_body(network), Origin.TRAIN)

    def section_body(self, network: Elaborated) -> BodyElaboration:
        """The body of a network as a section of this file sees it: with its names, beside this file's tables."""
        return replace(network.root.body, instance=self.instance)

    def requirements(
        self, lines: Sequence[ast.SettingLine], body: BodyElaboration, origin: Origin
    ) -> tuple[Requirement, ...]:
        """The requirements of a section."""
        found = []
        for line in lines:
            if isinstance(line, ast.Require):
                try:
                    found.append(Requirement.read(line, body, origin))
                except ElaborationError as error:
                    self.diagnostics.append(error.diagnostic)
        try:
            check_number(found)
        except ElaborationError as error:
            self.diagnostics.append(error.diagnostic)
        return tuple(found)

    def trained(
        self, phase: Phase, train: ast.Train, results: Mapping[str, Instance]
    ) -> tuple[tuple[Requirement, ...], bool]:
        """What a `train` section requires of the network that a search will derive, at the section's arguments.

        Returns:
            The requirements, and whether the section names the network that is searched. Where it names another, they
            are about the derived network all the same, since that is what a derived file trains.
        """
        if train.target is None or not any(isinstance(line, ast.Require) for line in train.settings):
            return (), False
        found = self.target(train.target, results, self.overrides)
        if found is None:
            return (), False
        root = phase.network.root
        args = {**phase.network.arguments, **found.args}
        is_searched = found.function.definition is root.definition
        if is_searched:
            network = self.elaborated(replace(found, args=args))
        else:
            function = Function(root.definition, root.instance)
            network, _ = elaborate(function, args, span=found.span, externals=self.externals)
        required = self.required(train, network)
        return tuple(replace(requirement, network=network) for requirement in required), is_searched

    def imagined(self, phase: Phase) -> Instance:
        """The result of a phase: its derived file, or its first architecture in place of the one still to be found.

        Raises:
            HspError: the derived file is no text of the language.
        """
        text = self.found.get(phase.name)
        if text is None:
            text = print_module(derive_module(phase.network, default_decisions(phase.network.decisions)))
        instance = self.loader.load_text(text, f"<{phase.name}>")
        if instance is None:
            raise HspError(self.loader.diagnostics)
        return instance

    def only_network(self, name: str | None, trains: Sequence[ast.Train]) -> Elaborated | None:
        """The network of a file without a search section; one without networks may train one that it uses."""
        unit = self.instance.unit
        networks = [d for d in unit.module.definitions if is_network(d)]
        if name is not None:
            chosen = [d for d in networks if d.name == name]
            if not chosen:
                hint = suggest(name, (d.name for d in networks)) or ""
                raise UsageError(f"--network {name}: this file has no such network {hint}".strip())
            networks = chosen
        used = trains[0].target if trains and not networks else None
        if used is not None:
            found = self.target(used.func if isinstance(used, ast.Call) else used, {}, self.overrides)
            return None if found is None else self.elaborated(found)
        if len(networks) != 1:
            where = Span(unit.source, 0, 0)
            listed = ", ".join(d.name for d in networks)
            message = f"this file has {len(networks)} networks: {listed}" if networks else "this file has no network"
            hint = "name one with `search NET`, or `--network NET`" if networks else "a library is used, not compiled"
            span = networks[1].copy.span if networks and isinstance(networks[1], ast.GraphDef) else where
            self.diagnostics.append(Diagnostic(Code.NO_NETWORK, span, message, hint))
            return None
        found = self.target(ast.Name(networks[0].name, span=networks[0].span), {}, self.overrides)
        return None if found is None else self.elaborated(found)

    def library_changes(self, unit: Unit) -> list[Diagnostic]:
        """Warn where the shipped library is not the one that a derived file was written with."""
        result = []
        for section in unit.module.lines:
            if not isinstance(section, ast.Provenance):
                continue
            for line in section.settings:
                if not isinstance(line, ast.Setting) or line.name != "library":
                    continue
                try:
                    recorded = plain(line.value)
                except ElaborationError as error:
                    self.diagnostics.append(error.diagnostic)
                    continue
                known = {used.shipped: used for _, used in unit.imports if used is not None and used.shipped}
                for path, sha in _pairs(recorded):
                    if path in known and known[path].sha256[:16] != sha:
                        message = f"the library file '{path}' has changed since this file was derived"
                        result.append(Diagnostic(Code.LIBRARY, line.span, message, severity=Severity.WARNING))
        return result


def _mentions_relaxed(node: ast.Node) -> bool:
    """Whether `relaxed` stands anywhere but in the guard of an item."""
    if isinstance(node, ast.Item):
        return _mentions_relaxed(node.value)
    return node == ast.Name("relaxed") or any(map(_mentions_relaxed, node.children()))


def _statements(lines: Sequence[ast.SettingLine]) -> tuple[ast.SettingLine, ...]:
    return tuple(line for line in lines if isinstance(line, ast.Preference | ast.Require))


def _names(expr: ast.Expr) -> tuple[str, ...]:
    """The names in an expression, each once."""
    return tuple(dict.fromkeys(node.id for node in expr.walk() if isinstance(node, ast.Name)))


def _pairs(value: Value) -> list[tuple[str, str]]:
    items = value if isinstance(value, tuple) else ()
    texts = [str(item) for item in items]
    return list(zip(texts[::2], texts[1::2], strict=False))


def compile_file(
    path: str | Path,
    overrides: Sequence[Override] = (),
    network: str | None = None,
    text: str | None = None,
    found: Mapping[str, str] | None = None,
    recipe: Path | None = None,
    externals: Externals = NO_PLUGINS,
) -> tuple[Program | None, list[Diagnostic]]:
    """Load, check and elaborate a file.

    Args:
        path: the file; its name is what messages show.
        overrides: values from the command line.
        network: which network, where the file has several and no search section.
        text: the content, when it comes from elsewhere (standard input).
        found: derived files of phases that have run, by name; the others are stood in for.
        recipe: another file, whose `train` section holds instead of this file's.
        externals: the primitives and plugins that external operations may name.

    Returns:
        The program, or None where there are errors, and all diagnostics, warnings included.

    Raises:
        HspError: when a derived file in ``found`` is no text of the language.
        UsageError: when an override names nothing.
    """
    loader = Loader()
    name = str(path)
    instance = loader.load(Path(path), name) if text is None else loader.load_text(text, name)
    diagnostics = list(loader.diagnostics)
    if instance is not None:
        checked = {id(instance.unit): instance.unit} | {id(u): u for u in loader.units.values() if u.shipped is None}
        for unit in checked.values():
            diagnostics += check(unit)
    if instance is None or any(d.severity is Severity.ERROR for d in diagnostics):
        return None, in_order(diagnostics)
    compiler = _Compiler(loader, instance, overrides, found or {}, recipe, externals)
    program = compiler.program(Path(name).stem, network)
    diagnostics += compiler.diagnostics
    if any(d.severity is Severity.ERROR for d in diagnostics):
        return None, in_order(diagnostics)
    if program is not None:
        unused = [item for item in overrides if item.said not in compiler.used]
        if unused:
            known = [p.name for p in program.network.root.definition.params] + list(SearchSettings.model_fields)
            hint = suggest(unused[0].name, [*known, *TrainSettings.model_fields]) or ""
            raise UsageError(f"{unused[0].said}: there is no parameter or setting of that name {hint}".strip())
        diagnostics += program.warnings
    return program, in_order(diagnostics)


def in_order(diagnostics: Sequence[Diagnostic]) -> list[Diagnostic]:
    """Each diagnostic once, by file and place."""
    unique: dict[tuple[str, int, str, str], Diagnostic] = {}
    for item in diagnostics:
        unique.setdefault((item.span.source.name, item.span.start, item.code.value, item.message), item)
    return sorted(unique.values(), key=lambda item: (item.span.source.name, item.span.start))
