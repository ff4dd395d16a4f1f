"""Random changes to a batch of images, another for each image. All randomness is torch's global generator's.

The transforms of torchvision change a whole batch in one and the same way; these draw for each image.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.transforms import v2


class RandomShift(v2.Transform):  # type: ignore[misc]
    """Pads each image with ``fill`` on every side and cuts its size out again at a random place."""

    def __init__(self, padding: int, fill: int) -> None:
        super().__init__()
        self.padding, self.fill = padding, fill

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Tensor]:
        return {"offsets": torch.randint(2 * self.padding + 1, (2, len(flat_inputs[0]), 1))}

    def transform(self, images: Tensor, params: dict[str, Tensor]) -> Tensor:
        count, channels, height, width = images.shape
        padded = functional.pad(images, [self.padding] * 4, value=self.fill)
        rows, columns = params["offsets"]
        rows = (rows + torch.arange(height)).view(count, 1, height, 1).expand(-1, channels, -1, padded.shape[3])
        columns = (columns + torch.arange(width)).view(count, 1, 1, width).expand(-1, channels, height, -1)
        return padded.gather(2, rows).gather(3, columns)


class RandomMirror(v2.Transform):  # type: ignore[misc]
    """Mirrors each image with probability one half."""

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Tensor]:
        return {"mirrored": torch.rand(len(flat_inputs[0])) < 0.5}

    def transform(self, images: Tensor, params: dict[str, Tensor]) -> Tensor:
        return torch.where(params["mirrored"].view(-1, 1, 1, 1), images.flip(-1), images)


class Cutout(v2.Transform):  # type: ignore[misc]
    """Sets a square of each image to zero; its centre is any pixel, and what lies outside the image is clipped."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Tensor]:
        count, _, height, width = flat_inputs[0].shape
        return {"rows": torch.randint(height, (count, 1)), "columns": torch.randint(width, (count, 1))}

    def transform(self, images: Tensor, params: dict[str, Tensor]) -> Tensor:
        count, _, height, width = images.shape
        rows = self._covered(params["rows"], height).view(count, 1, height, 1)
        columns = self._covered(params["columns"], width).view(count, 1, 1, width)
        return images.masked_fill(rows & columns, 0)

    def _covered(self, centres: Tensor, length: int) -> Tensor:
        offset = torch.arange(length) - (centres - self.side // 2)
        return (offset >= 0) & (offset < self.side)


class RepeatChannels(v2.Transform):  # type: ignore[misc]
    """Shows a grey image as one of ``channels`` equal channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def transform(self, images: Tensor, params: dict[str, Any]) -> Tensor:
        return images.expand(-1, self.channels, -1, -1)
