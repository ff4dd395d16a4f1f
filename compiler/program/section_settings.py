"""The settings of `search` and `train` sections: the file's, those of a method, those of the command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TypeAlias, TypeVar

from compiler.elaborate.errors import ElaborationError
from compiler.elaborate.setting_values import plain
from compiler.searcher.settings.reader import OverrideError, override
from compiler.searcher.settings.relaxation import NoRelaxation
from compiler.searcher.settings.sections import SearchSettings, TrainSettings, read_search, read_train
from compiler.searcher.settings.words import Applied, Value
from compiler.util.errors import LoweringError, UsageError
from hdas_dsl.text.diagnostics import Code, Diagnostic, has_errors
from hdas_dsl.text.source import NOWHERE, Span
from hdas_dsl.tree import ast

from .compilation import Compilation
from .methods import SETTING as METHOD
from .methods import Chosen, chosen_method
from .overrides import Override
from .own_task import with_own_task

S = TypeVar("S", SearchSettings, TrainSettings)

Values = Mapping[str, tuple[Value, Span]]
"""Settings by name, each with the place of its line."""

Reader: TypeAlias = Callable[[dict[str, tuple[Value, Span]]], tuple[S, list[Diagnostic]]]
"""Makes settings of values, and says what is wrong with them."""


@dataclass(frozen=True)
class SearchSection:
    """A `search` section with its method: the values that hold, and the lines of both, whose statements all hold."""

    values: Values
    lines: tuple[ast.SettingLine, ...]
    method: Chosen | None = None


def read_section(compilation: Compilation, search: ast.Search | None) -> SearchSection:
    """The settings of a search and of its method; a file without a section may still be given a method.

    Raises:
        UsageError: the command line names a method that does not exist.
    """
    method = chosen_method(compilation, search)
    own = search.settings if search else ()
    if method is None:
        return SearchSection(setting_values(compilation, own), own)
    compilation.use(item for item in compilation.overrides if item.name == METHOD)
    named = method.method.settings
    first, second = (own, named) if method.wins else (named, own)
    values = {**setting_values(compilation, first), **setting_values(compilation, second)}
    return SearchSection(values, (*named, *own), method)


def setting_values(compilation: Compilation, lines: Sequence[ast.SettingLine]) -> dict[str, tuple[Value, Span]]:
    """Settings as plain values; one without a plain value is reported and left out."""
    found: dict[str, tuple[Value, Span]] = {}
    for line in lines:
        if isinstance(line, ast.Setting):
            try:
                found[line.name] = (plain(line.value), line.span)
            except ElaborationError as error:
                compilation.report([error.diagnostic])
    return found


def search_settings(compilation: Compilation, values: Values, phase: str) -> SearchSettings:
    """The settings of a search, or of a phase of that name, with those of the command line in force.

    Raises:
        UsageError: an override has a value that its setting may not have.
    """
    settings = _read(compilation, read_search, values, phase)
    return _with_task(compilation, _overridden(compilation, settings, phase), values)


def train_settings(compilation: Compilation, values: Values, searched: Sequence[SearchSettings] = ()) -> TrainSettings:
    """The settings of a training with those of the command line in force; the defaults where there is no section.

    `--set epochs=0` is not about it where searches (``searched``) have no supernet, which is what has no epochs.

    Raises:
        UsageError: an override has a value that its setting may not have.
    """
    settings = _read(compilation, read_train, values, "")
    is_of_search = any(isinstance(item.relax, NoRelaxation) and not item.epochs for item in searched)
    without = "epochs" if is_of_search else ""
    return _with_task(compilation, _overridden(compilation, settings, "", without), values)


def _read(compilation: Compilation, read: Reader[S], values: Values, phase: str) -> S:
    """The settings of a file; what does not go together there may be mended by what the command line says."""
    settings, diagnostics = read(dict(values))
    stated = {item.name.removeprefix(f"{phase}.") if phase else item.name: item for item in compilation.overrides}
    if has_errors(diagnostics) and stated.keys() & type(settings).model_fields.keys():
        mended, left = read(_with_stated(values, {n: stated[n] for n in stated.keys() & type(settings).model_fields}))
        if not has_errors(left):
            settings, diagnostics = mended, left
    compilation.report(diagnostics)
    return settings


def _with_stated(values: Values, stated: Mapping[str, Override]) -> dict[str, tuple[Value, Span]]:
    """The values of a file with those of the command line; without one of these where it has no value of a setting."""
    found = dict(values)
    for name, item in stated.items():
        _, place = found.pop(name, (None, NOWHERE))
        with suppress(ElaborationError):
            found[name] = values[name] if item.keeps and name in values else (item.setting(), place)
    return found


def _with_task(compilation: Compilation, settings: S, values: Values) -> S:
    """A task of the user's own is made where it is allowed; what is wrong with it is shown at its line."""
    try:
        return with_own_task(settings, compilation.externals.plugins)
    except (UsageError, LoweringError) as error:
        if "task" not in values:
            raise
        compilation.report([Diagnostic(Code.VALUE, values["task"][1], str(error))])
    return settings


def _overridden(compilation: Compilation, settings: S, phase: str, without: str = "") -> S:
    names = [(item.name.removeprefix(f"{phase}.") if phase else item.name, item) for item in compilation.overrides]
    fields = type(settings).model_fields.keys() - {without}
    changes = [(name, item) for name, item in names if name.partition(".")[0] in fields]
    if not changes:
        return settings
    said = {name: item.said for name, item in changes}
    try:
        changed = override(settings, *((name, _value(item, settings)) for name, item in changes))
    except OverrideError as error:
        raise UsageError(f"{said[error.path]}: {error}") from None
    compilation.use(item for _, item in changes)
    return changed


def _value(item: Override, settings: SearchSettings | TrainSettings) -> Value:
    """The value of an override of a setting; other data keep what the section says of its own."""
    try:
        value = item.setting()
    except ElaborationError as error:
        raise UsageError(f"{item.said}: {error}") from None
    if item.keeps and isinstance(value, Applied) and "data" in settings.model_fields_set:
        return replace(value, kwargs={**settings.data.changes(), **value.kwargs})
    return value
