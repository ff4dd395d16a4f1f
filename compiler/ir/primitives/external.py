"""External operations: what a declaration ``external "NAME"`` resolves to, a primitive or a plugin of the user's.

Elaboration is given an `Externals`, so that it imports neither torch nor a user's code: `compiler.backend.plugins`
does, behind the interface `Plugins`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar, Self

from compiler.ir.shape import Extent, Ints, Shape
from compiler.ir.undecided import Open, Var

from .base import Operator
from .parameters import Attribute, ParameterError, Scalar
from .registry import PRIMITIVES, Registry

PREFIX = "hsp:"
"""The prefix of primitives in `external` declarations."""


@dataclass(frozen=True, kw_only=True)
class External(Operator):
    """An operation that a user declares: its parameters and its shape are those of the declaration."""

    arity: ClassVar[int | None] = None
    pure: ClassVar[bool] = False

    declared: str
    """``package.module:Class`` or ``file.py:Class``."""
    given: tuple[tuple[str, Attribute], ...] = ()

    @property
    def called(self) -> str:
        return self.declared

    @property
    def attributes(self) -> tuple[tuple[str, Attribute], ...]:
        return self.given

    def map(self, change: Callable[[Attribute], Attribute]) -> Self:
        changed = tuple((name, change(value)) for name, value in self.given)
        same = all(new is old for (_, new), (_, old) in zip(changed, self.given, strict=True))
        return self if same else replace(self, given=changed)

    def refusal(self, inputs: Sequence[Shape], output: Shape) -> str | None:
        return None

    def result(self, inputs: Sequence[Shape]) -> tuple[Extent | None, ...] | None:
        return None


@dataclass(frozen=True, kw_only=True)
class Unavailable(External):
    """A plugin that is not allowed: it can be checked and counted, but neither priced nor built."""

    available: ClassVar[bool] = False

    remedy: str
    """The option of the command line that allows it."""

    def params(self, inputs: Sequence[Ints], output: Ints) -> int:
        raise ValueError(f"the costs of the plugin '{self.declared}' are not known")

    macs = memory = params


@dataclass(frozen=True)
class Kind:
    """The target of a declaration: ``make`` gives the operator of all its parameters; ``widths`` may stay undecided.

    ``check`` looks at those that a program gives, before defaults are computed from them. Both raise `ParameterError`
    and `SignatureError`.
    """

    check: Callable[[Mapping[str, object]], None]
    make: Callable[[Mapping[str, object]], Operator]
    widths: frozenset[str] = frozenset()


class Plugins:
    """The plugins that a user allows; here none. `compiler.backend.plugins.AllowedPlugins` has some."""

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that are allowed, on whose content a run depends."""
        return ()

    def resolve(self, declared: str, given: tuple[tuple[str, Attribute], ...]) -> External | None:
        """The operator of a declaration with its parameters; None where it is not allowed."""
        return None

    def own_class(self, declared: str, group: str) -> type | None:
        """A class that is not an operation, by its place or by an entry point of a group; None where it is not allowed.

        Raises:
            UsageError: there is no such entry point, or it is not a class.
            LoweringError: it cannot be imported.
        """
        return None

    def how_to_allow(self, declared: str) -> str:
        """The option of the command line that allows a plugin."""
        return f"--allow-plugin {declared.rpartition(':')[0] or declared}"


@dataclass(frozen=True)
class Externals:
    """The operations that a program may declare: primitives, and plugins."""

    plugins: Plugins = field(default_factory=Plugins)
    primitives: Registry = PRIMITIVES

    def resolve(self, declared: str) -> Kind | None:
        """The target of a declaration; None where it names a primitive that there is not."""
        if not declared.startswith(PREFIX):
            return Kind(_check_plain, lambda values: self._plugin(declared, values))
        found = self.primitives.get(declared.removeprefix(PREFIX))
        return None if found is None else Kind(found.check, found.of, found.widths())

    def _plugin(self, declared: str, values: Mapping[str, object]) -> External:
        given = tuple((name, value) for name, value in values.items() if isinstance(value, Scalar | Var | Open))
        remedy = self.plugins.how_to_allow(declared)
        return self.plugins.resolve(declared, given) or Unavailable(declared=declared, given=given, remedy=remedy)


NO_PLUGINS = Externals()
"""The primitives alone."""


def _check_plain(values: Mapping[str, object]) -> None:
    """Refuse values that the constructor of a plugin's class cannot be given."""
    for name, value in values.items():
        for item in value.values if isinstance(value, Var) else (value,):
            if not isinstance(item, Scalar | Open):
                raise ParameterError(name, "", "a number, a truth value, a text or an open width", item)
