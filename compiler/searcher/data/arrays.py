"""From an `ArrayFile` to samples for a network and a task: everything that does not fit is refused before a run."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from compiler.searcher.settings.datasets import ArrayFile, DataError, HuggingFace
from compiler.searcher.settings.tasks import Classification, Multilabel, OwnTask, Regression, Segmentation, Task, Tokens
from compiler.util.plural import plural

from .array_files import Array, Arrays, Part, Wanted, read_arrays
from .huggingface import read_saved
from .load import Data, Images
from .source import Shape, Tensors, show
from .subsets import limited, random_generator
from .transforms import Augmentation, CropAndFlip, Cutout, Finish, Plain

IMAGE = 3
TEXTS = "SU"
"""The kinds of arrays that numpy makes of texts."""
TEST_SHARE = 5
"""Where a file has no test part, one of so many samples is held out for it, the same ones in every run."""


@dataclass(frozen=True)
class Taken:
    """An input of a network: its name, the shape of a sample, and below which number its tokens are, if it has any."""

    name: str
    shape: Shape
    tokens: int | None = None


@dataclass(frozen=True)
class Fit:
    """What samples have to fit: the task, the inputs of the network, and the shape that it gives."""

    task: Task
    inputs: tuple[Taken, ...]
    given: Shape

    @property
    def taken(self) -> Shape:
        """The shape of the first input."""
        return self.inputs[0].shape


def load_arrays(
    spec: ArrayFile, root: Path, fit: Fit, *, made: Callable[[], object] | None = None, seed: int = 0
) -> Data:
    """The samples of a file, or of what ``made`` gives, for a network and a task.

    Bytes of images are divided by 255; other numbers stay as they are. ``seed`` chooses the training samples where the
    spec limits them.

    Raises:
        DataError: the file is missing or damaged, or its shapes, types or values do not fit.
    """
    names = tuple(item.name for item in fit.inputs)
    wanted = Wanted(names, names=isinstance(fit.task, Classification))
    if isinstance(spec, HuggingFace):
        found = read_saved(root / spec.path, spec.target, wanted)
    else:
        found = read_arrays(spec, root, made, wanted)
    name = spec.replace("images", None).describe()
    train = _samples(found.train, fit, f"the training part of {name}")
    if found.test is None:
        train, test = _divided(train, name)
    else:
        test = _samples(found.test, fit, f"the test part of {name}")
    digest = _digest(found)
    if spec.images is not None:
        train = train.subset(_limited(train, spec, fit.task, seed, name))
    classes = fit.given[0]

    def images(samples: Tensors, random: bool) -> Images:
        return Images(name, samples, classes, _finish(spec, fit, random), torch.arange(len(samples)))

    return Data(name, images(train, True), images(test, False), classes, fit.taken, digest)


def _digest(found: Arrays) -> str:
    """A digest of all numbers, by which a run that goes on knows that they have not changed."""
    digest = hashlib.sha256()
    for part in (found.train, found.test):
        for array in () if part is None else (*part.inputs, part.targets):
            if array is not None:
                digest.update(f"{array.dtype}{array.shape}".encode())
                digest.update(np.ascontiguousarray(array).view(np.uint8).data if array.size else b"")
    return digest.hexdigest()


def _finish(spec: ArrayFile, fit: Fit, random: bool) -> Finish | Plain:
    """Images take the random changes of the spec; other inputs stay as they are."""
    if len(fit.inputs) > 1 or len(fit.taken) != IMAGE or not random:
        return Plain()
    changes: tuple[Augmentation, ...] = (CropAndFlip(spec.crop, 0, spec.flip),) if spec.crop or spec.flip else ()
    if spec.cutout:
        changes = (*changes, Cutout(spec.cutout))
    return Plain(changes)


def _divided(samples: Tensors, name: str) -> tuple[Tensors, Tensors]:
    held = len(samples) // TEST_SHARE
    if not held:
        raise DataError(f"{name} has {plural(len(samples), 'sample')}: too few to hold some out for the test")
    order = torch.randperm(len(samples), generator=random_generator(0, "test part"))
    return samples.subset(order[held:]), samples.subset(order[:held])


def _limited(samples: Tensors, spec: ArrayFile, task: Task, seed: int, name: str) -> Tensor:
    """Which of the samples are used; of a classification each class keeps its share."""
    assert spec.images is not None
    classes = samples.labels if isinstance(task, Classification) else torch.zeros(len(samples), dtype=torch.long)
    return limited(classes, spec.images, seed, name)


def _samples(part: Part, fit: Fit, what: str) -> Tensors:
    """Inputs and targets of a part as tensors."""
    read = [_tensor(array, _of(taken, fit, what)) for taken, array in zip(fit.inputs, part.inputs, strict=True)]
    if part.targets is not None:
        targets = _tensor(part.targets, f"the targets of {what}")
    elif isinstance(fit.task, Tokens) and read[0].dim() > 1:
        targets = read[0][:, 1:]
        read[0] = read[0][:, :-1]  # Each token is foretold from those before it.
    elif isinstance(fit.task, OwnTask):
        targets = torch.zeros(len(read[0]), 0)
    else:
        raise DataError(f"{what} has no targets 'y'")
    inputs = tuple(_input(tensor, taken, _of(taken, fit, what)) for taken, tensor in zip(fit.inputs, read, strict=True))
    for tensor, taken in zip(inputs, fit.inputs, strict=True):
        if len(targets) != len(tensor):
            named = "" if len(inputs) == 1 else f" of '{taken.name}'"
            raise DataError(f"{what} has {plural(len(tensor), 'input')}{named} and {plural(len(targets), 'target')}")
    fitting = _targets(targets, fit, f"the targets of {what}")
    return Tensors(inputs[0] if len(inputs) == 1 else inputs, fitting)


def _of(taken: Taken, fit: Fit, what: str) -> str:
    """An input of a part, by its name where there are several."""
    return f"the inputs{'' if len(fit.inputs) == 1 else f' {taken.name!r}'} of {what}"


def _input(tensor: Tensor, taken: Taken, what: str) -> Tensor:
    """An input as its network takes it: whole numbers where it embeds them, else numbers."""
    if tuple(tensor.shape[1:]) != taken.shape or len(tensor) == 0:
        raise DataError(f"{what} are {show(tensor.shape)}, but the network takes n x {show(taken.shape)}")
    if taken.tokens is not None:
        _check_classes(tensor, taken.tokens, None, what)
        return tensor.long()
    scale = 255 if tensor.dtype is torch.uint8 and len(taken.shape) == IMAGE else 1
    return tensor.float() / scale


def _tensor(array: Array, what: str) -> Tensor:
    """An array as a tensor of numbers, all of them finite."""
    try:
        tensor = torch.from_numpy(array.copy())
    except TypeError:
        kind = "are texts" if array.dtype.kind in TEXTS else f"are of the type {array.dtype}"
        raise DataError(f"{what} {kind}, not numbers") from None
    if tensor.is_complex() or tensor.dim() == 0:
        raise DataError(f"{what} are of the type {array.dtype} and the shape {show(tensor.shape)}, not numbers")
    if (
        tensor.is_floating_point()
        and not (finite := tensor.isfinite().flatten(1).all(1) if tensor.dim() > 1 else tensor.isfinite()).all()
    ):
        raise DataError(f"{what} are not finite: the first is sample {int((~finite).nonzero()[0])}")
    return tensor


def _targets(targets: Tensor, fit: Fit, what: str) -> Tensor:
    """Targets of the shape and type that the task asks for."""
    shape, (classes, *places) = tuple(targets.shape[1:]), fit.given
    match fit.task:
        case Regression():
            if fit.given == (1,) and not shape:
                targets, shape = targets.unsqueeze(1), (1,)
            _check_shape(shape, fit.given, what)
            return targets.float()
        case Multilabel():
            _check_shape(shape, fit.given, what)
            if not ((targets == 0) | (targets == 1)).all():
                raise DataError(f"{what} are not labels: each is 0 or 1")
            return targets.float()
        case Segmentation(ignore=ignore):
            _check_shape(shape, tuple(places), what)
            _check_classes(targets, classes, ignore, what)
        case OwnTask():
            return targets.float() if targets.is_floating_point() else targets.long()
        case Classification() | Tokens():
            _check_shape(shape, tuple(places), what)
            _check_classes(targets, classes, None, what)
    return targets.long()


def _check_shape(found: Shape, wanted: Shape, what: str) -> None:
    if found != wanted:
        raise DataError(f"{what} are n{_times(found)}, but the task asks for n{_times(wanted)}")


def _times(shape: Shape) -> str:
    return f" x {show(shape)}" if shape else ""


def _check_classes(found: Tensor, classes: int, ignore: int | None, what: str) -> None:
    """Whole numbers from 0 to below ``classes``, or ``ignore``."""
    if found.is_floating_point() or found.dtype is torch.bool:
        kind = str(found.dtype).removeprefix("torch.")
        raise DataError(f"{what} are of the type {kind}, not whole numbers")
    wrong = (found < 0) | (found >= classes)
    if ignore is not None:
        wrong &= found != ignore
    if wrong.any():
        first = int(found[wrong][0])
        raise DataError(f"{what} have a {first}, but the classes of the network are 0 to {classes - 1}")
