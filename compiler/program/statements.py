"""The statements of sections: what a `search`, a phase or a `train` section prefers and requires of its network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from compiler.elaborate import BodyElaboration, Elaborated, Origin, Requirement, check_number
from compiler.elaborate.errors import ElaborationError
from compiler.elaborate.quantities import read_preference
from compiler.elaborate.setting_values import plain
from hdas_dsl.tree import ast
from hdas_dsl.units import Instance

from .compilation import Compilation


def statements(lines: Sequence[ast.SettingLine]) -> tuple[ast.SettingLine, ...]:
    """The lines that prefer or require something."""
    return tuple(line for line in lines if isinstance(line, ast.Preference | ast.Require))


def with_statements(
    compilation: Compilation, space: Elaborated, lines: Sequence[ast.SettingLine], phases: Mapping[str, Instance]
) -> Elaborated:
    """The space with what the lines of a section prefer and require of it, after what its own bodies do.

    Args:
        compilation: the file.
        space: the network that the section is about.
        lines: those of the section.
        phases: the results of phases that the lines may name, by name.
    """
    if not statements(lines):
        return space
    body = _section_body(compilation, space, phases)
    body = replace(body, preferences=list(space.preferences), preferred=dict(body.preferred))
    requirements = [*space.requirements, *_requirements(compilation, lines, body, Origin.SEARCH)]
    for line in lines:
        if isinstance(line, ast.Preference):
            try:
                read = read_preference(line, body, space.decisions, space.copies, lambda expr, _: plain(expr))
                body.preferences.append(read)
            except ElaborationError as error:
                compilation.report([error.diagnostic])
    return replace(space, preferences=tuple(body.preferences), requirements=tuple(requirements))


def train_requirements(
    compilation: Compilation, train: ast.Train, network: Elaborated, phases: Mapping[str, Instance]
) -> tuple[Requirement, ...]:
    """The requirements of a `train` section, about a network; it may name the results of phases."""
    return _requirements(compilation, train.settings, _section_body(compilation, network, phases), Origin.TRAIN)


def _section_body(compilation: Compilation, network: Elaborated, phases: Mapping[str, Instance]) -> BodyElaboration:
    """The body of a network as a section of this file sees it: with its names, beside this file's tables."""
    return replace(network.root.body, instance=compilation.instance, results=phases)


def _requirements(
    compilation: Compilation, lines: Sequence[ast.SettingLine], body: BodyElaboration, origin: Origin
) -> tuple[Requirement, ...]:
    found = []
    for line in lines:
        if isinstance(line, ast.Require):
            try:
                found.append(Requirement.read(line, body, origin))
            except ElaborationError as error:
                compilation.report([error.diagnostic])
    try:
        check_number(found)
    except ElaborationError as error:
        compilation.report([error.diagnostic])
    return tuple(found)
