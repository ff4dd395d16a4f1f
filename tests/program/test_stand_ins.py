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
network Other(image: [3, 4, 4]; c = 2, Body = Inner, net = 0) {
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
    ("old", "new", "train", "given", "recipe", "wrong"),
    [
        ("", "", "", [], "", None),
        ("one.Inner", "one.Outer", "", [], "", None),
        ("", "", "one.Net(c = 3)", [], "", None),
        ("", "", "", ["two.Body=one.Outer"], "", None),
        ("", "", "two.Other", [], "Other(Body = one.Outer)", None),
        ("one.Inner", "one.Iner", "", [], "", "did you mean 'Inner'?"),
        ("one.Inner)", "one.Inner, net = one)", "", [], "", None),
    ],
    ids=["phase", "what it reaches", "training", "argument", "recipe", "misspelt", "all of it"],
)
def test_what_is_named_is_there(
    tmp_path: Path, old: str, new: str, train: str, given: list[str], recipe: str, wrong: str | None
) -> None:
    file, other = tmp_path / "net.hsp", tmp_path / "recipe.hsp"
    file.write_text(TEXT.replace(old, new) + (TRAIN % train if train else ""))
    other.write_text(TEXT + TRAIN % recipe)
    program, found = compile_file(file, [*map(read_override, given)], recipe=other if recipe else None)
    assert [item.hint for item in found] == ([] if wrong is None else [wrong])
    assert (program is None) == (wrong is not None)
