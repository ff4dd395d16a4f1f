"""Whether the best of what an explorer judged are judged anew before one is derived.

To add a way, write its class, add it to `Confirmation`, and build it in `searcher/explore/confirming.py`.
"""

from __future__ import annotations

from .words import Count, Word


class NoConfirmation(Word):
    """The best score decides, which is in part the luck of one training."""

    word = "none"


class ConfirmBest(Word):
    """The best ``count`` architectures are judged ``seeds`` times more, each time with other random numbers.

    The best mean of all their scores is derived. The best of many scores that are uncertain is lucky rather than good;
    what is measured anew is not.
    """

    word = "best"
    positional = ("count",)
    count: Count
    seeds: Count = 3


Confirmation = NoConfirmation | ConfirmBest
