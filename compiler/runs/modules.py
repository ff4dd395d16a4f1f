"""Networks as torch modules, for a training loop of the user's own. torch is imported where something is built."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .inherited import Inherited
from .request import FilePath, request_of

if TYPE_CHECKING:
    from torch import Tensor

    from compiler.backend.lowering.network import Network
    from compiler.searcher.relaxations.base import Relaxed


def load(
    path: FilePath, network: str | None = None, *, plugins: Sequence[FilePath] = (), **params: object
) -> Relaxed | Network:
    """A torch module of the network in a file.

    Args:
        path: a .hsp file.
        network: which network, where the file has several and no search section.
        plugins: modules and files of operations of your own that the file may name (`docs/plugins.md`).
        **params: parameters of the network, such as ``c=36``, instead of the file's.

    Returns:
        A supernet for a space, relaxed as the file says (its ``alphas`` by path, ``weights()`` apart), a `Network` for
        an architecture. Both take images (n, c, h, w) and give logits (n, classes).

    Raises:
        HspError: the file is wrong, or the space cannot be relaxed by mixing; the message shows the place.
        UsageError: a parameter or a plugin is wrong.
        MissingFileError: there is no such file; it is a FileNotFoundError too.
    """
    from compiler.backend.lowering.network import Network
    from compiler.searcher.relaxations import relaxed

    program = request_of(path, params, network, plugins).compile()
    if not program.network.is_space:
        return Network(program.network)
    phase = program.searched
    if phase is None:
        return relaxed(program.network, program.settings)
    return relaxed(phase.network, phase.settings, built=phase.built)


def derive(supernet: Relaxed, alphas: dict[str, Tensor] | None = None) -> str:
    """The architecture that alphas select, as text in the language.

    It meets the requirements of the space. Where the rule is `menus`, the text is the smaller space that is left.

    Args:
        supernet: a supernet, as `load` gives it.
        alphas: raw architecture parameters by decision path, (items) each; without them, the supernet's own.

    Raises:
        UsageError: no architecture meets the requirements, or it cannot be decided whether one does.
    """
    from compiler.searcher.relaxations.derived import derived_module
    from hdas_dsl.tree.printer import print_module

    return print_module(derived_module(supernet, supernet.answer(alphas).chosen, alphas))


def inherit(source: Relaxed | Network, target: Relaxed | Network, *, seed: int = 0) -> Inherited:
    """Give a network, in place, the weights and statistics that another has for the same operations.

    Args:
        source: a supernet in whose space the target lies, or a network of the same structure, of other widths maybe.
        target: the network that takes them; a supernet takes those of a supernet by the names of tensors.
        seed: decides which channels are repeated where the target has more (`searcher/relaxations/started.py`).

    Returns:
        Which tensors were taken, and how, and which were not. Where it is ``exact``, both networks have equal outputs
        in eval mode.

    Raises:
        UsageError: the target does not lie in the space of the supernet, or has another structure.
    """
    from .inheriting import inherit

    return inherit(source, target, seed=seed)
