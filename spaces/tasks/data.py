"""Data of each kind for the spaces beside it: generated, inside scikit-learn, or inside Python. Nothing is downloaded.

A file of `spaces/tasks/` names one of these functions, and runs it where ``--allow-plugin spaces/tasks/data.py`` allows
it. What is generated is the same in every run.
"""

from __future__ import annotations

from pydoc_data.topics import topics

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_wine

Array = NDArray[np.generic]
Parts = tuple[Array, Array, Array, Array]
"""Inputs and targets to train with, then those of the test."""

SERIES, LENGTH, FORMS = 1200, 40, 10
IMAGES, SIDE = 600, 32
TEXTS, WINDOW = 1600, 64


def series() -> Parts:
    """Series ``[1, 40]`` of ten classes: a form of 12 points, stretched to 14 to 30, on a slope with noise."""
    random = np.random.default_rng(0)
    forms = random.normal(size=(FORMS, 12)).cumsum(axis=1)
    forms = (forms - forms.mean(axis=1, keepdims=True)) / forms.std(axis=1, keepdims=True)
    labels = np.arange(SERIES) % FORMS
    x = 0.25 * random.normal(size=(SERIES, LENGTH)) + random.normal(size=(SERIES, 1)) * np.linspace(-1, 1, LENGTH)
    for row, label in zip(x, labels, strict=True):
        long = random.integers(14, 31)
        start = random.integers(0, LENGTH - long + 1)
        stretched = np.interp(np.linspace(0, 11, long), np.arange(12), forms[label])
        row[start : start + long] += random.uniform(0.6, 1.4) * stretched
    return parts(x[:, None].astype(np.float32), labels)


def shapes() -> Parts:
    """Images ``[3, 32, 32]`` of a disc and a square on noise; the class of a pixel is 1 on the disc, 2 on the square.

    Both have colours of one distribution, so that only their form tells them apart; the square hides the disc.
    """
    random = np.random.default_rng(0)
    down, right = np.mgrid[:SIDE, :SIDE]
    masks = np.zeros((IMAGES, SIDE, SIDE), dtype=np.int64)
    x = random.integers(0, 140, (IMAGES, 3, SIDE, SIDE))
    for image, mask in zip(x, masks, strict=True):
        for kind in (1, 2):
            radius = random.integers(4, 8)
            top, left = random.integers(radius, SIDE - radius, 2)
            apart = np.stack([down - top, right - left])
            distance = np.hypot(*apart) if kind == 1 else np.abs(apart).max(axis=0)
            mask[distance <= radius] = kind
            image[:, distance <= radius] += random.integers(0, 116, (3, 1))
    return parts(x.astype(np.uint8), masks)


def manual() -> dict[str, Array]:
    """Texts of 65 bytes from the pages of the language reference that Python's own ``help()`` shows.

    Each byte but the first is to be foretold from those before it. The last fifth of the pages is the test part. Other
    versions of Python have other pages, so figures differ a little between them.
    """
    pages = "".join(topics[name] for name in sorted(topics))
    letters = np.frombuffer(pages.encode("ascii", "ignore"), dtype=np.uint8).astype(np.int64)
    windows = letters[: len(letters) // (WINDOW + 1) * (WINDOW + 1)].reshape(-1, WINDOW + 1)
    train, test = np.split(windows, [len(windows) * 4 // 5])
    step = len(train) // TEXTS
    return {"x": train[::step][:TEXTS], "x_test": test[:: 2 * step]}


def wine() -> Parts:
    """scikit-learn's wines: 13 measures of each of 178, and which of three growers made it."""
    rows, labels = load_wine(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(rows))
    return parts(rows[order], labels[order])


def parts(x: Array, y: Array) -> Parts:
    """The last fifth is the test part."""
    first = len(x) * 4 // 5
    return x[:first], y[:first], x[first:], y[first:]
