"""Random syntax trees: every kind of node, in every place where the grammar has it."""

from __future__ import annotations

from typing import TypeVar

from hypothesis import strategies as st

from hdas_dsl.tree import ast

T = TypeVar("T")

NAMES = st.sampled_from(["a", "b", "x", "n2", "Cell", "from_", "_", "relaxed", "stem", "K"])
IDENTS = NAMES.map(ast.Ident)
NUMBERS = st.sampled_from(["0", "1", "16", "0.5", "3e-4", "1E+2", "4M", "1.5M", "2K"]).map(ast.Number)
TEXTS = st.text(st.sampled_from('ab/.# "\\é{}'), max_size=6)
COMMENTS = st.sampled_from(["#", "# a note", "#x = {", '# "'])
LABELS = st.none() | st.sampled_from(["0", "12", "fresh"]).map(ast.Ident)
COMPARISONS = ["==", "!=", "<", "<=", ">", ">=", "in"]
OPERATORS = ["or", "and", *COMPARISONS, "+", "-", "*", "/", "//", "%", "**"]

LEAVES = st.one_of(
    NAMES.map(ast.Name),
    NUMBERS,
    TEXTS.map(ast.String),
    IDENTS.map(ast.Earlier),
    st.just(ast.Tuple(())),
)


def tuples(items: st.SearchStrategy[T], least: int = 0, most: int = 3) -> st.SearchStrategy[tuple[T, ...]]:
    return st.lists(items, min_size=least, max_size=most).map(tuple)


def choices(expr: st.SearchStrategy[ast.Expr]) -> st.SearchStrategy[ast.Choice]:
    """Choices whose dots stand between two items; one item alone has a guard."""
    item = st.builds(ast.Item, expr, st.none() | expr, st.none() | expr)
    dots = st.just((ast.Item(ast.Dots()),)) | st.just(())
    more = tuples(st.tuples(dots, item), 1).map(lambda pairs: tuple(x for dot, it in pairs for x in (*dot, it)))
    alone = st.builds(ast.Item, expr, expr, st.none() | expr).map(lambda only: ast.Choice((only,)))
    return alone | st.builds(lambda first, rest: ast.Choice((first, *rest)), item, more)


def compound(expr: st.SearchStrategy[ast.Expr]) -> st.SearchStrategy[ast.Expr]:
    arg = st.builds(ast.Arg, st.none() | IDENTS, expr | st.builds(ast.Each, expr))
    return st.one_of(
        st.builds(ast.Tuple, tuples(expr, 2)),
        st.builds(ast.Field, expr, IDENTS),
        st.builds(ast.Index, expr, tuples(expr | st.builds(ast.Range, expr, expr), 1, 2)),
        st.builds(ast.Copy, expr, expr),
        st.builds(ast.Call, expr, tuples(arg)),
        st.builds(ast.Take, st.sampled_from(ast.End), st.none() | expr, expr),
        st.builds(ast.Pipe, tuples(expr, 2)),
        st.builds(ast.Unary, st.sampled_from(["-", "not"]), expr),
        st.builds(ast.Binary, st.sampled_from(OPERATORS), expr, expr),
        st.builds(ast.If, expr, expr, expr),
        choices(expr),
        st.builds(ast.Pick, st.none() | expr | st.builds(ast.Range, expr, expr), expr),
    )


def expressions(max_leaves: int = 12) -> st.SearchStrategy[ast.Expr]:
    return st.recursive(LEAVES, compound, max_leaves=max_leaves)


SMALL = expressions(4)
LAID_OUT = {"note": st.none() | COMMENTS, "gap": st.booleans()}
COMMENT_LINES = st.builds(ast.Comment, COMMENTS, gap=st.booleans())


def bindings(names: int) -> st.SearchStrategy[ast.Binding]:
    """Bindings in a list: no line of their own, hence no note."""
    target = st.builds(ast.Target, tuples(IDENTS, 1, names))
    return st.builds(ast.Binding, target, SMALL)


def body_lines() -> st.SearchStrategy[ast.BodyLine]:
    target = st.builds(ast.Target, tuples(IDENTS, 1, 1), tuples(st.builds(ast.Dim, IDENTS, SMALL), 0, 2))
    return st.one_of(
        COMMENT_LINES,
        st.builds(ast.Binding, target, expressions(), tuples(bindings(3), 0, 2), **LAID_OUT),
        st.builds(ast.Output, SMALL, **LAID_OUT),
        st.builds(ast.Aux, SMALL, **LAID_OUT),
        st.builds(ast.Prune, **LAID_OUT),
        statements(),
    )


def statements() -> st.SearchStrategy[ast.Require | ast.Preference]:
    preference = st.builds(ast.Preference, st.sampled_from(ast.Sense), SMALL, st.none() | SMALL, **LAID_OUT)
    return preference | st.builds(ast.Require, SMALL, **LAID_OUT)


def setting_lines() -> st.SearchStrategy[tuple[ast.SettingLine, ...]]:
    plain = COMMENT_LINES | st.builds(ast.Setting, IDENTS, SMALL, **LAID_OUT) | statements()
    phase = st.builds(ast.Phase, IDENTS, SMALL, tuples(plain, 0, 2), **LAID_OUT)
    return tuples(plain | phase)


def top_lines() -> st.SearchStrategy[ast.TopLine]:
    shape = tuples(SMALL, 1, 3)
    params = tuples(st.builds(ast.Param, IDENTS, st.none() | shape, st.none() | SMALL))
    block = st.builds(ast.Block, tuples(body_lines()))
    external = st.builds(ast.External, TEXTS)
    copy = st.builds(ast.CopyName, tuples(st.builds(ast.CopyPart, IDENTS, LABELS), 1, 2))
    graph = st.builds(ast.GraphDef, st.sampled_from(ast.Level), copy, params, params, block, **LAID_OUT)
    return st.one_of(
        COMMENT_LINES,
        st.builds(ast.Use, TEXTS, st.none() | IDENTS, tuples(bindings(1), 0, 2), **LAID_OUT),
        st.builds(ast.OpDef, IDENTS, params, params, expressions() | block, **LAID_OUT),
        st.builds(ast.OpDef, IDENTS, params, params, external, st.none() | shape, **LAID_OUT),
        st.builds(ast.MenuDef, IDENTS, params, expressions(), **LAID_OUT),
        graph,
        graph,
        st.builds(ast.Search, st.none() | SMALL, st.none() | IDENTS, setting_lines(), **LAID_OUT),
        st.builds(ast.Method, IDENTS, setting_lines(), **LAID_OUT),
        st.builds(ast.Train, st.none() | SMALL, setting_lines(), **LAID_OUT),
        st.builds(ast.Equivalence, IDENTS, setting_lines(), **LAID_OUT),
        st.builds(ast.Provenance, setting_lines(), **LAID_OUT),
    )


def modules() -> st.SearchStrategy[ast.Module]:
    return st.builds(ast.Module, tuples(top_lines(), 0, 4))
