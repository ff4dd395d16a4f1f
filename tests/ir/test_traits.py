"""Every trait of every primitive, compared with what torch does."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from compiler.backend.lowering.operators import standalone
from compiler.backend.torch_modules import regularisation
from compiler.ir.primitives.activation import (
    Gelu,
    HardSigmoid,
    HardSwish,
    LeakyRelu,
    Relu,
    Relu6,
    Sigmoid,
    Softmax,
    Swish,
    Tanh,
)
from compiler.ir.primitives.base import Gather, Operator, Saved
from compiler.ir.primitives.convolution import Conv, ConvTranspose, Linear, RectConv
from compiler.ir.primitives.elementwise import Lerp, Scaled
from compiler.ir.primitives.normalisation import BatchNorm, GroupNorm, InstanceNorm, LayerNorm
from compiler.ir.primitives.pooling import (
    AdaptivePool,
    AvgPool,
    Crop,
    GlobalMaxPool,
    GlobalPool,
    MaxPool,
    Resize,
    Upsample,
)
from compiler.ir.primitives.rearrangement import MatMul, Permute, Unflatten, Unfold
from compiler.ir.primitives.recurrence import NextState, PreviousState
from compiler.ir.primitives.registry import PRIMITIVES
from compiler.ir.primitives.regularisation import Dropout, DropPath
from compiler.ir.primitives.sequences import Embedding, Gru, Lstm
from compiler.ir.primitives.shared_weights import MATRIX, AddBias, LookUp, Project, WeightMatrix
from compiler.ir.primitives.structure import (
    Add,
    ChannelsLast,
    Concat,
    Cut,
    Flatten,
    Identity,
    Mul,
    Noise,
    Shuffle,
    Zero,
)
from compiler.ir.primitives.tokens import (
    Attention,
    CausalAttention,
    ClassToken,
    CrossAttention,
    FirstToken,
    LastToken,
    Patches,
    Positions,
    Sinusoids,
)
from compiler.ir.shape import Ints, Shape

IMAGE, TOKENS, VECTOR, VOLUME = (8, 6, 6), (8, 5), (8,), (8, 4, 4, 4)
BATCH = 3


@dataclass(frozen=True)
class Sample:
    """An operator with the shapes of its inputs."""

    op: Operator
    inputs: tuple[Ints, ...] = (IMAGE,)

    @property
    def output(self) -> Ints:
        found = self.op.result([Shape(shape) for shape in self.inputs])
        assert found is not None
        assert all(isinstance(size, int) for size in found)
        return tuple(int(size) for size in found if isinstance(size, int))

    def module(self) -> nn.Module:
        """The module, with weights that are nowhere zero."""
        torch.manual_seed(0)
        module = standalone(self.op, self.inputs, self.output).double()
        for tensor in module.parameters():
            nn.init.uniform_(tensor, 0.5, 1.5)
        return module

    def images(self, seed: int = 1) -> list[Tensor]:
        torch.manual_seed(seed)
        if self.op.vocabulary is not None:
            tokens, *others = self.inputs
            return [torch.randint(self.op.vocabulary, (BATCH, *tokens)), *map(numbers, others)]
        return [numbers(shape) for shape in self.inputs]


def numbers(shape: Ints) -> Tensor:
    """A batch at random; of a matrix, the same one for all."""
    found = torch.randn(BATCH, *shape, dtype=torch.float64)
    return found[:1].expand(found.shape) if len(shape) == 2 + len(MATRIX) else found


SAMPLES = [
    Sample(Conv(k=3, c=4, pad=1)),
    Sample(Conv(k=3, c=8, pad=1, groups=8, stride=2, bias=True)),
    Sample(Conv(k=1, c=4, pad=0)),
    Sample(RectConv(kh=1, kw=7, c=4, sw=2, bias=True)),
    Sample(Conv(k=3, c=4, pad=1, bias=True), (TOKENS,)),
    Sample(Conv(k=3, c=4, pad=1, stride=2, groups=2), (VOLUME,)),
    *(Sample(ConvTranspose(k=4, c=4, stride=2, pad=1, bias=True), (shape,)) for shape in (TOKENS, IMAGE, VOLUME)),
    Sample(Linear(c=4), (VECTOR,)),
    Sample(Linear(c=4, bias=False), (TOKENS,)),
    Sample(BatchNorm()),
    Sample(BatchNorm(affine=False)),
    *(Sample(BatchNorm(), (shape,)) for shape in (VECTOR, TOKENS, VOLUME)),
    *(Sample(InstanceNorm(), (shape,)) for shape in (TOKENS, IMAGE, VOLUME)),
    *(Sample(GroupNorm(groups=2), (shape,)) for shape in (VECTOR, TOKENS, IMAGE, VOLUME)),
    *(Sample(LayerNorm(), (shape,)) for shape in (IMAGE, VOLUME)),
    Sample(LayerNorm(), (VECTOR,)),
    Sample(LayerNorm(), (TOKENS,)),
    Sample(MaxPool(k=3, pad=1)),
    Sample(AvgPool(k=3, pad=1, stride=2)),
    Sample(AvgPool(k=3, pad=1, count_pad=False)),
    *(Sample(pool(k=3, pad=1, stride=2), (shape,)) for pool in (MaxPool, AvgPool) for shape in (TOKENS, VOLUME)),
    *(Sample(pool(), (shape,)) for pool in (GlobalPool, GlobalMaxPool) for shape in (TOKENS, IMAGE, VOLUME)),
    *(Sample(AdaptivePool(size=2), (shape,)) for shape in (TOKENS, IMAGE, VOLUME)),
    *(Sample(Upsample(smooth=smooth), (shape,)) for smooth in (False, True) for shape in (TOKENS, IMAGE, VOLUME)),
    Sample(Crop(top=1, left=2)),
    Sample(Resize(h=3, w=9)),
    *(Sample(kind()) for kind in (Relu, Relu6, Gelu, Swish, HardSwish, Sigmoid, HardSigmoid, Tanh, LeakyRelu)),
    *(Sample(Softmax(), (shape,)) for shape in (VECTOR, TOKENS, IMAGE)),
    Sample(Unfold(k=3, stride=2, pad=1)),
    Sample(Unflatten(h=2, w=3), ((8, 6),)),
    Sample(Permute(i=2, j=1), (TOKENS,)),
    Sample(Permute(i=3, j=1, k=2), ((8, 6, 5),)),
    Sample(MatMul(), (TOKENS, (5, 3))),
    Sample(MatMul(scaled=True), (IMAGE, (8, 6, 2))),
    Sample(Attention(heads=2, width=3), (TOKENS,)),
    Sample(CausalAttention(heads=2, width=3), (TOKENS,)),
    Sample(CrossAttention(heads=2, width=3), (TOKENS, (6, 4))),
    Sample(Embedding(tokens=7, c=4), ((5,),)),
    *(Sample(kind(c=4), (TOKENS,)) for kind in (Gru, Lstm)),
    Sample(PreviousState(c=4), (TOKENS,)),
    Sample(NextState(), (TOKENS, TOKENS)),
    *(Sample(WeightMatrix(c=4, width=8), (shape,)) for shape in (TOKENS, VECTOR)),
    *(Sample(Project(), (shape, (4, 8, *MATRIX))) for shape in (TOKENS, VECTOR)),
    Sample(LookUp(c=4, tokens=7), ((5,), (7, 4, *MATRIX))),
    *(Sample(AddBias(), (shape,)) for shape in (TOKENS, IMAGE, VECTOR, VOLUME)),
    Sample(Lerp(), (TOKENS, TOKENS, TOKENS)),
    Sample(Scaled(by=0.25), (TOKENS,)),
    Sample(Sinusoids(), (TOKENS,)),
    Sample(LastToken(), (TOKENS,)),
    Sample(Patches(k=2, c=4)),
    Sample(ClassToken(), (TOKENS,)),
    Sample(Positions(), (TOKENS,)),
    Sample(FirstToken(), (TOKENS,)),
    Sample(Identity()),
    Sample(DropPath()),
    Sample(Dropout()),
    *(Sample(Zero(c=8, stride=2), (shape,)) for shape in (TOKENS, VOLUME)),
    *(Sample(Noise(stride=2), (shape,)) for shape in (TOKENS, VOLUME)),
    Sample(Zero(c=8, stride=2)),
    Sample(Zero(c=4)),
    Sample(Zero(c=4), (TOKENS,)),
    Sample(Cut(c=3, start=2), (TOKENS,)),
    Sample(Shuffle(groups=2), (TOKENS,)),
    Sample(Add(), (TOKENS, TOKENS)),
    Sample(Concat(), (TOKENS, (2, 5))),
    Sample(Mul(), (TOKENS, TOKENS)),
    Sample(Tanh(), (TOKENS,)),
    Sample(Identity(), (TOKENS,)),
    Sample(Noise()),
    Sample(Add(), (IMAGE, IMAGE, IMAGE)),
    Sample(Concat(), (IMAGE, (2, 6, 6))),
    Sample(Mul(), (IMAGE, IMAGE)),
    Sample(Mul(), (IMAGE, VECTOR)),
    Sample(Cut(c=3, start=2)),
    Sample(Shuffle(groups=2)),
    Sample(Flatten()),
    Sample(ChannelsLast()),
]
IDS = [f"{sample.op.name}-{len(sample.inputs[0])}-{index}" for index, sample in enumerate(SAMPLES)]

each = pytest.mark.parametrize("sample", SAMPLES, ids=IDS)


def test_every_primitive_has_a_sample() -> None:
    assert {sample.op.name for sample in SAMPLES} == {op.name for op in PRIMITIVES}


@each
def test_shapes_and_parameters(sample: Sample) -> None:
    module = sample.module()
    assert module(*sample.images()).shape[1:] == sample.output
    assert sample.op.params(sample.inputs, sample.output) == sum(p.numel() for p in module.parameters())
    assert sample.op.refusal([Shape(shape) for shape in sample.inputs], Shape(sample.output)) is None
    assert len(sample.inputs[0]) in sample.op.ranks


@each
def test_purity(sample: Sample) -> None:
    module, op = sample.module().eval(), sample.op
    images = sample.images()
    assert op.random == (not torch.equal(module(*images), module(*images)))
    has_state = bool([*module.parameters(), *module.buffers()])
    assert op.pure == (not (has_state or op.random or op.drops_paths or op.drops_units or op.opens_loop))
    if op.drops_units:
        assert not torch.equal(module.train()(*images), images[0])
    if op.drops_paths:
        assert isinstance(module, regularisation.DropPath)
        module.train()
        module.rate = 0.9
        assert not torch.equal(module(*images), images[0])


@each
def test_identities_and_zeros(sample: Sample) -> None:
    module, op, images = sample.module().eval(), sample.op, sample.images()
    output = module(*images)
    is_input = output.shape == images[0].shape and torch.equal(output, images[0]) and not op.channels_last
    assert (op.identity or op.drops_units or op.closes_loop) == is_input
    assert (op.zero or op.opens_loop) == (not output.any())
    preserves = not module(*map(torch.zeros_like, images)).any()
    if op.pure:
        assert op.preserves_zero == preserves
    else:  # with other weights it may be otherwise
        assert preserves or not op.preserves_zero


@each
def test_single_positions(sample: Sample) -> None:
    """What a recurrence may call gives each position the same where that is all it gets."""
    module, op, images = sample.module().eval(), sample.op, sample.images()
    if op.stepwise and sample.inputs[0] == TOKENS and not isinstance(op, WeightMatrix):
        for n in range(TOKENS[1]):
            alone = module(*(x[:, :, n : n + 1] if x.dim() == 3 else x for x in images))
            assert torch.allclose(alone, module(*images)[:, :, n : n + 1])


@each
def test_orders_of_channels(sample: Sample) -> None:
    module, op, images = sample.module().eval(), sample.op, sample.images()
    output = module(*images)
    is_moved = output.shape == images[0].shape and torch.equal(output.sort(1).values, images[0].sort(1).values)
    assert op.permutes_channels == (is_moved and not torch.equal(output, images[0]))


@each
def test_masks(sample: Sample) -> None:
    """Channels that are zero stay so where the operator says that it does not fill them."""
    module, op, images = sample.module().eval(), sample.op, sample.images()
    if not op.any_width or len(images) > 1 or op.slices_channels:
        return
    images[0][:, 5:] = 0
    output = module(*images)
    if not op.fills:
        assert output.shape[1] != images[0].shape[1] or not output[:, 5:].any()


@each
def test_orders(sample: Sample) -> None:
    module, op, images = sample.module().eval(), sample.op, sample.images()
    if len(images) == 1 or (len({image.shape for image in images}) > 1 and op.gather is None):
        return
    turned, output = module(*images[::-1]), module(*images)
    if op.gather is Gather.CONCATENATION:
        turned, output = (tensor.sum(1) for tensor in (turned, output))
    assert op.commutative == torch.allclose(turned, output)
    if op.gather is Gather.SUM:
        total = sum(images)
        assert isinstance(total, Tensor)
        assert torch.allclose(output, total)
    if op.gather is not None:
        assert torch.equal(standalone(op, sample.inputs[:1], sample.inputs[0])(images[0]), images[0])


@each
def test_views(sample: Sample) -> None:
    module, images = sample.module().eval(), sample.images()
    assert sample.op.view == (storage(module(*images)) in map(storage, images))


@each
def test_what_the_backward_pass_keeps(sample: Sample) -> None:
    module, op = sample.module().train(), sample.op
    images = [image.requires_grad_(image.is_floating_point()) for image in sample.images()]
    kept: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        output = module(*images)
    found = Saved.NONE
    if any(same(image, tensor) for tensor in kept for image in images):
        found = Saved.INPUTS
    elif any(storage(tensor) == storage(output) for tensor in kept) and not op.view:
        found = Saved.OUTPUT
    assert op.saves is found
    indices = [tensor for tensor in kept if tensor.dtype is torch.int64 and tensor.numel() == output.numel()]
    assert op.saves_indices == sum(tensor.element_size() for tensor in indices)


def same(image: Tensor, kept: Tensor) -> bool:
    """Whether what is kept is an input, or a copy of it in another order."""
    if image.dtype is not kept.dtype or image.numel() != kept.numel():
        return False
    return storage(image) == storage(kept) or torch.equal(*(t.detach().flatten().sort()[0] for t in (image, kept)))


def storage(tensor: Tensor) -> int:
    """Where the numbers of a tensor lie."""
    return tensor.untyped_storage().data_ptr()


def test_infix_signs() -> None:
    """Those that commute are written as one expression with a sign."""
    assert all(op.infix for op in PRIMITIVES if op.commutative)
