"""What a search says of alphas that no epoch moves."""

from __future__ import annotations

from pathlib import Path

import pytest

from compiler.commands.compile import compile_main

SPACE = """hsp 1
use "lib/prim.hsp"
op skip(x) = x
network S(image: [1, 8, 8]) { output (relu | skip)(conv(image, 3, 2)) -> classifier(10) }
search S {
  data = fake(classes = 10, count = 16, channels = 1)
  epochs = 2
  batch = 8
  alphas_from = 1
}
"""
END = "none moves the alphas: what is derived follows their first values"


@pytest.mark.parametrize(
    ("sets", "warned"),
    [
        (["epochs=1"], f"warning: with `alphas_from = 1`, of 1 epoch, {END}"),
        (["alphas_from=2"], f"warning: with `alphas_from = 2`, of 2 epochs, {END}"),
        ([], None),
        (["epochs=1", "alphas=fixed"], None),
        (["epochs=1", "alphas_from=0"], None),
    ],
)
def test_alphas_that_no_epoch_moves(
    sets: list[str],
    warned: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("space.hsp").write_text(SPACE)
    chosen = [word for item in sets for word in ("--set", item)]
    assert compile_main(["space.hsp", "--search", "--out", "run", *chosen]) == 0
    said = " ".join("".join(capfd.readouterr()).split())
    assert (warned in said) if warned else (END not in said)
