"""The `train` section of a file, or of another file that stands in for it: settings, network and requirements."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from compiler.elaborate import Elaborated, Requirement
from compiler.elaborate.values import Function
from compiler.searcher.settings.sections import TrainSettings
from compiler.util.errors import UsageError
from hdas_dsl.tree import ast

from .compilation import Compilation
from .model import Phase
from .networks import elaborated, network_call
from .phases import Phases
from .section_settings import Values, setting_values, train_settings
from .statements import train_requirements


@dataclass(frozen=True, eq=False)
class Training:
    """How the derived network is trained.

    Attributes:
        section: the section, None where there is none.
        settings: its settings, with those of the command line in force.
        network: the network at the arguments of the section; None where it is searched first.
        requirements: what the section requires.
        is_searched: whether ``requirements`` are about the network of the main phase.
        values: the settings as the section gives them, each with the place of its line.
    """

    section: ast.Train | None
    settings: TrainSettings
    network: Elaborated | None = None
    requirements: tuple[Requirement, ...] = ()
    is_searched: bool = False
    values: Values = field(default_factory=dict)


def read_training(compilation: Compilation, train: ast.Train | None, phases: Phases) -> Training:
    """A `train` section.

    Raises:
        UsageError: an override has a value that its setting may not have.
    """
    values = setting_values(compilation, train.settings) if train else {}
    settings = train_settings(compilation, values, [phase.settings for phase in phases.phases])
    training = Training(train, settings, values=values)
    if train is None or train.target is None:
        return training
    main = phases.main
    if main is None or not any(phase.network.is_space for phase in phases.phases):
        found = network_call(compilation, train.target, phases.results, compilation.overrides)
        network = None if found is None else elaborated(compilation, found)
        required = () if network is None else train_requirements(compilation, train, network, phases.results)
        return replace(training, network=network, requirements=required)
    if any(isinstance(line, ast.Require) for line in train.settings):
        training = _about_derived(compilation, training, train, train.target, main, phases)
    network_call(compilation, train.target, phases.results, ())
    return training


def _about_derived(
    compilation: Compilation,
    training: Training,
    train: ast.Train,
    target: ast.Expr,
    phase: Phase,
    phases: Phases,
) -> Training:
    """The requirements about the network that a search will derive, at the arguments of the section.

    Where the section names another network than the one that is searched, they are about the derived network all the
    same, since that is what a derived file trains.
    """
    found = network_call(compilation, target, phases.results, compilation.overrides)
    if found is None:
        return training
    root = phase.network.root
    args = {**phase.network.arguments, **found.args}
    is_searched = found.function.definition is root.definition
    if is_searched:
        network = elaborated(compilation, replace(found, args=args))
    else:
        function = Function(root.definition, root.instance)
        network, _ = compilation.elaborate(replace(found, function=function, args=args))
    required = () if network is None else train_requirements(compilation, train, network, phases.results)
    about = tuple(replace(requirement, network=network) for requirement in required)
    return replace(training, requirements=about, is_searched=is_searched)


def section_about(train: ast.Train, network: Elaborated) -> ast.Train:
    """A `train` section of another file as one about this file's network: its settings and its arguments."""
    name = ast.Name(network.name, span=train.span)
    return replace(train, target=replace(train.target, func=name) if isinstance(train.target, ast.Call) else name)


def borrowed_section(compilation: Compilation, recipe: Path) -> ast.Train | None:
    """The `train` section of another file.

    Returns:
        None where the file cannot be read.

    Raises:
        UsageError: the file has no `train` section.
    """
    instance = compilation.loader.load(recipe, str(recipe))
    compilation.report(compilation.loader.diagnostics)
    if instance is None:
        return None
    trains = instance.unit.module.trains
    if not trains:
        raise UsageError(f"--recipe {recipe}: this file has no `train` section")
    return trains[0]
