"""Judges, which say how good an architecture is that an explorer proposes.

To add one, write its class, add it to `Judge`, and build it in `compiler/runs`. To add a proxy, add its name to
`ProxyName`, and its formula to `PROXIES` of `searcher/explore/proxies.py`.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from .words import Amount, Count, Flag, Named, NonNegative, Text, Word


class NoJudge(Word):
    """Nothing is judged: the alphas select an architecture."""

    word = "none"


class SharedJudge(Word):
    """The accuracy of an architecture with the weights of the supernet, on images that its weights did not learn on.

    ``batches`` of them, or ``images``; 0, for both, is all. Before, statistics of norms are taken anew on ``calibrate``
    batches of the images that weights learn on; 0 takes those of the supernet.
    """

    word = "shared"
    batches: Amount = 0
    images: Amount = 0
    calibrate: Amount = 0

    @model_validator(mode="after")
    def _one_number(self) -> SharedJudge:
        if self.batches and self.images:
            raise ValueError("shared takes a number of batches or of images, not both")
        return self


class Measured(Named):
    """What a training says of an architecture."""

    METRIC = "metric"
    LOSS = "loss"


class TrainedJudge(Word):
    """The accuracy of an architecture that is trained from scratch, as the `train` section says, on held-out images.

    These are the images of the alphas, without random changes; the test images are never asked. ``epochs`` are as many
    as of the section by default, 0; with ``seeds`` it is the mean of so many trainings.

    ``by = loss`` says how fast it learns: the mean loss of all steps, each of which sees its images before it learns
    from them (Ru et al., "Speedy Performance Estimation for Neural Architecture Search", NeurIPS 2021, eq. 1).
    """

    word = "trained"
    epochs: Amount = 0
    seeds: Count = 1
    by: Measured = Measured.METRIC


class ProxyName(Named):
    """What is computed of a network as it starts, on one batch, instead of training it."""

    PARAMS = "params"
    MACS = "macs"
    SYNFLOW = "synflow"
    NASWOT = "naswot"
    JACOB_COV = "jacob_cov"
    SNIP = "snip"
    GRASP = "grasp"
    FISHER = "fisher"
    GRAD_NORM = "grad_norm"
    ZEN = "zen"


class ProxyJudge(Word):
    """Zero-cost proxies of an architecture as it starts, on one batch of ``images`` of those of the alphas.

    Several vote: an architecture is as good as the mean of its ranks among all trials.
    """

    word = "proxy"
    positional = ("names",)
    by_list = True
    names: Annotated[tuple[ProxyName, ...], Field(min_length=1, description="names of proxies")]
    images: Annotated[int, Field(ge=2, description="a whole number, at least 2")] = 64


class TableJudge(Word):
    """The validation accuracy of an architecture in a table that was measured before, the mean of the first ``seeds``.

    The table is a CSV file, or the `trials.jsonl` of an exploration, whose scores are then looked up.

    With ``partial`` only architectures are proposed that the table has. ``seconds``, where it is not 0, ends the
    exploration once the trainings that were looked up took as many.
    """

    word = "table"
    positional = ("path",)
    path: Text
    seeds: Count = 1
    partial: Flag = False
    seconds: NonNegative = 0.0


class AllUnique(Word):
    """Every architecture is judged, each once."""

    word = "none"

    @property
    def name(self) -> str | None:
        """No equivalence."""
        return None


class UniqueUpTo(Word):
    """Of architectures that an equivalence of this name calls alike, one is judged."""

    word = "EQUIVALENCE"
    positional = ("equivalence",)
    by_item = True
    equivalence: Text

    @property
    def name(self) -> str | None:
        """The name of the equivalence."""
        return self.equivalence


Unique = AllUnique | UniqueUpTo


class OwnJudge(Word):
    """What a class of your own says of the derived file of an architecture, ``"mine.py:Class"`` or an entry point.

    It is asked for ``epochs``, which it may take as it likes.
    """

    word = "own"
    positional = ("path",)
    path: Text
    epochs: Count = 1


Judge = NoJudge | SharedJudge | TrainedJudge | ProxyJudge | TableJudge | OwnJudge
