"""Names of the language become names of Python: any name may stand for any thing, and different ones stay different."""

from __future__ import annotations

import builtins
import keyword
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from torch import fx, nn

from compiler.backend.export import ExportKind, export
from compiler.backend.lowering.code import code
from compiler.backend.lowering.network import Network, lowered
from compiler.backend.names import RESERVED, free, identifier, pascal, unique
from compiler.backend.passes import FLATTEN
from compiler.derivation.specialise import specialise
from compiler.elaborate import Elaborated
from compiler.program.compile_file import compile_file
from compiler.searcher.relaxations import relaxed
from compiler.searcher.settings.relaxation import Sample
from compiler.searcher.settings.sections import SearchSettings

AWKWARD = sorted(
    {name for name in RESERVED if not name[-1].isdigit()}  # The elements of a family would be numbers of more digits.
    | {*dir(builtins), *keyword.softkwlist, "_", "__", "___", "__private", "__private_", "half_", "half__", "image_"}
    | {"device", "inf", "nan", "pytree", "operator", "getitem", "Network", "Path", "aux_", "conv", "batch_norm", "relu"}
)
"""Names that Python, torch, the lowering or the exported file uses somewhere, and their neighbours."""

WORDS = st.text("ab_", min_size=1, max_size=4)
NAMES = st.sampled_from(AWKWARD) | st.builds(
    "{}{}".format, st.sampled_from(AWKWARD), st.sampled_from(["_", "__", "_x"])
)


@given(st.sets(NAMES | WORDS, min_size=2, max_size=8))
def test_free_names_are_reserved_by_nobody_and_stay_different(names: set[str]) -> None:
    made = {free(name) for name in names}
    assert len(made) == len(names)
    assert made.isdisjoint(RESERVED)
    assert not any(name.startswith("__") and not name.endswith("__") for name in made), "private to its class"


def test_all_reserved_names_stay_different() -> None:
    """Of each reserved name with up to four underscores more."""
    names = {f"{name}{'_' * n}" for name, n in product(AWKWARD, range(5))}
    assert len({free(name) for name in names}) == len(names)


@pytest.mark.parametrize("name", ["_", "__", "none", "true", "f", "tensor", "a.b", "3x", "half"])
def test_classes_and_identifiers_are_python_s(name: str) -> None:
    for made in (identifier(name), pascal(name)):
        assert made.isidentifier()
        assert not keyword.iskeyword(made)


def test_unique_names_are_taken() -> None:
    taken: set[str] = set()
    assert [unique("a", taken), unique("a", taken), unique("a_2", taken)] == ["a", "a_2", "a_2_2"]


def test_modules_of_any_name_fit_into_torch_s() -> None:
    for name in AWKWARD:
        nn.Module().add_module(free(name), nn.Identity())
        assert not hasattr(fx.GraphModule(nn.Module(), fx.Graph()), free(name))


PROGRAM = """hsp 1
use "lib/prim.hsp"

op {op}({x}; {c}, {k}) = {x} -> conv({k}, {c}) -> batch_norm

choice {menu} = {op}(2, 3) | {op}(2, 1)

cell {cell}({x}; {c}) {{
  {line} = {op}({c}, 1)({x}) where {c}_ = {c}
  {other}[{index} < 2] = {menu}({x})
  output concat({line}, {other})
}}

network {network}({image}: [1, 4, 4]; {c} = 3) {{
  {line} = {cell}({image}, {c})
  {other} = {cell}({line}, 2 * {c})
  output {other} -> global_pool -> linear(5)
}}
"""
ROLES = ("op", "menu", "cell", "line", "other", "x", "c", "k", "index", "network", "image")


def compiled(text: str) -> Elaborated | None:
    program, _ = compile_file(Path("names.hsp"), (), None, text)
    return None if program is None else program.network


@settings(max_examples=12, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(st.lists(NAMES, min_size=len(ROLES), max_size=len(ROLES), unique=True))
def test_a_program_of_any_names_is_searched_derived_and_exported(names: list[str]) -> None:
    space = compiled(PROGRAM.format(**dict(zip(ROLES, names, strict=True))))
    assume(space is not None)
    assert space is not None
    images = torch.randn(2, 1, 4, 4)
    mixed = relaxed(space, SearchSettings())
    assert mixed(images).shape == relaxed(space, SearchSettings(relax=Sample()))(images).shape == (2, 5)
    assert "def forward" in code(lowered(space, (FLATTEN,)).network)
    network = specialise(space, mixed.answer().chosen)
    weights = Network(network).state_dict()
    with TemporaryDirectory() as folder:
        export(network, ExportKind.PY, Path(folder) / "network.py", weights)
