"""Judges, which score the architectures that an explorer proposes.

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

    It takes so many ``batches`` or ``images``; all where both are 0. Before, running statistics of norms are computed
    again on ``calibrate`` batches of the images that weights learn on; 0 takes those of the supernet.
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
    """The result of a training that is the score: the metric on held-out images, or the training loss."""

    METRIC = "metric"
    LOSS = "loss"


class TrainedJudge(Word):
    """The accuracy of an architecture that is trained from scratch, as the `train` section says, on held-out images.

    These are the images of the alphas, without random changes; the test images are never used. ``epochs = 0`` takes
    the epochs of the section; with ``seeds`` the score is the mean of so many trainings.

    ``by = loss`` scores how fast it learns: the mean loss of all steps, each computed before the step learns from its
    images (Ru et al., "Speedy Performance Estimation for Neural Architecture Search", NeurIPS 2021, eq. 1).
    """

    word = "trained"
    epochs: Amount = 0
    seeds: Count = 1
    by: Measured = Measured.METRIC


class ProxyName(Named):
    """Zero-cost proxies: computed on an untrained network and one batch, instead of training it."""

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
    """Zero-cost proxies of an untrained architecture, on one batch of ``images`` images of the alphas.

    Of several proxies the score is the mean of the architecture's ranks among all trials.
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
    """One architecture of each class of the equivalence of this name is judged."""

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
    """The score of an architecture's derived file by a class of your own, ``"mine.py:Class"`` or an entry point.

    It gets ``epochs``, and may use them as it likes.
    """

    word = "own"
    positional = ("path",)
    path: Text
    epochs: Count = 1


Judge = NoJudge | SharedJudge | TrainedJudge | ProxyJudge | TableJudge | OwnJudge
