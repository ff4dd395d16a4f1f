"""Passes of a network on a GPU, recorded once as CUDA graphs and then replayed: one launch instead of thousands.

A supernet is thousands of small operations, and Python launches them more slowly than a GPU computes them. The shapes,
types, wanted gradients and modes of a pass are its kind. The first pass of a kind runs operation by operation, which
also sets libraries up; the second is recorded, forward and backward; from then on both are replayed on inputs that are
copied to the memory that the recording reads. Recordings share their memory, so that while a forward pass waits for its
backward pass, another pass runs operation by operation.

`HDAS_GRAPHS=off` leaves recordings out.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_unflatten

from compiler.backend.torch_modules.once_differentiable import once_differentiable
from compiler.backend.torch_modules.regularisation import Scheduled
from compiler.backend.transfer import moved

RECORDINGS = 8
"""The most kinds of passes that are recorded."""
KINDS = 64
"""The most kinds of passes that are remembered; where there are more, shapes change all the time."""


class Recording(Protocol):
    """Work that was recorded."""

    def replay(self) -> None:
        """Do the work again, on the same memory."""


class Recorder(Protocol):
    """Records work on a kind of device."""

    device: str

    def record(self, work: Callable[[], None]) -> Recording:
        """Record work without doing it."""


class CudaRecorder:
    """Records work on a GPU; all recordings take their memory from one pool."""

    device = "cuda"

    def __init__(self) -> None:
        self.pool: Any = None

    def record(self, work: Callable[[], None]) -> Recording:
        """A CUDA graph of the work.

        Where recording fails, the stream and the generator are put back: torch leaves the generator in a state in which
        the next number that is drawn is an error.
        """
        if self.pool is None:
            self.pool = torch.cuda.graph_pool_handle()
        graph, stream = torch.cuda.CUDAGraph(), torch.cuda.current_stream()
        generator = torch.cuda.default_generators[stream.device_index]
        before = generator.clone_state()
        try:
            with torch.cuda.graph(graph, pool=self.pool):
                work()
        except RuntimeError:
            torch.cuda.set_stream(stream)
            generator.graphsafe_set_state(before)
            raise
        return graph

    def __getstate__(self) -> dict[str, Any]:
        return {"pool": None}


class Token:
    """Held by the autograd node of a replay whose backward pass may still come."""


class Replays:
    """A network whose passes are replayed where that is possible; it is called like the network.

    Args:
        network: called with images and, for a supernet, a mapping of weights last; it returns tensors.
        is_wanted: whether passes may be replayed at all; ``HDAS_GRAPHS`` may forbid it too.
        recorder: records the network's passes.
    """

    def __init__(self, network: nn.Module, is_wanted: bool, recorder: Recorder | None = None) -> None:
        self.network = network
        self.is_wanted = is_wanted and os.environ.get("HDAS_GRAPHS", "") != "off"
        self.recorder = CudaRecorder() if recorder is None else recorder
        self.modules = tuple(network.modules())
        self.scheduled = tuple(module for module in self.modules if isinstance(module, Scheduled))
        self.parameters = tuple(network.parameters())
        self.kinds: dict[Kind, Recorded | None] = {}
        """The kinds of passes so far, and their recordings."""
        self.waiting: weakref.ref[Token] | None = None
        """The token of the last replay, alive while its backward pass may still come."""

    def __call__(self, *given: Any) -> Any:
        """The outputs of the network."""
        if not self.is_wanted or torch.compiler.is_compiling():
            return self.network(*given)
        inputs = Inputs.of(given)
        is_waiting = self.waiting is not None and self.waiting() is not None
        if is_waiting or any(x.device.type != self.recorder.device for x in inputs.tensors):
            return self.network(*given)
        kind = self._kind(inputs)
        recorded = self.kinds.get(kind)
        if kind not in self.kinds:
            self.kinds[kind] = None
            self.is_wanted = len(self.kinds) < KINDS
        elif recorded is None:
            recorded = self.kinds[kind] = self._recorded(inputs)
        return self.network(*given) if recorded is None else recorded(inputs.tensors)

    def __getstate__(self) -> dict[str, Any]:
        """A copy records anew."""
        return {**self.__dict__, "kinds": {}, "waiting": None}

    @property
    def recordings(self) -> int:
        """How many kinds of passes are recorded."""
        return sum(recorded is not None for recorded in self.kinds.values())

    def _kind(self, inputs: Inputs) -> Kind:
        device = self.recorder.device
        return (
            inputs.names,
            tuple((x.shape, x.dtype, x.requires_grad) for x in inputs.tensors),
            torch.is_grad_enabled(),
            (torch.is_autocast_enabled(device), torch.get_autocast_dtype(device)),
            tuple(module.training for module in self.modules),
            tuple(module.rate == 0.0 for module in self.scheduled),
            tuple(parameter.requires_grad for parameter in self.parameters),
            tuple(tensor.data_ptr() for tensor in (*self.parameters, *self.network.buffers())),
        )

    def _recorded(self, inputs: Inputs) -> Recorded | None:
        """A recording of a pass; None where recording failed, after which no other pass is recorded."""
        if self.recordings >= RECORDINGS:
            return None
        # A recording would not call hooks.
        if not any(module._forward_hooks or module._forward_pre_hooks for module in self.modules):
            with suppress(RuntimeError):  # operations that wait for the device cannot be recorded
                return Recorded(self, inputs)
        self.is_wanted = False
        return None


Kind: TypeAlias = "tuple[object, ...]"
"""All that a recording depends on, except the values of its inputs."""


@dataclass(frozen=True)
class Inputs:
    """The inputs of a network's call: images, and mixing weights by name, if there are names."""

    tensors: Sequence[Tensor]
    names: tuple[str, ...] | None

    @classmethod
    def of(cls, given: Sequence[Tensor | Mapping[str, Tensor]]) -> Inputs:
        """The inputs of a call."""
        images = [x for x in given if isinstance(x, Tensor)]
        for weights in given:
            if isinstance(weights, Mapping):
                return cls([*images, *weights.values()], tuple(weights))
        return cls(images, None)

    def arguments(self, tensors: Sequence[Tensor]) -> tuple[Any, ...]:
        """The arguments of the same call with other tensors."""
        if self.names is None:
            return tuple(tensors)
        images = len(tensors) - len(self.names)
        return (*tensors[:images], dict(zip(self.names, tensors[images:], strict=True)))


class Recorded:
    """The recorded passes of one kind: the memory of their inputs, outputs and gradients."""

    outputs: list[Tensor]

    def __init__(self, of: Replays, inputs: Inputs) -> None:
        self.of, self.inputs = of, inputs
        self.reads = [x.detach().clone().requires_grad_(x.requires_grad) for x in inputs.tensors]
        self.places = [x.detach() for x in self.reads]
        self.cast = torch.is_autocast_enabled(of.recorder.device), torch.get_autocast_dtype(of.recorder.device)
        self.rates: list[float] = []
        self.rates_in_memory = torch.zeros(len(of.scheduled), device=self.reads[0].device)
        self._follow_rates()
        self.forward = of.recorder.record(self._forward)
        self.differentiable = [y.requires_grad for y in self.outputs]
        self.wanted = [x for x in (*self.reads, *of.parameters) if x.requires_grad]
        self.backward: Recording | None = None
        if any(self.differentiable):
            self.slopes = [torch.zeros_like(y) for y in self.outputs if y.requires_grad]
            self.backward = of.recorder.record(self._backward)
        # Without their graph, so that the next recording may take the memory of the activations.
        self.outputs = [y.detach() for y in self.outputs]

    def __call__(self, tensors: Sequence[Tensor]) -> Any:
        """The outputs of the network for other inputs of this kind."""
        self._follow_rates()
        with torch.no_grad():
            torch._foreach_copy_(self.places, list(tensors))
        if self.backward is None:
            found = self.replayed()
        else:
            wanted = [x for x in (*tensors, *self.of.parameters) if x.requires_grad]
            found = list(_Replay.apply(self, *wanted))
        return tree_unflatten(found, self.form)

    def replayed(self) -> list[Tensor]:
        """The results of a forward pass."""
        self.forward.replay()
        return [y.detach().clone() for y in self.outputs]

    def gradients(self, slopes: Sequence[Tensor]) -> Iterator[Tensor | None]:
        """The gradients of what is wanted, from those of the differentiable results."""
        assert self.backward is not None
        torch._foreach_copy_(self.slopes, list(slopes))
        self.backward.replay()
        each = [iter(_split(flat.clone(), like)) for flat, like in zip(self.flat, self.like, strict=True)]
        return (None if group is None else next(each[group]) for group in self.groups)

    # ------------------------------------------------------------ what is recorded

    def _forward(self) -> None:
        is_cast, dtype = self.cast
        # The cache would keep weights that an earlier pass cast, and the recording would read those for ever.
        cast = torch.autocast(self.of.recorder.device, dtype=dtype, enabled=is_cast, cache_enabled=False)
        with cast, self._rates_from_memory():
            result = self.of.network(*self.inputs.arguments(self.reads))
        self.outputs, self.form = tree_flatten(result)

    def _backward(self) -> None:
        outputs = [y for y in self.outputs if y.requires_grad]
        with torch.autocast(self.of.recorder.device, enabled=False):
            found = torch.autograd.grad(outputs, self.wanted, self.slopes, allow_unused=True)
        types = list(dict.fromkeys(g.dtype for g in found if g is not None))
        self.groups = [None if g is None else types.index(g.dtype) for g in found]
        groups = [[at for at, group in enumerate(self.groups) if group == number] for number in range(len(types))]
        self.like = [[self.wanted[at] for at in group] for group in groups]
        self.flat = [torch.cat([found[at].reshape(-1) for at in group]) for group in groups]

    # ------------------------------------------------------------ rates that follow schedules

    def _follow_rates(self) -> None:
        """Copy the current rates to the memory that recordings read."""
        now = [module.rate for module in self.of.scheduled]
        if now != self.rates:
            self.rates = now
            self.rates_in_memory.copy_(moved(torch.tensor(now), self.rates_in_memory.device))

    @contextmanager
    def _rates_from_memory(self) -> Iterator[None]:
        for module, rate in zip(self.of.scheduled, self.rates_in_memory.unbind(), strict=True):
            module.recorded = rate
        try:
            yield
        finally:
            for module in self.of.scheduled:
                module.recorded = None


def _split(flat: Tensor, like: Sequence[Tensor]) -> list[Tensor]:
    """A vector as tensors of the shapes of others."""
    parts = flat.split([x.numel() for x in like])
    return [part.view(x.shape) for part, x in zip(parts, like, strict=True)]


class _Replay(torch.autograd.Function):
    """A replay of a recording, as a function of all tensors whose gradients are wanted."""

    @staticmethod
    def forward(ctx: Any, recorded: Recorded, *wanted: Tensor) -> tuple[Tensor, ...]:
        ctx.recorded, ctx.token = recorded, Token()
        recorded.of.waiting = weakref.ref(ctx.token)
        results = recorded.replayed()
        ctx.mark_non_differentiable(*(y for y, has in zip(results, recorded.differentiable, strict=True) if not has))
        return tuple(results)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:
        if ctx.token is None:
            raise RuntimeError("a replayed pass has one backward pass: `retain_graph=True` needs HDAS_GRAPHS=off")
        recorded, ctx.token = ctx.recorded, None
        given = [slope for slope, has in zip(slopes, recorded.differentiable, strict=True) if has]
        return (None, *recorded.gradients(given))
