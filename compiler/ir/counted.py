"""The applications that `count(Op)` counts: the name is resolved in the file of the statement."""

from __future__ import annotations

from dataclasses import dataclass, field

from hdas_dsl.sameness import equal_up_to_names
from hdas_dsl.tree import ast
from hdas_dsl.units import Entity, Instance

from .graph import Block
from .primitives.base import Operator
from .primitives.external import PREFIX

Callee = Block | Operator
"""The callee of an application: an operation, a cell, a stage; or a primitive."""


@dataclass(frozen=True)
class Counted:
    """The definitions of a name whose applications are counted.

    Operations of one name that say the same are one, as they are in the text of an architecture. Primitives are counted
    by what they are declared as, `hsp:conv`, wherever that stands.
    """

    name: str
    instance: Instance = field(repr=False)
    definitions: tuple[ast.Definition, ...] = field(compare=False, repr=False)
    _known: dict[Block, bool] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(cls, entity: Entity) -> Counted:
        """All definitions of a name of a file."""
        return cls(entity.name, entity.instance, entity.definitions)

    def counts(self, applied: Callee) -> bool:
        """Whether an application is counted."""
        if isinstance(applied, Operator):
            return any(
                isinstance(definition, ast.OpDef)
                and isinstance(definition.body, ast.External)
                and definition.body.name.removeprefix(PREFIX) == applied.called
                for definition in self.definitions
            )
        if applied not in self._known:
            self._known[applied] = self._defines(applied)
        return self._known[applied]

    def _defines(self, block: Block) -> bool:
        if block.definition is None or block.name != self.name:
            return False
        definition, instance = block.definition
        for own in self.definitions:
            if own is definition and self.instance is instance:
                return True
            is_operation = isinstance(own, ast.OpDef) and isinstance(definition, ast.OpDef)
            if is_operation and equal_up_to_names((own, self.instance), block.definition):
                return True
        return False
