"""The job of a worker that judges trials, as plain data: the file, its overrides, earlier phases' results, the machine.

A worker is another process, here or on another machine. It gets the job as JSON, and compiles the file that it names.
"""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict

from compiler.backend.plugins import AllowedPlugins, allow
from compiler.elaborate.setting_values import expression
from compiler.program.model import Phase
from compiler.program.overrides import Override
from compiler.program.request import Request
from compiler.util.errors import UsageError
from hdas_dsl.parse.parser import parse_expression
from hdas_dsl.tree import ast
from hdas_dsl.tree.printer import print_expression

from .config import RunConfig
from .finished import found_before
from .plan import SearchPlan


class PlainOverride(BaseModel):
    """An override as plain data, with its value as text of the language; None, which has no text, stays None."""

    model_config = ConfigDict(frozen=True)

    name: str
    value: str | None
    said: str
    keeps: bool

    @classmethod
    def of(cls, override: Override) -> Self:
        """An override as plain data."""
        value = override.value
        if value is not None:
            value = print_expression(value if isinstance(value, ast.Node) else expression(value))
        return cls(name=override.name, value=value, said=override.said, keeps=override.keeps)

    def override(self) -> Override:
        """The override."""
        value = None if self.value is None else parse_expression(self.value, self.said)[0]
        return Override(self.name, value, self.said, self.keeps)


class Job(BaseModel):
    """The exploration of a phase, of which workers judge the trials."""

    model_config = ConfigDict(frozen=True)

    path: Path
    overrides: tuple[PlainOverride, ...]
    text: str | None
    recipe: Path | None
    plugins: tuple[str, ...]
    found: dict[str, str]
    """The derived files of the phases before, by name."""
    phase: str
    is_last: bool
    config: RunConfig

    @classmethod
    def of(cls, plan: SearchPlan, phase: Phase) -> Self:
        """The exploration of a phase of a plan; the phases that it needs have left their derived files."""
        request, plugins = plan.request, plan.request.externals.plugins
        return cls(
            path=request.path,
            overrides=tuple(map(PlainOverride.of, request.overrides)),
            text=request.text,
            recipe=request.recipe,
            plugins=tuple(sorted(plugins.allowed)) if isinstance(plugins, AllowedPlugins) else (),
            found={name: found_before(plan.finished(name)) for name in phase.needs},
            phase=phase.name,
            is_last=phase.name == plan.phases[-1].name,
            config=plan.config,
        )

    def plan(self) -> SearchPlan:
        """The plan that it is of, compiled with what was found before.

        Raises:
            HspError: the file has changed, and is wrong.
            UsageError: it has no such phase any more.
        """
        overrides = tuple(item.override() for item in self.overrides)
        request = Request(self.path, overrides, None, self.text, self.recipe, allow(self.plugins))
        program = request.compile(self.found or None)
        phases = tuple(phase for phase in program.phases if phase.name == self.phase)
        if not phases:
            raise UsageError(f"'{self.path}' has no phase '{self.phase}' any more")
        return SearchPlan(request, self.config, program, phases, self.found)


def job_of(plan: SearchPlan, phase: Phase) -> Job | None:
    """The job of the workers of a phase; None where the process itself judges."""
    return Job.of(plan, phase) if plan.config.judges_elsewhere else None
