"""Datasets of Hugging Face on disk: tables, images, texts and splits, and what is told where they do not fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from compiler.commands.groups import DataOptions
from compiler.program.compile_file import compile_file
from compiler.searcher.data.arrays import Fit, Taken, load_arrays
from compiler.searcher.data.load import Data
from compiler.searcher.settings.datasets import DataError, HuggingFace
from compiler.searcher.settings.tasks import Classification, Multilabel, Task, Tokens

datasets = pytest.importorskip("datasets", reason="the extra `huggingface` is not installed")
N = 10
ROW, KIND = np.arange(2 * N, dtype=np.float32).reshape(N, 2), ["red", "blue"] * (N // 2)


def read(root: Path, task: Task, taken: Taken, given: tuple[int, ...], target: str | None = None) -> Data:
    return load_arrays(HuggingFace(path="saved", target=target), root, Fit(task, (taken,), given))


def test_a_table_with_splits(tmp_path: Path) -> None:
    """Numbers are the inputs, names the classes; of two splits one is the test part, as it is."""
    whole = datasets.Dataset.from_dict({"kind": KIND, "a": ROW[:, 0], "b": ROW[:, 1]})
    datasets.DatasetDict(train=whole, validation=whole.select(range(3))).save_to_disk(tmp_path / "saved")
    data = read(tmp_path, Classification(), Taken("row", (2,)), (2,), "kind")
    inputs, labels = data.test.__getitems__(range(len(data.test)))
    assert torch.equal(inputs, torch.from_numpy(ROW[:3]))
    assert labels.tolist() == [1, 0, 1]
    assert len(data.train) == N


def test_images_texts_and_arrays(tmp_path: Path) -> None:
    pytest.importorskip("PIL")
    pixels: NDArray[np.uint8] = np.arange(N * 4 * 4 * 3).reshape(N, 4, 4, 3).astype(np.uint8)
    features = datasets.Features({"picture": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b"])})
    images = datasets.Dataset.from_dict({"picture": list(pixels), "label": [0, 1] * (N // 2)}, features)
    images.save_to_disk(tmp_path / "saved")
    data = read(tmp_path, Classification(), Taken("image", (3, 4, 4)), (2,))
    seen = torch.cat([part.__getitems__(range(len(part)))[0] for part in (data.train, data.test)])
    right = torch.from_numpy(pixels.copy()).permute(0, 3, 1, 2) / 255
    assert torch.equal(seen.flatten(1).sum(1).sort().values, right.flatten(1).sum(1).sort().values)
    other = tmp_path / "texts"
    datasets.Dataset.from_dict({"words": (np.arange(N * 6) % 5).reshape(N, 6)}).save_to_disk(other / "saved")
    texts = read(other, Tokens(), Taken("words", (5,), 5), (5, 5))
    found, following = texts.train.__getitems__([0])
    assert torch.equal(found[0, 1:], following[0, :-1])
    signs = tmp_path / "signs"
    columns = {"x": ROW, "signs": np.tile([0, 1, 1], (N, 1)), "note": ["-"] * N}
    datasets.Dataset.from_dict(columns).save_to_disk(signs / "saved")
    assert read(signs, Multilabel(), Taken("row", (2,)), (3,), "signs").train.__getitems__([0])[1].tolist() == [
        [0, 1, 1]
    ]


@pytest.mark.parametrize(
    ("columns", "target", "message"),
    [
        (None, None, "is not a dataset that `save_to_disk` has left: "),
        ({"a": [], "b": []}, None, "has a part without samples"),
        ({"a": [1, 2], "b": [0, 1]}, "c", "has no column 'c': its columns are a, b"),
        ({"a": ["p", "q"], "b": [2, 3], "c": [0, 1]}, None, "has 'p' in column 'a', which is not a number"),
        ({"a": [[1], [2, 3]], "c": [0, 1]}, None, "in column 'a' of '.*' are of several shapes, or no numbers"),
        ({"a": [[1], [2]], "b": [1, 2], "c": [0, 1]}, None, "column 'a' of '.*' holds arrays"),
    ],
)
def test_what_does_not_fit(columns: dict[str, object] | None, target: str | None, message: str, tmp_path: Path) -> None:
    if columns is not None:
        datasets.Dataset.from_dict(columns).save_to_disk(tmp_path / "saved")
    with pytest.raises(DataError, match=message):
        read(tmp_path, Classification(), Taken("row", (2,)), (2,), target)


def test_the_word() -> None:
    """It is said by its path, and compiles without the library or the data."""
    text = """hsp 1
network Rows(row: [2]; classes = 2) {
  output row -> linear(8 | 16) -> relu -> linear(classes)
}
search Rows {
  data = huggingface("saved", target = "kind")
}
"""
    program, diagnostics = compile_file("rows.hsp", text=text)
    assert program is not None, diagnostics
    assert program.phases[0].settings.data == HuggingFace(path="saved", target="kind")
    said = 'huggingface("saved", target = "kind")'
    assert program.phases[0].settings.data.describe() == said
    for option, meant in ((said, said), ("huggingface:saved (2)", 'huggingface("saved (2)")')):
        given = DataOptions(data=option).overrides()
        other, diagnostics = compile_file("rows.hsp", given, text=text)
        assert other is not None, diagnostics
        assert other.phases[0].settings.data.describe() == meant
