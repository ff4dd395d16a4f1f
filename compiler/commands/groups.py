"""Options that several commands share."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from compiler.util.errors import UsageError
from hdas_dsl.text.reading import is_file, no_file

from .option import OptionGroup, command_line, flag, option, position
from .values import at_least, device, names, one_of, read_bytes, real, whole

if TYPE_CHECKING:
    from compiler.program.model import Program
    from compiler.program.overrides import Override
    from compiler.program.request import Request
    from compiler.runs.config import RunConfig
    from compiler.searcher.settings.words import Value


def standard_input() -> str:
    """The text of standard input, in UTF-8."""
    if isinstance(sys.stdin, TextIOWrapper):
        sys.stdin.reconfigure(encoding="utf-8-sig")
    try:
        return sys.stdin.read()
    except UnicodeDecodeError as error:
        raise UsageError(f"standard input is not text in UTF-8: {error.reason} at byte {error.start}") from None


def existing(path: Path) -> Path:
    """A path that names a file.

    Raises:
        UsageError: it names none.
    """
    if not is_file(path):
        raise UsageError(no_file(path))
    return path


def network_option() -> Any:
    """A field: the network of a file."""
    return option("--network", "NAME", "which network, where the file has several", otherwise="its only one")


def recipe_option() -> Any:
    """A field: another file's `train` section."""
    text = "train as the `train` section of another file says"
    return option("--recipe", "FILE", text, read=Path, otherwise="as this file says")


def phases_option() -> Any:
    """A field: which phases are searched."""
    return option(
        "--phases", "A,B", "search only these phases", read=names, default=(), otherwise="all that are not optional"
    )


def method_option() -> Any:
    """A field: the method of a search."""
    text = "search by this method instead of the file's; auto is one that suits the space"
    return option("--method", "NAME", text, otherwise="as the file says")


def method_overrides(name: str | None) -> list[Override]:
    """The method as an override, where one is given."""
    from compiler.program.methods import SETTING
    from compiler.program.overrides import Override
    from compiler.searcher.settings.words import Applied

    return [] if name is None else [Override(SETTING, Applied(name), f"--method {name}")]


def choice_of_method(program: Program) -> list[str]:
    """The method that the space chose, and why, as a line to print; none where it was named."""
    chosen = program.method
    return [f"method: {chosen.method.name}: {chosen.why}"] if chosen is not None and chosen.why else []


def seed_option(text: str) -> Any:
    """A field: the seed of random numbers."""
    return option("--seed", "N", text, read=at_least(0), default=0)


def device_option() -> Any:
    """A field: the device of a run."""
    return option("--device", "DEVICE", "auto, cpu, cuda, cuda:1, mps", read=device, default="auto")


@dataclass(frozen=True, kw_only=True)
class Source(OptionGroup):
    """A file of the language, and the values that replace its own."""

    title: ClassVar[str] = "the file"

    file: str = position("FILE", "a .hsp file, or - for standard input")
    sets: tuple[str, ...] = option("--set", "NAME=VALUE", "any parameter or setting, instead of the file's", many=True)
    plugins: tuple[str, ...] = option(
        "--allow-plugin", "MODULE|FILE", "a module of your own operations that the file may import", many=True
    )

    @property
    def path(self) -> Path:
        """The name of the file in messages."""
        return Path("<stdin>" if self.file == "-" else self.file)

    def request(
        self, *, network: str | None = None, recipe: Path | None = None, overrides: Sequence[Override] = ()
    ) -> Request:
        """The file with ``overrides``, and those of ``--set``, in force.

        Raises:
            UsageError: a file is not there, or a ``--set`` is not of the form name=value.
        """
        from compiler.backend.plugins import allow
        from compiler.program.overrides import read_override
        from compiler.program.request import Request

        made = (*overrides, *map(read_override, self.sets))
        text = standard_input() if self.file == "-" else None
        if text is None:
            existing(self.path)
        if recipe is not None:
            existing(recipe)
        return Request(self.path, made, network, text, recipe, allow(self.plugins))


_WITH_PARAMETERS = re.compile(r"\w+\(.*\)", re.DOTALL)
"""A word as a file has it, `huggingface("wine", target = "quality")`; a path may end with a parenthesis too."""


@dataclass(frozen=True, kw_only=True)
class DataOptions(OptionGroup):
    """The data, and their folder."""

    title: ClassVar[str] = "data"

    data: str | None = option(
        "--data",
        "NAME|FILE",
        "digits, ..., folder:PATH, huggingface:PATH, x.npz, x.csv, x.py:FUNCTION, or as a file has it",
        otherwise="the file's",
    )
    data_root: Path = option("--data-root", "DIR", "where data lie", read=Path, default=Path("data"))
    download: bool = flag("--download", "fetch missing data")

    @property
    def words(self) -> tuple[str, ...]:
        """The options as they were given, for a command that is to read the same data."""
        named = () if self.data is None else ("--data", self.data)
        return named if self.data_root == Path("data") else (*named, "--data-root", str(self.data_root))

    def overrides(self) -> list[Override]:
        """The data as a setting."""
        from compiler.program.overrides import Override
        from compiler.searcher.settings.words import Applied
        from hdas_dsl.parse.parser import parse_expression

        if self.data is None:
            return []
        if _WITH_PARAMETERS.fullmatch(self.data):
            expr, wrong = parse_expression(self.data, "--data")
            if expr is None:
                raise UsageError(f"--data {self.data}: {wrong[0].message}")
            return [Override("data", expr, f"--data {self.data}", keeps=True)]
        word, colon, folder = self.data.partition(":")
        if word.isidentifier():
            value = Applied(word, (), {"path": folder} if colon else {})
        else:  # waves.npz, or mydata.py:stripes
            value = Applied("file", (), {"path": self.data})
        return [Override("data", value, f"--data {self.data}", keeps=True)]


@dataclass(frozen=True, kw_only=True)
class SettingOptions(OptionGroup):
    """The settings that runs change most often; ``--set`` changes any."""

    title: ClassVar[str] = "settings"

    seed: int | None = option("--seed", "N", "the seed of all random numbers", read=whole, otherwise="the file's, or 0")
    epochs: int | None = option("--epochs", "N", "how many epochs", read=whole, otherwise="the file's")
    batch_size: int | None = option("--batch-size", "N", "images in a batch", read=whole, otherwise="the file's")
    lr: float | None = option("--lr", "X", "the learning rate of the weights", read=real, otherwise="the file's")
    precision: str | None = option(
        "--precision",
        "P",
        "float32, bfloat16 or float16",
        read=one_of("float32", "bfloat16", "float16", "32", "bf16", "16"),
        otherwise="the file's",
    )

    def overrides(self) -> list[Override]:
        """The options given, as settings."""
        from compiler.program.overrides import Override
        from compiler.searcher.settings.words import Applied

        given: list[tuple[str, str, Value]] = [
            ("--seed", "seed", self.seed),
            ("--epochs", "epochs", self.epochs),
            ("--batch-size", "batch", self.batch_size),
            ("--lr", "weights.lr", self.lr),
        ]
        made = [Override(name, value, f"{flag} {value}") for flag, name, value in given if value is not None]
        if self.precision is not None:
            made.append(Override("precision", Applied(self.precision), f"--precision {self.precision}"))
        return made


@dataclass(frozen=True, kw_only=True)
class MachineOptions(OptionGroup):
    """The device of a run, and how networks are lowered for it."""

    title: ClassVar[str] = "the machine"

    device: str = device_option()
    memory_budget: int | None = option(
        "--memory-budget",
        "SIZE",
        "what activations may take, such as 1.5G: more is computed again",
        read=read_bytes,
        otherwise="no limit",
    )
    passes: tuple[str, ...] | None = option(
        "--passes", "A,B", "run just these passes (`hdas emit FILE passes`)", read=names, otherwise="those that pay"
    )
    compile: bool = flag("--compile", "compile the network with torch.compile")


@dataclass(frozen=True, kw_only=True)
class RunOptions(OptionGroup):
    """The folder of a run, and how it goes on."""

    title: ClassVar[str] = "the run"

    out: Path | None = option(
        "--out", "DIR", "the run's folder", read=Path, otherwise="runs/NAME, or beside a derived file"
    )
    devices: int = option("--devices", "N", "how many processes, one device each", read=at_least(1), default=1)
    resume: bool = flag("--resume", "go on with the run in --out")
    force: bool = flag("--force", "overwrite the run in --out")
    checkpoint_every: int = option(
        "--checkpoint-every",
        "STEPS",
        "also write a checkpoint every STEPS steps",
        read=at_least(0),
        default=0,
        otherwise="once an epoch",
    )
    quiet: bool = flag("--quiet", "show no progress")
    words: tuple[str, ...] = command_line()


def run_config(
    source: Source,
    data: DataOptions,
    machine: MachineOptions,
    run: RunOptions | None = None,
    phases: tuple[str, ...] = (),
    kind: str = "",
) -> RunConfig:
    """The folder and the machine of a run; its folder is beside a derived file, and its name ends in ``kind``.

    Raises:
        UsageError: there is no pass of a name.
    """
    from compiler.backend.passes import named
    from compiler.runs.config import RunConfig
    from compiler.searcher.run_files import DERIVED

    run = run or RunOptions()
    out = run.out
    if out is None and source.path.name == DERIVED:
        out = source.path.parent / kind if kind else source.path.parent
    elif out is None:
        out = Path("runs") / (source.path.stem + (f"-{kind}" if kind else ""))
    return RunConfig(
        out=out,
        data_root=data.data_root,
        download=data.download,
        device=machine.device,
        devices=run.devices,
        resume=run.resume,
        force=run.force,
        quiet=run.quiet,
        phases=phases,
        checkpoint_every=run.checkpoint_every,
        memory_budget=machine.memory_budget,
        passes=None if machine.passes is None else tuple(item.name for item in named(machine.passes)),
        compiled=machine.compile,
        command=run.words,
    )
