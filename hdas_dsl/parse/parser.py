"""Text to syntax tree: lark's LALR parser, the builder of the tree, and recovery so that all errors come at once."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from difflib import get_close_matches
from functools import cache
from typing import Any, Literal, TypeAlias, TypeVar

from lark import Lark, Token, Tree, UnexpectedToken, v_args
from lark.parsers.lalr_interactive_parser import InteractiveParser
from lark.tree import Meta
from lark.visitors import Transformer_NonRecursive

from hdas_dsl.cache import cache_folder
from hdas_dsl.text.diagnostics import Code, Diagnostic, HspError
from hdas_dsl.text.source import Source, Span
from hdas_dsl.tree import ast
from hdas_dsl.tree.depth import check_depth

from .lexer import BROKEN, END, LINE, NOTE, RAW_TERMINALS, TOP_WORDS, lay_out, span_of
from .syntax_errors import explain

VERSION = 1


def parse(source: Source) -> tuple[ast.Module | None, list[Diagnostic]]:
    """The module of a text and all its syntax errors; no module if there are any."""
    tree, report = _read(source, "module")
    module = tree if isinstance(tree, ast.Module) else None
    return module, report


def parse_text(text: str, name: str = "<text>") -> ast.Module:
    """The module of a text; raises HspError with all its syntax errors."""
    module, report = parse(Source(name, text))
    if module is None:
        raise HspError(report)
    return module


def parse_expression(text: str, name: str = "<text>") -> tuple[ast.Expr | None, list[Diagnostic]]:
    """An expression on its own, such as the value of a setting on the command line."""
    return _read(Source(name, text), "expression")


_Start: TypeAlias = Literal["module", "expression"]


def _read(source: Source, start: _Start) -> tuple[Any, list[Diagnostic]]:
    report: list[Diagnostic] = []
    parser = _lark().parse_interactive(source.text, start=start)
    raw = parser.lexer_thread.lex(parser.parser_state)  # type: ignore[no-untyped-call]
    if start == "module":
        tokens = _with_heading(source, list(lay_out(source, raw, report)), report)
    else:
        tokens = list(lay_out(source, (token for token in raw if token.type != "COMMENT"), report))
    tree = _Driver(source, parser, tokens, report).run()
    node = None
    if tree is not None:
        node = _Builder(source, report).transform(tree)
        deep = check_depth(node)
        if deep is not None:
            report.append(deep)
    report.sort(key=lambda diagnostic: diagnostic.span.start)
    return (None if report else node), report


class _KeepRaw:
    """Keeps the terminals that only the layout reads; lark would drop them as unused."""

    always_accept = RAW_TERMINALS

    def process(self, stream: Any) -> Any:
        return stream


@cache
def _lark() -> Lark:
    return Lark.open(
        "grammar.lark",
        rel_to=__file__,
        parser="lalr",
        lexer="basic",
        postlex=_KeepRaw(),
        start=["module", "expression"],
        propagate_positions=True,
        cache=_table() or False,
    )


def _table() -> str | None:
    """Where lark keeps the table of the grammar, which takes most of the time of a small check to make: a pickle."""
    folder = cache_folder()
    if folder is None:
        return None
    return str(folder / f"grammar-{sys.version_info.major}.{sys.version_info.minor}.lark")


# ---------------------------------------------------------------- the heading


def _with_heading(source: Source, tokens: list[Token], report: list[Diagnostic]) -> list[Token]:
    """The tokens with the heading first: comments before it follow it, and a missing one is reported and put in."""
    first = 0
    while tokens[first].type == LINE and tokens[first + 1].type == "COMMENT":
        first += 2
    end = next(i for i in range(first, len(tokens)) if tokens[i].type == END or (tokens[i].type == LINE and i > first))
    heading = tokens[first:end]
    if [token.type for token in heading[:3]] != [LINE, "HSP", "NUMBER"]:
        wrong = next((token for token in heading if token.type not in (LINE, BROKEN)), tokens[first])
        report.append(Diagnostic(Code.VERSION, span_of(source, wrong), f"a file starts with 'hsp {VERSION}'"))
        rest = tokens[end:] if wrong.type == "HSP" else tokens[first:]
        heading = [Token(LINE, "", 0, end_pos=0), Token("HSP", "hsp", 0), Token("NUMBER", str(VERSION), 0)]
        return [*heading, *tokens[:first], *rest]
    if heading[2] != str(VERSION):
        message = f"this is the compiler of 'hsp {VERSION}', not of 'hsp {heading[2]}'"
        report[:] = [Diagnostic(Code.VERSION, span_of(source, heading[2]), message)]
        return []
    more = [token for token in heading[3:] if token.type != NOTE]
    if more and more[0].type != BROKEN:
        message = f"expected the end of the line after 'hsp {VERSION}', found '{more[0]}'"
        report.append(Diagnostic(Code.SYNTAX, span_of(source, more[0]), message))
    note = heading[3:] if not more else []
    return [*heading[:3], *note, *tokens[:first], *tokens[end:]]


# ---------------------------------------------------------------- errors and recovery


_SIGNATURE = (("NAME", "_"), ("LPAR", "("), ("RPAR", ")"))
_HEADINGS = {
    "cell": (("CELL", "cell"), *_SIGNATURE),
    "op": (("OP", "op"), *_SIGNATURE),
    "equivalence": (("EQUIVALENCE", "equivalence"), ("NAME", "_")),
    **dict.fromkeys(("search", "train", "provenance"), (("PROVENANCE", "provenance"),)),
}


class _Driver:
    """Feeds tokens to lark. After an error it goes back to the start of the line and on with the next one."""

    def __init__(
        self, source: Source, parser: InteractiveParser, tokens: list[Token], report: list[Diagnostic]
    ) -> None:
        self.source = source
        self.parser = parser
        self.tokens = tokens
        self.report = report
        self.line = 0  # where the current line starts
        self.wrong: set[int] = set()  # the tokens that were errors; none is one twice
        self.heights = [4]  # of the parser's stack before the current line, in every open block; the heading stays

    def run(self) -> Tree[Token] | None:
        i = 0
        result = None
        while i < len(self.tokens):
            token = self.tokens[i]
            try:
                result = self.parser.feed_token(token)
            except UnexpectedToken:
                i = i + 1 if i in self.wrong else self._recover(i)
                continue
            state = self.parser.parser_state
            if token.type == LINE and i > 0:
                self.line = i
                self.heights[-1] = len(state.state_stack) - 1
            elif token.type == "LBRACE":
                self.heights.append(len(state.state_stack))
            elif token.type == "RBRACE":
                self.heights.pop()
            i += 1
        return result if isinstance(result, Tree) else None

    def _recover(self, i: int) -> int:
        """Reports the error at a token and returns the one to go on with."""
        self.wrong.add(i)
        token = self.tokens[i]
        if len(self.heights) > 1 and self._leaves_block(i):
            del self.heights[1:]
            self._drop_line()
            return i if token.type == END else i - 1
        accepts: set[str] = self.parser.accepts()  # type: ignore[no-untyped-call]
        if token.type != BROKEN:
            self.report.append(explain(self.source, self.tokens, i, accepts))
        if self.parser.parser_state.parse_conf.start == "expression":
            return len(self.tokens)
        if token.type == LINE and "LBRACE" in accepts and self.tokens[i + 1].value not in TOP_WORDS:
            # A block without its '{'
            self.parser.feed_token(Token("LBRACE", "{", token.start_pos, end_pos=token.start_pos))
            self.heights.append(len(self.parser.parser_state.state_stack))
            return i
        self._drop_line()
        while self.tokens[i].type not in (LINE, END):
            kind = self.tokens[i].type
            if kind == "RBRACE" and len(self.heights) > 1:
                break
            if kind == "LBRACE":
                if self._feed_heading():
                    break
                i = self._closing(i)
            i += 1
        return i

    def _leaves_block(self, i: int) -> bool:
        """Whether a block ends here whose '{' was put in, so that the layout does not know of it."""
        is_first = self.tokens[i - 1].type == LINE and self.tokens[i].value in TOP_WORDS
        return self.tokens[i].type == END or (is_first and self.tokens[i + 1].value != "=")

    def _drop_line(self) -> None:
        state = self.parser.parser_state
        del state.state_stack[self.heights[-1] :]
        del state.value_stack[self.heights[-1] - 1 :]

    def _feed_heading(self) -> bool:
        """Puts a right line in place of a wrong one that opens a block, so that the block is read none the less."""
        if len(self.heights) > 1:
            return False
        first = self.tokens[self.line + 1].value
        word = next(iter(get_close_matches(first, TOP_WORDS, n=1)), "cell")
        at = self.tokens[self.line].start_pos
        for kind, text in (("LINE", ""), *_HEADINGS.get(word, _HEADINGS["cell"])):
            self.parser.feed_token(Token(kind, text, at, end_pos=at))
        return True

    def _closing(self, i: int) -> int:
        """The '}' of a '{'."""
        depth = 0
        while self.tokens[i].type != END:
            depth += (self.tokens[i].type == "LBRACE") - (self.tokens[i].type == "RBRACE")
            if depth == 0:
                return i
            i += 1
        return i - 1


# ---------------------------------------------------------------- the tree

_N = TypeVar("_N", bound=ast.Node)
_L = TypeVar("_L", bound=ast.Line)
_Params: TypeAlias = tuple[ast.Param, ...]
_Signature: TypeAlias = tuple[_Params, _Params]
_Shape: TypeAlias = tuple[ast.Expr, ...]
_Settings: TypeAlias = tuple[ast.SettingLine, ...]


@v_args(inline=True, meta=True)
class _Builder(Transformer_NonRecursive[Token, Any]):
    """One method for every rule of the grammar, with its children as arguments."""

    def __init__(self, source: Source, report: list[Diagnostic]) -> None:
        super().__init__(visit_tokens=False)
        self.source = source
        self.report = report

    def _span(self, meta: Meta) -> Span:
        return Span(self.source, meta.start_pos, meta.end_pos)

    def _token(self, token: Token) -> Span:
        return span_of(self.source, token)

    def module(self, _: Meta, line: Token, version: Token, note: Token | None, *lines: ast.TopLine) -> ast.Module:
        if note is not None:
            lines = (ast.Comment(str(note), span=self._token(note)), *lines)
        return ast.Module(lines, int(version), span=Span(self.source, 0, len(self.source.text)))

    def expression(self, _: Meta, line: Token, value: ast.Expr) -> ast.Expr:
        return value

    def line(self, _: Meta, mark: Token, line: _L, note: Token | None) -> _L:
        return replace(line, note=None if note is None else str(note), gap=bool(mark))

    def comment(self, meta: Meta, text: Token) -> ast.Comment:
        return ast.Comment(str(text), span=self._span(meta))

    # ------------------------------------------------------------ definitions

    def use(self, meta: Meta, path: Token, alias: Token | None, *replacements: ast.Binding) -> ast.Use:
        return ast.Use(_text(path), _word(alias), replacements, span=self._span(meta))

    def op_expression(self, meta: Meta, name: Token, signature: _Signature, value: ast.Expr) -> ast.OpDef:
        return ast.OpDef(str(name), *signature, value, span=self._span(meta))

    def op_block(self, meta: Meta, name: Token, signature: _Signature, body: ast.Block) -> ast.OpDef:
        return ast.OpDef(str(name), *signature, body, span=self._span(meta))

    def op_external(
        self, meta: Meta, name: Token, signature: _Signature, shape: _Shape | None, external: ast.External
    ) -> ast.OpDef:
        return ast.OpDef(str(name), *signature, external, shape, span=self._span(meta))

    def external(self, meta: Meta, name: Token) -> ast.External:
        return ast.External(_text(name), span=self._span(meta))

    def menu(self, meta: Meta, name: Token, params: _Params | None, value: ast.Expr) -> ast.MenuDef:
        return ast.MenuDef(str(name), params or (), value, span=self._span(meta))

    def graph(
        self, meta: Meta, level: Token, copy: ast.CopyName, signature: _Signature, body: ast.Block
    ) -> ast.GraphDef:
        return ast.GraphDef(ast.Level(str(level)), copy, *signature, body, span=self._span(meta))

    def copy_name(self, meta: Meta, *parts: tuple[str, str | None]) -> ast.CopyName:
        return ast.CopyName(parts, span=self._span(meta))

    def copy_part(self, _: Meta, name: Token, label: Token | None) -> tuple[str, str | None]:
        if label is not None and label.type == "NUMBER" and not label.isdigit():
            message = f"a copy's label is an integer or a name, not '{label}'"
            self.report.append(Diagnostic(Code.SYNTAX, self._token(label), message))
        return str(name), _word(label)

    def signature(self, _: Meta, inputs: _Params | None, params: _Params | None) -> _Signature:
        return inputs or (), params or ()

    def params(self, _: Meta, *params: ast.Param) -> _Params:
        return params

    def param(self, meta: Meta, name: Token, shape: _Shape | None, default: ast.Expr | None) -> ast.Param:
        return ast.Param(str(name), shape, default, span=self._span(meta))

    def shape(self, _: Meta, *sizes: ast.Expr) -> _Shape:
        return sizes

    # ------------------------------------------------------------ bodies and settings

    def body(self, meta: Meta, *lines: ast.BodyLine) -> ast.Block:
        return ast.Block(lines, span=self._span(meta))

    def binding(self, meta: Meta, target: ast.Target, value: ast.Expr, *where: ast.Binding) -> ast.Binding:
        return ast.Binding(target, value, where, span=self._span(meta))

    local = binding

    def target(self, meta: Meta, name: Token, *dims: ast.Dim | None) -> ast.Target:
        return ast.Target((str(name),), tuple(dim for dim in dims if dim is not None), span=self._span(meta))

    def names(self, meta: Meta, *names: Token) -> ast.Target:
        return ast.Target(tuple(map(str, names)), span=self._span(meta))

    def dim(self, meta: Meta, index: Token, size: ast.Expr) -> ast.Dim:
        return ast.Dim(str(index), size, span=self._span(meta))

    def output(self, meta: Meta, value: ast.Expr) -> ast.Output:
        return ast.Output(value, span=self._span(meta))

    def aux(self, meta: Meta, value: ast.Expr) -> ast.Aux:
        return ast.Aux(value, span=self._span(meta))

    def require(self, meta: Meta, condition: ast.Expr) -> ast.Require:
        return ast.Require(condition, span=self._span(meta))

    def preference(self, meta: Meta, sense: Token, quantity: ast.Expr, weight: ast.Expr | None) -> ast.Preference:
        return ast.Preference(ast.Sense(str(sense)), quantity, weight, span=self._span(meta))

    def prune(self, meta: Meta) -> ast.Prune:
        return ast.Prune(span=self._span(meta))

    def search(self, meta: Meta, target: ast.Expr | None, settings: _Settings) -> ast.Search:
        return ast.Search(target, settings, span=self._span(meta))

    def train(self, meta: Meta, target: ast.Expr | None, settings: _Settings) -> ast.Train:
        return ast.Train(target, settings, span=self._span(meta))

    def equivalence(self, meta: Meta, name: Token, settings: _Settings) -> ast.Equivalence:
        return ast.Equivalence(str(name), settings, span=self._span(meta))

    def provenance(self, meta: Meta, settings: _Settings) -> ast.Provenance:
        return ast.Provenance(settings, span=self._span(meta))

    def settings(self, _: Meta, *lines: ast.SettingLine) -> _Settings:
        return lines

    def setting(self, meta: Meta, name: Token, value: ast.Expr) -> ast.Setting:
        return ast.Setting(str(name), value, span=self._span(meta))

    def phase(self, meta: Meta, name: Token, target: ast.Expr, settings: _Settings | None) -> ast.Phase:
        return ast.Phase(str(name), target, settings or (), span=self._span(meta))

    # ------------------------------------------------------------ expressions

    def number(self, meta: Meta, text: Token) -> ast.Number:
        return ast.Number(str(text), span=self._span(meta))

    def string(self, meta: Meta, text: Token) -> ast.String:
        return ast.String(_text(text), span=self._span(meta))

    def name(self, meta: Meta, name: Token) -> ast.Name:
        return ast.Name(str(name), span=self._span(meta))

    def group(self, meta: Meta, value: ast.Expr) -> ast.Expr:
        """What stands between parentheses, with a span that holds them."""
        return replace(value, span=self._span(meta))

    def tuple(self, meta: Meta, *items: ast.Expr | None) -> ast.Tuple:
        return ast.Tuple(_present(items), span=self._span(meta))

    def field(self, meta: Meta, base: ast.Expr, name: Token) -> ast.Field:
        return ast.Field(base, str(name), span=self._span(meta))

    def index(self, meta: Meta, base: ast.Expr, *indices: ast.Expr | ast.Range) -> ast.Index:
        return ast.Index(base, indices, span=self._span(meta))

    def range(self, meta: Meta, low: ast.Expr, high: ast.Expr) -> ast.Range:
        return ast.Range(low, high, span=self._span(meta))

    def copy(self, meta: Meta, base: ast.Expr, label: ast.Expr) -> ast.Copy:
        return ast.Copy(base, label, span=self._span(meta))

    def call(self, meta: Meta, func: ast.Expr, *args: ast.Arg | None) -> ast.Call:
        return ast.Call(func, _present(args), span=self._span(meta))

    def arg(self, meta: Meta, name: Token | None, value: ast.Expr) -> ast.Arg:
        return ast.Arg(_word(name), value, span=self._span(meta))

    def each(self, meta: Meta, bundle: ast.Expr) -> ast.Each:
        return ast.Each(bundle, span=self._span(meta))

    def earlier(self, meta: Meta, family: Token) -> ast.Earlier:
        return ast.Earlier(str(family), span=self._span(meta))

    def take(self, meta: Meta, end: Token, count: ast.Expr | None, bundle: ast.Expr) -> ast.Take:
        return ast.Take(ast.End(str(end)), count, bundle, span=self._span(meta))

    def pick(self, meta: Meta, count: ast.Expr, bundle: ast.Expr) -> ast.Pick:
        return ast.Pick(count, bundle, span=self._span(meta))

    def pick_any(self, meta: Meta, bundle: ast.Expr) -> ast.Pick:
        return ast.Pick(None, bundle, span=self._span(meta))

    def pipe(self, meta: Meta, *stages: ast.Expr) -> ast.Pipe:
        return ast.Pipe(stages, span=self._span(meta))

    def unary(self, meta: Meta, op: Token, operand: ast.Expr) -> ast.Unary:
        return ast.Unary(str(op), operand, span=self._span(meta))

    def binary(self, meta: Meta, left: ast.Expr, op: Token, right: ast.Expr) -> ast.Binary:
        return ast.Binary(str(op), left, right, span=self._span(meta))

    def conditional(self, meta: Meta, cond: ast.Expr, then: ast.Expr, orelse: ast.Expr) -> ast.If:
        return ast.If(cond, then, orelse, span=self._span(meta))

    def dots(self, meta: Meta) -> ast.Item:
        return ast.Item(ast.Dots(span=self._span(meta)), span=self._span(meta))

    def item(self, meta: Meta, value: ast.Expr, guard: ast.Expr | None = None) -> ast.Item:
        return ast.Item(value, guard, span=self._span(meta))

    def choice(self, meta: Meta, *items: ast.Item | None) -> ast.Choice:
        return ast.Choice(_present(items), span=self._span(meta))


def _present(parts: tuple[_N | None, ...]) -> tuple[_N, ...]:
    """Without the gaps that lark leaves for optional parts."""
    return tuple(part for part in parts if part is not None)


def _word(token: Token | None) -> str | None:
    return None if token is None else str(token)


def _text(token: Token) -> str:
    """What stands between the quotes."""
    return re.sub(r"\\(.)", r"\1", token[1:-1])
