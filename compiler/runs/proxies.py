"""Zero-cost proxies of an architecture: its network as a training from scratch starts it, and held-out images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from compiler.elaborate import Elaborated
from compiler.program.model import Program
from compiler.program.request import Request
from compiler.searcher.data.load import Images, halves
from compiler.searcher.data.source import Batch
from compiler.searcher.engine.device.batches import Batches
from compiler.searcher.engine.device.compute import Compute, deterministic
from compiler.searcher.engine.state.seeds import seed_all
from compiler.searcher.engine.tasks import behaviour_of
from compiler.searcher.explore.probe import probe_of
from compiler.searcher.explore.proxies import values
from compiler.searcher.settings.judges import ProxyName
from compiler.searcher.settings.sections import SearchSettings, TrainSettings
from compiler.util.errors import UsageError
from compiler.util.seeds import mix
from hdas_dsl.text.diagnostics import suggest

from .check_runs import check_single_input
from .config import RunConfig
from .data import matching_data
from .plan import TrainPlan

IMAGES = 64
"""How many images a proxy sees where nothing is said."""


def proxies(
    network: Elaborated | Program | str,
    data: Images | Batch,
    words: Sequence[str] = tuple(ProxyName),
    seed: int = 0,
    images: int = IMAGES,
) -> dict[str, float]:
    """Zero-cost proxies of a discrete network, by name.

    Args:
        network: it, its program, or its text in the language.
        data: images of which a batch is drawn, or a batch: images (n, c, h, w) and labels (n).
        words: which proxies, by name.
        seed: of the weights, which are those that a training with this seed starts from, and of the batch.
        images: how many are drawn.

    Raises:
        HspError: the text is wrong.
        UsageError: there is no proxy of a name, or the network has nothing of what one looks at.
        SingleValueError: a batch norm has one value of each channel.
    """
    names = named(words)
    if isinstance(network, str):
        network = Request(Path("<text>"), text=network).compile()
    if isinstance(network, Program):
        network = network.train_network or network.network
    batch = batch_of(data, images, Compute("cpu"), seed) if isinstance(data, Images) else data
    with deterministic():
        return values(probe_of(network, *batch, seed), names)


def named(words: Sequence[str]) -> list[ProxyName]:
    """Proxies by name; raises UsageError where there is none of a name."""
    for word in words:
        if word not in set(ProxyName):
            hint = suggest(word, list(ProxyName)) or f"known: {', '.join(ProxyName)}"
            raise UsageError(f"there is no proxy '{word}'; {hint}")
    return [ProxyName(word) for word in words]


def batch_of(data: Images, images: int, compute: Compute, seed: int) -> Batch:
    """The first so many of some images in a random order, on a device, or all where there are not so many."""
    seed_all(mix(seed, "proxy"), compute.device)
    return next(Batches("alpha half", data, min(images, len(data)), compute, mix(seed, "proxy")).epoch(0))


def held_out(settings: SearchSettings | TrainSettings, network: Elaborated, config: RunConfig) -> Images:
    """The images of the alphas, without random changes."""
    check_single_input(network, "proxies are of one, an image")
    if len(network.block.graph.output_shapes) > 1:
        raise UsageError(f"network '{network.name}' gives several outputs, and proxies are of one")
    data = matching_data(settings, network, config)
    _, of_alphas = halves(data, settings.data.weights_share, settings.seed)
    return replace(of_alphas, finishing=data.test.finishing, pairing=data.test.pairing)


def proxies_of(plan: TrainPlan, words: Sequence[str], images: int) -> dict[str, float]:
    """Zero-cost proxies of the network of a plan, on the data of its `train` section, by name.

    Raises:
        DataError: the data are missing or do not fit.
        UsageError: as of `proxies`.
    """
    names, seed, task = named(words), plan.settings.seed, plan.settings.task
    compute = Compute(plan.config.device)
    seen = held_out(plan.settings, plan.network, plan.config)
    batch = batch_of(seen, images, compute, seed)
    with deterministic():
        return values(probe_of(plan.network, *batch, seed, behaviour_of(task, seen.classes).loss), names)
