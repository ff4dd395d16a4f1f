"""Law 2: a derived file parses, has exactly one architecture, and lies in the space that it came from.

It is the architecture that the decisions select: what `specialise` makes of the graph of the space.
"""

import re
from collections import Counter
from collections.abc import Iterator
from itertools import combinations, product
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from compiler.analysis.membership.query import membership, membership_of
from compiler.backend.passes.flatten import flatten
from compiler.derivation import derive_module
from compiler.derivation.specialise import specialise
from compiler.ir.decision import DecisionKind, Selection
from compiler.ir.graph import describe
from compiler.ir.payloads import Prim
from compiler.ir.primitives.base import Gather
from compiler.program.compile_file import compile_file
from compiler.program.model import Program
from compiler.program.request import Request
from compiler.reports.facts import cardinality
from compiler.util.errors import UsageError
from hdas_dsl.format import format_text
from hdas_dsl.text.diagnostics import Code, HspError
from hdas_dsl.tree.printer import print_module
from tests.support.architectures import as_graph
from tests.support.programs import SPACES, random_decisions
from tests.support.random_numbers import numbered_spaces
from tests.support.random_spaces import spaces

PHASED = ("hdas_cifar.hsp", "hdas_digits.hsp", "p_darts.hsp", "drnas.hsp")
FILES = sorted(path.name for path in SPACES.glob("*.hsp") if path.name not in PHASED)


def compiled(path: str | Path, text: str | None = None) -> Program:
    program, diagnostics = compile_file(path, text=text)
    assert program is not None, "\n".join(d.render() for d in diagnostics)
    return program


def check_closure(program: Program, chosen: Selection) -> None:
    space = program.phases[-1].network if program.phases else program.network
    text = print_module(derive_module(space, chosen))
    assert format_text(text, "derived.hsp") == text
    derived = compiled(Path("derived.hsp"), text)
    assert not derived.network.is_space
    assert cardinality(derived.network) == 1
    made = specialise(space, chosen)
    assert as_graph(made) == as_graph(derived.network)
    assert cardinality(made) == 1
    assert {str(r) for r in made.requirements} == {str(r) for r in derived.network.requirements}
    answer = membership(program, derived)
    if space.requirements and not answer.inside:
        # Chosen without a look at what the space requires.
        assert "it does not meet" in answer.render()
        return
    assert answer.inside, f"{answer.render()}\n{text}"
    again = compiled(Path("again.hsp"), print_module(derive_module(space, {**chosen, **answer.decisions})))
    assert same_network(again, derived)


def same_network(*programs: Program) -> bool:
    """Whether flat networks are equal up to their names and the order of what a sum adds up.

    Two ways of choosing may give one network, and list the candidates that they take in another order.
    """
    known: dict[object, int] = {}
    made = []
    for program in programs:
        graph = flatten(program.network.block.graph)
        at: dict[int, int] = {}
        for index, node in graph.order():
            sources = [at[source] for source in graph.sources(index)]
            is_sum = isinstance(node.payload, Prim) and node.payload.op.gather is Gather.SUM
            key = describe(node.payload), tuple(sorted(sources) if is_sum else sources), str(node.shape)
            at[index] = known.setdefault(key, len(known))
        assert graph.output is not None
        made.append((at[graph.output], Counter(at.values())))
    return all(one == made[0] for one in made)


@pytest.mark.parametrize("name", FILES)
def test_every_space(name: str) -> None:
    program = compiled(SPACES / name)
    for seed in range(2):
        check_closure(program, random_decisions(program.network, seed))


@given(spaces(), st.integers(0, 1000))
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_random_spaces(text: str, seed: int) -> None:
    program = compiled(Path("space.hsp"), text)
    if program.network.is_space:
        check_closure(program, random_decisions(program.network, seed))


@given(numbered_spaces(), st.integers(0, 1000))
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_undecided_numbers(text: str, seed: int) -> None:
    """Of parameters, lines and defaults, read in shapes and conditions of cells at several levels."""
    program, diagnostics = compile_file("space.hsp", text=text)
    if program is None:
        # Two instances would have different choices; a menu that is a parameter is mentioned twice in a line.
        assert {d.code for d in diagnostics} <= {Code.INSTANCES, Code.BIND}
    assume(program is not None and program.network.is_space)
    assert program is not None
    check_closure(program, random_decisions(program.network, seed))


CHOOSE = "op f(x) = relu(x)\nop g(x) = gelu(x)\nchoice Op = f | g\n"

SMALL = {
    "a condition on a choice and an index": (
        "k = 0 | 1",
        "n[i < 2] = (relu | sigmoid)(image) + (if k == i then relu(image) else gelu(image))",
        "output n0 + n1",
    ),
    "numbers under each": (
        "ks = (1, 3)",
        "output sum(pick 1 of conv(each (image, relu(image)), each ks, 4))",
    ),
    "equal candidates in another order": ("output sum(pick 2 of (g(image), f(image), g(image)))",),
    "widths under each": (
        "cs = (4, 6)",
        "output sum(pick 1 of conv(each (image, relu(image)), 1, each cs)) -> conv(1, 4)",
    ),
    "tensors of a line under each": ("t = (image, sigmoid(image))", "output sum(pick 1 of Op(each t))"),
    "elements without a name": ("output sum(pick 1 of last 2 of f(each (image, relu(image), gelu(image))))",),
    "an auxiliary head": ("aux relu(image) -> conv(1, 3)", "output image -> (relu | gelu) -> conv(1, 4)"),
    "elements of a line": ("t = (relu(image), gelu(image))", "output sum(pick 1 of t)"),
    "earlier numbers": (
        "k[i < 3] = max(1, 2, earlier k) + (0 | 2)",
        "output conv(image, 1, k2)",
    ),
    "a bundle and an operation with parameters": (
        "m = (add_up(3) | add_up(1))(t) where t = (image, relu(image))",
        "output m",
    ),
    "earlier elements that may not exist": (
        "prune",
        "n[i < 3] = relu(sum(pick any of (image, earlier n))) * sum(image, earlier n)",
        "output sum(n)",
    ),
    "a sum in a sum of what may not exist": (
        "prune",
        "n[i < 3] = relu(sum(pick any of (image, earlier n))) * sum(image, sum(image, earlier n))",
        "output sum(n)",
    ),
    "bundles that each makes": (
        "r = relu(image)",
        "one = Op(each (r))",
        "two = (f | g)(each (image, r))",
        "edge = pick 2 of f(each (image, r, image))",
        "output f(edge + one) + one[0] + two[1]",
    ),
    "elements under each that may not exist": (
        "prune",
        "p = relu(sum(pick any of (image)))",
        "output sum(pick any of Op(each (p, image)))",
    ),
    "the last of what may not exist": (
        "prune",
        "p = relu(sum(pick any of (image)))",
        "n[i < 2] = (f | g)(sum(last 2 of (image, p, earlier n)))",
        "output sum(n)",
    ),
    "a family that may have no element": (
        "n[i < 0 | 1 | 2] = prev(image) -> Op",
        "both = (image, n)",
        "y = last of (image, n) -> relu",
        "output y + sum(image, last 2 of n) + conv(concat(n, image), 1, 4) + sum(both)",
    ),
}


def every_choice(program: Program) -> Iterator[Selection]:
    """All decisions of a small space, whether anything hangs on them or not."""
    ways: list[list[tuple[int, ...]]] = []
    for decision in program.network.decisions.values():
        items = range(len(decision.items))
        match decision.kind:
            case DecisionKind.PICK:
                sizes = range(decision.least, decision.most + 1)
                ways.append([taken for size in sizes for taken in combinations(items, size)])
            case _:
                ways.append([(item,) for item in items if decision.derivable[item]])
    for chosen in product(*ways):
        yield dict(zip(program.network.decisions, chosen, strict=True))


@pytest.mark.parametrize("lines", SMALL.values(), ids=SMALL)
def test_every_architecture(lines: tuple[str, ...]) -> None:
    ops = CHOOSE + "op add_up(x, y; k) = conv(x, k, 4) + conv(y, k, 4)\n"
    program = compiled(Path("space.hsp"), f"hsp 1\n{ops}{net(*lines)}")
    derived = 0
    for chosen in every_choice(program):
        try:
            derive_module(program.network, chosen)
        except HspError:
            continue  # they leave nothing
        check_closure(program, chosen)
        derived += 1
    assert derived > 1


def net(*lines: str) -> str:
    return "network Net(image: [4, 8, 8]) {\n" + "\n".join(lines) + "\n}\n"


def cell(name: str, *lines: str) -> str:
    head = name if "(" in name else f"{name}(x)"
    return f"cell {head} {{\n" + "\n".join(lines) + "\n}\n"


BLOCK = """cell Block(x; c) {
  y = x -> conv(k = 3 | 5, c)
  short = if x.c == c then x else conv(x, 1, c)
  output y + short
}
"""

BOUND = {
    "a width, and a choice in the cell": BLOCK + net("w = 4 | 8", "x = image -> conv(3, w)", "output Block(x, w)"),
    "another width": BLOCK + net("w = 4 | 8", "x = image -> conv(3, 4)", "output Block(x, w) -> Block(4)"),
    "two widths": BLOCK + net("w = 4 | 8", "v = 2 | 4 | 8", "output Block(image, w) -> Block(v)"),
    "a default": cell("Cell(x; k = 3 | 5)", "output conv(x, k)") + net("output Cell(image) -> Cell"),
    "a default of the network": "network Net(image: [4, 8, 8]; k = 3 | 5) {\n  output conv(image, k)\n}\n",
    "a default that nobody takes": cell("Cell(x; k = 3 | 5)", "output conv(x, k) -> (f | g)")
    + net("output Cell(image, k = 1)"),
    "a number of an element": cell("Cell(x; k)", "y = (f | g)(conv(x, n)) where n = k", "output y")
    + net("output Cell(image, 1) -> Cell(3)"),
    "a part of a bundle": cell("Cell(x; k)", "y = (f | g)(conv(x, n)) where (n, m) = (k, 1)", "output y")
    + net("output Cell(image, 1) -> Cell(3)"),
    "a condition on it": cell("Cell(x; k)", "output if k == 1 then (f | g)(x) else sigmoid(x)")
    + net("k = 1 | 3", "output Cell(image, k)"),
    "a branch that only the second instance takes": cell(
        "Cell(x; k)", "y = if k == 3 then (f | g)(x) else sigmoid(x)", "output y"
    )
    + net("k = 1 | 3", "output Cell(image, 3) -> Cell(k)"),
    "a branch that each instance decides on for itself": cell(
        "Cell(x; k)", "y = if k == 1 then sigmoid(x) else (f | g)(x)", "output y"
    )
    + net("output Cell(image, k = 1 | 3) + Cell(image, k = 1 | 3)"),
    "a copy that gets a number where another gets a menu": cell("Cell(x; act)", "output act(x)")
    + net("output Cell(image, Op) -> Cell@p(relu)"),
    "a size that is computed": net("k = 1 | 2", "n[i < 2 * k] = prev(image) -> (f | g)", "output last of n"),
    "a size that is handed over": cell("Cell(x; k)", "n[i < k] = prev(x) -> f", "y = last of n", "output y -> Op")
    + net("k = 1 | 2", "output Cell(image, k) -> Cell(1)"),
    "a menu that a line binds": net("act = Op", "output image -> act -> conv(1, 4) -> act"),
    "menus that an element binds": net("y = image -> a -> b -> a where (a, b) = (Op -> f, Op)", "output y"),
    "a cell that an operation applies": cell("Cell(x; k)", "output conv(x, k) -> Op")
    + "op twice(x; k) = x -> Cell(k) -> Cell(3)\nop more(x) = twice(x, 1) + relu(x)\n"
    + net("output more(image) -> twice(1)"),
    "a menu that an element binds": net("n[i < 2] = act(act(image)) where act = Op", "output n0 + n1"),
}


@pytest.mark.parametrize("text", BOUND.values(), ids=BOUND)
def test_what_is_handed_over_or_bound(text: str) -> None:
    program = compiled(Path("space.hsp"), f"hsp 1\n{CHOOSE}{text}")
    derived = set()
    for chosen in every_choice(program):
        check_closure(program, chosen)
        derived.add(print_module(derive_module(program.network, chosen)))
    assert len(derived) >= cardinality(program.network)  # a choice of a branch that is not taken is written too
    heads = [line for text in derived for line in text.splitlines() if line.endswith("{")]
    assert not any(" | " in head for head in heads)


def test_a_menu_is_decided_once_where_a_line_binds_it() -> None:
    program = compiled(Path("space.hsp"), f"hsp 1\n{CHOOSE}{BOUND['a menu that a line binds']}")
    assert list(program.network.decisions) == ["Net.act"]
    undecided = compiled(Path("space.hsp"), f"hsp 1\n{CHOOSE}{net('output image -> Op -> conv(1, 4) -> Op')}")
    assert cardinality(undecided.network) == 4


def test_the_branch_that_a_choice_takes() -> None:
    space = compiled(Path("space.hsp"), "hsp 1\n" + net("output if (0 | 1) == 1 then relu(image) else gelu(image)"))
    texts = [print_module(derive_module(space.network, {"Net.output.choice": (item,)})) for item in (0, 1)]
    assert ["output gelu(image)" in texts[0], "output relu(image)" in texts[1]] == [True, True]


def darts_with(**lines: str) -> Program:
    text = (SPACES / "zoo/darts_v2.hsp").read_text()
    for name, value in lines.items():
        text = re.sub(rf"  {name} = .*", f"  {name} = {value}", text, count=1)
    return compiled(Path("changed.hsp"), text)


@pytest.mark.parametrize(
    ("line", "value", "path"),
    [
        ("n3", "sep_conv_7x7(x) + dil_conv_3x3(n0)", "Normal.n3.from_x"),
        ("n3", "none(x) + dil_conv_3x3(n0)", "Normal.n3.from_x"),
        ("n3", "skip_connect(x)", "Normal.n3.in"),
        ("n3", "skip_connect(x) + skip_connect(y) + skip_connect(n0)", "Normal.n3.in"),
        ("x", "preprocess(b, b, c)", "Normal.x"),
    ],
)
def test_where_it_leaves(line: str, value: str, path: str) -> None:
    answer = membership(compiled(SPACES / "darts.hsp"), darts_with(**{line: value}))
    assert not answer.inside
    assert answer.path == path


def test_published_cells_lie_in_their_spaces() -> None:
    darts = compiled(SPACES / "darts.hsp")
    for name in ("darts_v2", "pdarts"):
        assert membership(darts, compiled(SPACES / f"zoo/{name}.hsp")).inside
    kinds = {d.kind for d in darts.network.decisions.values()}
    assert kinds == {DecisionKind.OPERATION, DecisionKind.PICK}


def answer(space: str, architecture: str) -> tuple[bool, str | None]:
    given = [compiled(Path(f"{i}.hsp"), f"hsp 1\n{text}") for i, text in enumerate((space, architecture))]
    found = membership(given[0], given[1])
    return found.inside, found.path


def test_a_copy_is_what_it_does() -> None:
    a, b, other = cell("A", "output relu(x)"), cell("B", "output gelu(x)"), cell("B", "output relu6(x)")
    space = a + b + net("output (A | B)(image)")
    assert answer(space, b + net("output B(image)"))[0]
    assert answer(space, b.replace("B", "Renamed") + net("output Renamed(image)"))[0]
    assert not answer(space, other + net("output B(image)"))[0]


def test_an_operation_that_applies_a_cell_is_what_it_does() -> None:
    a, op = cell("A", "output (relu | gelu)(x)"), "op twice(x) = x -> A -> A\n"
    space, found = a + op + net("output twice(image)"), a.replace("(relu | gelu)", "gelu")
    assert answer(space, found + op + net("output twice(image)")) == (True, None)
    assert answer(space, found + op.replace("A -> A", "A -> relu -> A") + net("output twice(image)"))[0] is False
    assert answer(space, a.replace("(relu | gelu)", "relu6") + op + net("output twice(image)"))[0] is False


def test_what_replaces_something_of_the_library_comes_along() -> None:
    head = 'hsp 1\nuse "lib/darts.hsp" with pool_norm = mine, Micro = Few\nop mine(x) = x -> relu -> other\n'
    ops = "op other(x) = gelu(x)\nchoice Few = max_pool_3x3 | avg_pool_3x3 | sep_conv_3x3\n"
    space = compiled(Path("space.hsp"), head + ops + net("output (Few | sep_conv_5x5)(image)"))
    for seed in range(4):
        check_closure(space, random_decisions(space.network, seed))
    text = print_module(derive_module(space.network, random_decisions(space.network, 0)))
    assert text.startswith('hsp 1\nuse "lib/darts.hsp" with pool_norm = mine\n')


def test_an_open_width_is_no_number() -> None:
    """A width that happens to be what the open one would be is another text: it does not follow from its readers."""
    lines = ("a = conv(image, 1, open) -> (relu | gelu)", "b = conv(image, 3, open)", "output concat(a, b, 8)")
    space, found = net(*lines), net(lines[0].replace("(relu | gelu)", "gelu"), *lines[1:])
    assert answer(space, found)[0]
    assert not answer(space, found.replace("open", "4"))[0]
    assert not answer(space.replace("open", "4"), found)[0]


def test_one_decision_of_two_lines() -> None:
    space = net("same = relu | gelu", "a = image -> same", "b = a -> same", "output b")
    for first, second in (("relu", "relu"), ("gelu", "gelu")):
        assert answer(space, net(f"a = image -> {first}", f"b = a -> {second}", "output b"))[0]
    assert not answer(space, net("a = image -> relu", "b = a -> gelu", "output b"))[0]


def test_operations_that_are_handed_over() -> None:
    op = "op both(x; f, g) = f(x) + g(x)\n"
    space = op + net("output both(image, relu | gelu -> relu, sigmoid)")
    assert answer(space, op + net("output both(image, gelu -> relu, sigmoid)"))[0]
    assert not answer(space, op + net("output both(image, gelu -> gelu, sigmoid)"))[0]
    assert not answer(space, op + net("output both(image, relu, relu)"))[0]


def test_an_operation_is_what_its_definition_says() -> None:
    """Under the name of an operation of the space a file may define another, or under another name the same."""
    op = "op f(x) = x -> relu -> g\nop g(x) = sigmoid(x)\n"
    space, found = op + net("output (f | gelu)(image)"), net("output f(image)")
    assert answer(space, op + found) == (True, None)
    assert answer(space, op.replace("f(", "mine(") + found.replace("f(", "mine(")) == (True, None)
    assert answer(space, op.replace("relu", "gelu") + found) == (False, "f")
    assert answer(space, op.replace("sigmoid", "gelu") + found) == (False, "f")


def test_equal_files_hold_equal_operations(tmp_path: Path) -> None:
    library = "hsp 1\nop f(x; k) = x -> conv(k) -> relu\n"
    texts = {"one": library, "two": library, "three": library.replace("relu", "gelu")}
    texts["space"] = f'hsp 1\nuse "one.hsp"\n{net("output f(image, 1 | 3)")}'
    texts |= {f"{name}s": f'hsp 1\nuse "{name}.hsp"\n{net("output f(image, 3)")}' for name in ("one", "two", "three")}
    for name, text in texts.items():
        (tmp_path / f"{name}.hsp").write_text(text)
    space = compiled(tmp_path / "space.hsp")
    for name in ("one", "two", "three"):
        assert membership(space, compiled(tmp_path / f"{name}s.hsp")).inside is (name != "three")


def test_a_long_text_lies_in_its_space() -> None:
    space = compiled(
        Path("space.hsp"), f"hsp 1\n{net('a[i < 1100] = prev(image) -> (relu | gelu)', 'output last of a')}"
    )
    found = compiled(Path("found.hsp"), print_module(derive_module(space.network, random_decisions(space.network, 0))))
    assert membership(space, found).inside


def test_a_search_for_decisions_has_an_end() -> None:
    """Each line matches by two items, and no two of the last ones agree; a term that no pick has is seen at once."""
    many = [f"a{i} = (relu | relu)(image)" for i in range(40)]
    space = net("same = relu | gelu", *many, "b = image -> same", "c = image -> same", "output b + c")
    with pytest.raises(UsageError, match="in too many ways"):
        answer(
            space,
            net(*(f"a{i} = relu(image)" for i in range(40)), "b = relu(image)", "c = gelu(image)", "output b + c"),
        )
    equal = ", ".join(["relu(image)"] * 24)
    terms = " + ".join(["relu(image)"] * 11)
    assert answer(net(f"output sum(pick 12 of ({equal}))"), net(f"output {terms} + relu(image)"))[0]
    assert not answer(net(f"output sum(pick 12 of ({equal}))"), net(f"output {terms} + gelu(image)"))[0]


def test_a_line_that_is_a_pick() -> None:
    space = net("p = pick any of (image, relu(image), gelu(image))", "output concat(image, p) -> conv(1, 4)")
    assert answer(space, net("output concat(image) -> conv(1, 4)"))[0]
    assert answer(space, net("p = (image, gelu(image))", "output concat(image, p) -> conv(1, 4)"))[0]
    assert answer(space, net("p = relu(image)", "output concat(image, p) -> conv(1, 4)"))[0]
    assert not answer(space, net("p = sigmoid(image)", "output concat(image, p) -> conv(1, 4)"))[0]
    assert not answer(space, net("p = relu(image)", "output concat(p, image) -> conv(1, 4)"))[0]


def test_what_is_not_taken_is_not_written() -> None:
    lines = ("n0 = relu(sum(pick any of (image)))", "n1 = gelu(sum(pick any of (image, n0)))")
    space = compiled(Path("space.hsp"), "hsp 1\n" + net(*lines, "output concat(image, pick any of (n0, n1))", "prune"))
    taken = {"Net.n0.in": (), "Net.n1.in": (0, 1), "Net.output.in": (0, 1)}
    text = print_module(derive_module(space.network, taken))
    assert "n0" not in text
    assert "n1 = gelu(image)" in text
    assert "output concat(image, n1)" in text
    check_closure(space, taken)
    nothing = compiled(Path("space.hsp"), "hsp 1\n" + net(*lines, "output n1", "prune"))
    with pytest.raises(HspError, match="leave nothing of 'Net'"):
        derive_module(nothing.network, {"Net.n0.in": (), "Net.n1.in": (1,)})


@pytest.mark.parametrize(
    ("name", "last"), [("hdas_digits.hsp", "macro"), ("hdas_cifar.hsp", "macro"), ("hdas_cifar.hsp", "ends")]
)
def test_phases(name: str, last: str, tmp_path: Path) -> None:
    """What a later phase derives from what the first one found lies in the space of both, also of an optional one."""
    micro = compiled(SPACES / name).phases[0]
    text = print_module(derive_module(micro.network, random_decisions(micro.network, 1)))
    program, _ = compile_file(SPACES / name, found={micro.name: text})
    assert program is not None
    phase = next(phase for phase in program.phases if phase.name == last)
    chosen = random_decisions(phase.network, 2)
    derived = tmp_path / "derived.hsp"
    derived.write_text(print_module(derive_module(phase.network, chosen)))
    assert as_graph(specialise(phase.network, chosen)) == as_graph(compiled(derived).network)
    answer = membership_of(Request(derived), SPACES / name)
    assert answer.inside, f"{answer.render()}\n{derived.read_text()}"
    assert all(answer.decisions[path] == items for path, items in chosen.items() if path in answer.decisions)
    wrong = derived.read_text().replace("max_pool_3x3(a)", "sep_conv_3x3(a)")
    assert wrong != derived.read_text()
    derived.write_text(wrong)
    answer = membership_of(Request(derived), SPACES / name)
    assert answer.path is not None
    assert answer.path.startswith(("Stage@", "Open@"))


def test_a_requirement_is_part_of_the_space() -> None:
    """At the widths of the space, as long as the file does not say what it is trained at."""
    space = net("a = image -> conv(k = 1 | 3)", "b = a -> conv(k = 1 | 3)", "output b", "require params <= 200")
    small, large = (net(f"a = image -> conv({k})", f"b = a -> conv({k})", "output b") for k in (1, 3))
    assert answer(space, small)[0]
    assert answer(space, large) == (False, "Net")


@pytest.mark.parametrize(("edges", "inside"), [(2, True), (1, False)])
def test_a_requirement_on_structure(edges: int, inside: bool) -> None:
    inner = ("n0 = relu(sum(pick any of (x)))", "output sum(x, pick any of (n0))", f"require edges <= {edges}", "prune")
    space = cell("C", *inner) + net("output C(C(image))")
    given = cell("C", "n0 = relu(x)", "output x + n0") + net("output C(C(image))")
    assert answer(space, given) == (inside, None if inside else "C")


@pytest.mark.parametrize("output", ["image", "last of n", "last of n + last of m", "concat(n) -> conv(1, 4)"])
def test_what_is_pruned_decides_nothing(output: str) -> None:
    lines = (
        "k = 1 | 3",
        "u = conv(image, k)",
        "n[i < 1 | 2 | 3] = (relu | gelu)(image)",
        "m[i < 1 | 2] = prev(image) -> (relu | gelu)",
        f"output {output}",
    )
    space = compiled(Path("space.hsp"), "hsp 1\n" + net(*lines, "prune"))
    for seed in range(4):
        check_closure(space, random_decisions(space.network, seed))
