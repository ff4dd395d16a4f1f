"""Every file of `spaces/`: its supernet takes steps, what it finds derives, and lies in the space."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from compiler.analysis.membership.query import membership
from compiler.backend.lowering.network import Network
from compiler.derivation import derive_module
from compiler.program.compile_file import compile_file
from compiler.program.model import Phase, Program
from compiler.program.overrides import read_override
from compiler.searcher.data.load import load_data
from compiler.searcher.engine import RunOptions, run_search
from compiler.searcher.relaxations import HardGumbel, Temperature, relaxed
from compiler.searcher.settings.datasets import Fake
from compiler.searcher.settings.optimizers import AlphaFixed
from compiler.searcher.settings.relaxation import Sample
from compiler.searcher.settings.schedules import Constant
from compiler.searcher.settings.sections import SearchSettings
from hdas_dsl.parse.parser import parse_text
from hdas_dsl.tree.printer import print_module
from tests.support.programs import SPACES

FILES = sorted(path.name for path in SPACES.glob("*.hsp"))
WIDTHS = {"nasbench101.hsp": 8, "drnas.hsp": 12}
"""Of spaces, or searches, that divide their channels."""
ARGUMENTS = {"c": 2, "wide": 0.2, "classes": 3, "stages": 2, "stacks": 2, "layers": 3, "n": 1}
"""Arguments that networks are small by, where they have them."""
CELLS = {
    **dict.fromkeys(("darts.hsp", "drnas.hsp", "fair_darts.hsp", "p_darts.hsp"), 3),
    **{f"robustdarts_s{number}.hsp": 3 for number in (1, 2, 3, 4)},
    "nasbench101.hsp": 1,
}
"""Numbers of cells, where another one than the file's makes a small network."""
SHORTER = {"hierarchical_nb201.hsp": ("body = D2(stem)", "body = D1(stem)")}
"""Lines that stand for others, where no argument makes a network small: the choices around others are of one kind."""


def small(name: str) -> Program:
    """The program of a file, on small images, with as little of everything as its structure allows."""
    path = SPACES / name
    program, diagnostics = compile_file(path)
    assert program is not None, diagnostics
    networks = [phase.network for phase in program.phases] or [program.network]
    known = {param.name for network in networks for param in network.root.definition.params}
    (image,) = {param.name for param in networks[0].root.definition.inputs}
    c, h, _ = networks[0].input.largest
    size = min(h, 16 if "layers" in known else 32 if h > 32 else 16 if h > 8 else 8)
    wanted = {key: value for key, value in ARGUMENTS.items() if key in known}
    wanted |= {"cells": CELLS[name]} if name in CELLS else {}
    wanted |= {"c": WIDTHS[name]} if name in WIDTHS else {}
    texts = [*(f"{key}={value}" for key, value in wanted.items()), f"{image}=({c}, {size}, {size})"]
    # What was measured on a phone is not at hand.
    text = path.read_text().replace('latency("tables/galaxy_s8.csv")', "macs")
    before, after = SHORTER.get(name, ("", ""))
    assert before in text
    text = text.replace(before, after) if before else text
    small_program, diagnostics = compile_file(path, [read_override(text) for text in texts], text=text)
    assert small_program is not None, diagnostics
    return small_program


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_a_search_of_each_space(name: str, tmp_path: Path) -> None:
    """As its file says it is searched; by sampling where it says nothing, or has no supernet. Of phases, the first."""
    torch.set_num_threads(1)
    program = small(name)
    whole = Phase("", program.network, SearchSettings(relax=Sample(share=True)))
    phase = (*(item for item in program.phases if item.settings.epochs), whole)[0]
    space = phase.network
    channels, size, _ = space.input.largest
    assert space.block.graph.output is not None
    output = space.block.graph.node(space.block.graph.output).shape
    fake = Fake(classes=int(output.largest[0]), count=8, channels=channels, size=size)
    settings = phase.settings.replace("data", fake).replace("epochs", 1).replace("batch", 2)
    data = load_data(fake, tmp_path)
    torch.manual_seed(0)
    supernet = relaxed(space, settings)
    before = {path: alpha.detach().clone() for path, alpha in supernet.alphas.items()}
    weights = [weight.detach().clone() for weight in supernet.weights()]
    options = RunOptions(tmp_path / "run", device="cpu", quiet=True)
    outcome = run_search(supernet, data, settings, options)
    assert any(not torch.equal(a, b) for a, b in zip(weights, supernet.weights(), strict=True))
    rest = bool(settings.alphas_from) or isinstance(settings.alphas, AlphaFixed)
    assert rest or any(not torch.equal(a, before[path]) for path, a in outcome.alphas.items())
    text = print_module(derive_module(space, supernet.answer(outcome.alphas).chosen))
    assert print_module(parse_text(text, name)) == text
    derived, diagnostics = compile_file("derived.hsp", text=text)
    assert derived is not None, diagnostics
    assert not derived.is_space
    assert program.named_phases or membership(program, derived).inside
    made = Network(derived.network)(torch.randn(2, *derived.network.input.largest))
    assert (made[0] if isinstance(made, tuple) else made).shape[1:] == output.largest
    if settings.relax.mixes:
        hard = HardGumbel(space, Temperature(Constant(value=1.0), 1))
        hard(torch.randn(2, *space.input.largest)).square().sum().backward()
        assert any(alpha.grad is not None for alpha in hard.alphas.values())
