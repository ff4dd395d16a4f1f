"""Applications: what happens when something applicable meets tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from compiler.ir.undecided import Open, Var
from hdas_dsl.text.diagnostics import Code

from .additions import Additions
from .arguments import Application, Arguments
from .choices import Choices
from .errors import ElaborationError
from .frame import Frame, Site
from .grammars import Grammars
from .instances import Instances
from .mixtures import Mixtures
from .partial import ChannelBypass
from .values import (
    Builtin,
    Bundle,
    Compose,
    Copies,
    Deferred,
    Function,
    Menu,
    NamespaceValue,
    Partial,
    Picked,
    Tensor,
    Value,
    callable_name,
    flatten,
    kind,
    source_name,
)


class Applications:
    """Applies functions, menus, compositions and undecided operations to tensors."""

    def __init__(
        self,
        choices: Choices,
        mixtures: Mixtures,
        arguments: Arguments,
        instances: Instances,
        partial: ChannelBypass,
        additions: Additions,
        grammars: Grammars,
    ) -> None:
        self.grammars = grammars
        self.partial = partial
        self.additions = additions
        self.choices = choices
        self.mixtures = mixtures
        self.arguments = arguments
        self.instances = instances

    def apply(self, application: Application, site: Site) -> Value:
        """The value of an application."""
        function, frame = application.function, site.frame
        match function:
            case Partial():
                return self.apply(_completed(function, application, site), site)
            case Compose(stages=stages):
                return self._compose(stages, application, site)
            case Menu():
                where = slot(function, application.inputs, frame)
                settled = self.choices.settle_menu(function, where, frame)
                return self.apply(application.of(settled), site.at(where))
            case Deferred():
                made = self.grammars.applied(function, application, site)
                return self.apply(made, site) if isinstance(made, Application) else made
            case Var():
                return self._undecided(function, application, site)
            case Function():
                tensors = self.arguments.inputs(function, application.inputs, site)
                params = self.arguments.bind(function, application.positional, application.named, site)
                name = site.name_hint or slot(function, application.inputs, frame)
                return self.instances.instantiate(function, tensors, params, site.at(name))
            case Builtin(name=name):
                raise ElaborationError(Code.KIND, site.span, f"'{name}' is called with its tensors: `{name}(...)`")
            case Copies(name=name, definitions=definitions):
                known = ", ".join(str(definition.copy) for definition in definitions)
                raise ElaborationError(Code.COPY, site.span, f"'{name}' needs a label", f"there are {known}")
            case int() | float() | str() | Open() | Tensor() | Bundle() | Picked() | NamespaceValue():
                raise ElaborationError(Code.KIND, site.span, f"{kind(function)} cannot be applied")
            case _:
                assert_never(function)

    def _compose(self, stages: Sequence[Value], application: Application, site: Site) -> Value:
        """Each stage is fed by the one before it; only the last takes the name of the whole."""
        if application.positional or application.named:
            raise ElaborationError(Code.ARGUMENT, site.span, "a composition takes no parameters")
        inputs = application.inputs
        for stage in stages[:-1]:
            name = f"{site.name_hint or site.frame.name}.{callable_name(stage)}"
            inputs = tuple(flatten(self.apply(Application(stage, inputs), site.at(name))))
        return self.apply(Application(stages[-1], inputs), site)

    def _undecided(self, function: Var[Value], application: Application, site: Site) -> Value:
        """Apply an undecided operation: every item, mixed."""
        where = site.name_hint or slot(function, application.inputs, site.frame)
        if self.partial.applies(function, site):
            whole, share = self.partial.part(application, site.at(where))
            mixed = self._mixed(function, share, site, where)
            return self.partial.join(mixed, whole, function.decisions[0], site.at(where))
        return self._mixed(function, application, site, where)

    def _mixed(self, function: Var[Value], application: Application, site: Site, where: str) -> Value:
        """Every item applied, mixed, with what a search adds."""

        def build(values: Sequence[Value]) -> Value:
            chosen = values[0]
            inner = site.at(f"{where}.{callable_name(chosen)}")
            made = self.apply(application.of(chosen), inner)
            return self.additions.behind(function, chosen, application, made, inner)

        mixed = self.mixtures.expand([function], build, site.at(where))
        return self.additions.beside(function, application, mixed, self.apply, site.at(where))


def _completed(partial: Partial, application: Application, site: Site) -> Application:
    """The application with the parameters of a partial one; positions given to it come first, further ones follow."""
    clash = next((name for name, _ in partial.named if name in application.named), None)
    if clash:
        raise ElaborationError(Code.ARGUMENT, site.span, f"'{clash}' is given twice")
    positional = (*partial.positional, *application.positional)
    named = {**dict(partial.named), **application.named}
    return Application(partial.function, application.inputs, positional, named)


def slot(function: Value, inputs: Sequence[Value], frame: Frame) -> str:
    """The place of an application that is not all of a line: by its source where that has a name."""
    name = callable_name(function)
    source = None if frame.body.is_operation else source_name(inputs)
    if source is None:
        return f"{frame.name}.{name}"
    inner = "" if isinstance(function, Menu | Var) else f".{name}"
    return f"{frame.name}.from_{source}{inner}"
