"""Every file of `spaces/`: its supernet takes steps, what it finds derives, and lies in the space."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from programs import SPACES

from compiler.data.load import load_data
from compiler.data.specs import Fake
from compiler.derivation import derive_module
from compiler.engine import RunOptions, run_search
from compiler.membership import membership
from compiler.program import Phase, Program, compile_file, read_override
from compiler.relaxations import HardGumbel, relaxed
from compiler.settings import Gumbel, Sample, SearchSettings
from compiler.supernet import Network
from hdas_dsl.parser import parse_text
from hdas_dsl.printer import print_module

FILES = sorted(path.name for path in SPACES.glob("*.hsp"))
ARGUMENTS = {"c": 2, "wide": 0.2, "classes": 3, "stages": 2, "stacks": 2, "layers": 3, "n": 1}
"""Arguments that networks are small by, where they have them."""
CELLS = {"darts.hsp": 3, "nasbench101.hsp": 1}
"""Numbers of cells, where another one than the file's makes a small network."""


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
    if name == "nasbench101.hsp":
        wanted["c"] = 8
    texts = [*(f"{key}={value}" for key, value in wanted.items()), f"{image}=({c}, {size}, {size})"]
    small_program, diagnostics = compile_file(path, [read_override(text) for text in texts])
    assert small_program is not None, diagnostics
    return small_program


def phases_of(program: Program) -> list[Phase]:
    """The phases of a file; a space that nobody says how to search is sampled."""
    whole = Phase("", program.network, SearchSettings(relax=Sample(share=True)))
    return list(program.phases) or [whole]


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_a_search_of_each_space(name: str, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    program = small(name)
    for phase in phases_of(program):
        space = phase.network
        c, h, _ = space.input.largest
        output = space.block.graph.node(space.block.graph.output)
        assert output.shape.c == 3 or name == "tree.hsp"
        fake = Fake(classes=int(output.shape.largest[0]), count=12, channels=c, size=h)
        settings = phase.settings.replace("data", fake).replace("epochs", 1).replace("batch", 2)
        torch.manual_seed(0)
        supernet = relaxed(space, settings)
        out = tmp_path / (phase.name or "whole")
        data = load_data(fake, tmp_path)
        if output.shape.space:
            data = data.everywhere(output.shape.largest[1:])
        before = {path: alpha.detach().clone() for path, alpha in supernet.alphas.items()}
        weights = [weight.detach().clone() for weight in supernet.weights()]
        outcome = run_search(
            supernet, data, settings, RunOptions(out, device="cpu", quiet=True), anneal=supernet.anneal
        )
        moved = [not torch.equal(a, b) for a, b in zip(weights, supernet.weights(), strict=True)]
        assert any(moved)
        if phase.settings.alphas_from == 0:
            assert any(not torch.equal(alpha, before[path]) for path, alpha in outcome.alphas.items())
        text = print_module(derive_module(space, supernet.answer(outcome.alphas).chosen))
        assert print_module(parse_text(text, name)) == text
        derived, diagnostics = compile_file("derived.hsp", text=text)
        assert derived is not None, diagnostics
        assert not derived.is_space
        if not program.named_phases:
            assert membership(program, derived).inside
        network = Network(derived.network)
        made = network(torch.randn(2, *derived.network.input.largest))
        logits = made[0] if isinstance(made, tuple) else made
        assert logits.shape[1:] == output.shape.largest


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_one_path_of_each_space(name: str) -> None:
    """Every space can be sampled, and searched by hard Gumbel-softmax: one pass forwards and backwards."""
    torch.set_num_threads(1)
    for phase in phases_of(small(name)):
        torch.manual_seed(0)
        hard = relaxed(phase.network, SearchSettings(relax=Gumbel(hard=True)))
        assert isinstance(hard, HardGumbel)
        logits = hard(torch.randn(2, *phase.network.input.largest))
        logits.square().sum().backward()
        assert any(alpha.grad is not None for alpha in hard.alphas.values())
