"""From words to a command: an argparse parser made of the options that the command declares."""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Callable, Sequence
from dataclasses import fields
from enum import Enum
from pathlib import Path
from typing import NoReturn, TypeVar

from compiler.util.errors import UsageError
from compiler.util.version import package_version
from hdas_dsl.text.diagnostics import suggest
from hdas_dsl.text.reading import is_file, no_file

from .command import Command
from .console import OK, WRONG_USAGE, Ended
from .option import Option, members, options
from .output import complain, line, put

T = TypeVar("T")


class Form(Enum):
    """How the action stands on the line: ``hdas NAME FILE``, ``hdas-compile FILE --FLAG``, or in the program's name."""

    NAME = "name"
    FLAG = "flag"
    PROGRAM = "program"


class Parser(argparse.ArgumentParser):
    """A parser whose complaint is one sentence after the usage."""

    def __init__(self, prog: str, usage: str, description: str, epilog: str = "") -> None:
        super().__init__(
            prog=prog,
            usage=usage,
            description=description,
            epilog=epilog or None,
            add_help=False,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    def add_common(self) -> None:
        """The options of every command, after its own."""
        common = self.add_argument_group("in every command")
        common.add_argument("-h", "--help", action="help", help="show this help")
        common.add_argument("--version", action=_Version, nargs=0, help="print the version")
        common.add_argument(
            "--debug", action="store_true", help="show where in the code an error happened (default: off)"
        )

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the command line, and end."""
        complain(f"{self.format_usage()}{self.prog}: {message}")
        raise Ended(WRONG_USAGE)

    def print_help(self, file: object = None) -> None:
        """Print the help; where that is not possible, `console.py` says so."""
        put(self.format_help())

    def exit(self, status: int = OK, message: str | None = None) -> NoReturn:
        """End, after help or the version."""
        raise Ended(status)


class _Version(argparse.Action):
    """Print the version; it is looked up only then."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        line(f"{parser.prog.partition(' ')[0]} {package_version()}")
        parser.exit()


class CommandParser(Parser):
    """The parser of one command.

    Args:
        command: the command; its fields declare the options.
        form: how the action stands on the line.
        program: the name of the program.
        siblings: the other commands of the program; their options are refused by name.
        epilog: what help says at its end.
    """

    def __init__(
        self, command: type[Command], form: Form, program: str, siblings: Sequence[type[Command]] = (), epilog: str = ""
    ) -> None:
        prog = f"{program} {command.name}" if form is Form.NAME else program
        super().__init__(prog, _usage(command, form, prog), _description(command), epilog)
        self.command, self.form, self.program = command, form, program
        self.siblings = [other for other in siblings if other is not command]
        if form is Form.FLAG and command.action:
            self._add_action_flag(command, command.action)
        self._add_members(command, self)
        self.add_common()
        self._add_foreign()

    def read(self, words: Sequence[str]) -> Command:
        """The command that the words ask for.

        Raises:
            SystemExit: the words ask for help (code 0), or are wrong (code 2), which is said on standard error.
        """
        if not {"-h", "--help"}.isdisjoint(words):
            # Before an option misses its value: `--export -h`.
            self.print_help()
            self.exit()
        found, unknown = self.parse_known_args(words)
        if unknown:
            self.error(self._unknown(unknown))
        if found.foreign:
            self.error(self._does_nothing(found.foreign[0]))
        self._refuse_other_order(found)
        found.said = (*self.prog.split(), *words)
        return _made(self.command, found)

    # ------------------------------------------------------------ options

    def _add_action_flag(self, command: type[Command], flag: str) -> None:
        """The flag of the action, with the action's own value where it has one."""
        for name, item in members(command):
            if isinstance(item, Option) and item.is_action:
                count = None if item.count == 1 else item.count
                metavar = item.metavar if count is None else tuple(item.metavar.split())
                self.add_argument(
                    flag, dest=name, metavar=metavar, nargs=count, type=_reader(item), required=True, help=item.help
                )
                return
        self.add_argument(flag, dest="action", action="store_true", required=True, help=command.summary)

    def _add_members(self, command: type, container: argparse._ActionsContainer) -> None:
        for name, item in members(command):
            if not isinstance(item, Option):
                self._add_members(item, self.add_argument_group(item.title))
            elif item.flags:
                _add_option(container, name, item)
            elif not (item.is_action and self.form is Form.FLAG):
                count = None if item.count == 1 else item.count
                metavar = item.metavar.partition(" ")[0]
                container.add_argument(name, metavar=metavar, nargs=count, type=_reader(item), help=item.help)

    def _add_foreign(self) -> None:
        """Take the options of other commands too, out of sight, so that each can be refused with a reason."""
        self.set_defaults(foreign=())
        known = {spelling for item in options(self.command) for spelling in item.flags}
        known |= {other.action for other in (self.command, *self.siblings) if other.action and self.form is Form.FLAG}
        for item in (item for other in self.siblings for item in options(other)):
            if item.flags and item.name not in known:
                known.add(item.name)
                self.add_argument(
                    item.name,
                    action=_Foreign,
                    nargs=None if item.metavar else 0,
                    const=item.name,
                    help=argparse.SUPPRESS,
                )

    # ------------------------------------------------------------ refusals

    def _refuse_other_order(self, found: argparse.Namespace) -> None:
        """Say the order of the words where the file and the word of the action stand in each other's place."""
        for name, item in members(self.command):
            if self.form is Form.NAME and isinstance(item, Option) and item.is_action and item.read is str:
                file, value = found.file, getattr(found, name)
                if file != "-" and not is_file(Path(file)) and is_file(Path(value)):
                    self.error(f"{no_file(Path(file))}: the order is FILE {item.metavar}")

    def _unknown(self, words: Sequence[str]) -> str:
        """The complaint about words that no option took."""
        name = next((word.partition("=")[0] for word in words if word.startswith("-") and word != "-"), None)
        if name is None:
            return f"'{words[0]}' is one word too many"
        short = {spelling: item.name for other in self.siblings for item in options(other) for spelling in item.flags}
        own = [spelling for item in options(self.command) for spelling in item.flags]
        if name in short:  # `-o`, where there is `--out` alone, or neither
            long = short[name]
            return f"there is no option '{name}': did you mean '{long}'?" if long in own else self._does_nothing(name)
        flags = [other.action for other in self.siblings if other.action] if self.form is Form.FLAG else []
        others = [spelling for other in self.siblings for item in options(other) for spelling in item.flags]
        if said := self._another_action(name):
            return said
        hint = suggest(name, own) or suggest(name, [*flags, *others])
        return f"there is no option '{name}'{f': {hint}' if hint else ''}"

    def _does_nothing(self, name: str) -> str:
        """Why an option of other commands is refused here."""
        if said := self._another_action(name):
            return said
        owners = [self._called(other) for other in self.siblings if any(name in item.flags for item in options(other))]
        reason = self.command.idle.get(name)
        belongs = f"it belongs to {listed(owners)}"
        return f"{name} does nothing {self._here()}: {f'{reason}; {belongs}' if reason else belongs}"

    def _another_action(self, name: str) -> str | None:
        """The form of an action that was given as a flag: `hdas search FILE --dry-run`."""
        other = next((item for item in self.siblings if item.action == name), None)
        if self.form is not Form.NAME or other is None:
            return None
        flag = self.command.action or ""
        words = [item.metavar for item in options(other) if item.is_action]
        words += [flag] if any(flag in item.flags for item in options(other)) else []
        return f"{name} is an action of its own: `{' '.join([self._called(other), 'FILE', *words])}`"

    def _here(self) -> str:
        if self.form is Form.FLAG:
            return f"with {self.command.action}" if self.command.action else "without an action"
        return f"in `{self._called(self.command)}`"

    def _called(self, command: type[Command]) -> str:
        """How messages call a command."""
        if self.form is Form.FLAG:
            return command.action or "a check"
        return command.name if self.form is Form.PROGRAM else f"{self.program} {command.name}"


class _Foreign(argparse.Action):
    """Note that an option of another command was given."""

    def __call__(self, parser: object, namespace: argparse.Namespace, *_: object) -> None:
        namespace.foreign = [*namespace.foreign, self.const]


def _add_option(container: argparse._ActionsContainer, name: str, item: Option) -> None:
    text = f"{item.help} (default: {item.otherwise})".replace("%", "%%")
    if not item.metavar:
        container.add_argument(*item.flags, dest=name, action="store_true", help=text)
    elif item.many:
        container.add_argument(
            *item.flags, dest=name, metavar=item.metavar, action="append", type=_reader(item), default=[], help=text
        )
    else:
        container.add_argument(
            *item.flags, dest=name, metavar=item.metavar, type=_reader(item), default=item.default, help=text
        )


def _reader(item: Option) -> Callable[[str], object]:
    """The reader of an option as argparse wants it: argparse puts the option's name before what is wrong."""

    def read(text: str) -> object:
        try:
            return item.read(text)
        except UsageError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return read


def _made(command: type[T], found: argparse.Namespace) -> T:
    """An instance of a command, or of a group, of what was parsed."""
    values: dict[str, object] = {}
    for name, item in members(command):
        value = getattr(found, name) if isinstance(item, Option) else _made(item, found)
        values[name] = tuple(value) if isinstance(value, list) else value
    values |= {item.name: found.said for item in fields(command) if item.metadata.get("words")}  # type: ignore[arg-type]
    return command(**values)


def _usage(command: type[Command], form: Form, prog: str) -> str:
    """The command line in short, without its options."""
    places = [item.metavar for item in options(command) if not item.flags and not item.is_action]
    values = (
        [action_with_value(command)]
        if form is Form.FLAG
        else [item.metavar for item in options(command) if item.is_action]
    )
    return " ".join([prog, *places, *filter(None, values), "[options]"]).replace("%", "%%")


def action_with_value(command: type[Command]) -> str:
    """The flag of an action with what belongs to it, such as ``--sample N``."""
    values = [item.metavar for item in options(command) if item.is_action]
    return " ".join([command.action or "", *values])


def _description(command: type[Command]) -> str:
    return inspect.cleandoc(command.__doc__ or "")


def listed(names: Sequence[str]) -> str:
    """Names in a sentence; of more than four, the first three."""
    *first, last = names if len(names) < 5 else [*names[:3], "others"]
    return f"{', '.join(first)} and {last}" if first else last
