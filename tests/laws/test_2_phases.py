"""Law 2 for programs of several phases and files: what the last phase derives lies in the space of all."""

import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compiler.analysis.membership.query import membership_of
from compiler.derivation import derive_module
from compiler.program.compile_file import compile_file
from compiler.program.request import Request
from hdas_dsl.tree.printer import print_module
from tests.support.programs import SPACES, random_decisions

OPS = """hsp 1
op norm(x) = batch_norm(x)
op pool_norm(x) = x
op unit(x; k) = x -> conv(k) -> norm
op pool(x) = x -> avg_pool(3) -> pool_norm
op twice(x; f) = f(f(x))
"""

NET = """
cell Cell(x) {
  a = Low(x)
  output High(a)
}

network Cells(image: [1, 8, 8]; c = 4) {
  output image -> conv(3, c) -> Cell -> classifier(10)
}

network Stages(image: [1, 8, 8]; c = 4, Cell) {
  output image -> conv(3, c) -> Stage(Cell) -> classifier(10)
}

search {
  data = digits
  phase micro = Cells(c = 4)
  phase macro = Stages(c = 4, Cell = micro.Cell)
}
"""

STAGE = """
stage Stage(x; Cell) {
  a = High(x)
  b = Low(a)
  output Cell(b)
}
"""

WITH = ("", " with pool_norm = norm", " with norm = pool_norm")
ITEMS = ("pool", "unit(3)", "unit(1)", "identity", "twice(pool)", "twice(unit(3))", "twice(unit(3) -> pool)")


def derived(path: Path, seed: int) -> str:
    """What random decisions of each phase in turn leave, as the last phase that is not optional writes it."""
    found: dict[str, str] = {}
    program, _ = compile_file(path)
    assert program is not None
    for name in [phase.name for phase in program.phases if not phase.optional]:
        program, diagnostics = compile_file(path, found=found)
        assert program is not None, "\n".join(d.render() for d in diagnostics)
        space = next(phase.network for phase in program.phases if phase.name == name)
        found[name] = print_module(derive_module(space, random_decisions(space, seed)))
    return found[name]


def check_inside(path: Path, seed: int) -> str:
    text = derived(path, seed)
    written = path.parent / "found.hsp"
    written.write_text(text)
    program, diagnostics = compile_file(written)
    assert program is not None, "\n".join(d.render() for d in diagnostics)
    assert not program.network.is_space
    answer = membership_of(Request(written), path)
    assert answer.inside, f"{answer.render()}\n{text}"
    return text


@given(
    menus=st.tuples(*[st.lists(st.sampled_from(ITEMS), min_size=2, max_size=4, unique=True)] * 2),
    uses=st.tuples(*[st.sampled_from(WITH)] * 2),
    seed=st.integers(0, 1000),
)
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
def test_one_file_used_twice(
    menus: tuple[list[str], list[str]], uses: tuple[str, str], seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """With replacements that differ or not, by the cells of the first phase and by the stages of the second."""
    folder = tmp_path_factory.mktemp("files")
    low, high = (" | ".join(items) for items in menus)
    (folder / "ops.hsp").write_text(f"{OPS}choice Low = {low}\nchoice High = {high}\n")
    (folder / "stage.hsp").write_text(f'hsp 1\nuse "ops.hsp"{uses[0]}\n{STAGE}')
    (folder / "net.hsp").write_text(f'hsp 1\nuse "ops.hsp"{uses[1]}\nuse "stage.hsp"\n{NET}')
    text = check_inside(folder / "net.hsp", seed)
    if uses[0] == uses[1]:
        assert "pool_2" not in text
        assert "unit_2" not in text


def test_a_copy_of_the_library(tmp_path: Path) -> None:
    """Beside the shipped one, whose files a derived file may use, lies one that it has to inline."""
    copy = shutil.copytree(SPACES, tmp_path / "copy")
    assert "pool_3x3_2" not in check_inside(copy / "hdas_digits.hsp", 0)


INNER = """hsp 1
cell Cell(x) {
  output x -> (relu | identity)
}

network Net(image: [1, 8, 8]) {
  output image -> Cell -> classifier(10)
}

stage Stage(x; Inner = Cell) {
  a = Inner(x)
  output a -> (relu | gelu)
}

stage Fixed(x; Inner = Cell) {
  output Inner(x)
}

network Net2(image: [1, 8, 8]; Inner = Cell, Other = Inner) {
  output image -> %s -> (relu | identity) -> classifier(10)
}

search {
  data = digits
  phase micro = Net
  phase macro = Net2(Inner = micro.Cell)
}
"""


@pytest.mark.parametrize(
    "stages",
    [
        "Inner",
        "Stage(Inner) -> Stage@p(Inner = Other)",
        "Stage(Inner) -> Stage@p",
        "Fixed(Inner)",
        "Fixed(Inner) -> Fixed",
        "Stage",
        "Inner -> Cell -> Stage",
    ],
)
def test_a_default_of_the_same_name_as_what_is_handed_over(stages: str, tmp_path: Path) -> None:
    path = tmp_path / "net.hsp"
    path.write_text(INNER % stages)
    for seed in range(2):
        assert " | " not in check_inside(path, seed)
