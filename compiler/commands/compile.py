"""The commands: `hdas-compile`, `hdas-diff`, `hdas-fmt`, `hdas-import`.

`hdas-diff` and `--in` exit as `diff` does: 0 same, 1 different, 2 trouble. torch is imported only where something runs.
"""

from __future__ import annotations

import argparse
import gc
import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hdas_dsl.text.diagnostics import HspError

from .console import FAILED, INTERRUPTED, OK, WRONG_FILE, WRONG_USAGE
from .console import Parser as _Parser
from .console import show as _show
from .console import trouble as _trouble

if TYPE_CHECKING:
    from compiler.program.compile_file import Override
    from compiler.program.request import Request
    from compiler.runs.run import RunConfig
    from hdas_dsl.genotype.build import Surroundings

# ---------------------------------------------------------------- hdas-compile


def compile_parser() -> argparse.ArgumentParser:
    """The command line of `hdas-compile`."""
    parser = _Parser(
        prog="hdas-compile",
        description="Check and compile a .hsp file; search, train, evaluate, export it.",
        epilog="Without an action the file is checked, and what is in it is printed.",
        allow_abbrev=False,
    )
    parser.add_argument("file", help="a .hsp file, or - for standard input")
    actions = parser.add_argument_group("actions").add_mutually_exclusive_group()
    actions.add_argument("--json", action="store_true", help="print the facts as one JSON object")
    actions.add_argument(
        "--emit", metavar="KIND", help="print ast, graph, dot, code, genotype, or the graph after a pass"
    )
    actions.add_argument("--search", action="store_true", help="search the space and write derived.hsp")
    actions.add_argument("--train", action="store_true", help="train the discrete network from scratch and test it")
    actions.add_argument("--eval", metavar="WEIGHTS", type=Path, help="test saved weights")
    actions.add_argument("--export", metavar="KIND", help="write the network as onnx, torch or py")
    actions.add_argument("--in", dest="space", metavar="SPACE", type=Path, help="does the architecture lie in a space?")
    actions.add_argument("--count", action="store_true", help="how many architectures there are")
    actions.add_argument("--sample", metavar="N", type=int, help="draw N architectures uniformly")
    actions.add_argument("--enumerate", action="store_true", help="list all architectures; files with --out")
    actions.add_argument("--mutate", metavar="ARCH", type=Path, help="change one choice of an architecture")
    actions.add_argument("--crossover", nargs=2, metavar=("A", "B"), type=Path, help="a child of two architectures")
    parser.add_argument(
        "--unique", metavar="KIND", help="count up to isomorphic, pruned, functional, or the file's own"
    )
    parser.add_argument("--limit", metavar="N", type=int, help="enumerate only the first N")
    data = parser.add_argument_group("data")
    data.add_argument("--data", metavar="NAME", help="digits, cifar10, ..., folder:PATH, instead of the file's")
    data.add_argument("--data-root", metavar="DIR", type=Path, default=Path("data"), help="where data lie (data)")
    data.add_argument("--download", action="store_true", help="fetch missing data")
    run = parser.add_argument_group("runs")
    run.add_argument("--out", metavar="DIR", type=Path, help="the run's folder (runs/NAME)")
    run.add_argument("--seed", type=int, metavar="N")
    run.add_argument("--epochs", type=int, metavar="N")
    run.add_argument("--batch-size", type=int, metavar="N")
    run.add_argument("--lr", type=float, metavar="X", help="start of the weights' learning rate")
    run.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="any parameter or setting")
    run.add_argument("--recipe", metavar="FILE", type=Path, help="train as the `train` section of another file says")
    run.add_argument("--phases", metavar="A,B", help="run only these phases")
    run.add_argument("--network", metavar="NAME", help="which network, where the file has several")
    run.add_argument(
        "--allow-plugin", action="append", default=[], metavar="MODULE|FILE", help="a module of your own operations"
    )
    run.add_argument("--weights", metavar="FILE", type=Path, help="weights for --export")
    run.add_argument("--device", default="auto", metavar="DEVICE", help="auto, cpu, cuda, cuda:1, mps")
    run.add_argument("--devices", type=int, default=1, metavar="N", help="how many processes, one device each")
    run.add_argument("--precision", metavar="P", help="float32, bfloat16 or float16")
    run.add_argument(
        "--memory-budget", metavar="SIZE", help="what activations may take, such as 1.5G: more is computed again"
    )
    run.add_argument("--passes", metavar="A,B", help="run just these passes (see --emit passes), not those that pay")
    run.add_argument("--compile", action="store_true", help="compile the network with torch.compile")
    run.add_argument("--resume", action="store_true", help="go on with the run in --out")
    run.add_argument("--force", action="store_true", help="overwrite the run in --out")
    run.add_argument("--checkpoint-every", type=int, default=0, metavar="STEPS", help="besides once an epoch")
    run.add_argument("--dry-run", action="store_true", help="say what would happen, with time and memory")
    run.add_argument("--quiet", action="store_true", help="show no progress")
    return parser


def compile_script() -> int:
    """`hdas-compile` as a process of its own: what it builds is neither collected on the way nor one by one at the end.

    Collecting would cost a check a fifth of its time, and a check drops next to nothing. `_run` turns it on again.
    """
    gc.disable()
    code = compile_main()
    gc.freeze()
    return code


def compile_main(argv: Sequence[str] | None = None) -> int:
    """`hdas-compile`."""
    words = sys.argv[1:] if argv is None else argv
    args = compile_parser().parse_args(words)
    from compiler.searcher.data import MissingData
    from compiler.util.errors import LoweringError, UsageError

    try:
        return _compile(args)
    except MissingData as error:
        remedy = f"; get it with: {shlex.join(['hdas-compile', *words, '--download'])}" if error.can_download else ""
        return _trouble("hdas-compile", f"{error}{remedy}", WRONG_USAGE)
    except UsageError as error:
        return _trouble("hdas-compile", str(error), WRONG_USAGE)
    except LoweringError as error:
        return _trouble("hdas-compile", str(error), WRONG_FILE)
    except HspError as error:
        _show(error.diagnostics)
        return WRONG_FILE if args.space is None else WRONG_USAGE
    except BrokenPipeError:
        return OK
    except KeyboardInterrupt:
        return _trouble("hdas-compile", "interrupted", INTERRUPTED)


def _compile(args: argparse.Namespace) -> int:
    from compiler.util.errors import UsageError

    request = _request(args)
    if args.search or args.train or args.eval is not None:
        return _run(args, request)
    if args.unique is not None and not args.count:
        raise UsageError(f"--unique {args.unique} goes with --count")
    if args.count or args.enumerate or (args.sample, args.mutate, args.crossover) != (None, None, None):
        return _explore(args, request)
    from compiler.program.compile_file import compile_file

    program, diagnostics = compile_file(
        request.path,
        request.overrides,
        request.network,
        request.text,
        recipe=request.recipe,
        plugins=request.plugins,
    )
    _show(diagnostics)
    if program is None:
        return WRONG_FILE if args.space is None else WRONG_USAGE
    if args.space is not None:
        return _membership(args, request)
    if args.export is not None:
        return _export(args, request)
    if args.emit is not None:
        from compiler.reports.emit import emit_program

        sys.stdout.write(emit_program(program, args.emit))
        return OK
    from compiler.reports.facts import describe

    facts = describe(program)
    if args.json:
        print(json.dumps(facts, indent=2))
    else:
        from compiler.reports.table import show

        show(facts)
    return OK


def _explore(args: argparse.Namespace, request: Request) -> int:
    """What concerns all architectures of a file."""
    from . import architectures as explore

    seed = 0 if args.seed is None else args.seed
    output = explore.Output(args.out, args.force, sys.stdout.write)
    if args.count:
        explore.show_count(request, args.unique or "", seed, sys.stdout.write)
    elif args.sample is not None:
        explore.draw(request, args.sample, seed, output)
    elif args.enumerate:
        explore.list_all(request, args.limit, output)
    elif args.mutate is not None:
        explore.change(request, args.mutate, seed, output)
    else:
        left, right = args.crossover
        explore.cross(request, left, right, seed, output)
    return OK


def _request(args: argparse.Namespace) -> Request:
    from compiler.program.compile_file import read_override
    from compiler.util.errors import UsageError

    overrides = _overrides(args)
    overrides += [read_override(text) for text in args.set]
    text = None
    path = Path(args.file)
    if args.file == "-":
        text, path = sys.stdin.read(), Path("<stdin>")
    elif not path.is_file():
        raise UsageError(f"there is no file '{path}'")
    if args.recipe is not None and not args.recipe.is_file():
        raise UsageError(f"there is no file '{args.recipe}'")
    from compiler.program.request import Request

    return Request(path, tuple(overrides), args.network, text, args.recipe, tuple(args.allow_plugin))


def _overrides(args: argparse.Namespace) -> list[Override]:
    """Options that stand for settings, as if they were given with --set."""
    from compiler.program.compile_file import read_override

    texts = []
    if args.data is not None:
        word, colon, folder = args.data.partition(":")
        texts.append(f'data={word}(path = "{folder}")' if colon else f"data={word}")
    for option, name in (("seed", "seed"), ("epochs", "epochs"), ("batch_size", "batch"), ("precision", "precision")):
        if getattr(args, option) is not None:
            texts.append(f"{name}={getattr(args, option)}")
    if args.lr is not None:
        texts.append(f"weights.lr={args.lr}")
    return [read_override(text) for text in texts]


def _run(args: argparse.Namespace, request: Request) -> int:
    """Searching, training and evaluating: what needs torch."""
    gc.enable()
    from compiler.runs.run import dry_run, evaluate_file, search_file, train_file
    from compiler.searcher.data import DataError, MissingData
    from compiler.searcher.engine.errors import EngineError, Interrupted, NoDevice
    from compiler.util.errors import UsageError

    config = _config(args, request)
    try:
        if args.dry_run and args.eval is None:
            dry_run(request, config, training=args.train)
        elif args.search:
            report = search_file(request, config)
            if _is_main():
                print(f"derived architecture: {report.derived}")
        elif args.train:
            outcome = train_file(request, config, warn=lambda text: print(text, file=sys.stderr))
            if _is_main():
                print(f"test accuracy: {outcome.accuracy:.2%}")
                print(f"weights: {outcome.weights}")
        else:
            print(f"test accuracy: {evaluate_file(request, args.eval, config):.2%}")
    except MissingData:
        raise
    except (DataError, NoDevice) as error:
        raise UsageError(str(error)) from None
    except Interrupted as error:
        return _trouble("hdas-compile", str(error), INTERRUPTED)
    except EngineError as error:
        return _trouble("hdas-compile", str(error), FAILED)
    return OK


def _is_main() -> bool:
    from compiler.searcher.engine.device.compute import is_main_process

    return is_main_process()


def _config(args: argparse.Namespace, request: Request) -> RunConfig:
    from compiler.backend.passes.target import read_bytes
    from compiler.runs.run import DERIVED, RunConfig

    out = args.out
    if out is None:
        if request.path.name == DERIVED:
            out = request.path.parent / "train" if args.train else request.path.parent
        else:
            out = Path("runs") / (request.path.stem + ("-train" if args.train else ""))
    return RunConfig(
        out=out,
        data_root=args.data_root,
        download=args.download,
        device=args.device,
        devices=args.devices,
        resume=args.resume,
        force=args.force,
        quiet=args.quiet,
        phases=tuple(args.phases.split(",")) if args.phases else (),
        checkpoint_every=args.checkpoint_every,
        memory_budget=None if args.memory_budget is None else read_bytes(args.memory_budget),
        passes=None if args.passes is None else _passes(args.passes),
        compiled=args.compile,
    )


def _passes(names: str) -> tuple[str, ...]:
    """The passes that a command names, all of which have to exist."""
    from compiler.backend.passes import named

    return tuple(item.name for item in named(names.split(",")))


def _membership(args: argparse.Namespace, request: Request) -> int:
    from compiler.analysis.membership.query import membership_of
    from compiler.util.errors import UsageError

    if not args.space.is_file():
        raise UsageError(f"there is no file '{args.space}'")
    answer = membership_of(request, args.space)
    print(answer.render())
    return OK if answer.inside else 1


def _export(args: argparse.Namespace, request: Request) -> int:
    from compiler.runs.run import export_file

    print(export_file(request, args.export, args.out, args.weights))
    return OK


# ---------------------------------------------------------------- hdas-diff, hdas-fmt


def diff_main(argv: Sequence[str] | None = None) -> int:
    """`hdas-diff`."""
    parser = _Parser(prog="hdas-diff", description="What differs between two .hsp files, by choice path.")
    parser.add_argument("left", type=Path)
    parser.add_argument("right", type=Path)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args(argv)
    from hdas_dsl.diff.differ import diff
    from hdas_dsl.parse.parser import parse_text

    modules = []
    for path in (args.left, args.right):
        try:
            modules.append(parse_text(path.read_text(encoding="utf-8"), str(path)))
        except (OSError, UnicodeDecodeError) as error:
            return _trouble("hdas-diff", f"'{path}' cannot be read: {_reason(error)}", WRONG_USAGE)
        except HspError as error:
            _show(error.diagnostics)
            return WRONG_USAGE
    found = diff(*modules)
    sys.stdout.write(found.to_json() + "\n" if args.json else found.render(colour=sys.stdout.isatty()))
    return OK if found.same else 1


def format_main(argv: Sequence[str] | None = None) -> int:
    """`hdas-fmt`."""
    parser = _Parser(prog="hdas-fmt", description="Write .hsp files in their canonical form.")
    parser.add_argument("files", nargs="+", metavar="FILE", help="files to rewrite, or - for standard input to output")
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 where a file would change")
    args = parser.parse_args(argv)
    from hdas_dsl.format import format_text

    code = OK
    for name in args.files:
        try:
            text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
            formatted = format_text(text, "<stdin>" if name == "-" else name)
        except (OSError, UnicodeDecodeError) as error:
            return _trouble("hdas-fmt", f"'{name}' cannot be read: {_reason(error)}", WRONG_USAGE)
        except HspError as error:
            _show(error.diagnostics)
            code = WRONG_FILE
            continue
        if args.check:
            if formatted != text:
                print(f"{name} would change")
                code = WRONG_FILE
        elif name == "-":
            sys.stdout.write(formatted)
        elif formatted != text:
            Path(name).write_text(formatted, encoding="utf-8")
            print(f"{name} formatted", file=sys.stderr)
    return code


# ---------------------------------------------------------------- hdas-import


def import_parser() -> argparse.ArgumentParser:
    """The command line of `hdas-import`."""
    parser = _Parser(
        prog="hdas-import",
        description="Turn a genotype into a .hsp file, with the network of its space around it.",
        allow_abbrev=False,
    )
    parser.add_argument("genotype", help="a genotype, a file that holds one, or - for standard input")
    parser.add_argument("--name", metavar="NAME", help="which genotype, where the text assigns several to names")
    parser.add_argument("-o", "--out", metavar="FILE", type=Path, help="write the file instead of printing it")
    network = parser.add_argument_group("the network around it")
    network.add_argument("--channels", type=int, metavar="N", help="parameter c: channels of the first stage")
    network.add_argument("--cells", type=int, metavar="N", help="parameter cells: how many in the network")
    network.add_argument("--classes", type=int, metavar="N", help="parameter classes")
    network.add_argument("--input", metavar="CxHxW", help="the shape of an image, such as 3x32x32")
    network.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="any other parameter")
    network.add_argument("--space", metavar="FILE", type=Path, help="take network and recipe from this space")
    join = parser.add_argument_group("joining")
    join.add_argument("--cell-file", metavar="FILE", type=Path, help="the cells of a genotype of stages")
    join.add_argument("--stage-file", metavar="FILE", type=Path, help="the stages around a genotype of cells")
    return parser


def import_main(argv: Sequence[str] | None = None) -> int:
    """`hdas-import`."""
    args = import_parser().parse_args(argv)
    from compiler.util.errors import UsageError
    from hdas_dsl.genotype import read_genotype
    from hdas_dsl.genotype.build import build
    from hdas_dsl.genotype.space import Misfit
    from hdas_dsl.tree.printer import print_module

    try:
        text, name = _genotype_text(args.genotype)
        around = _surroundings(args)
        genotype, diagnostics = read_genotype(text, name, args.name)
        if genotype is None:
            raise HspError(diagnostics)
        _show(diagnostics)
        made = print_module(build(genotype, around))
        if args.out is None:
            sys.stdout.write(made)
        else:
            args.out.write_text(made, encoding="utf-8")
    except HspError as error:
        _show(error.diagnostics)
        return WRONG_FILE
    except (UsageError, Misfit) as error:
        return _trouble("hdas-import", str(error), WRONG_USAGE)
    except OSError as error:
        return _trouble("hdas-import", f"'{error.filename}' cannot be used: {_reason(error)}", WRONG_USAGE)
    return OK


def _genotype_text(given: str) -> tuple[str, str]:
    """The text of a genotype, and what messages call it."""
    from compiler.util.errors import UsageError
    from hdas_dsl.genotype import is_text

    if given == "-":
        return sys.stdin.read(), "<stdin>"
    if is_text(given):
        return given, "<genotype>"
    try:
        return Path(given).read_text(encoding="utf-8"), given
    except (OSError, ValueError) as error:
        raise UsageError(f"'{given}' cannot be read: {_reason(error)}") from None


def _surroundings(args: argparse.Namespace) -> Surroundings:
    """What stands around the genotype, as the options say."""
    from compiler.util.errors import UsageError
    from hdas_dsl.genotype.build import Surroundings
    from hdas_dsl.tree import ast

    image = None
    if args.input is not None:
        image = tuple(int(dim) if dim.isascii() and dim.isdigit() else 0 for dim in args.input.split("x"))
        if len(image) != 3 or min(image) < 1:
            raise UsageError(f"--input {args.input}: an image is CxHxW, such as 3x32x32")
    params: dict[str, ast.Expr] = {}
    for option, name in (("channels", "c"), ("cells", "cells"), ("classes", "classes")):
        count = getattr(args, option)
        if count is not None:
            if count < 1:
                raise UsageError(f"--{option} {count}: it is at least 1")
            params[name] = ast.Number(str(count))
    if args.set:
        from compiler.program.compile_file import read_override

        params |= {item.name: item.value for item in map(read_override, args.set)}
    return Surroundings(args.space, args.cell_file, args.stage_file, image, params)


# ---------------------------------------------------------------- output


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
