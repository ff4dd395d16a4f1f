"""Programs made wrong at random: a good text with some of its words, numbers, operators or lines changed."""

from __future__ import annotations

import random
import re

from hdas_dsl.parse.parser import parse_expression
from hdas_dsl.tree import ast


def _words(text: str) -> list[str]:
    return text.split()


TOKEN = re.compile(r"#[^\n]*|\"[^\"\n]*\"|[A-Za-z_]\w*|\d[\d.]*[KMG]?|->|\.\.|\*\*|//|[<>=!]=|\s+|.")
KEYWORDS = _words("""hsp use op choice cell stage network search method by train equivalence provenance phase if then
    else pick any of each earlier first last where with as in and or not output aux require
    minimize maximize weight prune
    external""")
KINDS = {
    "infix": re.compile(r"\+|-|\*|/|//|%|\*\*|==|!=|<|<=|>|>=|in|and|or|->|\|"),
    "end": re.compile("first|last"),
    "keyword": re.compile("|".join(KEYWORDS)),
    "operand": re.compile(r"\w.*"),
}
OPERANDS = """0; 1; 2; 3; 7; -1; 0.5; 50; 1000000; 99999999999999999999; 1e300; 1e999; 2 ** 10 ** 10; 2 ** 0.5; 1 / 3;
    x; c; (-8) ** 0.5; k; i; n; n0; n2; h3_1; s; stem; image; relaxed; open; true; false; (); x.c; x.h; x.rest;
    image.size; n[0]; n[0 .. 2]; n[-1]; "text"; sum; concat; prev; min; round_to; ceil(0.5); log(0); relu; conv;
    zero; Micro; Op; Cell; 1 | 2; Cell@0; Cell@fresh; Normal; nb; nb.Cell; fresh; params; loss; (8 | .. | 64); (relu
    | swish); last 2 of n; earlier n; (x -> relu); (relu -> relu); conv(k = 3); conv(x, 3); -x; not x; if relaxed
    then 1 else 2; relu(each n); relu(each x); (1, 2); ((1, 2), (3, 4)); (x, x); pick 2 of (x, y, x); prev(x); pick
    any of (x, y); sum(pick 1 of (x, x)); concat(x, x); sum(each x)"""
FOREIGN = {
    "operand": re.split(r";\s+", OPERANDS),
    "infix": _words("+ - * / // % ** == != < <= > >= in and or -> |"),
    "arithmetic": _words("+ - * / // % ** == < in and"),
    "end": ["first", "last"],
    "keyword": KEYWORDS,
    "any": [*KEYWORDS, *_words("| .. -> + - * // ** == ( ) [ ] { } , ; = @ . : 1 2 x c relu")],
}


def mutate(text: str, source: random.Random, changes: int = 1) -> str:
    """The text with so many changes; most of them keep it well formed."""
    for _ in range(changes):
        text = _lines(text, source) if source.random() < 0.15 else _tokens(text, source)
    return text


def _lines(text: str, source: random.Random) -> str:
    lines = text.splitlines(keepends=True)
    at, other = source.randrange(len(lines)), source.randrange(len(lines))
    match source.randrange(3):
        case 0:
            del lines[at]
        case 1:
            lines.insert(other, lines[at])
        case _:
            lines[at], lines[other] = lines[other], lines[at]
    return "".join(lines)


def _tokens(text: str, source: random.Random) -> str:
    tokens = TOKEN.findall(text)
    places = [i for i, token in enumerate(tokens) if not token.isspace() and not token.startswith("#")]
    if not places:
        return text
    at = source.choice(places)
    kind = next((kind for kind, form in KINDS.items() if form.fullmatch(tokens[at])), "any")
    alike = [i for i in places if kind != "any" and KINDS[kind].fullmatch(tokens[i])] or places
    other = source.choice(alike)
    match source.randrange(8):
        case 0 | 1 | 2:
            tokens[at] = source.choice(FOREIGN[kind])
        case 3 | 4:
            tokens[at] = tokens[other]
        case 5:
            tokens[at], tokens[other] = tokens[other], tokens[at]
        case 6:
            tokens[at] = ""
        case _:
            tokens.insert(at, f" {source.choice(FOREIGN['any'])} ")
    return "".join(tokens)


EXPRESSIONS = (
    ast.Number, ast.String, ast.Name, ast.Tuple, ast.Field, ast.Index, ast.Copy, ast.Call, ast.Earlier, ast.Take,
    ast.Pipe, ast.Unary, ast.Binary, ast.If, ast.Choice, ast.Pick,
)  # fmt: skip


def transplant(module: ast.Module, source: random.Random, changes: int = 1) -> ast.Module:
    """The program with so many of its expressions replaced by others: wrong, but not in its syntax."""
    for _ in range(changes):
        places = [node for node in module.walk() if isinstance(node, EXPRESSIONS)]
        if not places:
            break
        gone = source.choice(places)
        grown = source.choice(places) if source.random() < 0.5 else _expression(source.choice(FOREIGN["operand"]))
        if source.random() < 0.2:
            grown = ast.Binary(source.choice(FOREIGN["arithmetic"]), gone, grown)

        def change(node: ast.Node, gone: ast.Node = gone, grown: ast.Node = grown) -> ast.Node:
            return grown if node is gone else node.mapped(change)

        module = module.mapped(change)
    return module


def _expression(text: str) -> ast.Expr:
    made, report = parse_expression(text)
    assert made is not None, report
    return made
