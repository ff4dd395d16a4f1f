"""The networks of a file, as its sections or the command line name them: called with arguments, and elaborated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from compiler.elaborate import Building, Elaborated, NetworkCall, is_network, read_network_call
from compiler.elaborate.errors import AlreadyReportedError, ElaborationError
from compiler.searcher.settings.sections import SearchSettings
from compiler.util.errors import UsageError
from hdas_dsl.text.diagnostics import Code, Diagnostic, hinted, suggest
from hdas_dsl.text.source import Span
from hdas_dsl.tree import ast
from hdas_dsl.units import Instance

from .compilation import Compilation
from .overrides import Override

RELAXED = "relaxed"


def network_call(
    compilation: Compilation, expr: ast.Expr, phases: Mapping[str, Instance], overrides: Sequence[Override]
) -> NetworkCall | None:
    """The network that a section names, with its arguments; None after an error.

    Args:
        compilation: the file.
        expr: the target of the section.
        phases: the results of phases, by name.
        overrides: those whose names are parameters, without the name of the phase.
    """
    arguments = {item.name: item.argument for item in overrides}
    try:
        found = read_network_call(expr, compilation.instance, phases, arguments, compilation.externals)
    except ElaborationError as error:
        compilation.report([error.diagnostic])
        return None
    except AlreadyReportedError:
        return None
    compilation.use(item for item in overrides if item.name in found.args)
    return found


def elaborated(compilation: Compilation, call: NetworkCall) -> Elaborated | None:
    """The network of a section, elaborated; None after an error."""
    result, diagnostics = compilation.elaborate(call)
    if result is not None and result.is_space and _reads_relaxed(compilation, result):
        # What stands in a derived network only is wrong here already.
        _, others = compilation.elaborate(call, frozenset())
        diagnostics += [replace(d, hint=d.hint or "`relaxed` is false in a derived network") for d in others]
    compilation.report(diagnostics)
    return result


def as_built(compilation: Compilation, call: NetworkCall, settings: SearchSettings) -> Elaborated | None:
    """The network as a search builds it where that is not as it is written; else None."""
    building = Building(settings.channels.partial, settings.beside.wanted, settings.dropout.wanted)
    if building == Building():
        return None
    result, found = compilation.elaborate(call, building=building)
    compilation.report(found)
    return result


def only_network(compilation: Compilation, name: str | None, train: ast.Train | None) -> Elaborated | None:
    """The network of a file without a search section; one without networks may train one that it uses.

    Args:
        compilation: the file.
        name: the network that the command line names, or None.
        train: the file's `train` section.

    Raises:
        UsageError: the file has no network of that name.
    """
    unit = compilation.unit
    networks = [d for d in unit.module.definitions if is_network(d)]
    if name is not None:
        chosen = [d for d in networks if d.name == name]
        if not chosen:
            hint = suggest(name, (d.name for d in networks))
            raise UsageError(hinted(f"--network {name}: this file has no such network", hint))
        networks = chosen
    used = train.target if train is not None and not networks else None
    if used is not None:
        return _elaborated_at(compilation, used.func if isinstance(used, ast.Call) else used)
    if len(networks) != 1:
        listed = ", ".join(d.name for d in networks)
        message = f"this file has {len(networks)} networks: {listed}" if networks else "this file has no network"
        hint = "name one with `search NET`, or `--network NET`" if networks else "a library is used, not compiled"
        second = networks[1] if networks else None
        span = second.copy.span if isinstance(second, ast.GraphDef) else Span(unit.source, 0, 0)
        compilation.report([Diagnostic(Code.NO_NETWORK, span, message, hint)])
        return None
    return _elaborated_at(compilation, ast.Name(networks[0].name, span=networks[0].span))


def _elaborated_at(compilation: Compilation, name: ast.Expr) -> Elaborated | None:
    found = network_call(compilation, name, {}, compilation.overrides)
    return None if found is None else elaborated(compilation, found)


def _reads_relaxed(compilation: Compilation, space: Elaborated) -> bool:
    """Whether a file that is not of the shipped library says what its derived networks have instead."""
    if not any(copy.body.reads_relaxed for copy in space.copies.values()):
        return False
    units = [compilation.unit, *(unit for unit in compilation.loader.units.values() if unit.shipped is None)]
    said = (unit.module for unit in units if RELAXED in unit.source.text)
    return any(_mentions_relaxed(module) for module in said)


def _mentions_relaxed(node: ast.Node) -> bool:
    """Whether `relaxed` stands anywhere but in the guard of an item."""
    if isinstance(node, ast.Item):
        return _mentions_relaxed(node.value)
    return node == ast.Name(RELAXED) or any(map(_mentions_relaxed, node.children()))
