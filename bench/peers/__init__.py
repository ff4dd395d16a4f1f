"""Released programs that search spaces like ours, run as they are but for what today's torch does not know any more.

None of them is part of this repository: a user names a checkout.
"""

from peers.darts import Peer, Twin, build_peer, twin

__all__ = ["Peer", "Twin", "build_peer", "twin"]
