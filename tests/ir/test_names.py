"""No code but the primitives' own names one: passes, counts, costs, relaxations, reports and exports ask for traits."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import compiler
import hdas_dsl
from compiler.ir.primitives.registry import PRIMITIVES

COMPILER, LANGUAGE = (Path(package.__file__ or "").parent for package in (compiler, hdas_dsl))
HOME = COMPILER / "ir" / "primitives"
NAMES = {op.name for op in PRIMITIVES}

OTHER_MEANINGS = {
    ("compiler/backend/passes/__init__.py", "flatten"): "a pass",
    ("compiler/searcher/engine/retrain.py", "drop_path"): "a column of the log",
    ("compiler/searcher/settings/combine.py", "drop_path"): "a setting of a search",
    ("compiler/runs/decided.py", "drop_path"): "a setting of a search",
    ("compiler/backend/fused/kernel/layout.py", "relu"): "a field of the kernel's terms",
    ("compiler/ir/sums.py", "relu"): "the ReLU of a term, which is no primitive any more",
    ("compiler/searcher/settings/relaxation.py", "sigmoid"): "a word of the setting `relax`",
    ("compiler/searcher/settings/relaxation.py", "softmax"): "a word of the setting `relax`",
    ("compiler/searcher/settings/relaxation.py", "relu"): "a word of its argument `logits`",
    ("compiler/backend/torch_modules/images.py", "linear"): "torch's name of an interpolation",
    ("compiler/lsp/settings.py", "drop_path"): "a setting of a search",
    ("compiler/lsp/settings.py", "dropout"): "a setting of a search",
    ("compiler/elaborate/additions.py", "dropout"): "the place of an operation in names",
    ("compiler/lsp/mentions.py", "dropout"): "a setting of a search",
    ("compiler/program/named_by_settings.py", "dropout"): "a setting of a search",
    ("compiler/runs/decided.py", "dropout"): "a setting of a search",
    ("compiler/searcher/settings/combine.py", "dropout"): "a setting of a search",
    ("compiler/program/task_fit.py", "crop"): "a setting of data",
    ("compiler/program/equivalence.py", "identity"): "a setting of an `equivalence`",
    ("compiler/program/equivalence.py", "zero"): "a setting of an `equivalence`",
    ("compiler/elaborate/tensors.py", "concat"): "the place of a concatenation in names",
    ("hdas_dsl/diff/edges.py", "concat"): "a function of the language",
    ("hdas_dsl/diff/expressions.py", "concat"): "a function of the language",
    ("hdas_dsl/genotype/extract.py", "concat"): "a function of the language",
    ("hdas_dsl/genotype/fill.py", "concat"): "a function of the language",
    ("hdas_dsl/tree/words.py", "concat"): "a function of the language",
}
"""Words that are the name of a primitive and of something else."""


def literals(tree: ast.AST) -> Iterator[str]:
    """The string literals of a module that are a name of a primitive, with or without the prefix of a program."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            name = node.value.removeprefix("hsp:")
            if name in NAMES:
                yield name


def found(root: Path) -> set[tuple[str, str]]:
    """All such literals below a folder, by file."""
    files = [path for path in root.rglob("*.py") if not path.is_relative_to(HOME)]
    assert files
    named = {path.relative_to(root.parent).as_posix(): ast.parse(path.read_text(encoding="utf-8")) for path in files}
    return {(file, name) for file, tree in named.items() for name in literals(tree)}


def test_no_code_lists_names_of_primitives() -> None:
    unknown = (found(COMPILER) | found(LANGUAGE)) - OTHER_MEANINGS.keys()
    assert not unknown, f"ask for a trait of `compiler.ir.primitives.base.Operator` instead: {sorted(unknown)}"


MADE = {
    "compiler/analysis/costs/prices.py": {"Add"},
    "compiler/backend/export/outline.py": {"Zero"},
    "compiler/backend/passes/layout.py": {"ChannelsLast"},
    "compiler/backend/passes/narrow.py": {"Zero"},
    "compiler/derivation/selected_steps.py": {"Add"},
    "compiler/elaborate/additions.py": {"Add"},
    "compiler/elaborate/partial.py": {"Concat", "Cut", "MaxPool", "Shuffle"},
    "compiler/elaborate/tensors.py": {"Add", "Concat", "Mul"},
}
"""The primitives that the compiler itself adds to graphs: no other code knows a class of theirs."""


def test_no_code_matches_classes_of_primitives() -> None:
    classes = {op.__name__: op.__module__ for op in PRIMITIVES}
    imported: dict[str, set[str]] = {}
    for path in COMPILER.rglob("*.py"):
        for node in () if path.is_relative_to(HOME) else ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                file = path.relative_to(COMPILER.parent).as_posix()
                taken = {
                    alias.name for alias in node.names if alias.name in classes and classes[alias.name] == node.module
                }
                imported.setdefault(file, set()).update(taken)
    assert {file: names for file, names in imported.items() if names} == MADE


def test_every_exception_is_needed() -> None:
    assert OTHER_MEANINGS.keys() <= found(COMPILER) | found(LANGUAGE)


def test_the_scan_sees_a_name() -> None:
    tree = ast.parse(
        "match prim:\n    case Prim(name='add' | 'concat'):\n        pass\nnames = {'batch_norm': 4, 'k': 2}"
    )
    assert sorted(literals(tree)) == ["add", "batch_norm", "concat"]
