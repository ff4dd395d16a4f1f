"""`export`: a discrete network and its weights in the format of another tool, run and compared with the network."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, assert_never

import torch
from torch import Tensor, fx, nn

from compiler.backend.export_kind import WEIGHTS_OF_PY, ExportError, ExportKind
from compiler.backend.lowering.fx import lower
from compiler.backend.lowering.inputs import random_inputs
from compiler.backend.lowering.names import node_path
from compiler.backend.lowering.network import Network
from compiler.backend.names import unique
from compiler.backend.passes import STRUCTURAL, run_passes
from compiler.backend.passes.flatten import flatten
from compiler.backend.passes.rebuild import without_dead
from compiler.elaborate import Elaborated
from compiler.ir.payloads import Input, Prim
from compiler.util.errors import LoweringError
from compiler.util.files import atomic_write, replacing

from .text import write

PREFIX = "network."
"""The prefix of the names of a `Network`'s weights."""

BATCH = 3
"""How many images the checks use; exports are made with another number, so that a fixed batch size would fail."""

BATCH_NAME = "batch"
"""What a reader of an export sees in the place of the number of images; torch calls it `s40` or the like."""

Images = tuple[Tensor, ...]
"""A batch of each input of a network."""

Results = tuple[Tensor, ...]
"""The outputs of a network: mostly one tensor."""


@dataclass(frozen=True)
class ExportReport:
    """The files written, and how far their outputs are from the network's on a random batch.

    ``difference`` is the largest absolute difference of an output, ``scale`` the largest absolute output.
    """

    kind: ExportKind
    path: Path
    weights: Path | None
    parameters: int
    difference: float
    scale: float

    def __str__(self) -> str:
        files = f"{self.path}" + (f" and {self.weights}" if self.weights else "")
        return f"{files}: {self.parameters:,} parameters; outputs differ by {self.difference:.1e} at most"


def export(space: Elaborated, kind: ExportKind, out: Path, weights: Mapping[str, Tensor] | None = None) -> ExportReport:
    """Write a discrete network for inference: without drop path, auxiliary head and nodes that no output needs.

    Args:
        space: a network without choices.
        kind: what to write.
        out: the file; ``py`` puts weights beside it, in a ``.pt`` file that torch loads without running code.
        weights: the state of a `Network` of this space, as trained. Without it a ``py`` file comes alone, and the
            others hold fresh weights.

    Raises:
        ExportError: where the space has choices, the weights do not fit, a package is missing, or outputs differ.
    """
    if space.is_space:
        raise ExportError(f"'{space.name}' still has choices: derive an architecture first, then export that")
    try:
        network = _network(space, weights)
    except LoweringError as error:
        raise ExportError(f"'{space.name}' cannot be built: {error}") from None
    out.parent.mkdir(parents=True, exist_ok=True)
    images = random_inputs(space, BATCH)
    count = _count(network)
    beside: Path | None = None
    renamed: dict[str, Tensor] = {}
    with _seeded(), warnings.catch_warnings(), _quiet(), replacing(out) as part:
        warnings.simplefilter("ignore")
        match kind:
            case ExportKind.ONNX:
                reference, found = _result(network, images), _onnx(network, space, part, images)
            case ExportKind.TORCH:
                reference, found = _result(network, images), _torch(network, space, part, images)
            case ExportKind.PY:
                found, count, renamed = _python(network, space, out, part, images)
                reference = _result(network.double(), _double(images))
            case never:
                assert_never(never)
        differences = [float((one - other).abs().max()) for one, other in zip(reference, found, strict=True)]
        scales = [float(one.abs().max()) for one in reference]
        difference, scale = max(differences), max(scales)
        if not all(apart <= kind.tolerance * size for apart, size in zip(differences, scales, strict=True)):
            message = f"'{out}' computes something else: its outputs differ by {difference:.2e}, of {scale:.2e} at most"
            raise ExportError(message)
        if kind is ExportKind.PY and weights is not None:
            beside = out.with_suffix(WEIGHTS_OF_PY)
            atomic_write(beside, _saved(renamed))
    return ExportReport(kind, out, beside, count, difference, scale)


# ---------------------------------------------------------------- the network


def _network(space: Elaborated, weights: Mapping[str, Tensor] | None) -> fx.GraphModule:
    """The network for inference, in evaluation mode, on the CPU."""
    with _seeded():
        graph = run_passes(space.block.graph.without_aux(), STRUCTURAL)
        network = lower(without_dead(graph), {})
        if weights is None:
            _settle(network, random_inputs(space, 4))
        else:
            _load(network, space, weights)
    return network.eval().requires_grad_(False)


def _load(network: nn.Module, space: Elaborated, weights: Mapping[str, Tensor]) -> None:
    """Load the weights of a training, without those of the auxiliary head and of cells that the output ignores."""
    wanted = network.state_dict()
    missing = [PREFIX + name for name in wanted if PREFIX + name not in weights]
    if missing:
        raise ExportError(f"the weights are not those of '{space.name}': {_some(missing)} missing")
    for name, tensor in wanted.items():
        if tensor.shape != weights[PREFIX + name].shape:
            shapes = f"{tuple(weights[PREFIX + name].shape)} there, {tuple(tensor.shape)} here"
            raise ExportError(f"the weights are not those of '{space.name}' at these parameters: '{name}' is {shapes}")
    with torch.device("meta"):
        known = Network(space).state_dict()
    unknown = [name for name in weights if name not in known]
    if unknown:
        raise ExportError(f"the weights are not those of '{space.name}': {_some(unknown)} not in it")
    network.load_state_dict({name: weights[PREFIX + name] for name in wanted})


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 1} more are" if len(names) > 1 else " is"
    return f"'{names[0]}'{more}"


def _settle(network: nn.Module, images: Images) -> None:
    """Let norms take their statistics from a batch, so that a fresh network passes its input on to its output."""
    norms = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.momentum = None
    with torch.no_grad():
        network.train()(*images)
    for norm in norms:
        norm.momentum = 0.1


def _count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@contextmanager
def _seeded() -> Iterator[None]:
    """A context with a fixed seed, which leaves the caller's random generator as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


@contextmanager
def _quiet() -> Iterator[None]:
    """A context without the exporters' own messages."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def _result(network: nn.Module, images: Images) -> Results:
    """The outputs of a network; noise is the same in every call."""
    torch.manual_seed(0)
    result: Tensor | Results = network(*images)
    return result if isinstance(result, tuple) else (result,)


def _double(images: Images) -> Images:
    """Real numbers at double precision; tokens as they are."""
    return tuple(each.double() if each.is_floating_point() else each for each in images)


# ---------------------------------------------------------------- the kinds


def _exported(network: nn.Module, space: Elaborated) -> torch.export.ExportedProgram:
    batch, images = torch.export.Dim(BATCH_NAME), random_inputs(space, 2)
    return torch.export.export(network, images, dynamic_shapes=tuple({0: batch} for _ in images))


def _torch(network: nn.Module, space: Elaborated, out: Path, images: Images) -> Results:
    content = io.BytesIO()  # torch writes the name of a file into it, and this one's is temporary.
    torch.export.save(_exported(network, space), content)
    out.write_bytes(content.getvalue())
    return _result(torch.export.load(out).module(), images)


def _onnx(network: nn.Module, space: Elaborated, out: Path, images: Images) -> Results:
    ExportKind.ONNX.check_installed()
    payloads = [node.payload for _, node in flatten(space.block.graph).order()]
    if any(payload.op.random for payload in payloads if isinstance(payload, Prim)):
        raise ExportError(f"'{space.name}' has noise in it, of which ONNX has its own: nothing could be compared")
    import onnxruntime

    names = ["images"] if len(images) == 1 else [item.name for item in space.root.definition.inputs]
    try:
        program = torch.onnx.export(
            _exported(network, space),
            dynamo=True,
            input_names=names,
            output_names=_given(space),
            dynamic_shapes=tuple({0: BATCH_NAME} for _ in images),
            verbose=False,
        )
    except torch.onnx.OnnxExporterError as error:
        lacking = str(error.__cause__ or error).partition("\n")[0]
        raise ExportError(f"an operation of '{space.name}' has no form in ONNX: {lacking}") from None
    assert program is not None
    program.save(str(out), external_data=False)
    session = onnxruntime.InferenceSession(str(out), providers=["CPUExecutionProvider"])
    given = {name: part.numpy() for name, part in zip(names, images, strict=True)}
    results: Any = session.run(None, {item.name: given[item.name] for item in session.get_inputs()})
    return tuple(map(torch.from_numpy, results))


def _given(space: Elaborated) -> list[str]:
    """The names of the outputs: ``logits`` for a single one; of several the names of their lines, where given."""
    graph = space.block.graph
    assert graph.output is not None
    if len(given := graph.given(graph.output)) == 1:
        return ["logits"]
    lines, taken = [graph.node(index).line for index in given], {item.name for item in space.root.definition.inputs}
    return [unique(line or f"output_{place}", taken) for place, line in enumerate(lines)]


def _python(
    network: nn.Module, space: Elaborated, out: Path, part: Path, images: Images
) -> tuple[Results, int, dict[str, Tensor]]:
    """Write the file that will be ``out``, run it at double precision; returns outputs, parameter count and weights."""
    flat = flatten(space.block.graph)
    names = [node_path(node) for _, node in flat.order() if not isinstance(node.payload, Input)]
    unit = space.root.instance.unit
    origin = f"{Path(unit.source.name).name}, sha256 {unit.sha256}"
    source = write(space.block, names, origin, out.with_suffix(WEIGHTS_OF_PY).name)
    part.write_text(source.text, encoding="utf-8")
    renamed = _renamed(source.modules, network.state_dict())
    made = _run(out, source.text)[source.name]().eval()
    try:
        made.load_state_dict(renamed)
    except RuntimeError as error:
        raise ExportError(f"'{out}' has other parameters than the network (a bug of the exporter): {error}") from None
    with torch.no_grad():
        return _result(made.double(), _double(images)), _count(made), renamed


def _saved(tensors: Mapping[str, Tensor]) -> bytes:
    """A file that `torch.load` reads."""
    content = io.BytesIO()
    torch.save(dict(tensors), content)
    return content.getvalue()


def _renamed(modules: Mapping[str, str], state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state under the names of the file. Modules may be nested, so a tensor belongs to the innermost one.

    The file may lack a module that only gives a zero its shape.
    """
    own = {theirs: name for name, theirs in modules.items()}
    renamed = {}
    for name, tensor in state.items():
        holder = name.rpartition(".")[0]
        while holder and holder not in own:
            holder = holder.rpartition(".")[0]
        if holder:
            renamed[own[holder] + name.removeprefix(holder)] = tensor
    return renamed


def _run(path: Path, text: str) -> dict[str, Any]:
    """The names of a written file."""
    names: dict[str, Any] = {"__name__": path.stem, "__file__": str(path)}
    exec(compile(text, str(path), "exec"), names)
    return names
