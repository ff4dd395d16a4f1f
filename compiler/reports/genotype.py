"""The genotype of an architecture: what `--emit genotype` prints, where a genotype can say it. No torch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from compiler.elaborate import Copy, Elaborated
from compiler.elaborate.values import Tensor
from hdas_dsl.files import Loader
from hdas_dsl.genotype import Cells, Dag, Genotype, Lattice, Matrix, Part, Stages, Widths, spell
from hdas_dsl.genotype.benchmarks import fill_vertices, fill_widths, read_vertices, read_widths, vertex_template
from hdas_dsl.genotype.build import USUAL, default_space
from hdas_dsl.genotype.extract import InexpressibleError, difference, extract
from hdas_dsl.genotype.inline import Inliner, Site, resolve
from hdas_dsl.genotype.menu import LATTICE_NAMES, VERTEX_NAMES, in_sight
from hdas_dsl.genotype.plan import CELL, CELL_SPACE, NORMAL, REDUCTION, STAGE
from hdas_dsl.genotype.space import Space, read_space
from hdas_dsl.genotype.template import Template, template_of
from hdas_dsl.text.diagnostics import HspError
from hdas_dsl.tree import ast
from hdas_dsl.units import LIBRARY, Entity


def genotype_text(space: Elaborated) -> str:
    """The genotype of an architecture as text; a comment says where it needs its own space to be imported again.

    Raises:
        HspError: no genotype expresses it; the diagnostic names the place.
    """
    try:
        writer = _Writer(space)
        genotype = writer.genotype()
    except InexpressibleError as error:
        raise HspError([error.diagnostic]) from None
    note = f"# Of another space than {writer.usual}: hdas-import needs --space.\n" if writer.differences else ""
    return note + spell(genotype)


def genotype_of(space: Elaborated) -> Genotype:
    """The genotype of an architecture.

    Raises:
        InexpressibleError: no genotype expresses it.
    """
    return _Writer(space).genotype()


class _Writer:
    """Reads the definitions of an architecture; ``differences`` are what they say otherwise than the usual space."""

    def __init__(self, space: Elaborated) -> None:
        self.space = space
        self.where = space.root.definition.copy.span
        self.loader = Loader()
        self.differences: list[InexpressibleError] = []
        self.usual = CELL_SPACE

    def genotype(self) -> Genotype:
        space = self.space
        if space.is_space:
            choices = [*space.decisions, *(place.path for place in space.grammars)]
            raise InexpressibleError(self.where, f"'{space.name}' still has choices, such as {choices[0]}")
        genotype = Genotype(tuple(self.parts()))
        usual = default_space(genotype, joined=False)
        self.usual = usual.name
        if self.differences and self.claims(usual.name):
            raise self.differences[0]
        return genotype

    def claims(self, usual: str) -> bool:
        """Whether the file is one of the usual space by its network, so that its cells have to be so too."""
        lines = self.space.root.instance.unit.module.lines
        settings = (line.settings for line in lines if isinstance(line, ast.Provenance))
        for setting in (setting for group in settings for setting in group):
            if isinstance(setting, ast.Setting) and setting.name == "source":
                return setting.value == ast.String(usual)
        return self.space.root.definition.body == self.shipped(usual).network.definition.body

    def shipped(self, name: str) -> Space:
        return read_space(LIBRARY / name, self.loader)

    # ------------------------------------------------------------ parts

    def parts(self) -> Sequence[Part]:
        copies = [copy for copy in self.space.copies.values() if not copy.body.root]
        cells = [copy for copy in copies if copy.definition.level is ast.Level.CELL]
        stages = [copy for copy in copies if copy.definition.level is ast.Level.STAGE]
        names = {copy.definition.name for copy in cells}
        if names == {CELL}:
            return [self.benchmark(cells[0])]
        other = next((copy for copy in cells if copy.definition.name not in (NORMAL, REDUCTION)), None)
        if other is not None or not cells:
            found = "has no cells" if other is None else f"has a cell '{other.definition.name}'"
            place = self.where if other is None else other.definition.copy.span
            raise InexpressibleError(
                place, f"'{self.space.name}' {found}, where genotypes have '{NORMAL}' and '{REDUCTION}'"
            )
        return [*([self.stages(stages)] if stages else []), self.cells(cells)]

    def benchmark(self, copy: Copy) -> Part:
        return self.widths() or self.matrix(copy) or self.lattice(copy)

    def widths(self) -> Widths | None:
        site = self.shipped(USUAL[Widths]).network
        found = read_widths(site, self.space.root.definition)
        if found is None or len(found.widths) != 5:
            return None
        made = Inliner().graph(Site(fill_widths(site, found, USUAL[Widths]), site.instance))
        return found if made.body == self.space.root.definition.body else None

    def matrix(self, copy: Copy) -> Matrix | None:
        template = next(filter(None, map(vertex_template, self.shipped(USUAL[Matrix]).sites(CELL))), None)
        words = {own: word for word, own in VERTEX_NAMES.items()}
        found = None if template is None else read_vertices(template, copy.definition, words)
        if found is None or template is None:
            return None
        made = fill_vertices(template, found, lambda vertex: ast.Name(VERTEX_NAMES[vertex.op]), Inliner())
        return found if _same_but_numbers(made, copy.definition, template.family) else None

    def lattice(self, copy: Copy) -> Lattice:
        words = {own: word for word, own in LATTICE_NAMES.items()}
        dag = self.dag(copy, copy.definition, self.template(USUAL[Lattice], CELL), words)
        if dag.concat != (len(dag.nodes),) or not all(dag.nodes):
            raise InexpressibleError(copy.definition.copy.span, f"the output of '{copy.path}' is not its last node")
        return Lattice(dag)

    def cells(self, copies: Iterable[Copy]) -> Cells:
        dags: dict[str, dict[int | None, Dag]] = {NORMAL: {}, REDUCTION: {}}
        for kind, found in dags.items():
            template = self.template(CELL_SPACE, kind)
            for copy, definition in _definitions(copies, kind):
                found[_label(definition)] = self.dag(copy, definition, template, {})
        normals, reductions = dags[NORMAL], dags[REDUCTION]
        if set(normals) == {None} == set(reductions):
            return Cells(tuple(normals.values()), tuple(reductions.values()))
        count = len(normals)
        if set(normals) != set(range(count)) or set(reductions) != set(range(1, count)):
            there = ", ".join(str(copy.definition.copy) for copy in copies)
            wanted = f"'{NORMAL}' and '{REDUCTION}', or '{NORMAL}@0', '{REDUCTION}@1', '{NORMAL}@1' and so on"
            raise InexpressibleError(self.where, f"the cells of '{self.space.name}' are {there}, not {wanted}")
        ordered = tuple(normals[k] for k in range(count)), tuple(reductions[k] for k in range(1, count))
        return Cells(*ordered, per_stage=True)

    def stages(self, copies: list[Copy]) -> Stages:
        template = self.template(USUAL[Stages], STAGE)
        name = copies[0].definition.name
        for copy in copies:
            if copy.definition.name != name:
                message = f"the stages '{name}' and '{copy.definition.name}' are of two kinds"
                raise InexpressibleError(copy.definition.copy.span, message)
        found = _definitions(copies, name)
        dags = {_label(definition): self.dag(copy, definition, template, {}) for copy, definition in found}
        if set(dags) != set(range(len(dags))):
            message = f"the stages are not '{name}@0', '{name}@1' and so on, one definition for each"
            raise InexpressibleError(copies[0].definition.copy.span, message)
        return Stages(tuple(dags[k] for k in range(len(dags))))

    # ------------------------------------------------------------ definitions

    def template(self, space: str, role: str) -> Template:
        found = next(filter(None, map(template_of, self.shipped(space).sites(role))), None)
        assert found is not None, f"{space} has a searched {role}"
        return found

    def dag(self, copy: Copy, definition: ast.GraphDef, template: Template, words: dict[str, str]) -> Dag:
        """The nodes of a definition; ``words`` are what genotypes call operations, where that is another name."""

        def word(func: ast.Expr) -> str | None:
            entity = resolve(func, copy.instance)
            if entity is None or not isinstance(entity.plain, ast.OpDef):
                return None
            name = func.name if isinstance(func, ast.Field) else entity.name
            return words.get(name, name)

        tensors = {name for name, value in copy.body.bindings.items() if isinstance(value, Tensor)}
        tensors |= {param.name for param in definition.inputs}
        found = extract(definition, tensors, word)
        wrong = difference(found, definition, template) or self.foreign(found.dag, definition, copy, template, words)
        if wrong is not None:
            self.differences.append(wrong)
        return found.dag

    def foreign(
        self, dag: Dag, definition: ast.GraphDef, copy: Copy, template: Template, words: dict[str, str]
    ) -> InexpressibleError | None:
        """An operation that neither the usual space has, nor the file defines."""
        known = {*in_sight(template.site.instance), *copy.instance.unit.names, *words.values()}
        for j, edge in ((j, edge) for j, node in enumerate(dag.nodes) for edge in node):
            if edge.op not in known:
                place = f"{definition.copy}.{template.family}{j}"
                return InexpressibleError(
                    edge.span, f"'{place}' applies '{edge.op}', which is not an operation of the space"
                )
        return None


def _same_but_numbers(made: ast.GraphDef, definition: ast.GraphDef, family: str) -> bool:
    """Whether two cells are the same, but for the numbers of their nodes."""
    names = [line.target.name for line in definition.body.lines if isinstance(line, ast.Binding)]
    nodes = [name for name in names if name.startswith(family) and name[len(family) :].isdigit()]
    renamed = {name: f"{family}{k}" for k, name in enumerate(nodes)}

    def change(node: ast.Node) -> ast.Node:
        match node:
            case ast.Name(id=name) if name in renamed:
                return ast.Name(renamed[name])
            case ast.Target() if node.name in renamed:
                return ast.Target.of(renamed[node.name])
        return node.mapped(change)

    return definition.body.mapped(change) == made.body


def _definitions(copies: Iterable[Copy], name: str) -> list[tuple[Copy, ast.GraphDef]]:
    """All definitions of a name that the network uses, whether or not at these numbers of cells and stages."""
    copy = next((copy for copy in copies if copy.definition.name == name), None)
    found = copy.instance.lookup(name) if copy is not None else None
    definitions = found.definitions if isinstance(found, Entity) else ()
    return [(copy, line) for line in definitions if copy is not None and isinstance(line, ast.GraphDef)]


def _label(definition: ast.GraphDef) -> int | None:
    """The number of a labelled copy; None for a definition that serves every label."""
    label = definition.copy.parts[-1].label
    if len(definition.copy.parts) > 1 or (label is not None and not label.name.isdigit()):
        raise InexpressibleError(definition.copy.span, f"'{definition.copy}' is not numbered by its stage")
    return None if label is None else int(label.name)
