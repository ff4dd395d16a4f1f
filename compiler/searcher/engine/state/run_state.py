"""The state of a run and its one file: enough to go on at any step as if nothing had happened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    NonNegativeInt,
    PlainSerializer,
    PositiveFloat,
    ValidationError,
    model_validator,
)
from torch import Tensor, nn
from torch.optim import Optimizer

from compiler.searcher.engine.device.compute import Compute
from compiler.searcher.engine.errors import CheckpointError
from compiler.searcher.engine.reporting.records import EpochRecord, Meter

from . import checkpoint

FORMAT: Final = 2

Kind = Literal["search", "train"]
NOUNS: Final[dict[Kind, str]] = {"search": "search", "train": "training"}
"""What messages call a run: its kind is the word of its section."""

Record = Annotated[EpochRecord, BeforeValidator(EpochRecord.from_json), PlainSerializer(EpochRecord.to_json)]


class Facts(BaseModel):
    """The facts of a checkpoint besides its tensors."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    kind: Kind
    fingerprint: str
    epoch: NonNegativeInt
    step: NonNegativeInt
    best_epoch: NonNegativeInt
    history: list[Record]
    optimizers: dict[str, checkpoint.OptimizerFacts]
    loss_scale: PositiveFloat
    finite_steps: NonNegativeInt
    stopped: bool = False
    format: Literal[2] = FORMAT

    @model_validator(mode="after")
    def _epochs_agree(self) -> Self:
        if [record.epoch for record in self.history] != list(range(1, self.epoch + 1)) or self.best_epoch > self.epoch:
            raise ValueError("the epochs of the history are not those that are done")
        return self


@dataclass
class State:
    """The tensors of a run, live, and where the run is: ``step`` steps of epoch ``epoch`` are done, both from 0."""

    kind: Kind
    module: nn.Module
    alphas: Mapping[str, nn.Parameter]
    optimizers: dict[str, tuple[Optimizer, list[str]]]
    """Each optimizer with the names of its parameters, in its order."""
    meters: dict[str, Meter]
    compute: Compute
    epoch: int = 0
    step: int = 0
    history: list[EpochRecord] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)
    """The alphas of the best epoch so far, on the CPU."""
    best_epoch: int = 0
    """Counted from 1; 0 is none."""
    past: dict[str, Tensor] = field(default_factory=dict)
    """The alphas of epochs before, as ``EPOCH/PATH``, the epoch counted from 0, on the CPU."""

    more: Mapping[str, Tensor] = field(default_factory=dict)
    """Further tensors, live, by name."""
    stopped: bool = False
    """Whether a callback has ended the run: the epoch that is under way, if one is, is its last."""

    def save(self, path: Path, fingerprint: str) -> None:
        """Write the checkpoint; every process calls this, the main one writes."""
        sums = {name: self.compute.sum(meter.sums) for name, meter in self.meters.items()}
        if self.compute.main:
            self._write(path, fingerprint, sums)
        self.compute.wait()

    def _write(self, path: Path, fingerprint: str, sums: dict[str, Tensor]) -> None:
        tensors = {
            **checkpoint.pack("module", _tensors(self.module)),
            **checkpoint.pack("alphas", self.alphas),
            **checkpoint.pack("best", self.best),
            **checkpoint.pack("past", self.past),
            **checkpoint.pack("more", self.more),
            **checkpoint.pack("meter", sums),
        }
        plain: dict[str, checkpoint.OptimizerFacts] = {}
        for name, (optimizer, names) in self.optimizers.items():
            found, plain[name] = checkpoint.optimizer_state(optimizer, names)
            tensors |= checkpoint.pack(f"optimizer/{name}", found)
        facts = Facts(
            kind=self.kind,
            fingerprint=fingerprint,
            epoch=self.epoch,
            step=self.step,
            best_epoch=self.best_epoch,
            history=self.history,
            optimizers=plain,
            loss_scale=self.compute.gradient.scale.value,
            finite_steps=self.compute.gradient.scale.finite_steps,
            stopped=self.stopped,
        )
        checkpoint.write(path, tensors, facts.model_dump())

    def load(self, path: Path, fingerprint: str, changed: Sequence[str] = ()) -> None:
        """Go to where a checkpoint was written, if it is one of this run; ``changed`` says why it may not be.

        Raises:
            CheckpointError: it is missing, damaged, or of another run.
        """
        tensors, plain = checkpoint.read(path)
        if plain.get("format") != FORMAT:
            raise CheckpointError(f"The checkpoint {path} was written by another version of this program.")
        try:
            facts = Facts.model_validate(plain)
        except ValidationError as error:
            place = ".".join(map(str, error.errors()[0]["loc"])) or "history"
            raise CheckpointError(f"The checkpoint {path} is damaged: its '{place}' cannot be.") from None
        if facts.kind != self.kind:
            raise CheckpointError(f"The checkpoint {path} is of a {NOUNS[facts.kind]}, not of a {NOUNS[self.kind]}.")
        if facts.fingerprint != fingerprint:
            other = f"other settings ({', '.join(changed)})" if changed else "another space, or of other settings"
            raise CheckpointError(f"The checkpoint {path} is of {other}: it cannot go on here.")
        if facts.optimizers.keys() != self.optimizers.keys():
            raise CheckpointError(f"The checkpoint {path} is of other optimizers: it cannot go on here.")
        checkpoint.assign("tensor", _tensors(self.module), checkpoint.unpack("module", tensors))
        checkpoint.assign("alpha", self.alphas, checkpoint.unpack("alphas", tensors))
        checkpoint.assign("tensor", self.more, checkpoint.unpack("more", tensors))
        for name, (optimizer, names) in self.optimizers.items():
            saved = checkpoint.unpack(f"optimizer/{name}", tensors)
            checkpoint.load_optimizer_state(optimizer, names, saved, facts.optimizers[name])
        sums = checkpoint.unpack("meter", tensors)
        checkpoint.assign("running mean", {name: meter.sums for name, meter in self.meters.items()}, sums)
        if not self.compute.main:  # The sums are those of all processes.
            for meter in self.meters.values():
                meter.reset()
        self.compute.gradient.scale.value = facts.loss_scale
        self.compute.gradient.scale.finite_steps = facts.finite_steps
        self.epoch, self.step, self.stopped = facts.epoch, facts.step, facts.stopped
        self.best, self.best_epoch = checkpoint.unpack("best", tensors), facts.best_epoch
        self.past = checkpoint.unpack("past", tensors)
        self.history = list(facts.history)

    def next_epoch(self, record: EpochRecord) -> None:
        """Close an epoch with its record."""
        self.history.append(record)
        self.epoch, self.step = self.epoch + 1, 0
        for meter in self.meters.values():
            meter.reset()

    def parameters(self) -> list[Tensor]:
        """Every tensor that training moves."""
        return [p for optimizer, _ in self.optimizers.values() for p in checkpoint.parameters_of(optimizer)]

    def alphas_on_cpu(self) -> dict[str, Tensor]:
        """A copy of the alphas."""
        return {path: alpha.detach().to("cpu", copy=True) for path, alpha in self.alphas.items()}

    def broadcast(self) -> None:
        """Give every process the main one's tensors."""
        self.compute.broadcast([*_tensors(self.module).values(), *self.alphas.values(), *self.more.values()])


def parameter_names(module: nn.Module, parameters: list[nn.Parameter]) -> list[str]:
    """The names that parameters have in a module; one from elsewhere goes by its place in the list."""
    names = {id(parameter): name for name, parameter in module.named_parameters()}
    return [names.get(id(parameter), f"#{i}") for i, parameter in enumerate(parameters)]


def _tensors(module: nn.Module) -> dict[str, Tensor]:
    return {name: value for name, value in module.state_dict().items() if isinstance(value, Tensor)}
