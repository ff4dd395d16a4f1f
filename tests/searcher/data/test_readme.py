"""What the README of the data says of words, names and limits is what the code does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from compiler.searcher.data import builtin
from compiler.searcher.data.class_folders import ENDINGS, HELD_OUT, HELD_OUT_SHARE, TRAINING
from compiler.searcher.data.idx import FILES
from compiler.searcher.data.image_files import ZOOM
from compiler.searcher.data.load import load_data
from compiler.searcher.data.resolution import IN_MEMORY
from compiler.searcher.settings.datasets import BUILT_IN, DataSpec, Digits, Folder
from tests.support.paths import ROOT

README = (ROOT / "compiler" / "searcher" / "data" / "README.md").read_text()


def test_each_word_has_a_row_with_what_changes_its_images() -> None:
    table = README[README.index("| word |") : README.index("Every word takes")]
    rows = [row.split("|")[1:4] for row in table.splitlines()[2:] if row]
    changes = {word: row[2] for row in rows for word in re.findall(r"`(\w+)", row[0])}
    assert changes.keys() == {model.word for model in BUILT_IN}
    for model in BUILT_IN:
        spec = model()
        said = dict(re.findall(r"`(\w+) = ([\w.]+)`", changes[spec.word]))
        expected = {"crop": spec.crop, "flip": spec.flip, "jitter": getattr(spec, "jitter", 0)}
        assert said == {name: str(value).lower() for name, value in expected.items() if value}


def test_each_setting_is_explained() -> None:
    listed = README[README.index("Every word takes") : README.index("## Layouts")]
    settings = {*DataSpec.model_fields, *Folder.model_fields} - {"path"}
    assert all(re.search(rf"`{name}( = \w+)?`", listed) for name in settings)


def test_names_and_limits_are_those_of_the_code() -> None:
    layouts = README[README.index("## Layouts") : README.index("## From a file")]
    assert all(f"`{name}`" in layouts for name in (*TRAINING, *HELD_OUT))
    assert all(name in layouts for name in FILES)
    assert f"`{' '.join(ENDINGS)}`" in layouts
    assert (HELD_OUT_SHARE, "a fifth of each class" in layouts) == (1 / 5, True)
    assert (IN_MEMORY, "2 GiB" in README) == (2 * 2**30, True)
    assert (ZOOM, "8/7" in README) == (8 / 7, True)


def test_means_and_standard_deviations_are_those_of_the_code() -> None:
    table = README[README.index("| word | mean |") : README.index("**Changes** of a batch")]
    words = {model.word for model in BUILT_IN} - {"file"}  # The table has them as paths.
    assert words | {"huggingface"} == {word for row in table.splitlines()[2:] for word in re.findall(r"`(\w+)`", row)}
    rows = {row.split("|")[1].strip(" `"): re.findall(r"[\d.]+", row) for row in table.splitlines()[2:] if row}
    digits = load_data(Digits(), Path()).test.statistics
    assert rows.pop("digits") == [f"{digits[name][0]:.4f}" for name in ("mean", "std")]
    code = Path(builtin.__file__).read_text()
    assert [number for row in rows.values() for number in row if number not in code] == []


def test_the_program_for_one_image_gives_what_a_folder_gives(tmp_path: Path) -> None:
    """Images wider, higher and as large as the network's, with and without transparency."""
    block = README[README.index("## One image file") :].split("```python\n")[1].split("```")[0]
    names: dict[str, Any] = {}
    exec(block, names)
    noise = np.random.default_rng(0).integers(0, 256, (50, 50, 4), dtype=np.uint8)
    for at, (high, wide, mode) in enumerate([(20, 31, "RGB"), (50, 17, "RGBA"), (16, 24, "RGB"), (9, 50, "L")]):
        for part in ("train", "val"):
            (tmp_path / part / "one").mkdir(parents=True, exist_ok=True)
            Image.fromarray(noise[:high, :wide]).convert(mode).save(tmp_path / part / "one" / f"{at}.png")
    test = load_data(Folder(), tmp_path, input_shape=(3, 16, 24)).test
    images, _ = test.finish(test.read(torch.arange(4)))
    given = [names["prepared"](tmp_path / "val" / "one" / f"{at}.png", 16, 24) for at in range(4)]
    torch.testing.assert_close(torch.from_numpy(np.concatenate(given)), images, rtol=0, atol=1e-5)


def test_each_file_of_the_room_is_listed() -> None:
    room = ROOT / "compiler" / "searcher" / "data"
    listed = README[: README.index("## Words")]
    assert {path.name for path in room.glob("*.py")} - {"__init__.py"} == {*re.findall(r"`(\w+\.py)`", listed)}
