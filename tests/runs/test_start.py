"""`start = PHASE`: weights that an earlier phase left."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn.functional import batch_norm, conv2d, linear

from compiler.backend.passes import FLATTEN
from compiler.commands.compile import compile_main
from compiler.program.compile_file import compile_file
from compiler.searcher.engine.state import checkpoint
from compiler.searcher.relaxations import Relaxed, relaxed
from compiler.searcher.relaxations.started import start_from, widened
from compiler.searcher.relaxations.supernet import Supernet
from compiler.searcher.run_files import CHECKPOINT
from tests.support.interruption import at_step, killed
from tests.support.programs import random_decisions, randomize, space

NETS = """\
hsp 1
network Net(image: [1, 8, 8]; w = 4 | 6, k = 3 | 5 | 7, e = 2) {
  stem = image -> conv(3, w) -> batch_norm -> relu
  n[i < e] = prev(stem) -> conv(k, 6) -> batch_norm -> (relu | sigmoid)
  output last of n -> classifier(10)
}

network Other(image: [1, 8, 8]) {
  begin = image -> conv(3, 5)
  output begin -> (relu | sigmoid) -> conv(1, 10) -> global_pool
}
"""
SETTINGS = """
  data = digits(weights_share = 0.5, images = 192)
  epochs = 1
  batch = 48
  relax = sample(share = true)
"""
ALONE = "relax = none\n    epochs = 0\n    derive = random(2)\n"
PHASES = f"""
search {{{SETTINGS}
  phase kernel = Net(w = 6, e = 1)
  phase width = Net {{
    start = kernel
  }}
}}
"""


def supernet(text: str, seed: int, relax: str = "sample(share = true)", nets: str = NETS) -> Relaxed:
    program, wrong = compile_file("net.hsp", text=f"{nets}search {text} {{\n  relax = {relax}\n}}\n")
    assert program is not None, [found.render() for found in wrong]
    torch.manual_seed(seed)
    made = relaxed(program.phases[0].network, program.settings).double()
    made.train(False)
    return made


@pytest.mark.parametrize("relax", ["sample", "softmax"])
def test_one_network_computes_the_same(relax: str) -> None:
    old, new = (supernet("Net(w = 4, k = 3)", seed, relax) for seed in (1, 2))
    images = torch.randn(3, 1, 8, 8, dtype=torch.float64)
    chosen = random_decisions(old.space, 3)
    assert not torch.equal(old.alone(images, chosen), new.alone(images, chosen))
    found = start_from(new, old.network.state_dict())
    assert found.fresh == found.part == ()
    assert torch.equal(old.alone(images, chosen), new.alone(images, chosen))
    alphas = zip(old.alphas.values(), new.alphas.values(), strict=True)
    assert not any(torch.equal(a, b) for a, b in alphas)  # they start anew


@pytest.mark.parametrize(
    ("full", "smaller", "taken"),
    [("w = 4 | 6", "w = 4", {"Net.w": (0,)}), ("k = 3 | 5 | 7", "k = 3 | 5", {"Net.k": (1,)})],
)
def test_a_smaller_network_is_the_part_that_sharing_defines(
    full: str, smaller: str, taken: dict[str, tuple[int, ...]]
) -> None:
    """A width, the middle of a kernel: the same logits as the larger supernet with that width, or that kernel."""
    old, new = supernet("Net", 1), supernet("Net", 2, nets=NETS.replace(full, smaller))
    found = start_from(new, old.network.state_dict())
    assert found.fresh == ()
    assert found.part
    chosen = random_decisions(old.space, 3) | taken
    assert set(chosen) == set(old.space.decisions)
    images = torch.randn(3, 1, 8, 8, dtype=torch.float64)
    mine = {path: items for path, items in chosen.items() if path in new.space.decisions}
    torch.testing.assert_close(new.alone(images, mine), old.alone(images, chosen), rtol=0, atol=1e-12)


def test_a_larger_network_has_fresh_tensors() -> None:
    old, new = supernet("Net(w = 4, e = 1)", 1), supernet("Net(w = 6)", 2)
    before = {name: tensor.clone() for name, tensor in new.network.state_dict().items()}
    found = start_from(new, old.network.state_dict())
    assert any(name.startswith("stem") for name in found.fresh)
    assert any(name.startswith("n1") for name in found.fresh)
    assert all(torch.equal(before[name], new.network.state_dict()[name]) for name in found.fresh)
    assert any(name.startswith("output") for name in found.whole)


def test_a_wider_tensor_begins_with_the_smaller_one_and_repeats_its_channels() -> None:
    given = torch.randn(6, 6, 3, 3)
    found = widened(given, torch.Size((9, 9, 3, 3)), 1)
    assert torch.equal(found[:6, :6], given)
    again = [next(i for i in range(6) if torch.equal(found[j, :6], given[i])) for j in range(6, 9)]
    assert torch.equal(found[:, 6:], found[:, again])  # The same channels are repeated in whatever reads them.
    norm = widened(torch.arange(6.0), torch.Size((9,)), 1)
    assert norm.tolist() == [0, 1, 2, 3, 4, 5, *again]
    assert torch.equal(found, widened(given, found.shape, 1))
    assert not torch.equal(found, widened(given, found.shape, 2))


WIDER = """\
hsp 1
op three(x) = x -> relu -> conv(3) -> batch_norm
network Net(image: [1, 6, 6]; c = 4) {
  stem = image -> conv(3, c) -> batch_norm
  output stem -> (three | identity) -> classifier(3)
}
"""


def test_a_wider_network_is_that_of_repeated_channels() -> None:
    """In plain torch: channel j of the wide one is the channel of the small one that it repeats, read as often."""
    small, wide = (randomize(Supernet(space(WIDER, c=c), (FLATTEN,)), seed=c).eval() for c in (4, 7))
    start_from(wide, small.network.state_dict(), 3)
    own = small.network.state_dict()
    means = [net.network.state_dict()["stem.batch_norm.running_mean"].tolist() for net in (small, wide)]
    repeated = [means[0].index(mean) for mean in means[1]]
    assert repeated[:4] == [0, 1, 2, 3]
    often = torch.tensor([float(repeated.count(channel)) for channel in range(4)]).double()

    def normed(x: Tensor, layer: str, kernel: Tensor) -> Tensor:
        known = [own[f"{layer}.batch_norm.{name}"] for name in ("running_mean", "running_var", "weight", "bias")]
        return batch_norm(conv2d(x, kernel, padding=1), *known)

    three, images, shares = "output.choice.three", torch.randn(3, 1, 6, 6).double(), torch.tensor([0.3, 0.7]).double()
    y = normed(images, "stem", own["stem.conv.weight"])
    z = shares[0] * normed(y.relu(), three, own[f"{three}.conv.weight"] * often[:, None, None]) + shares[1] * y
    expected = linear(z.mean((2, 3)), own["output.linear.weight"] * often, own["output.linear.bias"])
    (path,) = wide.alphas
    torch.testing.assert_close(wide(images, {path: shares}), expected, rtol=1e-10, atol=1e-12)


GROWING = """\
hsp 1
op one(x) = x -> relu -> dwconv(1) -> conv(1) -> batch_norm
op three(x) = x -> relu -> dwconv(3) -> conv(1) -> batch_norm
choice Op = one | three | identity
cell Cell(x) {
  n[i < 2] = sum(pick 1 of Op(each (x, earlier n)))
  output last of n
}
network Net(image: [1, 8, 8]; Cell = Cell) {
  m[i < 2] = prev(image -> conv(3, 12) -> batch_norm) -> Cell
  output last of m -> classifier(3)
}
search {
  data = fake(classes = 3, count = 48, channels = 1, size = 8)
  epochs = 2
  batch = 8
  relax = dirichlet
  phase six = Net {
    channels = partial(6)
    derive = menus(keep = 2)
  }
  phase four = Net(Cell = six.Cell) {
    start = six(alphas = true)
    channels = partial(4)
    alphas = fixed
  }
}
"""


def test_channels_grow_from_phase_to_phase(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The later phase has the alphas of the items that are left, and grown weights; killed, it ends alike."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.hsp").write_text(GROWING)
    whole, parted = tmp_path / "whole", tmp_path / "parted"
    assert search(whole) == 0
    said = capsys.readouterr().out
    assert "phase four: starts from phase six, 20 of 56 tensors as they are, 36 grown, " in said
    assert ", the alphas of 3 decisions\n" in said
    six, four = (checkpoint.read(whole / phase / CHECKPOINT)[0] for phase in ("six", "four"))
    for name in (name for name in four if name.startswith("module/architecture.")):
        assert len(four[name]) == 2
        assert set(four[name].tolist()) < set(six[name].tolist())
    with at_step(8, killed):
        assert search(parted) != 0
    assert search(parted, "--resume") == 0
    assert (parted / "derived.hsp").read_bytes() == (whole / "derived.hsp").read_bytes()
    again = checkpoint.read(parted / "four" / CHECKPOINT)[0]
    assert all(torch.equal(four[name], again[name]) for name in four)


def search(out: Path, *args: str) -> int:
    return compile_main(["net.hsp", "--search", "--out", str(out), "--quiet", *args])


def test_a_phase_starts_from_another_and_goes_on_after_a_kill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.hsp").write_text(NETS + PHASES)
    whole, parted, apart = (tmp_path / name for name in ("whole", "parted", "apart"))
    assert search(whole) == 0
    assert "phase width: starts from phase kernel, " in capsys.readouterr().out
    assert "  start = kernel\n" in (whole / "derived.hsp").read_text()
    with at_step(4, killed):  # the second step of the second phase
        assert search(parted) != 0
    assert search(parted, "--resume") == 0
    for phase in ("kernel", "width"):
        assert search(apart, "--phases", phase) == 0
    for other in (parted, apart):
        assert (other / "derived.hsp").read_bytes() == (whole / "derived.hsp").read_bytes()
        states = [checkpoint.read(run / "width" / CHECKPOINT)[0] for run in (whole, other)]
        assert states[0].keys() == states[1].keys()
        assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    (apart / "kernel" / CHECKPOINT).unlink()
    assert search(apart, "--phases", "width", "--force") == 2
    assert "phase 'width' starts from the weights of 'kernel', and there is no" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("section", "message", "place", "hint"),
    [
        (
            "search {\n  phase early = Net\n  phase b = Net {\n    start = earyl\n  }\n}",
            "takes the weights of a phase, and none of that name has any before 'b'",
            "start = earyl",
            "did you mean 'early'?",
        ),
        (
            "search {\n  phase a = Net {\n    start = a\n  }\n}",
            "takes the weights of a phase, and none of that name has any before 'a'",
            "start = a",
            "use `start = none`",
        ),
        (
            f"search {{\n  phase a = Net {{\n    {ALONE}  }}\n  phase b = Net {{\n    start = a\n  }}\n}}",
            "takes the weights of a phase, and none of that name has any before 'b'",
            "start = a",
            "use `start = none`",
        ),
        (
            f"search {{\n  phase a = Net\n  phase b = Net {{\n    start = a\n    {ALONE}  }}\n}}",
            "takes the weights of a phase, and `relax = none` has no supernet for them",
            "start = a",
            "use `start = none`",
        ),
        (
            "search Net {\n  start = a\n}",
            "takes the weights of a phase, and none of that name has any in this file",
            "start = a",
            "use `start = none`",
        ),
    ],
)
def test_a_start_from_no_phase_is_refused(section: str, message: str, place: str, hint: str) -> None:
    program, (wrong,) = compile_file("net.hsp", text=f"{NETS}{section}\n")
    assert program is None
    assert (wrong.span.text, wrong.hint) == (place, hint)
    assert wrong.message == f"`{place}` {message}"


def test_a_phase_with_nothing_in_common_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.hsp").write_text(NETS + PHASES.replace("width = Net", "width = Other"))
    assert search(tmp_path / "run") == 2
    assert "phase 'width' starts from phase 'kernel', which has no weights of its network" in capsys.readouterr().err
