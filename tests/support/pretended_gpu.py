"""A GPU for machines without one: what lies on it lies in memory, and says that it lies on ``cuda:0``.

Numbers are those of the CPU. What differs on a GPU is noticed: operations that would wait for it or mix devices, copies
that would be read before they arrive, and gradients for which torch has no deterministic kernel there. It says nothing
of CUDA's own kernels, of time, or of memory: `tests/backend/test_on_a_gpu.py` asks a true one.
"""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._mode_utils import no_dispatch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from compiler.backend.lowering import cuda_graphs
from compiler.searcher.engine.device.compute import PRECISIONS, Compute

GPU = torch.device("cuda", 0)
aten = torch.ops.aten

WAITS = {
    *(aten._local_scalar_dense, aten.nonzero, aten.masked_select, aten.equal, aten.bincount),
    *(aten._unique2, aten.unique_dim, aten.unique_consecutive, aten._linalg_eigh, aten._linalg_svd),
}
"""What reads from a GPU how large its result is, or a number."""
PLACES = {aten.index, aten.index_put, aten.index_put_, aten._unsafe_index, aten._unsafe_index_put}
"""Wait where a place is a mask or lies on the CPU."""
COPIES = {aten.copy_, aten._to_copy}
UNSTEADY = {
    *("avg_pool3d_backward", "max_pool3d_with_indices_backward", "_adaptive_avg_pool2d_backward"),
    *("_adaptive_avg_pool3d_backward", "adaptive_max_pool2d_backward", "adaptive_max_pool3d_backward"),
    *("upsample_linear1d_backward", "upsample_bilinear2d_backward", "upsample_bicubic2d_backward"),
    *("upsample_trilinear3d_backward", "reflection_pad1d_backward", "reflection_pad2d_backward", "nll_loss2d_forward"),
    *("replication_pad2d_backward", "_ctc_loss_backward", "grid_sampler_2d_backward", "histc", "kthvalue", "median"),
}
"""Of the operations for which `torch.use_deterministic_algorithms` has no kernel on a GPU."""


class OnGpu(torch.Tensor):
    """A tensor whose numbers are those of ``inner``, a tensor of the CPU."""

    inner: Tensor  # type: ignore[assignment]
    device = GPU
    is_cuda = True
    is_cpu = False
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @staticmethod
    def __new__(cls, inner: Tensor) -> OnGpu:
        kind, lies, start = inner.dtype, inner.stride(), inner.storage_offset()
        made = torch.Tensor._make_wrapper_subclass(cls, inner.size(), lies, start, dtype=kind)
        assert isinstance(made, OnGpu)
        made.inner = inner
        return made

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        raise AssertionError(f"{func} outside of the context of the pretended GPU")

    def to(self, *args: Any, **kwargs: Any) -> Tensor:
        """As torch's own, which would take this for a tensor of the CPU."""
        copies = kwargs.pop("copy", False)
        if args and hasattr(args[0], "device"):
            args = (args[0].device, args[0].dtype, *args[1:])
        asked: Any = torch._C._nn._parse_to(*args, **kwargs)
        device, dtype, goes_on, order = asked
        stays = device is None or device.type == "cuda"
        if stays and not copies and dtype in (None, self.dtype) and order is None:
            return self
        found: Tensor = Moved.apply(self, GPU if stays else device, dtype, goes_on, order)
        return found

    def cpu(self, *_: Any) -> Tensor:
        return self.to("cpu")

    def tolist(self) -> Any:
        return self.detach().cpu().tolist()

    def numpy(self, **_: Any) -> Any:
        raise TypeError("can't convert cuda:0 device type tensor to numpy")

    def new_tensor(self, data: Any, **more: Any) -> Tensor:  # type: ignore[override]
        return torch.tensor(data, **{"dtype": self.dtype, "device": GPU, **more})

    def get_device(self) -> int:
        return 0

    def data_ptr(self) -> int:
        return self.inner.data_ptr()

    def is_pinned(self, *_: Any) -> bool:
        return False


class Moved(torch.autograd.Function):
    """A copy on another device, or in another type; its gradient goes back."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor, device: torch.device, dtype: Any, goes_on: bool, order: Any) -> Tensor:
        """The copy."""
        ctx.back = tensor.device, tensor.dtype
        made: Tensor = aten._to_copy(tensor, dtype=dtype, device=device, non_blocking=goes_on, memory_format=order)
        return made

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        """The gradient where the tensor lies."""
        return slope.to(*ctx.back), None, None, None, None


def inner(x: Any) -> Any:
    """What lies in memory."""
    return x.inner if isinstance(x, OnGpu) else x


class PretendedGpu(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """A context in which there is a GPU; it collects what a true one would not like, by the line that asks for it."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.waits: Counter[str] = Counter()
        """Operations that wait for the GPU."""
        self.mixed: Counter[str] = Counter()
        """Operations on tensors of both devices."""
        self.early: Counter[str] = Counter()
        """Copies to the CPU that do not wait, and so have not arrived when they are read."""
        self.unsteady: Counter[str] = Counter()
        """Operations that are not deterministic."""
        self.is_recording = False
        self.pinned: dict[int, Tensor] = {}
        self.was_on_gpu = False
        """Whether the last operation was one of the GPU."""

    def __enter__(self) -> PretendedGpu:
        torch._C._set_only_lift_cpu_tensors(True)
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        torch._C._set_only_lift_cpu_tensors(False)

    def forget(self) -> None:
        """Forget what was noticed."""
        for found in (self.waits, self.mixed, self.early, self.unsteady):
            found.clear()

    @contextmanager
    def recording(self) -> Iterator[None]:
        """A context in which work is recorded: no operation may wait."""
        self.is_recording = True
        try:
            yield
        finally:
            self.is_recording = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        op, kwargs = func.overloadpacket, dict(kwargs or {})
        tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
        if op is aten._pin_memory:
            return self._pin(args[0])
        if op is aten.is_pinned:
            return id(args[0]) in self.pinned
        goes_to_gpu = is_on_gpu = any(isinstance(x, OnGpu) for x in tensors)
        if (device := kwargs.get("device")) is not None:
            goes_to_gpu = torch.device(device).type == "cuda" or (
                op is not aten._to_copy and self._is_of_gradient(tensors)
            )
            kwargs["device"] = torch.device("cpu")
        if op in COPIES:
            self._notice_copy(func, args, kwargs, goes_to_gpu)
        elif is_on_gpu:
            self._notice(func, args, tensors)
        self.was_on_gpu = goes_to_gpu
        made = func(*tree_map(inner, args), **tree_map(inner, kwargs))
        known = {id(inner(x)): x for x in tensors} if func._schema.is_mutable else {}
        if torch.Tag.inplace_view in func.tags:  # such as `transpose_`: the shape of the tensor itself
            with no_dispatch():
                func(*args, **kwargs)

        def placed(x: Any) -> Any:
            return known.get(id(x), OnGpu(x)) if isinstance(x, Tensor) and goes_to_gpu else known.get(id(x), x)

        return tree_map(placed, made)

    def _pin(self, tensor: Tensor) -> Tensor:
        copy = tensor.clone()
        self.pinned[id(copy)] = copy
        return copy

    def _is_of_gradient(self, tensors: Sequence[Tensor]) -> bool:
        """Whether autograd makes a tensor, which asks for the device on which it believes its input to be."""
        is_of_gpu = any(isinstance(x, OnGpu) for x in tensors) if tensors else self.was_on_gpu
        return is_of_gpu and torch._C._current_autograd_node() is not None

    def _notice_copy(self, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any], goes_to_gpu: bool) -> None:
        given, goes_on = args[0], kwargs.get("non_blocking", False)
        if func.overloadpacket is aten.copy_:
            goes_to_gpu, given = isinstance(args[0], OnGpu), args[1]
            goes_on = args[2] if len(args) > 2 else goes_on
        if isinstance(given, OnGpu) and not goes_to_gpu:
            self._add(self.waits, func)
            if goes_on:
                self._add(self.early, func)
        elif (
            goes_to_gpu and not isinstance(given, OnGpu) and not (goes_on and id(given) in self.pinned) and given.dim()
        ):
            self._add(self.waits, func)  # a number is not a copy, but part of the command

    def _notice(self, func: Any, args: Sequence[Any], tensors: Sequence[Tensor]) -> None:
        op = func.overloadpacket
        others = [x for x in tensors if not isinstance(x, OnGpu)]
        if op in PLACES:
            places = [x for x in tree_leaves(args[1]) if isinstance(x, Tensor)]
            if any(x.dtype is torch.bool or not isinstance(x, OnGpu) for x in places):
                self._add(self.waits, func)
            others = [x for x in others if all(x is not place for place in places)]
        elif op in WAITS:
            self._add(self.waits, func)
        if any(x.dim() or op in (aten.cat, aten.stack) for x in others):
            self._add(self.mixed, func)
        if op.__name__ in UNSTEADY:
            self._add(self.unsteady, func)

    def _add(self, found: Counter[str], func: Any) -> None:
        lines = [line for line in traceback.extract_stack() if "/compiler/" in line.filename]
        place = f"{lines[-1].filename.split('/compiler/')[-1]}:{lines[-1].name}" if lines else "torch"
        if place.endswith("bilevel.py:move") and func.overloadpacket is aten._to_copy:
            return  # `clip_grad_norm_` asks C++ for the device of gradients, which does not know of this one.
        found[f"{func.overloadpacket.__name__} in {place}"] += 1
        if found is self.waits and self.is_recording:
            raise RuntimeError(f"{func} is not permitted when stream is capturing")


@dataclass
class Recorder:
    """Records work as a GPU does, and does it again in the place of a replay."""

    gpu: PretendedGpu
    device: str = "cuda"

    def record(self, work: Callable[[], None]) -> Again:
        """Do the work; what waits is refused."""
        with self.gpu.recording():
            work()
        return Again(work)


@dataclass
class Again:
    """Work that is done again."""

    work: Callable[[], None]

    def replay(self) -> None:
        """Do it."""
        with torch.enable_grad():
            self.work()


def moved_module(plain: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
    """`nn.Module.to`, whose parameters stay the same objects on their way to the GPU."""

    def to(module: nn.Module, *args: Any, **kwargs: Any) -> nn.Module:
        device, dtype, *_ = torch._C._nn._parse_to(*args, **kwargs)
        if device is None or device.type != "cuda":
            return plain(module, *args, **kwargs)
        if dtype is not None:
            plain(module, dtype)
        for part in module.modules():
            for name, parameter in list(part.named_parameters(recurse=False)):
                there = nn.Parameter(OnGpu(inner(parameter.detach())), parameter.requires_grad)
                if isinstance(part, nn.RNNBase):  # has references of its own, which follow
                    setattr(part, name, there)
                elif not isinstance(parameter, OnGpu):
                    torch.utils.swap_tensors(parameter, there)  # type: ignore[no-untyped-call]
            for name, buffer in part.named_buffers(recurse=False):
                part._buffers[name] = buffer if isinstance(buffer, OnGpu) else OnGpu(buffer)
        return module

    return to


def like_tensor(plain: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """`torch.Tensor.to` of a tensor on the CPU, which may be given one on the GPU."""

    def to(tensor: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if args and isinstance(args[0], OnGpu):
            args = (GPU, args[0].dtype, *args[1:])
        if (args and isinstance(args[0], Tensor)) or "copy" in kwargs:
            return plain(tensor, *args, **kwargs)
        device, *how = torch._C._nn._parse_to(*args, **kwargs)
        if device is None or device.type != "cuda":
            return plain(tensor, *args, **kwargs)
        dtype, goes_on, order = how
        moved: Tensor = Moved.apply(tensor, GPU, dtype, goes_on, order)
        return moved

    return to


@contextmanager
def pretended_gpu() -> Iterator[PretendedGpu]:
    """A context in which there is a GPU."""
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        gpu = PretendedGpu()
        patch.setattr(torch.cuda, "_lazy_init", lambda: None)
        patch.setattr(torch.cuda, "get_rng_state", lambda _=None: torch.get_rng_state())
        patch.setattr(torch.cuda, "set_rng_state", lambda state, _=None: torch.set_rng_state(state))
        patch.setattr(cuda_graphs, "CudaRecorder", lambda: Recorder(gpu))
        patch.setattr(nn.RNNBase, "flatten_parameters", lambda _: None)  # in the order of cuDNN, which is not here
        patch.setattr(nn.Module, "to", moved_module(nn.Module.to))
        patch.setattr(torch.Tensor, "to", like_tensor(torch.Tensor.to))
        yield stack.enter_context(gpu)


def compute(precision: str = "float32") -> Compute:
    """One process that has the pretended GPU."""
    made = Compute("cpu", 1, PRECISIONS[precision])
    made.device = GPU
    return made
