"""From a `DataSpec` to images: loaded, in the shape of a network, and a batch of them at a time as its input.

The images of a batch go through, in this order: colour jitter, random crop (padded as the dataset says), flip, scaling
to [0, 1], mean and standard deviation, cutout, grey repeated to the channels of the network. Test images take no random
step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import Dataset

from compiler.searcher.settings.datasets import DataError, DataSpec, Folder
from compiler.util.plural import plural

from .builtin import LoadOptions, build
from .check import check_labels, check_source
from .image_files import BrokenFile, absent_classes, check_classes
from .mask_files import MaskFiles
from .resolution import prepared
from .source import Batch, Inputs, Pairing, Pixels, Samples, Shape, Source, Tensors, each, show
from .subsets import limited, random_generator
from .transforms import Augmentation, ColourJitter, CropAndFlip, Cutout, Finish, Plain, Put, WithMasks, stay


@dataclass(frozen=True, eq=False)
class Images(Dataset[Batch]):
    """Samples, or some of them, as a network takes them; as a torch dataset, an image and its label at a time."""

    name: str
    samples: Samples
    classes: int
    finishing: Finish | Plain
    indices: Tensor = field(repr=False)
    """Which of the samples these are, ``[n]``, in their order."""
    pairing: Pairing | None = None
    """What is made of a batch last of all."""
    masks: WithMasks | None = None
    """Where the labels are masks: what they share with their images."""

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Batch:
        images, labels = self.__getitems__([index])
        return each(lambda part: part[0], images), labels[0]

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        return self.finish(self.read(torch.as_tensor(indices)))

    @property
    def in_memory(self) -> bool:
        """Whether reading a batch is nothing but a copy of it."""
        return isinstance(self.samples, Pixels | Tensors)

    @property
    def statistics(self) -> dict[str, list[float]]:
        """The ``mean`` and ``std`` of each channel that images in [0, 1] are normalised by; none where they are not."""
        finishing = self.finishing
        if not isinstance(finishing, Finish) or not finishing.mean:
            return {}
        return {"mean": [round(x, 6) for x in finishing.mean], "std": [round(x, 6) for x in finishing.std]}

    def read(self, indices: Tensor) -> Batch:
        """The bytes of the images at ``indices`` ``[k]``, as ``[k, c, h, w]``, and their labels ``[k]``.

        Raises:
            DataError: when one cannot be read, has another shape, or has a label that is not a class.
        """
        images, labels = self.samples.take(self.indices[indices])
        if isinstance(self.samples, Tensors | MaskFiles):
            return images, labels
        check_labels(labels, self.classes)
        if tuple(images.shape[1:]) != self.samples.shape:
            shapes = f"{show(images.shape[1:])}, others {show(self.samples.shape)}"
            raise DataError(f"some images of {self.name} are {shapes}: all have to be of one shape")
        return images, labels.long()

    def finish(self, batch: Batch, put: Put = stay) -> Batch:
        """A batch that was read as a network takes it, on the device to which ``put`` copies.

        Images are floats ``[k, c, h, w]`` with the channels of the network, labels ``[k]``, masks ``[k, h, w]``.
        Random changes draw from torch's global generator.
        """
        images, labels = each(put, batch[0]), put(batch[1])
        if isinstance(images, Tensor):
            if self.masks is not None:
                images, labels = self.masks(images, labels, put)
            finished: Inputs = self.finishing(images, put)
        else:
            finished = images  # Samples of several inputs are as a network takes them.
        return (finished, labels) if self.pairing is None else self.pairing(finished, labels)

    def subset(self, indices: Tensor) -> Images:
        """The images at ``indices``, in that order."""
        return replace(self, indices=self.indices[indices])


@dataclass(frozen=True)
class Data:
    """A dataset ready for a network: ``train`` with random changes, ``test`` without; ``shape`` is an image's."""

    name: str
    train: Images
    test: Images
    classes: int
    shape: Shape
    digest: str = ""
    """Of arrays of a file: of all their numbers."""
    warnings: tuple[str, ...] = ()
    """Remarks about these data for the user, a sentence each."""

    def paired(self, pairing: Pairing) -> Data:
        """The same data, of whose batches a task makes its own; those of the test part are the same each time."""

        def tested(inputs: Inputs, targets: Tensor) -> Batch:
            devices = [] if targets.device.type == "cpu" else [targets.device]
            with torch.random.fork_rng(devices, device_type=targets.device.type if devices else "cuda"):
                torch.manual_seed(0)
                return pairing(inputs, targets)

        return replace(self, train=replace(self.train, pairing=pairing), test=replace(self.test, pairing=tested))


def load_data(
    spec: DataSpec, root: Path, *, download: bool = False, input_shape: Shape | None = None, seed: int = 0
) -> Data:
    """The images of ``spec`` in the shape ``(c, h, w)`` that a network takes, or without one in their own.

    Files of arrays are read by `arrays.load_arrays`.

    Images are resized, and grey ones repeated to the channels of the network; nothing else is guessed. ``seed`` chooses
    the training images where the spec limits them.

    Raises:
        MissingDataError: when the data are not there, or could not be fetched.
        DataError: when they are damaged, or do not fit the network.
    """
    if input_shape is not None:
        check_size(spec, input_shape)
        spec = spec.replace("size", max(input_shape[1:]))
    source = build(spec, LoadOptions(root, download, input_shape))
    check_source(spec.word, source)
    channels = source.train.shape[0]
    if input_shape is not None and channels not in (1, input_shape[0]):
        raise DataError(f"{spec.word} has {plural(channels, 'channel')}, but the network takes {input_shape[0]}")
    train = source.train
    if spec.images is not None:
        train = train.subset(limited(train.labels, spec.images, seed, spec.word))
    height, width = (spec.size, spec.size) if spec.size else train.shape[1:]
    shape = input_shape or (channels, height, width)
    parts = (train, source.test)
    read = [prepared(samples, (shape[1], shape[2])) for samples in parts]
    warnings = broken_warnings(spec, [file for _, broken in read for file in broken], sum(map(len, parts)))
    warnings += absent_classes(*parts)

    def images(part: int, random: bool) -> Images:
        samples = read[part][0]
        check_classes(parts[part], samples)
        finishing = _finish(source, spec, shape[0], random)
        return Images(spec.word, samples, source.classes, finishing, torch.arange(len(samples)))

    return Data(spec.word, images(0, True), images(1, False), source.classes, shape, warnings=warnings)


def check_size(spec: DataSpec, shape: Shape) -> None:
    """Refuse a ``size`` that is not that of a network that takes ``shape``."""
    if spec.size is not None and shape[1:] != (spec.size, spec.size):
        raise DataError(f"{spec.describe()} has size {spec.size}, but the network takes {shape[1]}x{shape[2]}")


def broken_warnings(spec: DataSpec, broken: list[BrokenFile], count: int) -> tuple[str, ...]:
    """The warning about broken files, out of ``count``, that are left out; none if there are none."""
    if not broken:
        return ()
    named = "; ".join(f"{file.path} {file.reason}" for file in broken[:3])
    more = f"; and {len(broken) - 3:,} more" if len(broken) > 3 else ""
    sentence = f"{len(broken):,} of {count:,} images of {spec.word} cannot be used: {named}{more}"
    if not (isinstance(spec, Folder) and spec.skip_broken):
        raise DataError(f"{sentence}; `skip_broken = true` leaves them out")
    return (f"{sentence}: they are left out",)


def _finish(source: Source, spec: DataSpec, channels: int, random: bool) -> Finish:
    """The transform of a batch, with the random changes of ``spec`` if ``random``."""
    augmentations: list[Augmentation] = []
    if random and isinstance(spec, Folder):
        augmentations += jitter(spec)
    if random and (spec.crop or spec.flip):
        augmentations.append(CropAndFlip(spec.crop, source.fill, spec.flip))
    cutout = Cutout(spec.cutout) if random and spec.cutout else None
    return Finish(channels, source.mean, source.std, tuple(augmentations), cutout)


def jitter(spec: Folder) -> list[Augmentation]:
    """The change of colours of a folder's training images, if there is one."""
    return [ColourJitter(spec.jitter)] if spec.jitter else []


def halves(data: Data, weights_share: float, seed: int) -> tuple[Images, Images]:
    """The training images divided at random: the share ``weights_share`` for the weights, the others for the alphas.

    Raises:
        DataError: when one part would be empty.
    """
    order = torch.randperm(len(data.train), generator=random_generator(seed, "halves"))
    cut = int(weights_share * len(order))
    if not 0 < cut < len(order):
        has = f"{data.name} has {plural(len(order), 'training image')}"
        raise DataError(f"{has}: a weights_share of {weights_share:g} leaves one part empty")
    return data.train.subset(order[:cut]), data.train.subset(order[cut:])
