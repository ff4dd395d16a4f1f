"""The optimizers that settings name, and learning rates that follow their schedules."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.optim import Optimizer

from compiler.searcher.settings.optimizers import Adam, AdamW, AlphaFixed, AlphaNatural, Alphas, Sgd

from .natural import NaturalGradient

OptimizerSettings = Sgd | Adam | AdamW | Alphas


def build_optimizer(word: OptimizerSettings, parameters: Sequence[nn.Parameter]) -> Optimizer:
    """The optimizer that a word of the language names."""
    match word:
        case AlphaFixed():
            return torch.optim.SGD(parameters, lr=0.0)
        case AlphaNatural(snr=snr):
            return NaturalGradient(parameters, snr)
        case _:
            lr = word.lr(0, 1)
    match word:
        case Sgd():
            return torch.optim.SGD(
                parameters, lr=lr, momentum=word.momentum, weight_decay=word.decay, nesterov=word.nesterov
            )
        case AdamW():
            return torch.optim.AdamW(parameters, lr=lr, betas=word.betas, weight_decay=word.decay)
        case _:
            return torch.optim.Adam(parameters, lr=lr, betas=word.betas, weight_decay=word.decay)


def set_learning_rate(target: Optimizer, word: OptimizerSettings, epoch: float, epochs: int) -> float:
    """Give an optimizer the learning rate of a moment, and say which it is."""
    rate = 0.0 if isinstance(word, AlphaFixed) else word.lr(epoch, epochs)
    for group in target.param_groups:
        group["lr"] = rate
    return rate
