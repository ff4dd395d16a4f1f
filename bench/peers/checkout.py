"""Modules of a released program, imported from a checkout and patched in memory for today's torch and any device.

Nothing is written into the checkout, no byte code either. Patched are the words of torch's old days: ``async=`` (now
``non_blocking=``, a syntax error since Python 3.7), ``Variable(..., volatile=...)``, ``.view(...)`` on tensors that are
not contiguous (channels last), and ``.cuda()`` where there is no GPU. Libraries that a supernet imports beside what it
needs, for images and plots, are stood in for where they are not installed.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import torch

UNUSED = ("PIL", "graphviz", "matplotlib", "scipy", "torchvision")
"""Libraries that released programs import and that their supernets do not use."""


class CheckoutError(Exception):
    """What is missing, for the person who named the checkout."""


def load_module(folder: Path, name: str, *others: Path) -> ModuleType:
    """A module of a checkout with all it imports from there. For a process that imports from one checkout only.

    Args:
        folder: where the module lies.
        name: its name, with dots where it lies in a package; a folder of the checkout is one without saying so.
        others: further folders that it imports from.

    Raises:
        CheckoutError: where the folder is not such a checkout, or its code does not run here.
    """
    if not (folder / f"{name.replace('.', '/')}.py").is_file():
        raise CheckoutError(f"{folder} is not such a checkout: it has no {name.replace('.', '/')}.py")
    finders: list[MetaPathFinder] = [_Finder((folder, *others)), _Absent()]
    sys.meta_path[:0] = finders
    try:
        __import__(name)
    except (ImportError, SyntaxError, AttributeError) as error:
        raise CheckoutError(f"{folder / name}.py does not run here: {error}") from error
    finally:
        for finder in finders:
            sys.meta_path.remove(finder)
    return sys.modules[name]


class _Finder(MetaPathFinder):
    def __init__(self, folders: Sequence[Path]) -> None:
        self.folders = folders

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        for folder in self.folders:
            place = folder.joinpath(*fullname.split("."))
            for file, within in ((place.with_suffix(".py"), None), (place / "__init__.py", [str(place)])):
                if file.is_file():
                    loader = _Loader(fullname, str(file))
                    return spec_from_file_location(fullname, file, loader=loader, submodule_search_locations=within)
            if place.is_dir() and any(place.rglob("*.py")):
                package = ModuleSpec(fullname, None, is_package=True)
                package.submodule_search_locations = [str(place)]
                return package
        return None


class _Loader(SourceFileLoader):
    def get_code(self, fullname: str) -> CodeType:
        file = self.get_filename(fullname)
        return compile(patched(self.get_data(file).decode()), file, "exec")


class _Absent(MetaPathFinder, Loader):
    """Stands in for libraries that are not installed: whatever is asked of them is a class without anything."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        library = fullname.partition(".")[0]
        if library not in UNUSED or (fullname == library and _is_installed(library)):
            return None
        return ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Nothing(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """There is nothing to do."""


class _Nothing(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


def _is_installed(library: str) -> bool:
    others = [finder for finder in sys.meta_path if not isinstance(finder, _Absent | _Finder)]
    return any(finder.find_spec(library, None) for finder in others)


def patched(text: str) -> ast.Module:
    """A program's text as it would be written today."""
    tree: ast.Module = _Today(cuda=torch.cuda.is_available()).visit(
        ast.parse(re.sub(r"\basync\s*=", "non_blocking=", text))
    )
    return ast.fix_missing_locations(tree)


class _Today(ast.NodeTransformer):
    def __init__(self, cuda: bool) -> None:
        self.cuda = cuda

    def visit_Call(self, node: ast.Call) -> Any:
        self.generic_visit(node)
        match node.func:
            case ast.Attribute(attr="cuda", value=value) if not self.cuda:
                return value
            case ast.Attribute(attr="view") as method:
                method.attr = "reshape"
            case ast.Name(id="Variable"):
                node.keywords = [keyword for keyword in node.keywords if keyword.arg != "volatile"]
        return node
