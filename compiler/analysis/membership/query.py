"""Is an architecture in a space, and if not, at which choice does it leave it (law 2)?"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from compiler.analysis.costs.prices import UndefinedQuantityError
from compiler.analysis.counting.count import counted, stated_in
from compiler.analysis.counting.errors import UncountableError
from compiler.analysis.requirements.evaluate import Requirements
from compiler.derivation.strongest import default_decisions
from compiler.elaborate import Elaborated, elaborate
from compiler.elaborate.values import Function
from compiler.ir.combinatorics.circuit import way_of
from compiler.ir.decision import Selection
from compiler.program.model import Phase, Program, deciding
from compiler.program.request import Request
from hdas_dsl.names import name_of_copy
from hdas_dsl.text.diagnostics import HspError
from hdas_dsl.tree import ast
from hdas_dsl.units import Entity, Instance

from .body_matching import Matcher
from .found import NotInSpaceError
from .grammar_matching import grammar_texts


@dataclass(frozen=True, repr=False)
class Membership:
    """The answer: the decisions that give the architecture, or the choice where it leaves the space and why.

    ``derived``: grammars of the space derive it.
    """

    inside: bool
    decisions: Selection = field(default_factory=dict)
    path: str | None = None
    reason: str | None = None
    derived: bool = False

    def __repr__(self) -> str:
        return f"Membership({self.render()})"

    def render(self) -> str:
        """The answer in one line."""
        if self.inside and self.derived:
            return "yes: its grammar derives it"
        if self.inside:
            gives = "decision gives" if len(self.decisions) == 1 else "decisions give"
            return f"yes: {len(self.decisions)} {gives} it"
        return f"no: {self.departure}"

    @property
    def departure(self) -> str:
        """Where an architecture that is not inside leaves the space, and why."""
        return f"it leaves the space at {self.path}: {self.reason}"


def membership_of(request: Request, space: Path) -> Membership:
    """Whether the architecture that a command names lies in the space of a file.

    Raises:
        HspError: when one of the files is wrong.
    """
    architecture, within = request.compile(), Request(space, externals=request.externals)
    program = within.compile()
    answers = [_of_run(program, phases, within, architecture) for phases in _runs(program)]
    return next((answer for answer in answers if answer.inside), answers[0])


def located(request: Request, space: Request) -> Membership:
    """Whether an architecture lies in a space without its optional phases, and by which decisions.

    Raises:
        HspError: when one of the files is wrong.
    """
    program = space.compile()
    return _of_run(program, _runs(program)[0], space, request.compile())


def _runs(program: Program) -> list[list[Phase]]:
    """The ways to run the phases of a file: those that are not optional, then up to each optional one.

    Of each way the phases that decide its result.
    """
    phases = program.phases
    required = [phase for phase in phases if not phase.optional]
    until = [phases[: i + 1] for i, phase in enumerate(phases) if phase.optional]
    return [deciding(ran) for ran in (required or phases, *until)]


def _of_run(program: Program, phases: list[Phase], space: Request, architecture: Program) -> Membership:
    names = [phase.name for phase in phases]
    if program.named_phases:
        # The definitions of the architecture stand for what the earlier phases found.
        try:
            whole = space.compile(dict.fromkeys(names[:-1], architecture.unit.source.text))
        except HspError:
            missing = _missing_copy(phases, architecture)
            return missing or Membership(False, {}, program.name, "its cells do not fit the network of the last phase")
        phases = [phase for phase in whole.phases if phase.name in names]
    return membership(program, architecture, phases)


def membership(program: Program, architecture: Program, phases: list[Phase] | None = None) -> Membership:
    """Whether the architecture lies in the space of the program: of these phases, or all required ones, together."""
    if architecture.is_space:
        return Membership(False, {}, architecture.network.name, "it still has choices in it")
    phases = _runs(program)[0] if phases is None else phases
    last = phases[-1].network if phases else program.network
    decisions: Selection = {}
    try:
        for phase in phases[:-1]:
            found: Selection = {}
            for path, copy in phase.network.copies.items():
                if copy.live and not copy.body.root:
                    function = _definition(architecture.instance, path)
                    # A cell that the last phase has no use for is not in the file.
                    if function is not None:
                        found |= Matcher(phase.network, {}).definition(copy, function)
            if found.keys() == phase.network.decisions.keys():  # Else what it requires is not known of this file.
                _check_requirements(phase.network, found)
            decisions |= found
        if last.grammars:
            last = along(last, architecture.network)
        decisions |= decisions_of(last, architecture.network)
        _check_requirements(last, decisions)
    except NotInSpaceError as refusal:
        return Membership(False, {}, refusal.path, refusal.reason)
    return Membership(True, decisions, derived=bool(last.grammars))


def _check_requirements(space: Elaborated, decisions: Selection) -> None:
    """Check that the selected architecture meets the requirements of its space, as far as they are known.

    Raises:
        NotInSpaceError: it does not.
    """
    if not space.requirements:
        return
    if space.grammars:
        wanted = Requirements(space)
        for item in space.requirements:
            if wanted.shortfall(item, decisions):
                raise NotInSpaceError(item.copy, f"it does not meet `{item}`")
        return
    try:
        circuit, uncounted = counted(space)
    except UncountableError:
        return
    wanted = Requirements(space)
    chosen = {**default_decisions(space.decisions), **decisions}
    for requirement in (item.requirement for item in uncounted):
        with suppress(UndefinedQuantityError):
            if wanted.shortfall(requirement, chosen):
                raise NotInSpaceError(requirement.copy, f"it does not meet `{requirement.span.text}`")
    left_out = [item.requirement for item in uncounted]
    counted_with = [item for path in space.copies for item in stated_in(space, path) if item not in left_out]
    if counted_with and way_of(circuit, decisions) is None:
        conditions = " and ".join(requirement.span.text for requirement in counted_with)
        raise NotInSpaceError(counted_with[0].copy, f"it does not meet `{conditions}`")


def _missing_copy(phases: list[Phase], architecture: Program) -> Membership | None:
    for phase in phases[:-1]:
        for path, copy in phase.network.copies.items():
            if copy.live and not copy.body.root and _definition(architecture.instance, path) is None:
                return Membership(False, {}, path, f"the architecture defines no '{path}'")
    return None


def _definition(instance: Instance, path: str) -> Function | None:
    """The definition that a copy of the space has in the architecture: labelled, or the one of all labels."""
    name = name_of_copy(path)
    found = instance.lookup(name)
    if not isinstance(found, Entity):
        return None
    definition = found.labelled(path) or found.plain
    return Function(definition, found.instance, path) if isinstance(definition, ast.GraphDef) else None


def decisions_of(space: Elaborated, network: Elaborated) -> Selection:
    """The decisions of a space that a network is, as an architecture at its arguments.

    Raises:
        NotInSpaceError: none are.
    """
    again = _at_arguments_of(space, network)
    return next(Matcher(space, again.copies).bodies(space.root.body, again.root.body))


def along(space: Elaborated, network: Elaborated) -> Elaborated:
    """The space with what stands for its grammars in an architecture.

    Raises:
        NotInSpaceError: they do not derive it, or it does not fit there.
    """
    texts = grammar_texts(space, network.copies)
    function = Function(space.root.definition, space.root.instance)
    found, wrong = elaborate(
        function, space.given, externals=space.externals, derive=lambda path, deferred, inputs: texts[path].text
    )
    if found is None:
        raise NotInSpaceError(space.name, wrong[0].message if wrong else "it does not fit the space's arguments")
    return found


def _at_arguments_of(space: Elaborated, own: Elaborated) -> Elaborated:
    """The network of the architecture at the arguments of the space."""
    known = {param.name for param in own.root.definition.params}
    args = {n: v for n, v in space.arguments.items() if n in known and isinstance(v, int | float | bool)}
    function = Function(own.root.definition, own.root.instance)
    again, diagnostics = elaborate(function, args, externals=own.externals)
    if again is None:
        raise NotInSpaceError(
            space.name, diagnostics[0].message if diagnostics else "it does not fit the space's arguments"
        )
    return again
