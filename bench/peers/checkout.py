"""Modules of a released program, imported from a checkout and patched in memory for today's torch and any device.

Nothing is written into the checkout, no byte code either. Patched are the words of torch's old days: ``async=`` (now
``non_blocking=``, a syntax error since Python 3.7), ``Variable(..., volatile=...)``, ``.view(...)`` on tensors that are
not contiguous (channels last), and ``.cuda()`` where there is no GPU.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import torch


class CheckoutError(Exception):
    """What is missing, for the person who named the checkout."""


def load_module(folder: Path, name: str) -> ModuleType:
    """A module of a checkout with all it imports from there. For a process that imports from one checkout only.

    Raises:
        CheckoutError: where the folder is not such a checkout, or its code does not run here.
    """
    if not (folder / f"{name}.py").is_file():
        raise CheckoutError(f"{folder} is no such checkout: it has no {name}.py")
    finder = _Finder(folder)
    sys.meta_path.insert(0, finder)
    try:
        __import__(name)
    except (ImportError, SyntaxError, AttributeError) as error:
        raise CheckoutError(f"{folder / name}.py does not run here: {error}") from error
    finally:
        sys.meta_path.remove(finder)
    return sys.modules[name]


class _Finder(MetaPathFinder):
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        file = self.folder / f"{fullname}.py"
        if not file.is_file():
            return None
        return spec_from_file_location(fullname, file, loader=_Loader(fullname, str(file)))


class _Loader(SourceFileLoader):
    def get_code(self, fullname: str) -> CodeType:
        file = self.get_filename(fullname)
        return compile(patched(self.get_data(file).decode()), file, "exec")


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
