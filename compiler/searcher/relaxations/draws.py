"""Random architectures from alphas, and how probable they are.

A decision takes one of its items by the softmax of its alphas (Gumbel-max: the largest of the alphas plus Gumbel
noise); a pick of k takes k candidates one after the other, and of menus k pairs of candidate and item (as many as it
may); an independent pick takes each by a sigmoid, within its bounds. What cannot be derived is never drawn: a draw is
an architecture of the space. So drawing is deriving from noisy alphas, and the most probable architecture is what is
derived from those without noise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import comb, log
from random import Random

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from compiler.backend.torch_modules.mixing import entries
from compiler.backend.transfer import moved, moved_together
from compiler.derivation.strongest import strongest
from compiler.ir.decision import Decision, DecisionKind, Selection
from compiler.searcher.settings.derivation import By

from .bounded import log_normaliser, within_bounds

Logits = dict[str, Tensor]
"""One number for each item of every decision with alphas, by path."""


def logits(decisions: Mapping[str, Decision], alphas: Mapping[str, Tensor], by: By) -> Logits:
    """The strengths of items: raw alphas, or the logarithms of probabilities (of an independent pick, its alphas)."""
    if by is By.LOGIT:
        return dict(alphas)
    kinds = {path: alpha for path, alpha in alphas.items() if not decisions[path].independent}
    return {**alphas, **together(kinds, lambda stacked: stacked.log_softmax(1))}


def noise(decisions: Mapping[str, Decision], like: Mapping[str, Tensor]) -> Logits:
    """Gumbel noise for every item, and logistic noise (the difference of two) for independent picks.

    It is drawn on the CPU, so that a seed means the same on every device.
    """

    def gumbel(stacked: Tensor) -> Tensor:
        return -torch.empty(stacked.shape).exponential_().log()

    made = together({path: alpha.detach() for path, alpha in like.items()}, gumbel)
    more = together({p: a.detach() for p, a in like.items() if decisions[p].independent}, gumbel)
    found = {path: one - more[path] if path in more else one for path, one in made.items()}
    return moved_together(found, next(iter(like.values()))) if found else {}


def together(tensors: Mapping[str, Tensor], function: Callable[[Tensor], Tensor]) -> Logits:
    """A function of rows applied to many vectors, all of one length in one call."""
    by_length: dict[int, list[str]] = {}
    for path, tensor in tensors.items():
        by_length.setdefault(len(tensor), []).append(path)
    found: Logits = {}
    for paths in by_length.values():
        rows = function(torch.stack([tensors[path] for path in paths])).unbind()
        found.update(zip(paths, rows, strict=True))
    return found


def added(decisions: Mapping[str, Decision], clean: Mapping[str, Tensor], shift: Mapping[str, Tensor]) -> Logits:
    """Noisy logits from which a draw is derived: those of independent picks take as many items as their bounds say."""
    found = {path: values + shift[path] for path, values in clean.items()}
    for path, values in clean.items():
        if decisions[path].independent and decisions[path].bounded:
            noisy = within_bounds(decisions[path], values.tolist(), shift[path].tolist())
            found[path] = values + moved(torch.tensor(noisy, dtype=values.dtype), values.device)
    return found


def drawn(decisions: Mapping[str, Decision], noisy: Mapping[str, Tensor]) -> Selection:
    """The architecture that noisy logits select; picks of menus of no fixed number draw how many they take."""
    counts = {
        path: _size(decision, _below(_ways(decision))) for path, decision in decisions.items() if _counts(decision)
    }
    return strongest(decisions, lists(noisy), By.LOGIT, counts=counts)


def _counts(decision: Decision) -> bool:
    """Whether it draws how many it takes: a pick of menus, whose alphas are those of items, of no fixed number."""
    return bool(decision.candidates) and decision.least < decision.most


def _ways(decision: Decision) -> int:
    """How many selections of candidates a pick has."""
    return sum(comb(len(decision.items), size) for size in range(decision.least, decision.most + 1))


def _size(decision: Decision, number: int) -> int:
    """How many candidates a pick takes in the selection of that number, the smallest first."""
    size = decision.least
    while number >= comb(len(decision.items), size):
        number -= comb(len(decision.items), size)
        size += 1
    return size


def _below(limit: int) -> int:
    """A number below any limit, drawn uniformly from torch's global generator of the CPU."""
    return Random(int(torch.randint(2**62, ()))).randrange(limit)


def lists(tensors: Mapping[str, Tensor]) -> dict[str, list[float]]:
    """Tensors as numbers, moved from the device in one piece."""
    flat = torch.cat([tensor.detach().double() for tensor in tensors.values()]).tolist() if tensors else []
    found, start = {}, 0
    for path, tensor in tensors.items():
        found[path] = flat[start : start + len(tensor)]
        start += len(tensor)
    return found


# ---------------------------------------------------------------- how probable


def log_probability(
    decisions: Mapping[str, Decision],
    clean: Mapping[str, Tensor],
    noisy: Mapping[str, Tensor],
    chosen: Selection,
    used: Iterable[str],
) -> Tensor:
    """The logarithm of the probability with which these decisions are drawn; differentiable in ``clean``.

    Args:
        decisions: the decisions of the space.
        clean: logits without noise.
        noisy: the logits that selected ``chosen``: picks of several are an ordered draw, strongest first.
        chosen: the draw.
        used: the decisions that its architecture depends on; the others have no part in it.
    """
    order = lists(noisy)
    taken = {decisions[path].candidates[item] for path in used if decisions[path].candidates for item in chosen[path]}
    terms = []
    for path in sorted(set(used) - taken):
        decision, items = decisions[path], chosen[path]
        if decision.candidates:
            menus = [(decisions[menu or ""], menu or "") for menu in decision.candidates]
            masses = torch.stack([_derivable(menu, clean[name]).logsumexp(0) for menu, name in menus])
            best = {item: (menus[item][1], chosen[menus[item][1]][0]) for item in items}
            ranked = sorted(items, key=lambda item: -order[best[item][0]][best[item][1]])
            terms.append(_one_by_one(masses, ranked, [clean[best[item][0]][best[item][1]] for item in ranked]))
            if _counts(decision):
                terms.append(masses.new_full((), log(comb(len(menus), len(items))) - log(_ways(decision))))
        elif decision.independent and decision.bounded:
            terms.append(entries(clean[path], items).sum() - log_normaliser(decision, clean[path]))
        elif decision.independent:
            signs = [value if item in items else -value for item, value in enumerate(clean[path])]
            terms.append(logsigmoid(torch.stack(signs)).sum())
        elif decision.kind is DecisionKind.PICK:
            ranked = sorted(items, key=lambda item: -order[path][item])
            terms.append(_one_by_one(clean[path], ranked, [clean[path][item] for item in ranked]))
        else:
            usable = _derivable(decision, clean[path])
            terms.append(usable[items[0]] - usable.logsumexp(0))
    return torch.stack(terms).sum() if terms else next(iter(clean.values())).new_zeros(())


def _one_by_one(masses: Tensor, ranked: Sequence[int], logits: Sequence[Tensor]) -> Tensor:
    """Candidates drawn one after the other, each among those that are left (Plackett-Luce)."""
    left = torch.zeros_like(masses)
    total = masses.new_zeros(())
    for candidate, logit in zip(ranked, logits, strict=True):
        total = total + logit - (masses + left).logsumexp(0)
        left = left.clone()
        left[candidate] = -torch.inf
    return total


def _derivable(decision: Decision, values: Tensor) -> Tensor:
    """The logits of what can be drawn; minus infinity elsewhere."""
    if all(decision.derivable):
        return values
    barred = torch.tensor([not usable for usable in decision.derivable])
    return values.masked_fill(moved(barred, values.device), -torch.inf)
