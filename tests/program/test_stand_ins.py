"""What stands in for the result of a phase has all that later phases, the training and the command line name of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from compiler.program.compile_file import compile_file
from compiler.program.overrides import read_override

TEXT = """\
hsp 1
op near(x) = x -> conv(1, x.c)
op far(x) = x -> conv(3, x.c)
cell Inner(x) {
  a = x -> (near | far)
  output a
}
cell Outer(x) {
  output x -> Inner -> Inner
}
network Net(image: [3, 4, 4]; c = 2) {
  output image -> conv(1, c) -> Outer -> classifier(2)
}
network Other(image: [3, 4, 4]; c = 2, Body = Inner, all = 0) {
  output image -> conv(1, c) -> Body -> classifier(2)
}
search {
  epochs = 1
  phase one = Net
  phase two = Other(Body = one.Inner)
}
"""
TRAIN = "train %s {\n  epochs = 1\n}\n"


@pytest.mark.parametrize(
    ("changes", "train", "given", "recipe"),
    [
        ({}, "", [], ""),
        ({"one.Inner": "one.Outer"}, "", [], ""),
        ({}, "one.Net(c = 3)", [], ""),
        ({}, "", ["two.Body=one.Outer"], ""),
        ({}, "two.Other", [], "Other(Body = one.Outer)"),
        ({"one.Inner": "one.Inner, all = one", "-> Body": "-> Body -> all.Outer"}, "", [], ""),
    ],
    ids=["phase", "what it reaches", "training", "argument", "recipe", "all of it"],
)
def test_what_is_named_is_there(
    tmp_path: Path, changes: dict[str, str], train: str, given: list[str], recipe: str
) -> None:
    text = TEXT
    for old, new in changes.items():
        text = text.replace(old, new)
    file, other = tmp_path / "net.hsp", tmp_path / "recipe.hsp"
    file.write_text(text + (TRAIN % train if train else ""))
    other.write_text(TEXT + TRAIN % recipe)
    program, found = compile_file(file, [*map(read_override, given)], recipe=other if recipe else None)
    assert [item.render() for item in found] == []
    assert program is not None
