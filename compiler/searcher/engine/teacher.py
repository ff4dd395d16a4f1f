"""One architecture teaches the others in place: its answers, at the weights of now, are labels beside the true ones.

Cai et al., "Once-for-All: Train One Network and Specialize it for Efficient Deployment" (ICLR 2020); Yu et al.,
"BigNAS: Scaling Up Neural Architecture Search with Big Single-Stage Models" (ECCV 2020), inplace distillation.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import cross_entropy


def answers(logits: Tensor) -> Tensor:
    """What a teacher says of images, as probabilities (n, classes), of its logits."""
    return logits.detach().softmax(1)


def lesson(logits: Tensor, taught: Tensor) -> Tensor:
    """The mean cross entropy of logits (n, classes) with a teacher's answers: of its own its gradient is 0."""
    return cross_entropy(logits, taught)
