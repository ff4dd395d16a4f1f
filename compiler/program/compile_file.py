"""From a file to a `Program`: which network, in which phases, with which settings. No torch.

`compile_file` is the front half of every command: load, check, elaborate. All that is wrong with the file comes out of
it as diagnostics. Each section has a reader of its own beside this file; they share a `Compilation`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from compiler.analysis.requirements.evaluate import unmet
from compiler.analysis.requirements.tables import clashing_tables
from compiler.ir.primitives.external import NO_PLUGINS, Externals
from compiler.searcher.settings.sections import SearchSettings, TrainSettings
from compiler.util.errors import UsageError
from hdas_dsl.check.checker import check
from hdas_dsl.files import Loader
from hdas_dsl.text.diagnostics import Diagnostic, has_errors, hinted, suggest
from hdas_dsl.tree import ast
from hdas_dsl.units import Instance

from .auto_method import suited
from .compilation import Compilation
from .equivalence import Equivalence, read_equivalence
from .library import library_changes
from .methods import SETTING as METHOD
from .methods import asks_for_auto
from .model import Program
from .networks import only_network
from .overrides import Override
from .phases import Phases, read_phases
from .refusals import refusals
from .section_settings import read_section, search_settings
from .task_fit import unfit
from .training import borrowed_section, read_training, section_about


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
        HspError: when a derived file in ``found`` is not text of the language.
        UsageError: when an override names nothing.
    """
    loader = Loader()
    name = str(path)
    instance = loader.load(Path(path), name) if text is None else loader.load_text(text, name)
    diagnostics = checked(loader, instance)
    if instance is None or has_errors(diagnostics):
        return None, in_order(diagnostics)
    compilation = Compilation(loader, instance, overrides, externals)
    program, found_wrong = compiled(compilation, Path(name).stem, network, found, recipe)
    return program, in_order([*diagnostics, *found_wrong])


def checked(loader: Loader, instance: Instance | None) -> list[Diagnostic]:
    """The diagnostics of the loaded texts, before elaboration."""
    diagnostics = list(loader.diagnostics)
    if instance is not None:
        units = {id(instance.unit): instance.unit} | {id(u): u for u in loader.units.values() if u.shipped is None}
        for unit in units.values():
            diagnostics += check(unit)
    return diagnostics


def compiled(
    compilation: Compilation,
    name: str,
    network: str | None = None,
    found: Mapping[str, str] | None = None,
    recipe: Path | None = None,
) -> tuple[Program | None, list[Diagnostic]]:
    """The program of a file that is checked, or None where there are errors, and all diagnostics, warnings included.

    Raises:
        HspError, UsageError: as `compile_file` does.
    """
    if asks_for_auto(compilation):
        return _by_suited_method(compilation, name, network, found, recipe)
    program = _program(compilation, name, network, found or {}, recipe)
    if program is not None:
        compilation.report(clashing_tables(requirement for requirement, _ in program.requirements))
    diagnostics = list(compilation.diagnostics)
    if has_errors(diagnostics):
        return None, diagnostics
    if program is not None:
        _refuse_unused(compilation, program)
        diagnostics += program.warnings
    return program, diagnostics


def _by_suited_method(
    compilation: Compilation, name: str, network: str | None, found: Mapping[str, str] | None, recipe: Path | None
) -> tuple[Program | None, list[Diagnostic]]:
    """The program with the method that its networks ask for: the first that goes with the file."""

    def again(overrides: Sequence[Override]) -> Compilation:
        return replace(compilation, overrides=overrides, used=set(), diagnostics=[], known=compilation.elaborations)

    stated = compilation.overrides
    program, diagnostics = compiled(again([o for o in stated if o.name != METHOD]), name, network, found, recipe)
    for method in () if program is None else suited(program):
        program, diagnostics = compiled(again(method.overrides(stated)), name, network, found, recipe)
        if program is not None:
            chosen = None if program.method is None else replace(program.method, why=method.why)
            return replace(program, method=chosen), diagnostics
    return program, diagnostics


def in_order(diagnostics: Sequence[Diagnostic]) -> list[Diagnostic]:
    """Each diagnostic once, by file and place."""
    unique: dict[tuple[str, int, str, str], Diagnostic] = {}
    for item in diagnostics:
        unique.setdefault((item.span.source.name, item.span.start, item.code.value, item.message), item)
    return sorted(unique.values(), key=lambda item: (item.span.source.name, item.span.start))


def _program(
    compilation: Compilation, name: str, network: str | None, found: Mapping[str, str], recipe: Path | None
) -> Program | None:
    """The program of a file without errors of its own so far; None after an error."""
    module = compilation.unit.module
    search = next(iter(module.searches), None)
    train = next(iter(module.trains), None)
    section = read_section(compilation, search)
    settings = search_settings(compilation, section.values, "")
    borrowed = None if recipe is None else borrowed_section(compilation, recipe)
    if recipe is not None and borrowed is None:
        return None
    phases: Phases | None = Phases()
    if search is not None and network is None:
        phases = read_phases(compilation, search, section, settings, found, borrowed or train)
    if phases is None:
        return None
    main = only_network(compilation, network, train) if phases.main is None else phases.main.network
    if main is None:
        return None
    for phase in phases.phases:
        if phase.is_as_written:
            compilation.report(refusals(phase.network, phase.settings, phase.span))
        compilation.report(unfit(phase.network, phase.settings, phase.values, phase.span))
    if borrowed is not None:
        train = section_about(borrowed, main)
    training = read_training(compilation, train, phases)
    if train is not None:
        compilation.report(unfit(training.network or main, training.settings, training.values, train.span))
    if training.is_searched and training.requirements:
        phases = phases.requiring(training.requirements)
        assert phases.main is not None
        main = phases.main.network
    changes = library_changes(compilation)
    return Program(
        name,
        compilation.instance,
        main,
        phases.phases,
        settings,
        training.section,
        training.network,
        training.settings,
        (
            *changes,
            *compilation.warnings,
            *unmet(main),
            *(unmet(training.network, training.requirements) if training.network else ()),
        ),
        _equivalences(compilation),
        training.requirements,
        section.method,
        phases.results,
    )


def _equivalences(compilation: Compilation) -> tuple[Equivalence, ...]:
    """When architectures are the same, as the file says, or one that it uses: `benchmark`, `nb.benchmark`."""
    unit = compilation.unit
    own = [read_equivalence(line) for line in unit.module.lines if isinstance(line, ast.Equivalence)]
    compilation.report(diagnostic for _, wrong in own for diagnostic in wrong)
    found = {item.name: item for item, _ in own}
    for use, used in unit.imports:
        for line in used.module.lines if used is not None else ():
            if isinstance(line, ast.Equivalence):
                item, wrong = read_equivalence(line)
                compilation.report(wrong)
                name = item.name if use.alias is None else f"{use.alias}.{item.name}"
                found.setdefault(name, replace(item, name=name))
    return tuple(found.values())


def _refuse_unused(compilation: Compilation, program: Program) -> None:
    """Refuse an override that is neither a parameter of the network nor a setting."""
    unused = [item for item in compilation.overrides if item.said not in compilation.used]
    if unused:
        known = [p.name for p in program.network.root.definition.params] + list(SearchSettings.model_fields)
        hint = suggest(unused[0].name, [*known, *TrainSettings.model_fields])
        raise UsageError(hinted(f"{unused[0].said}: there is no parameter or setting of that name", hint))
