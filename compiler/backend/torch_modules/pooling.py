"""An average pool whose gradient on a GPU is right in whatever order images lie in memory."""

from __future__ import annotations

from torch import Tensor, nn


def channels_first_on_a_gpu(x: Tensor) -> Tensor:
    """Images as they are, but channels first where they lie on a GPU.

    There torch's gradient of an average pool with padding is wrong for channels-last images, without a word, in
    versions before its issue 188344 was closed (June 2026).
    """
    return x.contiguous() if x.is_cuda else x


class AvgPool2d(nn.AvgPool2d):
    """`torch.nn.AvgPool2d`."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(channels_first_on_a_gpu(x))
