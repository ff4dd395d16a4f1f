"""Released programs that search spaces like ours, run as they are but for what today's torch does not know any more.

None of them is part of this repository: a user names a checkout.
"""

from peers.programs import PROGRAMS, Peer, Program, build_peer
from peers.twins import Twin, twin

__all__ = ["PROGRAMS", "Peer", "Program", "Twin", "build_peer", "twin"]
