"""Operators in torch: the modules and calls that primitives name as plain data, and the modules of plugins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, fx, nn

from compiler.backend.fused.batch_norm import BatchNorm
from compiler.backend.plugins import Plugin
from compiler.backend.torch_modules.table import FUNCTIONS, module_class
from compiler.ir.primitives.base import Operator, TensorPart
from compiler.ir.primitives.torch_form import Operands, TorchCall, TorchModule
from compiler.ir.shape import Ints

OF_THE_KERNEL: Mapping[str, type[nn.Module]] = {"BatchNorm": BatchNorm}
"""Modules that the kernel computes where it can, by name."""


def standalone(op: Operator, inputs: Sequence[Ints], output: Ints) -> nn.Module:
    """A new module that computes an operator on images of these shapes.

    Raises:
        LoweringError: a plugin cannot be made, or does not give the shape that it declares.
    """
    if isinstance(op, Plugin):
        return op.build(inputs, output)
    if op.torch_call is None:
        return instantiate(op.torch_module(inputs, output))
    graph = fx.Graph()
    graph.output(call(op.torch_call, graph, [graph.placeholder(f"x{n}") for n in range(len(inputs))]))
    return fx.GraphModule(nn.Module(), graph)


def call(form: TorchCall, graph: fx.Graph, sources: Sequence[fx.Node]) -> fx.Node:
    """A call of a function of tensors, added to ``graph``; a call in pairs of one operand is that operand."""
    function = FUNCTIONS[form.function]
    match form.operands:
        case Operands.PAIRS:
            total = sources[0]
            for source in sources[1:]:
                total = graph.call_function(function, (total, source, *form.arguments))
            return total
        case Operands.LIST:
            return graph.call_function(function, (list(sources), *form.arguments))
        case Operands.ARGUMENTS:
            return graph.call_function(function, (*sources, *form.arguments))


def instantiate(form: TorchModule) -> nn.Module:
    """The module that a torch form describes."""
    positional = [argument.value for argument in form.arguments if argument.positional]
    named = {argument.name: argument.value for argument in form.arguments if not argument.positional}
    kind = OF_THE_KERNEL.get(form.kind) or module_class(form.kind)
    return kind(*positional, **named)


def slice_of(tensor: Tensor, part: TensorPart) -> Tensor:
    """A part of a parameter or buffer; a view where memory allows it."""
    if part.view != tuple(tensor.shape):
        tensor = tensor.reshape(part.view)
    for axis, (start, size) in enumerate(zip(part.starts, part.sizes, strict=True)):
        if size < part.view[axis]:
            tensor = tensor.narrow(axis, start, size)
    return tensor if tuple(tensor.shape) == part.shape else tensor.reshape(part.shape)
