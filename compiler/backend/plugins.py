"""Plugins: operations that are torch modules of a user's own, declared `external` and allowed by name.

    op mixer(x; rate) : [x.c, x.rest] = external "blocks.py:Mixer"      # allowed by --allow-plugin path/to/blocks.py
    op norm(x) = external "package.module:Norm"                         # allowed by --allow-plugin package.module

Nothing of a plugin is imported unless it is allowed. The protocol is in `docs/plugins.md`.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from numbers import Integral
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import TYPE_CHECKING, ClassVar

from compiler.ir.primitives.external import External, Externals, Plugins
from compiler.ir.primitives.parameters import Attribute
from compiler.ir.shape import Ints
from compiler.util.errors import LoweringError, UsageError
from hdas_dsl.text.diagnostics import hinted, suggest, suggest_or_list
from hdas_dsl.text.reading import is_file, no_file, resolved

if TYPE_CHECKING:
    from torch import nn

BATCH = 2
"""How many images a module is tried with, on the meta device."""


@dataclass(frozen=True, kw_only=True)
class Plugin(External):
    """A class of a module, or of a file, that is allowed.

    Its parameters are counted on the module itself, its multiply-adds by its own ``macs`` or as products of matrices
    and convolutions, on torch's meta device: nothing is computed.
    """

    fills: ClassVar[bool] = True
    any_width: ClassVar[bool] = False

    file: Path | None = None

    @property
    def class_name(self) -> str:
        """The name of the class."""
        return self.declared.rpartition(":")[2]

    def params(self, inputs: Sequence[Ints], output: Ints) -> int:
        """The trainable parameters of the module."""
        return sum(p.numel() for p in self.on_meta(inputs).parameters() if p.requires_grad)

    def macs(self, inputs: Sequence[Ints], output: Ints) -> int:
        """The multiply-adds of the module for one image: its own ``macs``, else those that torch counts.

        Raises:
            LoweringError: its own ``macs`` raises, or gives no number that a cost can be.
        """
        own = getattr(self.load(), "macs", None)
        if own is not None:
            try:
                found = own(*inputs, **dict(self.given))
            except Exception as error:
                raise LoweringError(f"the plugin '{self.declared}' cannot count its macs: {_said(error)}") from error
            if isinstance(found, bool) or not isinstance(found, Integral) or found < 0:
                raise LoweringError(f"the plugin '{self.declared}' says that its macs are {found!r}: no whole number")
            return int(found)
        import torch
        from torch.utils.flop_counter import FlopCounterMode

        module = self.on_meta(inputs)
        with FlopCounterMode(display=False) as counted, torch.no_grad():
            self.check_output(module, inputs, output)
        return int(counted.get_total_flops()) // (2 * BATCH)

    def build(self, inputs: Sequence[Ints], output: Ints) -> nn.Module:
        """The module, whose output has the declared shape.

        Raises:
            LoweringError: it cannot be made, is not a module, or its output has another shape.
        """
        self.check_output(self.on_meta(inputs), inputs, output)
        return self.make(inputs)

    # ------------------------------------------------------------ the module

    def load(self) -> type[nn.Module]:
        """The class; importing it runs the code of its module."""
        from torch import nn

        found = self.imported()
        if not isinstance(found, type) or not issubclass(found, nn.Module):
            raise LoweringError(f"the plugin '{self.declared}' is not a torch module")
        return found

    def imported(self) -> object:
        """The object that the declaration names; importing it runs the code of its module."""
        where = self.declared.rpartition(":")[0]
        try:
            module = importlib.import_module(where) if self.file is None else _of_file(self.file)
        except Exception as error:
            raise LoweringError(f"the plugin '{self.declared}' cannot be imported: {_said(error)}") from error
        if not hasattr(module, self.class_name):
            own = [name for name, item in vars(module).items() if getattr(item, "__module__", "") == module.__name__]
            raise LoweringError(hinted(f"'{where}' has no '{self.class_name}'", suggest_or_list(self.class_name, own)))
        return getattr(module, self.class_name)

    def make(self, inputs: Sequence[Ints]) -> nn.Module:
        """The module, as its class makes it of the shapes of its inputs and the parameters."""
        try:
            return self.load()(*inputs, **dict(self.given))
        except LoweringError:
            raise
        except Exception as error:
            given = ", ".join([*map(str, inputs), *(f"{name}={value}" for name, value in self.given)])
            message = f"the plugin '{self.declared}' cannot be made as {self.class_name}({given}): {_said(error)}"
            raise LoweringError(message) from error

    def on_meta(self, inputs: Sequence[Ints]) -> nn.Module:
        """The module on torch's meta device: its parameters have shapes, but no memory."""
        import torch

        with torch.device("meta"):
            return self.make(inputs).eval()

    def check_output(self, module: nn.Module, inputs: Sequence[Ints], output: Ints) -> None:
        """Run the module on the meta device, and compare the shape of its output with the declared one."""
        import torch

        images = [torch.empty(BATCH, *shape, device="meta") for shape in inputs]
        try:
            with torch.no_grad():
                found = module(*images)
        except Exception as error:
            shapes = " and ".join("x".join(map(str, shape)) for shape in inputs)
            raise LoweringError(f"the plugin '{self.declared}' cannot take {shapes}: {_said(error)}") from error
        shape = tuple(found.shape) if isinstance(found, torch.Tensor) else None
        if shape != (BATCH, *output):
            wanted = "x".join(map(str, output))
            got = type(found).__name__ if shape is None else "x".join(map(str, shape[1:]))
            raise LoweringError(f"the plugin '{self.declared}' gives {got} where its signature says {wanted}")


@dataclass(frozen=True)
class AllowedPlugins(Plugins):
    """The plugins that a user allows.

    ``allowed`` are modules (``package.module``) and files by their paths, all or one class (``:Class``) of each.
    """

    allowed: frozenset[str] = frozenset()

    def resolve(self, declared: str, given: tuple[tuple[str, Attribute], ...]) -> Plugin | None:
        """The plugin of a declaration, if it is allowed."""
        where, colon, name = declared.rpartition(":")
        if not colon or not name.isidentifier():
            return None
        for item in sorted(self.allowed):
            if _is_class(item) and item.rpartition(":")[2] != name:
                continue
            file = file_of(item)
            if not where.endswith(".py"):
                if file is None and item in (where, declared):
                    return Plugin(declared=declared, given=given)
            elif file is not None and _ends_with(file, PurePosixPath(where)):
                return Plugin(declared=declared, given=given, file=file)
        return None

    def own_class(self, declared: str, group: str) -> type | None:
        """A class that is not an operation, if it is allowed."""
        place = _place(declared, group)
        plugin = self.resolve(place, ())
        if plugin is None:
            return None
        found = plugin.imported()
        if not isinstance(found, type):
            raise UsageError(f"'{place}' is not a class")
        return found

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that are allowed."""
        return tuple(file for item in sorted(self.allowed) if (file := file_of(item)) is not None)


def allow(items: Iterable[str | Path]) -> Externals:
    """The primitives, and the plugins of modules and files: all or one class of each.

    Raises:
        UsageError: there is no such file.
    """
    named = frozenset(map(str, items))
    for file in filter(None, map(file_of, sorted(named))):
        if not is_file(file):
            raise UsageError(f"{no_file(file, file.name)} of plugins: looked for '{file}'")
    return Externals(AllowedPlugins(named))


def own_class(externals: Externals, declared: str, group: str) -> type:
    """A class of a user's own, which is not an operation: by its place, or by the name of an entry point of a group.

    Raises:
        UsageError: it is not allowed, there is no such entry point, or it is not a class.
        LoweringError: it cannot be imported.
    """
    place = _place(declared, group)  # a missing entry point is an error even where no plugin is allowed
    found = externals.plugins.own_class(place, group)
    if found is None:
        raise _not_allowed(place)
    return found


def _place(declared: str, group: str) -> str:
    """The place ``module:Class`` of a class that a file names by its place or by an entry point of ``group``."""
    if ":" in declared:
        return declared
    known = {item.name: item.value for item in entry_points(group=group)}
    if declared not in known:
        hint = suggest(declared, known) or f"write it as \"file.py:Class\", or install a package with '{group}'"
        raise UsageError(f"there is no entry point '{declared}' of '{group}': {hint}")
    return known[declared]


def own_function(externals: Externals, declared: str) -> Callable[[], object]:
    """A function of a user's own without arguments, by its place.

    Raises:
        UsageError: it is not allowed, or cannot be called.
        LoweringError: it cannot be imported.
    """
    plugin = externals.plugins.resolve(declared, ())
    if not isinstance(plugin, Plugin):
        raise _not_allowed(declared)
    found = plugin.imported()
    if not callable(found):
        raise UsageError(f"'{declared}' is not a function")
    return found


def _not_allowed(declared: str) -> UsageError:
    where = declared.rpartition(":")[0]
    return UsageError(
        f"'{declared}' is code of your own, which runs when it is asked: --allow-plugin {where} allows it"
    )


def file_of(item: str) -> Path | None:
    """The file that ``--allow-plugin`` names; None where it names a module."""
    place = item.rpartition(":")[0] if _is_class(item) else item
    return resolved(Path(place)) if place.endswith(".py") else None


def _is_class(item: str) -> bool:
    """Whether the argument of ``--allow-plugin`` ends in the name of a class; a colon may also stand in a path."""
    return item.rpartition(":")[2].isidentifier() and ":" in item


def _ends_with(path: Path, end: PurePosixPath) -> bool:
    """Whether a path ends with the relative path ``end`` that a program names; one with ``..`` in it never matches."""
    if end.is_absolute() or ".." in end.parts:
        return False
    parts = path.parts
    return parts[len(parts) - len(end.parts) :] == end.parts


def _of_file(file: Path) -> ModuleType:
    """The module of a file, executed once for each content."""
    digest = hashlib.sha256(file.read_bytes()).hexdigest()[:16]
    name = f"hdas_plugin_{file.stem}_{digest}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"'{file.name}' is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
