"""The texts of `--emit`: every stage of the pipeline. torch is imported for ``code`` and ``passes`` only."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from compiler.backend.passes import PASSES, STRUCTURAL, Ran, Target, run_passes, weighed
from compiler.elaborate import Elaborated
from compiler.ir.decision import Decision, DecisionKind
from compiler.ir.graph import Block, Call
from compiler.program.model import Program
from compiler.util.errors import UsageError
from hdas_dsl.text.diagnostics import suggest
from hdas_dsl.tree.dump import dump

from .diagram import pictures
from .genotype import genotype_text
from .graphviz import dot
from .settings_text import search_text
from .svg import png_of, svg, svg_of


def hierarchy(space: Elaborated) -> str:
    """The space graph as it was elaborated: each distinct block once, callers first, then the decisions."""
    texts = [_block(block) for block in _blocks(space.block)]
    if space.decisions:
        texts.append("decisions\n" + "".join(f"  {_decision(decision)}\n" for decision in space.decisions.values()))
    return "\n".join(texts)


def python(space: Elaborated) -> str:
    """The code that the network is lowered to, operation by operation: what other passes make of it is for machines."""
    from compiler.backend.lowering.code import code
    from compiler.backend.lowering.fx import lower

    return code(lower(run_passes(space.block.graph, STRUCTURAL), space.decisions))


def _after(count: int) -> Callable[[Elaborated], str]:
    """The flat graph after the first ``count`` passes."""
    return lambda space: run_passes(space.block.graph, PASSES[:count]).pretty()


def passes(space: Elaborated) -> str:
    """The estimated cost of a step on this machine after each pass, and which passes pay."""
    from .columns import columns, text_of

    target = Target.on("auto")
    _, ran = weighed(space.block.graph, PASSES, target)
    header = ("pass", "nodes", "multiply-adds", "traffic", "held", "operations", "step", "")
    table = text_of(columns(header, [_pass_row(item, target) for item in ran]))
    return f"estimated for forward and backward of {target.batch} images on: {target.machine.name}\n\n{table}"


def _pass_row(ran: Ran, target: Target) -> tuple[str, ...]:
    cost = ran.after
    return (
        ran.name,
        str(cost.nodes),
        f"{cost.work * target.batch / 1e9:.1f} G",
        f"{cost.traffic * target.batch / 2**20:.0f} MiB",
        f"{cost.held * target.batch / 2**20:.0f} MiB",
        str(cost.launches),
        f"{cost.seconds(target):.3f} s",
        "" if ran.kept else "left out",
    )


SPACES: dict[str, Callable[[Elaborated], str]] = {
    "graph": hierarchy,
    **{item.name: _after(position + 1) for position, item in enumerate(PASSES)},
    "passes": passes,
    "code": python,
    "dot": dot,
    "svg": svg,
}
"""The forms of a space by name, in the order of the pipeline; pictures last."""

SVG, PNG = "svg", "png"
"""The words of `--emit` for pictures; `emit_png` makes the second, which is not text."""

SEARCH = "search"
"""The word of `--emit` for the settings of a search."""

OF_THE_TEXT = ("ast", SEARCH)
"""The words of `--emit` for what stands in the text, whatever becomes of its network."""

KINDS = ("ast", *SPACES, SEARCH)
"""The words of `--emit`, besides `GENOTYPE`, which only an architecture has."""

GENOTYPE = "genotype"


def emit(space: Elaborated, kind: str, program: Program) -> str:
    """One space of a program as text.

    Raises:
        UsageError: when there is no such kind.
        HspError: no genotype expresses the architecture.
    """
    if kind == "ast":
        return dump(program.unit.module)
    if kind == SEARCH:
        return search_text(program)
    if kind == GENOTYPE:
        return genotype_text(space)
    if kind not in SPACES:
        known = (*KINDS, PNG, GENOTYPE)
        hint = suggest(kind, known) or f"known: {', '.join(known)}"
        raise UsageError(f"there is no kind '{kind}' to print ({hint})")
    return SPACES[kind](space)


def emit_program(program: Program, kind: str) -> str:
    """A whole program as text: where the file has phases, the space of each below a line that names it.

    Raises:
        UsageError: when there is no such kind.
    """
    if kind == SEARCH:
        return search_text(program)
    if kind == SVG:
        return _drawn(program)
    if kind == "ast" or not program.named_phases:
        return emit(program.network, kind, program)
    return "\n".join(f"# phase {phase.name}\n{emit(phase.network, kind, program)}" for phase in program.phases)


def emit_png(program: Program) -> bytes:
    """The picture of a whole program, in pixels."""
    return png_of(_drawn(program))


def _drawn(program: Program) -> str:
    """A whole program as one SVG: the spaces of all its phases below each other."""
    spaces = [phase.network for phase in program.phases] if program.named_phases else [program.network]
    return svg_of(program.name, [picture for space in spaces for picture in pictures(space)])


# ---------------------------------------------------------------- the hierarchical graph


def _blocks(root: Block) -> Iterator[Block]:
    """A block and all below it. Two that read the same, down to the last, count as one."""
    numbers: dict[object, int] = {}
    known: dict[Block, int] = {}
    order: list[Block] = []

    def number(block: Block) -> int:
        if block not in known:
            order.append(block)
            inner = tuple(number(n.payload.block) for _, n in block.graph.order() if isinstance(n.payload, Call))
            known[block] = numbers.setdefault((_block(block), inner), len(numbers))
        return known[block]

    number(root)
    shown: set[int] = set()
    for block in order:
        if known[block] not in shown:
            shown.add(known[block])
            yield block


def _block(block: Block) -> str:
    inner = block.graph
    nodes = [inner.node(index) for index in inner.inputs]
    inputs = ", ".join(f"{node.name}: {node.shape}" for node in nodes)
    arguments = ", ".join(f"{name} = {value}" for name, value in block.arguments)
    result = "" if inner.output is None else f" -> {inner.shape_text(inner.output)}"
    head = f"{block.level} {block.copy or block.name}({inputs}{'; ' if arguments else ''}{arguments}){result}"
    return head + "\n" + "".join(f"  {line}\n" for line in inner.pretty().splitlines())


def _decision(decision: Decision) -> str:
    """A decision with its items; those that are searched over and never derived stand in brackets."""
    items = [
        item if derivable else f"[{item}]" for item, derivable in zip(decision.items, decision.derivable, strict=True)
    ]
    match decision.kind:
        case DecisionKind.PICK:
            return f"{decision.path}: pick {decision.amount} of {', '.join(items)}"
    return f"{decision.path}: {decision.kind.value} {' | '.join(items)}"
