"""NNI's supernet of DARTS: `nni.nas.hub.pytorch.DARTS` as its one-shot strategy of that name mixes it.

NNI 3.0, the last release, is installed by the user. Its network is nearly ours: norms stay affine while searching, and
none follows a pool, so that it does a little less.
"""

from __future__ import annotations

import warnings

from torch import nn

from peers.checkout import CheckoutError

MISSING = "NNI: `pip install nni==3.0 pytorch-lightning` first"
"""What to do where it is not installed."""


def build_nni(c: int, cells: int, classes: int) -> nn.Module:
    """The supernet; its alphas are parameters already.

    Raises:
        CheckoutError: where NNI is not installed, or for another number of classes than CIFAR-10's, which it fixes.
    """
    if classes != 10:
        raise CheckoutError("NNI's DARTS has 10 classes")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            from nni.nas.hub.pytorch import DARTS
            from nni.nas.strategy import DARTS as Strategy
        except (ImportError, AttributeError) as error:
            raise CheckoutError(f"{MISSING} ({error})") from error
        network: nn.Module = Strategy().mutate_model(DARTS(width=c, num_cells=cells, dataset="cifar"))
    return network
