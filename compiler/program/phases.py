"""The phases of a search: the network of each, its settings, its statements, and what later phases build on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from compiler.elaborate import Elaborated, Requirement
from compiler.searcher.settings.relaxation import NoRelaxation, Sample
from compiler.searcher.settings.sections import SearchSettings
from hdas_dsl.text.diagnostics import Code, Diagnostic, HspError, suggest
from hdas_dsl.text.source import Span
from hdas_dsl.tree import ast
from hdas_dsl.units import Instance

from .compilation import Compilation
from .model import Phase
from .networks import as_built, elaborated, network_call
from .section_settings import SearchSection, Values, search_settings, setting_values
from .stand_in import members
from .statements import statements, with_statements


@dataclass(frozen=True, eq=False)
class Phases:
    """The phases of a file, in order; ``results`` are the files in which their names are looked up."""

    phases: tuple[Phase, ...] = ()
    results: Mapping[str, Instance] = field(default_factory=dict)

    @property
    def main(self) -> Phase | None:
        """The phase whose network the file is about: the last that always runs."""
        required = [phase for phase in self.phases if not phase.optional]
        return next(reversed(required or self.phases), None)

    def requiring(self, requirements: Sequence[Requirement]) -> Phases:
        """The phases where the network of the main one must also meet ``requirements``."""
        main = self.main
        assert main is not None
        network = replace(main.network, requirements=(*main.network.requirements, *requirements))
        return replace(self, phases=tuple(replace(p, network=network) if p is main else p for p in self.phases))


def read_phases(
    compilation: Compilation,
    search: ast.Search,
    section: SearchSection,
    settings: SearchSettings,
    found: Mapping[str, str],
    train: ast.Train | None,
) -> Phases | None:
    """The phases of a search, the last of them the search itself where it names a network; None after an error.

    Args:
        compilation: the file.
        search: the section.
        section: its settings and lines, those of its method included.
        settings: what the section says, in force.
        found: derived files of phases that have run, by name; the others are stood in for.
        train: the section that may train a network of their results.

    Raises:
        HspError: when a derived file in ``found`` is not text of the language.
        UsageError: an override has a value that its setting may not have.
    """
    given = (item.value for item in compilation.overrides if isinstance(item.value, ast.Node))
    reader = _PhaseReader(compilation, section, found, [node for node in (search, train, *given) if node is not None])
    phases: list[Phase] = []
    lines = [line for line in search.settings if isinstance(line, ast.Phase)]
    for position, line in enumerate(lines):
        phase = reader.phase(line)
        if phase is None:
            return None
        phases.append(phase)
        if not isinstance(phase.settings.relax, NoRelaxation):
            reader.trained[phase.name] = phase
        # Where no phase builds on it, at most `train` names its network, which stands in a file of its own.
        used = any(phase.name in _names(later.target) for later in lines[position + 1 :])
        reader.results[phase.name] = reader.result(phase) if used else phase.network.root.instance
    if search.target is not None:
        last = reader.search(search.target, settings)
        if last is None:
            return None
        phases.append(last)
    return Phases(tuple(phases), reader.results)


@dataclass(eq=False)
class _PhaseReader:
    """Reads the phases of a section one after the other: each may name those before it."""

    compilation: Compilation
    section: SearchSection
    found: Mapping[str, str]
    readers: Sequence[ast.Node]
    """The texts that may name definitions of a result: sections of the file, and arguments of the command line."""
    results: dict[str, Instance] = field(default_factory=dict)
    trained: dict[str, Phase] = field(default_factory=dict)
    """The phases that leave weights, by name."""

    def phase(self, line: ast.Phase) -> Phase | None:
        """A phase: its own settings win over those of the section around it, whose statements hold for it too."""
        compilation = self.compilation
        if line.name in self.results:
            compilation.report([Diagnostic(Code.PHASE, line.span, f"there are two phases '{line.name}'")])
            return None
        own = [replace(o, name=o.name.removeprefix(f"{line.name}.")) for o in compilation.overrides]
        call = network_call(compilation, line.target, self.results, own)
        if call is None:
            return None
        space = elaborated(compilation, call)
        values = {**self.section.values, **setting_values(compilation, line.settings)}
        settings = search_settings(compilation, values, line.name)
        if space is None or not self.has_weights(settings, space, values, f"before '{line.name}'", line.span):
            return None
        lines = (*self.section.lines, *line.settings)
        return Phase(
            line.name,
            with_statements(compilation, space, lines, self.results),
            settings,
            after=tuple(name for name in _names(line.target) if name in self.results),
            optional=settings.optional,
            span=line.span,
            target=line.target,
            statements=statements(lines),
            values=values,
            built=as_built(compilation, call, settings),
        )

    def has_weights(self, settings: SearchSettings, space: Elaborated, values: Values, where: str, span: Span) -> bool:
        """Whether there are the weights that a search starts from, or is taught by; else that is reported."""
        for name, word in (("start", settings.start), ("teacher", settings.teacher)):
            if word.after is None:
                continue
            hint = f"use `{name} = none`"
            earlier = self.trained.get(word.after)
            if isinstance(settings.relax, NoRelaxation):
                why: str | None = "`relax = none` has no supernet for them"
            elif earlier is None:
                why, hint = f"none of that name has any {where}", suggest(word.after, self.trained) or hint
            else:
                why = cannot_teach(earlier, space) if name == "teacher" else None
            if why is not None:
                message = f"`{name} = {word.describe()}` takes the weights of a phase, and {why}"
                place = values[name][1] if name in values else span
                self.compilation.report([Diagnostic(Code.PHASE, place, message, hint)])
                return False
        return True

    def search(self, target: ast.Expr, settings: SearchSettings) -> Phase | None:
        """The search of the network that the section itself names: a phase without a name."""
        compilation = self.compilation
        values = self.section.values
        call = network_call(compilation, target, {}, compilation.overrides)
        space = None if call is None else elaborated(compilation, call)
        if call is None or space is None or not self.has_weights(settings, space, values, "in this file", target.span):
            return None
        return Phase(
            "",
            with_statements(compilation, space, self.section.lines, {}),
            settings,
            span=target.span,
            target=target,
            statements=statements(self.section.lines),
            values=values,
            built=as_built(compilation, call, settings),
        )

    def result(self, phase: Phase) -> Instance:
        """The result of a phase: its derived file, or what stands in for the one still to be found.

        Both are texts. The tree of a derived module could not stand in for its text: most of its nodes are those of the
        space, so that a message about the stand-in would quote the lines of another file, and the rest have no place.

        Raises:
            HspError: the derived file is not text of the language.
        """
        text = self.found.get(phase.name)
        if text is None:
            names = members(phase.name, self.readers)
            text = self.compilation.elaborations.stand_in(phase.network, phase.settings.derive, names)
        loader = self.compilation.loader
        instance = self.compilation.elaborations.load_text(loader, text, f"<{phase.name}>")
        if instance is None:
            raise HspError(loader.diagnostics)
        return instance


def cannot_teach(phase: Phase, space: Elaborated) -> str | None:
    """Why what a phase leaves cannot teach a network; None where it can."""
    relax, mine, its = phase.settings.relax, space.block.graph, phase.network.block.graph
    if not relax.runs_all and not isinstance(relax, Sample):
        return "its relaxation draws one architecture for each batch: use one that mixes there, or `sample`"
    if (phase.network.input, its.output_shapes) != (space.input, mine.output_shapes):
        classes, taught = (" and ".join(map(str, graph.output_shapes)) for graph in (its, mine))
        return f"that maps {phase.network.input} to {classes}, this one {space.input} to {taught}"
    return None


def _names(expr: ast.Expr) -> tuple[str, ...]:
    """The names in an expression, each once."""
    return tuple(dict.fromkeys(node.id for node in expr.walk() if isinstance(node, ast.Name)))
