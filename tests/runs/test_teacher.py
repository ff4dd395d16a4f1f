"""`teacher = PHASE`: the network that an earlier phase left teaches a later one, with weights that stay."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from compiler.commands.compile import compile_main
from compiler.program.compile_file import compile_file
from compiler.program.model import Phase
from compiler.searcher.data.load import load_data
from compiler.searcher.engine.device.compute import Compute
from compiler.searcher.engine.search import Searching
from compiler.searcher.engine.state import checkpoint
from compiler.searcher.relaxations import Relaxed, relaxed
from compiler.searcher.run_files import CHECKPOINT
from compiler.searcher.settings.datasets import Fake
from tests.support.interruption import at_step, killed

NETS = """\
hsp 1
network Net(image: [1, 8, 8]; w = 4 | 6, k = 3 | 5, e = 1 | 2, classes = 10) {
  stem = image -> conv(3, w) -> batch_norm -> relu
  n[i < e] = prev(stem) -> conv(k, 6) -> batch_norm -> (relu | sigmoid)
  output last of n -> classifier(classes)
}
"""
SETTINGS = """
  data = digits(weights_share = 0.5, images = 192)
  epochs = 1
  batch = 48
"""
OFA = """\
  relax = sample(share = true)
  phase kernel = Net(w = 6, e = 2)
  phase depth = Net(w = 6) {
    start = kernel
    teacher = kernel(1)
  }
"""
MIXED = """\
  phase big = Net(w = 6, e = 2)
  phase small = Net(w = 4, e = 1) {
    teacher = big(0.7)
    weights = sgd(lr = 0.1, momentum = 0, decay = 0, clip = 0)
    alphas = fixed
  }
"""


def phases(section: str, settings: str = SETTINGS) -> tuple[Phase, ...]:
    program, wrong = compile_file("net.hsp", text=f"{NETS}search {{{settings}{section}}}\n")
    assert program is not None, [found.render() for found in wrong]
    return program.phases


def made(phase: Phase, seed: int) -> Relaxed:
    torch.manual_seed(seed)
    return relaxed(phase.network, phase.settings).double()


def searching(phase: Phase, net: Relaxed, teacher: Relaxed | None) -> Searching:
    return Searching(net, load_data(Fake(classes=10, count=96), Path("none")), phase.settings, Compute("cpu"), teacher)


def images() -> tuple[Tensor, Tensor]:
    torch.manual_seed(7)
    return torch.randn(6, 1, 8, 8, dtype=torch.float64), torch.tensor([0, 1, 2, 3, 4, 5])


def test_a_step_of_the_weights_is_that_of_the_sum_of_both_losses() -> None:
    """Against plain torch: labels, and 0.7 times the cross entropy with the answers of the other network."""
    first, second = phases(MIXED)
    teacher, mine, other = made(first, 1), made(second, 2), made(second, 2)
    search = searching(second, mine, teacher)
    before = {name: tensor.clone() for name, tensor in teacher.state_dict().items()}
    search.weight_batch, search.alpha_batch = images(), None
    search.step(0, 0)
    inputs, labels = images()
    logits = other(inputs)
    with torch.no_grad():
        answers = teacher.eval()(inputs).softmax(1)
    loss = cross_entropy(logits, labels) - 0.7 * (answers * logits.log_softmax(1)).sum(1).mean()
    gradients = torch.autograd.grad(loss, list(other.weights()))
    moved = 0.0
    for weight, start, gradient in zip(mine.weights(), other.weights(), gradients, strict=True):
        torch.testing.assert_close(weight.data, start.data - 0.1 * gradient, rtol=0, atol=1e-12)
        moved += float(gradient.abs().sum())
    assert moved > 0
    assert all(torch.equal(before[name], tensor) for name, tensor in teacher.state_dict().items())
    assert not any(tensor.requires_grad for tensor in teacher.parameters())


def test_a_ratio_of_nothing_is_no_teacher() -> None:
    first, second = phases(MIXED.replace("0.7", "0"))
    assert searching(second, made(second, 2), made(first, 1)).teacher is None


def test_what_samples_answers_by_its_largest_architecture() -> None:
    """And by the statistics of the batch, as it learned; the network that it teaches draws as without it."""
    kernel, depth = phases(OFA)
    teacher = made(kernel, 1)
    search = searching(depth, made(depth, 2), teacher)
    assert search.teacher is not None
    inputs, _ = images()
    found = search.teacher(inputs)
    largest = {path: (len(decision.items) - 1,) for path, decision in kernel.network.decisions.items()}
    assert kernel.network.decisions["Net.k"].numbers == (3, 5)
    ways = [
        teacher.alone(inputs, {**largest, "Net.n0.choice": (one,), "Net.n1.choice": (two,)})
        for one in (0, 1)
        for two in (0, 1)
    ]
    assert sum(torch.equal(found, way) for way in ways) == 1


def search(out: Path, *args: str) -> int:
    return compile_main(["net.hsp", "--search", "--out", str(out), "--quiet", *args])


@pytest.mark.parametrize("section", [OFA, MIXED])
def test_a_taught_phase_goes_on_after_a_kill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], section: str
) -> None:
    """To the same bytes, whether the phases run together or one by one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.hsp").write_text(f"{NETS}search {{{SETTINGS}{section}}}\n")
    names = [phase.name for phase in phases(section)]
    whole, parted, apart = (tmp_path / name for name in ("whole", "parted", "apart"))
    assert search(whole) == 0
    assert f"  teacher = {names[0]}(" in (whole / "derived.hsp").read_text()
    with at_step(4, killed):  # the second step of the second phase
        assert search(parted) != 0
    assert search(parted, "--resume") == 0
    for name in names:
        assert search(apart, "--phases", name) == 0
    for other in (parted, apart):
        assert (other / "derived.hsp").read_bytes() == (whole / "derived.hsp").read_bytes()
        states = [checkpoint.read(run / names[1] / CHECKPOINT)[0] for run in (whole, other)]
        assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    (apart / names[0] / CHECKPOINT).unlink()
    capsys.readouterr()
    assert search(apart, "--phases", names[1], "--force") == 2
    assert f"'{names[0]}', and there is no" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("section", "message", "hint"),
    [
        (MIXED.replace("big(0.7)", "bigg(0.7)"), "none of that name has any before 'small'", "did you mean 'big'?"),
        (MIXED.replace("(w = 6, e = 2)", "(w = 6, e = 2, classes = 9)"), "that maps 1x8x8 to 9", None),
        (
            MIXED.replace("(w = 6, e = 2)", "(w = 6, e = 2) {\n    relax = gumbel(hard = true)\n  }"),
            "its relaxation draws one architecture for each batch",
            None,
        ),
    ],
)
def test_a_phase_that_cannot_teach_is_refused(section: str, message: str, hint: str | None) -> None:
    program, (wrong,) = compile_file("net.hsp", text=f"{NETS}search {{{SETTINGS}{section}}}\n")
    assert program is None
    assert wrong.message.startswith("`teacher = ")
    assert message in wrong.message
    assert wrong.span.text.startswith("teacher = ")
    assert wrong.hint == (hint or "use `teacher = none`")


# ---------------------------------------------------------------- what such a file says


def test_phases_that_leave_weights_alone_are_no_part_of_an_architecture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two kernels, and one or two operations: counted, drawn and found in the space without the phases before."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.hsp").write_text(f"{NETS}search {{{SETTINGS}{OFA}}}\n")
    assert compile_main(["net.hsp", "--count"]) == 0
    assert capsys.readouterr().out == f"{2 * (2 + 2**2)}\n"
    assert compile_main(["net.hsp"]) == 0
    assert f"{2 * (2 + 2**2)} architectures" in capsys.readouterr().out.split("\n")[0]
    assert compile_main(["net.hsp", "--sample", "1"]) == 0
    (tmp_path / "drawn.hsp").write_text(capsys.readouterr().out)
    assert compile_main(["drawn.hsp", "--in", "net.hsp"]) == 0
    assert capsys.readouterr().out.startswith("yes")
