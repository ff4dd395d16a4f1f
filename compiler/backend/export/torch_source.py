"""How each primitive is spelt in plain PyTorch: as a module, as an expression of its inputs, or both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from compiler.ir.payloads import Prim
from compiler.ir.primitives import PRIMITIVES, Activation, decided
from compiler.util.errors import LoweringError

from .outline import Step

if TYPE_CHECKING:
    from .generalise import Class

Term: TypeAlias = "int | float | bool | str | New | Ref"
"""A value in a constructor: a number, another module, or the text of an expression."""


SUM, PRODUCT, ATOM = 0, 1, 2
"""How tightly an expression binds."""


@dataclass(frozen=True)
class Ref:
    """An expression of parameters."""

    text: str


@dataclass(frozen=True)
class Arg:
    """An argument of a constructor; it is not written where it is its default."""

    name: str
    value: Term
    positional: bool = False
    default: Term | None = None


@dataclass(frozen=True)
class New:
    """A module made: of torch, of ``torch_modules.modules`` (whose text is copied), or of a class of the file."""

    kind: str | Class
    args: tuple[Arg, ...] = ()

    @property
    def has_state(self) -> bool:
        """Whether it has parameters or buffers."""
        return not isinstance(self.kind, str) or self.kind not in _STATELESS


class Figure(str):
    """The text of a number in an expression; in a slice, spaces stand around the colon of what is more than a word."""

    def __format__(self, part: str) -> str:
        text = str(self)
        space = "" if text.isalnum() else " "
        return {"start": f"{text}{space}:", "stop": f":{space}{text}", "step": f"::{space}{text}", "": text}[part]


@dataclass(frozen=True)
class Form:
    """An expression: ``{0}``, ``{1}`` stand for the tensors, names for numbers (``{top:start}`` for a slice from one).

    It binds as tightly as ``tight``; tensor i stands in parentheses where it binds less than ``needs[i]``.
    """

    template: str
    numbers: tuple[tuple[str, int], ...] = ()
    tight: int = ATOM
    needs: tuple[int, ...] = ()


def modules(step: Step) -> tuple[New, ...] | None:
    """The modules that do a primitive, one after the other; None where torch has none."""
    assert isinstance(step.what, Prim)
    name, attrs = step.what.name, decided(step.what.values)
    if step.what.plugin is not None:
        raise LoweringError(f"the plugin '{name}' is no part of torch; onnx and torch files can hold what it does")
    c = step.shapes[0][0]
    spec = PRIMITIVES.get(name)
    if isinstance(spec, Activation):
        return (New(f"nn.{spec.torch_name}"),)
    tokens = len(step.shapes[0]) == 2
    match name:
        case "conv":
            return (
                _new(
                    "nn.Conv2d",
                    [("in_channels", c), ("out_channels", step.shape[0]), ("kernel_size", attrs["k"])],
                    stride=(attrs["stride"], 1),
                    padding=(attrs["pad"], 0),
                    dilation=(attrs["dilation"], 1),
                    groups=(attrs["groups"], 1),
                    bias=(attrs["bias"], True),
                ),
            )
        case "rect_conv":
            kernel, stride = (attrs["kh"], attrs["kw"]), (attrs["sh"], attrs["sw"])
            padding = ((kernel[0] - 1) // 2, (kernel[1] - 1) // 2)
            return (
                _new(
                    "nn.Conv2d",
                    [("in_channels", c), ("out_channels", step.shape[0]), ("kernel_size", Ref(str(kernel)))],
                    stride=(Ref(str(stride)), Ref("(1, 1)")),
                    padding=(Ref(str(padding)), Ref("(0, 0)")),
                    groups=(attrs["groups"], 1),
                    bias=(attrs["bias"], True),
                ),
            )
        case "linear":
            kind = "TokenLinear" if tokens else "nn.Linear"
            return (_new(kind, [("in_features", c), ("out_features", step.shape[0])], bias=(attrs["bias"], True)),)
        case "batch_norm":
            return (_new("nn.BatchNorm2d", [("num_features", c)], affine=(attrs["affine"], True)),)
        case "layer_norm":
            return (_new("TokenLayerNorm" if tokens else "nn.LayerNorm", [("num_features", c)]),)
        case "max_pool":
            return (
                _new(
                    "nn.MaxPool2d",
                    [("kernel_size", attrs["k"])],
                    stride=(attrs["stride"], None),
                    padding=(attrs["pad"], 0),
                ),
            )
        case "avg_pool":
            return (
                _new(
                    "nn.AvgPool2d",
                    [("kernel_size", attrs["k"])],
                    stride=(attrs["stride"], None),
                    padding=(attrs["pad"], 0),
                    count_include_pad=(attrs["count_pad"] or attrs["pad"] == 0, True),
                ),
            )
        case "global_pool":
            return New(f"nn.AdaptiveAvgPool{len(step.shapes[0]) - 1}d", (Arg("output_size", 1, True),)), New(
                "nn.Flatten"
            )
        case "flatten":
            return (New("nn.Flatten"),)
        case "attention":
            return (_new("Attention", [("c", c)], heads=(attrs["heads"], None), width=(attrs["width"], None)),)
        case "patches":
            return (_new("Patches", [("inputs", c), ("c", step.shape[0])], k=(attrs["k"], None)),)
        case "class_token":
            return (_new("ClassToken", [("c", c)]),)
        case "positions":
            return (_new("Positions", [("c", c)], tokens=(step.shape[1], None)),)
    return None


HELPERS = ("TokenLinear", "TokenLayerNorm", "Attention", "Patches", "ClassToken", "Positions")
"""Classes of ``compiler.backend.torch_modules.modules`` whose text goes into the file where they are used."""

_STATELESS = {f"nn.{kind.torch_name}" for kind in PRIMITIVES.values() if isinstance(kind, Activation)} | {
    "nn.MaxPool2d",
    "nn.AvgPool2d",
    "nn.Flatten",
    "nn.AdaptiveAvgPool1d",
    "nn.AdaptiveAvgPool2d",
}


def _new(kind: str, positional: Sequence[tuple[str, Any]], **named: tuple[Any, Any]) -> New:
    args = [Arg(name, value, True) for name, value in positional]
    args += [Arg(name, value, False, default) for name, (value, default) in named.items()]
    return New(kind, tuple(args))


# ---------------------------------------------------------------- expressions

_FUNCTIONS = {
    "relu": "F.relu",
    "relu6": "F.relu6",
    "gelu": "F.gelu",
    "swish": "F.silu",
    "hard_swish": "F.hardswish",
    "sigmoid": "torch.sigmoid",
    "hard_sigmoid": "F.hardsigmoid",
}


def form(step: Step) -> Form | None:
    """A primitive as an expression; None where it has parameters."""
    assert isinstance(step.what, Prim)
    name, attrs = step.what.name, decided(step.what.values)
    if name in _FUNCTIONS:
        return Form(f"{_FUNCTIONS[name]}({{0}})")
    make = _FORMS.get(name)
    return make(step, attrs) if make else None


def _add(step: Step, _: dict[str, Any]) -> Form:
    count = len(step.sources)
    return Form(" + ".join(f"{{{n}}}" for n in range(count)), (), SUM, (SUM, *(PRODUCT,) * (count - 1)))


def _concat(step: Step, _: dict[str, Any]) -> Form:
    return Form(f"torch.cat([{', '.join(f'{{{n}}}' for n in range(len(step.sources)))}], dim=1)")


def _mul(step: Step, _: dict[str, Any]) -> Form:
    missing = len(step.shapes[0]) - len(step.shapes[1])
    if not missing:
        return Form("{0} * {1}", (), PRODUCT, (PRODUCT, ATOM))
    return Form(f"{{0}} * {{1}}[:, :{', None' * missing}]", (), PRODUCT, (PRODUCT, ATOM))


def _max_pool(_: Step, attrs: dict[str, Any]) -> Form:
    return _pool("F.max_pool2d", attrs, "")


def _avg_pool(_: Step, attrs: dict[str, Any]) -> Form:
    counts = attrs["count_pad"] or not attrs["pad"]
    return _pool("F.avg_pool2d", attrs, "" if counts else ", count_include_pad=False")


def _pool(function: str, attrs: dict[str, Any], more: str) -> Form:
    numbers = [("kernel_size", attrs["k"]), ("stride", attrs["stride"])]
    padding = ""
    if attrs["pad"]:
        numbers.append(("padding", attrs["pad"]))
        padding = ", padding={padding}"
    return Form(f"{function}({{0}}, {{kernel_size}}, stride={{stride}}{padding}{more})", tuple(numbers))


def _global_pool(step: Step, _: dict[str, Any]) -> Form:
    return Form("{0}.mean((2, 3))" if len(step.shapes[0]) == 3 else "{0}.mean(2)", (), ATOM, (ATOM,))


def _zero(step: Step, _: dict[str, Any]) -> Form:
    source, shape = step.shapes[0], step.shape
    if shape == source:
        return Form("torch.zeros_like({0})")
    if shape[0] == source[0]:
        for stride in range(2, max(source[1:]) + 1):
            if shape[1:] == tuple((size - 1) // stride + 1 for size in source[1:]):
                return Form(
                    "torch.zeros_like({0}[:, :, {stride:step}, {stride:step}])", (("stride", stride),), ATOM, (ATOM,)
                )
    numbers = tuple(zip(("c", "h", "w"), shape, strict=False))
    return Form(
        f"{{0}}.new_zeros(len({{0}}), {', '.join(f'{{{name}}}' for name, _ in numbers)})", numbers, ATOM, (ATOM,)
    )


def _crop(_: Step, attrs: dict[str, Any]) -> Form:
    return Form("{0}[:, :, {top:start}, {left:start}]", (("top", attrs["top"]), ("left", attrs["left"])), ATOM, (ATOM,))


def _resize(step: Step, _: dict[str, Any]) -> Form:
    numbers = (("h", step.shape[1]), ("w", step.shape[2]))
    return Form('F.interpolate({0}, ({h}, {w}), mode="bilinear", align_corners=False)', numbers)


def _cut(step: Step, attrs: dict[str, Any]) -> Form:
    start, c = attrs["start"], step.shape[0]
    if not start:
        return Form("{0}[:, {c:stop}]", (("c", c),), ATOM, (ATOM,))
    if start + c == step.shapes[0][0]:
        return Form("{0}[:, {start:start}]", (("start", start),), ATOM, (ATOM,))
    return Form("{0}[:, {start:start}{stop}]", (("start", start), ("stop", start + c)), ATOM, (ATOM,))


def _shuffle(_: Step, attrs: dict[str, Any]) -> Form:
    template = "{0}.unflatten(1, ({groups}, -1)).transpose(1, 2).flatten(1, 2)"
    return Form(template, (("groups", attrs["groups"]),), ATOM, (ATOM,))


def _noise(step: Step, attrs: dict[str, Any]) -> Form:
    stride = attrs["stride"]
    if stride == 1:
        return Form("torch.randn_like({0})")
    return Form("torch.randn_like({0}[:, :, {stride:step}, {stride:step}])", (("stride", stride),), ATOM, (ATOM,))


_FORMS: dict[str, Callable[[Step, dict[str, Any]], Form]] = {
    "add": _add,
    "concat": _concat,
    "mul": _mul,
    "max_pool": _max_pool,
    "avg_pool": _avg_pool,
    "global_pool": _global_pool,
    "zero": _zero,
    "crop": _crop,
    "resize": _resize,
    "cut": _cut,
    "shuffle": _shuffle,
    "noise": _noise,
    "flatten": lambda step, attrs: Form("{0}.flatten(1)", (), ATOM, (ATOM,)),
    "first_token": lambda step, attrs: Form("{0}[:, :, 0]", (), ATOM, (ATOM,)),
}
