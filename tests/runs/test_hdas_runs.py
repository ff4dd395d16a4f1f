"""H-DAS run small: three phases to stages of unequal length, both levels at once, and the recipe for ImageNet."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from compiler.commands.compile import compile_main
from compiler.searcher.data.load import load_data
from compiler.searcher.run_files import LOCK
from compiler.searcher.settings.datasets import Folder
from hdas_dsl.units import LIBRARY

PHASES = """hsp 1
use "hdas_digits.hsp"
use "hdas_dist.hsp" as dist

network Ends(image: [1, 8, 8]; c = 1, stages = 2, cells = 5, classes = 10, Normal, Reduction) {
  stem = image -> conv(3, 4 * c) -> batch_norm
  s[j < stages] = dist.Open@j(x, Normal@j, c * 2 ** j, cells)
    where x = if j == 0 then stem else Reduction@j(prev(stem), prev(stem), c * 2 ** j)
  output last of s -> classifier(classes)
}

search {
  data = digits(weights_share = 0.5)
  epochs = 1
  batch = 512
  preferences = apart
  phase micro = Cells(c = 1, stages = 2, cells = 3)
  phase macro = Stages(c = 1, stages = 2, cells = 1, Normal = micro.Normal, Reduction = micro.Reduction)
  phase ends = Ends(Normal = micro.Normal, Reduction = micro.Reduction) {
    optional = true
  }
}

train macro.Stages(c = 2) {
  data = digits
  epochs = 1
  batch = 512
  drop_path = 0
}
"""


@pytest.fixture(autouse=True)
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.set_num_threads(1)


def command(*args: object) -> int:
    return compile_main([*map(str, args), "--quiet"])


def test_three_phases_and_a_network_of_unequal_stages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "phases.hsp").write_text(PHASES)
    assert command("phases.hsp", "--search", "--out", "two") == 0
    written = sorted(path.name for path in (tmp_path / "two").iterdir() if path.name != LOCK)
    assert written == ["derived.hsp", "macro", "micro", "run.json", "settings.hsp", "source"]
    assert (tmp_path / "two/derived.hsp").read_bytes() == (tmp_path / "two/macro/derived.hsp").read_bytes()
    # The third phase, on the cells that are there already.
    (tmp_path / "two/derived.hsp").unlink()
    assert command("phases.hsp", "--search", "--out", "two", "--phases", "micro,macro,ends", "--resume") == 0
    text = (tmp_path / "two/derived.hsp").read_text()
    assert text == (tmp_path / "two/ends/derived.hsp").read_text()
    assert "train Ends(c = 2)" in text
    micro = (tmp_path / "two/micro/derived.hsp").read_text()
    cell = text[text.index("cell Normal@0") : text.index("stage Open@0")]
    assert cell in micro
    # Stages of four and five cells, whatever was found.
    lines = [line for line in text.splitlines() if not line.startswith("  s4 = ")]
    first = next(i for i, line in enumerate(lines) if line.startswith("  s3 = "))
    lines.insert(first + 1, "  s4 = Cell(mix, mix, c) where mix = skip_connect(s2) + max_pool_3x3(s3)")
    (tmp_path / "unequal.hsp").write_text("\n".join(lines) + "\n")
    assert command("unequal.hsp", "--train", "--out", "trained") == 0
    assert "test accuracy" in capsys.readouterr().out
    # What is logged for each epoch, in all three places.
    record = json.loads((tmp_path / "two/ends/history.jsonl").read_text().splitlines()[0])
    log = (tmp_path / "two/ends/log.txt").read_text()
    events = EventAccumulator(str(tmp_path / "two/ends/events"))
    events.Reload()
    for name in (
        "loss/weights", "loss/alphas", "preference/depth Open@0", "preference/length Open@1",
        "quantity/depth Open@0", "quantity/length Open@1", "entropy/stage",
    ):  # fmt: skip
        assert isinstance(record[name], float)
        assert name.replace(" ", "_") in [tag.replace(" ", "_") for tag in events.Tags()["scalars"]]
        assert name.partition("/")[2] in log
    macro = json.loads((tmp_path / "two/macro/history.jsonl").read_text().splitlines()[0])
    assert macro["quantity/length Stage@1"] == 1
    micro_record = json.loads((tmp_path / "two/micro/history.jsonl").read_text().splitlines()[0])
    assert 0.9 < micro_record["entropy/cell"] <= 1


def test_both_levels_at_once(tmp_path: Path) -> None:
    tiny = ["--epochs", 1, "--batch-size", 512, "--set", "c=1", "--set", "stages=2", "--set", "cells=2"]
    assert command(LIBRARY / "hdas_digits_joint.hsp", "--search", "--out", "joint", *tiny) == 0
    record = json.loads((tmp_path / "joint/history.jsonl").read_text().splitlines()[0])
    assert {"entropy/cell", "entropy/stage", "quantity/depth Stage@1", "quantity/length Stage@1"} < record.keys()
    assert command("joint/derived.hsp", "--train", "--epochs", 1, "--batch-size", 512, "--set", "c=1") == 0
    assert (tmp_path / "joint/train/result.json").is_file()


# ---------------------------------------------------------------- ImageNet


def photos(root: Path, colours: tuple[str, ...] = ("red", "green")) -> None:
    """Two images of each class for training and one for testing, larger than what is cut out of them."""
    for part, count in (("train", 2), ("val", 1)):
        for colour in colours:
            (root / part / colour).mkdir(parents=True)
            for number in range(count):
                Image.new("RGB", (300, 260), colour).save(root / part / colour / f"{number}.png")


def test_stages_found_on_cifar_train_on_a_folder_by_one_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The architecture of one file, the recipe of another: 224x224, warm-up by step, smoothing, jitter, crops."""
    photos(tmp_path / "photos")
    facts = tmp_path / "found.hsp"
    from compiler import derive, load

    facts.write_text(derive(load(LIBRARY / "hdas_stages.hsp", c=1, cells=2)))  # type: ignore[arg-type]
    recipe = ["--recipe", LIBRARY / "hdas_imagenet.hsp", "--data", "folder:photos", "--data-root", tmp_path]
    small = ["--epochs", 2, "--batch-size", 4, "--set", "c=2", "--set", "classes=2"]
    assert command("found.hsp", "--train", *recipe, *small, "--out", "moved") == 0
    first, second = map(json.loads, (tmp_path / "moved/history.jsonl").read_text().splitlines())
    assert 0 < first["lr/weights"] < second["lr/weights"] < 0.1
    assert first["drop_path"] == 0
    assert "test accuracy" in capsys.readouterr().out
    assert command("found.hsp", "--train", *recipe, *small, "--set", "c=60", "--dry-run") == 0


def test_a_recipe_without_a_train_section(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(LIBRARY / "zoo/darts_v2.hsp", "--train", "--recipe", LIBRARY / "lib/darts.hsp") == 2
    assert "has no `train` section" in capsys.readouterr().err
    assert command(LIBRARY / "zoo/darts_v2.hsp", "--train", "--recipe", tmp_path / "none.hsp") == 2


def test_jitter_changes_colours_and_only_of_training_images(tmp_path: Path) -> None:
    photos(tmp_path)

    def colours(jitter: float) -> list[set[float]]:
        torch.manual_seed(0)
        data = load_data(Folder(flip=False, jitter=jitter), tmp_path, input_shape=(3, 32, 32))
        seen = [{float(data.train[0][0][channel].mean()) for _ in range(5)} for channel in range(3)]
        return [*seen, {float(data.test[0][0].mean()) for _ in range(5)}]

    assert [len(values) for values in colours(0.0)] == [1, 1, 1, 1]
    assert [len(values) > 1 for values in colours(0.4)] == [True] * 3 + [False]
