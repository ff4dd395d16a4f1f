"""From an `ArrayFile` to samples for a network and a task: everything that does not fit is refused before a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from compiler.searcher.settings.datasets import ArrayFile, DataError
from compiler.searcher.settings.tasks import Classification, Multilabel, OwnTask, Regression, Segmentation, Task, Tokens

from .array_files import Array, read_arrays
from .load import Data, Images
from .source import Shape, Tensors, show
from .subsets import limited, random_generator
from .transforms import Augmentation, CropAndFlip, Cutout, Finish, Plain

IMAGE = 3
TEST_SHARE = 5
"""Where a file has no test part, one of so many samples is held out for it, the same ones in every run."""


@dataclass(frozen=True)
class Fit:
    """What samples have to fit: the task, and the shapes that the network takes and gives."""

    task: Task
    taken: Shape
    given: Shape


def load_arrays(
    spec: ArrayFile, root: Path, fit: Fit, *, made: Callable[[], object] | None = None, seed: int = 0
) -> Data:
    """The samples of a file, or of what ``made`` gives, for a network and a task.

    Bytes of images are divided by 255; other numbers stay as they are. ``seed`` chooses the training samples where the
    spec limits them.

    Raises:
        DataError: the file is missing or damaged, or its shapes, types or values do not fit.
    """
    found = read_arrays(spec, root, made, names=isinstance(fit.task, Classification))
    name = spec.describe()
    train = _samples(found.x, found.y, fit, f"the training part of {name}")
    if found.x_test is None:
        train, test = _divided(train, name)
    else:
        test = _samples(found.x_test, found.y_test, fit, f"the test part of {name}")
    if spec.images is not None:
        train = train.subset(_limited(train, spec, fit.task, seed))
    classes = fit.given[0]

    def images(samples: Tensors, random: bool) -> Images:
        return Images(name, samples, classes, _finish(spec, fit, random), torch.arange(len(samples)))

    return Data(name, images(train, True), images(test, False), classes, fit.taken)


def _finish(spec: ArrayFile, fit: Fit, random: bool) -> Finish | Plain:
    """Images take the random changes of the spec; other inputs stay as they are."""
    if len(fit.taken) != IMAGE or not random:
        return Plain()
    changes: tuple[Augmentation, ...] = (CropAndFlip(spec.crop, 0, spec.flip),) if spec.crop or spec.flip else ()
    if spec.cutout:
        changes = (*changes, Cutout(spec.cutout))
    return Plain(changes)


def _divided(samples: Tensors, name: str) -> tuple[Tensors, Tensors]:
    held = len(samples) // TEST_SHARE
    if not held:
        raise DataError(f"{name} has {len(samples)} samples: too few to hold some out for the test")
    order = torch.randperm(len(samples), generator=random_generator(0, "test part"))
    return samples.subset(order[held:]), samples.subset(order[:held])


def _limited(samples: Tensors, spec: ArrayFile, task: Task, seed: int) -> Tensor:
    """Which of the samples are used; of a classification each class keeps its share."""
    assert spec.images is not None
    classes = samples.labels if isinstance(task, Classification) else torch.zeros(len(samples), dtype=torch.long)
    return limited(classes, spec.images, seed, spec.word)


def _samples(x: Array, y: Array | None, fit: Fit, part: str) -> Tensors:
    """Inputs and targets of a part as tensors."""
    inputs = _tensor(x, f"the inputs of {part}")
    if y is None and isinstance(fit.task, Tokens) and inputs.dim() > 1:
        inputs, targets = inputs[:, :-1], inputs[:, 1:]  # Each token is foretold from those before it.
    elif y is None and isinstance(fit.task, OwnTask):
        targets = inputs.new_zeros(len(inputs), 0)
    elif y is None:
        raise DataError(f"{part} has no targets 'y'")
    else:
        targets = _tensor(y, f"the targets of {part}")
    if tuple(inputs.shape[1:]) != fit.taken or len(inputs) == 0:
        raise DataError(f"the inputs of {part} are {show(inputs.shape)}, but the network takes n x {show(fit.taken)}")
    if len(targets) != len(inputs):
        raise DataError(f"{part} has {len(inputs)} inputs and {len(targets)} targets")
    if isinstance(fit.task, Tokens):
        _check_classes(inputs, fit.given[0], None, f"the inputs of {part}")
        return Tensors(inputs.long(), _targets(targets, fit, f"the targets of {part}"))
    scale = 255 if inputs.dtype is torch.uint8 and len(fit.taken) == IMAGE else 1
    return Tensors(inputs.float() / scale, _targets(targets, fit, f"the targets of {part}"))


def _tensor(array: Array, what: str) -> Tensor:
    """An array as a tensor of numbers, all of them finite."""
    try:
        tensor = torch.from_numpy(array.copy())
    except TypeError:
        raise DataError(f"{what} are of the type {array.dtype}, not numbers") from None
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
                raise DataError(f"{what} are no labels: each is 0 or 1")
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
        raise DataError(f"{what} have a {first}, but the network tells 0 to {classes - 1} apart")
