"""Runs: a program searched phase by phase to a derived file, a derived network trained, evaluated, timed."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from compiler.analysis.requirements.constrained import Answer, prepare
from compiler.analysis.requirements.evaluate import Requirements, quantities, spoken_of
from compiler.backend.passes import Target
from compiler.derivation import derive_module
from compiler.elaborate import Elaborated
from compiler.program.compile_file import Phase, Program
from compiler.program.provenance import origin, section, units
from compiler.program.request import Request
from compiler.reports.facts import cardinality, human, power
from compiler.searcher.data.load import Data, load_data
from compiler.searcher.engine.loop import CHECKPOINT
from compiler.searcher.engine.protocol import RunOptions
from compiler.searcher.engine.retrain import TrainOutcome, evaluate, run_train
from compiler.searcher.engine.search import SearchOutcome, run_search
from compiler.searcher.engine.state.seeds import mix
from compiler.searcher.relaxations import relaxed
from compiler.searcher.relaxations.base import Network, Supernet, complaints
from compiler.searcher.settings.sections import Order, Sample, SearchSettings, TrainSettings
from compiler.util.errors import UsageError
from hdas_dsl.tree import ast
from hdas_dsl.tree.printer import print_module

DERIVED = "derived.hsp"
"""The name of the derived file in a run's folder."""


@dataclass(frozen=True)
class RunConfig:
    """Where and how a run happens; nothing here changes what it computes, except the device."""

    out: Path
    data_root: Path = Path("data")
    download: bool = False
    device: str = "auto"
    devices: int = 1
    resume: bool = False
    force: bool = False
    quiet: bool = False
    phases: tuple[str, ...] = ()
    checkpoint_every: int = 0
    memory_budget: int | None = None
    passes: tuple[str, ...] | None = None
    compiled: bool = False

    def target(self, batch: int) -> Target:
        """What networks are lowered for."""
        here = Target.on(self.device, self.memory_budget, batch)
        return replace(here, passes=self.passes, compiled=self.compiled)


@dataclass(frozen=True)
class SearchReport:
    """What a search of a program left: the derived file, and each phase's outcome by name."""

    derived: Path
    text: str
    outcomes: Mapping[str, SearchOutcome]


# ---------------------------------------------------------------- search


def search_file(request: Request, config: RunConfig, say: Callable[[str], None] = print) -> SearchReport:
    """Run the phases of a file in order and write ``derived.hsp``.

    A phase that is finished is not run again with ``resume``; one that is not goes on from its checkpoint.

    Raises:
        HspError: when the file is wrong, or cannot be relaxed.
        UsageError: when the file has nothing to search, or the run's folder is in use.
    """
    program = request.compile()
    phases = wanted(program, config.phases)
    last = phases[-1]
    started = any((folder_of(config, phase) / CHECKPOINT).is_file() for phase in phases)
    guard(config, config.out / DERIVED, started)
    found: dict[str, str] = {}
    outcomes: dict[str, SearchOutcome] = {}
    for phase in phases:
        program = request.compile(found)
        phase = next(item for item in program.phases if item.name == phase.name)
        folder = folder_of(config, phase)
        finished = folder / DERIVED
        if phase.name and config.resume and finished.is_file():
            found[phase.name] = finished.read_text(encoding="utf-8")
            say(f"phase {phase.name}: finished before, {finished}")
            continue
        outcome, text = search_phase(program, phase, folder, config, is_last=phase.name == last.name, say=say)
        outcomes[phase.name] = outcome
        found[phase.name] = text
    target = config.out / DERIVED
    write_text(target, found[last.name])
    carry_tables(program.phases, config.out)
    return SearchReport(target, found[last.name], outcomes)


def folder_of(config: RunConfig, phase: Phase) -> Path:
    """Where a phase keeps its files."""
    return config.out / phase.name if phase.name else config.out


def wanted(program: Program, names: tuple[str, ...]) -> list[Phase]:
    """The phases to run: those named, or all that are not optional.

    Raises:
        UsageError: when a name is unknown, or the file does not say how to search it.
    """
    if not program.phases:
        raise UsageError(f"'{program.name}' has no `search` section: nothing says how to search it")
    known = [phase.name for phase in program.phases]
    for name in names:
        if name not in known:
            raise UsageError(f"--phases {name}: the phases of this file are {', '.join(known) or 'none'}")
    return [phase for phase in program.phases if (phase.name in names if names else not phase.optional)]


def guard(config: RunConfig, result: Path, started: bool) -> None:
    """Refuse to overwrite a finished run, to mix with an unfinished one, or to resume nothing."""
    if config.force:
        return
    if config.resume and not started and not result.exists():
        raise UsageError(f"'{config.out}' holds no run to resume")
    if result.exists() and not config.resume:
        raise UsageError(f"'{config.out}' holds a finished run: choose another --out, or --force to overwrite it")
    if started and not config.resume:
        raise UsageError(f"'{config.out}' holds an unfinished run: --resume goes on with it, --force starts anew")


def search_phase(
    program: Program,
    phase: Phase,
    folder: Path,
    config: RunConfig,
    is_last: bool,
    say: Callable[[str], None] = print,
) -> tuple[SearchOutcome, str]:
    """Search one network and write its derived file, which satisfies what the network requires.

    Raises:
        UsageError: no architecture does, or that cannot be seen to; told before the search.
    """
    space, settings = phase.network, phase.settings
    check_relaxation(settings)
    prepare(Requirements(space))
    data = matching_data(settings, space, config)
    torch.manual_seed(mix(settings.seed, "init", phase.name))
    target = config.target(settings.batch)
    supernet = relaxed(space, settings, target)
    if isinstance(supernet, Supernet):
        for complaint in complaints(space, target):
            say(f"warning: {complaint}")
    options = RunOptions(
        out=folder,
        device=config.device,
        devices=config.devices,
        resume=config.resume and (folder / CHECKPOINT).is_file(),
        overwrite=config.force,
        quiet=config.quiet,
        fingerprint=fingerprint(program, phase.network, settings.describe(full=True), data),
        title=f"search {program.name}" + (f", phase {phase.name}" if phase.name else ""),
        checkpoint_every=config.checkpoint_every,
    )
    outcome = run_search(supernet, data, settings, options, anneal=supernet.anneal)
    answer = supernet.answer(outcome.alphas)
    if answer.told:
        say(f"requirements: {answer.told}")
    provenance = provenance_of(program, phase, outcome, answer)
    module = derive_module(space, answer.chosen, program.train if is_last else None, provenance)
    text = print_module(module)
    write_text(folder / DERIVED, text)
    carry_tables([phase], folder)
    return outcome, text


def carry_tables(phases: Sequence[Phase], folder: Path) -> None:
    """Copy the tables that derived files speak of beside them, so that they can still be checked there."""
    for phase in phases:
        for requirement in phase.network.requirements:
            for asked in quantities(requirement):
                file, target = asked.total.file, (folder / (asked.total.argument or "")).resolve()
                if file is not None and file.is_file() and target.is_relative_to(folder.resolve()) and target != file:
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(file.read_bytes())


def check_relaxation(settings: SearchSettings) -> None:
    """Refuse what a relaxation cannot be searched by."""
    if isinstance(settings.relax, Sample) and settings.order is Order.SECOND:
        raise UsageError("`relax = sample` has no gradient that `order = second` could look ahead by: use `first`")


def provenance_of(program: Program, phase: Phase, outcome: SearchOutcome, answer: Answer) -> list[ast.Setting]:
    """Where a derived file comes from. No time, host or absolute path, so that equal runs give equal bytes."""
    settings = phase.settings
    order = "second" if settings.order is Order.SECOND else "first"
    lines = {
        **origin(program),
        "of_phase": f'"{phase.name}"' if phase.name else "",
        "seed": str(settings.seed),
        "searcher": f'"bilevel, {order} order, {settings.relax.describe()}"',
        "derive": settings.derive.describe(full=True),
        "data": settings.data.describe(),
        "epochs": str(settings.epochs),
        "epoch": str(outcome.epoch),
        "score": f"{outcome.score:.4f}",
        "requirements": f'"{answer.told}"' if answer.told else "",
        "versions": f'"hdas-dsl {package_version()}, torch {torch.__version__.partition("+")[0]}"',
    }
    return section(lines)


def fingerprint(program: Program, space: Elaborated, settings: str, data: Data) -> str:
    """What a checkpoint belongs to: the texts, tables and plugins, the network's arguments, the settings, the data."""
    digest = hashlib.sha256()
    for unit in units(program):
        digest.update(unit.sha256.encode())
    tables = [asked.total.file for asked in spoken_of(space) if asked.total.file is not None]
    for path in (*tables, *space.externals.plugins.files):
        digest.update(path.read_bytes() if path.is_file() else b"")
    parts = (space.name, str(space.block.arguments), settings, data.name, str(data.shape), str(list(space.decisions)))
    for part in parts:
        digest.update(part.encode() + b"\0")
    return digest.hexdigest()


def matching_data(settings: SearchSettings | TrainSettings, space: Elaborated, config: RunConfig) -> Data:
    """The data of a section, in the shape of the network's input."""
    shape = space.input.largest
    if len(shape) != 3:
        raise UsageError(f"network '{space.name}' takes {space.input}, which is no image")
    data = load_data(
        settings.data, config.data_root, download=config.download, input_shape=(shape[0], shape[1], shape[2])
    )
    output = space.block.graph.output
    made = None if output is None else space.block.graph.node(output).shape
    classes = None if made is None else made.c
    if classes != data.classes:
        hint = f"; add --set classes={data.classes}" if "classes" in dict(space.block.arguments) else ""
        raise UsageError(
            f"network '{space.name}' tells {classes} classes apart, but {data.name} has {data.classes}{hint}"
        )
    return data if made is None or not made.space else data.everywhere(made.largest[1:])


# ---------------------------------------------------------------- training, evaluation


def discrete(program: Program) -> Elaborated:
    """The network that a file trains: that of its `train` section, else its own."""
    space = program.train_network or program.network
    if space.is_space or program.is_space:
        hint = "search it first, or give a derived file"
        raise UsageError(f"'{program.name}' still has choices in it: {hint}")
    return space


def train_file(request: Request, config: RunConfig, warn: Callable[[str], None] = lambda _: None) -> TrainOutcome:
    """Train a discrete network from scratch and test it once; requirements that it breaks are told to ``warn``."""
    program = request.compile()
    space = discrete(program)
    for warning in program.warnings:
        warn(warning.render())
    settings = program.train_settings
    data = matching_data(settings, space, config)
    guard(config, config.out / "result.json", (config.out / CHECKPOINT).is_file())
    torch.manual_seed(mix(settings.seed, "init"))
    target = config.target(settings.batch)
    network = Network(space, target=target)
    for complaint in complaints(space, replace(target, drop_path=True)):
        warn(f"warning: {complaint}")
    options = RunOptions(
        out=config.out,
        device=config.device,
        devices=config.devices,
        resume=config.resume,
        overwrite=config.force,
        quiet=config.quiet,
        fingerprint=fingerprint(program, space, settings.describe(full=True), data),
        title=f"train {program.name}",
        checkpoint_every=config.checkpoint_every,
    )
    outcome = run_train(network, data, settings, options)
    facts = {"accuracy": round(outcome.accuracy, 6), "weights": outcome.weights.name, "epochs": settings.epochs}
    write_text(config.out / "result.json", json.dumps(facts, indent=2) + "\n")
    return outcome


def evaluate_file(request: Request, weights: Path, config: RunConfig) -> float:
    """The test accuracy of saved weights."""
    program = request.compile()
    space = discrete(program)
    settings = program.train_settings
    data = matching_data(settings, space, config)
    network = Network(space, target=config.target(settings.batch))
    load_weights(network, weights)
    return evaluate(network, data.test, settings.batch, config.device, settings.workers)


def load_weights(network: nn.Module, path: Path) -> None:
    """Weights from a safetensors file into a network of the same parameters."""
    network.load_state_dict(read_weights(path, network.state_dict()))


def read_weights(path: Path, wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a weights file, checked against what the network needs."""
    try:
        found = load_file(path)
    except (OSError, SafetensorError) as error:
        raise UsageError(f"'{path}' cannot be read as weights: {error}") from None
    missing = [name for name in wanted if name not in found]
    wrong = [name for name in wanted if name in found and found[name].shape != wanted[name].shape]
    if missing or wrong:
        name = (missing or wrong)[0]
        why = f"it has no '{name}'" if missing else f"'{name}' has the shape {tuple(found[name].shape)}"
        raise UsageError(f"'{path}' does not belong to this network: {why}")
    return {name: found[name] for name in wanted}


def export_file(request: Request, kind: str, out: Path | None, weights: Path | None) -> str:
    """Export a discrete network, with its weights where given; one line on what was written and how it was checked."""
    from compiler.backend.export import ExportError, ExportKind, export

    try:
        wanted = ExportKind(kind)
    except ValueError:
        known = ", ".join(item.value for item in ExportKind)
        raise UsageError(f"--export {kind}: the kinds are {known}") from None
    program = request.compile()
    space = discrete(program)
    state = None if weights is None else read_weights(weights, Network(space).state_dict())
    if weights is None:
        torch.manual_seed(mix(program.train_settings.seed, "init"))
    ending = {ExportKind.ONNX: ".onnx", ExportKind.TORCH: ".pt2", ExportKind.PY: ".py"}[wanted]
    stem = space.name.lower() if program.unit.path is None else program.unit.path.stem
    try:
        report = export(space, wanted, out or Path(stem + ending), state)
    except ExportError as error:
        raise UsageError(str(error)) from None
    beside = f" and {report.weights}" if report.weights is not None else ""
    checked = f"checked by running it: outputs differ by {report.difference:.1e} at most"
    return f"{report.path}{beside}: {report.parameters:,} parameters; {checked}"


# ---------------------------------------------------------------- dry run


@dataclass
class Estimate:
    """What one step costs here, measured."""

    seconds: float
    memory: int


def dry_run(request: Request, config: RunConfig, training: bool, say: Callable[[str], None] = print) -> None:
    """Say what would happen, with time and memory estimated from two measured steps."""
    program = request.compile()
    if training:
        space = discrete(program)
        train = program.train_settings
        data = matching_data(train, space, config)
        estimate = measure_step(
            Network(space, target=config.target(train.batch)), data, train.batch, config.device, passes=1
        )
        epochs, steps = train.epochs, -(-len(data.train) // train.batch)
        say(f"train {space.name} on {data.name}: {epochs} epochs of {steps} steps of {train.batch} images")
        _say_estimate(estimate, epochs * steps, config.out, say)
        return
    for phase in wanted(program, config.phases):
        space, settings = phase.network, phase.settings
        check_relaxation(settings)
        data = matching_data(settings, space, config)
        supernet = relaxed(space, settings, config.target(settings.batch))
        half = int(len(data.train) * settings.data.split)
        steps = max(1, half // settings.batch)
        say(f"{'phase ' + phase.name if phase.name else 'search'}: {space.name} on {data.name}")
        say(f"  {power(cardinality(space))} architectures, {space.alphas} alphas")
        say(f"  {human(sum(p.numel() for p in supernet.weights()))} weights")
        say(f"  {settings.epochs} epochs of {steps} steps of {settings.batch} images from each half")
        passes = 5 if settings.order is Order.SECOND else 2
        estimate = measure_step(supernet, data, settings.batch, config.device, passes=passes)
        _say_estimate(estimate, settings.epochs * steps, config.out / phase.name, say)


def _say_estimate(estimate: Estimate, steps: int, out: Path, say: Callable[[str], None]) -> None:
    say(f"  about {_duration(estimate.seconds * steps)} ({estimate.seconds:.2f} s a step), "
        f"about {estimate.memory / 2**20:,.0f} MiB of memory")  # fmt: skip
    say(f"  would write {out}")


def measure_step(module: nn.Module, data: Data, batch: int, device: str, passes: int) -> Estimate:
    """Time and memory of a step: ``passes`` forward and backward passes of a batch."""
    where = torch.device(
        "cuda" if device == "auto" and torch.cuda.is_available() else "cpu" if device == "auto" else device
    )
    module = module.to(where)
    images = torch.randn(batch, *data.shape, device=where)
    labels = torch.zeros(batch, dtype=torch.long, device=where)
    seconds = 0.0
    for turn in range(2):
        started = time.perf_counter()
        output = module(images)
        logits = output[0] if isinstance(output, tuple) else output
        nn.functional.cross_entropy(logits, labels).backward()  # type: ignore[no-untyped-call]
        if where.type == "cuda":
            torch.cuda.synchronize()
        seconds = time.perf_counter() - started if turn else 0.0
    memory = torch.cuda.max_memory_allocated() if where.type == "cuda" else _resident()
    return Estimate(seconds * passes, memory)


def _resident() -> int:
    """The largest memory of this process so far, in bytes."""
    import resource
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


# ---------------------------------------------------------------- files


def write_text(path: Path, text: str) -> None:
    """Write a file so that it is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def package_version() -> str:
    """The version of this package."""
    try:
        return version("hdas-dsl")
    except PackageNotFoundError:
        return "unknown"
